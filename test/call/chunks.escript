#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What holds for a call holds for each call in a chunk of parallel: its result and what
%% is wrong with it, limits and bills, what its worker is and does, functions that it
%% calls, how it ends.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import misbehave, erlang">>}, [
        {"an atom that this node does not have", fun unknown_atom/0},
        {"arguments that are too deep, and such that just fit", fun depth/0},
        {"arguments that are too large", fun too_large/0},
        {"many bytes are several requests", fun bytes/0},
        {"options hold for each call", fun options/0},
        {"a call that is alone is as any other", fun alone/0},
        {"each worker has as many calls as it may", fun recycled/0},
        {"bills by function", fun bills/0},
        {"a call that runs out of memory, and those behind it", fun memory/0},
        {"a function in quarantine", fun quarantine/0},
        {"what a worker runs has the name of the call", fun running/0},
        {"a call that calls a function of Erlang's, which calls", fun nested/0},
        {"a nested call that ends the program", fun nested_death/0},
        {"funs among the arguments", fun funs/0},
        {"iterators among the arguments", fun iterators/0},
        {"handles among the arguments, and as results", fun handles/0},
        {"calls that are long for a chunk, but short by themselves", fun progress/0},
        {"a time limit that is over before a tick", fun short_time/0},
        {"a worker that is killed", fun killed/0},
        {"what a program has run when its pool stops is not said to be not started", fun has_run/0},
        {"where there is no lane", fun no_lane/0}
    ])).

