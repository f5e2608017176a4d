%% SPDX-License-Identifier: Apache-2.0
%%
%% Process groups, by /proc: a program and all that it has started, unless that
%% has left for a group or a session of its own.
-module(py_os_group).

-export([all/0, rss/1, pss/1]).
-export_type([groups/0]).

%% The leader's number, and those of its processes.
-type groups() :: #{pos_integer() => [pos_integer()]}.

%% All groups of the system. One look at every process: milliseconds.
-spec all() -> groups().
all() ->
    case prim_file:list_dir("/proc") of
        {ok, Names} -> maps:groups_from_list(fun group/1, fun list_to_integer/1, numbers(Names));
        {error, _} -> #{}
    end.

numbers(Names) ->
    [Name || [Digit | _] = Name <- Names, Digit >= $0, Digit =< $9].

%% The name of the program is in brackets and may be any bytes. A process that
%% has just ended is in no group.
group(Name) ->
    case prim_file:read_file("/proc/" ++ Name ++ "/stat") of
        {ok, Stat} ->
            {Bracket, 2} = lists:last(binary:matches(Stat, <<") ">>)),
            <<_:Bracket/binary, ") ", Rest/binary>> = Stat,
            [_State, _Parent, Group | _] = binary:split(Rest, <<" ">>, [global]),
            binary_to_integer(Group);
        {error, _} ->
            0
    end.

%% What these processes have in memory, in bytes; pages that they share count for
%% each of them.
-spec rss([pos_integer()]) -> non_neg_integer().
rss(Pids) ->
    lists:sum([Bytes || Pid <- Pids, {ok, Bytes} <- [py_os_rss:once(Pid)]]).

%% The same with shared pages divided. Where the kernel does not say that of a
%% process, its rss counts.
-spec pss([pos_integer()]) -> non_neg_integer().
pss(Pids) ->
    lists:sum([share(Pid) || Pid <- Pids]).

share(Pid) ->
    case py_os_proc:shares(Pid) of
        #{pss := Bytes} -> Bytes;
        #{} -> rss([Pid])
    end.
