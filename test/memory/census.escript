#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Objects by type, how they have grown, and those that cannot be collected: of a
%% worker, of a pool, of one that is busy, of one with millions of them.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% How many times as long as a collection, which looks at the same objects.
-define(COLLECTIONS, 10).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import wedge">>}, [
        {"objects of a class, and of types that the collector does not know", fun objects/0},
        {"sizes are those of sys.getsizeof", fun sizes/0},
        {"a pool's rows are its workers' together", fun merged/0},
        {"growth between looks", fun growth/0},
        {"growth of a worker that is new", fun growth_anew/0},
        {"objects that cannot be collected", fun uncollectable/0},
        {"a class with an odd name, and one that lies", fun odd/0},
        {"a worker that is busy", fun busy/0},
        {"millions of objects: in time, and without copies", 300_000, fun millions/0},
        {"nothing is imported before it is used", fun imports/0},
        {"wrong options", fun wrong/0}
    ])).

leaky(Size, Fun) ->
    {ok, _} = py:start_pool(leaky, #{size => Size, python_path => [fixture:python_path()],
                                     init => <<"import leaky">>}),
    try Fun() after ok = py:stop_pool(leaky) end.

exec(Code) ->
    ok = py:exec(Code, #{pool => leaky}).

row(Type, {ok, Rows}) ->
    case [Row || #{type := T} = Row <- Rows, T =:= Type] of
        [Row] -> Row;
        [] -> none
    end.

objects() ->
    leaky(1, fun() ->
        exec(<<"import array\n"
               "leaky.in_cache(1000)\n"
               "kept = [array.array('b', bytes(1000)) for _ in range(1000)]\n"
               "texts = {str(n) + ' text': bytes(n) for n in range(1000, 2000)}">>),
        Objects = py_mem:objects(leaky, #{top => 10_000}),
        ?assertMatch(#{count := 1000, workers := [1]}, row(<<"leaky.Order">>, Objects)),
        #{count := Arrays, bytes := Bytes} = row(<<"array.array">>, Objects),
        ?assertEqual(1000, Arrays),
        ?assert(Bytes > 1_000_000 andalso Bytes < 1_200_000),
        #{count := Buffers, bytes := InBytes} = row(<<"bytes">>, Objects),
        ?assert(Buffers >= 1000 andalso InBytes > 1_400_000),
        {ok, Rows} = Objects,
        Order = [{Bytes1, Count} || #{bytes := Bytes1, count := Count} <- Rows],
        ?assertEqual(Order, lists:reverse(lists:sort(Order))),
        {ok, [_, _, _]} = py_mem:objects(leaky, #{top => 3}),
        {ok, Ten} = py_mem:objects({leaky, 1}),
        ?assertEqual(10, length(Ten))
    end).

%% Thousands of each are made, and what they add is compared.
sizes() ->
    leaky(1, fun() ->
        exec(<<"import collections, sys\n"
               "class Plain: pass\n"
               "class Tuple(tuple): pass\n"
               "class Slots: __slots__ = ('a', 'b')\n"
               "kinds = [list, lambda: [1] * 7, dict, lambda: {n: n for n in range(20)}, set, Plain, Slots,\n"
               "         lambda: tuple([1, [], 3]), lambda: Tuple([1, 2]), lambda: bytes(1000), lambda: 'é' * len(kinds),\n"
               "         lambda: 'a' * len(kinds) + 'b', lambda: '日本' * len(kinds), lambda: 10**len(kinds),\n"
               "         lambda: bytearray(100), collections.OrderedDict, collections.deque, lambda: 1.5 * len(kinds),\n"
               "         lambda: (lambda: kinds), object, lambda: iter([]), lambda: range(len(kinds))]"/utf8>>),
        {ok, Kinds} = py:eval(<<"len(kinds)">>, #{}, #{pool => leaky}),
        [same_size(Kind) || Kind <- lists:seq(0, Kinds - 1)]
    end).

same_size(Kind) ->
    {ok, [Type, Size]} =
        py:eval(<<"[(lambda t: t.__qualname__ if t.__module__ == 'builtins' else t.__module__ + '.' + t.__qualname__)"
                  "(type(kinds[n]())), sys.getsizeof(kinds[n]())]">>, #{n => Kind}, #{pool => leaky}),
    exec(<<"made = []">>),
    #{bytes := Before, count := Were} = maps:merge(#{bytes => 0, count => 0}, known(Type)),
    exec([<<"made = [kinds[">>, integer_to_binary(Kind), <<"]() for _ in range(10_000)]">>]),
    #{bytes := After, count := Are} = known(Type),
    %% Others of this type may have come and gone meanwhile, and one list is new.
    ?assert(abs(Are - Were - 10_000) < 100, {Type, Are - Were}),
    ?assert(abs(After - Before - 10_000 * Size) < 100_000, {Type, After - Before, Size}).

known(Type) ->
    case row(Type, py_mem:objects(leaky, #{top => 10_000})) of
        none -> #{};
        Row -> Row
    end.

merged() ->
    leaky(2, fun() ->
        ok = py:exec_all(<<"leaky.in_cache(1000)">>, #{pool => leaky}),
        All = #{top => 10_000},
        ?assertMatch(#{count := 2000, workers := [1, 2]},
                     row(<<"leaky.Order">>, py_mem:objects(leaky, All))),
        ?assertMatch(#{count := 1000, workers := [2]},
                     row(<<"leaky.Order">>, py_mem:objects({leaky, 2}, All))),
        {ok, [{1, {ok, One}}, {2, {ok, Two}}]} = py_mem:objects({leaky, all}, All),
        [?assertMatch(#{count := 1000}, row(<<"leaky.Order">>, {ok, Rows})) || Rows <- [One, Two]],
        ?assertEqual({error, {no_worker, {leaky, 3}}}, py_mem:objects({leaky, 3})),
        ?assertEqual({error, {no_pool, nowhere}}, py_mem:growth(nowhere))
    end).

growth() ->
    leaky(2, fun() ->
        ?assertEqual({ok, []}, py_mem:growth(leaky)),
        ok = py:exec_all(<<"leaky.in_cache(1000)">>, #{pool => leaky}),
        Grown = py_mem:growth(leaky),
        #{count := 2000, count_diff := 2000, bytes := Bytes, bytes_diff := Bytes, workers := [1, 2]} =
            row(<<"leaky.Order">>, Grown),
        {ok, [#{bytes_diff := Most} | _]} = Grown,
        ?assert(Most >= Bytes),
        ?assertEqual(none, row(<<"leaky.Order">>, py_mem:growth(leaky, #{top => 10_000}))),
        ok = py:exec_all(<<"leaky.cache.clear()">>, #{pool => leaky}),
        ?assertMatch(#{count := 0, bytes := 0, count_diff := -2000},
                     row(<<"leaky.Order">>, py_mem:growth(leaky, #{top => 10_000})))
    end).

growth_anew() ->
    leaky(1, fun() ->
        {ok, []} = py_mem:growth({leaky, 1}),
        ok = py:restart_workers(leaky),
        ?assertEqual({ok, []}, py_mem:growth({leaky, 1}))
    end).

uncollectable() ->
    leaky(2, fun() ->
        ?assertEqual({ok, []}, py_mem:uncollectable(leaky)),
        exec(<<"import gc; gc.collect(); gc.set_debug(gc.DEBUG_SAVEALL); leaky.in_cycle(10)">>),
        {ok, _} = py:gc(leaky),
        ?assertMatch(#{count := 20, workers := [_]},
                     row(<<"leaky.Session">>, py_mem:uncollectable(leaky))),
        {ok, [{1, {ok, One}}, {2, {ok, Two}}]} = py_mem:uncollectable({leaky, all}),
        Rows = [row(<<"leaky.Session">>, {ok, Found}) || Found <- [One, Two]],
        ?assertMatch([#{count := 20}], Rows -- [none])
    end).

odd() ->
    leaky(1, fun() ->
        exec(<<"class Odd:\n"
               "    def __sizeof__(self): raise RuntimeError\n"
               "    __module__ = 'ü\\udc80'\n"
               "class Meta(type):\n"
               "    def __getattribute__(cls, name): raise RuntimeError\n"
               "class Other(metaclass=Meta): pass\n"
               "kept = [Odd() for _ in range(1000)], [Other() for _ in range(1000)]"/utf8>>),
        {ok, Rows} = py_mem:objects(leaky, #{top => 10_000}),
        %% There may be a thousand tuples, too.
        ?assertEqual([<<"__main__.Other">>, <<"ü\\udc80.Odd"/utf8>>],
                     lists:sort([Type || #{type := Type, count := 1000} <- Rows, Type =/= <<"tuple">>]))
    end).

busy() ->
    Mark = filename:join(fixture:tmpdir(), "loop"),
    Call = py:spawn_call(wedge, loop, [unicode:characters_to_binary(Mark)], #{}, infinity),
    fixture:wait_until(fun() -> filelib:is_file(Mark) end),
    {ok, [_ | _]} = py_mem:objects({default, 1}),
    {ok, _} = py_mem:growth({default, 1}),
    {ok, []} = py_mem:uncollectable({default, 1}),
    {ok, [_ | _]} = py_mem:referrers({default, 1}, <<"function">>),
    py:cancel(Call).

%% Before 3.12 a list of all of them is taken, 8 bytes each.
millions() ->
    leaky(1, fun() ->
        exec(<<"import gc; gc.disable()\n"
               "kept = [[], {}] + [[] for _ in range(1_500_000)] + [leaky.Order() for _ in range(1_500_000)]">>),
        {ok, #{peak := Before}} = py:memory_stats({leaky, 1}),
        {Collecting, {ok, _}} = figure:timed(fun() -> py:gc(leaky) end),
        {Ms, {ok, [_ | _]}} = figure:timed(fun() -> py_mem:objects(leaky) end),
        {ok, #{peak := After}} = py:memory_stats({leaky, 1}),
        tap:note("3 million objects: ~.1f ms, collected in ~.1f ms; ~b bytes",
                 [Ms, Collecting, After - Before]),
        ?assert(Ms < ?COLLECTIONS * Collecting),
        ?assert(After - Before < 3_000_000 * 12)
    end).

imports() ->
    leaky(1, fun() ->
        Known = <<"'erlang._census' in __import__('sys').modules">>,
        ?assertEqual({ok, false}, py:eval(Known, #{}, #{pool => leaky})),
        {ok, _} = py_mem:objects(leaky),
        ?assertEqual({ok, true}, py:eval(Known, #{}, #{pool => leaky}))
    end).

wrong() ->
    [?assertError(badarg, Look(default, Options))
     || Look <- [fun py_mem:objects/2, fun py_mem:growth/2],
        Options <- [[top], #{top => 0}, #{top => all}, #{by => type}]],
    [?assertError(badarg, Look(Target))
     || Look <- [fun py_mem:objects/1, fun py_mem:growth/1, fun py_mem:uncollectable/1],
        Target <- [<<"default">>, {default, 0}]].
