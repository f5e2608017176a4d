%% SPDX-License-Identifier: Apache-2.0
%%
%% What a live worker does: takes requests, sends them to the program within a
%% window, brings each reply to whoever waits, and keeps the time.
%%
%% - Every request that was accepted is answered exactly once.
%% - The only timer is armed for the next moment at which something is to be
%%   decided, so that short calls cost none.
%% - Whatever the program has been at for a tick makes the worker busy: it is
%%   not picked any more, and what has not started goes back to its caller.
%% - When a request's time is up its caller is told at once. If the program may
%%   be running it, the ladder begins (py_worker_ladder); else it is cancelled. Either
%%   way it stays in flight until the program has answered.
-module(py_worker_live).

-export([new/6, message/2, frame/3, refuse/1, give_up/2, cause/2, info/1]).
-export([is_closing/1, is_retired/1]).
-export_type([work/0]).

-include("py.hrl").
-include("py_worker_jobs.hrl").

-record(work, {
    pool :: #pool{},
    slot :: pos_integer(),
    boss :: pid(),
    port :: port(),
    max_queue :: non_neg_integer(),
    last_id = 0 :: py_wire:id(),
    flight = py_worker_jobs:new() :: py_worker_jobs:flight(),
    streams = py_worker_streams:new() :: py_worker_streams:streams(),
    urgent = py_worker_urgent:new() :: py_worker_urgent:urgent(),
    callers = py_watch:new() :: py_watch:callers(),
    since = 0 :: integer(),             % when the program began what it is at
    busy = false :: boolean(),
    timer = none :: none | {reference(), integer()},
    ladder :: py_worker_ladder:ladder(),
    retiring = false :: boolean(),      % another has this slot
    calls = 0 :: non_neg_integer()
}).

-opaque work() :: #work{}.

-define(LAST_ID, 16#7fffffff).
%% How long a stream that was closed may take to end (ms).
-define(STOP_GRACE, 500).

-spec new(#pool{}, pos_integer(), pid(), port(), pos_integer() | undefined,
          non_neg_integer()) -> work().
new(Pool, Slot, Boss, Port, OsPid, MaxQueue) ->
    report(#work{pool = Pool, slot = Slot, boss = Boss, port = Port,
                 max_queue = MaxQueue, ladder = py_worker_ladder:new(Pool, Slot, Port, OsPid)}).

