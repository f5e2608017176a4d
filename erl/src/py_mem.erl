%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc Python's memory, for who investigates it.
%%
%% What is for every day is in {@link py}: `memory_stats', `gc', `trim',
%% `tracemalloc_start'. The functions here take the same targets: a pool, one of
%% its workers as `{Pool, Id}', or `{Pool, all}', which gives each worker's answer
%% by itself: `{ok, [{Id, Answer}]}'. Settings of a pool hold for its workers to
%% come, too; those of `{Pool, Id}' and `{Pool, all}' end with the worker.
%% `docs/memory.md' says when they help, and `docs/leaks.md' how a leak is found.
-module(py_mem).

-export([gc_threshold/1, gc_threshold/2, gc_freeze/1, gc_enable/1, gc_disable/1]).
-export([reset_peak/1, history/1, history/2]).
-export([traced/1, traced/2, snapshot/1, diff/2, diff/3]).
-export([objects/1, objects/2, growth/1, growth/2, uncollectable/1]).
-export([referrers/2, referrers/3]).
-export([top/1, top/2, top/3]).
-export([leak_test/3, leak_test/4]).
-export([overview/0, report/0, report/1]).
-export_type([threshold/0, snapshot/0, traced_options/0]).

%% What has to pile up in each generation before it is collected; 0 in the first
%% place: nothing is collected by itself.
-type threshold() :: {non_neg_integer(), non_neg_integer(), non_neg_integer()}.

%% @doc From now on `peak' in {@link py:memory_stats/1} is the most that is in memory
%% from now on: ``ok = py_mem:reset_peak(pdf)''. So are `traced_memory_peak', and the
%% peak of the heap where it is counted. What the kernel does not let us reset stays:
%% `{error, {unsupported, reset_peak}}'.
-spec reset_peak(py:target()) -> ok | py:each() | {error, term()}.
reset_peak(Target) ->
    py_mem_tend:reset_peak(Target).

%% What snapshot/1 gives: an Erlang term, of which no part is in a worker.
-type snapshot() :: py_mem_sites:snapshot().

%% What is summed up, and how many rows there are (10); which files count, as
%% patterns with `*' and `?': those that one of `include' is like, and none of
%% `exclude'. A file is that of the line where the memory was allocated.
-type traced_options() :: #{by => line | file | traceback,
                            top => 1..100000,
                            include => unicode:chardata() | [unicode:chardata()],
                            exclude => unicode:chardata() | [unicode:chardata()]}.

%% @doc When Python collects garbage by itself: ``{ok, {700, 10, 10}} = py_mem:gc_threshold(pdf)''.
%% A pool's thresholds are those of its first worker.
-spec gc_threshold(py:target()) -> {ok, threshold()} | py:each() | {error, term()}.
gc_threshold(Target) ->
    py_mem_tend:thresholds(Target).

%% @doc Sets that: ``ok = py_mem:gc_threshold(pdf, {50000, 20, 20})''.
-spec gc_threshold(py:target(), threshold()) -> ok | py:each() | {error, term()}.
gc_threshold(Target, Threshold) ->
    py_mem_tend:set(Target, py_args:gc_threshold(Threshold)).

%% @doc Takes the objects that are there now out of the collector's sight, for ever:
%% ``ok = py_mem:gc_freeze(pdf)''. It has less to look at then, and a forked child
%% shares more of its pages. A worker that starts later has to be told anew, or does
%% it in `init'.
-spec gc_freeze(py:target()) -> ok | py:each() | {error, term()}.
gc_freeze(Target) ->
    py_mem_tend:once(Target, gc_freeze).

%% @doc Python collects garbage by itself, as it does from the start:
%% ``ok = py_mem:gc_enable(pdf)''.
-spec gc_enable(py:target()) -> ok | py:each() | {error, term()}.
gc_enable(Target) ->
    py_mem_tend:set(Target, gc_enable).

%% @doc Python collects garbage only when `py:gc/1' or its own code says so:
%% ``ok = py_mem:gc_disable(pdf)''.
-spec gc_disable(py:target()) -> ok | py:each() | {error, term()}.
gc_disable(Target) ->
    py_mem_tend:set(Target, gc_disable).

