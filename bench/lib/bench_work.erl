%% SPDX-License-Identifier: Apache-2.0
%%
%% What each side does for a row. The floor sends the same request to the echo program; with
%% term_to_binary and binary_to_term, as pyport's callers have to. A peer that is not named
%% cannot do it. erlang_python has the functions of `py' under the same names.
-module(bench_work).

-export([call/0, parallel/0, eval/0, exec/0, callback/0, state/0, value/1, bytes/1, numpy_in/0, numpy_out/0,
         memory_stats/0, tracemalloc/0, gc/0, stream_fold/0, stream_eval/0, stream_push/0, iter/0,
         stream_one/0, items/0, few_items/0, call_beside/0, long_call/0, start/1, memory/1, loop/0]).
-export_type([sides/0, work/0]).

%% What the caller with this number calls, again and again.
-type work() :: fun((Caller :: pos_integer()) -> fun(() -> term())).
-type sides() :: #{bench_sides:side() => work()}.

-define(FLOATS, 1_000_000).

%% ---------------------------------------------------------------------------
%% Sides

%% The request that pyport gets, echoed.
echo(Op) ->
    fun(Caller) ->
        Echo = bench_sides:echo(Caller),
        fun() -> through(Echo, Op) end
    end.

%% The same where the request is large: no process may have a copy of its own.
echo_large(Key, Make) ->
    fun(Caller) ->
        Echo = bench_sides:echo(Caller),
        Value = bench_values:once(Key, Make),
        fun() -> through(Echo, {eval, <<"x">>, #{x => Value}}) end
    end.

through(Echo, Op) ->
    <<131, Bytes/binary>> = term_to_binary(Op),
    {_, Back} = binary_to_term(echo_server:echo(Echo, Bytes)),
    Back.

each(Fun) -> fun(_) -> Fun end.

%% One function of `py' for both that have it.
py(Fun) ->
    #{pyport => each(Fun), erlang_python => each(Fun)}.

erlport(Module, Function, Args) ->
    fun(Caller) ->
        Python = bench_sides:erlport(Caller),
        fun() -> python:call(Python, Module, Function, Args) end
    end.

%% ---------------------------------------------------------------------------
%% Small calls

-spec call() -> sides().
call() ->
    (py(fun() -> {ok, 3} = py:call(operator, add, [1, 2]) end))
        #{floor => echo({call, operator, add, [1, 2], #{}}),
          erlport => erlport(operator, add, [1, 2])}.

%% The floor makes the same calls one after another.
-spec parallel() -> sides().
parallel() ->
    Calls = [{operator, add, [N, 2]} || N <- lists:seq(1, few_items())],
    #{pyport => each(fun() -> {ok, [3 | _]} = py:parallel(Calls, #{chunk => 500}) end),
      floor => each(fun() -> [{ok, _} = py:call(M, F, Args) || {M, F, Args} <- Calls] end)}.

