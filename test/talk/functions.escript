#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Functions of Erlang's that Python calls: how they are found, what comes back, and
%% that nobody waits for one that is over, nor longer than was said.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-export([tell/1, explode/1]).

%% The promise about deadlines (ms), see docs/operation.md.
-define(LATE, 20).

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1, init => <<"import callbacks">>}, [
        {"functions are registered", fun register_all/0},
        [called(Row) || Row <- calls()],
        {"names of the package are refused", fun reserved/0},
        {"wrong arguments", fun wrong/0},
        {"import, and what is not there", fun import/0},
        {"functions and errors can be pickled", fun pickled/0},
        {"a reason that Python has no value for", fun no_reason/0},
        {"a stacktrace has no arguments", fun stacktrace/0},
        {"a function of one pool goes before others", fun of_one_pool/0},
        {"the pool's option functions", fun allowed/0},
        {"a function of its own may use the pool's log", fun prints/0},
        {"large values, both ways", fun large/0},
        {"a result that does not fit, or is too deep", fun no_result/0},
        {"a function's own timeout", fun own_timeout/0},
        {"a call out of time ends its function", fun out_of_time/0},
        {"a cancelled call ends its function", fun cancelled/0},
        {"a caller's death ends the function", fun caller_dies/0},
        {"a function that traps exits ends, too", fun traps/0},
        {"a worker's death ends its functions", fun worker_dies/0},
        {"a worker that is killed ends its functions", fun worker_killed/0},
        {"a function's process is killed", fun function_killed/0},
        {"urgent requests are answered while Python waits", fun urgent/0},
        {"other threads run while one waits", fun meanwhile/0},
        {"calls from threads wait for each other in nobody", fun threads/0},
        {"a call from a thread when no call runs", fun background/0},
        {"a stream that calls", fun stream/0},
        {"a function calls other workers", fun other_workers/0},
        {"a fun that comes as bytes is not run", fun foreign_fun/0},
        {"in a forked child", fun in_child/0},
        {"functions outlive workers and pools", fun outlive/0},
        {"what is unregistered is gone", fun unregister/0},
        {"a worker that calls nothing has no process for it", fun no_process/0}
    ]))).

register_all() ->
    Functions = [{add, fun(A, B) -> A + B end}, {"kw", fun(A, Kwargs) -> {A, Kwargs} end},
                 {echo, fun(Value) -> Value end},
                 {fail, fun() -> error({bad, thing}) end}, {throw, fun() -> throw(up) end},
                 {leave, fun() -> exit(normal) end}, {explode, {?MODULE, explode}},
                 {<<"two words">>, fun() -> 2 end}, {missing, {?MODULE, no_such_function}},
                 {sleep, fun timer:sleep/1}, {tell, fun tell/1}, {square, fun(N) -> N * N end},
                 {who, fun() -> self() end}],
    [?assertEqual(ok, py:register_function(Name, Function)) || {Name, Function} <- Functions].

