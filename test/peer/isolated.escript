#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: Python in a process of its own, which is interrupted, limited and may die. The cases have the
%% names that they have in erlang_python's py_isolated_SUITE, py_interrupt_SUITE and py_preload_SUITE.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(BUSY, "sum(1 for _ in iter(int, 1))").

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import misbehave, peer, time">>},
                             [round_trips(), interrupts(), deaths(), options(), preloads()])).

round_trips() ->
    [{"kwargs", fun kwargs/0},
     {"type_round_trip: integers of any size", fun() -> [comes_back(N, N) || N <- [1 bsl 100, -(1 bsl 100)]] end},
     {"python_error", fun python_error/0},
     {"large_payloads", fun large_payloads/0},
     {"nested_callback", fun nested_callback/0},
     {"callback_error", fun callback_error/0},
     {"concurrent_callers", fun concurrent_callers/0}].

interrupts() ->
    [{"timeout_interrupts_sleep, blocking_c_call_recovers", out_of_time("time.sleep(60)")},
     {"timeout_interrupts_loop, context_reusable_after_interrupt", out_of_time(?BUSY)},
     {"base_exception_not_swallowed", fun base_exception_not_swallowed/0},
     {"sleep_is_interrupted, explicit_interrupt_returns_interrupted", fun sleep_is_interrupted/0},
     {"interrupt_idle_context", fun interrupt_idle_context/0},
     {"no_stale_reply_in_mailbox, interrupt_does_not_leak_to_next_request", fun no_leak/0},
     {"interrupt_during_callback", fun interrupt_during_callback/0},
     {"queued_timeout_does_not_interrupt_others", fun queued_timeout/0}].

deaths() ->
    [{"kill_backstop", fun kill_backstop/0},
     {"kill_restarts_child, kill_reply_after_restart", fun kill_restarts_child/0},
     {"segfault_kills_only_child, requests_during_restart_are_served", fun segfault/0},
     {"stop_while_busy_and_looping, reaped_on_stop", fun stop_while_busy/0}].

options() ->
    [{"rlimit_as", fun rlimit_as/0},
     {"rlimit_nofile, env_option", fun rlimit_nofile/0},
     {"bad_python_fails_at_start, startup_error_reported", fun fails_at_start/0}].

preloads() ->
    [{"preload_option, preload_function_inherited, preload_import_inherited", fun preload/0},
     {"preload_isolation, preload_new_context_inherits", fun preload_isolation/0}].

comes_back(Value, Expected) -> ?assertEqual({ok, Expected}, py:call(peer, same, [Value])).

%% ---------------------------------------------------------------------------

