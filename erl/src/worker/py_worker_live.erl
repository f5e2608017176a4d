%% SPDX-License-Identifier: Apache-2.0
%%
%% What a live worker does: takes requests, sends them to the program within a
%% window, brings each reply to whoever waits, and keeps the time.
%%
%% py_worker calls one function for what has happened, then settle/1. The pure modules
%% below say what is to be done (effect() in py_worker_jobs.hrl); here it is done.
%%
%% - Every request that was accepted is answered exactly once.
%% - There is one timer. It is armed for the next moment at which something may have to
%%   be decided and left alone when that is over, so that short calls cost none.
%% - When the program has worked on something for a tick, the worker is busy: it is
%%   not picked any more, and what has not started goes back to the pool.
%% - When a request's deadline has passed, its caller gets an answer at once. If the
%%   program may be running it, the ladder begins (py_worker_ladder); else it is
%%   cancelled. Either way it stays in hand until the program has answered.
%% - The worker writes its load, then reads whether callers wait (py_pool_board).
-module(py_worker_live).

-export([new/1, settle/1]).
-export([request/2, reply/3, numbers/2, pull/4, close/2, tick/2, caller_gone/3, let_go/2]).
-export([mail/2, spoilt/1, ran_out/2, spare/2, retire/3, abandon/1, seal/1, dead/2, give_up/3]).
-export_type([live/0, args/0]).

-include("py.hrl").
-include("py_protocol.hrl").
-include("py_worker_jobs.hrl").
-include("py_worker_live.hrl").

-type live() :: py_worker_view:live().
-type args() :: #{pool := #pool{}, pool_pid := pid(), slot := pos_integer(), port := port(),
                  os_pid := pos_integer() | undefined, lane := py_os_lane:lane() | none,
                  options := py_worker:options(), hello := #{atom() => _},
                  mail := [py_talk_inbox:mail()]}.

