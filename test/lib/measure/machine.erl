%% SPDX-License-Identifier: Apache-2.0
%%
%% How late this machine is by itself, just now: what a test that measures time
%% may excuse.
%%
%% A promise such as "within 100 ms" is about us. What a test measures is about
%% us and about the machine: where others burn its CPUs, or the host that it is
%% a guest of does, every process waits for its turn, ours too. So beside the
%% test runs a process that has nothing to do with it and waits in the same
%% ways: a VM that sets a timer, writes to a program of the operating system and
%% reads the answer, again and again. Such a round takes less than ?USUAL ms on a
%% machine that has nothing else to do than the test. What it takes longer, it
%% has waited for the machine.
%%
%% A request goes through more hands than that round: its caller, the pool, the
%% worker, the program's thread that reads, the one that runs, perhaps one that
%% has to let go of the GIL, and back. ?HANDS is how many there are, at most, and
%% each of them may have to wait as long as the worst of these rounds did. So
%%
%%     excused = ?HANDS * (longest round - ?USUAL), or nothing.
%%
%% On an idle machine nothing is excused: the promise has to hold as it stands.
%% Nor is, anywhere, what we do wrong: the other VM does not know of ours, so no
%% worker that blocks, no scheduler of ours that is blocked and no timer that is
%% armed too late makes a round of it longer.
-module(machine).

-export([start/0, os_pid/0, late/1, excuse/1, excused/1]).
%% In the other VM.
-export([watch/0, longest/1]).

-define(PERIOD, 3).
-define(USUAL, 8.0).
-define(HANDS, 8).
%% A measurement that lasts a moment sees few rounds: those before count, too.
-define(BEFORE, 1_000).
%% Rounds that are remembered: a minute.
-define(MOST, 20_000).
-define(LIMIT, 60_000).

%% Starts the other VM, once. It ends with ours.
-spec start() -> ok.
start() ->
    case persistent_term:get(?MODULE, none) of
        none -> start_vm();
        _ -> ok
    end.

start_vm() ->
    {ok, Vm, _} = peer:start(#{connection => standard_io, shutdown => halt}),
    ok = peer:call(Vm, ?MODULE, watch, [], ?LIMIT),
    persistent_term:put(?MODULE, Vm).

%% The other VM as a process of the operating system.
-spec os_pid() -> pos_integer().
os_pid() ->
    list_to_integer(ask(os, getpid, [])).

ask(Module, Function, Args) ->
    ok = start(),
    peer:call(persistent_term:get(?MODULE), Module, Function, Args, ?LIMIT).

%% The longest round of the last milliseconds, and of the moment before.
-spec late(number()) -> Ms :: float().
late(Last) ->
    ask(?MODULE, longest, [Last + ?BEFORE]).

%% What is excused of something that has taken this long and ends now.
-spec excuse(number()) -> Ms :: float().
excuse(Last) ->
    excused(late(Last)).

%% What is excused where the longest round took so long. Pure.
-spec excused(number()) -> Ms :: float().
excused(Late) ->
    ?HANDS * max(0.0, Late - ?USUAL).

%% ---------------------------------------------------------------------------
%% The other VM

-spec watch() -> ok.
watch() ->
    Self = self(),
    Watcher = spawn(fun() ->
        register(?MODULE, self()),
        Port = open_port({spawn, "cat 2>/dev/null"}, [stream, binary]),
        First = [lap(Port)],
        Self ! {self(), ready},
        laps(Port, First, 1)
    end),
    receive {Watcher, ready} -> ok end.

-spec longest(number()) -> Ms :: float().
longest(Last) ->
    ?MODULE ! {longest, self(), Last},
    receive {?MODULE, Longest} -> Longest end.

%% Each with the time when it ended, the last one first.
laps(Port, Laps, N) when N > 2 * ?MOST ->
    laps(Port, lists:sublist(Laps, ?MOST), ?MOST);
laps(Port, Laps, N) ->
    More = [lap(Port) | Laps],
    receive
        {longest, From, Last} ->
            Since = now_us() - round(Last * 1000),
            Recent = lists:takewhile(fun({End, _}) -> End >= Since end, More),
            From ! {?MODULE, lists:max([Us || {_, Us} <- [hd(More) | Recent]]) / 1000}
    after 0 ->
        ok
    end,
    laps(Port, More, N + 1).

lap(Port) ->
    Start = now_us(),
    timer:sleep(?PERIOD),
    true = port_command(Port, <<"x">>),
    receive {Port, {data, _}} -> ok end,
    End = now_us(),
    {End, End - Start - ?PERIOD * 1000}.

now_us() ->
    erlang:monotonic_time(microsecond).
