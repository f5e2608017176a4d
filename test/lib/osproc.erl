%% SPDX-License-Identifier: Apache-2.0
%%
%% Processes of the operating system, by what the kernel tells in /proc.
-module(osproc).

-export([group/1, programs/1, gone_after/2, all_gone/2]).

%% The running processes of a process group.
-spec group(pos_integer()) -> [pos_integer()].
group(Group) ->
    [Pid || {Pid, _, G} <- running(), G =:= Group].

%% The running programs that a VM has started: children of its helper.
-spec programs(Vm :: pos_integer()) -> [pos_integer()].
programs(Vm) ->
    All = running(),
    Helpers = [Pid || {Pid, Parent, _} <- All, Parent =:= Vm],
    [Pid || {Pid, Parent, _} <- All, lists:member(Parent, Helpers)].

running() ->
    {ok, Names} = file:list_dir("/proc"),
    [Process || [Digit | _] = Name <- Names, Digit >= $0, Digit =< $9,
                Process <- status(Name)].

%% The name of the program is in brackets and may contain anything.
status(Name) ->
    case file:read_file(["/proc/", Name, "/stat"]) of
        {ok, Stat} ->
            [_, Rest] = string:split(Stat, ") ", trailing),
            [State, Parent, Group | _] = binary:split(Rest, <<" ">>, [global]),
            [{list_to_integer(Name), binary_to_integer(Parent), binary_to_integer(Group)}
             || State =/= <<"Z">>, State =/= <<"X">>];
        {error, _} ->
            []
    end.

%% How many milliseconds it takes until none of these runs any more, or those
%% that still do after the limit, and after what the machine is to blame for.
-spec gone_after([pos_integer()], non_neg_integer()) ->
          {gone, Ms :: non_neg_integer()} | {still, [pos_integer(), ...]}.
gone_after(Pids, Limit) ->
    ok = machine:start(),
    gone_after(Pids, now_ms(), Limit, 0).

gone_after(Pids, Start, Limit, Excuse) ->
    Took = now_ms() - Start,
    case lists:filter(fun fixture:is_running/1, Pids) of
        [] ->
            {gone, Took};
        Left when Took >= Limit + Excuse ->
            case machine:excuse(Took) of
                More when More > Excuse -> gone_after(Left, Start, Limit, More);
                _ -> {still, Left}
            end;
        Left ->
            timer:sleep(5),
            gone_after(Left, Start, Limit, Excuse)
    end.

%% The same, an error when some are left: each is shown, and killed.
-spec all_gone([pos_integer()], non_neg_integer()) -> Ms :: non_neg_integer().
all_gone(Pids, Limit) ->
    case gone_after(Pids, Limit) of
        {gone, Ms} ->
            Ms;
        {still, Left} ->
            Shown = [{Pid, command(Pid)} || Pid <- Left],
            [fixture:kill("KILL", Pid) || Pid <- Left],
            error({still_running, Limit, Shown})
    end.

command(Pid) ->
    case file:read_file(["/proc/", integer_to_list(Pid), "/cmdline"]) of
        {ok, Line} -> binary:replace(Line, <<0>>, <<" ">>, [global]);
        {error, _} -> gone
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).
