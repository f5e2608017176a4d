#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Funs among the arguments of a call: Python may call them while the call runs, or as
%% long as its context is open, and nothing else that is a fun.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1, init => <<"import given">>}, [
        [{["given as ", What], fun() -> given_as(Way) end} || {What, Way} <- ways()],
        {"local and exported funs, and those of another module", fun kinds/0},
        {"what it raises", fun raises/0},
        {"a wrong number of arguments", fun arity/0},
        {"keyword arguments are a map behind the others", fun kwargs/0},
        {"it comes back as what it is", fun same/0},
        {"by erlang.call, by a copy, from a thread", fun other_ways/0},
        {"what is no fun is not called", fun no_fun/0},
        {"when the call is over it is not called", fun over/0},
        {"given again, it may be called again", fun again/0},
        {"when the call has failed, run out of time, lost its caller", fun ends/0},
        {"while a stream goes on, and no longer", fun streams/0},
        {"as long as a context is open", fun contexts/0},
        {"of a context the last thousand are kept", fun most/0},
        {"when a context's owner dies", fun owner_dies/0},
        {"a fun that comes as bytes is not called", fun forged/0},
        {"a fun that Erlang has returned, or that is in a fun, is not called", fun not_given/0},
        {"it needs no function to be allowed", fun allowed/0},
        {"it may ask the same worker", fun nested/0},
        {"beside large arguments", fun large/0},
        {"a request may bring any number of them", fun crowd/0},
        {"many at once", fun many/0},
        {"in a forked child, and in another worker", fun elsewhere/0},
        {"a cancel ends it, and what it has asked", fun cancelled/0},
        {"the worker dies, and its successor", fun worker_dies/0},
        {"whoever keeps the funs is killed", fun keeper_killed/0},
        {"a call without funs starts nothing, and nothing stays", fun nothing_stays/0}
    ]))).

%% ---------------------------------------------------------------------------
%% Where it may be

