%% SPDX-License-Identifier: Apache-2.0
%%
%% What one worker has in hand: the requests that were sent to the program, in
%% order, and those that wait for room in the window. Pure.
%%
%% The program runs jobs in the order in which they were sent, so of those that
%% are unanswered only the first can have started; and the openings of streams
%% before it, whose first items may come later than the next job's reply. These
%% are the front; what is behind the front has certainly not started.
-module(py_worker_jobs).

-export([new/0, push/3, next/1, output/3, finish/2]).
-export([is_empty/1, count/1, load/1, callers/1]).
-export([expire/2, leave/3, hand_back/1, recall/1, empty/1]).
-export([earliest/2, stuck/2, put_back/3]).
-export_type([flight/0, item/0]).

-include("py.hrl").
-include("py_worker_jobs.hrl").

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
-spec push(py_wire:id(), #req{}, flight()) -> flight().
push(Id, #req{deadline = Deadline} = Req, #flight{} = F) ->
    Item = #item{id = Id, req = Req, deadline = Deadline},
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

%% What the job has printed, ahead of its reply.
-spec output(py_wire:id(), binary(), flight()) -> flight().
output(Id, Frame, #flight{sent = Sent} = F) ->
    F#flight{sent = [case Item of
                         #item{id = Id} -> Item#item{output = Frame};
                         #item{} -> Item
                     end || Item <- Sent]}.

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
-spec count(flight()) -> non_neg_integer().
count(#flight{n = N, waiting = Waiting}) ->
    N + Waiting.

%% As others are to see it: below ?WINDOW there is room for one more.
-spec load(flight()) -> non_neg_integer().
load(#flight{n = N, bytes = Bytes, waiting = 0}) when Bytes < ?WINDOW_BYTES -> N;
load(#flight{n = N, waiting = Waiting}) -> max(?WINDOW, N + Waiting).

%% The processes that wait.
-spec callers(flight()) -> [pid()].
callers(#flight{sent = Sent, backlog = Backlog}) ->
    [Caller || #item{req = #req{caller = Caller}} <- Sent ++ queue:to_list(Backlog)].

%% ---------------------------------------------------------------------------
%% Time and absence

%% Those whose time is up. Unsent ones are out of the flight now; the others
%% stay until the program has answered, but nobody waits for them any more.
-spec expire(integer(), flight()) ->
          {Unsent :: [item()], Front :: [item()], Behind :: [item()], flight()}.
expire(Now, #flight{sent = Sent, backlog = Backlog} = F) ->
    {Front, Behind} = front(Sent),
    Unsent = [Item || #item{deadline = D} = Item <- queue:to_list(Backlog), D =< Now],
    {LateFront, LateBehind} = {late(Now, Front), late(Now, Behind)},
    F1 = lists:foldl(fun mark_left/2, F, LateFront ++ LateBehind),
    {Unsent, LateFront, LateBehind, without(Unsent, F1)}.

late(Now, Items) ->
    [Item || #item{left = false, deadline = D} = Item <- Items, D =< Now].

mark_left(#item{id = Id} = Item, #flight{sent = Sent} = F) ->
    F#flight{sent = lists:keyreplace(Id, #item.id, Sent, Item#item{left = true})}.

without([], F) ->
    F;
without(Items, #flight{backlog = Backlog} = F) ->
    Kept = queue:filter(fun(Item) -> not lists:member(Item, Items) end, Backlog),
    F#flight{backlog = Kept, waiting = queue:len(Kept)}.

%% A caller is gone. Its requests that were sent keep their places, and their
%% own deadlines or this one; the others are out of the flight.
-spec leave(pid(), integer() | infinity, flight()) -> {Sent :: [item()], flight()}.
leave(Caller, Latest, #flight{sent = Sent, backlog = Backlog} = F) ->
    IsHis = fun(#item{req = #req{caller = Pid}, left = Left}) ->
                not Left andalso Pid =:= Caller
            end,
    Left = [Item#item{deadline = min(D, Latest)}
            || #item{deadline = D} = Item <- lists:filter(IsHis, Sent)],
    F1 = lists:foldl(fun mark_left/2, F, Left),
    {Left, without(lists:filter(IsHis, queue:to_list(Backlog)), F1)}.

%% A stream is to end: the program has it until it has said its last word, and
%% should have done so by then.
-spec put_back(item(), integer() | infinity, flight()) -> flight().
put_back(#item{req = #req{size = Size}} = Item, Deadline, #flight{sent = Sent} = F) ->
    Ending = Item#item{left = true, deadline = Deadline},
    F#flight{sent = [Ending | Sent], n = F#flight.n + 1, bytes = F#flight.bytes + Size}.

%% Takes out what waits and may run elsewhere.
-spec hand_back(flight()) -> {[item()], flight()}.
hand_back(#flight{waiting = 0} = F) ->
    {[], F};
hand_back(#flight{backlog = Backlog} = F) ->
    Free = [Item || #item{req = #req{bound = false}} = Item <- queue:to_list(Backlog)],
    {Free, without(Free, F)}.

%% Those that may run elsewhere, each said once: the program is to be asked for
%% them, and gives back what it has not started.
-spec recall(flight()) -> {[py_wire:id()], flight()}.
recall(#flight{sent = Sent} = F) ->
    {Marked, Ids} = lists:mapfoldl(fun recall/2, [], Sent),
    {lists:reverse(Ids), F#flight{sent = Marked}}.

recall(#item{left = false, recalled = false, req = #req{bound = false}} = Item, Ids) ->
    {Item#item{recalled = true}, [Item#item.id | Ids]};
recall(Item, Ids) ->
    {Item, Ids}.

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

%% What may be running although its time is up. A stream only when no job is in
%% flight: beside one it may just have to wait for its turn.
-spec stuck(integer(), flight()) -> {true, py_wire:id()} | false.
stuck(Now, #flight{sent = Sent}) ->
    {Front, _} = front(Sent),
    {Streams, Job} = lists:partition(fun is_stream/1, Front),
    Suspects = case Job of [] -> Streams; _ -> Job end,
    case [Id || #item{id = Id, deadline = D} <- Suspects, D =< Now] of
        [Id | _] -> {true, Id};
        [] -> false
    end.