%% Says who it is to whoever is registered as `test', then waits for ever.
tell(What) ->
    test ! {What, self()},
    receive after infinity -> ok end.

explode(_) -> ok.

calls() ->
    Undef = <<"there is no function 'nothing'">>,
    [{"add", [1, 2], 3},
     {"add", [1, 2.5], 3.5},
     {"two words", [], 2},
     {"kw", [1], ["Error", is_text, "error", is_reason]},
     {"echo", [#{<<"a">> => [1, {2, <<"ü"/utf8>>}]}], #{<<"a">> => [1, {2, <<"ü"/utf8>>}]}},
     {"echo", [{ok, 1}], {ok, 1}},
     {"echo", [{error, 1}], {error, 1}},
     {"fail", [], [<<"Error">>, <<"error: {bad,thing}">>, error, {bad, thing}]},
     {"throw", [], [<<"Error">>, <<"throw: up">>, throw, up]},
     {"leave", [], [<<"Error">>, <<"exit: normal">>, exit, normal]},
     {"missing", [], [<<"Error">>, <<"error: undef">>, error, undef]},
     {"nothing", [], [<<"Error">>, Undef, error, undef]}].

called({"kw" = Name, Args, _}) ->
    {"keyword arguments are a map behind the others", fun() ->
        ?assertEqual({ok, {1, #{<<"x">> => 2}}}, py:call(callbacks, call, [<<"kw">>, 1], #{x => 2})),
        {ok, [<<"Error">>, <<"error: {badarity,", _/binary>>, error, {badarity, _}]} =
            py:call(callbacks, call, [list_to_binary(Name) | Args])
    end};
called({Name, Args, Value}) ->
    {[Name, io_lib:format(" ~0tp", [Args])], fun() ->
        ?assertEqual({ok, Value}, py:call(callbacks, call, [list_to_binary(Name) | Args]))
    end}.

%% ---------------------------------------------------------------------------
%% Names

%% Modules that user code has imported are names of the package, too.
reserved() ->
    {ok, Names} = py:call(callbacks, public_names, []),
    ?assertEqual([], Names -- py_talk_functions:reserved()),
    [?assertError(badarg, py:register_function(Name, fun() -> ok end))
     || Name <- py_talk_functions:reserved() ++ [<<"_x">>, <<>>, '__all__', send]],
    {ok, All} = py:eval(<<"[hasattr(erlang, name) for name in names]">>,
                        #{names => py_talk_functions:reserved()}),
    ?assertEqual([true], lists:usort(All)).

wrong() ->
    [?assertError(badarg, py:register_function(Name, Function, Options))
     || {Name, Function, Options} <- [{1, fun() -> ok end, #{}}, {f, f, #{}}, {f, {m, f, 1}, #{}},
                                      {f, {m, f}, #{timeout => -1}}, {f, {m, f}, #{pool => 1}},
                                      {f, {m, f}, #{other => 1}}]],
    {error, {'TypeError', _}} = py:eval(<<"erlang.call(1)">>),
    {error, {'TypeError', <<"args[0]: cannot encode object", _/binary>>}} =
        py:eval(<<"erlang.call('add', object())">>),
    {ok, [<<"Error">>, Text, error, {unknown_atom, Name}]} =
        py:eval(<<"callbacks.call('echo', erlang.Atom('never' + '_such_an_atom'))">>),
    ?assertEqual({<<"never_such_an_atom">>, true}, {Name, fixture:contains(Text, Name)}).

import() ->
    ?assertEqual({ok, 3}, py:call(callbacks, imported, [<<"add">>])),
    ?assertEqual({ok, 3}, py:eval(<<"erlang.add(1, 2)">>)),
    {error, {'ImportError', _}} = py:call(callbacks, imported, [<<"no_such_function">>]),
    {error, {'AttributeError', <<"module 'erlang' has no attribute 'no_such_function'">>}} =
        py:eval(<<"erlang.no_such_function">>),
    ?assertEqual({ok, false}, py:eval(<<"hasattr(erlang, 'no_such_function')">>)).

pickled() ->
    ?assertEqual({ok, true}, py:call(callbacks, pickled, [<<"add">>])).

no_reason() ->
    ok = py:register_function(reason, fun(Reason) -> exit(element(Reason, {<<255>>, #{"text" => 1}})) end),
    [?assertEqual({ok, [<<"Error">>, Text, exit, none]}, py:call(callbacks, call, [<<"reason">>, N]))
     || {N, Text} <- [{1, <<"exit: <<\"ÿ\">>"/utf8>>}, {2, <<"exit: #{\"text\" => 1}">>}]].

stacktrace() ->
    {ok, [#{function := Function, arity := Arity} | _] = Stack} =
        py:call(callbacks, stacktrace, [<<"explode">>]),
    ?assertEqual({explode, 0}, {Function, Arity}),
    ?assertEqual([], [Frame || #{module := py_talk_call} = Frame <- Stack]),
    ok = py:register_function(made_up, fun() -> erlang:raise(throw, up, [{fun() -> ok end, [secret]}]) end),
    ?assertEqual({ok, []}, py:call(callbacks, stacktrace, [<<"made_up">>])).

of_one_pool() ->
    {ok, _} = py:start_pool(other, #{size => 1}),
    ok = py:register_function(which, fun() -> all end),
    ok = py:register_function(which, fun() -> other end, [{pool, other}]),
    ok = py:register_function(only, fun() -> here end, #{pool => other}),
    ?assertEqual({ok, all}, py:eval(<<"erlang.call('which')">>)),
    ?assertEqual({ok, other}, py:eval(<<"erlang.call('which')">>, #{}, #{pool => other})),
    ?assertEqual({ok, here}, py:eval(<<"erlang.only()">>, #{}, #{pool => other})),
    {error, {'erlang.Error', _}} = py:eval(<<"erlang.call('only')">>),
    ok = py:unregister_function(which),
    {error, {'erlang.Error', _}} = py:eval(<<"erlang.call('which')">>, #{}, #{pool => other}),
    ok = py:stop_pool(other).

allowed() ->
    {ok, _} = py:start_pool(few, #{size => 1, functions => [{lists, sum}, {?MODULE, tell}]}),
    In = #{pool => few},
    ?assertEqual({ok, 6}, py:eval(<<"erlang.call('lists:sum', [1, 2, 3])">>, #{}, In)),
    {error, {'erlang.Error', _}} = py:eval(<<"erlang.call('lists:max', [1])">>, #{}, In),
    {error, {'erlang.Error', _}} = py:eval(<<"erlang.call('add', 1, 2)">>, #{}, In),
    ?assertEqual({ok, false}, py:eval(<<"hasattr(erlang, 'add')">>, #{}, In)),
    ok = py:stop_pool(few),
    {error, {badarg, {option, functions, _}}} = py:start_pool(few, #{functions => [lists]}),
    {error, {badarg, {option, functions, _}}} = py:start_pool(few, #{functions => all}).

%% A process whose group leader is init's would wait for ever.
prints() ->
    ok = py:register_function(prints, fun() -> io:format("# printed by a function~n") end),
    ?assertEqual({ok, ok}, py:eval(<<"erlang.call('prints')">>, #{}, 5_000)).

%% ---------------------------------------------------------------------------
%% Values

large() ->
    Size = 8_000_000,
    {ok, Size} = py:eval(<<"len(erlang.call('echo', 'x' * n))">>, #{n => Size}).

no_result() ->
    {ok, _} = py:start_pool(small, #{size => 1, max_frame => 65_536}),
    ok = py:register_function(many, fun(N) -> binary:copy(<<"x">>, N) end),
    ok = py:register_function(fail_large, fun(N) -> error(binary:copy(<<"x">>, N)) end),
    ok = py:register_function(deep, fun(N) -> lists:foldl(fun(_, Inner) -> [Inner] end, [],
                                                          lists:seq(1, N)) end),
    Try = fun(Name, N) -> py:eval(<<"erlang.call(name, n)">>, #{name => Name, n => N},
                                  #{pool => small, timeout => 10_000})
          end,
    {error, {'erlang.Error', <<"error: {max_frame,", _/binary>>}} = Try(<<"many">>, 100_000),
    {error, {'erlang.Error', <<"error: <<\"xxx", _/binary>>}} = Try(<<"fail_large">>, 100_000),
    {error, {badarg, <<"answer: ", _/binary>>}} = Try(<<"deep">>, 5_000),
    ok = py:register_function(exit_large, fun(N) -> spawn_link(fun() -> exit(binary:copy(<<"x">>, N)) end),
                                                    timer:sleep(infinity)
                                          end),
    {error, {'erlang.Error', <<"exit: <<\"xxx", _/binary>>}} = Try(<<"exit_large">>, 100_000),
    {ok, _} = Try(<<"deep">>, 500),
    {error, {'OverflowError', _}} = py:eval(<<"erlang.call('echo', 'x' * 100000)">>, #{}, #{pool => small}),
    ?assertEqual({ok, <<"xx">>}, Try(<<"many">>, 2)),
    ok = py:stop_pool(small).

%% ---------------------------------------------------------------------------
%% Time

own_timeout() ->
    true = register(test, self()),
    ok = py:register_function(brief, fun tell/1, #{timeout => 50}),
    ?assertEqual({ok, [<<"Error">>, <<"exit: timeout">>, exit, timeout]},
                 py:call(callbacks, call, [<<"brief">>, brief])),
    gone(brief),
    ok = py:register_function(quick, fun(Value) -> Value end, #{timeout => 50}),
    ?assertEqual({ok, 1}, py:call(callbacks, call, [<<"quick">>, 1])),
    timer:sleep(100),
    ?assertEqual({ok, 2}, py:call(callbacks, call, [<<"quick">>, 2])).

%% The process that said this to us is dead, or will be soon.
gone(What) ->
    receive
        {What, Pid} -> fixture:wait_until(fun() -> not is_process_alive(Pid) end), Pid
    after 10_000 -> error({never_called, What})
    end.

out_of_time() ->
    true = register(test, self()),
    figure:within(200 + ?LATE, fun() ->
        ?assertEqual({error, timeout}, py:call(callbacks, call, [<<"tell">>, late], #{}, 200))
    end),
    gone(late),
    ?assertEqual({ok, 3}, py:eval(<<"erlang.add(1, 2)">>)).

cancelled() ->
    true = register(test, self()),
    Ref = py:spawn_call(callbacks, survives, [<<"tell">>, cancelled]),
    receive {cancelled, Pid} -> self() ! {cancelled, Pid} end,
    ok = py:cancel(Ref),
    gone(cancelled),
    ?assertEqual({error, cancelled}, py:await(Ref)).

caller_dies() ->
    true = register(test, self()),
    Caller = spawn(fun() -> py:call(callbacks, call, [<<"tell">>, dies]) end),
    receive {dies, Pid} -> self() ! {dies, Pid} end,
    exit(Caller, kill),
    gone(dies).

traps() ->
    true = register(test, self()),
    ok = py:register_function(trap, fun(What) -> process_flag(trap_exit, true), tell(What) end),
    {error, timeout} = py:call(callbacks, call, [<<"trap">>, traps], #{}, 200),
    gone(traps).

%% ---------------------------------------------------------------------------
%% Deaths

worker_dies() ->
    true = register(test, self()),
    [OsPid] = fixture:os_pids(),
    Ref = py:spawn_call(callbacks, call, [<<"trap">>, orphan]),
    receive {orphan, Pid} -> self() ! {orphan, Pid} end,
    _ = fixture:kill("KILL", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:await(Ref)),
    gone(orphan).

worker_killed() ->
    true = register(test, self()),
    fixture:wait_until(fun() -> [idle] =:= [State || #{state := State} <- fixture:workers()] end),
    [#{pid := Worker}] = fixture:workers(),
    Ref = py:spawn_call(callbacks, call, [<<"trap">>, killed]),
    receive {killed, Pid} -> self() ! {killed, Pid} end,
    exit(Worker, kill),
    ?assertEqual({error, {worker_exit, killed}}, py:await(Ref)),
    gone(killed).

function_killed() ->
    true = register(test, self()),
    Ref = py:spawn_call(callbacks, call, [<<"tell">>, function]),
    receive {function, Pid} -> exit(Pid, kill) end,
    ?assertEqual({ok, [<<"Error">>, <<"exit: killed">>, exit, killed]}, py:await(Ref)).

%% ---------------------------------------------------------------------------
%% Meanwhile

urgent() ->
    true = register(test, self()),
    Ref = py:spawn_call(callbacks, call, [<<"tell">>, urgent]),
    receive {urgent, Pid} -> ok end,
    [begin
         {ok, #{}} = py:memory_stats({default, 1}),
         {ok, [_ | _]} = py:stack(1),
         {ok, _} = py:gc({default, 1}, 0)
     end || _ <- lists:seq(1, 20)],
    exit(Pid, kill),
    {ok, [<<"Error">> | _]} = py:await(Ref).

meanwhile() ->
    ok = py:register_function(pause, fun() -> timer:sleep(200), ok end),
    {ok, Count} = py:call(callbacks, meanwhile, [<<"pause">>]),
    ?assert(Count > 10).

threads() ->
    true = register(test, self()),
    ok = py:register_function(rendezvous, fun(I) -> test ! {met, I, self()}, receive go -> I end end),
    Again = py:spawn_call(callbacks, in_threads, [8, <<"rendezvous">>]),
    Met = [receive {met, I, Pid} -> {I, Pid} end || I <- lists:seq(0, 7)],
    [Pid ! go || {_, Pid} <- lists:reverse(Met)],
    ?assertEqual({ok, lists:seq(0, 7)}, py:await(Again)),
    ?assertEqual({ok, [N * N || N <- lists:seq(0, 15)]}, py:call(callbacks, in_threads, [16, <<"square">>])).

background() ->
    true = register(test, self()),
    ?assertEqual({ok, <<"started">>}, py:call(callbacks, in_background, [<<"tell">>, thread])),
    receive {thread, Pid} -> ok end,
    ?assertEqual({ok, 3}, py:eval(<<"erlang.add(1, 2)">>)),
    exit(Pid, kill).

stream() ->
    ?assertEqual({ok, [0, 1, 4, 9]}, py:stream(callbacks, items, [<<"square">>, 4])).

%% ---------------------------------------------------------------------------
%% To Python again

other_workers() ->
    {ok, _} = py:start_pool(two, #{size => 2}),
    ok = py:register_function(there, fun(Pool) -> element(2, py:eval(<<"6 * 7">>, #{}, #{pool => Pool})) end),
    ?assertEqual({ok, 42}, py:eval(<<"erlang.call('there', erlang.Atom('two'))">>)),
    [?assertEqual({ok, 42}, py:eval(<<"erlang.call('there', erlang.Atom('two'))">>, #{}, #{pool => two}))
     || _ <- lists:seq(1, 20)],
    ok = py:stop_pool(two).

%% What a fun is to Python can be sent back, and means what it meant.
foreign_fun() ->
    true = register(test, self()),
    {ok, [<<"Error">>, <<"error: undef">> | _]} =
        py:call(callbacks, call, [<<"missing">>, fun() -> test ! ran end]),
    receive ran -> error(ran) after 0 -> ok end.

in_child() ->
    ?assertEqual({ok, <<"SendError: there is no connection to Erlang any more">>},
                 py:call(callbacks, in_child, [<<"who">>])).

%% ---------------------------------------------------------------------------
%% Lives

outlive() ->
    {ok, _} = py:start_pool(mortal, #{size => 1}),
    In = #{pool => mortal},
    ok = py:register_function(mine, fun() -> mine end, In),
    ?assertEqual({ok, mine}, py:eval(<<"erlang.mine()">>, #{}, In)),
    ok = py:restart_workers(mortal),
    ?assertEqual({ok, mine}, py:eval(<<"erlang.mine()">>, #{}, In)),
    Calls = fun() -> py:eval(<<"erlang.mine()">>, #{}, In) =:= {ok, mine} end,
    [begin
         Kill(),
         fixture:wait_until(Calls)
     end || Kill <- [fun() -> fixture:kill("KILL", hd(fixture:os_pids(mortal))) end,
                     fun() -> kill(py_pool_board:pool(element(2, py_pool_board:find(mortal)))) end,
                     fun() -> kill(py_pool_board:supervisor(mortal)) end]],
    ok = py:stop_pool(mortal),
    {ok, _} = py:start_pool(mortal, #{size => 1, init => <<"from erlang import mine; there = mine()">>}),
    ?assertEqual({ok, mine}, py:eval(<<"there">>, #{}, In)),
    ok = py:stop_pool(mortal).

kill({_, Pid}) ->
    exit(Pid, kill),
    fixture:wait_until(fun() -> not is_process_alive(Pid) end).

unregister() ->
    ?assertEqual({error, {no_function, <<"never">>}}, py:unregister_function(never)),
    ?assertEqual(ok, py:unregister_function("add")),
    {error, {'erlang.Error', <<"there is no function 'add'">>}} = py:eval(<<"erlang.add(1, 2)">>),
    ok = py:register_function(add, fun(A, B) -> {A, B} end),
    ?assertEqual({ok, {1, 2}}, py:eval(<<"erlang.add(1, 2)">>)).

no_process() ->
    Before = helpers(),
    {ok, _} = py:start_pool(quiet, #{size => 1}),
    {ok, 2} = py:eval(<<"1 + 1">>, #{}, #{pool => quiet}),
    ?assertEqual(Before, helpers()),
    {ok, _} = py:eval(<<"erlang.call('add', 1, 2)">>, #{}, #{pool => quiet}),
    ?assertEqual(Before + 1, helpers()),
    ok = py:stop_pool(quiet),
    fixture:wait_until(fun() -> helpers() =:= Before end).

helpers() ->
    length([Pid || Pid <- processes(),
                   proc_lib:translate_initial_call(Pid) =:= {py_talk_calls, init, 1}]).
