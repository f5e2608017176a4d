#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Handles: objects that stay in Python until they are released, their owner is dead, or
%% their worker has ended.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Settings = #{size => 2, init => <<"import collections, misbehave, os, wedge, weakref">>,
                 interrupt_grace => 100, close_grace => 100},
    tap:run(fixture:with_app(Settings, [
        {"a value that stays in Python", fun stays/0},
        {"methods, with keyword arguments and options", fun methods/0},
        {"calling the object itself", fun calling/0},
        {"attributes and items", fun attributes/0},
        {"its length, how it looks, what it is", fun looks/0},
        {"among arguments, also inside of other terms", fun nested/0},
        {"the first one says where a request runs", fun places/0},
        {"one of another worker is an error with its place", fun elsewhere/0},
        {"options of values do not change what it stands for", fun forms/0},
        {"spawn_call and cast", fun later/0},
        {"parallel calls of handles, and for handles", fun parallel/0},
        {"a handle for each worker", fun each_worker/0},
        {"streams of what a method returns, and of the object", fun streams/0},
        {"with iterators among the arguments", fun iterators/0},
        {"with funs among the arguments", fun funs/0},
        {"the end of a stream does not close the object", fun lent/0},
        {"where there is no value, there is no handle", fun no_value/0},
        {"with a context", fun contexts/0},
        {"exec with one binds to its worker", fun exec/0},
        {"any process may use it, wherever it is bound", fun others/0},
        {"a copy on another worker", fun copy/0},
        {"what is printed, and the bill, come beside it", fun beside/0},
        {"within a call from Python", fun within/0},
        {"what there is, by type", fun types/0},
        {"what keeps an object alive", fun referrers/0},
        {"releasing frees the object, behind what was sent before", fun release/0},
        {"a handle that was released", fun released/0},
        {"the owner's death releases it, at any moment", 60_000, fun owner_dies/0},
        {"a spawn_call's handle belongs to who has called", fun spawned_owner/0},
        {"made-up handles", fun made_up/0},
        {"what looks like a handle brings a request to no other process", fun no_worker/0},
        {"wrong arguments", fun wrong/0}
    ])).

