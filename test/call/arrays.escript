#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Arrays of numpy, tables of pandas and pyarrow, where these are installed, as
%% docs/types.md has them. Without pyarrow test/py/arrow.py stands in for it.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(INIT, <<"try:\n    import numpy, numpy as np\n    import pandas as pd\n"
                "except ImportError:\n    pass\n">>).

main(_) ->
    tap:run(fixture:with_app(#{init => ?INIT}, [
        [value(<<"numpy">>, Row) || Row <- arrays() ++ structures() ++ times() ++ masked()],
        [value(<<"pandas">>, Row) || Row <- tables() ++ columns() ++ single()],
        {"tables and columns of pyarrow", fun() -> arrow(arrow_values()) end},
        {"the same as arrays", fun() ->
            has(<<"numpy">>) orelse tap:skip("this Python has no numpy"),
            arrow(arrow_arrays())
        end},
        {"a large array is copied once, into the reply", fun copies/0},
        {"an array in another order is not put in order first", fun no_third_copy/0},
        {"pandas is not imported for a class of its own", fun not_imported/0}
    ])).

%% {What, Python source, Options, Term}
arrays() ->
    [{"int64", "numpy.int64(7)", #{}, 7},
     {"uint8", "numpy.uint8(255)", #{}, 255},
     {"float32", "numpy.float32(0.5)", #{}, 0.5},
     {"nan", "numpy.float64('nan')", #{}, nan},
     {"bool_", "numpy.bool_(True)", #{}, true},
     {"str_", "numpy.str_('text')", #{}, <<"text">>},
     {"complex64", "numpy.complex64(1+2j)", #{}, {complex, 1.0, 2.0}},
     {"longdouble", "numpy.longdouble(1)", #{}, {error, <<"no term for">>}},
     {"an array of one dimension", "numpy.arange(3)", #{}, [0, 1, 2]},
     {"an array of two", "numpy.array([[1.5, 2], [3, 4]])", #{}, [[1.5, 2.0], [3.0, 4.0]]},
     {"an array of none", "numpy.array(5)", #{}, 5},
     {"an empty array", "numpy.zeros((0,))", #{}, []},
     {"an array of texts", "numpy.array(['a', 'b'])", #{}, [<<"a">>, <<"b">>]},
     {"an array of objects", "numpy.array([1, 'a', None], dtype=object)", #{}, [1, <<"a">>, none]},
     {"an array inside", "{'a': numpy.arange(2)}", #{}, #{<<"a">> => [0, 1]}},
     {"arrays => binary", "numpy.array([[1, 2], [3, 4]], dtype='<i2')",
      #{arrays => binary}, {ndarray, <<"<i2">>, {2, 2}, <<1, 0, 2, 0, 3, 0, 4, 0>>}},
     {"arrays => binary of a view with steps", "numpy.arange(6, dtype='u1')[::2]",
      #{arrays => binary}, {ndarray, <<"|u1">>, {3}, <<0, 2, 4>>}},
     {"arrays => binary of a transposed array",
      "numpy.array([[1, 2], [3, 4]], dtype='u1').T",
      #{arrays => binary}, {ndarray, <<"|u1">>, {2, 2}, <<1, 3, 2, 4>>}},
     {"arrays => binary of an array backwards", "numpy.array([[1, 2], [3, 4]], '>i2')[::-1, ::-1]",
      #{arrays => binary}, {ndarray, <<">i2">>, {2, 2}, <<4:16, 3:16, 2:16, 1:16>>}},
     {"arrays => binary of one row many times", "numpy.broadcast_to(numpy.arange(2, dtype='u1'), (2, 2))",
      #{arrays => binary}, {ndarray, <<"|u1">>, {2, 2}, <<0, 1, 0, 1>>}},
     {"arrays => binary of texts with steps", "numpy.array(['a', 'b', 'c'], '<U1')[::2]",
      #{arrays => binary}, {ndarray, <<"<U1">>, {2}, <<$a:32/little, $c:32/little>>}},
     {"arrays => binary of times with steps", "numpy.array([1, 2, 3], '<m8[s]')[::2]",
      #{arrays => binary}, {ndarray, <<"<m8[s]">>, {2}, <<1:64/little, 3:64/little>>}},
     {"arrays => binary of a matrix, transposed", "numpy.matrix([[1, 2], [3, 4]], 'u1').T",
      #{arrays => binary}, {ndarray, <<"|u1">>, {2, 2}, <<1, 3, 2, 4>>}},
     {"arrays => binary of no dimension", "numpy.array(5, 'u1')", #{arrays => binary},
      {ndarray, <<"|u1">>, {}, <<5>>}},
     {"arrays => binary of an empty array", "numpy.zeros((0, 3))", #{arrays => binary},
      {ndarray, <<"<f8">>, {0, 3}, <<>>}},
     {"arrays => binary of times", "numpy.array([1], 'm8[s]')", #{arrays => binary},
      {ndarray, <<"<m8[s]">>, {1}, <<1:64/little>>}},
     {"arrays => binary leaves objects", "{'a': numpy.array([[1, 'a']], dtype=object)}",
      #{arrays => binary}, #{<<"a">> => [[1, <<"a">>]]}}].

structures() ->
    [{"an array of structures", "numpy.array([(1, 'x')], dtype='i4,U1')", #{},
      [#{<<"f0">> => 1, <<"f1">> => <<"x">>}]},
     {"arrays => binary leaves structures", "numpy.array([(1, 2)], dtype='i4,i4')",
      #{arrays => binary}, [#{<<"f0">> => 1, <<"f1">> => 2}]},
     {"a structure", "numpy.array([(1, 'x')], dtype='i4,U1')[0]", #{},
      #{<<"f0">> => 1, <<"f1">> => <<"x">>}},
     {"a record", "numpy.rec.array([(1, 2.0)], names='x,y')[0]", #{},
      #{<<"x">> => 1, <<"y">> => 2.0}},
     {"structures in structures, in two dimensions",
      "numpy.zeros((1, 2), [('a', [('t', 'm8[s]', (2,))]), ('b', 'M8[D]')])", #{},
      [lists:duplicate(2, #{<<"a">> => #{<<"t">> => [<<"PT0S">>, <<"PT0S">>]},
                            <<"b">> => <<"1970-01-01">>})]},
     {"no structures", "numpy.zeros((2, 0), dtype=[('a', 'i4')])", #{}, [[], []]},
     {"void", "numpy.void(b'abc')", #{}, <<"abc">>}].

times() ->
    [{"datetime64", "numpy.datetime64('2020-01-01T00:00:00.123456789')", #{},
      <<"2020-01-01T00:00:00.123456789">>},
     {"no time", "[numpy.datetime64('nat'), numpy.timedelta64('nat')]", #{}, [none, none]},
     {"an array of datetime64", "numpy.array(['2020-01-01', 'nat'], dtype='M8[ms]')", #{},
      [<<"2020-01-01T00:00:00.000">>, none]},
     {"timedelta64", "numpy.timedelta64(90, 's')", #{}, <<"PT1M30S">>},
     {"a nanosecond", "numpy.timedelta64(1, 'ns')", #{}, <<"PT0.000000001S">>},
     {"months", "numpy.timedelta64(-14, 'M')", #{}, <<"-P14M">>},
     {"weeks", "numpy.timedelta64(1, 'W')", #{}, <<"P7D">>},
     {"timedelta64 without a unit", "numpy.timedelta64(1)", #{},
      {error, <<"timedelta64: a span of time without a unit">>}},
     {"an array of timedelta64", "numpy.array([[1], [-2]], dtype='m8[3h]')", #{},
      [[<<"PT3H">>], [<<"-PT6H">>]]}].

masked() ->
    [{"a masked array", "numpy.ma.array([1, 2], mask=[0, 1])", #{}, [1, none]},
     {"a masked array of datetime64",
      "numpy.ma.array(['2020', '2021'], mask=[0, 1], dtype='M8[Y]')", #{}, [<<"2020">>, none]},
     {"a masked structure", "numpy.ma.array([(1, 2)], mask=[(0, 1)], dtype='i4,i4')", #{},
      [#{<<"f0">> => 1, <<"f1">> => none}]},
     {"arrays => binary leaves masked arrays", "{'a': numpy.ma.array([1, 2], mask=[0, 1])}",
      #{arrays => binary}, #{<<"a">> => [1, none]}}].

tables() ->
    Table = "pd.DataFrame({'a': [1, 2], 'b': ['x', None]})",
    Missing = "pd.DataFrame({'f': [1.5, None], 't': pd.to_datetime(['2020-01-02', None]),"
              " 'c': pd.Categorical(['u', None]), 'i': pd.array([1, None])})",
    [{"a table", Table, #{}, [#{<<"a">> => 1, <<"b">> => <<"x">>}, #{<<"a">> => 2, <<"b">> => none}]},
     {"its columns", Table, #{frames => columns},
      #{<<"a">> => [1, 2], <<"b">> => [<<"x">>, none]}},
     {"its columns as arrays", "pd.DataFrame({'a': np.array([1], 'u1'), 'b': ['x']})",
      #{frames => arrays}, #{<<"a">> => {ndarray, <<"|u1">>, {1}, <<1>>}, <<"b">> => [<<"x">>]}},
     {"its columns, arrays => binary", "pd.DataFrame({'a': np.array([1], 'u1')})",
      #{frames => columns, arrays => binary}, #{<<"a">> => {ndarray, <<"|u1">>, {1}, <<1>>}}},
     {"what is missing", Missing, #{},
      [#{<<"f">> => 1.5, <<"t">> => <<"2020-01-02T00:00:00">>, <<"c">> => <<"u">>, <<"i">> => 1},
       #{<<"f">> => nan, <<"t">> => none, <<"c">> => none, <<"i">> => none}]},
     {"an index is a column", "pd.DataFrame({'a': [1]}, index=pd.Index(['x'], name='k'))", #{},
      [#{<<"k">> => <<"x">>, <<"a">> => 1}]},
     {"a table without columns", "pd.DataFrame(index=range(2))", #{}, [#{}, #{}]},
     {"numbers for names", "pd.DataFrame([[1, 2]])", #{}, [#{0 => 1, 1 => 2}]},
     {"two columns of one name", "pd.DataFrame([[1, 2]], columns=['a', 'a'])", #{},
      {error, <<"two columns have the same name">>}}].

columns() ->
    [{"Series", "pd.Series([1.5, None])", #{}, [1.5, nan]},
     {"Series, arrays => binary", "pd.Series(np.array([1], 'u1'))", #{arrays => binary},
      {ndarray, <<"|u1">>, {1}, <<1>>}},
     {"Series with labels", "pd.Series([1, 2], index=['a', 'b'])", #{},
      [{<<"a">>, 1}, {<<"b">>, 2}]},
     {"Series of some rows", "pd.Series([1, 2])[1:]", #{}, [{1, 2}]},
     {"Series of times with tags", "pd.Series(pd.to_datetime(['2020-01-02', None]))",
      #{tags => true}, [{datetime, {{2020, 1, 2}, {0, 0, 0}}, 0, none}, none]},
     {"Index", "pd.Index(['a'])", #{}, [<<"a">>]},
     {"RangeIndex", "pd.RangeIndex(2)", #{}, [0, 1]},
     {"MultiIndex", "pd.MultiIndex.from_tuples([(1, 'a')])", #{}, [{1, <<"a">>}]},
     {"DatetimeIndex", "pd.to_datetime(['2020-01-02'])", #{}, [<<"2020-01-02T00:00:00">>]},
     {"Categorical", "pd.Categorical(['a', None])", #{}, [<<"a">>, none]},
     {"an array of pandas' own", "pd.array([1, None])", #{}, [1, none]}].

single() ->
    [{"Timestamp", "pd.Timestamp('2020-01-02 03:04:05.123456789')", #{},
      <<"2020-01-02T03:04:05.123456789">>},
     {"Timestamp with a zone", "pd.Timestamp('2020-01-02', tz='UTC')", #{},
      <<"2020-01-02T00:00:00+00:00">>},
     {"Timestamp with tags", "pd.Timestamp('2020-01-02', tz='UTC')", #{tags => true},
      {datetime, {{2020, 1, 2}, {0, 0, 0}}, 0, 0}},
     {"Timestamp with nanoseconds and tags", "pd.Timestamp(1)", #{tags => true},
      <<"1970-01-01T00:00:00.000000001">>},
     {"Timedelta", "pd.Timedelta('-1d 1ns')", #{}, <<"-P1DT0.000000001S">>},
     {"Timedelta with tags", "pd.Timedelta('1d')", #{tags => true}, {timedelta, 1, 0, 0}},
     {"NaT", "pd.NaT", #{}, none},
     {"NA", "pd.NA", #{}, none},
     {"Period", "pd.Period('2020-01')", #{}, <<"2020-01">>},
     {"Interval", "pd.Interval(0, 1)", #{}, <<"(0, 1]">>}].

value(Module, {What, Source, Options, Expected}) ->
    {[Module, ": ", What], fun() ->
        has(Module) orelse tap:skip(["this Python has no ", Module]),
        Result = py:eval(unicode:characters_to_binary(Source), #{}, Options),
        case Expected of
            {error, Part} ->
                {error, {'TypeError', Why}} = Result,
                ?assert(fixture:contains(Why, Part));
            _ ->
                ?assertEqual({ok, Expected}, Result)
        end
    end}.

has(Module) ->
    {ok, Found} = py:eval(<<"__import__('importlib.util').util.find_spec(m) is not None">>,
                          #{m => Module}),
    Found.

%% ---------------------------------------------------------------------------

%% {Python source, options, term}. Each is what pyarrow itself understands.
arrow_values() ->
    Table = "pa.table({'a': [1, 2], 'b': ['x', None]})",
    [{Table, #{}, [#{<<"a">> => 1, <<"b">> => <<"x">>}, #{<<"a">> => 2, <<"b">> => none}]},
     {Table, #{frames => columns}, #{<<"a">> => [1, 2], <<"b">> => [<<"x">>, none]}},
     {"pa.table({})", #{}, []},
     {Table ++ ".to_batches()[0]", #{}, [#{<<"a">> => 1, <<"b">> => <<"x">>},
                                         #{<<"a">> => 2, <<"b">> => none}]},
     {Table ++ ".columns[0]", #{}, [1, 2]},
     {Table ++ ".columns[1].chunk(0)", #{}, [<<"x">>, none]},
     {"pa.chunked_array([[1], [2, None]])", #{}, [1, 2, none]},
     {"pa.array([1.5, None])[0]", #{}, 1.5},
     {"pa.array([1.5, None])[1]", #{}, none}].

%% The same that need numpy.
arrow_arrays() ->
    Table = "pa.table({'a': pa.array([1, 2], 'uint8'), 'b': ['x', 'y'], 'c': [1.5, None]})",
    A = {ndarray, <<"|u1">>, {2}, <<1, 2>>},
    Columns = #{<<"a">> => A, <<"b">> => [<<"x">>, <<"y">>], <<"c">> => [1.5, none]},
    Chunks = "pa.chunked_array([[1], [2]])",
    [{Table, #{frames => arrays}, Columns},
     {Table, #{frames => columns, arrays => binary}, Columns},
     {Table ++ ".to_batches()[0]", #{frames => arrays}, Columns},
     {Table ++ ".columns[0].chunk(0)", #{arrays => binary}, A},
     {Chunks, #{arrays => binary}, {ndarray, <<"<i8">>, {2}, <<1:64/little, 2:64/little>>}}].

arrow(Rows) ->
    Init = case has(<<"pyarrow">>) of
        true -> <<"import pyarrow as pa">>;
        false -> <<"import arrow; arrow.install(); import pyarrow as pa">>
    end,
    {ok, _} = py:start_pool(arrow, #{size => 1, init => Init, python_path => [fixture:python_path()]}),
    [?assertEqual({Source, Options, {ok, Term}},
                  {Source, Options, py:eval(Source, #{}, Options#{pool => arrow})})
     || {Source, Options, Term} <- Rows],
    ok = py:stop_pool(arrow).

%% The array itself and the reply, and no third copy of it.
copies() ->
    has(<<"numpy">>) orelse tap:skip("this Python has no numpy"),
    {ok, _} = py:start_pool(large, #{size => 1, init => ?INIT, timeout => 60_000}),
    Pool = #{pool => large},
    Status = <<"[int(l.split()[1]) * 1024 for l in open('/proc/self/status')"
               " if l.startswith(('VmHWM', 'VmRSS'))]">>,
    {ok, [_, Before]} = py:eval(Status, #{}, Pool),
    {ok, {ndarray, _, _, Bytes}} = py:eval(<<"numpy.ones(8000000)">>, #{}, Pool#{arrays => binary}),
    {ok, [Peak, _]} = py:eval(Status, #{}, Pool),
    ?assert(Peak - Before < 2.5 * byte_size(Bytes), {Before, Peak}),
    ok = py:stop_pool(large).

%% Nothing of its size is allocated by Python while it is encoded.
no_third_copy() ->
    has(<<"numpy">>) orelse tap:skip("this Python has no numpy"),
    {ok, _} = py:start_pool(traced, #{size => 1, init => [?INIT,
        <<"import array\nx = {'turned': numpy.ones((1000, 500)).T, 'steps': numpy.ones(500000)[::2],"
          " 'times': numpy.zeros(500000, 'M8[s]')[::-1], 'array': array.array('d', bytes(4000000)),"
          " 'view': memoryview(array.array('d', bytes(4000000)))[::2]}">>]}),
    Of = fun(Key, Options) ->
        py:eval(<<"x[k]">>, #{k => Key}, Options#{pool => traced})
    end,
    [begin
         {ok, _} = Of(Key, #{arrays => binary}),
         ok = py:exec(<<"import tracemalloc\ntracemalloc.start()">>, #{}, #{pool => traced}),
         {ok, {ndarray, _, _, Bytes}} = Of(Key, #{arrays => binary}),
         {ok, {_, Peak}} = py:eval(<<"tracemalloc.get_traced_memory()">>, #{}, #{pool => traced}),
         ok = py:exec(<<"tracemalloc.stop()">>, #{}, #{pool => traced}),
         ?assert(byte_size(Bytes) >= 2_000_000),
         ?assert(Peak < 500_000, {Key, Peak})
     end || Key <- [<<"turned">>, <<"steps">>, <<"times">>, <<"array">>, <<"view">>]],
    ok = py:stop_pool(traced).

not_imported() ->
    {ok, _} = py:start_pool(bare, #{size => 1}),
    ?assertEqual({ok, [[0], []]},
                 py:eval(<<"[range(1), [m for m in ('numpy', 'pandas', 'pyarrow', 'decimal')"
                           " if m in __import__('sys').modules]]">>, #{}, #{pool => bare})),
    ?assertEqual({ok, false}, py:eval(<<"'numpy' in __import__('sys').modules">>, #{},
                                      #{pool => bare})),
    ok = py:stop_pool(bare).