-spec eval() -> sides().
eval() ->
    (py(fun() -> {ok, 6} = py:eval(<<"x * y">>, #{x => 2, y => 3}) end))
        #{floor => echo({eval, <<"x * y">>, #{x => 2, y => 3}}),
          erlport => erlport(bench_peer, evaluate, [<<"x * y">>, [{<<"x">>, 2}, {<<"y">>, 3}]])}.

-spec exec() -> sides().
exec() ->
    (py(fun() -> ok = py:exec(<<"x = 1">>) end))
        #{floor => echo({exec, <<"x = 1">>}),
          erlport => erlport(bench_peer, execute, [<<"x = 1">>])}.

%% The floor evaluates the same without calling, then echoes.
-spec callback() -> sides().
callback() ->
    Locals = #{x => 2, y => 3},
    #{pyport => fun(_) ->
          ok = py:register_function(bench_callback, fun(N) -> N end),
          fun() -> {ok, 6} = py:eval(<<"erlang.call('bench_callback', x * y)">>, Locals) end
      end,
      floor => and_echo(Locals, {call, 300, <<"bench_callback">>, [6], #{}})}.

%% The same.
-spec state() -> sides().
state() ->
    Locals = #{x => 2, y => 3},
    #{pyport => fun(_) ->
          ok = py_state:put(6, 6),
          fun() -> {ok, 6} = py:eval(<<"erlang.state[x * y]">>, Locals) end
      end,
      floor => and_echo(Locals, {state, 300, <<"get">>, [6]})}.

and_echo(Locals, Term) ->
    fun(Caller) ->
        Echo = bench_sides:echo(Caller),
        fun() ->
            {ok, 6} = py:eval(<<"x * y">>, Locals),
            through(Echo, Term)
        end
    end.

%% ---------------------------------------------------------------------------
%% Large values, there and back

%% erlport needs minutes for one of these lists: its time grows with their length squared.
-spec value(integers | maps | big_integers) -> sides().
value(Name) ->
    Make = fun() -> bench_values:Name() end,
    Work = fun(_) -> evaluated(bench_values:once(Name, Make)) end,
    (value_peers(Name, Work))#{floor => echo_large(Name, Make), pyport => Work}.

%% erlang_python makes something else of big integers.
value_peers(big_integers, _) -> #{};
value_peers(_, Work) -> #{erlang_python => Work}.

evaluated(Value) ->
    fun() -> {ok, _} = py:eval(<<"x">>, #{x => Value}) end.

%% They are no text in any encoding, so that erlang_python makes bytes of them, too.
-spec bytes(pos_integer()) -> sides().
bytes(Size) ->
    Bytes = fun() -> bench_values:once({bytes, Size}, fun() -> binary:copy(<<255>>, Size) end) end,
    #{floor => fun(Caller) ->
          Echo = bench_sides:echo(Caller),
          Op = {eval, <<"x">>, #{x => {bytes, Bytes()}}},
          fun() -> through(Echo, Op) end
      end,
      pyport => fun(_) -> evaluated({bytes, Bytes()}) end,
      erlang_python => fun(_) -> evaluated(Bytes()) end,
      erlport => fun(Caller) ->
          Python = bench_sides:erlport(Caller),
          Value = Bytes(),
          fun() -> python:call(Python, bench_peer, identity, [Value]) end
      end}.

%% The floor echoes as many bytes.
-spec numpy_in() -> sides().
numpy_in() ->
    #{floor => echo_large(array, fun array/0),
      pyport => fun(_) ->
          Array = bench_values:once(array, fun array/0),
          fun() -> {ok, ?FLOATS} = py:call(builtins, len, [Array]) end
      end}.

array() ->
    {ndarray, <<"<f8">>, {?FLOATS}, binary:copy(<<0>>, 8 * ?FLOATS)}.

-spec numpy_out() -> sides().
numpy_out() ->
    Zeros = fun() ->
        {ok, {ndarray, _, _, _}} = py:call(numpy, zeros, [?FLOATS], #{}, #{arrays => binary})
    end,
    #{floor => echo_large(array, fun array/0), pyport => each(Zeros)}.

%% ---------------------------------------------------------------------------
%% What looks at workers or tends them

-spec memory_stats() -> sides().
memory_stats() ->
    (py(fun() -> {ok, #{}} = py:memory_stats() end))#{floor => echo(memory_stats)}.

-spec tracemalloc() -> sides().
tracemalloc() ->
    (py(fun() -> ok = py:tracemalloc_start(), ok = py:tracemalloc_stop() end))
        #{floor => echo(tracemalloc_stop)}.

-spec gc() -> sides().
gc() ->
    (py(fun() -> {ok, _} = py:gc(0) end))#{floor => echo({gc, 0})}.

%% ---------------------------------------------------------------------------
%% Streams

-spec items() -> pos_integer().
items() -> 1_000_000.

-spec few_items() -> pos_integer().
few_items() -> 5_000.

-spec stream_fold() -> sides().
stream_fold() ->
    #{floor => folded_echo(), pyport => each(fun() -> folded(items(), #{}) end)}.

folded(Items, Options) ->
    {ok, Items} = py:stream_fold(fun(_, N) -> N + 1 end, 0, {builtins, range, [Items]}, Options).

folded_echo() ->
    fun(Caller) ->
        Echo = bench_sides:echo(Caller),
        Integers = bench_values:once(integers, fun bench_values:integers/0),
        fun() ->
            {items, Back} = through(Echo, {items, Integers}),
            lists:foldl(fun(_, N) -> N + 1 end, 0, Back)
        end
    end.

-spec stream_eval() -> sides().
stream_eval() ->
    (py(fun() -> {ok, [_ | _]} = py:stream_eval(<<"range(1000000)">>) end))
        #{floor => folded_echo()}.

-spec stream_push() -> sides().
stream_push() ->
    #{floor => folded_echo(), pyport => each(fun pushed/0)}.

pushed() ->
    {ok, Stream} = py:stream_open({builtins, range, [items()]}, #{deliver => message}),
    pushed(Stream).

pushed(Stream) ->
    receive
        {py_stream, Stream, {data, _}} -> ok = py:stream_ack(Stream), pushed(Stream);
        {py_stream, Stream, done} -> ok
    end.

-spec iter() -> sides().
iter() ->
    Sum = fun() ->
        Integers = bench_values:once(integers, fun bench_values:integers/0),
        {ok, _} = py:call(builtins, sum, [{iter, Integers}])
    end,
    #{floor => folded_echo(), pyport => each(Sum)}.

%% The floor is a request for each item.
-spec stream_one() -> sides().
stream_one() ->
    #{pyport => each(fun() -> folded(few_items(), #{chunk => 1}) end),
      floor => fun(Caller) ->
          Echo = bench_sides:echo(Caller),
          fun() -> [through(Echo, {item, N}) || N <- lists:seq(1, few_items())] end
      end}.

%% ---------------------------------------------------------------------------
%% A small call beside a long one

-spec call_beside() -> sides().
call_beside() ->
    maps:with([floor, pyport], call()).

%% One worker runs Python until it is cancelled.
-spec long_call() -> fun(() -> term()).
long_call() ->
    Started = self(),
    Pid = spawn(fun() ->
        Loop = py:spawn_call(builtins, exec, [<<"while True: pass">>], #{}, #{timeout => infinity}),
        Started ! {self(), running},
        receive stop -> py:cancel(Loop) end,
        _ = py:await(Loop),
        Started ! {self(), stopped}
    end),
    receive {Pid, running} -> ok end,
    fun() -> Pid ! stop, receive {Pid, stopped} -> ok end end.

%% ---------------------------------------------------------------------------
%% Starting, and what a worker is

%% The floor: Python starts and ends.
-spec start(pos_integer()) -> sides().
start(Workers) ->
    #{floor => each(fun() ->
          {Us, _} = timer:tc(fun() -> bench_python:output(["-I", "-S", "-c", "pass"]) end),
          Us
      end),
      pyport => each(fun() ->
          {Us, _} = bench_stage:fresh(Workers, fun() -> py:call(os, getpid, []) end),
          Us
      end),
      erlport => each(fun() ->
          {Us, _} = bench_peers:fresh_erlport(Workers, fun([Python | _]) ->
              python:call(Python, os, getpid, [])
          end),
          Us
      end)}.

%% MB of a process that has just answered for the first time; the floor's is a Python that
%% waits for input.
-spec memory(binary()) -> sides().
memory(Key) ->
    #{floor => each(fun() -> bench_python:idle(fun(Pid) -> bench_proc:mb(Pid, Key) end) end),
      pyport => each(fun() ->
          {_, Mb} = bench_stage:fresh(1, fun() ->
              {ok, Pid} = py:call(os, getpid, []),
              bench_proc:mb(Pid, Key)
          end),
          Mb
      end),
      erlport => each(fun() ->
          {_, Mb} = bench_peers:fresh_erlport(1, fun([Python]) ->
              bench_proc:mb(python:call(Python, os, getpid, []), Key)
          end),
          Mb
      end)}.

%% Python measures its own processor time.
-spec loop() -> sides().
loop() ->
    #{floor => each(fun bench_python:loop/0),
      pyport => each(fun() -> us(py:call(workloads, seconds, [<<"counting">>])) end),
      erlport => fun(Caller) ->
          Python = bench_sides:erlport(Caller),
          fun() -> us({ok, python:call(Python, bench_peer, counting, [])}) end
      end}.

us({ok, Seconds}) -> Seconds * 1_000_000.
