%% SPDX-License-Identifier: Apache-2.0
%%
%% Memory of workers: statistics.
-module(py_mem_stats).

-export([stats/2, of_pool/2]).

-include("py.hrl").

%% Statistics are there within 100 ms, whatever the workers do.
-define(STATS_LIMIT, 80).

-spec stats(py_target:target(), Detail :: boolean()) -> py_target:answer().
stats(Target, Detail) ->
    py_target:run(Target, fun(Pool, Workers) -> ask(Pool, Workers, Detail) end, fun together/2).

together(#pool{size = Size} = Pool, Results) ->
    Known = [Known || Slot <- lists:seq(1, Size),
                      Known <- [py_pool_board:memory(Pool, Slot)], Known =/= none],
    {ok, of_pool(py_worker_memory:counted(Known), [Stats || {_, {ok, Stats}} <- Results])}.

%% The kernel comes first: while many programs answer, reading each of its files would
%% have to wait for a processor. Only what takes the kernel long is read meanwhile.
ask(Pool, Workers, Detail) ->
    Deadline = py_time:deadline(?STATS_LIMIT),
    Seen = [{Worker, seen(Pool, Worker)} || Worker <- Workers],
    Awake = [Worker || {Worker, {awake, _}} <- Seen],
    Sent = py_fanout:send(Awake, urgent, memory_stats, Deadline),
    Own = [own(Pool, Worker, State, Deadline) || {Worker, {State, _}} <- Seen],
    More = details(Detail, Workers, [Doing || {Doing, _} <- Own], Deadline),
    Answers = maps:from_list(py_fanout:collect(Sent, Deadline)),
    [{Worker, of_worker(Pool, Worker, maps:merge(maps:merge(Kernel, Calls), Details),
                        maps:get(Worker, Answers, State))}
     || {{Worker, {State, Kernel}}, {_, Calls}, Details} <- lists:zip3(Seen, Own, More)].

%% A program that has nothing to do is not asked: what it said when it became idle is
%% still true. One that is stopped cannot answer.
seen(Pool, {Id, Pid, OsPid}) ->
    Kernel = (py_os_proc:memory(OsPid))#{id => Id, os_pid => OsPid},
    case {maps:take(stopped, Kernel), py_pool_board:resting(Pool, Id, Pid)} of
        {{true, Rest}, _} -> {stopped, Rest};
        {error, {true, Calls}} -> {{resting, Calls}, Kernel};
        {error, false} -> {awake, Kernel}
    end.

%% What the worker itself knows: what it does, and how many calls it has had. If it
%% does not answer, what it said when it last did something counts.
own(_, _, {resting, Calls}, _) ->
    {resting, #{calls => Calls}};
own(Pool, {Id, Pid, _}, State, Deadline) ->
    case py_worker:info(Pid, py_time:left(Deadline)) of
        #{state := down} -> {down, maps:with([calls], py_pool_load:use(Pool, Id))};
        #{calls := Calls} when State =:= stopped -> {stopped, #{calls => Calls}};
        #{state := Doing, calls := Calls} -> {Doing, #{calls => Calls}}
    end.

details(true, Workers, Doing, Deadline) -> py_mem_detail:of_workers(Workers, Doing, Deadline);
details(false, Workers, _, _) -> [#{} || _ <- Workers].

%% A worker that cannot answer in time is busy: it is shown with its last known
%% numbers.
of_worker(Pool, {Id, Pid, _} = Worker, Outside, {ok, Numbers}) ->
    py_worker_rest:learn(Pool, Id, Pid, Numbers),
    {ok, known(Pool, Worker, Outside#{busy => false})};
of_worker(_, _, _, {error, {worker_exit, _}} = Ended) ->
    Ended;
of_worker(Pool, Worker, Outside, {resting, _}) ->
    {ok, known(Pool, Worker, Outside#{busy => false})};
of_worker(Pool, Worker, Outside, _) ->
    {ok, known(Pool, Worker, Outside#{busy => true})}.

known(Pool, {Id, Pid, _}, Outside) ->
    Known = py_worker_memory:of_worker(Pid, py_time:now_ms(), py_pool_board:memory(Pool, Id)),
    py_mem_limit:show(py_pool_board:limits(Pool, Pid), grown(maps:merge(Outside, Known))).

grown(#{rss := Rss, baseline := Baseline} = Stats) -> Stats#{growth => Rss - Baseline};
grown(Stats) -> Stats.

%% A pool's memory, made of its workers' own maps: what their collectors did is
%% counted elsewhere, the fullest counts are shown, the thresholds are the first
%% one's; traced bytes are there while some worker traces. Pure.
-spec of_pool(py_worker_memory:counted(), [map()]) -> map().
of_pool(Counted, Workers) ->
    Base = Counted#{gc_count => lists:max([{0, 0, 0} | values(gc_count, Workers)]),
                    gc_threshold => first(values(gc_threshold, Workers)),
                    answered => length([busy || #{busy := false} <- Workers]),
                    asked => length(Workers),
                    workers => Workers},
    lists:foldl(fun(Key, Stats) -> traced(Key, values(Key, Workers), Stats) end,
                Base, [traced_memory_current, traced_memory_peak]).

values(Key, Maps) ->
    [Value || #{Key := Value} <- Maps].

first([Value | _]) -> Value;
first([]) -> {0, 0, 0}.

traced(_, [], Stats) -> Stats;
traced(Key, Values, Stats) -> Stats#{Key => lists:sum(Values)}.
