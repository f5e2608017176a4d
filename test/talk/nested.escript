#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Functions that Python calls and that ask their own worker something: it runs within
%% the call. Whatever ends anywhere in such a chain ends the chain, and nothing else.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include_lib("py/include/py_protocol.hrl").

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1, init => <<"import nested, wedge">>}, [
        {"functions are registered", fun register_all/0},
        {"call, eval and exec run within the call", fun every_kind/0},
        {"what is nested sees the same names", fun same_names/0},
        {"by the name of the worker, too", fun named/0},
        {"as deep as can be, and no deeper", fun depth/0},
        {"an exception in what is nested", fun exception/0},
        {"what is nested runs out of time by itself", fun inner_timeout/0},
        {"the outer call's deadline ends both, from the top down", fun outer_timeout/0},
        {"a cancel ends both", fun cancelled/0},
        {"the caller's death ends both", fun caller_dies/0},
        {"the function's process is killed in between", fun function_killed/0},
        {"what is nested does not stop", fun stubborn/0},
        {"the worker dies in the middle", fun worker_dies/0},
        {"urgent requests are answered in the middle", fun urgent/0},
        {"other calls wait, and come to their turn", fun others_wait/0},
        {"what is printed, captured and charged", fun capture/0},
        {"a stream's items may nest, a nested call may not be a stream", fun streams/0},
        {"a chain through the items of a stream", fun through_streams/0},
        {"exec and unbind in a function do not move it", fun binding/0},
        {"many processes of the function ask at once", fun helpers/0},
        {"in a context of its own worker", fun contexts/0},
        {"with and without a context, within one", fun contexts_within/0},
        {"no more contexts than there may be", fun most_contexts/0},
        {"several workers of a pool wait", fun same_pool/0},
        {"what does not fit into a frame within a call", fun too_large/0},
        {"the outer call has its turn on the ladder", fun turns/0},
        {"what the outer call keeps locked is not spoilt", fun locked/0},
        {"large arguments and results", fun large/0},
        {"a limit of the heap holds for both", fun heap/0},
        {"in init code", fun init_code/0},
        {"random trees of calls", 120_000, fun trees/0},
        {"many processes, kills and cancels", 120_000, fun soak/0}
    ]))).

