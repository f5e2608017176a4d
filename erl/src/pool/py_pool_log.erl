%% SPDX-License-Identifier: Apache-2.0
%%
%% What the log says about the ends of a pool's workers, one event for each death; and
%% what stays known about them.
-module(py_pool_log).

-export([ended/4, remember/3]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

%% A worker's process has ended, with this exit reason.
-spec ended(pos_integer(), pos_integer() | undefined, Reason :: term(), #pool{}) -> ok.
ended(_, _, shutdown, _) ->
    ok;
ended(_, _, {shutdown, Why}, _) when Why =:= restarted; Why =:= recycled ->
    ok;
ended(Id, OsPid, {shutdown, {python_start, Text}}, #pool{name = Name} = Pool) ->
    ?LOG_ERROR("worker ~p of pool ~tp could not start: ~ts", [Id, Name, Text],
               py_talk_log:metadata(Pool, Id, OsPid));
ended(Id, OsPid, {shutdown, {worker_exit, {memory, Excess}}}, Pool) ->
    _ = spawn(fun() -> killed(Id, OsPid, Excess, Pool) end),
    ok;
ended(Id, OsPid, Reason, #pool{name = Name} = Pool) ->
    ?LOG_WARNING("worker ~p of pool ~tp (os pid ~p) ended: ~tp",
                 [Id, Name, OsPid, why(Reason)], py_talk_log:metadata(Pool, Id, OsPid)).

%% It takes a moment to find out what the pool's other programs have in memory.
killed(Id, OsPid, Excess, #pool{name = Name} = Pool) ->
    #{rss := Rss, limit := Limit, running := Running} = Excess,
    After = py_os_group:rss([P || {_, _, P} <- py_pool_board:programs(Pool)]),
    Meta = (py_talk_log:metadata(Pool, Id, OsPid))#{before => After + Rss, 'after' => After},
    ?LOG_WARNING("worker ~p of pool ~tp (os pid ~p) was killed while it ran ~ts: it had ~ts, more "
                 "than its limit of ~ts; the pool's workers have ~ts now, ~ts before",
                 [Id, Name, OsPid, what(Running), amount(Excess), mb(Limit), mb(After),
                  mb(After + Rss)], Meta).

what({Module, Function, Arity}) -> io_lib:format("~ts:~ts/~b", [Module, Function, Arity]);
what(none) -> "nothing";
what(Op) -> atom_to_list(Op).

amount(#{group := Bytes}) -> [mb(Bytes), " with its children"];
amount(#{rss := Bytes}) -> mb(Bytes).

mb(Bytes) -> io_lib:format("~.1f MB", [Bytes / 1_000_000]).

%% The worker itself wrote down why, unless it was killed.
-spec remember(pid(), Reason :: term(), #pool{}) -> ok.
remember(Worker, Reason, Pool) ->
    _ = py_pool_board:why_died(Pool, Worker) =:= unknown
        andalso py_pool_board:died(Pool, Worker, why(Reason)),
    ok.

%% The end as its callers hear of it.
why({shutdown, {worker_exit, Why}}) -> Why;
why({shutdown, Why}) -> Why;
why(Why) -> Why.
