%% SPDX-License-Identifier: Apache-2.0
%%
%% Memory of workers: statistics.
-module(py_mem_stats).

-export([stats/2, of_pool/2]).

-include("py.hrl").

%% Statistics are there within 100 ms, whatever the workers do.
-define(STATS_LIMIT, 90).

-spec stats(py_target:target(), Detail :: boolean()) -> py_target:answer().
stats(Target, Detail) ->
    py_target:run(Target, fun(Pool, Workers) -> ask(Pool, Workers, Detail) end, fun together/2).

together(#pool{size = Size} = Pool, Results) ->
    Known = [Known || Slot <- lists:seq(1, Size),
                      Known <- [py_pool_board:memory(Pool, Slot)], Known =/= none],
    {ok, of_pool(py_worker_memory:counted(Known), [Stats || {_, {ok, Stats}} <- Results])}.

%% The kernel comes first: while many programs answer, each of its files would have
%% to wait for a processor. Only what takes it long is read meanwhile.
ask(Pool, Workers, Detail) ->
    Deadline = py_time:deadline(?STATS_LIMIT),
    Seen = [outside(Worker) || Worker <- Workers],
    Sent = py_fanout:send(Workers, urgent, memory_stats, Deadline),
    More = [inside(Worker, Deadline, Detail) || Worker <- Workers],
    Outside = lists:zipwith(fun maps:merge/2, Seen, More),
    Results = py_fanout:collect(Sent, Deadline),
    lists:zipwith(fun(Known, Result) -> of_worker(Pool, Known, Result) end, Outside, Results).

outside({Id, _, OsPid}) ->
    (py_os_proc:memory(OsPid))#{id => Id, os_pid => OsPid}.

inside({_, Pid, OsPid}, Deadline, Detail) ->
    maps:merge(shares(Detail, OsPid), calls(py_worker:info(Pid, py_time:left(Deadline)))).

shares(true, OsPid) -> py_os_proc:shares(OsPid);
shares(false, _) -> #{}.

calls(#{state := down}) -> #{};
calls(Info) -> maps:with([calls], Info).

%% A worker that cannot answer in time is busy: it is shown with the last numbers
%% that are known of it.
of_worker(_, _, {_, {error, {worker_exit, _}}} = Ended) ->
    Ended;
of_worker(Pool, Seen, {{Id, Pid, _} = Worker, Result}) ->
    Now = py_time:now_ms(),
    learn(Pool, Id, Pid, Result, Now),
    Known = py_worker_memory:of_worker(Pid, Now, py_pool_board:memory(Pool, Id)),
    {Worker, {ok, grown(maps:merge(Seen#{busy => element(1, Result) =/= ok}, Known))}}.

learn(Pool, Id, Pid, {ok, Numbers}, Now) ->
    py_pool_board:update_memory(Pool, Id, fun(Known) ->
        py_worker_memory:learn(Pid, Numbers, Now, Known)
    end);
learn(_, _, _, {error, _}, _) ->
    ok.

grown(#{rss := Rss, baseline := Baseline} = Stats) -> Stats#{growth => Rss - Baseline};
grown(Stats) -> Stats.

%% A pool's memory, made of its workers' own maps: what their collectors did is
%% counted elsewhere, the fullest counts are shown, the thresholds are the first
%% one's; traced bytes are there while some worker traces. Pure.
-spec of_pool(py_worker_memory:generations(), [map()]) -> map().
of_pool(Counted, Workers) ->
    Base = #{gc_stats => Counted,
             gc_count => lists:max([{0, 0, 0} | values(gc_count, Workers)]),
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
