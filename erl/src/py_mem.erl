%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc Python's memory, for people who investigate it.
%%
%% What you need every day is in {@link py}: `memory_stats', `gc', `trim',
%% `tracemalloc_start'. The functions here take the same targets: a pool, one of
%% its workers as `{Pool, Id}', or `{Pool, all}', which gives each worker's answer
%% by itself: `{ok, [{Id, Answer}]}'. Settings of a pool also hold for its future
%% workers; those of `{Pool, Id}' and `{Pool, all}' end with the worker.
%% `docs/memory.md' says when they help, and `docs/leaks.md' how to find a leak.
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

%% What has to pile up in each generation before it is collected; with 0 in the first
%% place, Python does not collect by itself.
-type threshold() :: {non_neg_integer(), non_neg_integer(), non_neg_integer()}.

%% @doc Begins `peak' in {@link py:memory_stats/1} anew: it is then the most that was in
%% memory since this call: ``ok = py_mem:reset_peak(pdf)''. `traced_memory_peak', and the
%% peak of the heap if that is counted, begin anew, too. If the kernel does not let us
%% reset its number: `{error, {unsupported, reset_peak}}'.
-spec reset_peak(py:target()) -> ok | py:each() | {error, term()}.
reset_peak(Target) ->
    py_mem_tend:reset_peak(Target).

%% What snapshot/1 gives: an Erlang term, no part of which is in a worker.
-type snapshot() :: py_mem_sites:snapshot().

%% What is summed up, and how many rows there are (10); which files count, as
%% patterns with `*' and `?': those that match one of `include' and none of
%% `exclude'. The file is that of the line where the memory was allocated.
-type traced_options() :: #{by => line | file | traceback,
                            top => 1..100000,
                            include => unicode:chardata() | [unicode:chardata()],
                            exclude => unicode:chardata() | [unicode:chardata()]}.

%% @doc When Python collects garbage by itself: ``{ok, {700, 10, 10}} = py_mem:gc_threshold(pdf)''.
%% A pool's thresholds are those of its first worker.
-spec gc_threshold(py:target()) -> {ok, threshold()} | py:each() | {error, term()}.
gc_threshold(Target) ->
    py_mem_tend:thresholds(Target).

%% @doc Sets the thresholds: ``ok = py_mem:gc_threshold(pdf, {50000, 20, 20})''.
-spec gc_threshold(py:target(), threshold()) -> ok | py:each() | {error, term()}.
gc_threshold(Target, Threshold) ->
    py_mem_tend:set(Target, py_args:gc_threshold(Threshold)).

