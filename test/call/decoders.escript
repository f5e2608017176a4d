#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Tuples that user code decodes: erlang.decoder.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(INIT, <<"import collections\n"
                "Point = collections.namedtuple('Point', 'x y')\n"
                "erlang.decoder('point', Point)\n"
                "erlang.encoder(Point, lambda p: (erlang.Atom('point'), *p))\n"
                "@erlang.decoder('raises')\n"
                "def raises(*args):\n"
                "    raise args[0] if args else ValueError('no good')\n"
                "@erlang.decoder('maybe')\n"
                "def maybe(x):\n"
                "    return x if x else NotImplemented\n"
                "erlang.decoder('unit', lambda: 'one')\n"
                "erlang.decoder('list', lambda *all: list(all))\n">>).

main(_) ->
    tap:run(fixture:with_app(#{init => ?INIT}, [
        [decoded(Row) || Row <- values()],
        [as_ever(Term) || Term <- others()],
        [refused(Row) || Row <- errors()],
        [unregistered(Row) || Row <- misuses()],
        {"there and back", fun both_ways/0},
        {"in args, kwargs and keys", fun everywhere/0},
        {"tags => false", fun off/0},
        {"binaries => bytes holds for the parts, too", fun as_bytes/0},
        {"an exception is the cause of the error", fun cause/0},
        {"one that does not end is interrupted", fun deadline/0},
        {"one that ends the program", fun death/0},
        {"a decoder that is taken over by another", fun again/0},
        {"in a stream's arguments", fun stream/0}
    ])).

%% {a term, what holds of it in Python as x}
values() ->
    [{{point, 1, 2}, "type(x) is Point and x == (1, 2)"},
     {[{point, {point, 1, 2}, #{<<"k">> => {point, 3, 4}}}],
      "x == [Point(Point(1, 2), {'k': Point(3, 4)})] and type(x[0].x) is Point"},
     {{other, {point, 1, 2}}, "type(x) is tuple and type(x[1]) is Point"},
     {{unit}, "x == 'one'"},
     {{maybe, 5}, "x == 5"},
     {{maybe, 0}, "type(x) is tuple and x == ('maybe', 0) and type(x[0]) is erlang.Atom"},
     {{point, {date, {2020, 1, 2}}, {bytes, <<1>>}}, "x.x.year == 2020 and x.y == b'\\1'"},
     {{point, true, a}, "x.x is True and x.y == 'a'"},
     {list_to_tuple([list | lists:seq(1, 1000)]), "x == list(range(1, 1001))"},
     {nested(1000), "type(x) is list and type(x[0]) is list"}].

nested(0) -> 1;
nested(N) -> {list, nested(N - 1)}.

decoded({Term, Holds}) ->
    {io_lib:format("~0P", [Term, 12]), fun() ->
        ?assertEqual({ok, true}, py:eval(Holds, #{x => Term}))
    end}.

%% Not the atom, or not in front.
others() ->
    [{<<"point">>, 1, 2}, {{a}, 1, 2}, {1, point}, {}, [point, 1, 2], {points, 1, 2}, point].

as_ever(Term) ->
    {io_lib:format("as ever: ~0p", [Term]), fun() ->
        Given = py:eval(<<"x">>, #{x => Term}, #{tags => false}),
        ?assertEqual(Given, py:eval(<<"x">>, #{x => Term})),
        ?assertEqual({ok, false}, py:eval(<<"isinstance(x, Point)">>, #{x => Term}))
    end}.

errors() ->
    [{{raises}, <<"locals['x']: the decoder of raises raised ValueError: no good">>},
     {[a, #{<<"k">> => {raises}}],
      <<"locals['x'][1]['k']: the decoder of raises raised ValueError: no good">>},
     {{point, 1}, <<"locals['x']: the decoder of point raised TypeError: ">>},
     {{raises, 1}, <<"locals['x']: the decoder of raises raised TypeError: "
                     "exceptions must derive from BaseException">>}].

refused({Term, Text}) ->
    {io_lib:format("refused: ~0p", [Term]), fun() ->
        {error, {badarg, Why}} = py:eval(<<"x">>, #{x => Term}),
        ?assert(fixture:contains(Why, Text)),
        ?assertEqual({ok, 1}, py:eval(<<"1">>))
    end}.

misuses() ->
    [{"erlang.decoder(1, print)", 'TypeError', <<"the text of an atom is a str, not int">>},
     {"erlang.decoder('x', 1)", 'TypeError', <<"no function: int">>},
     {"erlang.decoder('date', print)", 'ValueError', <<"what {date, ...} stands for cannot be changed">>},
     {"erlang.decoder('undefined', print)", 'ValueError', <<"undefined does not arrive as an Atom">>},
     {"erlang.decoder('x' * 256, print)", 'ValueError', <<"an atom has at most 255 characters">>},
     {"erlang.decoder('bytes')(print)", 'ValueError', <<"what {bytes, ...} stands for cannot be changed">>}].

unregistered({Source, Class, Message}) ->
    {Source, fun() -> ?assertEqual({error, {Class, Message}}, py:eval(Source)) end}.

both_ways() ->
    ?assertEqual({ok, {point, 1, [{point, 2, 3}]}},
                 py:eval(<<"x">>, #{x => {point, 1, [{point, 2, 3}]}})).

everywhere() ->
    Point = {point, 1, 2},
    ?assertEqual({ok, <<"Point(x=1, y=2)">>}, py:call(builtins, repr, [Point])),
    ?assertEqual({ok, #{<<"k">> => Point}}, py:call(builtins, dict, [], #{k => Point})),
    ?assertEqual({ok, true}, py:eval(<<"type(next(iter(x))) is Point">>, #{x => #{Point => 1}})),
    {error, {badarg, Why}} = py:eval(<<"x">>, #{x => #{{list, 1} => 1}}),
    ?assert(fixture:contains(Why, <<"[1] cannot be a key of a dict">>)).

off() ->
    ?assertEqual({ok, <<"tuple">>}, py:eval(<<"type(x).__name__">>, #{x => {point, 1, 2}}, #{tags => false})).

as_bytes() ->
    ?assertEqual({ok, true}, py:eval(<<"x.x == b'a'">>, #{x => {point, <<"a">>, 2}}, #{binaries => bytes})).

cause() ->
    ?assertMatch({error, {badarg, _}}, py:eval(<<"x">>, #{x => {raises}}, #{traceback => true})).

deadline() ->
    ok = py:exec_all(<<"import time\nerlang.decoder('slow', time.sleep)">>),
    ?assertEqual({error, timeout}, py:eval(<<"x">>, #{x => {slow, 60}}, #{timeout => 200})),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

death() ->
    ok = py:exec_all(<<"import os\nerlang.decoder('exit', os._exit)">>),
    ?assertEqual({error, {worker_exit, {status, 3}}}, py:eval(<<"x">>, #{x => {exit, 3}})),
    ?assertEqual({ok, <<"Point">>}, py:eval(<<"type(x).__name__">>, #{x => {point, 1, 2}})).

again() ->
    ok = py:exec_all(<<"erlang.decoder('twice', lambda x: 1)\nerlang.decoder('twice', lambda x: 2)">>),
    ?assertEqual({ok, 2}, py:eval(<<"x">>, #{x => {twice, 0}})).

stream() ->
    ?assertEqual({ok, [1, 2]}, py:stream_eval(<<"iter(x)">>, #{x => {point, 1, 2}})).
