%% SPDX-License-Identifier: Apache-2.0
%%
%% Who is measured: the floor, pyport, and peers that are found. The floor and erlport have
%% two programs each, as the pool has two workers; erlang_python, whose module is called `py',
%% too, has a VM of its own.
-module(bench_sides).

-export([names/0, peers/0, start/1, round/2, os_pids/1, echo/1, erlport/1]).
-export_type([side/0]).

-type side() :: floor | pyport | erlport | erlang_python.

-define(PROGRAMS, 2).

-spec names() -> [side()].
names() -> [floor, pyport | bench_peers:names()].

%% The peers that are in ERL_LIBS.
-spec peers() -> [side()].
peers() -> bench_peers:found().

%% What each side needs in this VM for as long as it lives.
-spec start([side()]) -> ok.
start(Sides) ->
    lists:foreach(fun start_side/1, Sides).

start_side(floor) ->
    put_programs(floor, [started(echo_server:start(program())) || _ <- lists:seq(1, ?PROGRAMS)]);
start_side(pyport) ->
    ok;
start_side(erlport) ->
    put_programs(erlport, bench_peers:start_erlport(?PROGRAMS));
start_side(erlang_python) ->
    put_programs(erlang_python, [bench_peers:start_erlang_python()]).

started({ok, Pid}) -> Pid.

program() ->
    os:getenv("ECHO", filename:join([os:getenv("top_builddir", "."), "bench", "echo"])).

put_programs(Side, Programs) ->
    persistent_term:put({?MODULE, Side}, list_to_tuple(Programs)).

programs(Side) ->
    persistent_term:get({?MODULE, Side}).

%% Callers take them in turn.
program_of(Side, Caller) ->
    Programs = programs(Side),
    element(1 + Caller rem tuple_size(Programs), Programs).

-spec echo(pos_integer()) -> pid().
echo(Caller) -> program_of(floor, Caller).

-spec erlport(pos_integer()) -> pid().
erlport(Caller) -> program_of(erlport, Caller).

%% One side's part of a round, in the VM where it lives.
-spec round(bench_rows:row(), side()) -> bench_calls:part().
round(Row, erlang_python) ->
    peer:call(program_of(erlang_python, 1), bench_calls, round, [Row, erlang_python], infinity);
round(Row, Side) ->
    bench_calls:round(Row, Side).

%% The processes of the operating system whose processor time is the side's.
-spec os_pids(side()) -> [pos_integer()].
os_pids(floor) ->
    [vm() | [echo_server:os_pid(Echo) || Echo <- tuple_to_list(programs(floor))]];
os_pids(pyport) ->
    [vm() | [OsPid || #{os_pid := OsPid} <- maps:get(workers, py:info())]].

vm() ->
    list_to_integer(os:getpid()).
