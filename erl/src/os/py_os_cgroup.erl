%% SPDX-License-Identifier: Apache-2.0
%%
%% A control group (cgroup, version 2) for each program, in a directory that the
%% user names: one that is delegated to the VM's user and has no processes, because
%% the kernel allows processes only in the leaves. Each program gets a directory in
%% it and joins that by itself, before Python starts; so the limits hold from the
%% first byte, for the program and all that it starts. The VM stays where it is.
-module(py_os_cgroup).

-export([make/1, used/1, remove/1]).

-define(POLL, 10).
%% How long the processes in it may take to end once they are killed (ms).
-define(REMOVE_LIMIT, 2_000).

%% Makes the directory of one program, if the limits name one for all: the limits
%% that it returns have that program's own. An error is a text.
-spec make(py_os_limit:limits()) -> {ok, py_os_limit:limits()} | {error, binary()}.
make(#{cgroup := Dir} = Limits) ->
    try
        check(Dir),
        enable(controllers(Limits), Dir),
        sweep(Dir),
        {ok, Limits#{cgroup := child(Dir)}}
    catch
        throw:Why ->
            {error, unicode:characters_to_binary(["memory: cgroup ", Dir, ": ", Why])}
    end;
make(Limits) ->
    case maps:keys(maps:with([cgroup_max, cgroup_high, cgroup_pids], Limits)) of
        [] -> {ok, Limits};
        [Key | _] -> {error, <<"memory: ", (atom_to_binary(Key))/binary, " needs cgroup">>}
    end.

check(Dir) ->
    filelib:is_dir(Dir) orelse throw("not a directory"),
    is_file(Dir, "cgroup.controllers") orelse throw("not a control group of version 2"),
    words(Dir, "cgroup.procs") =:= [] orelse throw("there are processes in it"),
    ok.

%% What has to be there for the limits.
controllers(Limits) ->
    [<<"memory">> || map_size(maps:with([cgroup_max, cgroup_high], Limits)) > 0]
        ++ [<<"pids">> || is_map_key(cgroup_pids, Limits)].

enable(Wanted, Dir) ->
    case Wanted -- words(Dir, "cgroup.controllers") of
        [] -> ok;
        [Missing | _] -> throw(["the controller ", Missing, " is not delegated to it"])
    end,
    case Wanted -- words(Dir, "cgroup.subtree_control") of
        [] -> ok;
        New -> write(Dir, "cgroup.subtree_control", [["+", Name, " "] || Name <- New])
    end.

%% Removes those of VMs that have crashed. One that has a process in it stays.
sweep(Dir) ->
    {ok, Names} = file:list_dir(Dir),
    Own = prefix(),
    _ = [file:del_dir(filename:join(Dir, Name))
         || Name <- Names, lists:prefix("py-", Name), not lists:prefix(Own, Name)],
    ok.

child(Dir) ->
    Number = integer_to_list(erlang:unique_integer([positive])),
    Child = filename:join(filename:absname(Dir), prefix() ++ Number),
    case file:make_dir(Child) of
        ok -> Child;
        {error, Why} -> throw(["no directory can be made in it: ", file:format_error(Why)])
    end.

%% Only this VM uses it.
prefix() ->
    Start = erlang:system_info(start_time) + erlang:time_offset(native),
    lists:flatten(io_lib:format("py-~s-~b-", [os:getpid(), Start])).

%% ---------------------------------------------------------------------------

%% How much of its limits a program's own group has now.
-spec used(py_os_limit:limits()) -> #{cgroup_max => non_neg_integer(),
                                      cgroup_high => non_neg_integer()}.
used(#{cgroup := Child} = Limits) ->
    case file:read_file(filename:join(Child, "memory.current")) of
        {ok, Text} ->
            Bytes = binary_to_integer(string:trim(Text)),
            maps:map(fun(_, _) -> Bytes end, maps:with([cgroup_max, cgroup_high], Limits));
        {error, _} ->
            #{}
    end;
used(_) ->
    #{}.

%% Ends what is left of a program that is gone, and its directory.
-spec remove(py_os_limit:limits()) -> ok.
remove(#{cgroup := Child}) ->
    _ = is_file(Child, "cgroup.kill") andalso
            file:write_file(filename:join(Child, "cgroup.kill"), "1"),
    remove(Child, py_time:deadline(?REMOVE_LIMIT));
remove(_) ->
    ok.

remove(Child, Deadline) ->
    case file:del_dir(Child) of
        {error, Why} when Why =:= ebusy; Why =:= eexist ->
            Left = py_time:left(Deadline),
            timer:sleep(min(?POLL, Left)),
            Left =:= 0 orelse remove(Child, Deadline),
            ok;
        _ ->
            ok
    end.

%% ---------------------------------------------------------------------------

is_file(Dir, Name) ->
    filelib:is_regular(filename:join(Dir, Name)).

words(Dir, Name) ->
    case file:read_file(filename:join(Dir, Name)) of
        {ok, Text} -> binary:split(Text, [<<" ">>, <<"\n">>], [global, trim_all]);
        {error, Why} -> throw([Name, ": ", file:format_error(Why)])
    end.

write(Dir, Name, Text) ->
    case file:write_file(filename:join(Dir, Name), Text) of
        ok -> ok;
        {error, Why} -> throw([Name, ": ", file:format_error(Why)])
    end.
