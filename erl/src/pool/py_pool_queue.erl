%% SPDX-License-Identifier: Apache-2.0
%%
%% The callers that wait in a pool for a place, in the order in which their
%% requests first arrived: a request that a worker gave back takes its old place.
%% Each caller is watched, so that a dead one keeps no place; one timer is armed
%% for the first whose patience ends. A process waits once at a time.
-module(py_pool_queue).

-export([new/3, waiting/1, enter/2, grant/1, timed_out/1, gone/2]).
-export_type([queue/0]).

-include("py.hrl").

-record(waiter, {req :: #req{}, until :: py_time:deadline()}).

-type ticket() :: {Arrival :: integer(), Caller :: pid()}.

-record(queue, {
    pool :: #pool{},
    max :: non_neg_integer(),
    patience :: timeout(),
    waiters = gb_trees:empty() :: gb_trees:tree(ticket(), #waiter{}),
    tickets = #{} :: #{pid() => ticket()},
    callers = py_watch:new() :: py_watch:callers(),
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

%% A caller asks for a place. One that had a place before is never refused; one
%% that already waits asks again when the worker that put it here is gone.
-spec enter(#req{}, queue()) -> queue().
enter(#req{caller = Caller} = Req, #queue{tickets = Tickets} = Q)
  when is_map_key(Caller, Tickets) ->
    enter(Req, remove(Caller, Q));
enter(#req{deadline = Deadline, returned = Returned} = Req, #queue{max = Max} = Q) ->
    Now = py_time:now_ms(),
    if
        Deadline =< Now ->
            answer(Req, {error, timeout}),
            Q;
        map_size(Q#queue.tickets) >= Max, not Returned ->
            answer(Req, overloaded(Q)),
            Q;
        true ->
            grant(add(Req, Now, Q))
    end.

add(#req{caller = Caller, arrival = Arrival, deadline = Deadline} = Req, Now,
    #queue{patience = Patience, waiters = Waiters, tickets = Tickets} = Q) ->
    Until = min(Deadline, py_time:deadline(Patience, Now)),
    Ticket = {Arrival, Caller},
    Busy = fun() -> maps:keys(Tickets) end,
    arm(Until, noted(
        Q#queue{waiters = gb_trees:insert(Ticket, #waiter{req = Req, until = Until}, Waiters),
                tickets = Tickets#{Caller => Ticket},
                callers = py_watch:watch(Caller, Busy, Q#queue.callers)})).

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
            {{_, Caller}, #waiter{req = Req}} = gb_trees:smallest(Waiters),
            answer(Req, {go, Worker}),
            grant(remove(Caller, Q));
        full ->
            Q
    end.

remove(Caller, #queue{waiters = Waiters, tickets = Tickets} = Q) ->
    {Ticket, Rest} = maps:take(Caller, Tickets),
    noted(Q#queue{waiters = gb_trees:delete(Ticket, Waiters), tickets = Rest}).

%% ---------------------------------------------------------------------------
%% Impatience and death

arm(Until, #queue{armed = Armed} = Q) when Armed =< Until ->
    Q;
arm(Until, #queue{timer = Timer} = Q) ->
    Timer =:= none orelse erlang:cancel_timer(Timer),
    Q#queue{armed = Until,
            timer = erlang:start_timer(Until, self(), waited, [{abs, true}])}.

%% Somebody's time may be up: its deadline has come, or the queue's patience
%% has ended.
-spec timed_out(queue()) -> queue().
timed_out(#queue{waiters = Waiters} = Q) ->
    Now = py_time:now_ms(),
    All = gb_trees:values(Waiters),
    Late = [Req || #waiter{req = Req, until = Until} <- All, Until =< Now],
    Rest = lists:foldl(fun(Req, Acc) -> refuse(Req, Now, Acc) end,
                       Q#queue{armed = infinity, timer = none}, Late),
    arm(py_time:earliest([U || #waiter{until = U} <- All, U > Now]), Rest).

refuse(#req{caller = Caller, deadline = Deadline} = Req, Now, Q) ->
    case Deadline =< Now of
        true -> answer(Req, {error, timeout});
        false -> answer(Req, overloaded(Q))
    end,
    remove(Caller, Q).

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