chunk(Calls) -> chunk(Calls, #{}).
chunk(Calls, Options) -> py:parallel(Calls, Options#{chunk => length(Calls)}).

%% Another pool than `default', which is stopped in any case.
in(Options, Fun) ->
    {ok, _} = py:start_pool(other, maps:merge(#{size => 1, python_path => [fixture:python_path()]}, Options)),
    try Fun(#{pool => other}) after ok = py:stop_pool(other) end.

add(N) -> {operator, add, [N, 1]}.

%% ---------------------------------------------------------------------------

unknown_atom() ->
    Call = {erlang, 'Atom', [<<"no such atom, not here">>]},
    ?assertEqual({error, [{ok, 2}, {error, {unknown_atom, <<"no such atom, not here">>}}, {ok, 3}]},
                 chunk([add(1), Call, add(2)])).

depth() ->
    Deep = fun(N) -> lists:foldl(fun(_, Inner) -> [Inner] end, [], lists:seq(1, N)) end,
    Calls = [add(1), {builtins, len, [Deep(4091)]}, {builtins, len, [Deep(5000)]}, add(2)],
    Alone = [py:call(M, F, Args) || {M, F, Args} <- Calls],
    ?assertMatch([{ok, 2}, {ok, 1}, {error, {badarg, _}}, {ok, 3}], Alone),
    {error, Results} = chunk(Calls),
    %% The error says at which byte: that is another one.
    ?assertMatch([{ok, 2}, {ok, 1}, {error, {badarg, _}}, {ok, 3}], Results),
    {ok, _} = chunk([add(1), add(2)], #{traceparent => <<"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01">>}).

too_large() ->
    in(#{max_frame => 100_000}, fun(In) ->
        Length = fun(N) -> {builtins, len, [{bytes, binary:copy(<<"x">>, N)}]} end,
        {error, Results} = chunk([Length(1000), Length(100_000), Length(99_000), Length(50_000)], In),
        ?assertMatch([{ok, 1000}, {error, {badarg, <<"the request is larger", _/binary>>}},
                      {ok, 99_000}, {ok, 50_000}], Results),
        {error, Replies} = chunk([{operator, mul, [{bytes, <<"x">>}, N]} || N <- [10, 100_001, 20]], In),
        ?assertMatch([{ok, <<_:10/binary>>}, {error, {'OverflowError', _}}, {ok, <<_:20/binary>>}], Replies)
    end).

bytes() ->
    Sizes = [N * 997 rem 9000 || N <- lists:seq(1, 300)],
    ?assertEqual({ok, Sizes}, chunk([{builtins, len, [{bytes, binary:copy(<<"x">>, N)}]} || N <- Sizes])).

options() ->
    ?assertEqual({ok, [nil, <<"xy">>]},
                 chunk([{builtins, print, []}, {operator, add, [<<"x">>, {bytes, <<"y">>}]}],
                       #{none => nil, binaries => bytes})),
    {error, [{error, {'ValueError', _, #{formatted := _}}}, {ok, 2}]} =
        chunk([{math, sqrt, [-1]}, add(1)], #{traceback => true}).

alone() ->
    ?assertEqual({ok, [2]}, chunk([add(1)])),
    ?assertMatch({error, [{error, {'ValueError', _}}]}, chunk([{math, sqrt, [-1]}])).

%% No limit is exceeded, whatever the size of the chunk.
recycled() ->
    in(#{recycle => #{calls => 10, jitter => 0}}, fun(In) ->
        {ok, Pids} = py:parallel(lists:duplicate(60, {os, getpid, []}), In#{chunk => 25}),
        Counts = [length([Pid || Pid <- Pids, Pid =:= Each]) || Each <- lists:usort(Pids)],
        ?assertEqual(60, lists:sum(Counts)),
        [?assert(Count =< 10) || Count <- Counts]
    end).

bills() ->
    in(#{bill => true, init => <<"import misbehave">>}, fun(In) ->
        Calls = lists:append([[add(1), {math, sqrt, [4]}, {math, sqrt, [-1]}] || _ <- lists:seq(1, 10)]),
        {error, Results} = chunk(Calls, In),
        ?assertEqual(10, length([2.0 || {ok, 2.0} <- Results])),
        {ok, Rows} = py_mem:top(other, calls),
        ?assertEqual([{{<<"math">>, <<"sqrt">>}, 20}, {{<<"operator">>, <<"add">>}, 10}],
                     [{What, N} || #{what := What, calls := N} <- Rows])
    end).

%% It is the call that is blamed, and those behind it run.
%% They are two chunks, of which either may come first: all that matters is in one.
memory() ->
    in(#{memory => #{heap => 64 * 1024 * 1024}, recycle => #{memory_errors => 1}, init => <<"import glutton">>},
       fun(In) ->
        Calls = [add(N) || N <- lists:seq(1, 10)] ++ [{glutton, too_much, []}]
            ++ [{os, getpid, []} || _ <- lists:seq(1, 10)] ++ [add(N) || N <- lists:seq(1, 21)],
        [Before] = fixture:os_pids(other),
        {error, Results} = chunk(Calls, In),
        {Adds, [TooMuch | Rest]} = lists:split(10, Results),
        {Pids, MoreAdds} = lists:split(10, Rest),
        ?assertEqual({[{ok, N + 1} || N <- lists:seq(1, 10)], [{ok, N + 1} || N <- lists:seq(1, 21)]}, {Adds, MoreAdds}),
        ?assertMatch({error, {'MemoryError', _}}, TooMuch),
        ?assertEqual([], [Pid || {ok, Pid} <- Pids, Pid =:= Before]),
        ?assertEqual(10, length([Pid || {ok, Pid} <- Pids])),
        ?assertMatch(#{recycled := #{memory_errors := 1}}, py:info(other))
    end).

quarantine() ->
    in(#{quarantine => 1, recycle => #{memory_errors => 1}, init => <<"import glutton">>}, fun(In) ->
        Bad = {glutton, too_much, []},
        {error, [{ok, 2}, {error, {'MemoryError', _}}, {ok, 3}]} = chunk([add(1), Bad, add(2)], In),
        fixture:wait_until(fun() -> #{quarantined := Q} = py:info(other), length(Q) =:= 1 end),
        Refused = {error, {quarantined, {glutton, too_much, 0}, memory_errors}},
        ?assertEqual({error, [{ok, 2}, Refused, {ok, 3}, {ok, 4}, Refused]},
                     chunk([add(1), Bad, add(2), add(3), Bad], In)),
        ?assertEqual({error, [Refused, Refused]}, chunk([Bad, Bad], In))
    end).

running() ->
    Test = self(),
    Calls = [add(1), {misbehave, sleep_then, [0.5, <<"secret">>]}, add(2)],
    Pid = spawn_link(fun() -> Test ! {self(), chunk(Calls)} end),
    fixture:wait_until(fun() ->
        [#{running := Running}] = fixture:workers(),
        Running =:= {misbehave, sleep_then, 2}
    end),
    receive {Pid, Result} -> ?assertEqual({ok, [2, <<"secret">>, 3]}, Result) end,
    [#{running := none, calls := Before}] = fixture:workers(),
    {ok, _} = chunk([add(N) || N <- lists:seq(1, 50)]),
    fixture:wait_until(fun() -> [#{calls := After}] = fixture:workers(), After =:= Before + 50 end).

nested() ->
    ok = py:register_function(twice, fun(N) -> {ok, Twice} = py:call(operator, mul, [N, 2]), Twice end),
    Calls = lists:append([[{erlang, call, [<<"twice">>, N]}, add(N)] || N <- lists:seq(1, 20)]),
    ?assertEqual({ok, lists:append([[2 * N, N + 1] || N <- lists:seq(1, 20)])}, chunk(Calls)),
    ok = py:unregister_function(twice).

nested_death() ->
    ok = py:register_function(last, fun() -> py:call(misbehave, kill_self, []) end),
    {error, Results} = chunk([add(1), {erlang, call, [<<"last">>]}, add(2)]),
    ?assertEqual([{ok, 2}, {error, {worker_exit, {signal, sigkill}}}, {ok, 3}], Results),
    ok = py:unregister_function(last).

%% A fun lives as long as its chunk, and goes along when its call is given back.
funs() ->
    Self = self(),
    Fun = fun(N) -> Self ! {called, N}, N * 3 end,
    ok = py:exec(<<"def apply(f, n): return f(n)\n"
                   "def apply_late(f, n):\n"
                   "    time.sleep(0.1)\n"
                   "    return f(n)\n"
                   "import time\n">>),
    ok = py:unbind(),
    Call = fun(N) when N rem 4 =:= 0 -> {'__main__', apply_late, [Fun, N]}; (N) -> {'__main__', apply, [Fun, N]} end,
    ?assertEqual({ok, [3 * N || N <- lists:seq(1, 10)]}, chunk([Call(N) || N <- lists:seq(1, 10)])),
    [receive {called, N} -> ok after 0 -> error({not_called, N}) end || N <- lists:seq(1, 10)],
    receive {called, N} -> error({called_twice, N}) after 0 -> ok end.

iterators() ->
    Items = fun(N) -> {iter, lists:seq(1, N)} end,
    Calls = [case N rem 7 of 0 -> {builtins, list, [Items(N)]}; _ -> add(N) end || N <- lists:seq(1, 30)],
    ?assertEqual({ok, [case N rem 7 of 0 -> lists:seq(1, N); _ -> N + 1 end || N <- lists:seq(1, 30)]}, chunk(Calls)),
    ?assertError(badarg, chunk([add(1), {builtins, list, [{iter, fun(_) -> [] end}]}])),
    ?assertEqual({ok, [2, [iter, [1, 2, 3]]]}, chunk([add(1), {builtins, list, [Items(3)]}], #{tags => false})).

%% Such calls go alone, to the worker of the handle.
handles() ->
    in(#{size => 2}, fun(In) ->
        {ok, List} = py:call(builtins, list, [[1, 2]], #{}, In#{return => handle}),
        Calls = [case N rem 5 of 0 -> {builtins, len, [List]}; _ -> add(N) end || N <- lists:seq(1, 40)],
        ?assertEqual({ok, [case N rem 5 of 0 -> 2; _ -> N + 1 end || N <- lists:seq(1, 40)]}, chunk(Calls, In)),
        {ok, Kept} = chunk([{builtins, list, [[N]]} || N <- [1, 2, 3]], In#{return => handle}),
        ?assertEqual({ok, [1, 1, 1]}, chunk([{builtins, len, [Each]} || Each <- Kept], In))
    end).

%% Each result is progress: the worker does not become busy.
progress() ->
    in(#{size => 2, init => <<"import misbehave">>}, fun(In) ->
        Calls = [{misbehave, sleep_then, [0.001, N]} || N <- lists:seq(1, 400)],
        ?assertEqual({ok, lists:seq(1, 400)}, py:parallel(Calls, In#{chunk => 100}))
    end).

short_time() ->
    {error, Results} = chunk([add(N) || N <- lists:seq(1, 10)] ++ [{misbehave, sleep, [30]}, add(1)],
                             #{timeout => 5}),
    [?assert(lists:member(Result, [{ok, N + 1}, {error, timeout}]))
     || {N, Result} <- lists:zip(lists:seq(1, 10), lists:sublist(Results, 10))],
    ?assertEqual({error, timeout}, lists:nth(11, Results)),
    ?assertEqual({ok, [2, 3]}, chunk([add(1), add(2)])).

%% The process of the worker, not its program: nobody knows what has run.
killed() ->
    Ran = filename:join(fixture:tmpdir(), "ran"),
    ok = py:exec(<<"def mark(path, n):\n"
                   "    with open(path, 'a') as f:\n"
                   "        f.write(f'{n}\\n')\n"
                   "    time.sleep(0.002)\n"
                   "    return n\n"
                   "import time\n">>),
    ok = py:unbind(),
    Test = self(),
    Calls = [{'__main__', mark, [list_to_binary(Ran), N]} || N <- lists:seq(1, 200)],
    Pid = spawn_link(fun() -> Test ! {self(), chunk(Calls)} end),
    fixture:wait_until(fun() -> filelib:file_size(Ran) > 100 end),
    [{_, Worker, _}] = py_pool_board:with_pool(default, fun py_pool_board:workers/1),
    [OsPid] = fixture:os_pids(),
    exit(Worker, kill),
    {error, Results} = receive {Pid, Result} -> Result end,
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    fixture:wait_until(fun() -> length(fixture:os_pids()) =:= 1 end),
    {ok, Lines} = file:read_file(Ran),
    Numbers = [binary_to_integer(Line) || Line <- binary:split(Lines, <<"\n">>, [global, trim])],
    ?assertEqual(lists:usort(Numbers), lists:sort(Numbers)),
    [?assert(lists:member(N, Numbers)) || {ok, N} <- Results].

%% The program has two chunks, and runs both before it hears of the end: its worker does
%% not hear of that.
has_run() ->
    Ran = filename:join(fixture:tmpdir(), "ran"),
    {ok, _} = py:start_pool(p, #{size => 1, drain => 0, init => <<"import time\n"
                                       "def mark(path, n):\n"
                                       "    with open(path, 'a') as f:\n"
                                       "        f.write(f'{n}\\n')\n"
                                       "    time.sleep(0.002)\n">>}),
    [{_, Worker, _}] = py_pool_board:with_pool(p, fun py_pool_board:workers/1),
    Self = self(),
    Calls = [{'__main__', mark, [list_to_binary(Ran), N]} || N <- lists:seq(1, 200)],
    Caller = spawn_link(fun() -> Self ! {self(), py:parallel(Calls, #{pool => p, chunk => 20})} end),
    fixture:wait_until(fun() -> filelib:file_size(Ran) > 0 end),
    true = erlang:suspend_process(Worker),
    Stopper = spawn_link(fun() -> Self ! {self(), py:stop_pool(p)} end),
    timer:sleep(300),
    true = erlang:resume_process(Worker),
    {error, Results} = receive {Caller, Answer} -> Answer end,
    ?assertEqual(ok, receive {Stopper, Stopped} -> Stopped end),
    {ok, Lines} = file:read_file(Ran),
    Numbers = [binary_to_integer(Line) || Line <- binary:split(Lines, <<"\n">>, [global, trim])],
    ?assertEqual(lists:usort(Numbers), lists:sort(Numbers)),
    [case lists:nth(N, Results) of
         {ok, none} -> ok;
         Result -> ?assertEqual({N, {error, {worker_exit, shutdown}}}, {N, Result})
     end || N <- Numbers].

%% As with a lane, but more slowly.
no_lane() ->
    Vm = vm:start("ulimit -f 100000; \"$0\" \"$@\"", #{size => 1, python_path => [fixture:python_path()]}),
    ?assertMatch(#{workers := [#{lane := false}]}, vm:call(Vm, py, info, [])),
    Calls = [case N of 30 -> {misbehave, kill_self, []}; _ -> add(N) end || N <- lists:seq(1, 60)],
    {error, Results} = vm:call(Vm, py, parallel, [Calls, #{chunk => 60}]),
    ?assertEqual([case N of 30 -> {error, {worker_exit, {signal, sigkill}}}; _ -> {ok, N + 1} end
                  || N <- lists:seq(1, 60)], Results),
    ok = vm:call(Vm, application, stop, [py]),    % the successor is just starting
    vm:stop(Vm).