register_all() ->
    Python = fun(M, F, Args) -> value(py:call(M, F, Args)) end,
    Tree = fun(Depth, Seed) -> value(py:call(nested, tree, [Depth, Seed])) end,
    Functions =
        [{python, Python}, {eval, fun(Code) -> value(py:eval(Code)) end},
         {down, fun(N) -> value(py:call(nested, down, [N])) end},
         {run, fun(Code, Options) -> py:eval(Code, #{}, Options) end},
         {captured, fun(M, F, Args) -> element(3, py:call(M, F, Args, #{}, #{capture => true})) end},
         {tree, Tree},
         {given, fun(Depth, Seed) -> value(py:call(nested, by, [Tree, Depth, Seed])) end},
         {other, fun(Depth, Seed) -> value(py:call(nested, tree, [Depth, Seed], #{}, #{pool => other})) end},
         {echo, fun(Value) -> Value end}, {fail, fun(Value) -> error({failed, Value}) end}],
    [ok = py:register_function(Name, Function) || {Name, Function} <- Functions],
    {ok, _} = py:start_pool(other, #{size => 2, python_path => [fixture:python_path()]}),
    ok.

value({ok, Value}) -> Value;
value({error, Reason}) -> Reason.

run(Code, Options) -> py:eval(<<"erlang.call('run', code, options)">>, #{code => Code, options => Options}).

%% ---------------------------------------------------------------------------

every_kind() ->
    ok = py:register_function(kinds, fun() -> {py:call(operator, add, [1, 2]), py:eval("3 + 4"),
                                               py:exec("kind = 5"), py:eval("kind")} end),
    ?assertEqual({ok, {{ok, 3}, {ok, 7}, ok, {ok, 5}}}, py:eval("erlang.call('kinds')")).

same_names() ->
    ?assertEqual({ok, {1, 1}}, py:call(nested, own_names, [])).

named() ->
    ?assertEqual({ok, {ok, 2}}, run(<<"1 + 1">>, #{pool => {default, 1}})),
    ?assertEqual({ok, {ok, 2}}, run(<<"1 + 1">>, #{pool => {other, 2}})),
    ?assertMatch({ok, {error, {no_worker, _}}}, run(<<"1 + 1">>, #{pool => {default, 2}})).

depth() ->
    [?assertEqual({ok, N}, py:call(nested, down, [N])) || N <- [1, 2, ?MOST_NESTED - 1, ?MOST_NESTED]],
    ?assertEqual({ok, {too_deep, ?MOST_NESTED}}, py:call(nested, down, [?MOST_NESTED + 1])),
    ?assertEqual({ok, {too_deep, ?MOST_NESTED}}, py:call(nested, down, [?MOST_NESTED + 5])),
    ?assertEqual({ok, ?MOST_NESTED}, py:call(nested, down, [?MOST_NESTED])).

exception() ->
    ?assertEqual({ok, {'ZeroDivisionError', <<"division by zero">>}}, py:eval("erlang.call('eval', '1/0')")),
    ?assertEqual({ok, {'SystemExit', <<"3">>}}, py:eval("erlang.call('eval', '__import__(\"sys\").exit(3)')")).

%% ---------------------------------------------------------------------------
%% Time

inner_timeout() ->
    ?assertEqual({ok, {error, timeout}}, run(<<"nested.asleep(20)">>, #{timeout => 200})),
    fixture:wait_until(fun() -> {ok, [<<"inner">>]} =:= py:call(nested, take_seen, []) end).

outer_timeout() ->
    ?assertEqual({error, timeout}, py:call(nested, sleep_in, [20], #{}, 200)),
    both_ended().

both_ended() ->
    fixture:wait_until(fun() -> idle() end),
    ?assertEqual({ok, [<<"inner">>, <<"outer">>]}, py:call(nested, take_seen, [])).

idle() -> [idle] =:= [State || #{state := State} <- fixture:workers()].

cancelled() ->
    Ref = py:spawn_call(nested, sleep_in, [20]),
    nested(2),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    both_ended().

%% The program has so many calls.
nested(N) ->
    fixture:wait_until(fun() -> [N] =:= [InFlight || #{in_flight := InFlight} <- fixture:workers()] end).

caller_dies() ->
    Pid = spawn(fun() -> py:call(nested, sleep_in, [20]) end),
    nested(2),
    exit(Pid, kill),
    both_ended().

function_killed() ->
    Self = self(),
    ok = py:register_function(asleep, fun() -> Self ! {asleep, self()}, py:call(nested, asleep, [20]) end),
    Ref = py:spawn_call(erlang, asleep, []),
    receive {asleep, Pid} -> ok end,
    nested(2),
    exit(Pid, kill),
    ?assertEqual({error, {'erlang.Error', <<"exit: killed">>}}, py:await(Ref)),
    ?assertEqual({ok, [<<"inner">>]}, py:call(nested, take_seen, [])).

stubborn() ->
    ok = py:register_function(stubborn, fun() -> py:call(nested, stubborn, [], #{}, 200) end),
    {error, {worker_exit, timeout}} = py:eval("erlang.call('stubborn')", #{}, 20_000),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

worker_dies() ->
    Self = self(),
    ok = py:register_function(dies, fun() -> Self ! {dies, self()}, py:call(nested, asleep, [20]) end),
    [OsPid] = fixture:os_pids(),
    Ref = py:spawn_call(erlang, dies, []),
    receive {dies, Pid} -> ok end,
    nested(2),
    _ = fixture:kill("KILL", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:await(Ref)),
    fixture:wait_until(fun() -> not is_process_alive(Pid) end),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% ---------------------------------------------------------------------------
%% Meanwhile

urgent() ->
    Ref = py:spawn_call(nested, sleep_in, [1]),
    nested(2),
    [{ok, _} = py:memory_stats({default, 1}) || _ <- lists:seq(1, 10)],
    {ok, [#{frames := Frames} | _]} = py:stack(1),
    ?assertEqual([<<"sleep_in">>, <<"asleep">>],
                 [F || #{function := F} <- Frames, F =:= <<"sleep_in">> orelse F =:= <<"asleep">>]),
    ?assertEqual({ok, <<"slept">>}, py:await(Ref)),
    {ok, _} = py:call(nested, take_seen, []).

others_wait() ->
    Refs = [py:spawn_call(nested, sleep_in, [0.1]) || _ <- lists:seq(1, 3)],
    Others = [py:spawn_call(operator, add, [N, 1]) || N <- lists:seq(1, 20)],
    ?assertEqual([{ok, <<"slept">>}], lists:usort([py:await(Ref) || Ref <- Refs])),
    ?assertEqual([{ok, N + 1} || N <- lists:seq(1, 20)], [py:await(Ref) || Ref <- Others]),
    ?assertEqual({ok, lists:append(lists:duplicate(3, [<<"inner">>, <<"outer">>]))},
                 py:call(nested, take_seen, [])).

capture() ->
    ?assertEqual({ok, <<"kept\n">>, <<"before\nwithin\nafter\n">>},
                 py:call(nested, printing, [], #{}, #{capture => true})),
    {ok, <<"slept">>, #{time := Outer}} = py:call(nested, sleep_in, [0.1], #{}, #{bill => true}),
    ?assert(Outer >= 100_000),
    ok = py:register_function(charged, fun() -> py:eval("1 + 1", #{}, #{bill => true}) end),
    {ok, {ok, 2, #{time := _}}, #{time := _}} = py:eval("erlang.call('charged')", #{}, #{bill => true}),
    {ok, _} = py:call(nested, take_seen, []).

streams() ->
    ?assertEqual({ok, [0, 1, 4, 9]}, py:stream(nested, items, [4])),
    ok = py:register_function(streams, fun() -> py:stream_eval("range(3)") end),
    ?assertEqual({ok, {error, {waits, {default, 1}}}}, py:eval("erlang.call('streams')")),
    ?assertEqual({ok, {ok, [0, 1, 2]}}, py:eval("erlang.call('streams')", #{}, #{pool => other})).

%% Whoever reads the stream is waited for by the worker that is asked in its items.
through_streams() ->
    In = #{pool => other, timeout => 10_000},
    ok = py:register_function(reads, fun(N) -> py:stream(nested, items_of, [N], #{}, In) end),
    ok = py:register_function(item, fun(I) -> value(py:eval("[i, top]", #{i => I}, #{timeout => 10_000})) end),
    ok = py:exec("top = 7"),
    ?assertEqual({ok, {ok, [[I, 7] || I <- lists:seq(0, 4)]}}, py:eval("erlang.call('reads', 5)", #{}, 20_000)).

binding() ->
    ok = py:register_function(moves, fun() ->
        ok = py:exec("x = 1", #{}, #{pool => default}),
        ok = py:unbind(),
        py:eval("x")
    end),
    ?assertEqual({ok, {ok, 1}}, py:eval("erlang.call('moves')")).

%% Only the function's own process is waited for: others are like any caller, whose
%% calls come to their turn when the worker has time.
helpers() ->
    ok = py:register_function(helpers, fun() ->
        [Ref | _] = [py:spawn_call(operator, add, [N, 1]) || N <- lists:seq(1, 3)],
        {py:await(Ref, 100), py:eval("7")}
    end),
    ?assertEqual({ok, {{error, timeout}, {ok, 7}}}, py:eval("erlang.call('helpers')")).

contexts() ->
    {ok, C} = py_context:open(),
    In = #{context => C},
    ok = py:register_function(inside, fun() ->
        {ok, D} = py_context:open(),
        [py:eval("1", #{}, In), py:exec("x = 1", #{}, In), py:eval("x", #{}, In), py:stream_eval("[1]", #{}, In),
         py:await(py:spawn_call(math, sqrt, [4], #{}, In)), py:eval("2", #{}, #{context => D}), py_context:close(D)]
    end),
    Waits = {error, {waits, {default, 1}}},
    ?assertEqual({ok, [{ok, 1}, ok, {ok, 1}, Waits, Waits, {ok, 2}, ok]}, py:eval("erlang.inside()")),
    ?assertEqual({ok, 1}, py:eval("x", #{}, In)),
    ?assertEqual({ok, 1}, py:eval("erlang.inside()[0][1]", #{}, In)),
    ok = py_context:close(C).

%% In each of them __main__ is what it is in a call that is not nested.
contexts_within() ->
    {ok, C} = py_context:open(),
    {ok, D} = py_context:open(),
    [ok = py:exec(<<"import sys\nwho = '", Who/binary, "'\ndef names():\n"
                    "    import __main__\n    return [who, vars(sys.modules['__main__'])['who'], __main__.who]">>,
                  #{}, Options)
     || {Who, Options} <- [{<<"main">>, #{}}, {<<"c">>, #{context => C}}, {<<"d">>, #{context => D}}]],
    ok = py:register_function(names, fun() ->
        [{py:eval("who", #{}, Options), py:call('__main__', names, [], #{}, Options),
          py:exec("mine = who", #{}, Options), py:eval("mine", #{}, Options)}
         || Options <- [#{}, #{context => C}, #{context => D}]]
    end),
    Names = [{{ok, Who}, {ok, [Who, Who, Who]}, ok, {ok, Who}} || Who <- [<<"main">>, <<"c">>, <<"d">>]],
    [begin
         ?assertEqual({ok, Names}, py:eval("erlang.call('names')", #{}, Options)),
         ?assertEqual({ok, [Who, Who, Who]},
                      py:eval("[erlang.call('names'), names()][1]", #{}, Options))
     end || {Who, Options} <- [{<<"main">>, #{}}, {<<"c">>, #{context => C}}, {<<"d">>, #{context => D}}]],
    [ok = py_context:close(It) || It <- [C, D]].

most_contexts() ->
    {ok, _} = py:start_pool(few, #{size => 1, contexts => 1}),
    ok = py:register_function(opens, fun() ->
        First = py_context:open(#{pool => few}),
        Second = py_context:open(#{pool => few}),
        {element(1, First), Second}
    end),
    ?assertEqual({ok, {ok, {error, {overloaded, contexts, 1}}}}, py:eval("erlang.call('opens')", #{}, #{pool => few})),
    ok = py:stop_pool(few).

%% Each of them can be asked by its name.
same_pool() ->
    On = fun([Id | Ids]) ->
                 value(py:eval("erlang.call('on', ids)", #{ids => Ids}, #{pool => {other, Id}, timeout => 10_000}));
            ([]) -> 42
         end,
    ok = py:register_function(on, On),
    ?assertEqual(42, On([1, 2, 1, 2, 1])).

%% Whatever its size, it is answered.
too_large() ->
    {ok, _} = py:start_pool(narrow, #{size => 1, max_frame => 65_536}),
    In = #{pool => narrow, timeout => 10_000},
    ok = py:register_function(narrow, fun() ->
        lists:usort([case py:eval("len(t)", #{t => binary:copy(<<"x">>, N)}, In) of
                         {ok, N} -> fits;
                         {error, {badarg, _}} -> too_large
                     end || N <- lists:seq(65_440, 65_540, 2)])
    end),
    ?assertEqual({ok, [fits, too_large]}, py:eval("erlang.call('narrow')", #{}, In)),
    ok = py:stop_pool(narrow).

%% Its deadline passes while what is nested is told to stop, which takes a while.
turns() ->
    {ok, _} = py:start_pool(patient, #{size => 1, interrupt_grace => 100_000, python_path => [fixture:python_path()]}),
    In = #{pool => patient},
    ?assertEqual({error, timeout},
                 py:call(nested, stop_slowly, [In#{timeout => 100}], #{}, In#{timeout => 300})),
    ?assertEqual({ok, [<<"inner">>, <<"outer">>]}, py:call(nested, take_seen, [], #{}, In)),
    ok = py:stop_pool(patient).

locked() ->
    Before = fixture:os_pids(),
    ?assertEqual({ok, timeout}, py:call(nested, locked, [#{timeout => 100}])),
    fixture:wait_until(fun() -> {ok, [<<"inner">>]} =:= py:call(nested, take_seen, []) end),
    ?assertEqual([], logbook:find(fun(Event) -> string:find(logbook:text(Event), "taken") =/= nomatch end)),
    ?assertEqual(Before, fixture:os_pids()).

large() ->
    Size = 3_000_000,
    ok = py:register_function(large, fun(N) ->
        {ok, Text} = py:eval("'x' * n", #{n => N}),
        value(py:call(builtins, len, [Text]))
    end),
    ?assertEqual({ok, Size}, py:eval("erlang.call('large', n)", #{n => Size})).

heap() ->
    {ok, _} = py:start_pool(tight, #{size => 1, memory => #{heap => 60_000_000}, recycle => #{memory_errors => 100}}),
    In = #{pool => tight},
    ok = py:register_function(tight, fun(N) -> py:eval("len(bytearray(n))", #{n => N}, In) end),
    ?assertMatch({ok, {error, {'MemoryError', _}}}, py:eval("erlang.call('tight', 2**30)", #{}, In)),
    ?assertEqual({ok, {ok, 1000}}, py:eval("erlang.call('tight', 1000)", #{}, In)),
    {error, {'MemoryError', _}} = py:eval("[erlang.call('tight', 10), bytearray(2**30)]", #{}, In),
    ok = py:stop_pool(tight).

init_code() ->
    ok = py:register_function(early, fun() -> py:eval("1 + 1", #{}, #{pool => early}) end),
    {ok, _} = py:start_pool(early, #{size => 1, init => <<"early = erlang.call('early')">>}),
    ?assertMatch({ok, {error, _}}, py:eval("early", #{}, #{pool => early})),
    ok = py:stop_pool(early).

%% ---------------------------------------------------------------------------
%% Random

trees() ->
    Trees = [{Depth, rand:uniform(1_000_000)} || Depth <- [2, 3, 4, 5], _ <- lists:seq(1, 8)],
    {ok, Values} = py:eval("[nested.expected(d, s) for d, s in trees]", #{trees => Trees}),
    Refs = [py:spawn_call(nested, tree, [Depth, Seed]) || {Depth, Seed} <- Trees],
    ?assertEqual([{ok, Value} || Value <- Values], [py:await(Ref) || Ref <- Refs]).

%% Who is alive at the end has had its own answer each time; no function is left.
soak() ->
    ok = py:register_function(slowly, fun slowly/2),
    Until = erlang:monotonic_time(millisecond) + 5_000,
    Callers = [spawn_monitor(fun() -> call_until(Until, N * 1_000_000) end) || N <- lists:seq(1, 30)],
    harass(Until, [Pid || {Pid, _} <- Callers]),
    Reasons = [receive {'DOWN', Ref, process, _, Reason} -> Reason end || {_, Ref} <- Callers],
    ?assertEqual([], [Reason || Reason <- Reasons, Reason =/= normal, Reason =/= killed]),
    ?assert(lists:member(normal, Reasons)),
    fixture:wait_until(fun() -> running_functions() =:= [] end),
    fixture:wait_until(fun() -> kept_funs() =:= [] end),
    ?assertEqual({ok, 3}, py:eval("erlang.call('slowly', 2, 0)", #{}, #{pool => other})).

slowly(N, Ms) ->
    timer:sleep(Ms),
    {ok, M} = py:call(operator, add, [N, 1]),
    M.

%% A function by its name, or one that is given.
by(named) -> <<"slowly">>;
by(given) -> Me = self(), fun(N, Ms) -> true = is_pid(Me), slowly(N, Ms) end.

kept_funs() ->
    [Kept || Pid <- processes(), proc_lib:translate_initial_call(Pid) =:= {py_talk_given, init, 1},
             Kept <- [sys:get_state(Pid)], Kept =/= {kept, #{}, #{}}].

call_until(Until, N) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            Timeout = lists:nth(rand:uniform(3), [20, 200, 5_000]),
            By = by(lists:nth(rand:uniform(2), [named, given])),
            case py:eval("erlang.call(by, n, ms)", #{by => By, n => N, ms => rand:uniform(15)},
                         #{pool => other, timeout => Timeout}) of
                {ok, M} when M =:= N + 1 -> ok;
                {error, timeout} -> ok;
                {error, {worker_exit, _}} -> ok;
                {error, {'erlang.Error', _}} -> ok
            end,
            call_until(Until, N + 1);
        false ->
            ok
    end.

%% Some callers, workers and functions are killed.
harass(Until, Callers) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            timer:sleep(100),
            _ = harm(rand:uniform(4), Callers),
            harass(Until, Callers);
        false ->
            ok
    end.

harm(1, Callers) -> exit(lists:nth(rand:uniform(length(Callers)), Callers), kill);
harm(2, _) -> [fixture:kill("KILL", OsPid) || [OsPid | _] <- [fixture:os_pids(other)]];
harm(_, _) -> [exit(Pid, kill) || [Pid | _] <- [running_functions()]].

running_functions() ->
    [Pid || Pid <- processes(), {initial_call, {py_talk_call, run, 4}} <- [process_info(Pid, initial_call)]].
