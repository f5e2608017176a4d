%% SPDX-License-Identifier: Apache-2.0
%%
%% The properties of calls within calls: a program whose parts are Erlang's and Python's by
%% turns, over several pools, has the value that it has by itself, and each part runs
%% once; if whoever runs it is killed, none runs twice, and nothing is left. A program is {Number, Steps, End}, and a step {IsCaught, How, Where,
%% Program}: the program of the other side, how it is asked, and where.
-module(nesting).

-export([prop/0, killed/0, settled/0, pools/0, run/1]).

-import(generate, [bind/2, lazy/1, one_of/1, some/2, weighted/1]).

-define(DEPTH, 6).
-define(LIMIT, 10_000).

%% The default pool and two others, in a test's application.
-spec pools() -> map().
pools() ->
    Pool = #{size => 2, send => [?MODULE], init => <<"import nesting">>, python_path => [fixture:python_path()]},
    Pool#{pools => #{other => Pool, single => Pool#{size => 1}}}.

-spec prop() -> term().
prop() ->
    generate:forall(any(), {fun holds/1, fun explain/1}).

any() ->
    bind(program(erlang, ?DEPTH), fun(Raw) -> numbered(possible(Raw, {[], []})) end).

%% ---------------------------------------------------------------------------
%% Any program

program(_, 0) -> {0, [], return};
program(Side, Depth) -> {0, some(3, lazy(fun() -> step(Side, Depth) end)), weighted([{8, return}, {1, raises}])}.

step(erlang, Depth) -> {one_of([true, false]), how(), place(), program(python, Depth - 1)};
step(python, Depth) -> {one_of([true, false]), way(), none, program(erlang, Depth - 1)}.

how() ->
    one_of([call, eval, given, context, handle, coroutine, await, stream, asynchronous_stream, push, spawn, parallel, chunk]).

way() ->
    weighted([{4, call}, {2, given}, {1, thread}, {1, loop}]).

place() ->
    one_of([default, other, single, {default, 1}, {default, 2}, {other, 1}, {other, 2}, {single, 1}]).

%% ---------------------------------------------------------------------------
%% What a pool can do
%%
%% Waits are the pools with a thread that waits for this part: what it asks of them
%% runs within that. Shut are those with a main thread that waits for something else, such as
%% a loop: what is asked of them may wait for ever.

possible({_, Steps, End}, Pools) ->
    {0, lists:append([possible_step(Step, Pools) || Step <- Steps]), End}.

possible_step({IsCaught, How, Place, Program}, {Waits, Shut} = Pools) ->
    case [At || At <- [Place, default, other, single], not lists:member(pool(At), Shut)] of
        [At | _] ->
            Possible = case lists:member(pool(At), Waits) of true -> within(How); false -> How end,
            [{IsCaught, Possible, At, possible_python(Program, Possible, pool(At), Pools)}];
        [] ->
            []
    end.

pool({Pool, _}) -> Pool;
pool(Pool) -> Pool.

%% A stream of a worker that waits has to wait, and so has what another process asks.
within(How) ->
    case lists:member(How, [stream, asynchronous_stream, push, spawn, parallel, chunk]) of
        true -> call;
        false -> How
    end.

possible_python({_, Steps, End}, How, Pool, Pools) ->
    {0, [{IsCaught, Way, none, possible(Program, left(How, Way, Pool, Pools))}
         || {IsCaught, Way, none, Program} <- Steps], End}.

%% The pools as Erlang finds them when a part of Python's has asked it. A thread that a
%% coroutine waits for keeps no main thread, but may itself be what waits.
left(How, thread, Pool, {Waits, Shut}) when How =:= coroutine; How =:= await -> {[Pool], Waits ++ Shut};
left(How, _, _, {Waits, Shut}) when How =:= coroutine; How =:= await -> {[], Waits ++ Shut};
left(asynchronous_stream, _, Pool, {Waits, Shut}) -> {[], [Pool | Waits] ++ Shut};
left(How, Way, Pool, {Waits, Shut}) when How =:= spawn; How =:= parallel; How =:= chunk -> left(call, Way, Pool, {[], Waits ++ Shut});
left(_, loop, Pool, {Waits, Shut}) -> {[], [Pool | Waits] ++ Shut};
left(_, _, Pool, {Waits, Shut}) -> {[Pool | Waits], Shut}.

numbered(Program) ->
    {Numbered, _} = numbered(Program, 1),
    Numbered.

numbered({_, Steps, End}, Number) ->
    {Numbered, Next} = lists:mapfoldl(fun({IsCaught, How, Place, Program}, N) ->
        {Inner, Next} = numbered(Program, N),
        {{IsCaught, How, Place, Inner}, Next}
    end, Number + 1, Steps),
    {{Number, Numbered, End}, Next}.

%% ---------------------------------------------------------------------------
%% What has to hold

holds(Program) ->
    true = register(?MODULE, self()),
    ok = py:register_function(?MODULE, fun ?MODULE:run/1),
    Outcome = try {value, run(Program)} catch Class:Reason -> {Class, Reason} end,
    true = unregister(?MODULE),
    {Expected, Parts} = expected(Program),
    Ran = lists:sort(ran()),
    Outcome =:= Expected andalso Ran =:= lists:sort(Parts)
        orelse begin tap:note("~0p~nand not ~0p~n~0p~nand not ~0p", [Outcome, Expected, Ran, Parts]), false end.

%% The process that runs it is killed after a while; what settled/0 says has to hold then.
-spec killed() -> term().
killed() ->
    true = register(?MODULE, self()),
    ok = py:register_function(?MODULE, fun ?MODULE:run/1),
    generate:forall(any(), {fun kills/1, fun explain/1}).