%% @doc Takes the objects that are there now out of the collector's sight, for ever:
%% ``ok = py_mem:gc_freeze(pdf)''. The collector has less to look at then, and a forked
%% child shares more of its pages. For workers that start later call it again, or do
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
%% `{Ago, Rss}', milliseconds and bytes, the oldest first: one for each of the latest
%% seconds, and fewer of longer ago, so that there are never more than some hundreds.
%% `slope' is how many bytes a second it grows, by a straight line through them. If there
%% is a limit `rss', the map has it as `limit' and, while the worker grows,
%% `reaches_limit_in', in milliseconds. `#{last => 60000}' looks at the last minute only.
%% A pool's map has its workers' maps as `workers', and the sum of their slopes.
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
%% With `#{by => file}' there are neither lines nor functions; with
%% `#{by => traceback}' there are `frames' instead, the outermost one first, as many as
%% tracing was started with. Python stands still for about a
%% second for each million blocks, and needs 200 bytes for each meanwhile.
%% `{error, {not_tracing, Target}}': tracing is off.
-spec traced(py:target(), traced_options()) -> {ok, [map()]} | py:each() | {error, term()}.
traced(Target, Options) ->
    py_mem_traced:traced(Target, py_args:traced(Options)).

%% @doc All that `traced/2' chooses from, to be compared later:
%% ``{ok, Before} = py_mem:snapshot(pdf)''. It is an Erlang term and keeps nothing in
%% a worker. For each worker it has the 10000 tracebacks with most memory, with 32
%% frames at most, and of the others the 10000 lines with most; so it is never larger
%% than some MB for each. Errors are those of `traced/2'.
-spec snapshot(py:target()) -> {ok, snapshot()} | py:each() | {error, term()}.
snapshot(Target) ->
    py_mem_traced:snapshot(Target).

%% @equiv diff(Before, After, #{})
-spec diff(snapshot(), snapshot()) -> {ok, [map()]} | {error, term()}.
diff(Before, After) ->
    diff(Before, After, #{}).

%% @doc What has changed from one snapshot to a later one, the largest growth first:
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
%% py_mem:objects(pdf)''. There are ten rows at most, or N with `#{top => N}'. A pool's
%% rows are summed over its workers. The bytes are those of `sys.getsizeof': a list
%% counts without what is in it.
%%
%% All containers are counted, garbage among them until it is collected ({@link
%% py:gc/1}), and what is in containers. What only C code refers to, or a variable of
%% a running function, may be missing if it is not a container itself. Python stands
%% still meanwhile, for some 0.1 s for each million objects, and before Python 3.12
%% needs 8 bytes for each. A worker that cannot answer within the pool's `timeout'
%% gives `{error, timeout}'.
-spec objects(py:target(), #{top => 1..100000} | py:keywords()) ->
          {ok, [map()]} | py:each() | {error, term()}.
objects(Target, Options) ->
    py_mem_census:objects(Target, py_args:census(Options)).

%% @equiv growth(Target, #{})
-spec growth(py:target()) -> {ok, [map()]} | py:each() | {error, term()}.
growth(Target) ->
    growth(Target, #{}).

%% @doc What has been added since the last look at the same workers, by type, the
%% largest growth first: ``{ok, [#{type := <<"app.Order">>, count_diff := 1000} | _]} =
%% py_mem:growth(pdf)''. The rows are those of `objects/2' with `bytes_diff' and
%% `count_diff', which may be less than 0; what has not changed is not there. The
%% first look at a worker has nothing to compare with and gives no rows. What was seen
%% last is kept in the worker, by type, some 100 bytes for each; everybody who asks
%% shares it.
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
%% py_mem:referrers(pdf, <<"app.Order">>)''. Ten objects of the type are taken at random
%% in each worker, or N with `#{sample => N}', at most 100. `root' is what the path begins
%% with: a `module'; a running function's `frame', with its file, line and thread; a
%% `thread', by the exception that it handles; `cycle': the objects keep only each
%% other, and the collector will free them if it runs; or `unknown': C code, a frame
%% that nobody sees, or something beyond what was searched. `path' is written as in
%% Python; it is that of the first of `count' objects whose paths differ only in keys and
%% indexes. `holders' are the types on the way, the object's own last.
%%
%% It searches for the shortest path, for 5 s at most, and each step is a look at all
%% objects, like that of `objects/2'; it remembers 20000 of them, 2 MB at most. Before
%% Python 3.13, what the variables of running functions refer to at that time is kept
%% until the function returns. `{error, {no_type, Type}}': no class has the name.
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
%% names, and there are ten rows at most, or N with `#{top => N}'.
%%
%% `memory' orders by `growth', the bytes of Python's heap that calls have left
%% behind, `time' by the `time' that they took in all, and `calls' by how many there were.
%% `peak' is the most that one call needed beyond what was there, `rss_growth' what
%% was added to the process's memory meanwhile, `p50' and `p99' how long a call took: half
%% of them, and 99 of 100, were quicker. Times are microseconds in the worker, without
%% the wait for it; p50 and p99 are right within an eighth. A pool's rows cover all
%% workers that it has had, and `workers' are the slots where the function ran.
%%
%% Each slot has room for 200 functions, 1 KB for each; what comes later is counted as
%% `other', and so is what has a name of more than 255 bytes. In a large heap `growth' and
%% `peak' are measured in some calls, chosen at random, and `growth' is an estimate for
%% all. Calls that did not end by themselves are missing, and so are streams. What
%% Python's threads do meanwhile is on the bill of the call that runs.
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
%% A pool of one worker, `py_leak_test', is started for the test, with the options of the
%% pool `default' or `#{pool => Name}' and what `exec_all' has defined there, so no other
%% call is in the way; one test can run at a time. The function is called 100 times
%% (`warmup'), then 1000 times (`runs'); during these, memory is measured eight times,
%% each time after a collection. What fills up
%% once or goes up and down is not a leak. What grows steadily has to do so again, in twice
%% as many calls; where it is not clear, they are doubled once or twice more. The caches
%% of `functools.lru_cache' are emptied, if they have a limit, and so is that of `re'. A
%% function that fails, or whose result cannot be sent, ends the test with its error; so
%% does a limit that it runs into, and whatever else ends its worker.
%%
%% `kind' is what grows most: `python', the objects; `c', what C code has taken from
%% `malloc' or mapped; or `fragmentation', what is free in pieces that nobody can give
%% back. `sites' are the lines that have allocated what remains, found by tracing while
%% the function is called as often again, those with most first, five at most; `frames'
%% is how the program got to a line, the outermost frame first. Lines of C code are not
%% known. A cache that takes more calls than that to fill looks like a leak.
-spec leak_test(py:name(), py:name(), py:args(),
                #{pool => atom(), runs => pos_integer(), warmup => non_neg_integer()}) ->
          py_mem_leak:result().
leak_test(Module, Function, Args, Options) ->
    py_mem_leak:test(py_args:call(Module, Function, Args, #{}), py_args:leak_test(Options)).

%% @doc All pools, by name, with all that is known about their workers:
%% ``[#{name := default, workers := [#{id := 1, state := idle, rss := _} | _]} | _] =
%% py_mem:overview()''. A pool's map has what {@link py:info/1} has, without the
%% options, and its limits as `memory'; a worker's map is the one there, with the
%% numbers of {@link py:memory_stats/1}. Workers that have nothing to do are not asked
%% and not woken, so this can be called every second.
-spec overview() -> [map()].
overview() ->
    py_mem_overview:all().

%% @doc Prints a table of all pools and their workers, for reading in the shell:
%% ``ok = py_mem:report()''. It begins with a summary, then comes each pool:
%%
%% <dl>
%% <dt>its line</dt><dd>workers, how many are busy, calls that wait, what all workers
%%   have in memory, the pool's budget if it has one; what was recycled, and what is
%%   refused</dd>
%% <dt>`rss', `peak', `growth'</dt><dd>in memory now, at most, and added since the
%%   worker was ready</dd>
%% <dt>`/min'</dt><dd>by how much it has grown in each of the last ten minutes; if it has
%%   a limit `rss', a line below the table says when it will reach that</dd>
%% <dt>`limit'</dt><dd>the one of its limits that it has used most of</dd>
%% <dt>`mostly'</dt><dd>what the memory is, the `diagnosis' of {@link py:memory_stats/2};
%%   the end of the report says what the words mean</dd>
%% </dl>
%% `K', `M' and `G' are a thousand, a million and a thousand million bytes. What cannot
%% be known is left empty. It takes as long as `memory_stats' with `detail'.
-spec report() -> ok.
report() ->
    print(py_mem_overview:detailed()).

%% @doc The same for one pool, or for one worker: ``ok = py_mem:report({pdf, 2})''.
-spec report(py:target()) -> ok | {error, term()}.
report(Target) ->
    case py_mem_overview:detailed(Target) of
        {ok, Pools} -> print(Pools);
        {error, _} = Error -> Error
    end.

print(Pools) ->
    io:put_chars([[Line, $\n] || Line <- py_mem_report:lines(Pools)]).