kwargs() ->
    ?assertEqual({ok, {3, <<"x">>}}, py:call(peer, pair, [], #{a => 3, b => <<"x">>})).

python_error() ->
    ?assertMatch({error, {'ValueError', <<"invalid literal", _/binary>>}}, py:call(builtins, int, [<<"boom">>])),
    ?assertMatch({error, {'SyntaxError', _}}, py:exec("def (:")),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

large_payloads() ->
    [comes_back({bytes, Bytes}, Bytes) || Size <- [1 bsl 18, 1 bsl 22], Bytes <- [binary:copy(<<255, 0, 7, 9>>, Size)]].

nested_callback() ->
    py_context:with(fun(C) ->
        In = #{context => C},
        ok = py:register_function(nested, fun(X) -> {ok, Y} = py:call(operator, add, [X, 1], #{}, In), Y end),
        ok = py:register_function(nested2, fun(X) -> {ok, Y} = py:call(erlang, call, [nested, X], #{}, In), Y + 100 end),
        ?assertEqual([{ok, 11}, {ok, 111}], [py:call(erlang, call, [F, 10], #{}, In) || F <- [nested, nested2]])
    end).

callback_error() ->
    ok = py:register_function(crash, fun() -> error(deliberate) end),
    ?assertEqual([{ok, true}, {ok, true}], [py:call(peer, is_runtime_error, [F]) || F <- [crash, not_registered]]).

concurrent_callers() ->
    Self = self(),
    [spawn_link(fun() -> Self ! {N, [py:call(operator, add, [N, K]) || K <- lists:seq(1, 25)]} end) || N <- lists:seq(1, 20)],
    [receive {N, Sums} -> ?assertEqual([{ok, N + K} || K <- lists:seq(1, 25)], Sums) end || N <- lists:seq(1, 20)].

%% ---------------------------------------------------------------------------

%% The same program goes on, and its next call does not wait.
out_of_time(Code) ->
    fun() ->
        Before = fixture:os_pids(),
        ?assertEqual({error, timeout}, py:eval(Code, #{}, 100)),
        ?assertEqual({ok, 4}, py:eval("2 + 2", #{}, 10_000)),
        ?assertEqual(Before, fixture:os_pids())
    end.

base_exception_not_swallowed() ->
    ?assertEqual({error, timeout}, py:exec("while True:\n    try: time.sleep(60)\n    except Exception: pass", #{timeout => 100})),
    ?assertEqual({ok, 4}, py:eval("2 + 2")).

sleep_is_interrupted() ->
    [begin
         Ref = started(default, M, F, Args),
         ok = py:cancel(Ref),
         ?assertEqual({error, cancelled}, py:await(Ref))
     end || {M, F, Args} <- [{time, sleep, [60]}, {builtins, eval, [<<?BUSY>>]}]],
    ?assertEqual({ok, 4}, py:eval("2 + 2")).

%% A call that keeps the pool's one worker busy.
started(Pool, M, F, Args) ->
    Ref = py:spawn_call(M, F, Args, #{}, #{pool => Pool}),
    busy(Pool),
    Ref.

busy(Pool) ->
    fixture:wait_until(fun() -> [busy] =:= [State || #{state := State} <- fixture:workers(Pool)] end).

interrupt_idle_context() ->
    Ref = py:spawn_call(math, sqrt, [4]),
    {ok, 2.0} = py:await(Ref),
    ?assertEqual(ok, py:cancel(Ref)),
    ?assertEqual({ok, 4}, py:eval("2 + 2")).

%% Whatever is interrupted in the moment in which it ends.
no_leak() ->
    [begin
         _ = py:eval("time.sleep(0.005)", #{}, 5),
         ?assertEqual({ok, 2}, py:eval("1 + 1"))
     end || _ <- lists:seq(1, 30)],
    ?assertEqual({messages, []}, process_info(self(), messages)).

interrupt_during_callback() ->
    ok = py:register_function(echo, fun(X) -> X end),
    ?assertEqual({error, timeout}, py:exec("n = 0\nwhile True: n = erlang.call('echo', n) + 1", #{timeout => 100})),
    ?assertEqual({ok, true}, py:eval("n > 1")).

queued_timeout() ->
    Ref = started(default, peer, wait, [0.3, <<"done">>]),
    ?assertEqual({error, timeout}, py:exec("never = 1", #{timeout => 50})),
    ?assertEqual({ok, <<"done">>}, py:await(Ref)),
    ?assertMatch({error, {'NameError', _}}, py:eval("never")).

%% ---------------------------------------------------------------------------

%% A pool of one program, which is gone afterwards.
with_pool(Options, Test) ->
    {ok, _} = py:start_pool(child, Options#{size => 1, python_path => [fixture:python_path()]}),
    [OsPid] = fixture:os_pids(child),
    try
        Test(#{pool => child}, OsPid)
    after
        ok = py:stop_pool(child)
    end,
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end).

%% Code that cannot be interrupted costs the program, at its deadline; the next one serves.
kill_backstop() ->
    with_pool(#{interrupt_grace => 50, close_grace => 50, init => "import peer"}, fun(In, OsPid) ->
        Ref = py:spawn_call(peer, stubborn, [self(), 60], #{}, In#{timeout => 300}),
        receive <<"started">> -> ok = py:cancel(Ref) end,
        ?assertEqual({error, cancelled}, py:await(Ref)),
        ?assertEqual({ok, 4}, py:eval("2 + 2", #{}, In)),
        ?assertNotEqual([OsPid], fixture:os_pids(child))
    end).

kill_restarts_child() ->
    with_pool(#{}, fun(In, OsPid) ->
        ok = py:exec("state = 'before'", In),
        ok = py:unbind(child),
        ok = py:restart_workers(child),
        ?assertNotEqual([OsPid], fixture:os_pids(child)),
        ?assertMatch({error, {'NameError', _}}, py:eval("state", #{}, In))
    end).

segfault() ->
    with_pool(#{}, fun(In, _) ->
        Ref = py:spawn_call(misbehave, segfault, [], #{}, In),
        Next = py:spawn_call(operator, add, [2, 2], #{}, In#{timeout => 10_000}),
        {error, {worker_exit, Why}} = py:await(Ref),
        ?assertMatch({signal, _}, fixture:without_stack(Why)),
        ?assertEqual([{ok, 4}, {ok, 4}, {ok, 4}], [py:await(Next), py:eval("2 + 2", #{}, In), py:eval("2 + 2")])
    end).

stop_while_busy() ->
    Self = self(),
    [begin
         with_pool(#{drain => 50}, fun(In, _) ->
             _ = spawn_link(fun() -> Self ! {stopped, py:exec(Code, In)} end),
             busy(child)
         end),
         receive {stopped, Result} -> ?assertMatch({error, _}, Result) end
     end || Code <- ["import time; time.sleep(60)", ?BUSY]].

%% ---------------------------------------------------------------------------

rlimit_as() ->
    fixture:unless_sanitized(),
    with_pool(#{memory => #{address_space => 1 bsl 30}}, fun(In, _) ->
        ?assertMatch({error, {'MemoryError', _}}, py:eval("len(bytearray(2 ** 31))", #{}, In)),
        ?assertEqual({ok, 4}, py:eval("2 + 2", #{}, In))
    end).

rlimit_nofile() ->
    with_pool(#{init => "import os, resource", memory => #{files => 64}, env => [{"PEER_PROBE", "yes"}]}, fun(In, _) ->
        ?assertEqual({ok, {64, <<"yes">>}},
                     py:eval("(resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.environ['PEER_PROBE'])", #{}, In))
    end).

fails_at_start() ->
    ?assertMatch({error, {python_start, _}}, py:start_pool(child, #{size => 1, init => "1 / 0"})),
    ?assertMatch({error, _}, py:start_pool(child, #{size => 1, memory => #{cgroup => "/nonexistent/cgroup"}})),
    ?assertMatch({error, _}, py:start_pool(child, #{size => 1, memory => #{address_space => 1}})).

%% ---------------------------------------------------------------------------

%% What init defines is the worker's.
preload() ->
    with_pool(#{init => "import json\nPRELOADED = 42\ndef double(x): return 2 * x"}, fun(In, _) ->
        ?assertEqual({ok, {42, 10, <<"[1]">>}}, py:eval("(PRELOADED, double(5), json.dumps([1]))", #{}, In))
    end).

%% What contexts begin with, they have from one that is prepared.
preload_isolation() ->
    {ok, Base} = py_context:open(),
    ok = py:exec("PRELOADED = 42\ndef double(): return 2 * PRELOADED", #{context => Base}),
    Copy = fun(Fun) -> py_context:with(#{from => Base}, fun(C) -> Fun(#{context => C}) end) end,
    Copy(fun(One) ->
        ok = py:exec("PRELOADED = 100", One),
        ?assertEqual({ok, 200}, py:eval("double()", #{}, One)),
        Copy(fun(Two) -> ?assertEqual({ok, 84}, py:eval("double()", #{}, Two)) end)
    end),
    ok = py_context:close(Base).
