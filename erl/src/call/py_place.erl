%% SPDX-License-Identifier: Apache-2.0
%%
%% Where a request finds a worker: one that has room now, or the one to which the pool's
%% queue sends it, or the one that it names. A worker that becomes busy passes it on.
-module(py_place).

-export([anywhere/3, at/4, go/4, find/3, arrived/2, ask/3, check/2, is_threaded/3]).
-export_type([place/0]).

-include("py.hrl").

%% A worker with room for a request: one that was picked, or the one to which the pool's
%% queue has sent it.
-type place() :: {go | sent, pid()}.

%% How long to wait for a worker that is just coming or going (ms).
-define(PAUSE, 1).

%% On this worker and no other. One that was only just made known may not be live
%% yet, and one that ends may not have left yet.
-spec at(pos_integer(), #pool{}, #req{}, py_ask:watch()) -> py_request:outcome().
at(Id, #pool{name = Name} = Pool, #req{deadline = Deadline} = Req, Watch) ->
    case py_pool_board:worker(Pool, Id) of
        [{_, Worker, _}] ->
            case ask(Worker, Req, Watch) of
                again -> at_again(py_time:left(Deadline), Id, Pool, Req, Watch);
                Answer -> {Worker, Answer}
            end;
        [] ->
            {none, {error, {no_worker, {Name, Id}}}}
    end.

at_again(0, _, _, _, _) ->
    {none, {error, timeout}};
at_again(_, Id, Pool, Req, Watch) ->
    timer:sleep(?PAUSE),
    case py_pool_load:is_stopping(Pool) of
        true -> {none, py_pool_board:refusal(Pool)};
        false -> at(Id, Pool, Req, Watch)
    end.

%% On any worker.
-spec anywhere(#pool{}, #req{}, py_ask:watch()) -> py_request:outcome().
anywhere(Pool, Req, Watch) ->
    go(find(Pool, Req, Watch), Pool, Req, Watch).

%% There, and perhaps from there elsewhere. The function may have been refused since its
%% caller began to wait. Then the worker does not know that it still has room.
-spec go(place() | {error, term()}, #pool{}, #req{}, py_ask:watch()) -> py_request:outcome().
go({error, _} = Error, _, _, _) ->
    {none, Error};
go({_, Worker} = Place, Pool, #req{what = What} = Req, Watch) ->
    case check(Pool, What) of
        {ok, _} ->
            go_there(Place, Pool, Req, Watch);
        {error, _} = Refused ->
            arrived(Place, Pool),
            py_worker:report(Worker),
            {none, Refused}
    end.

%% A request has come to its place, or will not: when a pool stops, those that its queue
%% has sent to a worker are waited for.
-spec arrived(place(), #pool{}) -> ok.
arrived({go, _}, _) -> ok;
arrived({sent, _}, Pool) -> py_pool_load:arrived(Pool).

%% A worker that becomes busy puts what it has not started into the pool's
%% queue, which answers with another place.
go_there({_, Worker} = Place, Pool, Req, Watch) ->
    case brought(Place, Pool, Req, Watch) of
        {sent, _} = Next -> go(Next, Pool, Req, Watch);
        again -> elsewhere(Pool, Req#req{returned = true}, Watch);
        {error, {overloaded, handles, _}} = Full -> with_room(Worker, Full, Pool, Req, Watch);
        Answer -> {Worker, Answer}
    end.

%% The first of the others that may have one more object with a handle, even if that has
%% to be waited for.
with_room(Worker, Full, Pool, Unnamed, Watch) ->
    Req = Unnamed#req{bound = true, named = true},
    Ids = [Id || {Id, Pid, _} <- py_pool_board:workers(Pool), Pid =/= Worker],
    first_with_room(Ids, {Worker, Full}, Pool, Req, Watch).

first_with_room([], Full, _, _, _) -> Full;
first_with_room([Id | Ids], Full, Pool, Req, Watch) ->
    case at(Id, Pool, Req, Watch) of
        {_, {error, {overloaded, handles, _}}} -> first_with_room(Ids, Full, Pool, Req, Watch);
        {_, {error, {no_worker, _}}} -> first_with_room(Ids, Full, Pool, Req, Watch);
        Outcome -> Outcome
    end.

%% A worker of a pool that stops gives back what comes too late.
elsewhere(Pool, Req, Watch) ->
    case py_pool_load:is_stopping(Pool) of
        true -> {none, py_pool_board:refusal(Pool)};
        false -> anywhere(Pool, Req, Watch)
    end.

%% Nobody overtakes those who wait in the queue.
-spec find(#pool{}, #req{}, py_ask:watch()) -> place() | {error, term()}.
find(Pool, Req, Watch) ->
    case py_pool_load:has_waiting(Pool) of
        false ->
            case py_pool_board:pick(Pool) of
                {ok, Worker} -> {go, Worker};
                full -> queue_up(Pool, Req, Watch)
            end;
        true ->
            queue_up(Pool, Req, Watch)
    end.

queue_up(Pool, Req, Watch) ->
    case py_pool_board:pool(Pool) of
        {ok, Pid} ->
            case to_queue(Pid, Req#req{body = []}, Watch) of
                again -> py_pool_board:refusal(Pool);
                Answer -> Answer
            end;
        {error, _} = Error ->
            Error
    end.

%% Whether what it does is refused just now.
-spec check(#pool{}, py_wire:what()) -> {ok, #pool{}} | {error, {quarantined, term(), term()}}.
check(#pool{refuses = false} = Pool, _) ->
    {ok, Pool};
check(Pool, What) ->
    case py_pool_board:why_refused(Pool, py_wire:named(What)) of
        none -> {ok, Pool};
        Why -> {error, {quarantined, What, Why}}
    end.

%% ---------------------------------------------------------------------------
%% Asking a process of the pool

brought({go, Worker}, _, Req, Watch) ->
    ask(Worker, Req, Watch);
brought({sent, Worker} = Place, Pool, Req, Watch) ->
    Send = fun(From) ->
        ok = py_worker:request(Worker, Req#req{reply_to = From}),
        arrived(Place, Pool)
    end,
    py_result:answer(py_ask:call(Worker, Send, Watch)).

%% This worker, whose answer may be that the request has to go elsewhere.
-spec ask(pid(), #req{}, py_ask:watch()) -> py_result:answer().
ask(Worker, Req, Watch) ->
    Send = fun(From) -> py_worker:request(Worker, Req#req{reply_to = From}) end,
    py_result:answer(py_ask:call(Worker, Send, Watch)).

to_queue(Pool, Req, Watch) ->
    Send = fun(From) -> py_pool:enter(Pool, Req#req{reply_to = From}) end,
    py_result:answer(py_ask:call(Pool, Send, Watch)).

%% Whether a program with threads may run it on one of them, beside others: it says so
%% then, and in no other case (op_may_run_aside in port/op/op.c).
-spec is_threaded(kind(), py_wire:op(), map()) -> boolean().
is_threaded(urgent, _, _) -> false;
is_threaded(_, Op, Wire) when is_tuple(Op) ->
    lists:member(element(1, Op), [call, eval, method, keep, stream]) andalso not is_map_key(context, Wire);
is_threaded(_, _, _) -> false.
