#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Tagged tuples: what went out comes back as what it was, and what is not
%% exactly one of them stays a tuple.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(INIT, <<"import collections, datetime as dt, decimal, math\n"
                "try:\n    import numpy as np\nexcept ImportError:\n    pass\n">>).

main(_) ->
    tap:run(fixture:with_app(#{init => ?INIT}, [
        [both_ways(Row) || Row <- values()],
        [comes_in(Row) || Row <- short()],
        [stays(Term) || Term <- ordinary()],
        [array(Row) || Row <- arrays()],
        {"an array is a read-only view of bytes that were copied once", fun view/0},
        {"an array without numpy is an error", fun no_numpy/0},
        {"tags => false", fun off/0},
        {"binaries => bytes", fun as_bytes/0},
        {"none => Atom is a time without an offset", fun none/0},
        {"tags in a stream", fun stream/0},
        {"a time whose offset is not in whole seconds", fun fraction/0}
    ])).

%% {Python source, its term with tags => true}
values() ->
    [{"math.inf", {float, infinity}},
     {"-math.inf", {float, neg_infinity}},
     {"1.5", 1.5},
     {"1+2j", {complex, 1.0, 2.0}},
     {"complex(math.inf, 0)", {complex, {float, infinity}, 0.0}},
     {"dt.date(2020, 2, 29)", {date, {2020, 2, 29}}},
     {"dt.time(1, 2, 3, 4)", {time, {1, 2, 3}, 4, none}},
     {"dt.time(1, tzinfo=dt.timezone.utc)", {time, {1, 0, 0}, 0, 0}},
     {"dt.datetime(2020, 1, 2, 3, 4, 5)", {datetime, {{2020, 1, 2}, {3, 4, 5}}, 0, none}},
     {"dt.datetime(2020, 1, 2, 3, 4, 5, 6, dt.timezone(dt.timedelta(hours=-2)))",
      {datetime, {{2020, 1, 2}, {3, 4, 5}}, 6, -7200}},
     {"dt.timedelta(days=-1, seconds=2, microseconds=3)", {timedelta, -1, 2, 3}},
     {"dt.timedelta.max", {timedelta, 999999999, 86399, 999999}},
     {"decimal.Decimal('1.10')", {decimal, <<"1.10">>}},
     {"decimal.Decimal('-Infinity')", {decimal, <<"-Infinity">>}},
     {"decimal.Decimal('1E+30')", {decimal, <<"1E+30">>}},
     {"[{'a': (dt.date(2020, 1, 2),)}]", [#{<<"a">> => {{date, {2020, 1, 2}}}}]}].

both_ways({Source, Term}) ->
    {["goes out and comes back: ", Source], fun() ->
        ?assertEqual({ok, Term}, py:eval(Source, #{}, #{tags => true})),
        Same = ["type(x) is type(", Source, ") and x == ", Source],
        ?assertEqual({ok, true}, py:eval(Same, #{x => Term}))
    end}.

%% {a term, what holds of it in Python as x}
short() ->
    [{{datetime, {{2020, 1, 2}, {3, 4, 5}}}, "x == dt.datetime(2020, 1, 2, 3, 4, 5)"},
     {{time, {3, 4, 5}}, "x == dt.time(3, 4, 5)"},
     {{float, nan}, "type(x) is float and math.isnan(x)"},
     {{complex, nan, infinity}, "math.isnan(x.real) and x.imag == math.inf"},
     {{decimal, <<"nan">>}, "x.is_nan()"},
     {#{{date, {2020, 1, 2}} => 1}, "x == {dt.date(2020, 1, 2): 1}"},
     {nan, "x == 'nan'"}].

comes_in({Term, Holds}) ->
    {io_lib:format("comes in: ~0p", [Term]), fun() ->
        ?assertEqual({ok, true}, py:eval(Holds, #{x => Term}))
    end}.

%% Tuples that have a tag, and no more.
ordinary() ->
    [{float, 1.5}, {float, wrong}, {float, <<"nan">>}, {float, nan, nan},
     {date, {2021, 2, 29}}, {date, {2020, 1, 2, 3}}, {date, {2020, 1.0, 2}}, {date, {0, 1, 1}},
     {date, <<"2020-01-02">>}, {date, {2020, 1, true}}, {date}, {date, [2020, 1, 2]},
     {date, {1 bsl 40, 1, 2}}, {date, {1 bsl 80, 1, 2}},
     {time, {24, 0, 0}}, {time, {1, 2}}, {time, 5}, {time, {1, 2, 3}, -1}, {time, {1, 2, 3}, 0, 86400},
     {time, {1, 2, 3}, 0, utc}, {time, {1, 2, 3}, 0, 0, 0}, {time, {1, 2, 3}, 4},
     {datetime, {{2020, 1, 2}, {3, 4, 5}}, 6},
     {datetime, {2020, 1, 2}}, {datetime, {{2020, 1, 2}, {3, 4, 60}}}, {datetime, {{2020, 1, 2}}},
     {datetime, {{2020, 1, 2}, {3, 4, 5}}, 1000000, 0},
     {datetime, {{2020, 1, 2}, {3, 4, {5, {6, {7}}}}}},
     {timedelta, 1, 86400, 0}, {timedelta, 1, -1, 0}, {timedelta, 1, 2}, {timedelta, 1.0, 2, 3},
     {timedelta, 1000000000, 0, 0},
     {decimal, <<"one">>}, {decimal, <<" 1">>}, {decimal, <<"1_0">>}, {decimal, <<>>}, {decimal, 1},
     {decimal, <<"ü"/utf8>>}, {decimal, <<"1">>, 2},
     {complex, 1, 2}, {complex, 1.0}, {complex, 1.0, no},
     {ndarray, <<"<i4">>, {1}, <<1, 2, 3>>}, {ndarray, <<"wrong">>, {1}, <<"a">>},
     {ndarray, <<"|O">>, {1}, <<"12345678">>}, {ndarray, <<"|u1">>, {-1}, <<>>},
     {ndarray, <<"|u1">>, [1], <<"a">>}, {ndarray, <<"|u1">>, {1}, 1},
     {ndarray, <<"(1,">>, {1}, <<"a">>}, {ndarray, <<"|u1">>, {1.0}, <<"a">>},
     {other, {2020, 1, 2}}, {date, {date, {date, {2020, 1}}}}].

stays(Term) ->
    {io_lib:format("stays a tuple: ~0p", [Term]), fun() ->
        needs_numpy(Term),
        ?assertEqual({ok, [true, Term]}, py:eval(<<"[type(x) is tuple, x]">>, #{x => Term},
                                                 #{tags => in}))
    end}.

needs_numpy({ndarray, _, _, _}) -> numpy();
needs_numpy(_) -> ok.

numpy() ->
    fixture:has_numpy() orelse tap:skip("this Python has no numpy").

%% {Python source, what holds of it when it has come back as x}
arrays() ->
    [{"np.arange(6.0).reshape(2, 3)", "x.tolist() == [[0, 1, 2], [3, 4, 5]] and x.dtype == 'f8'"},
     {"np.array([1, 2, 3], 'i1')", "x.tolist() == [1, 2, 3]"},
     {"np.array([255, 254], 'u1')", "x.tolist() == [255, 254]"},
     {"np.array(['a', 'bc'])", "x.tolist() == ['a', 'bc']"},
     {"np.array([1+2j])", "x.tolist() == [1+2j]"},
     {"np.array(7)", "x.shape == () and x == 7"},
     {"np.zeros((0, 3))", "x.shape == (0, 3)"},
     {"np.array(['2020-01-02', 'nat'], 'M8[D]')", "str(x[0]) == '2020-01-02' and np.isnat(x[1])"},
     {"np.array([[1, 2], [3, 4]], '>i2').T", "x.tolist() == [[1, 3], [2, 4]]"}].

array({Source, Holds}) ->
    {["comes back as an array: ", Source], fun() ->
        numpy(),
        {ok, {ndarray, _, _, _} = Term} = py:eval(Source, #{}, #{arrays => binary}),
        Same = ["type(x) is np.ndarray and bool(", Holds, ")"],
        ?assertEqual({ok, true}, py:eval(Same, #{x => Term}))
    end}.

view() ->
    numpy(),
    Array = {ndarray, <<"<u4">>, {1000, 1000}, binary:copy(<<0, 0, 0, 255>>, 1_000_000)},
    Is = fun(Source) -> ?assertEqual({Source, {ok, true}}, {Source, py:eval(Source, #{x => Array})}) end,
    Is("type(x.base) is bytes and len(x.base) == x.nbytes"),
    Is("np.frombuffer(x.base, 'u1').ctypes.data == x.ctypes.data and x.flags.aligned"),
    Is("not x.flags.writeable and not x.flags.owndata"),
    ok = py:exec("try:\n    x.flags.writeable = True\nexcept ValueError: kept = True", #{x => Array}, #{}),
    Is("kept and x.copy().flags.writeable"),
    %% What Python allocates for it is these bytes, once.
    ok = py:exec("import tracemalloc\ntracemalloc.start()"),
    Is("x.nbytes <= tracemalloc.get_traced_memory()[1] < x.nbytes * 1.1"),
    ok = py:exec("tracemalloc.stop()").

no_numpy() ->
    {ok, _} = py:start_pool(bare, #{size => 1, init =>
        <<"import sys\nsys.modules['numpy'] = None">>}),
    Array = {ndarray, <<"|u1">>, {1}, <<1>>},
    {error, {badarg, Why}} = py:eval(<<"x">>, #{x => [Array]}, #{pool => bare}),
    ?assert(fixture:contains(Why, "locals['x'][0]: {ndarray, ...} needs numpy"), Why),
    ?assertEqual({ok, Array}, py:eval(<<"x">>, #{x => Array}, #{pool => bare, tags => false})),
    ok = py:stop_pool(bare).

off() ->
    Terms = [{float, nan}, {date, {2020, 1, 2}}, {decimal, <<"1">>}, {ndarray, <<"|u1">>, {1}, <<1>>}],
    ?assertEqual({ok, Terms}, py:eval(<<"x">>, #{x => Terms}, #{tags => false})),
    ?assertEqual({ok, [nan, <<"2020-01-02">>, <<"x">>]},
                 py:eval(<<"[math.nan, dt.date(2020, 1, 2), x]">>, #{x => {bytes, <<"x">>}},
                         #{tags => false})).

as_bytes() ->
    ?assertEqual({ok, [true, true]},
                 py:eval(<<"[x == decimal.Decimal(1), y == ('decimal', b'one')]">>,
                         #{x => {decimal, <<"1">>}, y => {decimal, <<"one">>}},
                         #{binaries => bytes})).

none() ->
    Options = #{tags => true, none => undefined},
    {ok, Time} = py:eval(<<"dt.time(1)">>, #{}, Options),
    ?assertEqual({time, {1, 0, 0}, 0, undefined}, Time),
    ?assertEqual({ok, true}, py:eval(<<"x == dt.time(1)">>, #{x => Time}, Options)).

stream() ->
    ?assertEqual({ok, [{date, {2020, 1, 2}}]},
                 py:stream_eval(<<"iter([x])">>, #{x => {date, {2020, 1, 2}}}, #{tags => true})).

fraction() ->
    Source = <<"dt.time(1, tzinfo=dt.timezone(dt.timedelta(microseconds=1)))">>,
    ?assertEqual({error, {'TypeError', <<"result: cannot encode datetime.time: its offset from UTC"
                                         " is not in whole seconds">>}},
                 py:eval(Source, #{}, #{tags => true})).
