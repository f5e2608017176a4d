%% SPDX-License-Identifier: Apache-2.0
%%
%% The callers that wait in a pool for a place, in the order in which their
%% requests first arrived: a request that a worker gave back takes its old place.
%% Each caller is watched, so that a dead one keeps no place; one timer is armed
%% for the first whose patience ends. A process waits once at a time.
%%
%% There may be a hundred thousand of them. So whatever happens to one costs as
%% much as finding its place in a tree. There are two trees: one in order of arrival,
%% the other in order of the moments at which patience ends. They are tables, because
%% collecting the garbage of a process with that many terms would stop the pool for a
%% while.
-module(py_pool_queue).

-export([new/3, waiting/1, enter/2, grant/1, timed_out/2, gone/2, broken/2, out_of_time/1]).
-export_type([queue/0]).

-include("py.hrl").

-type ticket() :: {Arrival :: integer(), Caller :: pid()}.

-record(queue, {
    pool :: #pool{},
    max :: non_neg_integer(),
    patience :: timeout(),
    waiters = ets:new(waiters, [ordered_set]) :: ets:table(),   % {Ticket, #req{}}
    ends = ets:new(ends, [ordered_set]) :: ets:table(),         % {{Until, Ticket}}
    tickets = #{} :: #{pid() => {Ticket :: ticket(), Until :: py_time:deadline()}},
    callers = py_watch:new() :: py_watch:callers(),
    broken = none :: none | {error, term()},    % why there is no worker
    armed = infinity :: py_time:deadline(),     % when the timer ends
    timer = none :: none | reference()
}).

-opaque queue() :: #queue{}.

%% How many may wait, and how long each.
-spec new(#pool{}, non_neg_integer(), timeout()) -> queue().
new(Pool, Max, Patience) ->
    py_pool_load:set_waiting(Pool, 0),
    #queue{pool = Pool, max = Max, patience = Patience}.

-spec waiting(queue()) -> non_neg_integer().
waiting(#queue{tickets = Tickets}) ->
    map_size(Tickets).

%% No worker can start, for this reason; or one could.
-spec broken(none | {error, term()}, queue()) -> queue().
broken(Why, Q) ->
    Q#queue{broken = Why}.

%% What callers hear whose deadline has passed.
-spec out_of_time(queue()) -> {error, term()}.
out_of_time(#queue{broken = none}) -> {error, timeout};
out_of_time(#queue{broken = Why}) -> Why.

%% A caller asks for a place. One that had a place before is never refused; one
%% that already waits asks again when the worker that put it here is gone.
-spec enter(#req{}, queue()) -> queue().
enter(#req{caller = Caller} = Req, #queue{tickets = Tickets} = Q)
  when is_map_key(Caller, Tickets) ->
    admit(Req, remove(Caller, Q));
enter(Req, Q) ->
    admit(Req, Q).

admit(#req{deadline = Deadline, returned = Returned} = Req, #queue{max = Max} = Q) ->
    Now = py_time:now_ms(),
    case Deadline =< Now orelse waiting(Q) >= Max andalso not Returned of
        true -> refuse(Req, Now, Q);
        false -> grant(add(Req, Now, Q))
    end.

%% It is out of time, or there is no place for it.
refuse(#req{deadline = Deadline} = Req, Now, #queue{broken = Broken} = Q) ->
    case Deadline =< Now orelse Broken =/= none of
        true -> answer(Req, out_of_time(Q));
        false -> answer(Req, overloaded(Q))
    end,
    Q.

add(#req{caller = Caller, arrival = Arrival, deadline = Deadline} = Req, Now,
    #queue{patience = Patience, waiters = Waiters, ends = Ends, tickets = Tickets} = Q) ->
    Until = min(Deadline, py_time:deadline(Patience, Now)),
    Ticket = {Arrival, Caller},
    Callers = py_watch:watch(Caller, fun maps:keys/1, Tickets, Q#queue.callers),
    true = ets:insert(Waiters, {Ticket, Req}),
    true = ets:insert(Ends, {{Until, Ticket}}),
    arm(Until, noted(Q#queue{callers = Callers, tickets = Tickets#{Caller => {Ticket, Until}}})).

%% Tells the workers how many wait. To be called before their loads are read.
noted(#queue{pool = Pool} = Q) ->
    py_pool_load:set_waiting(Pool, waiting(Q)),
    Q.

%% Gives places to those who came first, as long as workers have room.
-spec grant(queue()) -> queue().
grant(#queue{tickets = Tickets} = Q) when map_size(Tickets) =:= 0 ->
    Q;
grant(#queue{pool = Pool, waiters = Waiters} = Q) ->
    case py_pool_board:pick(Pool) of
        {ok, Worker} ->
            {_, Caller} = Ticket = ets:first(Waiters),
            ok = py_pool_load:sent(Pool),
            answer(ets:lookup_element(Waiters, Ticket, 2), {sent, Worker}),
            grant(remove(Caller, Q));
        full ->
            Q
    end.

remove(Caller, #queue{waiters = Waiters, ends = Ends, tickets = Tickets} = Q) ->
    {{Ticket, Until}, Rest} = maps:take(Caller, Tickets),
    true = ets:delete(Waiters, Ticket),
    true = ets:delete(Ends, {Until, Ticket}),
    noted(Q#queue{tickets = Rest}).

%% ---------------------------------------------------------------------------
%% Impatience and death

arm(Until, #queue{armed = Armed} = Q) when Armed =< Until ->
    Q;
arm(Until, #queue{timer = Timer} = Q) ->
    Timer =:= none orelse erlang:cancel_timer(Timer),
    Q#queue{armed = Until,
            timer = erlang:start_timer(Until, self(), waited, [{abs, true}])}.

%% A caller's time may be up: its deadline has come, or the queue's patience has
%% ended. A timer that was cancelled too late means nothing.
-spec timed_out(reference(), queue()) -> queue().
timed_out(Timer, #queue{timer = Timer} = Q) ->
    refuse_late(py_time:now_ms(), Q#queue{armed = infinity, timer = none});
timed_out(_, Q) ->
    Q.

refuse_late(Now, #queue{ends = Ends, waiters = Waiters} = Q) ->
    case ets:first(Ends) of
        {Until, {_, Caller} = Ticket} when Until =< Now ->
            Req = ets:lookup_element(Waiters, Ticket, 2),
            refuse_late(Now, remove(Caller, refuse(Req, Now, Q)));
        {Until, _} ->
            arm(Until, Q);
        '$end_of_table' ->
            Q
    end.

%% A process is dead: it was a caller, perhaps one that waited.
-spec gone(pid(), queue()) -> {gone, queue()} | unknown.
gone(Pid, #queue{callers = Callers, tickets = Tickets} = Q) ->
    case py_watch:gone(Pid, Callers) of
        {gone, Rest} when is_map_key(Pid, Tickets) ->
            {gone, remove(Pid, Q#queue{callers = Rest})};
        {gone, Rest} ->
            {gone, Q#queue{callers = Rest}};
        unknown ->
            unknown
    end.

%% ---------------------------------------------------------------------------

overloaded(#queue{max = Max} = Q) ->
    {error, {overloaded, waiting(Q), Max}}.

answer(#req{reply_to = ReplyTo}, Answer) ->
    py_ask:answer(ReplyTo, Answer).
