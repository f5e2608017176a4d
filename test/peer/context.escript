#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: names of one's own. The cases have the names that they have in erlang_python's
%% py_context_SUITE, py_context_process_SUITE, py_context_reset_SUITE, py_context_router_SUITE,
%% py_actor_SUITE and py_SUITE.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app([affinity(), in_contexts(), resets(), actors()])).

affinity() ->
    [{"get_specific_context, contexts_are_isolated", fun contexts_are_isolated/0},
     {"state_persists_in_context", fun state_persists_in_context/0},
     {"implicit_routing, scheduler_affinity", fun scheduler_affinity/0},
     {"bind_persists_state, unbind_without_bind", fun bind_persists_state/0},
     {"with_context_explicit", fun with_context_explicit/0},
     {"automatic_cleanup", fun automatic_cleanup/0},
     {"cross_scheduler_distribution, custom_num_contexts", fun distribution/0}].

in_contexts() ->
    [{"context_start_stop", fun context_start_stop/0},
     {"context_call, context_module_caching", fun context_call/0},
     {"context_eval", fun context_eval/0},
     {"context_exec", fun context_exec/0},
     {"multiple_contexts", fun multiple_contexts/0},
     {"context_parallel_calls", fun context_parallel_calls/0},
     {"context_timeout", fun context_timeout/0},
     {"context_error_handling", fun context_error_handling/0},
     {"context_type_conversions", fun context_type_conversions/0}].

resets() ->
    [{"reset_clears_variables, reset_keeps_builtins, reset_keeps_erlang_module", fun reset/0},
     {"reset_multiple_times", fun reset_multiple_times/0},
     {"reload_module", fun reload_module/0}].

actors() ->
    [{"counter_actor, process_env_main_function, process_env_state_persistence", fun counter_actor/0},
     {"process_isolation, process_env_isolation", fun process_isolation/0},
     {"reset_via_termination, process_env_cleanup", fun reset_via_termination/0}].

