%% SPDX-License-Identifier: Apache-2.0
%%
%% What one worker has in hand: the requests that were sent to the program, in
%% order, and those that wait for room in the window. Pure.
%%
%% The program runs jobs in the order in which they were sent, so of those that
%% are unanswered only the first can have started; and the openings of streams
%% before it, whose first items may come later than the next job's reply. These
%% are the front; what is behind the front has certainly not started.
-module(py_flight).

-export([new/0, push/4, next/1, finish/2]).
-export([is_empty/1, size/1, load/1]).
-export([expire/2, leave/3, hand_back/1, empty/1]).
-export([earliest/2, stuck/2, put_back/3]).
-export_type([flight/0, item/0]).

-include("py.hrl").
-include("py_flight.hrl").

-record(flight, {
    sent = [] :: [item()],              % oldest first, at most ?WINDOW
    n = 0 :: non_neg_integer(),         % how many
    bytes = 0 :: non_neg_integer(),     % how large together
    backlog = queue:new() :: queue:queue(item()),
    waiting = 0 :: non_neg_integer()    % how many in the backlog
}).

-opaque flight() :: #flight{}.
-type item() :: #item{}.

-spec new() -> flight().
new() ->
    #flight{}.

%% Accepts a request: it waits until next/1 lets it go.
-spec push(py_wire:id(), #req{}, reference(), flight()) -> flight().
push(Id, #req{deadline = Deadline} = Req, Monitor, #flight{} = F) ->
    Item = #item{id = Id, req = Req, monitor = Monitor, deadline = Deadline},
    F#flight{backlog = queue:in(Item, F#flight.backlog),
             waiting = F#flight.waiting + 1}.

%% The request that is to be sent now, if one may.
-spec next(flight()) -> {item(), flight()} | none.
next(#flight{waiting = 0}) ->
    none;
next(#flight{n = N}) when N >= ?WINDOW ->
    none;
next(#flight{n = N, bytes = Bytes, backlog = Backlog} = F) ->
    #item{req = #req{size = Size}} = Item = queue:get(Backlog),
    case N =:= 0 orelse Bytes + Size =< ?WINDOW_BYTES of
        true -> {Item, sent(Item, Size, F)};
        false -> none
    end.

%% The body is the caller's to keep: here it is needed no more.
sent(#item{req = Req} = Item, Size, #flight{sent = Sent} = F) ->
    Kept = Item#item{req = Req#req{body = []}},
    F#flight{sent = Sent ++ [Kept], n = F#flight.n + 1, bytes = F#flight.bytes + Size,
             backlog = queue:drop(F#flight.backlog), waiting = F#flight.waiting - 1}.

%% The program has answered this one; `front' says that it may have run.
-spec finish(py_wire:id(), flight()) -> {front | behind, item(), flight()} | unknown.
finish(Id, #flight{sent = [#item{id = Id} = Item | Rest]} = F) ->
    {front, Item, dropped(Item, F#flight{sent = Rest})};
finish(Id, #flight{sent = Sent} = F) ->
    case lists:keytake(Id, #item.id, Sent) of
        {value, Item, Rest} ->
            {Front, _} = front(Sent),
            Where = case lists:member(Item, Front) of true -> front; false -> behind end,
            {Where, Item, dropped(Item, F#flight{sent = Rest})};
        false ->
            unknown
    end.

front(Sent) ->
    {Streams, Rest} = lists:splitwith(fun is_stream/1, Sent),
    {First, Behind} = lists:split(min(1, length(Rest)), Rest),
    {Streams ++ First, Behind}.

is_stream(#item{req = #req{kind = Kind}}) -> is_tuple(Kind).

dropped(#item{req = #req{size = Size}}, #flight{n = N, bytes = Bytes} = F) ->
    F#flight{n = N - 1, bytes = Bytes - Size}.

%% ---------------------------------------------------------------------------
%% What there is

-spec is_empty(flight()) -> boolean().
is_empty(#flight{n = N}) ->
    N =:= 0.

%% Everything in hand.
-spec size(flight()) -> non_neg_integer().
size(#flight{n = N, waiting = Waiting}) ->
    N + Waiting.

%% As others are to see it: below ?WINDOW there is room for one more.
-spec load(flight()) -> non_neg_integer().
load(#flight{n = N, bytes = Bytes, waiting = 0}) when Bytes < ?WINDOW_BYTES -> N;
load(#flight{n = N, waiting = Waiting}) -> max(?WINDOW, N + Waiting).

%% ---------------------------------------------------------------------------
%% Time and absence

%% Those whose time is up: Unsent ones are out of the flight now, Sent ones
%% stay until the program has answered, but nobody waits for them any more.
-spec expire(integer(), flight()) -> {Unsent :: [item()], Sent :: [item()], flight()}.
expire(Now, #flight{sent = Sent, backlog = Backlog} = F) ->
    Late = [Item || #item{left = false, deadline = D} = Item <- Sent, D =< Now],
    Unsent = [Item || #item{deadline = D} = Item <- queue:to_list(Backlog), D =< Now],
    F1 = lists:foldl(fun mark_left/2, F, Late),
    {Unsent, Late, without(Unsent, F1)}.

mark_left(#item{id = Id} = Item, #flight{sent = Sent} = F) ->
    F#flight{sent = lists:keyreplace(Id, #item.id, Sent, Item#item{left = true})}.

without([], F) ->
    F;
without(Items, #flight{backlog = Backlog} = F) ->
    Kept = queue:filter(fun(Item) -> not lists:member(Item, Items) end, Backlog),
    F#flight{backlog = Kept, waiting = queue:len(Kept)}.

%% The process that waited, known by its monitor, is gone. A request that was
%% sent keeps its place, and its own deadline or this one.
-spec leave(reference(), integer(), flight()) ->
          {sent | unsent, item(), flight()} | unknown.
leave(Monitor, Latest, #flight{sent = Sent, backlog = Backlog} = F) ->
    case lists:keyfind(Monitor, #item.monitor, Sent) of
        #item{deadline = D} = Item ->
            {sent, Item, mark_left(Item#item{deadline = min(D, Latest)}, F)};
        false ->
            leave_backlog(lists:keyfind(Monitor, #item.monitor, queue:to_list(Backlog)), F)
    end.

leave_backlog(#item{} = Item, F) -> {unsent, Item, without([Item], F)};
leave_backlog(false, _) -> unknown.

%% What was no longer counted (a stream) turns out to keep the program from
%% doing anything else: it is in front now, and its time is up.
-spec put_back(item(), integer(), flight()) -> flight().
put_back(#item{req = #req{size = Size}} = Item, Now, #flight{sent = Sent} = F) ->
    Stuck = Item#item{left = true, deadline = Now},
    F#flight{sent = [Stuck | Sent], n = F#flight.n + 1, bytes = F#flight.bytes + Size}.

%% Takes out what waits and may run elsewhere.
-spec hand_back(flight()) -> {[item()], flight()}.
hand_back(#flight{waiting = 0} = F) ->
    {[], F};
hand_back(#flight{backlog = Backlog} = F) ->
    Free = [Item || #item{req = #req{bound = false}} = Item <- queue:to_list(Backlog)],
    {Free, without(Free, F)}.

%% The worker ends: what may have started, and what certainly has not. Those
%% that nobody waits for are left out.
-spec empty(flight()) -> {Started :: [item()], NotStarted :: [item()]}.
empty(#flight{sent = Sent, backlog = Backlog}) ->
    {Front, Behind} = front(Sent),
    Waited = fun(#item{left = Left}) -> not Left end,
    {lists:filter(Waited, Front),
     lists:filter(Waited, Behind) ++ queue:to_list(Backlog)}.

%% The next deadline to come: of whatever somebody waits for, and of the front.
-spec earliest(integer(), flight()) -> integer() | infinity.
earliest(Now, #flight{sent = Sent, backlog = Backlog}) ->
    {Front, Behind} = front(Sent),
    Waited = [Item || #item{left = false} = Item <- Behind],
    Deadlines = [D || #item{deadline = D} <- Front ++ Waited ++ queue:to_list(Backlog),
                      D > Now],
    lists:min([infinity | Deadlines]).

%% What may be running although its time is up.
-spec stuck(integer(), flight()) -> {true, py_wire:id()} | false.
stuck(Now, #flight{sent = Sent}) ->
    {Front, _} = front(Sent),
    case [Id || #item{id = Id, deadline = D} <- Front, D =< Now] of
        [Id | _] -> {true, Id};
        [] -> false
    end.