-spec message(term(), work()) -> work().
message(#req{} = Req, W) ->
    accept(Req, now_ms(), W);
message({py_worker, {pull, ReplyTo, Id, Deadline}}, W) ->
    pull(Id, ReplyTo, Deadline, W);
message({py_worker, {close, Id}}, W) ->
    close(Id, W);
message({timeout, Timer, tick}, #work{timer = {Timer, _}} = W) ->
    tick(now_ms(), W#work{timer = none});
message({timeout, Timer, rung}, #work{ladder = Ladder} = W) ->
    W#work{ladder = py_worker_ladder:next(Timer, Ladder)};
message({py_worker, report}, W) ->
    report(W);
message({py_worker, retire}, W) ->
    W#work{retiring = true};
message({'DOWN', _, process, Pid, _}, W) ->
    caller_gone(Pid, W);
message(_, W) ->
    W.

-spec info(work()) -> #{state := idle | busy, calls := non_neg_integer(),
                        in_flight := non_neg_integer(), streams := non_neg_integer()}.
info(#work{calls = Calls, flight = Flight, streams = Streams} = W) ->
    State = case is_running(W) of true -> busy; false -> idle end,
    #{state => State, calls => Calls, in_flight => py_worker_jobs:count(Flight),
      streams => py_worker_streams:count(Streams)}.

%% ---------------------------------------------------------------------------
%% Requests come

accept(#req{deadline = Deadline} = Req, Now, W) when Deadline =< Now ->
    answer(Req, {error, timeout}),
    report(W);
accept(#req{kind = urgent} = Req, _, W) ->
    urgent(Req, W);
accept(#req{bound = false} = Req, _, #work{busy = true} = W) ->
    to_queue(Req, W),
    report(W);
accept(Req, Now, #work{flight = Flight, max_queue = Max} = W) ->
    case py_worker_jobs:count(Flight) of
        N when N >= Max + ?WINDOW ->
            answer(Req, {error, {overloaded, N - ?WINDOW, Max}}),
            report(W);
        _ ->
            job(Req, Now, W)
    end.

job(#req{deadline = Deadline, caller = Caller} = Req, Now, #work{busy = Busy} = W) ->
    {Id, W1} = next_id(watch(Caller, W)),
    Flight = py_worker_jobs:push(Id, Req, W1#work.flight),
    W2 = send_next(Now, W1#work{flight = Flight}),
    Wake = case Busy of
               true -> Deadline;
               false -> min(Deadline, Now + ?TICK)
           end,
    report(arm(Wake, W2)).

urgent(#req{deadline = Deadline} = Req, #work{max_queue = Max} = W) ->
    {Id, #work{urgent = Urgent} = W1} = next_id(W),
    case py_worker_urgent:push(Id, Req, Max, Urgent) of
        {ok, More} ->
            arm(Deadline, send_urgent(W1#work{urgent = More}));
        {full, Waiting} ->
            answer(Req, {error, {overloaded, Waiting, Max}}),
            W
    end.

send_urgent(#work{urgent = Urgent, port = Port} = W) ->
    case py_worker_urgent:next(Urgent) of
        {Id, #req{arity = Arity, body = Body}, Rest} ->
            _ = py_os_port:send(Port, py_wire:request(Id, Arity, Body)),
            send_urgent(W#work{urgent = Rest});
        none ->
            W
    end.

%% Ids come again after two thousand million; a stream may be that old.
next_id(#work{last_id = Last, streams = Streams} = W) ->
    Id = Last rem ?LAST_ID + 1,
    case is_map_key(Id, Streams) of
        true -> next_id(W#work{last_id = Id});
        false -> {Id, W#work{last_id = Id}}
    end.

%% Sends what the window allows. What could not be written, because the program
%% has just ended, stays unsent.
send_next(Now, #work{flight = Flight, port = Port} = W) ->
    case py_worker_jobs:next(Flight) of
        {#item{id = Id, req = #req{arity = Arity, body = Body}}, Sent} ->
            case py_os_port:send(Port, py_wire:request(Id, Arity, Body)) of
                true -> send_next(Now, (begun(Now, W))#work{flight = Sent});
                false -> W
            end;
        none ->
            W
    end.

begun(Now, W) ->
    case is_running(W) of
        true -> W;
        false -> W#work{since = Now}
    end.

has_work(#work{flight = Flight} = W) ->
    is_running(W) orelse py_worker_jobs:count(Flight) > 0.

is_running(#work{flight = Flight, streams = Streams}) ->
    not py_worker_jobs:is_empty(Flight) orelse py_worker_streams:active(Streams) > 0.

%% ---------------------------------------------------------------------------
%% Replies go

%% A frame from the program that has the Id of a request.
-spec frame(py_wire:id(), binary(), work()) -> work().
frame(Id, Frame, #work{flight = Flight} = W) ->
    case py_wire:is_output(Frame) of
        true -> W#work{flight = py_worker_jobs:output(Id, Frame, Flight)};
        false -> reply_frame(Id, Frame, W)
    end.

reply_frame(Id, Frame, #work{flight = Flight} = W) ->
    case py_worker_jobs:finish(Id, Flight) of
        {front, Item, Rest} ->
            progress(finished(Item, Frame, W#work{flight = Rest}));
        {behind, Item, Rest} ->
            report(finished(Item, Frame, W#work{flight = Rest}));
        unknown ->
            other_reply(Id, Frame, W)
    end.

finished(#item{left = true} = Item, Frame, W) ->
    unwanted(Item, py_wire:chunk_items(Frame), W);
finished(#item{recalled = true} = Item, Frame, W) ->
    case py_wire:is_not_started(Frame) of
        true -> to_queue(Item#item.req, W), W;
        false -> finished(Item#item{recalled = false}, Frame, W)
    end;
finished(#item{id = Id, req = #req{kind = {stream, _}} = Req} = Item, Frame, W) ->
    case py_wire:chunk_items(Frame) of
        final ->
            done(Item, Frame, W);
        N ->
            answer(Req, {opened, Id}),
            Streams = py_worker_streams:open(Item, Frame, N, W#work.streams),
            W#work{streams = Streams}
    end;
finished(Item, Frame, W) ->
    done(Item, Frame, W).

%% Nobody waits for it; but a stream has ended only with its last word.
unwanted(#item{id = Id}, final, #work{ladder = Ladder} = W) ->
    W#work{ladder = py_worker_ladder:off(Id, Ladder)};
unwanted(#item{deadline = Deadline} = Item, _Chunk, #work{flight = Flight} = W) ->
    W#work{flight = py_worker_jobs:put_back(Item, Deadline, Flight)}.

done(#item{req = Req, output = none}, Frame, #work{calls = Calls} = W) ->
    answer(Req, {reply, Frame}),
    W#work{calls = Calls + 1};
done(#item{req = Req, output = Output}, Frame, #work{calls = Calls} = W) ->
    answer(Req, {reply, Frame, Output}),
    W#work{calls = Calls + 1}.

%% The program has done a piece of work and is at the next one now, if any.
progress(W) ->
    case has_work(W) of
        true ->
            Now = now_ms(),
            report(arm(Now + ?TICK, send_next(Now, W#work{busy = false, since = Now})));
        false ->
            report(W#work{busy = false})
    end.

other_reply(Id, Frame, #work{streams = Streams} = W) ->
    case py_worker_streams:frame(Id, Frame, Streams) of
        {Effects, Rest} -> progress(effects(Effects, W#work{streams = Rest}));
        unknown -> urgent_reply(Id, Frame, W)
    end.

urgent_reply(Id, Frame, #work{urgent = Urgent} = W) ->
    case py_worker_urgent:finish(Id, Urgent) of
        {late, Rest} ->
            send_urgent(W#work{urgent = Rest});
        {Req, Rest} ->
            answer(Req, {reply, Frame}),
            send_urgent(W#work{urgent = Rest});
        unknown ->
            W   % nobody waits for it any more
    end.

answer(#req{reply_to = ReplyTo}, Answer) ->
    reply(ReplyTo, Answer).

reply(ReplyTo, Answer) ->
    py_ask:answer(ReplyTo, Answer).

%% ---------------------------------------------------------------------------
%% Streams

pull(Id, ReplyTo, Deadline, #work{streams = Streams} = W) ->
    {Effects, Rest} = py_worker_streams:pull(Id, ReplyTo, Deadline, Streams),
    Now = now_ms(),
    W1 = effects(Effects, (begun(Now, W))#work{streams = Rest}),
    case is_running(W1) of
        true -> report(arm(min(Deadline, Now + ?TICK), W1));
        false -> report(W1)
    end.

effects(Effects, W) ->
    lists:foreach(fun(Effect) -> effect(Effect, W) end, Effects),
    W.

effect({answer, ReplyTo, Answer}, _) -> reply(ReplyTo, Answer);
effect({more, Id, N}, #work{port = Port}) -> py_os_port:send(Port, py_wire:more(Id, N)).

close(Id, #work{streams = Streams} = W) ->
    case py_worker_streams:close(Id, Streams) of
        {Item, Rest} ->
            Now = now_ms(),
            Ending = stop(Item, Now, Now + ?STOP_GRACE, W#work{streams = Rest}),
            report(arm(next_wake(Now, Ending), Ending));
        unknown ->
            W
    end.

%% The program closes the generator, which should not take longer than this.
stop(#item{id = Id} = Item, Now, Until, W) ->
    _ = py_os_port:send(W#work.port, py_wire:stop(Id)),
    #work{flight = Flight} = W1 = begun(Now, W),
    W1#work{flight = py_worker_jobs:put_back(Item, Until, Flight)}.

%% ---------------------------------------------------------------------------
%% Time

now_ms() ->
    erlang:monotonic_time(millisecond).

arm(At, #work{timer = {_, Armed}} = W) when Armed =< At ->
    W;
arm(infinity, W) ->
    W;
arm(At, #work{timer = Timer} = W) ->
    is_tuple(Timer) andalso erlang:cancel_timer(element(1, Timer)),
    W#work{timer = {erlang:start_timer(At, self(), tick, [{abs, true}]), At}}.

tick(Now, W) ->
    Expired = expire_urgent(Now, expire_streams(Now, expire_flight(Now, W))),
    W1 = ladder(Now, mark_busy(Now, Expired)),
    report(arm(next_wake(Now, W1), W1)).

next_wake(Now, #work{flight = Flight, streams = Streams, urgent = Urgent} = W) ->
    Tick = case is_running(W) andalso not W#work.busy of
               true -> W#work.since + ?TICK;
               false -> infinity
           end,
    lists:min([Tick, py_worker_jobs:earliest(Now, Flight), py_worker_streams:earliest(Now, Streams),
               py_worker_urgent:earliest(Urgent)]).

%% What is behind has not started: the program drops it. What may be running is
%% the ladder's.
expire_flight(Now, #work{flight = Flight, port = Port} = W) ->
    {Unsent, Front, Behind, Rest} = py_worker_jobs:expire(Now, Flight),
    [answer(Req, {error, timeout}) || #item{req = Req} <- Unsent ++ Front ++ Behind],
    [py_os_port:send(Port, py_wire:cancel(Id)) || #item{id = Id} <- Behind],
    W#work{flight = Rest}.

%% A stream that does not deliver in time ends.
expire_streams(Now, #work{streams = Streams} = W) ->
    {Late, Rest} = py_worker_streams:expire(Now, Streams),
    [reply(ReplyTo, {error, timeout}) || {_, ReplyTo} <- Late],
    lists:foldl(fun({Item, _}, Acc) -> stop(Item, Now, Now, Acc) end,
                W#work{streams = Rest}, Late).

expire_urgent(Now, #work{urgent = Urgent} = W) ->
    {Late, Rest} = py_worker_urgent:expire(Now, Urgent),
    [answer(Req, {error, timeout}) || Req <- Late],
    W#work{urgent = Rest}.

mark_busy(Now, #work{busy = false, since = Since} = W) when Now - Since >= ?TICK ->
    case is_running(W) of
        true -> hand_back(W#work{busy = true});
        false -> W
    end;
mark_busy(_, W) ->
    W.

%% What was sent, the program gives back if it has not started it.
hand_back(#work{flight = Flight} = W) ->
    {Unsent, Rest} = py_worker_jobs:hand_back(Flight),
    {Sent, Recalled} = py_worker_jobs:recall(Rest),
    [to_queue(Req, W) || #item{req = Req} <- Unsent],
    [py_os_port:send(W#work.port, py_wire:take_back(Id)) || Id <- Sent],
    W#work{flight = Recalled}.

%% A request that has not started takes its place in the pool's queue again. It
%% does not go by way of its caller, so the queue has it before it hears that
%% there is room here: nobody who came later is first.
to_queue(Req, #work{boss = Boss}) ->
    py_pool:enter(Boss, Req#req{returned = true, body = []}).

%% What may be running although its time is up.
ladder(Now, #work{ladder = Ladder, flight = Flight} = W) ->
    case py_worker_jobs:stuck(Now, Flight) of
        {true, Id} -> W#work{ladder = py_worker_ladder:start(Id, Ladder)};
        false -> W
    end.

%% ---------------------------------------------------------------------------
%% Absence and the end

watch(Caller, #work{callers = Callers, flight = Flight, streams = Streams} = W) ->
    Busy = fun() -> py_worker_jobs:callers(Flight) ++ py_worker_streams:callers(Streams) end,
    W#work{callers = py_watch:watch(Caller, Busy, Callers)}.

caller_gone(Pid, #work{callers = Callers} = W) ->
    case py_watch:gone(Pid, Callers) of
        {gone, Rest} -> cancel_all(Pid, W#work{callers = Rest});
        unknown -> W
    end.

%% What a dead caller has here is cancelled. Should the program not heed that,
%% it has until the request's deadline, but not for ever.
cancel_all(Pid, #work{flight = Flight, streams = Streams, port = Port} = W) ->
    Now = now_ms(),
    {Left, Rest} = py_worker_jobs:leave(Pid, latest(Now, W), Flight),
    {Closed, Open} = py_worker_streams:leave(Pid, Streams),
    [py_os_port:send(Port, py_wire:cancel(Id)) || #item{id = Id} <- Left],
    W1 = lists:foldl(fun(Item, Acc) -> stop(Item, Now, Now + ?STOP_GRACE, Acc) end,
                     W#work{flight = Rest, streams = Open}, Closed),
    report(arm(next_wake(Now, W1), W1)).

latest(_, #work{pool = #pool{timeout = infinity}}) -> infinity;
latest(Now, #work{pool = #pool{timeout = Timeout}}) -> Now + Timeout.

%% Tells everybody how much this worker has in flight; and the pool, when
%% callers wait in its queue and there is room.
report(#work{retiring = true} = W) ->
    W;
report(#work{pool = Pool, slot = Slot, boss = Boss} = W) ->
    Load = load(W),
    py_pool_load:set(Pool, Slot, Load),
    Load < ?WINDOW andalso py_pool_load:has_waiting(Pool) andalso py_pool:room(Boss, Slot),
    W.

load(#work{busy = true, flight = Flight}) ->
    py_pool_load:busy(py_worker_jobs:count(Flight));
load(#work{flight = Flight, streams = Streams}) ->
    py_worker_jobs:load(Flight) + py_worker_streams:active(Streams).

%% Why the worker ended, when the program ended like this.
-spec cause(term(), work()) -> term().
cause(Reason, W) ->
    case is_closing(W) of
        true -> timeout;
        false -> Reason
    end.

%% Whether the program has been given up and is being ended.
-spec is_closing(work()) -> boolean().
is_closing(#work{ladder = Ladder}) ->
    py_worker_ladder:is_closing(Ladder).

%% Whether another has this worker's slot and nothing is left to do here.
-spec is_retired(work()) -> boolean().
is_retired(#work{retiring = false}) -> false;
is_retired(#work{streams = Streams} = W) -> not has_work(W) andalso py_worker_streams:is_empty(Streams).

%% Answers everything. What cannot have started goes back to its caller, unless
%% it needs this very worker.
-spec give_up(term(), work()) -> ok.
give_up(Why, #work{pool = Pool, slot = Slot} = W) ->
    py_pool_board:leave(Pool, Slot, self()),
    py_pool_board:died(Pool, self(), Why),
    Failed = {error, {worker_exit, Why}},
    {Started, NotStarted} = py_worker_jobs:empty(W#work.flight),
    [answer(Req, Failed) || #item{req = Req} <- Started],
    [give_back(Req, Failed) || #item{req = Req} <- NotStarted],
    [answer(Req, Failed) || Req <- py_worker_urgent:empty(W#work.urgent)],
    [reply(ReplyTo, Failed) || ReplyTo <- py_worker_streams:empty(W#work.streams)],
    ok.

give_back(#req{bound = true} = Req, Failed) -> answer(Req, Failed);
give_back(Req, _) -> answer(Req, again).

%% A request to a worker that is not live.
-spec refuse(#req{}) -> ok.
refuse(Req) ->
    answer(Req, again).
