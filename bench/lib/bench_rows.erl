%% SPDX-License-Identifier: Apache-2.0
%%
%% The rows of `make bench': what is measured, where, and which goal it has. What each side
%% does for a row is in bench_work.
%%
%% A goal is a ratio to the floor of the same run wherever there is a floor that load and
%% another machine change as they change pyport. Where the goal was set as a time or a rate,
%% the ratio is written as that number over the floor's on the machine where it was set.
-module(bench_rows).

-export([table/0, chosen/2, settings/0]).
-export_type([row/0, setting/0, figure/0]).

%% All of the VM and its programs on one CPU, or free to use each CPU that there is.
-type setting() :: one | free.

%% What a round's figure is: of the times of its calls the median, the 99th percentile or the
%% largest; items a second; the processor time of a call, in the VM and in the other program;
%% or a number that the call returns.
-type figure() :: latency | p99 | worst | rate | cpu | number.

-type row() ::
    #{name := atom(),
      title := string(),
      figure := figure(),
      unit := time | rate | memory,
      in := #{setting() => bench_goal:goal()},
      %% How many workers the default pool has; 0: the application does not run.
      workers := non_neg_integer(),
      %% How many processes call at once, and how many calls they make in a round.
      callers := pos_integer(),
      calls := pos_integer(),
      %% How many items a call is, for rates.
      items := pos_integer(),
      %% Where it stands in a plot.
      plot := none | {callers | bytes, pos_integer()},
      %% What begins before the row's first round; it returns what ends it.
      meanwhile := fun(() -> fun(() -> term())),
      sides := bench_work:sides()}.

-spec settings() -> [setting()].
settings() -> [one, free].

%% The rows of a table with these names, in its order; all of them if there are no names.
-spec chosen([row()], [string()]) -> {ok, [row()]} | {error, {unknown, [string()]}}.
chosen(Table, []) ->
    {ok, Table};
chosen(Table, Names) ->
    case Names -- [atom_to_list(Name) || #{name := Name} <- Table] of
        [] -> {ok, [Row || #{name := Name} = Row <- Table, lists:member(atom_to_list(Name), Names)]};
        Unknown -> {error, {unknown, Unknown}}
    end.

%% Rows with as many workers stand together, so that a pool is started once.
-spec table() -> [row()].
table() ->
    small() ++ callers() ++ values() ++ sizes() ++ arrays() ++ looks() ++ streams()
        ++ beside() ++ many_workers() ++ starts() ++ worker().

row(Name, Title, In, Sides, More) ->
    maps:merge(#{name => Name, title => Title, in => In, sides => Sides, figure => latency,
                 unit => time, workers => 2, callers => 1, calls => 200, items => 1,
                 plot => none, meanwhile => fun() -> fun() -> ok end end}, More).

one(Goal) -> #{one => Goal}.
free(Goal) -> #{free => Goal}.

at_most(Ratio) -> {ratio, at_most, Ratio}.
at_least(Ratio) -> {ratio, at_least, Ratio}.

small() ->
    [row(call, "call(operator, add, [1, 2])", #{one => at_most(1.15), free => none},
         bench_work:call(), #{plot => {callers, 1}}),
     row(eval, "eval(\"x * y\", #{x, y})", one(at_most(1.25)), bench_work:eval(), #{}),
     row(exec, "exec(\"x = 1\")", one(none), bench_work:exec(), #{}),
     row(callback, "eval that calls a function of Erlang's", one(at_most((1.6 + 1.2) / (1.6 + 1))),
         bench_work:callback(), #{}),
     row(state, "eval that gets a shared value", one(none),
         bench_work:state(), #{})].

callers() ->
    [callers(10, #{one => none, free => at_least(180 / 201)}),
     callers(16, #{one => at_least(0.9), free => none}),
     callers(50, #{one => at_least(1.2), free => at_least(350 / 295)}),
     callers(200, #{one => at_least(1.2), free => at_least(370 / 309)}),
     row(parallel, "parallel of 5,000 calls, chunk 500", #{one => at_least(5), free => at_least(5)},
         bench_work:parallel(),
         #{figure => rate, unit => rate, calls => 1, items => bench_work:few_items()})].

callers(N, In) ->
    row(named("callers_", N), text("~b callers, 2 workers", [N]), In, bench_work:call(),
        #{figure => rate, unit => rate, plot => {callers, N}, callers => N, calls => 6_400}).

values() ->
    [value(integers, "10^6 integers, there and back", at_most(1.5)),
     value(maps, "10^5 maps #{id, name}", at_most(2.0)),
     value(big_integers, "10^5 integers of 80 bits", at_most(2.0))].

value(Name, Title, Goal) ->
    row(Name, Title, one(Goal), bench_work:value(Name), #{calls => 1}).

sizes() ->
    [bytes(bytes_64k, "64 KiB of bytes", 1 bsl 16, 50, 0.07 / 0.10),
     bytes(bytes_1m, "1 MiB of bytes", 1 bsl 20, 10, 0.7 / 1.1),
     bytes(bytes_16m, "16 MiB of bytes", 1 bsl 24, 1, 14 / 28),
     bytes(bytes_100m, "100 MiB of bytes", 100 bsl 20, 1, 100 / 174)].

bytes(Name, Title, Size, Calls, Ratio) ->
    row(Name, Title, #{one => at_most(Ratio), free => none}, bench_work:bytes(Size),
        #{calls => Calls, plot => {bytes, Size}}).

%% Both sides' processor time says what copies cost. As many bytes were echoed in 13 ms.
arrays() ->
    [array(numpy_in, "8 MB of float64 into numpy, CPU", bench_work:numpy_in()),
     array(numpy_out, "8 MB of float64 out of numpy, CPU", bench_work:numpy_out())].

array(Name, Title, Sides) ->
    row(Name, Title, one(at_most(5 / 13)), Sides, #{figure => cpu, calls => 5}).

looks() ->
    [row(memory_stats, "memory_stats, 2 workers", one(at_most(150 / 11)),
         bench_work:memory_stats(), #{calls => 20}),
     row(tracemalloc, "tracemalloc_start and _stop, 2 workers", one(at_most(40 / 11)),
         bench_work:tracemalloc(), #{calls => 50}),
     row(gc, "gc(0), 2 workers", one(at_most(20 / 11)), bench_work:gc(), #{calls => 100})].

%% The floor's echo of a list of as many integers, folded over, was 26 million a second.
streams() ->
    [stream(stream_fold, "stream_fold of 10^6 integers", 16 / 26, bench_work:stream_fold()),
     stream(stream_eval, "stream_eval of 10^6 integers", 9 / 26, bench_work:stream_eval()),
     rate(stream_push, "10^6 integers as messages, each acknowledged", one(none), bench_work:stream_push()),
     rate(iter, "sum of {iter, 10^6 integers}", one(none), bench_work:iter()),
     row(stream_one, "stream_fold, an item a chunk", one(at_least(0.15 / 0.091)),
         bench_work:stream_one(),
         #{figure => rate, unit => rate, calls => 1, items => bench_work:few_items()})].

stream(Name, Title, Ratio, Sides) ->
    rate(Name, Title, one(at_least(Ratio)), Sides).

rate(Name, Title, In, Sides) ->
    row(Name, Title, In, Sides,
        #{figure => rate, unit => rate, calls => 1, items => bench_work:items()}).

%% A peer's own call is the floor of these goals: 0.04 and 1.5 ms.
beside() ->
    [beside(beside_p99, "small call beside a long one, p99", p99, 0.2 / 0.04),
     beside(beside_worst, "small call beside a long one, worst", worst, 2 / 1.5)].

beside(Name, Title, Figure, Ratio) ->
    row(Name, Title, free(at_most(Ratio)), bench_work:call_beside(),
        #{figure => Figure, calls => 2_000, meanwhile => fun bench_work:long_call/0}).

%% The floor has two programs, as there are two CPUs.
many_workers() ->
    [many(10, 100 / 201), many(100, 200 / 300), many(1_000, 200 / 309),
     row(stats_200, "memory_stats, 200 workers", free(at_most(20_000 / 11)),
         bench_work:memory_stats(), #{workers => 200, calls => 2})].

many(Callers, Ratio) ->
    row(named("workers_200_", Callers), text("~b callers, 200 workers", [Callers]),
        free(at_least(Ratio)), bench_work:call(),
        #{figure => rate, unit => rate, workers => 200, callers => Callers, calls => 8_000}).

starts() ->
    [start(1, 20), start(2, 24), start(8, 70)].

start(Workers, Ms) ->
    row(named("start_", Workers), text("start to first answer, size ~b", [Workers]),
        free(at_most(Ms / 8)), bench_work:start(Workers), #{figure => number, workers => 0}).

worker() ->
    [row(rss, "rss of a worker", one({value, at_most, 10.0}), bench_work:memory(<<"Rss">>),
         #{figure => number, unit => memory, workers => 0}),
     row(private_dirty, "private dirty memory of a worker", one({value, at_most, 4.5}),
         bench_work:memory(<<"Private_Dirty">>),
         #{figure => number, unit => memory, workers => 0}),
     row(loop, "a loop in Python; the floor is python3", one(at_most(1.05)), bench_work:loop(),
         #{figure => number})].

named(Prefix, N) -> list_to_atom(Prefix ++ integer_to_list(N)).

text(Format, Args) -> lists:flatten(io_lib:format(Format, Args)).