-spec new(args()) -> live().
new(#{pool := Pool, pool_pid := PoolPid, slot := Slot, port := Port, os_pid := OsPid, lane := Lane,
      options := #{max_queue := MaxQueue} = Options, hello := Hello, mail := Mail}) ->
    Now = py_time:now_ms(),
    Tenure = py_worker_tenure:new(Options, rand:uniform(), Now),
    L = #live{pool = Pool, pool_pid = PoolPid, slot = Slot, port = Port, lane = Lane,
              max_queue = MaxQueue, about = py_talk_log:metadata(Pool, Slot, OsPid), tenure = Tenure,
              now = Now, hello = (maps:with([python, guard, os_pid], Hello))#{lane => Lane =/= none},
              jobs = py_worker_jobs:new(Options), send = py_worker_send:new(Hello, Pool#pool.max_frame),
              ladder = py_worker_ladder:new(Pool#pool.interrupt_grace)},
    lists:foldl(fun mail/2, tenure(py_worker_tenure:use(Tenure), bound({[], Tenure}, L)), Mail).

%% ---------------------------------------------------------------------------
%% What happens

%% A caller's request has come.
-spec request(#req{}, live()) -> live().
request(Req, #live{sealed = true} = L) -> py_worker_end:refuse(Req), L;
request(#req{deadline = Deadline, reply_to = From} = Req, L) ->
    Now = py_time:now_ms(),
    case Deadline =< Now of
        true -> effect({answer, From, {error, timeout}}, L);
        false -> accept(Req, Now, L)
    end.

accept(#req{kind = urgent} = Req, _, #live{max_queue = Max} = L) ->
    Id = py_worker_streams:next_id(L#live.last_id, L#live.streams),
    urgent(py_worker_urgent:push(Id, Req, Max, L#live.urgent), L#live{last_id = Id});
accept(Req, Now, L) ->
    case py_worker_view:takes(Req, L) of
        true when Req#req.within =/= none -> nest(Req, Now, L);
        true -> push(Req, Now, L#live.max_queue, L);
        false -> py_worker_end:give_back(Req, L#live.pool_pid), L;
        {full, What, Max} ->
            py_worker_view:publish_contexts(L),
            effect({answer, Req#req.reply_to, {error, {overloaded, What, Max}}}, L)
    end.

push(#req{caller = Caller} = Req, Now, Max, #live{tenure = Tenure, since = Since} = L) ->
    Id = py_worker_streams:next_id(L#live.last_id, L#live.streams),
    case py_worker_jobs:push(Id, Req, Max, L#live.jobs) of
        {[], Jobs} ->
            Pushed = L#live{last_id = Id, jobs = Jobs, callers = py_worker_view:watch(Caller, L), now = Now,
                            since = case Since of none -> Now; _ -> Since end},
            tenure(py_worker_tenure:take(Req, Tenure), first(Since, Pushed));
        Refused -> jobs(Refused, L)
    end.

%% The program is to run it at once, within the call that waits for its caller.
nest(#req{caller = Caller} = Req, Now, #live{tenure = Tenure} = L) ->
    Id = py_worker_streams:next_id(L#live.last_id, L#live.streams),
    tenure(py_worker_tenure:take(Req, Tenure),
           jobs(py_worker_jobs:nest(Id, Req, L#live.jobs),
                L#live{last_id = Id, callers = py_worker_view:watch(Caller, L), now = Now})).

%% A program that has nothing to do gets it at once.
first(none, L) -> send_waiting(L);
first(_, L) -> L.

%% A frame from the program that has the Id of a request.
-spec reply(py_wire:id(), binary(), live()) -> live().
reply(Id, Frame, #live{pool = Pool, slot = Slot, jobs = Jobs} = L) ->
    case py_wire:ahead(Frame) of
        none -> job_reply(Id, Frame, L);
        {aside, Where} -> jobs(py_worker_jobs:aside(Where, Id, py_time:now_ms(), Jobs), L);
        given -> given(Id, py_worker_jobs:request(Id, Jobs), L);
        kept -> keep(Id, Frame, L);
        output -> L#live{jobs = py_worker_jobs:ahead(Id, Frame, Jobs)};
        bill -> L#live{jobs = py_worker_bill:ahead(Id, Frame, Pool, Slot, Jobs)};
        Part -> jobs(py_worker_jobs:part(Id, Part, Frame, Jobs), L)
    end.

given(Id, #req{} = Req, #live{given = Given, tenure = Tenure} = L) ->
    L#live{given = py_talk_given:give(Id, Req, py_worker_tenure:open_context(Req, Tenure), Given)};
given(_, none, L) -> L.

%% The program keeps what the job has returned, for whoever has asked.
keep(Id, Frame, #live{pool = #pool{name = Name}, jobs = Jobs, tenure = Tenure} = L) ->
    #req{owner = Owner, caller = Maker} = py_worker_jobs:request(Id, Jobs),
    {Number, Reply} = py_wire:kept(Frame, {Name, self()}, Owner),
    Bound = py_worker_tenure:bind({handle, Number, Owner, Maker}, Tenure),
    job_reply(Id, Reply, bound(Bound, L#live{callers = py_worker_view:watch(Owner, L)})).

job_reply(Id, Frame, #live{jobs = Jobs} = L) ->
    case py_worker_jobs:reply(Id, Frame, Jobs) of
        unknown -> stream_reply(Id, Frame, L);
        Replied -> jobs(Replied, L)
    end.

stream_reply(Id, Frame, #live{streams = Streams} = L) ->
    case py_worker_streams:reply(Id, Frame, Streams) of
        unknown -> urgent_reply(Id, Frame, L);
        Replied -> streams(Replied, L)
    end.

urgent_reply(Id, Frame, #live{urgent = Urgent} = L) ->
    case py_worker_urgent:reply(Id, Frame, Urgent) of
        unknown -> L;   % nobody waits for it any more
        Replied -> urgent(Replied, note(none, L))
    end.

%% If the program says that it has run out of memory, this is what did it. Jobs are
%% noted by themselves.
note(Req, #live{jobs = Jobs} = L) -> L#live{jobs = py_worker_jobs:note(Req, Jobs)}.

%% What the program has said: its numbers, or its stacks because its loop is held up.
-spec numbers(py_result:result(), live()) -> live().
numbers({ok, Stacks}, L) when is_list(Stacks) -> L#live{loop_at = py_awaited:where(Stacks)};
numbers(Result, #live{pool = Pool, slot = Slot, rest = Rest, last_id = Last, jobs = Jobs} = L) ->
    py_worker_rest:heard(Result, Pool, Slot, self()),
    {IsResting, Next} = py_worker_rest:answered(Last, Rest),
    IsResting andalso py_pool_board:rest(Pool, Slot, self(), py_worker_jobs:calls(Jobs)),
    L#live{rest = Next}.

%% A stream's consumer asks for the next chunk.
-spec pull(py_wire:id(), py_ask:from(), py_time:deadline(), live()) -> live().
pull(Id, From, Deadline, #live{streams = Streams} = L) ->
    streams(py_worker_streams:pull(Id, From, Deadline, Streams), L).

%% A stream's consumer wants no more.
-spec close(py_wire:id(), live()) -> live().
close(Id, #live{streams = Streams} = L) ->
    streams(py_worker_streams:close(Id, py_time:now_ms(), Streams), L).

%% A process is dead. What it has here is cancelled; a program that does not heed that
%% has until the request's deadline, but not for ever.
-spec caller_gone(pid(), Why :: term(), live()) -> live().
caller_gone(Pid, Why, #live{callers = Callers} = L) ->
    case py_watch:gone(Pid, Callers) of
        {gone, Rest} -> leave(Pid, Why, py_time:now_ms(), L#live{callers = Rest});
        unknown -> L
    end.

leave(Pid, Why, Now, #live{pool = #pool{timeout = Timeout}} = L) ->
    Latest = py_time:deadline(Timeout, Now),
    Left = jobs(py_worker_jobs:leave(Pid, Now, Latest, L#live.jobs), L),
    let_go({dead, Pid, Why}, streams(py_worker_streams:leave(Pid, Now, Left#live.streams), Left)).

%% Something does not need this very worker any more.
-spec let_go(py_worker_tenure:leaving(), live()) -> live().
let_go(Leaving, #live{tenure = Tenure} = L) ->
    bound(py_worker_tenure:let_go(Leaving, fun(Id) -> py_worker_view:uses(Id, L) end, Tenure), L).

bound({Partings, Tenure}, L) ->
    Next = L#live{tenure = Tenure},
    py_worker_view:publish_contexts(Next),
    lists:foldl(fun parting/2, Next, Partings).

%% The program drops a context's names, or objects, when what it has by now is done.
parting({close, {What, Ids} = Op}, #live{pool = #pool{timeout = Timeout}, given = Given} = L) ->
    What =:= context_close andalso py_talk_given:closed(Ids, Given),
    What =:= context_close andalso py_talk_inbox:closed(L#live.inbox, Ids),
    Req = py_worker_send:own(Op, py_time:deadline(Timeout)),
    Id = py_worker_streams:next_id(L#live.last_id, L#live.streams),
    jobs(py_worker_jobs:push(Id, Req, ?WAITING_MAX, L#live.jobs), L#live{last_id = Id});
parting({later, Ms, Leaving}, L) ->
    _ = erlang:send_after(Ms, self(), {py_worker, {let_go, Leaving}}),
    L.

%% Somebody wants to send Python a message, or Python wants one; or a handler gets one.
-spec mail(py_talk_inbox:mail(), live()) -> live().
mail({message, Req}, #live{sealed = true} = L) -> py_worker_end:refuse(Req), L;
mail({message, Req}, L) -> push(Req, py_time:now_ms(), ?WAITING_MAX, L);
mail({release, Handler}, L) -> parting({close, {release, [Handler]}}, L);
mail({withdraw, _}, #live{inbox = none} = L) -> L;
mail(Mail, #live{inbox = none, port = Port, pool = Pool, about = About} = L) ->
    mail(Mail, L#live{inbox = py_talk_inbox:start(Port, Pool, About)});
mail(Mail, #live{inbox = Inbox} = L) ->
    Box = py_worker_view:box(Mail, L),
    py_talk_inbox:tell(Inbox, Mail, Box),
    effects([{answer, From, case Box of closed -> closed; _ -> {ok, Inbox} end} || {inbox, From, _} <- [Mail]], L).

%% The program should not run anything new: another worker will get the slot.
%% What is bound to this one stays, as in any replacement.
-spec spoilt(live()) -> live().
spoilt(#live{tenure = Tenure} = L) -> tenure(py_worker_tenure:spoil(Tenure), L#live{spoilt = true}).

%% The program has paused, because a job has run out of memory or nearly has. It
%% goes on when it has heard what it has to give back.
-spec ran_out(py_talk_events:shortage(), live()) -> live().
ran_out({memory_error, Id}, #live{jobs = Jobs} = L) ->
    note(py_worker_jobs:last(Jobs), ran_out(memory_error, note(py_worker_view:request(Id, L), L)));
ran_out(What, #live{jobs = Jobs} = L) -> ran_out(What, py_worker_jobs:last(Jobs), L).

ran_out(heap, none, #live{pool = Pool, slot = Slot, about = #{os_pid := OsPid}} = L) ->
    py_worker_reaper:full(Pool, Slot, OsPid),
    effect({send, py_wire:resume()}, L);
ran_out(What, Last, #live{tenure = Tenure} = L) ->
    Next = tenure(py_worker_tenure:ran_out(What, py_worker_view:is_limited(L), Last, Tenure), L),
    effect({send, py_wire:resume()}, Next).

%% The program runs what it has, and what is bound to it, but nothing else.
-spec spare(boolean(), live()) -> live().
spare(true, #live{jobs = Jobs} = L) -> jobs(py_worker_jobs:take_back(Jobs), L#live{spared = true});
spare(false, L) -> L#live{spared = false}.

%% Another worker has this one's slot.
-spec retire(restarted | recycled, Limit :: non_neg_integer(), live()) -> live().
retire(Why, Drain, #live{tenure = Tenure} = L) ->
    Limit = py_worker_tenure:patience(Why, Drain, py_time:now_ms(), Tenure),
    _ = erlang:send_after(Limit, self(), {py_worker, abandon}),
    L#live{retiring = true, tenure = py_worker_tenure:retire(Why, Tenure)}.

%% The time is up for callers that need this very worker.
-spec abandon(live()) -> live().
abandon(#live{tenure = Tenure} = L) -> L#live{tenure = py_worker_tenure:abandon(Tenure)}.

%% The pool stops. Says whether there is nothing left to do; then there never will be.
-spec seal(live()) -> {boolean(), live()}.
seal(L) ->
    IsDone = py_worker_view:is_done(L),
    {IsDone, L#live{sealed = IsDone}}.

%% The timer says that it is time for something.
-spec tick(reference(), live()) -> live().
tick(Timer, #live{timer = {Timer, _}} = L) ->
    Now = py_time:now_ms(),
    L0 = measure(fun py_worker_send:tick/3, Now, L#live{timer = none, now = Now}),
    %% Streams come first: those that are to end become jobs again.
    L1 = streams(py_worker_streams:expire(Now, L0#live.streams), L0),
    L2 = jobs(py_worker_jobs:expire(Now, L1#live.jobs), L1),
    L3 = urgent(py_worker_urgent:expire(Now, L2#live.urgent), L2),
    look(climb(Now, mark_busy(Now, L3)));
tick(_, L) -> L.

measure(How, Now, #live{jobs = Jobs, send = Send, pool = Pool} = L) ->
    {Windows, Next} = How(Now, py_worker_jobs:calls(Jobs), Send),
    py_pool_load:look(Pool, Now),
    spread(py_worker_view:fit_heap(jobs(py_worker_jobs:set_window(Windows, Jobs), L#live{send = Next}))).

%% What waits here came when a crowd was to stay together.
spread(#live{pool = Pool, jobs = Jobs} = L) ->
    case py_pool_load:is_apart(Pool) of true -> jobs(py_worker_jobs:spread(Jobs), L); false -> L end.

%% A worker that has lost its slot is not shown.
look(#live{since = none, retiring = false, sealed = false, last_id = Last, rest = Rest} = L) ->
    case py_worker_urgent:count(L#live.urgent) > 0 orelse py_worker_rest:tick(Last, Rest) of
        {ask, Next} -> effect({send, py_worker_rest:question(memory_stats)}, L#live{rest = Next});
        {wait, Next} -> L#live{rest = Next};
        true -> L
    end;
look(L) -> L.

mark_busy(Now, #live{busy = false, since = Since} = L) when is_integer(Since), Now - Since >= ?TICK_MS ->
    jobs(py_worker_jobs:take_back(L#live.jobs), L#live{busy = true});
mark_busy(_, L) -> L.

climb(Now, L) ->
    Next = ladder(py_worker_ladder:expire(Now, L#live.ladder), L),
    case py_worker_jobs:stuck(Now, Next#live.jobs) of
        {true, Id} ->
            Marked = Next#live{interrupted = py_worker_view:suspect(Id, Next)},
            ladder(py_worker_ladder:start(Id, Now, Next#live.ladder), Marked);
        false ->
            Next
    end.

%% ---------------------------------------------------------------------------
%% What is done about it

%% Each reply is progress, so that is done together with the rest.
jobs({[progress | Effects], Jobs}, L) ->
    effects(Effects, L#live{jobs = Jobs, since = none, busy = false});
jobs({Effects, Jobs}, L) -> effects(Effects, L#live{jobs = Jobs}).
streams({Effects, Streams}, L) -> effects(Effects, L#live{streams = Streams}).
urgent({Effects, Urgent}, L) -> effects(Effects, L#live{urgent = Urgent}).
ladder({Effects, Ladder}, L) -> effects(Effects, L#live{ladder = Ladder}).

%% Most of the time nothing is new.
tenure({[], Tenure}, #live{tenure = Tenure} = L) -> L;
tenure({Effects, Tenure}, L) ->
    lists:foldl(fun closing/2, L#live{tenure = Tenure}, Effects).

%% A worker that is used up may run what it has taken, any other must not.
closing(prepare, #live{pool_pid = Pool, slot = Slot} = L) -> py_pool:prepare(Pool, Slot, self()), L;
closing({replace, calls}, #live{pool_pid = Pool, slot = Slot} = L) ->
    py_pool:replace(Pool, Slot, self(), calls, none), L;
closing({replace, Why}, #live{pool_pid = Pool, slot = Slot, jobs = Jobs} = L) ->
    py_pool:replace(Pool, Slot, self(), Why, py_worker_view:last(L)),
    jobs(py_worker_jobs:hand_over(Jobs), L).

effects([], L) -> L;
effects([Effect | Rest], L) -> effects(Rest, effect(Effect, L)).

effect({answer, From, Answer}, L) -> py_ask:answer(From, Answer), L;
effect({send, Frame}, #live{port = Port} = L) -> _ = py_os_port:send(Port, Frame), L;
effect({recall, Ids}, #live{send = Send} = L) ->
    effects([{send, Frame} || Frame <- py_worker_send:recall(Ids, Send)], L);
effect({queue, Req}, #live{pool_pid = Pool} = L) -> py_pool:enter(Pool, Req#req{body = []}), L;
effect(progress, L) -> L#live{since = none, busy = false};
effect({note, Req}, L) -> note(Req, L);
effect(measure, L) -> measure(fun py_worker_send:widen/3, py_time:now_ms(), L);
effect({requeue, Req}, L) -> py_worker_end:give_back(Req, L#live.pool_pid), effect({given_back, Req}, L);
effect({given_back, Req}, #live{tenure = Tenure} = L) ->
    L#live{tenure = py_worker_tenure:given_back(Req, Tenure)};
effect({bind, Bound}, #live{tenure = Tenure} = L) ->
    bound(py_worker_tenure:bind(Bound, Tenure), L);
effect({let_go, Leaving}, L) -> let_go(Leaving, L);
effect({open, Job, Frame, Items}, #live{streams = Streams} = L) ->
    streams(py_worker_streams:open(Job, Frame, Items, Streams), L);
effect({stop, #job{id = Id} = Job, Until}, #live{jobs = Jobs} = L) ->
    Next = L#live{jobs = py_worker_jobs:put_back(Job, Until, Jobs)},
    effect({send, py_wire:stop(Id)}, Next);
effect({unheard, Id}, #live{ladder = Ladder, now = Now} = L) ->
    case py_worker_ladder:start(Id, Now, Ladder) of
        {[], _} -> L;
        Started -> ladder(Started, effect({send, py_worker_rest:question(stack)}, L))
    end;
effect(stuck, #live{tenure = Tenure} = L) -> tenure(py_worker_tenure:stick(Tenure), L);
effect({ended, Id}, #live{ladder = Ladder} = L) -> L#live{ladder = py_worker_ladder:off(Id, Ladder)};
effect({rung, interrupt}, #live{about = About} = L) -> py_worker_reaper:interrupted(About), L;
effect({rung, close}, #live{about = About, port = Port, pool = Pool} = L) ->
    py_os_port:close(Port), py_worker_reaper:reap(About, Pool#pool.close_grace), L.

%% ---------------------------------------------------------------------------
%% The end of each step

%% Sends what may be sent, keeps the time, and tells others the load. `retired'
%% if another has this worker's slot and there is nothing left to do here.
-spec settle(live()) -> {live, live()} | {retired, restarted | recycled}.
settle(#live{given = Given} = Live) ->
    L = case Given of none -> Live; _ -> py_worker_view:lapse(Live) end,
    Settled = arm(py_worker_view:rouse(py_worker_view:keep_time(send_waiting(L)))),
    py_worker_view:publish(Settled),
    case py_worker_view:may_end(Settled) of
        {true, Why} -> {retired, Why};
        false -> {live, Settled}
    end.

%% What could not be written, because the program has just ended, stays unsent.
send_waiting(#live{jobs = Jobs, send = Send, port = Port, lane = Lane} = L) ->
    case py_worker_send:next(Jobs, Send) of
        {Frame, Sent} ->
            case py_os_lane:send(Port, Frame, Lane) of
                {true, Next} -> send_waiting(L#live{jobs = Sent, lane = Next});
                {false, _} -> L
            end;
        none ->
            L
    end.

arm(#live{timer = Timer} = L) ->
    case {py_worker_view:wake(L), Timer} of
        {infinity, _} -> L;
        {At, {_, Armed}} when Armed =< At -> L;
        {At, _} -> arm(At, L)
    end.

arm(At, #live{timer = Timer} = L) ->
    is_tuple(Timer) andalso erlang:cancel_timer(element(1, Timer)),
    L#live{timer = {erlang:start_timer(At, self(), tick, [{abs, true}]), At}}.

%% ---------------------------------------------------------------------------
%% The end of the worker

%% The program is dead. All that it said is heard, but for these frames.
-spec dead([{py_wire:id(), binary()}], live()) -> live().
dead([], #live{jobs = Jobs} = L) -> jobs(py_worker_jobs:dead(Jobs), L);
dead([{Id, Frame} | Kept], L) -> dead(Kept, reply(Id, Frame, L)).

%% Answers everything, by the rules of the pure modules.
-spec give_up(term(), Program :: dead | alive, live()) -> ok.
give_up(Why, Program, L) ->
    _ = effects(py_worker_end:give_up(Why, Program, L), L),
    ok.