ways() ->
    [{"an argument", fun(F) -> py:call(given, call, [F, 20, 1]) end},
     {"a keyword argument", fun(F) ->
         py:call(given, key, [], #{function => F})
     end},
     {"a variable of eval", fun(F) -> py:eval("f(20, 1)", #{f => F}) end},
     {"a variable of exec", fun(F) -> ok = py:exec("y = f(20, 1)", #{f => F}, #{}), py:eval("y") end},
     {"a part of something large", fun(F) ->
         py:eval("x['a'][1000][1](20, 1)", #{x => #{a => lists:seq(0, 999) ++ [{1.5, F}]}})
     end},
     {"what stands behind a large binary", fun(F) ->
         py:eval("x[1](20, len(x[0]) - 99999)", #{x => {binary:copy(<<"x">>, 100_000), F}})
     end},
     {"an argument of spawn_call", fun(F) -> py:await(py:spawn_call(given, call, [F, 20, 1])) end},
     {"an argument of parallel", fun(F) ->
         {ok, Results} =py:parallel([{given, call, [F, 20, 1]} || _ <- lists:seq(1, 20)], #{chunk => 7}),
         [Result] = lists:usort(Results),
         {ok, Result}
     end},
     {"an argument to each worker", fun(F) ->
         {ok, [{1, Result}]} = py:call(given, call, [F, 20, 1], #{}, #{pool => {default, all}}),
         Result
     end}].

given_as(Way) -> ?assertEqual({ok, 21}, Way(fun(A, B) -> A + B end)).

kinds() ->
    N = 2,
    ?assertEqual({ok, 42}, py:call(given, call, [fun() -> 21 * N end])),
    ?assertEqual({ok, 6}, py:call(given, call, [fun lists:sum/1, [1, 2, 3]])),
    ?assertEqual({ok, [1, 2, 3]}, py:call(given, call, [fun lists:seq/2, 1, 3])),
    ?assertEqual({ok, true}, py:eval("callable(f)", #{f => fun lists:sum/1})).

%% ---------------------------------------------------------------------------
%% What it does

raises() ->
    ?assertEqual({ok, [<<"Error">>, <<"error: {bad,thing}">>, error, {bad, thing}]},
                 py:call(given, call, [fun() -> error({bad, thing}) end])),
    ?assertEqual({ok, [<<"Error">>, <<"throw: up">>, throw, up]}, py:call(given, call, [fun() -> throw(up) end])),
    ?assertEqual({ok, [<<"Error">>, <<"exit: normal">>, exit, normal]},
                 py:call(given, call, [fun() -> exit(normal) end])).

arity() ->
    Wrong = fun(Has, N) ->
        Text = io_lib:format("this fun is called with ~b arguments, and has ~b", [N, Has]),
        {ok, [<<"Error">>, iolist_to_binary(Text), error, badarity]}
    end,
    ?assertEqual(Wrong(0, 1), py:call(given, call, [fun() -> ok end, 1])),
    ?assertEqual(Wrong(2, 0), py:call(given, call, [fun(A, B) -> {A, B} end])),
    ?assertEqual(Wrong(1, 2), py:call(given, call, [fun lists:sum/1, 1], #{x => 1})).

kwargs() ->
    ?assertEqual({ok, {1, #{<<"x">> => 2}}}, py:call(given, call, [fun(A, K) -> {A, K} end, 1], #{x => 2})).

same() ->
    F = fun() -> self() end,
    ?assertEqual({ok, F}, py:eval("f", #{f => F})),
    ?assertEqual({ok, [F, 1]}, py:call(given, call, [fun(Fun, N) -> [Fun, N] end, F, 1])).

other_ways() ->
    F = fun() -> 7 end,
    ?assertEqual({ok, 7}, py:eval("erlang.call(f)", #{f => F})),
    ?assertEqual({ok, 7}, py:call(given, pickled, [F])),
    ?assertEqual({ok, 7}, py:call(given, in_thread, [F])).

no_fun() ->
    {error, {'TypeError', <<"call a name or a Fun, not int">>}} = py:eval("erlang.call(1)"),
    {error, {'TypeError', _}} = py:eval("p()", #{p => self()}).

%% ---------------------------------------------------------------------------
%% How long

gone() -> {ok, [<<"Error">>, <<"this fun was given to a call that is over, or to none">>, error, undef]}.

over() ->
    ?assertEqual({ok, 1}, py:call(given, keep, [fun() -> 1 end])),
    ?assertEqual(gone(), py:call(given, call_kept, [])),
    ?assertEqual(gone(), py:call(given, call_kept, [1, 2])).

again() ->
    F = fun() -> 2 end,
    ?assertEqual({ok, 2}, py:call(given, keep, [F])),
    ?assertEqual(gone(), py:call(given, call_kept, [])),
    ?assertEqual({ok, 2}, py:eval("given.call_kept()", #{f => F})).

ends() ->
    [begin
         _ = py:call(given, keep, [F], #{}, 200),
         fixture:wait_until(fun() -> gone() =:= py:call(given, call_kept, []) end)
     end || F <- [fun() -> error(failed) end, fun() -> timer:sleep(infinity) end]],
    Self = self(),
    Caller = spawn(fun() -> py:call(given, keep, [fun() -> Self ! here, timer:sleep(infinity) end]) end),
    receive here -> exit(Caller, kill) end,
    fixture:wait_until(fun() -> gone() =:= py:call(given, call_kept, []) end).

streams() ->
    Square = fun(N) -> given_to_stream, N * N end,
    ?assertEqual({ok, [N * N || N <- lists:seq(0, 9)]}, py:stream(given, items, [Square, 10])),
    {ok, Stream} = py:stream_open({given, items, [Square, 1000]}, #{chunk => 1}),
    {ok, _} = py:stream_next(Stream),
    ok = py:exec("given.kept[:] = [f]", #{f => Square}, #{}),
    [{ok, _} = py:stream_next(Stream) || _ <- lists:seq(1, 20)],
    ?assertEqual({ok, 16}, py:call(given, call_kept, [4])),
    ok = py:stream_close(Stream),
    fixture:wait_until(fun() -> gone() =:= py:call(given, call_kept, [4]) end).

contexts() ->
    {ok, C} = py_context:open(),
    {ok, D} = py_context:open(),
    In = #{context => C},
    N = 5,
    ok = py:exec("import given; plus = f; given.kept[:] = [f]", #{f => fun(X) -> X + N end}, In),
    ?assertEqual({ok, 6}, py:eval("plus(1)", #{}, In)),
    ?assertEqual({ok, 7}, py:eval("plus(2)", #{}, In)),
    ok = py_context:close(D),
    ?assertEqual({ok, 8}, py:call(given, call_kept, [3])),
    ok = py_context:close(C),
    fixture:wait_until(fun() -> gone() =:= py:call(given, call_kept, [3]) end).

%% The first ones are forgotten.
most() ->
    py_context:with(fun(C) ->
        In = #{context => C},
        ok = py:exec("import given\nfuns = []", #{}, In),
        [ok = py:exec("funs.append(f)", #{f => fun() -> N end}, In) || N <- lists:seq(1, 1001)],
        ?assertEqual(gone(), py:eval("given.call(funs[0])", #{}, In)),
        ?assertEqual({ok, [2, 1001]}, py:eval("[funs[1](), funs[1000]()]", #{}, In))
    end).

owner_dies() ->
    Self = self(),
    Owner = spawn(fun() ->
        {ok, C} = py_context:open(),
        Self ! {context, C},
        receive stop -> ok end
    end),
    C = receive {context, It} -> It end,
    ok = py:exec("import given; given.kept[:] = [f]", #{f => fun() -> Owner end}, #{context => C}),
    ?assertEqual({ok, Owner}, py:call(given, call_kept, [])),
    exit(Owner, kill),
    fixture:wait_until(fun() -> gone() =:= py:call(given, call_kept, []) end).

%% ---------------------------------------------------------------------------
%% What may not be called

forged() ->
    ?assertEqual(gone(), py:call(given, forged, [fun lists:sum/1, <<"sum">>, <<"max">>])),
    ?assertEqual(gone(), py:eval("given.call(erlang.Fun(b), 1)",
                                 #{b => {bytes, bare(fun erlang:abs/1)}})),
    %% Bytes of the argument itself that look like a fun.
    ?assertEqual(gone(), py:eval("given.call(erlang.Fun(b), 1)",
                                 #{b => {bytes, bare(fun erlang:abs/1)}, f => fun() -> ok end})).

bare(Fun) ->
    <<131, Bytes/binary>> = term_to_binary(Fun),
    Bytes.

not_given() ->
    ok = py:register_function(make, fun() -> fun() -> made end end),
    ?assertEqual(gone(), py:eval("given.call(erlang.call('make'))")),
    ok = py:unregister_function(make),
    Inner = fun() -> inner end,
    Outer = fun(X) -> {X, Inner} end,
    ?assertEqual(gone(), py:eval("given.call(f(1)[1])", #{f => Outer})).

%% Whoever gives it allows it.
allowed() ->
    {ok, _} = py:start_pool(none, #{size => 1, functions => []}),
    ?assertEqual({ok, 3}, py:eval("f()", #{f => fun() -> 3 end}, #{pool => none})),
    ok = py:stop_pool(none).

%% ---------------------------------------------------------------------------

nested() ->
    Loop = fun(Self, N) ->
        {ok, M} = py:call(given, down, [fun(Left) -> Self(Self, Left) end, N]),
        M
    end,
    ?assertEqual(8, Loop(Loop, 8)),
    ok = py:exec("z = 3"),
    ?assertEqual({ok, 9}, py:eval("f()", #{f => fun() -> {ok, Z} = py:eval("z"), Z * Z end})).

large() ->
    Rows = lists:seq(1, 200_000),
    Self = self(),
    Tell = fun(N) -> Self ! {step, N}, ok end,
    ?assertEqual({ok, 200_000}, py:call(given, progress, [Tell, Rows])),
    ?assertEqual(lists:seq(0, 99), [receive {step, N} -> N end || N <- lists:seq(0, 99)]).

%% Each is the fun that it was.
crowd() ->
    Funs = [fun() -> N end || N <- lists:seq(1, 3_000)],
    ?assertEqual({ok, lists:seq(1, 3_000)}, py:eval("[f() for f in fs]", #{fs => Funs})),
    ?assertEqual({ok, [1, 1, 3_000]},
                 py:eval("[f() for f in fs]", #{fs => [hd(Funs), hd(Funs), lists:last(Funs)]})),
    py_context:with(fun(C) ->
        In = #{context => C},
        ok = py:exec("import given\nkept = list(fs)", #{fs => Funs}, In),
        ?assertEqual({ok, [2_001, 3_000]}, py:eval("[kept[2000](), kept[2999]()]", #{}, In)),
        ?assertEqual(gone(), py:eval("given.call(kept[1999])", #{}, In))
    end).

many() ->
    {ok, _} = py:start_pool(many, #{size => 2, python_path => [fixture:python_path()]}),
    Refs = [py:spawn_call(given, call, [fun(A) -> {A, N} end, N], #{}, #{pool => many}) || N <- lists:seq(1, 300)],
    ?assertEqual([{ok, {N, N}} || N <- lists:seq(1, 300)], [py:await(Ref) || Ref <- Refs]),
    ok = py:stop_pool(many).

elsewhere() ->
    ?assertEqual({ok, <<"SendError: there is no connection to Erlang any more">>},
                 py:call(given, in_child, [fun() -> 1 end])),
    {ok, _} = py:start_pool(other, #{size => 1, python_path => [fixture:python_path()]}),
    There = fun(F) -> py:call(given, call, [F], #{}, #{pool => other}) end,
    ok = py:register_function(there, fun(F) -> element(2, There(F)) end),
    ?assertEqual({ok, 8}, py:eval("erlang.call('there', f)", #{f => fun() -> 8 end})),
    ok = py:exec("import given; given.kept[:] = [f]", #{f => fun() -> 8 end}, #{pool => other}),
    ?assertEqual(gone(), py:call(given, call_kept, [], #{}, #{pool => other})),
    ok = py:stop_pool(other).

cancelled() ->
    Self = self(),
    Ref = py:spawn_call(given, call, [fun() -> Self ! {here, self()}, py:call(time, sleep, [60]) end]),
    Pid = receive {here, It} -> It end,
    fixture:wait_until(fun() -> [2] =:= [N || #{in_flight := N} <- fixture:workers()] end),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    fixture:wait_until(fun() -> not is_process_alive(Pid) end),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

worker_dies() ->
    Self = self(),
    [OsPid] = fixture:os_pids(),
    Ref = py:spawn_call(given, call, [fun() -> Self ! {here, self()}, timer:sleep(infinity) end]),
    Pid = receive {here, It} -> It end,
    _ = fixture:kill("KILL", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:await(Ref)),
    fixture:wait_until(fun() -> not is_process_alive(Pid) end),
    fixture:wait_until(fun() -> {ok, 5} =:= py:call(given, call, [fun() -> 5 end]) end),
    fixture:wait_until(fun() -> length(keepers()) =:= 1 end).

keeper_killed() ->
    [exit(Keeper, kill) || Keeper <- keepers()],
    fixture:wait_until(fun() -> keepers() =:= [] end),
    ?assertEqual({ok, 6}, py:call(given, call, [fun() -> 6 end])).

nothing_stays() ->
    Before = keepers(),
    {ok, _} = py:start_pool(quiet, #{size => 1, python_path => [fixture:python_path()]}),
    In = #{pool => quiet},
    {ok, 1} = py:call(builtins, len, [[{ok, 1}]], #{}, In),
    ?assertEqual(Before, keepers()),
    [{ok, N} = py:call(given, call, [fun() -> N end], #{}, In) || N <- lists:seq(1, 200)],
    [Keeper] = keepers() -- Before,
    fixture:wait_until(fun() -> sys:get_state(Keeper) =:= {kept, #{}, #{}} end),
    ok = py:stop_pool(quiet),
    fixture:wait_until(fun() -> keepers() =:= Before end).

keepers() ->
    [Pid || Pid <- processes(), proc_lib:translate_initial_call(Pid) =:= {py_talk_given, init, 1}].