eval(C, Code) -> eval(C, Code, #{}).
eval(C, Code, Locals) -> py:eval(Code, Locals, #{context => C}).
exec(C, Code) -> py:exec(Code, #{context => C}).
call(C, M, F, Args) -> call(C, M, F, Args, #{}).
call(C, M, F, Args, Kwargs) -> py:call(M, F, Args, Kwargs, #{context => C}).

%% Runs a test with so many contexts.
with(0, Test, Contexts) -> apply(Test, Contexts);
with(N, Test, Contexts) -> py_context:with(fun(C) -> with(N - 1, Test, [C | Contexts]) end).

with_one(Test) -> with(1, Test, []).

is_no_name({error, {'NameError', _}}) -> true;
is_no_name(_) -> false.

%% ---------------------------------------------------------------------------

contexts_are_isolated() ->
    with(2, fun(One, Two) ->
        ?assertNotEqual(One, Two),
        ok = exec(One, "name = 'context1'; only = 1"),
        ok = exec(Two, "name = 'context2'"),
        ?assertEqual([{ok, <<"context1">>}, {ok, <<"context2">>}], [eval(C, "name") || C <- [One, Two]]),
        ?assert(is_no_name(eval(Two, "only")))
    end, []).

state_persists_in_context() ->
    with_one(fun(C) ->
        ok = exec(C, "test_var = 42"),
        ?assertEqual({ok, 42}, eval(C, "test_var")),
        ok = exec(C, "test_var += 1"),
        ?assertEqual({ok, 43}, eval(C, "test_var"))
    end).

%% A process is wherever there is least to do, until it has names somewhere.
scheduler_affinity() ->
    ?assertEqual([{ok, 4.0}, {ok, 6}], [py:call(math, sqrt, [16]), py:eval("2 + 4")]),
    ok = py:exec("implicit_var = 1"),
    {ok, Worker} = py:eval("erlang.worker()"),
    ?assertEqual([{ok, {Worker, 1}}], lists:usort([py:eval("(erlang.worker(), implicit_var)") || _ <- lists:seq(1, 10)])).

bind_persists_state() ->
    ?assertEqual(ok, py:unbind()),
    ok = py:exec("test_var = 42"),
    ok = py:exec("test_var += 1"),
    ?assertEqual({ok, 43}, py:eval("test_var")),
    ?assertEqual([ok, ok], [py:unbind(), py:unbind()]).

with_context_explicit() ->
    ?assertEqual({ok, 15}, with_one(fun(C) -> ok = exec(C, "y = 5"), eval(C, "y * 3") end)).

automatic_cleanup() ->
    Self = self(),
    Pid = spawn(fun() ->
        {ok, C} = py_context:open(),
        Self ! {opened, C, exec(C, "kept = 1")},
        receive after infinity -> ok end
    end),
    receive {opened, C, ok} -> ok end,
    ?assertEqual({ok, 1}, eval(C, "kept")),
    exit(Pid, kill),
    fixture:wait_until(fun() -> element(1, eval(C, "kept")) =:= error end),
    ?assertMatch({error, {badarg, _}}, eval(C, "kept")).

%% How many workers there are, a pool says; contexts spread over them.
distribution() ->
    {ok, _} = py:start_pool(four, #{size => 4}),
    fixture:wait_until(fun() -> [idle, idle, idle, idle] =:= [State || #{state := State} <- fixture:workers(four)] end),
    Contexts = [begin {ok, C} = py_context:open(#{pool => four}), C end || _ <- lists:seq(1, 8)],
    ?assertEqual([{ok, Id} || Id <- [1, 1, 2, 2, 3, 3, 4, 4]], lists:sort([eval(C, "erlang.worker()") || C <- Contexts])),
    ok = py:stop_pool(four).

%% ---------------------------------------------------------------------------

context_start_stop() ->
    {ok, C} = py_context:open(),
    ?assertEqual({ok, 1}, eval(C, "1")),
    ?assertEqual([ok, ok], [py_context:close(C), py_context:close(C)]),
    ?assertMatch({error, {badarg, _}}, eval(C, "1")).

context_call() ->
    with_one(fun(C) ->
        ?assertEqual([{ok, 4.0}, {ok, 5.0}], [call(C, math, sqrt, [N]) || N <- [16, 25]]),
        ?assertEqual({ok, 3}, call(C, builtins, len, [[1, 2, 3]])),
        ?assertEqual({ok, <<"[\n  1\n]">>}, call(C, json, dumps, [[1]], #{indent => 2})),
        ok = exec(C, "import json"),
        ?assertEqual({ok, <<"{\"a\": 1}">>}, call(C, json, dumps, [#{a => 1}]))
    end).

context_eval() ->
    with_one(fun(C) ->
        ?assertEqual({ok, 6}, eval(C, "2 + 4")),
        ?assertEqual({ok, 15}, eval(C, "x * 3", #{x => 5})),
        ?assertEqual({ok, [1, 4, 9, 16]}, eval(C, "[i * i for i in range(1, 5)]"))
    end).

context_exec() ->
    with_one(fun(C) ->
        ok = exec(C, "x = 42\ndef add(a, b): return a + b"),
        ?assertEqual([{ok, 42}, {ok, 7}], [eval(C, Code) || Code <- ["x", "add(3, 4)"]]),
        ?assertEqual({ok, 7}, call(C, '__main__', add, [3, 4]))
    end).

multiple_contexts() ->
    with(4, fun(A, B, C, D) ->
        Answers = at_once([fun() -> [call(Context, math, sqrt, [N * N]) || N <- lists:seq(1, 10)] end
                           || Context <- [A, B, C, D]]),
        ?assertEqual([[{ok, float(N)} || N <- lists:seq(1, 10)]], lists:usort(Answers))
    end, []).

context_parallel_calls() ->
    with_one(fun(C) ->
        ?assertEqual([{ok, float(N)} || N <- lists:seq(1, 20)],
                     at_once([fun() -> call(C, math, sqrt, [N * N]) end || N <- lists:seq(1, 20)]))
    end).

at_once(Funs) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), Fun()} end) || Fun <- Funs],
    [receive {Pid, Answer} -> Answer end || Pid <- Pids].

context_timeout() ->
    with_one(fun(C) ->
        ?assertEqual({ok, 4.0}, py:call(math, sqrt, [16], #{}, #{context => C, timeout => 5000})),
        ?assertEqual({error, timeout}, py:call(time, sleep, [20], #{}, #{context => C, timeout => 50})),
        ?assertEqual({ok, 2}, eval(C, "1 + 1"))
    end).

context_error_handling() ->
    with_one(fun(C) ->
        ?assertMatch({error, {'ModuleNotFoundError', _}}, call(C, nonexistent_module, func, [])),
        ?assertMatch({error, {'AttributeError', _}}, call(C, math, nonexistent_func, [])),
        ?assertMatch({error, {'ZeroDivisionError', _}}, eval(C, "1/0")),
        ?assertMatch({error, {'SyntaxError', _}}, exec(C, "if true")),
        ?assertEqual({ok, 4.0}, call(C, math, sqrt, [16]))
    end).

context_type_conversions() ->
    with_one(fun(C) ->
        Values = [42, 3.14159, <<"hello">>, [1, 2, 3], #{a => 1, b => 2}, true, false, none],
        ?assertEqual([{ok, V} || V <- Values], [eval(C, "x", #{x => V}) || V <- Values])
    end).

%% ---------------------------------------------------------------------------

%% A new one takes the place of one that is closed.
reset() ->
    with_one(fun(C) -> ok = exec(C, "import erlang\nx = 42; y = 'hello'; len = None"), {ok, 42} = eval(C, "x") end),
    with_one(fun(C) ->
        ?assert(lists:all(fun is_no_name/1, [eval(C, Name) || Name <- ["x", "y"]])),
        ?assertEqual([{ok, 5}, {ok, 10}], [eval(C, "len([1, 2, 3, 4, 5])"), eval(C, "int('10')")]),
        ?assertEqual({ok, true}, eval(C, "hasattr(erlang, 'call')")),
        ok = exec(C, "x = 200\ndef f(): return x"),
        ?assertEqual({ok, 200}, eval(C, "f()"))
    end).

reset_multiple_times() ->
    [with_one(fun(C) ->
         ?assert(is_no_name(eval(C, "var"))),
         ok = exec(C, ["var = ", integer_to_list(N)]),
         ?assertEqual({ok, N}, eval(C, "var"))
     end) || N <- lists:seq(1, 5)].

%% Modules are of the worker: all workers begin anew, or one of them by what Python has for it.
reload_module() ->
    ok = py:exec("import json; json.mark = 1; json.dumps = None"),
    ok = py:exec("import importlib; importlib.reload(json)"),
    ?assertEqual({ok, {<<"[1]">>, 1}}, py:eval("(json.dumps([1]), json.mark)")),
    ok = py:unbind(),
    ok = py:restart_workers(),
    ?assertEqual({ok, false}, py:eval("hasattr(__import__('json'), 'mark')")).

%% ---------------------------------------------------------------------------

counter_actor() ->
    with_one(fun(C) ->
        ok = exec(C, "import peer\ncounter = peer.Counter()\ndef add(n): return counter.add(n)"),
        ?assertEqual([{ok, 1}, {ok, 2}, {ok, 1}], [call(C, '__main__', add, [N]) || N <- [1, 1, -1]]),
        ?assertEqual({ok, 1}, eval(C, "counter.value"))
    end).

%% Each process opens its own.
process_isolation() ->
    Set = fun(Value) -> with_one(fun(C) -> ok = exec(C, ["x = '", Value, "'"]), eval(C, "x") end) end,
    with_one(fun(C) ->
        ok = exec(C, "x = 'main'"),
        ?assertEqual([{ok, <<"A">>}, {ok, <<"B">>}], at_once([fun() -> Set(Value) end || Value <- ["A", "B"]])),
        ?assertEqual({ok, <<"main">>}, eval(C, "x"))
    end).

reset_via_termination() ->
    On = #{pool => {default, 1}},
    Counters = fun() -> py:eval("len(__import__('peer').counters)", #{}, On) end,
    Pid = spawn(fun() ->
        {ok, C} = py_context:open(On#{name => actor}),
        ok = exec(C, "import peer\nbig = peer.Counter()"),
        receive stop -> ok end
    end),
    fixture:wait_until(fun() -> {ok, 1} =:= Counters() end),
    Pid ! stop,
    fixture:wait_until(fun() -> {ok, 0} =:= Counters() end),
    ?assertMatch({error, _}, py_context:find(actor)),
    ?assert(py_context:with(On, fun(C) -> is_no_name(eval(C, "big")) end)).
