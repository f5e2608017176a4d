%% SPDX-License-Identifier: Apache-2.0
%%
%% What a live worker does: takes requests, sends them to the program within a
%% window, brings each reply to whoever waits, and keeps the time.
%%
%% - Every request that was accepted is answered exactly once.
%% - The only timer is armed for the next moment at which something is to be
%%   decided, so that short calls cost none.
%% - Whatever the program has been at for a tick makes the worker busy: it is
%%   not picked any more, and what has not been sent is handed back.
%% - When a request's time is up its caller is told at once and {cancel, Id} is
%%   sent. The program keeps it until it has answered; if that is what it is
%%   running and it does not stop, the ladder begins (py_ladder).
-module(py_work).

-export([new/6, message/2, frame/2, refuse/1, give_up/2, cause/2, info/1, write/2]).
-export_type([work/0]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").
-include("py_flight.hrl").

-record(work, {
    pool :: #pool{},
    slot :: pos_integer(),
    boss :: pid(),
    port :: port(),
    os_pid :: pos_integer() | undefined,
    max_queue :: non_neg_integer(),
    last_id = 0 :: py_wire:id(),
    flight = py_flight:new() :: py_flight:flight(),
    streams = py_chunks:new() :: py_chunks:streams(),
    urgent = #{} :: #{py_wire:id() => #req{}},
    since = 0 :: integer(),             % when the program began what it is at
    busy = false :: boolean(),
    timer = none :: none | {reference(), integer()},
    ladder = none :: none | {py_ladder:ladder(), py_wire:id(), reference()},
    killed = false :: boolean(),
    calls = 0 :: non_neg_integer()
}).

-opaque work() :: #work{}.

%% Urgent requests that the program has not answered, at most.
-define(MOST_URGENT, 16).
-define(LAST_ID, 16#7fffffff).

-spec new(#pool{}, pos_integer(), pid(), port(), pos_integer() | undefined,
          non_neg_integer()) -> work().
new(Pool, Slot, Boss, Port, OsPid, MaxQueue) ->
    report(#work{pool = Pool, slot = Slot, boss = Boss, port = Port, os_pid = OsPid,
                 max_queue = MaxQueue}).

-spec message(term(), work()) -> work().
message(#req{} = Req, W) ->
    accept(Req, now_ms(), W);
message({pull, ReplyTo, Id, Deadline}, W) ->
    pull(Id, ReplyTo, Deadline, W);
message({close, Id}, W) ->
    close(py_chunks:close(Id, W#work.streams), W);
message({timeout, Timer, tick}, #work{timer = {Timer, _}} = W) ->
    tick(now_ms(), W#work{timer = none});
message({timeout, Timer, rung}, #work{ladder = {Ladder, Id, Timer}} = W) ->
    climb(Ladder, Id, W);
message(report, W) ->
    report(W);
message({'DOWN', Monitor, process, _, _}, W) ->
    caller_gone(Monitor, W);
message(_, W) ->
    W.

-spec info(work()) -> #{state := idle | busy, calls := non_neg_integer(),
                        in_flight := non_neg_integer()}.
info(#work{calls = Calls, flight = Flight} = W) ->
    State = case is_running(W) of true -> busy; false -> idle end,
    #{state => State, calls => Calls, in_flight => py_flight:size(Flight)}.

%% ---------------------------------------------------------------------------
%% Requests come

accept(#req{deadline = Deadline} = Req, Now, W) when Deadline =< Now ->
    answer(Req, {error, timeout}),
    report(W);
accept(#req{kind = urgent} = Req, Now, W) ->
    urgent(Req, Now, W);
accept(Req, Now, #work{flight = Flight, max_queue = Max} = W) ->
    case py_flight:size(Flight) of
        N when N >= Max + ?WINDOW ->
            answer(Req, {error, {overloaded, N - ?WINDOW, Max}}),
            W;
        _ ->
            job(Req, Now, W)
    end.

job(#req{deadline = Deadline, caller = Caller} = Req, Now, #work{busy = Busy} = W) ->
    {Id, W1} = next_id(W),
    Monitor = monitor(process, Caller),
    Flight = py_flight:push(Id, Req, Monitor, W1#work.flight),
    W2 = send_next(Now, W1#work{flight = Flight}),
    Wake = case Busy of
               true -> Deadline;
               false -> min(Deadline, Now + ?TICK)
           end,
    report(arm(Wake, W2)).

urgent(Req, _, #work{urgent = Urgent} = W) when map_size(Urgent) >= ?MOST_URGENT ->
    answer(Req, {error, {overloaded, map_size(Urgent), ?MOST_URGENT}}),
    W;
urgent(#req{arity = Arity, body = Body, deadline = Deadline} = Req, _, W) ->
    {Id, #work{urgent = Urgent} = W1} = next_id(W),
    _ = write(W#work.port, py_wire:request(Id, Arity, Body)),
    arm(Deadline, W1#work{urgent = Urgent#{Id => Req#req{body = []}}}).

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
    case py_flight:next(Flight) of
        {#item{id = Id, req = #req{arity = Arity, body = Body}}, Sent} ->
            case write(Port, py_wire:request(Id, Arity, Body)) of
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

calm(W) ->
    case is_running(W) of
        true -> W;
        false -> W#work{busy = false}
    end.

is_running(#work{flight = Flight, streams = Streams}) ->
    not py_flight:is_empty(Flight) orelse py_chunks:active(Streams) > 0.

%% False when the port is closed; its exit message is on the way then.
-spec write(port(), iodata()) -> boolean().
write(Port, Frame) ->
    try
        port_command(Port, Frame)
    catch
        error:badarg -> false
    end.

%% ---------------------------------------------------------------------------
%% Replies go

%% A frame from the program.
-spec frame(binary(), work()) -> work().
frame(Frame, #work{flight = Flight} = W) ->
    case py_wire:reply_id(Frame) of
        none ->
            py_event:handle(Frame),
            W;
        Id ->
            case py_flight:finish(Id, Flight) of
                {front, Item, Rest} ->
                    progress(finished(Item, Frame, W#work{flight = Rest}));
                {behind, Item, Rest} ->
                    report(finished(Item, Frame, W#work{flight = Rest}));
                unknown ->
                    other_reply(Id, Frame, W)
            end
    end.

finished(#item{id = Id, left = true}, _, W) ->
    off_ladder(Id, W);
finished(#item{id = Id, req = #req{kind = {stream, _}} = Req} = Item, Frame, W) ->
    case py_wire:chunk_items(Frame) of
        final ->
            close_item(Item, {reply, Frame}, W);
        N ->
            answer(Req, {opened, Id}),
            Streams = py_chunks:open(Item, Frame, N, W#work.streams),
            W#work{streams = Streams}
    end;
finished(Item, Frame, W) ->
    close_item(Item, {reply, Frame}, W).

close_item(#item{req = Req, monitor = Monitor}, Answer, #work{calls = Calls} = W) ->
    demonitor(Monitor, [flush]),
    answer(Req, Answer),
    W#work{calls = Calls + 1}.

%% The program has done a piece of work and is at the next one now.
progress(W) ->
    Now = now_ms(),
    W1 = send_next(Now, W#work{busy = false, since = Now}),
    case is_running(W1) of
        true -> report(arm(Now + ?TICK, W1));
        false -> report(W1)
    end.

other_reply(Id, Frame, #work{urgent = Urgent, streams = Streams} = W) ->
    case py_chunks:frame(Id, Frame, Streams) of
        {Effects, Rest} ->
            progress(effects(Effects, W#work{streams = Rest}));
        unknown when is_map_key(Id, Urgent) ->
            answer(maps:get(Id, Urgent), {reply, Frame}),
            W#work{urgent = maps:remove(Id, Urgent)};
        unknown ->
            W   % nobody waits for it any more
    end.

answer(#req{reply_to = ReplyTo}, Answer) ->
    reply(ReplyTo, Answer).

reply(ReplyTo, Answer) ->
    ReplyTo ! {ReplyTo, Answer},
    ok.

%% ---------------------------------------------------------------------------
%% Streams

pull(Id, ReplyTo, Deadline, #work{streams = Streams} = W) ->
    {Effects, Rest} = py_chunks:pull(Id, ReplyTo, Deadline, Streams),
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
effect({more, Id, N}, #work{port = Port}) -> write(Port, py_wire:more(Id, N));
effect({forget, Monitor}, _) -> demonitor(Monitor, [flush]).

close({#item{id = Id, monitor = Monitor}, Streams}, W) ->
    demonitor(Monitor, [flush]),
    _ = write(W#work.port, py_wire:stop(Id)),
    report(calm(W#work{streams = Streams}));
close(unknown, W) ->
    W.

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
    lists:min([Tick, py_flight:earliest(Now, Flight), py_chunks:earliest(Now, Streams)
               | [D || #req{deadline = D} <- maps:values(Urgent)]]).

expire_flight(Now, #work{flight = Flight, port = Port} = W) ->
    {Unsent, Sent, Rest} = py_flight:expire(Now, Flight),
    [timed_out(Item) || Item <- Unsent ++ Sent],
    [write(Port, py_wire:cancel(Id)) || #item{id = Id} <- Sent],
    W#work{flight = Rest}.

timed_out(#item{req = Req, monitor = Monitor}) ->
    demonitor(Monitor, [flush]),
    answer(Req, {error, timeout}).

%% A stream that does not deliver is cancelled. When no job is in flight it is
%% what the program runs, and belongs there.
expire_streams(Now, #work{streams = Streams} = W) ->
    {Late, Rest} = py_chunks:expire(Now, Streams),
    lists:foldl(fun(L, Acc) -> expire_stream(L, Now, Acc) end,
                W#work{streams = Rest}, Late).

expire_stream({#item{id = Id, monitor = Monitor} = Item, ReplyTo}, Now,
              #work{flight = Flight} = W) ->
    demonitor(Monitor, [flush]),
    reply(ReplyTo, {error, timeout}),
    _ = write(W#work.port, py_wire:cancel(Id)),
    case py_flight:is_empty(Flight) of
        true -> W#work{flight = py_flight:put_back(Item, Now, Flight)};
        false -> W
    end.

expire_urgent(Now, #work{urgent = Urgent} = W) ->
    Late = maps:filter(fun(_, #req{deadline = D}) -> D =< Now end, Urgent),
    maps:foreach(fun(_, Req) -> answer(Req, {error, timeout}) end, Late),
    W#work{urgent = maps:without(maps:keys(Late), Urgent)}.

mark_busy(Now, #work{busy = false, since = Since} = W) when Now - Since >= ?TICK ->
    case is_running(W) of
        true -> hand_back(W#work{busy = true});
        false -> W
    end;
mark_busy(_, W) ->
    W.

hand_back(#work{flight = Flight} = W) ->
    {Items, Rest} = py_flight:hand_back(Flight),
    [begin demonitor(M, [flush]), answer(Req, again) end
     || #item{req = Req, monitor = M} <- Items],
    W#work{flight = Rest}.

%% ---------------------------------------------------------------------------
%% The ladder

ladder(Now, #work{ladder = none, flight = Flight} = W) ->
    case py_flight:stuck(Now, Flight) of
        {true, Id} -> climb(py_ladder:new(), Id, W);
        false -> W
    end;
ladder(_, W) ->
    W.

climb(Ladder, Id, #work{pool = #pool{name = Name}, slot = Slot, os_pid = OsPid} = W) ->
    {Rung, Wait, Rest} = py_ladder:climb(Ladder),
    ?LOG_INFO("worker ~p of pool ~tp (os pid ~p) does not answer in time: ~p",
              [Slot, Name, OsPid, Rung], #{domain => [py]}),
    Timer = erlang:start_timer(Wait, self(), rung),
    act(Rung, W#work{ladder = {Rest, Id, Timer}}).

%% The cancel was sent when the time was up; it gets its grace now.
act(interrupt, W) ->
    W;
act(kill, #work{os_pid = OsPid} = W) ->
    _ = spawn(py_port, kill, [OsPid]),
    W#work{killed = true};
act(abandon, #work{port = Port} = W) ->
    true = port_close(Port),
    W.

off_ladder(Id, #work{ladder = {_, Id, Timer}, killed = false} = W) ->
    _ = erlang:cancel_timer(Timer),
    W#work{ladder = none};
off_ladder(_, W) ->
    W.

%% ---------------------------------------------------------------------------
%% Absence and the end

%% A request whose caller is dead is cancelled. Should the program not heed
%% that, it has until the request's deadline, but not for ever.
caller_gone(Monitor, #work{flight = Flight, streams = Streams} = W) ->
    case py_flight:leave(Monitor, latest(W), Flight) of
        {sent, #item{id = Id}, Rest} ->
            _ = write(W#work.port, py_wire:cancel(Id)),
            W1 = W#work{flight = Rest},
            arm(next_wake(now_ms(), W1), W1);
        {unsent, _, Rest} ->
            report(W#work{flight = Rest});
        unknown ->
            close(py_chunks:leave(Monitor, Streams), W)
    end.

latest(#work{pool = #pool{timeout = infinity}}) -> infinity;
latest(#work{pool = #pool{timeout = Timeout}}) -> now_ms() + Timeout.

%% Tells everybody how much this worker has in flight; and the pool, when
%% callers wait in its queue and there is room.
report(#work{pool = Pool, slot = Slot, boss = Boss} = W) ->
    Load = load(W),
    py_dispatch:set_load(Pool, Slot, Load),
    Load < ?WINDOW andalso py_dispatch:has_waiting(Pool) andalso (Boss ! {room, Slot}),
    W.

load(#work{busy = true, flight = Flight}) ->
    py_dispatch:busy(py_flight:size(Flight));
load(#work{flight = Flight, streams = Streams}) ->
    py_flight:load(Flight) + py_chunks:active(Streams).

%% Why the worker ended, when the program ended like this.
-spec cause(term(), work()) -> term().
cause(_, #work{killed = true}) -> timeout;
cause(Reason, _) -> Reason.

%% Answers everything. What cannot have started goes back to its caller, unless
%% it needs this very worker.
-spec give_up(term(), work()) -> ok.
give_up(Why, #work{pool = Pool, slot = Slot} = W) ->
    py_dispatch:leave(Pool, Slot),
    py_dispatch:died(Pool, self(), Why),
    Failed = {error, {worker_exit, Why}},
    {Started, NotStarted} = py_flight:empty(W#work.flight),
    [answer(Req, Failed) || #item{req = Req} <- Started],
    [give_back(Req, Failed) || #item{req = Req} <- NotStarted],
    [answer(Req, Failed) || Req <- maps:values(W#work.urgent)],
    [reply(ReplyTo, Failed) || ReplyTo <- py_chunks:empty(W#work.streams)],
    ok.

give_back(#req{bound = true} = Req, Failed) -> answer(Req, Failed);
give_back(Req, _) -> answer(Req, again).

%% A request to a worker that is not live.
-spec refuse(#req{}) -> ok.
refuse(Req) ->
    answer(Req, again).