%% The value of an expression, as a handle.
kept(Code) -> kept(Code, #{}).

kept(Code, Options) ->
    {ok, Handle} = py:eval(Code, #{}, Options#{return => handle}),
    Handle.

release_all(Handles) -> [ok = py_handle:release(Handle) || Handle <- Handles].

handles() -> lists:sum([N || #{handles := N} <- fixture:workers()]).

%% Where it is, as a slot of the pool.
slot(Handle) ->
    {ok, OsPid} = py:eval(<<"(os.getpid(), it)[0]">>, #{it => Handle}),
    [Id] = [Id || #{id := Id, os_pid := Pid} <- fixture:workers(), Pid =:= OsPid],
    Id.

stays() ->
    {ok, H} = py:call(collections, 'Counter', [<<"abca">>], #{}, #{return => handle}),
    ?assertEqual({ok, #{<<"a">> => 2, <<"b">> => 1, <<"c">> => 1}}, py_handle:value(H)),
    ?assertEqual({ok, none}, py:call(H, update, [<<"a">>])),
    ?assertEqual({ok, 3}, py_handle:item(H, <<"a">>)),
    %% What has no term, too.
    G = kept(<<"(n for n in (1, 2))">>),
    ?assertMatch({error, {'TypeError', _}}, py_handle:value(G)),
    ?assertEqual([{ok, 1}, {ok, 2}], [py:call(builtins, next, [G]) || _ <- [1, 2]]),
    ?assertMatch({error, {'StopIteration', _}}, py:call(G, '__next__', [])),
    [?assertEqual({ok, Value}, py_handle:value(kept(Code)))
     || {Code, Value} <- [{<<"None">>, none}, {<<"True">>, true}, {<<"2 ** 70">>, 1 bsl 70}]],
    ?assertMatch({error, {'ZeroDivisionError', _}}, py:eval(<<"1 / 0">>, #{}, #{return => handle})),
    release_all([H, G]).

methods() ->
    H = kept(<<"[3, 1, 2]">>),
    ?assertEqual({ok, none}, py:call(H, sort, [], #{reverse => true})),
    ?assertEqual({ok, [3, 2, 1]}, py_handle:value(H)),
    ?assertMatch({error, {'AttributeError', _, #{frames := _}}},
                 py:call(H, nothing, [], #{}, #{traceback => true})),
    ?assertEqual({error, timeout}, py:call(kept(<<"__import__('time')">>), "sleep", [5], #{}, 50)),
    {ok, Dotted} = py:eval(<<"type('T', (), {'a': [1]})">>, #{}, #{return => handle}),
    ?assertEqual({ok, none}, py:call(Dotted, 'a.append', [2])),
    ?assertEqual({ok, [1, 2]}, py_handle:get(Dotted, a)),
    release_all([H, Dotted]).

%% A class is called although its instances may be, too.
calling() ->
    F = kept(<<"lambda a, b=1: (a, b)">>),
    ?assertEqual({ok, {4, 1}}, py:call(F, [4])),
    ?assertEqual({ok, {4, 7}}, py:call(F, '__call__', [4], #{b => 7})),
    Class = kept(<<"type('Adder', (), {'__init__': lambda self, n: setattr(self, 'n', n),"
                   " '__call__': lambda self, m: self.n + m})">>),
    {ok, Adder} = py:call(Class, '__call__', [5], #{}, #{return => handle}),
    ?assertEqual({ok, 8}, py:call(Adder, [3])),
    ?assertMatch({error, {'TypeError', _}}, py:call(kept(<<"7">>), [])),
    release_all([F, Class, Adder]).

attributes() ->
    H = kept(<<"__import__('types').SimpleNamespace(a=1, sub=__import__('types').SimpleNamespace(b=2))">>),
    ?assertEqual([{ok, 1}, {ok, 2}, {ok, 2}],
                 [py_handle:get(H, Name) || Name <- [a, 'sub.b', <<"sub.b">>]]),
    ?assertMatch({error, {'AttributeError', _}}, py_handle:get(H, c)),
    [?assertEqual(ok, py_handle:set(H, Name, Value)) || {Name, Value} <- [{a, 3}, {"sub.b", [H]}]],
    ?assertEqual([{ok, 3}, {ok, true}], [py_handle:get(H, a), py:eval(<<"h.sub.b[0] is h">>, #{h => H})]),
    ?assertMatch([{error, {'AttributeError', _}}, {error, {'AttributeError', _}}],
                 [py_handle:set(kept(<<"7">>), a, 1), py_handle:set(H, 'nowhere.b', 1)]),
    {ok, Sub} = py_handle:get(H, sub, #{return => handle}),
    ?assertEqual({ok, true}, py:eval(<<"h.sub is s">>, #{h => H, s => Sub})),
    D = kept(<<"{'a': 1}">>),
    ?assertEqual([ok, ok], [py_handle:set_item(D, Key, 2) || Key <- [<<"b">>, {1, <<"x">>}]]),
    ?assertEqual({ok, #{<<"a">> => 1, <<"b">> => 2, {1, <<"x">>} => 2}}, py_handle:value(D)),
    ?assertEqual({ok, none}, py:call(operator, delitem, [D, <<"b">>])),
    ?assertMatch({error, {'KeyError', _}}, py_handle:item(D, <<"b">>)),
    ?assertMatch({error, {'TypeError', _}}, py_handle:set_item(H, 1, 2)),
    release_all([H, Sub, D]).

looks() ->
    H = kept(<<"[1, 'two']">>),
    ?assertEqual({{ok, 2}, {ok, <<"[1, 'two']">>}}, {py_handle:len(H), py_handle:repr(H)}),
    {ok, #{type := <<"list">>, bytes := Bytes}} = py_handle:info(H),
    ?assert(Bytes > 64 andalso Bytes < 512),
    {ok, #{type := <<"collections.deque">>}} = py_handle:info(kept(<<"collections.deque()">>)),
    ?assertMatch({error, {'TypeError', _}}, py_handle:len(kept(<<"7">>))),
    release_all([H]).

nested() ->
    H = kept(<<"[1]">>),
    Is = <<"a is b[0]['k'] is c[1][0]">>,
    ?assertEqual({ok, true}, py:eval(Is, #{a => H, b => [#{k => H}], c => {x, [H | tail]}})),
    ?assertEqual({ok, true}, py:call(operator, is_, [H, H])),
    ?assertEqual({ok, #{<<"a">> => [1]}}, py:call(builtins, dict, [], #{a => H})),
    ?assertEqual({ok, [[1], 2]}, py:call(builtins, list, [[H, 2]])),
    %% A key has to be hashable in Python, and is then the object.
    T = kept(<<"(1, 2)">>, #{pool => {default, slot(H)}}),
    ?assertEqual({ok, #{{1, 2} => [1]}}, py:eval(<<"d">>, #{d => #{T => H}})),
    release_all([H, T]).

places() ->
    [begin
         H = kept(<<"[]">>, #{pool => {default, Id}}),
         [?assertEqual(Id, slot(Deep))
          || Deep <- [H, [H], [1, [H]], {a, H}, #{a => H}, [1 | H], [{bytes, <<0:80000>>}, H]]],
         ?assertEqual({ok, Id}, py:eval(<<"erlang.worker()">>, #{a => [H]}, #{pool => default})),
         release_all([H])
     end || Id <- [1, 2, 1]],
    {ok, _} = py:start_pool(other, #{size => 1}),
    {ok, H} = py:eval(<<"[7]">>, #{}, #{pool => other, return => handle}),
    ?assertEqual({ok, 7}, py_handle:item(H, 0)),
    ?assertEqual({ok, [[7]]}, py:call(builtins, list, [[H]])),
    ?assertEqual({ok, [[7]]}, py:call(builtins, list, [[H]], #{}, #{pool => other})),
    %% What is said has to agree.
    [?assertEqual({error, {badarg, <<"the handle is in the pool other, but pool is default">>}}, Result)
     || Result <- [py:call(builtins, list, [[H]], #{}, #{pool => default}), py:call(H, copy, [], #{}, #{pool => default}),
                   py:stream(builtins, iter, [H], #{}, #{pool => default}),
                   py:await(py:spawn_call(builtins, list, [H], #{}, #{pool => default}))]],
    {error, {badarg, _}} = py:call(H, copy, [], #{}, #{pool => {default, 1}}),
    ok = py:stop_pool(other).

elsewhere() ->
    [A, B] = [kept(<<"[]">>, #{pool => {default, Id}}) || Id <- [1, 2]],
    [?assertEqual({Place, true}, {Place, is_nothing(Result, Place)})
     || {Place, Result} <- [{"args[0][1]: ", py:call(builtins, list, [[A, B]])},
                            {"args[1]: ", py:call(builtins, list, [B, A])},
                            {"kwargs['x']: ", py:call(builtins, dict, [A], #{x => B})},
                            {"locals['b']['k']: ", py:eval(<<"1">>, #{a => A, b => #{<<"k">> => B}})},
                            {"args[0]: ", py:call(builtins, len, [A], #{}, #{pool => {default, 2}})},
                            {"object: ", py:call(A, copy, [], #{}, #{pool => {default, 2}})},
                            {"args[0]: ", py:call(A, append, [B])}]],
    {ok, [{1, {ok, []}}, {2, {error, {badarg, _}}}]} = py:call(builtins, list, [A], #{}, #{pool => {default, all}}),
    release_all([A, B]).

%% Whether the error says that there is no such object, and where it was looked for.
is_nothing({error, {badarg, Text}}, Place) ->
    string:prefix(Text, [Place, "there is no such object here"]) =/= nomatch.

forms() ->
    H = kept(<<"['x']">>),
    [?assertEqual({Options, {ok, true}},
                  {Options, py:eval(<<"isinstance(h, list) and h[0] == 'x'">>, #{h => H}, Options)})
     || Options <- [#{binaries => bytes}, #{tags => false}, #{tags => true}, #{none => nil}]],
    ?assertEqual({ok, 'nothing'}, py_handle:item(kept(<<"[None]">>), 0, #{none => nothing})),
    %% What looks a little like one is an ordinary tuple.
    [?assertEqual({ok, Same}, py:call(builtins, tuple, [Same]))
     || Same <- [{py_handle, 1, 2, 3}, {py_handle, 1 bsl 70}, {py_handles, 1 bsl 70, 2, 3}]],
    release_all([H]).

later() ->
    H = kept(<<"[1, 2]">>),
    Ref = py:spawn_call(H, pop, []),
    ?assertEqual({ok, 2}, py:await(Ref)),
    Copy = py:await(py:spawn_call(H, copy, [], #{}, #{return => handle})),
    {ok, C} = Copy,
    ok = py:cast(H, append, [9]),
    fixture:wait_until(fun() -> py_handle:value(H) =:= {ok, [1, 9]} end),
    ?assertEqual({ok, [1]}, py_handle:value(C)),
    ?assertMatch({error, {'AttributeError', _}}, py:await(py:spawn_call(H, nothing, []))),
    release_all([H, C]).

parallel() ->
    Handles = [kept(<<"[]">>, #{pool => {default, 1 + N rem 2}}) || N <- lists:seq(1, 40)],
    [begin
         Appends = [{H, append, [N]} || {N, H} <- lists:enumerate(Handles)],
         ?assertEqual({ok, lists:duplicate(40, none)}, py:parallel(Appends, Options)),
         Mixed = lists:append([[{H, pop, []}, {builtins, abs, [-N]}] || {N, H} <- lists:enumerate(Handles)]),
         ?assertEqual({ok, lists:append([[N, N] || N <- lists:seq(1, 40)])}, py:parallel(Mixed, Options))
     end || Options <- [#{}, #{chunk => 10}]],
    {ok, More} = py:parallel([{builtins, list, [[N]]} || N <- lists:seq(1, 20)],
                             #{return => handle, chunk => 5}),
    ?assertEqual([{ok, [N]} || N <- lists:seq(1, 20)], [py_handle:value(H) || H <- More]),
    release_all(Handles ++ More),
    fixture:wait_until(fun() -> handles() =:= 0 end).

each_worker() ->
    {ok, [{1, {ok, A}}, {2, {ok, B}}]} =
        py:eval(<<"[erlang.worker()]">>, #{}, #{pool => {default, all}, return => handle}),
    ?assertEqual([{ok, [1]}, {ok, [2]}], [py_handle:value(H) || H <- [A, B]]),
    release_all([A, B]).

streams() ->
    D = kept(<<"{n: str(n) for n in range(5)}">>),
    ?assertEqual({ok, [<<"0">>, <<"1">>, <<"2">>, <<"3">>, <<"4">>]}, py:stream(D, values, [])),
    ?assertEqual({ok, 10}, py:stream_fold(fun(N, Sum) -> N + Sum end, 0, D)),
    ?assertEqual({ok, [[0, <<"0">>]]}, py:stream(builtins, map, [kept(<<"list">>, #{pool => {default, slot(D)}}),
                                                                 [{0, <<"0">>}]])),
    {ok, Stream} = py:stream_open(D, #{chunk => 2}),
    ?assertEqual([{ok, [0, 1]}, {ok, [2, 3]}, {ok, [4]}, done], [py:stream_next(Stream) || _ <- lists:seq(1, 4)]),
    ?assertMatch({error, {'TypeError', _}}, py:stream_open(kept(<<"7">>))),
    release_all([D]).

iterators() ->
    {ok, H} = py:call(builtins, list, [{iter, [1, 2]}], #{}, #{return => handle}),
    ?assertEqual({ok, none}, py:call(H, extend, [{iter, fun() -> [3, H] end}])),
    ?assertEqual({ok, [1, 2, 3, true]}, py:eval(<<"h[:3] + [h.pop() is h]">>, #{h => H})),
    ?assertEqual({ok, [[1, 2, 3], 4]}, py:stream(builtins, iter, [[H, 4]])),
    release_all([H]).

funs() ->
    Apply = kept(<<"lambda f, *args: [f(*args)]">>),
    Add = fun(A, B) -> A + B end,
    ?assertEqual({ok, [3]}, py:call(Apply, [Add, 1, 2])),
    {ok, Kept} = py:call(Apply, '__call__', [Add, 3, 4], #{}, #{return => handle}),
    ?assertEqual({ok, [7]}, py_handle:value(Kept)),
    ?assertEqual({ok, [[7, 0]]}, py:call(Apply, [fun(List) -> List ++ [0] end, Kept])),
    release_all([Apply, Kept]).

lent() ->
    G = kept(<<"(n for n in range(100))">>),
    {ok, Stream} = py:stream_open(G, #{chunk => 1}),
    {ok, [0]} = py:stream_next(Stream),
    ok = py:stream_close(Stream),
    %% It went a little ahead, but is not closed.
    fixture:wait_until(fun() -> {ok, N} = py:call(builtins, next, [G]), is_integer(N) end),
    ?assertEqual({ok, true}, py:eval(<<"g.gi_frame is not None">>, #{g => G})),
    release_all([G]).

no_value() ->
    Options = #{return => handle},
    [?assertError(badarg, Fun())
     || Fun <- [fun() -> py:exec(<<"1">>, Options) end, fun() -> py:exec(<<"1">>, #{}, Options) end,
                fun() -> py:exec_all(<<"1">>, Options) end,
                fun() -> py:cast(math, sqrt, [4], #{}, Options) end,
                fun() -> py:stream(builtins, range, [4], #{}, Options) end,
                fun() -> py:stream_open(<<"[1]">>, Options) end,
                fun() -> py_handle:set(kept(<<"[]">>), a, 1, Options) end,
                fun() -> py:eval(<<"1">>, #{}, #{return => object}) end]].

contexts() ->
    {ok, C} = py_context:open(#{pool => {default, 2}, idle => 60_000}),
    In = #{context => C},
    ok = py:exec(<<"class A:\n    def double(self): return twice * 2\nit, twice = A(), 21">>, In),
    H = kept(<<"it">>, In),
    ?assertEqual(2, slot(H)),
    ?assertEqual({ok, 42}, py:call(H, double, [])),
    ?assertEqual({ok, {true, 21}}, py:eval(<<"(h is it, twice)">>, #{h => H}, In)),
    ?assertEqual({ok, [42]}, py:stream_eval(<<"[h.double()]">>, #{h => H}, In)),
    Other = kept(<<"[]">>, #{pool => {default, 1}}),
    ?assert(is_nothing(py:eval(<<"h">>, #{h => Other}, In), "locals['h']: ")),
    ok = py_context:close(C),
    %% The object stays, but the names that its methods see are gone.
    ?assertMatch({error, {'NameError', _}}, py:call(H, double, [])),
    release_all([H, Other]).

exec() ->
    H = kept(<<"[5]">>, #{pool => {default, 2}}),
    ok = py:exec(<<"mine = h">>, #{h => H}, #{}),
    ?assertEqual({ok, {2, [5]}}, py:eval(<<"(erlang.worker(), mine)">>)),
    ok = py:unbind(),
    release_all([H]).

others() ->
    [A, B] = [kept(<<"[]">>, #{pool => {default, Id}}) || Id <- [1, 2]],
    ok = py:exec(<<"bound = 1">>, #{pool => {default, 1}}),
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), [py:call(H, append, [N]) || H <- [A, B]]} end)
            || N <- lists:seq(1, 20)],
    [receive {Pid, Results} -> ?assertEqual([{ok, none}, {ok, none}], Results) end || Pid <- Pids],
    ?assertEqual([{ok, 20}, {ok, 20}], [py_handle:len(H) || H <- [A, B]]),
    ?assertEqual({ok, {1, 1}}, py:eval(<<"(bound, erlang.worker())">>)),
    ok = py:unbind(),
    _ = spawn_link(fun() -> release_all([A, B]), Self ! done end),
    receive done -> ok end,
    fixture:wait_until(fun() -> handles() =:= 0 end).

copy() ->
    A = kept(<<"{'n': [1]}">>, #{pool => {default, 1}}),
    {ok, B} = py_handle:copy(A, {default, 2}),
    ?assertEqual({2, {ok, #{<<"n">> => [1]}}}, {slot(B), py_handle:value(B)}),
    ok = py_handle:set_item(B, <<"n">>, 2),
    ?assertEqual({ok, #{<<"n">> => [1]}}, py_handle:value(A)),
    {ok, [{1, {ok, C}}, {2, {ok, D}}]} = py_handle:copy(A, {default, all}),
    {ok, E} = py_handle:copy(A, default),
    ?assertMatch({error, _}, py_handle:copy(kept(<<"lambda: 1">>), {default, 2})),
    ?assertEqual({error, {no_worker, {default, 9}}}, py_handle:copy(A, {default, 9})),
    ?assertEqual({error, {no_pool, nix}}, py_handle:copy(A, nix)),
    release_all([A, B, C, D, E]).

beside() ->
    {ok, H, <<"said\n">>, #{time := _}} =
        py:eval(<<"print('said') or [1]">>, #{}, #{return => handle, capture => true, bill => true}),
    ?assertMatch({ok, [1], #{time := _}}, py_handle:value(H, #{bill => true})),
    ?assertMatch({error, {'ZeroDivisionError', _}, <<>>},
                 py:eval(<<"1 / 0">>, #{}, #{return => handle, capture => true})),
    release_all([H]).

%% What a function asks of the worker that waits for it runs there, and a handle that it
%% returns is the object. Its own handles end with it.
within() ->
    H = kept(<<"[1, 2]">>, #{pool => {default, 1}}),
    Other = kept(<<"[3]">>, #{pool => {default, 2}}),
    ok = py:register_function(ask, fun() -> {ok, N} = py_handle:len(H), N end),
    ok = py:register_function(ask_other, fun() -> {ok, N} = py_handle:len(Other), N end),
    ok = py:register_function(give, fun() -> H end),
    ok = py:register_function(make, fun() -> kept(<<"['made']">>, #{pool => {default, 1}}) end),
    On = #{pool => {default, 1}},
    ?assertEqual({ok, {2, 1}}, py:eval(<<"(erlang.ask(), erlang.ask_other())">>, #{}, On)),
    ?assertEqual({ok, true}, py:eval(<<"erlang.give() is h">>, #{h => H})),
    ?assertEqual({ok, [<<"made">>]}, py:eval(<<"erlang.make()">>, #{}, On)),
    fixture:wait_until(fun() -> handles() =:= 2 end),
    ok = py:register_function(outside, fun() ->
        [py:stream(H, copy, []), py:stream_open(H), py:await(py:spawn_call(H, copy, [])),
         py:parallel([{H, copy, []}, {Other, copy, []}])]
    end),
    Waits = {error, {waits, {default, 1}}},
    ?assertEqual({ok, [Waits, Waits, Waits, {error, [Waits, {ok, [3]}]}]}, py:eval(<<"erlang.outside()">>, #{}, On)),
    [ok = py:unregister_function(Name) || Name <- [ask, ask_other, give, make, outside]],
    release_all([H, Other]).

types() ->
    ?assertEqual({ok, []}, py_handle:types()),
    Made = [kept(Code, #{pool => {default, Id}})
            || {Id, Code} <- [{1, <<"'x' * 1000">>}, {1, <<"[]">>}, {2, <<"[1]">>}]],
    {ok, [Str, List]} = py_handle:types(),
    ?assertMatch(#{type := <<"str">>, count := 1, bytes := Bytes, workers := [1]} when Bytes >= 1000, Str),
    ?assertMatch(#{type := <<"list">>, count := 2, workers := [1, 2], oldest := _}, List),
    %% Its own age, and the larger one of two workers.
    Older = fun() -> {ok, [_, #{type := <<"list">>, oldest := Ms}]} = py_handle:types(), Ms > 200 end,
    fixture:wait_until(Older),
    release_all([lists:nth(2, Made)]),
    New = kept(<<"[2]">>, #{pool => {default, 1}}),
    {ok, [_, #{oldest := Newer}]} = py_handle:types({default, 1}),
    {ok, [_, #{oldest := Oldest}]} = py_handle:types(),
    ?assert(Newer < Oldest),
    ?assertMatch({ok, [#{type := <<"list">>, count := 1}]}, py_handle:types({default, 2})),
    ?assertMatch({ok, [{1, {ok, [_, _]}}, {2, {ok, [_]}}]}, py_handle:types({default, all})),
    ?assertEqual([2, 1], [N || #{handles := N} <- fixture:workers()]),
    release_all([New | Made]).

referrers() ->
    H = kept(<<"type('Wanted', (), {'__module__': 'mine'})()">>),
    {ok, [#{path := Path, root := module}]} = py_mem:referrers({default, slot(H)}, <<"mine.Wanted">>),
    ?assert(fixture:contains(Path, "erlang._handle.kept[")),
    release_all([H]).

%% An object that says when it is gone.
watched(Options) ->
    ok = py:exec(<<"class Watched:\n    def __del__(self): misbehave.last = 'deleted'\n"
                   "    def slow(self): __import__('time').sleep(0.2); return 1\n"
                   "misbehave.last = None">>, Options),
    H = kept(<<"Watched()">>, Options),
    ok = py:unbind(),
    H.

release() ->
    On = #{pool => {default, 1}},
    H = watched(On),
    Last = fun() -> py:eval(<<"misbehave.last">>, #{}, On) end,
    ?assertEqual({ok, none}, Last()),
    Ref = py:spawn_call(H, slow, []),
    fixture:wait_until(fun() -> lists:any(fun(#{running := What}) -> What =:= {handle, slow, 0} end,
                                          fixture:workers()) end),
    ok = py_handle:release(H),
    ?assertEqual({ok, 1}, py:await(Ref)),
    ?assertEqual({ok, <<"deleted">>}, Last()).

released() ->
    H = kept(<<"[1]">>),
    [ok = py_handle:release(H) || _ <- [1, 2]],
    [?assert(is_nothing(Result, Place))
     || {Result, Place} <- [{py:call(H, copy, []), "object: "}, {py_handle:value(H), "object: "},
                            {py:call(builtins, len, [H]), "args[0]: "},
                            {py:stream_open(H), "object: "}, {py_handle:set(H, a, 1), "object: "},
                            {py:await(py:spawn_call(H, copy, [])), "object: "}]],
    ?assertMatch({error, [{error, {badarg, _}}]}, py:parallel([{H, copy, []}])).

%% It may die before there is one, while that is under way, or later.
owner_dies() ->
    ?assertEqual(0, handles()),
    [begin
         {Pid, Ref} = spawn_monitor(fun() -> use(kept(<<"[1]">>)) end),
         busy_wait(N * 20),
         exit(Pid, kill),
         receive {'DOWN', Ref, process, _, _} -> ok end
     end || N <- lists:seq(0, 100)],
    fixture:wait_until(fun() -> handles() =:= 0 end),
    fixture:wait_until(fun() -> py_handle:types() =:= {ok, []} end).

use(H) ->
    {ok, 1} = py_handle:len(H),
    use(H).

busy_wait(Micros) ->
    Until = erlang:monotonic_time(microsecond) + Micros,
    (fun Wait() -> erlang:monotonic_time(microsecond) < Until andalso Wait() end)().

spawned_owner() ->
    Self = self(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        {ok, H} = py:await(py:spawn_call(builtins, list, [], #{}, #{return => handle})),
        {ok, [G]} = py:parallel([{builtins, list, []}], #{return => handle}),
        Self ! {self(), [H, G]},
        receive stop -> ok end
    end),
    receive {Pid, Handles} -> ok end,
    ?assertEqual([{ok, 0}, {ok, 0}], [py_handle:len(H) || H <- Handles]),
    Pid ! stop,
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    fixture:wait_until(fun() -> handles() =:= 0 end).

made_up() ->
    H = kept(<<"[1]">>, #{pool => {default, 1}}),
    {ok, Other} = py_handle:copy(H, {default, 2}),
    [?assert(is_nothing(py:call(builtins, len, [Wrong]), "args[0]: "))
     || Number <- [element(2, H) bxor 1, element(2, Other), 1 bsl 63, 1 bsl 64, 1 bsl 200, -(1 bsl 70)],
        Wrong <- [setelement(2, H, Number)]],
    ok = py_handle:release(setelement(2, H, element(2, H) bxor 1)),
    ?assertEqual({ok, 1}, py_handle:len(H)),
    release_all([H, Other]).

%% It may be data that came from Python.
no_worker() ->
    H = kept(<<"[1]">>),
    {Other, Monitor} = spawn_monitor(fun() -> receive Message -> exit({got, Message}) end end),
    {ok, Made} = py:eval(<<"(erlang.Atom('py_handle'), 2 ** 63 + 1, (erlang.Atom('default'), it), it)">>,
                         #{it => Other}),
    ?assertEqual({py_handle, 1 bsl 63 + 1, {default, Other}, Other}, Made),
    [?assert(is_nothing(Result, Where))
     || Wrong <- [Made, setelement(3, Made, {default, self()})],
        {Result, Where} <- [{py:call(builtins, len, [Wrong]), "args[0]: "},
                            {hd(element(2, py:parallel([{builtins, len, [Wrong]}]))), "args[0]: "},
                            {py:stream_open(Wrong), "object: "}, {py_handle:value(Wrong), "object: "}]],
    ?assert(is_nothing(py:call(builtins, len, [setelement(3, Made, {7, Other})]), "args[0]: ")),
    ok = py_handle:release(Made),
    ok = py_handle:release(setelement(3, Made, {nowhere, Other})),
    receive {'DOWN', Monitor, _, _, Why} -> error(Why) after 0 -> exit(Other, kill) end,
    ?assertEqual([], [Message || {py_worker, _} = Message <- element(2, process_info(self(), messages))]),
    ok = py_handle:release(H).

wrong() ->
    H = kept(<<"[1]">>),
    [?assertError(badarg, Fun())
     || Fun <- [fun() -> py_handle:value(math) end, fun() -> py:call(7, [1]) end,
                fun() -> py_handle:get(H, 7) end, fun() -> py_handle:release(self()) end,
                fun() -> py:call(H, append, x) end, fun() -> py:call(H, 7, []) end,
                fun() -> py_handle:len([H]) end, fun() -> py_handle:value(setelement(2, H, 5)) end,
                fun() -> py_handle:copy(H, "pool") end,
                fun() -> py_handle:value(H, #{chunk => 0}) end]],
    release_all([H]).
