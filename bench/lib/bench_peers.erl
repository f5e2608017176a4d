%% SPDX-License-Identifier: Apache-2.0
%%
%% Other libraries between Erlang and Python, for those who have them in ERL_LIBS.
-module(bench_peers).

-export([names/0, found/0, start_erlport/1, fresh_erlport/2, start_erlang_python/0]).

-spec names() -> [bench_sides:side()].
names() -> [erlport, erlang_python].

-spec found() -> [bench_sides:side()].
found() ->
    [Name || Name <- names(), is_list(code:lib_dir(Name))].

%% As its own manual starts it, with the Python that pyport was built for.
-spec start_erlport(pos_integer()) -> [pid()].
start_erlport(Programs) ->
    Options = [{python, bench_python:program()}, {python_path, bench_python:folder()}],
    [Pid || {ok, Pid} <- [python:start(Options) || _ <- lists:seq(1, Programs)]].

%% Starts some for one call of Fun, whose result comes with the microseconds from their start to
%% its end.
-spec fresh_erlport(pos_integer(), fun(([pid()]) -> Result)) -> {number(), Result}.
fresh_erlport(Programs, Fun) ->
    {Us, {Pythons, Result}} = timer:tc(fun() ->
        Pythons = start_erlport(Programs),
        {Pythons, Fun(Pythons)}
    end),
    [ok = python:stop(Python) || Python <- Pythons],
    {Us, Result}.

%% Its modules stand ahead of ours in the VM that it gets, and only there.
-spec start_erlang_python() -> pid().
start_erlang_python() ->
    {ok, Vm, _} = peer:start(#{connection => standard_io, wait_boot => 60_000,
                               args => ["-pa", ebin(erlang_python)]}),
    {ok, _} = peer:call(Vm, application, ensure_all_started, [erlang_python], 60_000),
    Vm.

ebin(Application) ->
    filename:join(code:lib_dir(Application), "ebin").
