%% SPDX-License-Identifier: Apache-2.0
%%
%% The callers that wait in a pool for a place, in the order in which their
%% requests first arrived: one that was given back takes its old place. Each is
%% watched, so that a dead caller's place is nobody's; each has a timer.
-module(py_queue).

-export([new/3, length/1, enter/2, grant/1, timed_out/2, gone/2]).
-export_type([queue/0]).

-include("py.hrl").

-record(waiter, {req :: #req{}, timer :: reference() | undefined}).

-type ticket() :: {Arrival :: integer(), Monitor :: reference()}.

-record(queue, {
    pool :: #pool{},
    max :: non_neg_integer(),
    patience :: timeout(),
    waiters = gb_trees:empty() :: gb_trees:tree(ticket(), #waiter{}),
    tickets = #{} :: #{reference() => ticket()}
}).

-opaque queue() :: #queue{}.

%% How many may wait, and how long each.
-spec new(#pool{}, non_neg_integer(), timeout()) -> queue().
new(Pool, Max, Patience) ->
    py_dispatch:set_waiting(Pool, 0),
    #queue{pool = Pool, max = Max, patience = Patience}.

-spec length(queue()) -> non_neg_integer().
length(#queue{tickets = Tickets}) ->
    map_size(Tickets).

%% A caller asks for a place. One that had a place before is never refused.
-spec enter(#req{}, queue()) -> queue().
enter(#req{deadline = Deadline, returned = Returned} = Req, #queue{max = Max} = Q) ->
    Now = erlang:monotonic_time(millisecond),
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
    Monitor = monitor(process, Caller),
    Until = min(Deadline, until(Now, Patience)),
    Waiter = #waiter{req = Req, timer = timer(Until, Monitor)},
    Ticket = {Arrival, Monitor},
    noted(Q#queue{waiters = gb_trees:insert(Ticket, Waiter, Waiters),
                  tickets = Tickets#{Monitor => Ticket}}).

until(_, infinity) -> infinity;
until(Now, Patience) -> Now + Patience.

timer(infinity, _) -> undefined;
timer(Until, Monitor) ->
    erlang:start_timer(Until, self(), {waited, Monitor}, [{abs, true}]).

%% Tells the workers how many wait. To be called before their loads are read.
noted(#queue{pool = Pool} = Q) ->
    py_dispatch:set_waiting(Pool, ?MODULE:length(Q)),
    Q.

%% Gives places to those who came first, as long as workers have room.
-spec grant(queue()) -> queue().
grant(#queue{tickets = Tickets} = Q) when map_size(Tickets) =:= 0 ->
    Q;
grant(#queue{pool = Pool, waiters = Waiters} = Q) ->
    case py_dispatch:pick(Pool) of
        {ok, Worker} ->
            {{_, Monitor}, #waiter{req = Req}} = gb_trees:smallest(Waiters),
            answer(Req, {go, Worker}),
            {_, Rest} = remove(Monitor, Q),
            grant(Rest);
        full ->
            Q
    end.

%% The time of a waiter is up: its deadline has come, or the queue's patience
%% has ended.
-spec timed_out(reference(), queue()) -> queue().
timed_out(Monitor, Q) ->
    case remove(Monitor, Q) of
        {#req{deadline = Deadline} = Req, Rest} ->
            case Deadline =< erlang:monotonic_time(millisecond) of
                true -> answer(Req, {error, timeout});
                false -> answer(Req, overloaded(Q))
            end,
            Rest;
        unknown ->
            Q
    end.

%% A caller is dead.
-spec gone(reference(), queue()) -> {gone, queue()} | unknown.
gone(Monitor, Q) ->
    case remove(Monitor, Q) of
        {_, Rest} -> {gone, Rest};
        unknown -> unknown
    end.

remove(Monitor, #queue{waiters = Waiters, tickets = Tickets} = Q) ->
    case maps:take(Monitor, Tickets) of
        {Ticket, Rest} ->
            {#waiter{req = Req, timer = Timer}, Others} = gb_trees:take(Ticket, Waiters),
            demonitor(Monitor, [flush]),
            Timer =:= undefined orelse erlang:cancel_timer(Timer),
            {Req, noted(Q#queue{waiters = Others, tickets = Rest})};
        error ->
            unknown
    end.

overloaded(#queue{max = Max} = Q) ->
    {error, {overloaded, ?MODULE:length(Q), Max}}.

answer(#req{reply_to = ReplyTo}, Answer) ->
    ReplyTo ! {ReplyTo, Answer},
    ok.