%% @equiv history(Target, #{})
-spec history(py:target()) -> {ok, map()} | py:each() | {error, term()}.
history(Target) ->
    history(Target, #{}).

%% @doc How a worker's memory has changed since its start:
%% ``{ok, #{samples := [{_, _} | _]}} = py_mem:history({pdf, 2})''. Each sample is
%% `{Ago, Rss}', milliseconds and bytes, the oldest first: one a second at first, and
%% the fewer the older they are, so that there are never more than some hundreds.
%% `slope' is how many bytes a second it grows, by a straight line through them. With
%% a limit `rss', `limit' is there, and while it grows `reaches_limit_in', in
%% milliseconds. `#{last => 60000}' looks at the last minute only. A pool's map has
%% its workers' maps as `workers', and their slopes' sum.
-spec history(py:target(), #{last => timeout()} | py:keywords()) ->
          {ok, map()} | py:each() | {error, term()}.
history(Target, Options) ->
    #{last := Last} = py_args:history(Options),
    py_mem_history:history(Target, Last).

%% @equiv traced(Target, #{})
-spec traced(py:target()) -> {ok, [map()]} | py:each() | {error, term()}.
traced(Target) ->
    traced(Target, #{}).

%% @doc Which lines allocated the memory that is in use, those with most first:
%% ``{ok, [#{file := _, line := 12, function := <<"remember">>, bytes := _, count := _} | _]}
%% = py_mem:traced(pdf)''. Tracing has to be on: `py:tracemalloc_start/1,2'. `count' is
%% how many blocks of memory these bytes are in, and `workers' the ids of the workers
%% that have them; a pool's rows are summed over its workers. `function' is
%% ``<<"<module>">>'' outside of functions, and in those that are gone.
%%
%% With `#{by => file}' there are neither lines nor functions, and with
%% `#{by => traceback}' instead of them `frames', the outermost one first; how many
%% frames tracing keeps is what it was started with. Python stands still for about a
%% second for each million of blocks, and takes 200 bytes for each meanwhile.
%% `{error, {not_tracing, Target}}': tracing is off.
-spec traced(py:target(), traced_options()) -> {ok, [map()]} | py:each() | {error, term()}.
traced(Target, Options) ->
    py_mem_traced:traced(Target, py_args:traced(Options)).

%% @doc All that `traced/2' chooses from, to be compared later:
%% ``{ok, Before} = py_mem:snapshot(pdf)''. It is an Erlang term and keeps nothing in
%% a worker: of each it has the 10000 tracebacks with most memory, with 32 frames at
%% most, and of the others the 10000 lines with most; so it is never larger than some
%% MB for each worker. Errors are those of `traced/2'.
-spec snapshot(py:target()) -> {ok, snapshot()} | py:each() | {error, term()}.
snapshot(Target) ->
    py_mem_traced:snapshot(Target).

%% @equiv diff(Before, After, #{})
-spec diff(snapshot(), snapshot()) -> {ok, [map()]} | {error, term()}.
diff(Before, After) ->
    diff(Before, After, #{}).

%% @doc What has changed from one snapshot to a later one, what has grown most first:
%% ``{ok, [#{line := 12, function := <<"remember">>, bytes_diff := 81920} | _]} =
%% py_mem:diff(Before, After)''. The rows are those of `traced/2', as they are
%% afterwards, with `bytes_diff' and `count_diff', which are below 0 where memory was
%% freed. Only workers that are in both snapshots count; `{error, no_worker_in_both}'
%% if they all have been replaced.
-spec diff(snapshot(), snapshot(), traced_options()) -> {ok, [map()]} | {error, term()}.
diff(Before, After, Options) ->
    py_mem_traced:diff(Before, After, py_args:traced(Options)).

%% @equiv objects(Target, #{})
-spec objects(py:target()) -> {ok, [map()]} | py:each() | {error, term()}.
objects(Target) ->
    objects(Target, #{}).

%% @doc What objects there are, by type, those with most bytes first:
%% ``{ok, [#{type := <<"dict">>, bytes := _, count := _, workers := [1, 2]} | _]} =
%% py_mem:objects(pdf)''. There are ten rows at most, or `#{top => N}'. A pool's rows
%% are summed over its workers. The bytes are those of `sys.getsizeof': of a list the
%% list, not what is in it.
%%
%% All containers are counted, garbage among them until it is collected ({@link
%% py:gc/1}), and what is in containers. What only C code refers to, or a variable of
%% a function that runs, may be missing if it is no container itself. Python stands
%% still meanwhile, for some 0.1 s for each million of objects, and before Python 3.12
%% takes 8 bytes for each. A worker that cannot answer within the pool's `timeout'
%% gives `{error, timeout}'.
-spec objects(py:target(), #{top => 1..100000} | py:keywords()) ->
          {ok, [map()]} | py:each() | {error, term()}.
objects(Target, Options) ->
    py_mem_census:objects(Target, py_args:census(Options)).

%% @equiv growth(Target, #{})
-spec growth(py:target()) -> {ok, [map()]} | py:each() | {error, term()}.
growth(Target) ->
    growth(Target, #{}).

%% @doc What has been added since the last look at the same workers, by type, what
%% has grown most first: ``{ok, [#{type := <<"app.Order">>, count_diff := 1000} | _]} =
%% py_mem:growth(pdf)''. The rows are those of `objects/2' with `bytes_diff' and
%% `count_diff', which may be less than 0; what has not changed is not there. A
%% worker's first look has nothing to compare with and gives no rows. What was seen
%% last is kept in the worker, by type, some 100 bytes for each; it is one for all who
%% ask.
-spec growth(py:target(), #{top => 1..100000} | py:keywords()) ->
          {ok, [map()]} | py:each() | {error, term()}.
growth(Target, Options) ->
    py_mem_census:growth(Target, py_args:census(Options)).

%% @doc The objects that the collector has found and cannot free, by type, as
%% `objects/2' has them: ``{ok, []} = py_mem:uncollectable(pdf)''. They are in Python's
%% list `gc.garbage', which keeps them, and only extension modules in C make such
%% objects; while `gc.DEBUG_SAVEALL' is set, all garbage is there.
-spec uncollectable(py:target()) -> {ok, [map()]} | py:each() | {error, term()}.
uncollectable(Target) ->
    py_mem_census:uncollectable(Target).

%% @equiv referrers(Target, Type, #{})
-spec referrers(py:target(), py:name()) -> {ok, [map()]} | py:each() | {error, term()}.
referrers(Target, Type) ->
    referrers(Target, Type, #{}).

%% @doc What keeps objects of a type alive, named as `objects/2' names it:
%% ``{ok, [#{root := module, path := <<"app.cache['order 7']">>, count := 10} | _]} =
%% py_mem:referrers(pdf, <<"app.Order">>)''. Ten objects of it are taken at random in
%% each worker, or `#{sample => N}', at most 100. `root' is what the path begins with:
%% a `module'; a running function's `frame', with its file, line and thread; a
%% `thread', by the exception that it handles; `cycle': the objects keep only each
%% other, and the collector will free them if it runs; or `unknown': C code, a frame
%% that nobody sees, or more than was searched. `path' is written as Python would have it,
%% of the first of `count' objects whose paths differ only in keys and indexes.
%% `holders' are the types on the way, the object's own last.
%%
%% It searches for the shortest way, for 5 s at most, and each step is a look at all
%% objects, as `objects/2' takes it; it remembers 20000 of them, 2 MB at most. Before
%% Python 3.13 what the variables of running functions refer to then is kept until
%% the function returns. `{error, {no_type, Type}}': no class has the name.
-spec referrers(py:target(), py:name(), #{sample => 1..100} | py:keywords()) ->
          {ok, [map()]} | py:each() | {error, term()}.
referrers(Target, Type, Options) ->
    py_mem_referrers:referrers(Target, py_args:referrers(Type, Options)).

%% @equiv top(default, By, #{})
-spec top(py_mem_top:by()) -> {ok, [py_mem_top:row()]} | {error, term()}.
top(By) ->
    top(default, By, #{}).

%% @equiv top(Target, By, #{})
-spec top(py:target(), py_mem_top:by()) -> {ok, [py_mem_top:row()]} | py:each() | {error, term()}.
top(Target, By) ->
    top(Target, By, #{}).

%% @doc What calls have cost, by function, the most expensive first:
%% ``{ok, [#{what := {<<"shop">>, <<"remember">>}, growth := _} | _]} =
%% py_mem:top(pdf, memory)''. The pool needs the option `bill'; without it the answer
%% is `{error, {not_enabled, bill}}'. What `eval' and `exec' have run is under these
%% names, and there are ten rows at most, or `#{top => N}'.
%%
%% `memory' orders by `growth', the bytes of Python's heap that calls have left
%% behind, `time' by the `time' that they took in all, and `calls' by how many there were.
%% `peak' is the most that one call needed beyond what was there, `rss_growth' what
%% was added to the process's memory meanwhile, `p50' and `p99' how long a call took: half
%% of them, and 99 of 100, were quicker. Times are microseconds in the worker, without
%% the wait for it, and p50 and p99 right within an eighth. A pool's rows are of all
%% workers that it has had, and `workers' the slots where the function ran.
%%
%% Each slot has 200 functions, 1 KB for each; what comes later is counted as `other',
%% and so is what has a name of more than 255 bytes.
%% In a large heap `growth' and `peak' are of some calls, chosen by chance, and growth
%% an estimate of all. Calls that did not end by themselves are not there, nor are streams. What threads
%% of Python's do meanwhile is on the bill of the call that runs.
-spec top(py:target(), py_mem_top:by(), #{top => 1..100000}) ->
          {ok, [py_mem_top:row()]} | py:each() | {error, term()}.
top(Target, By, Options) ->
    #{top := Top} = py_args:census(Options),
    py_mem_top:top(Target, py_args:top(By), Top).

%% @equiv leak_test(Module, Function, Args, #{})
-spec leak_test(py:name(), py:name(), py:args()) -> py_mem_leak:result().
leak_test(Module, Function, Args) ->
    leak_test(Module, Function, Args, #{}).

%% @doc Whether a function leaks: ``ok = py_mem:leak_test(json, dumps, [[1, 2]])''. If it
%% does: ``{leak, #{kind := python, bytes_per_call := 1064,
%% sites := [#{file := _, line := 12, function := <<"remember">>} | _]}}''.
%%
%% A pool of one worker, `py_leak_test', is started for it, with the options of the pool
%% `default' or `#{pool => Name}' and what `exec_all' has defined there, so no other call
%% is in the way; one test can run at a time. It is called 100 times (`warmup'), then
%% 1000 times (`runs'), and measured eight times after a collection meanwhile. What fills up
%% once or goes up and down is no leak. What grows steadily has to do so again, in twice
%% as many calls; where it is not clear, they are doubled once or twice more. The caches
%% of `functools.lru_cache' are emptied, if they have a limit, and so is that of `re'. A
%% function that fails, or whose result cannot be sent, ends the test with its error; so
%% does a limit that it meets, and whatever else ends its worker.
%%
%% `kind' is what grows most: `python', the objects; `c', what C code has taken from
%% `malloc' or mapped; or `fragmentation', what is free in pieces that nobody can give
%% back. `sites' are the lines that have allocated what remains, found by tracing while
%% it is called once more as often, those with most first, five at most; `frames' is how
%% one comes to a line, the outermost first. Lines of C code are not known. A cache that is filled by more calls than that looks like a leak.
-spec leak_test(py:name(), py:name(), py:args(),
                #{pool => atom(), runs => pos_integer(), warmup => non_neg_integer()}) ->
          py_mem_leak:result().
leak_test(Module, Function, Args, Options) ->
    py_mem_leak:test(py_args:call(Module, Function, Args, #{}), py_args:leak_test(Options)).

%% @doc All pools, by name, with all that is known of their workers:
%% ``[#{name := default, workers := [#{id := 1, state := idle, rss := _} | _]} | _] =
%% py_mem:overview()''. A pool's map has what {@link py:info/1} has, without the
%% options, and its limits as `memory'; a worker's map is the one there, with the
%% numbers of {@link py:memory_stats/1}. Workers that have nothing to do are not asked
%% and not woken, so this can be called every second.
-spec overview() -> [map()].
overview() ->
    py_mem_overview:all().

%% @doc Prints a table of all pools and their workers, to be read in the shell:
%% ``ok = py_mem:report()''. It begins with all of them, then comes each pool:
%%
%% <dl>
%% <dt>its line</dt><dd>workers, how many are busy, calls that wait, what all workers
%%   have in memory, the pool's budget if it has one; what was recycled, and what is
%%   refused</dd>
%% <dt>`rss', `peak', `growth'</dt><dd>in memory now, at most, and added since the
%%   worker was ready</dd>
%% <dt>`/min'</dt><dd>by how much it has grown in each of the last ten minutes; if it has
%%   a limit `rss', below the table stands when it will reach it</dd>
%% <dt>`limit'</dt><dd>of its limits the one that it has used most of</dd>
%% <dt>`mostly'</dt><dd>what the memory is, as {@link py:memory_stats/2} has it as
%%   `diagnosis'; what the words mean stands at the end</dd>
%% </dl>
%% `K', `M' and `G' are a thousand, a million and a thousand million bytes. What cannot
%% be known is left empty. It takes as long as `memory_stats' with `detail'.
-spec report() -> ok.
report() ->
    print(py_mem_overview:detailed()).

%% @doc The same of one pool, or of one worker: ``ok = py_mem:report({pdf, 2})''.
-spec report(py:target()) -> ok | {error, term()}.
report(Target) ->
    case py_mem_overview:detailed(Target) of
        {ok, Pools} -> print(Pools);
        {error, _} = Error -> Error
    end.

print(Pools) ->
    io:put_chars([[Line, $\n] || Line <- py_mem_report:lines(Pools)]).
