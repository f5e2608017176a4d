%% SPDX-License-Identifier: Apache-2.0
%%
%% Memory of workers: statistics, collection, giving back, tracing.
-module(py_mem).

-export([stats/2, gc/2, trim/1, trace/2]).
-export([of_pool/2, trimmed/3]).

-include("py.hrl").

%% Statistics are there within 100 ms, whatever the workers do.
-define(STATS_LIMIT, 90).

%% ---------------------------------------------------------------------------
%% Statistics

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

%% ---------------------------------------------------------------------------
%% Collection and giving back

%% Collects: how many objects were found, in a pool in all of its workers; with
%% `trim' also how many bytes were given back.
-spec gc(py_target:target(), #{generation := 0..2, trim := boolean()}) -> py_target:answer().
gc(Target, #{generation := Generation, trim := false}) ->
    py_target:run(Target, everywhere({gc, Generation}), fun sum/2);
gc(Target, #{generation := Generation, trim := true}) ->
    py_target:run(Target, fun(Pool, Workers) ->
        give_back(Workers, fun() ->
            Found = (everywhere({gc, Generation}))(Pool, Workers),
            lists:zipwith(fun both/2, Found, (everywhere(trim))(Pool, Workers))
        end)
    end, fun sum_maps/2).

both({_, {ok, N}}, {Worker, ok}) -> {Worker, {ok, #{collected => N}}};
both({_, {error, _}} = Failed, _) -> Failed;
both(_, Failed) -> Failed.

%% Gives back what malloc has free: how many bytes.
-spec trim(py_target:target()) -> py_target:answer().
trim(Target) ->
    py_target:run(Target, fun(Pool, Workers) ->
        give_back(Workers, fun() -> (everywhere(trim))(Pool, Workers) end)
    end, fun sum/2).

%% By how much each worker has shrunk while it did what it was asked.
give_back(Workers, Ask) ->
    Before = [rss(OsPid) || {_, _, OsPid} <- Workers],
    Results = Ask(),
    lists:zipwith(fun({{_, _, OsPid} = Worker, Result}, Rss) ->
        {Worker, trimmed(Result, Rss, rss(OsPid))}
    end, Results, Before).

rss(OsPid) ->
    maps:get(rss, py_os_proc:memory(OsPid), 0).

%% A worker's result. It may have grown, if a call was under way. Pure.
-spec trimmed(py_result:result(), Before :: non_neg_integer(), After :: non_neg_integer()) ->
          {ok, non_neg_integer() | map()} | {error, term()}.
trimmed(ok, Before, After) -> {ok, max(0, Before - After)};
trimmed({ok, Map}, Before, After) -> {ok, Map#{returned => max(0, Before - After)}};
trimmed({error, {'NotImplementedError', _}}, _, _) -> {error, {unsupported, trim}};
trimmed({error, _} = Error, _, _) -> Error.

sum(_, Results) ->
    py_fanout:sum(Results).

sum_maps(_, Results) ->
    case py_fanout:all_ok(Results) of
        ok -> {ok, lists:foldl(fun add/2, #{collected => 0, returned => 0}, Results)};
        {error, _} = Error -> Error
    end.

add({_, {ok, Map}}, Sum) -> maps:merge_with(fun(_, A, B) -> A + B end, Map, Sum);
add({_, {error, _}}, Sum) -> Sum.

%% ---------------------------------------------------------------------------
%% Tracing

%% Starts or stops tracing. A pool's name means its workers to come, too.
-spec trace(py_target:target(), py_wire:op()) -> py_target:answer().
trace(Name, Op) when is_atom(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) -> trace_pool(Pool, Op) end);
trace(Target, Op) ->
    py_target:run(Target, everywhere(Op), fun(_, Results) -> py_fanout:all_ok(Results) end).

trace_pool(Pool, Op) ->
    case py_pool:trace(Pool, tracing(Op)) of
        {ok, Workers} -> py_fanout:all_ok((everywhere(Op))(Pool, Workers));
        {error, _} = Error -> Error
    end.

tracing({tracemalloc_start, NFrame}) -> NFrame;
tracing(tracemalloc_stop) -> off.

everywhere(Op) ->
    fun(#pool{timeout = Timeout}, Workers) ->
        py_fanout:ask(Workers, urgent, Op, py_time:deadline(Timeout))
    end.