kills(Program) ->
    {Own, _} = numbered(Program, 10_000 * erlang:unique_integer([positive])),
    {Pid, Ref} = spawn_monitor(fun() -> try run(Own) catch throw:{planned, _} -> ok end end),
    timer:sleep(rand:uniform(15) - 1),
    exit(Pid, kill),
    receive {'DOWN', Ref, process, Pid, Reason} -> lists:member(Reason, [normal, killed]) end.

%% No part has run twice, no function runs, and no worker has anything to do.
-spec settled() -> ok.
settled() ->
    [fixture:wait_until(fun() -> lists:all(fun is_idle/1, fixture:workers(Pool)) end) || Pool <- [default, other, single]],
    fixture:wait_until(fun() -> not lists:any(fun is_function/1, processes()) end),
    Ran = ran(),
    true = unregister(?MODULE),
    [] = Ran -- lists:usort(Ran),
    ok.

is_idle(#{state := idle, in_flight := 0, awaited := 0, contexts := 0, handles := 0}) -> true;
is_idle(#{}) -> false.

is_function(Pid) ->
    {initial_call, {py_talk_call, run, 4}} =:= process_info(Pid, initial_call).

explain(Program) ->
    tap:note("~0p", [Program]).

%% The parts that have said that they run.
ran() ->
    receive Number when is_integer(Number) -> [Number | ran()] after 0 -> [] end.

%% The value of a program, or what it throws, and the numbers of the parts that run.
expected({Number, Steps, End}) ->
    expected(Steps, End, [Number], [Number]).

expected([], return, Values, Ran) ->
    {{value, lists:reverse(Values)}, Ran};
expected([], raises, Values, Ran) ->
    {{throw, {planned, lists:last(Values)}}, Ran};
expected([{IsCaught, _, _, Program} | Steps], End, Values, Ran) ->
    case expected(Program) of
        {{value, Value}, Inner} -> expected(Steps, End, [Value | Values], Ran ++ Inner);
        {{throw, {planned, N}}, Inner} when IsCaught -> expected(Steps, End, [-N | Values], Ran ++ Inner);
        {Thrown, Inner} -> {Thrown, Ran ++ Inner}
    end.

%% ---------------------------------------------------------------------------
%% Erlang's part, also as the function that Python calls

-spec run(tuple()) -> list().
run({Number, Steps, End}) ->
    ?MODULE ! Number,
    Values = [run_step(Step) || Step <- Steps],
    [throw({planned, Number}) || End =:= raises],
    [Number | Values].

run_step({IsCaught, How, Place, Program}) ->
    try
        value(ask(How, Program, #{pool => Place, timeout => ?LIMIT}))
    catch
        throw:{planned, Number} when IsCaught -> -Number
    end.

value({ok, Value}) -> Value;
value({error, {'nesting.Planned', Number}}) -> throw({planned, binary_to_integer(Number)}).

ask(call, Program, In) -> py:call(nesting, run, [Program], #{}, In);
ask(eval, Program, In) -> py:eval("nesting.run(program)", #{program => Program}, In);
ask(given, Program, In) -> py:call(nesting, run, [Program, fun ?MODULE:run/1], #{}, In);
ask(handle, Program, In) -> by_handle(py:eval("nesting.run", #{}, In#{return => handle}), Program);
ask(coroutine, Program, In) -> py:call(nesting, run_async, [Program], #{}, In);
ask(await, Program, In) -> py:eval("await nesting.run_async(program)", #{program => Program}, In);
ask(spawn, Program, In) -> py:await(py:spawn_call(nesting, run, [Program], #{}, In));
ask(stream, Program, In) -> py:stream(nesting, items, [Program], #{}, In);
ask(asynchronous_stream, Program, In) -> py:stream(nesting, items_async, [Program], #{}, In);
ask(push, Program, In) -> pushed(py:stream_open({nesting, items, [Program]}, In#{deliver => message}));
ask(parallel, Program, In) -> first(py:parallel([{nesting, run, [Program]}], in_pool(In)));
ask(chunk, Program, In) ->
    Calls = [{nesting, run, [Program]} | [{operator, neg, [N]} || N <- lists:seq(1, 5)]],
    first(py:parallel(Calls, (in_pool(In))#{chunk => 3}));
ask(context, Program, In) -> py_context:with(maps:with([pool], In), fun(C) -> in_context(Program, C) end).

%% Whatever runs meanwhile, its names are its own.
in_context({Number, _, _} = Program, Context) ->
    In = #{context => Context, timeout => ?LIMIT},
    ok = py:exec("import nesting; mine = number", #{number => Number}, In),
    Result = py:eval("nesting.run(program)", #{program => Program}, In),
    {ok, Number} = py:eval("mine", #{}, In),
    Result.

by_handle({ok, Run}, Program) ->
    Result = py:call(Run, '__call__', [Program], #{}, ?LIMIT),
    ok = py_handle:release(Run),
    Result.

pushed({ok, Stream}) -> pushed(Stream, []).

pushed(Stream, Items) ->
    receive
        {py_stream, Stream, {data, Item}} -> ok = py:stream_ack(Stream), pushed(Stream, [Item | Items]);
        {py_stream, Stream, done} -> {ok, lists:reverse(Items)};
        {py_stream, Stream, {error, Why}} -> {error, Why}
    end.

in_pool(#{pool := Place} = In) -> In#{pool := pool(Place)}.

first({ok, [Value | _]}) -> {ok, Value};
first({error, [Result | _]}) -> Result.
