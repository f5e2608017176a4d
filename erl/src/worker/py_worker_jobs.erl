%% SPDX-License-Identifier: Apache-2.0
%%
%% The jobs of one worker: the requests that the program has, in the order in
%% which they were sent, and those that wait for room in the window. Each has a
%% state of its own (py_worker_jobs.hrl):
%%
%%   waiting ── next ──> sent ── may_start ──> {started, main} ──> answered
%%                         │                         ├── aside ──> {started, loop} ──> answered
%%                         └── aside ──> {started, thread} ──┘
%%
%% Only py_turn says which jobs the program may have started; all other
%% rules depend on a job's state. If the worker dies, what has started fails, and
%% nothing else does. Pure.
-module(py_worker_jobs).

-export([new/1, push/4, nest/3, next/1, ahead/3, part/4, aside/4, reply/3, put_back/3]).
-export([note/2, last/1, request/2, requests/1, has_free/1]).
-export([is_idle/1, count/1, awaited/1, threads/1, is_awaited/2, calls/1, set_window/2, load/2]).
-export([callers/1, owner/2, running/1]).
-export([expire/2, stuck/2, soonest/1, leave/4, take_back/1, spread/1, hand_over/1, dead/1, give_up/3]).
-export_type([jobs/0, job/0]).

-import(py_job, [may_move/1, too_late/1, cancel/1, given_up/3]).

-include("py.hrl").
-include("py_protocol.hrl").
-include("py_worker_jobs.hrl").

-record(jobs, {
    sent = [] :: [job()],               % oldest first
    behind = [] :: [job()],             % sent after them, youngest first (py_turn)
    window = ?LEAST_WINDOW :: pos_integer(),    % how many may be sent
    n = 0 :: non_neg_integer(),         % how many
    bytes = 0 :: non_neg_integer(),     % how large together
    multicalls = 0 :: non_neg_integer(),
    waiting = queue:new() :: queue:queue(job()),
    n_waiting = 0 :: non_neg_integer(),
    awaited :: py_awaited:awaited(),
    calls = 0 :: non_neg_integer(),     % answered with a reply, ever
    due = 2 * ?LEAST_WINDOW :: pos_integer(),   % how many calls may change the window
    last = none :: none | #req{},       % what the program was doing last
    soonest = infinity :: py_time:deadline()
}).

-opaque jobs() :: #jobs{}.
-type job() :: #job{}.

-spec new(py_awaited:options()) -> jobs().
new(Options) -> #jobs{awaited = py_awaited:new(Options)}.

%% ---------------------------------------------------------------------------
%% On its way

%% Accepts a request, unless more than Max would wait; a multicall had a place. It waits
%% until next/1 lets it go. What any worker may run came because there was room: if
%% others have taken it, it goes to the queue.
-spec push(py_wire:id(), #req{}, Max :: non_neg_integer(), jobs()) -> {[effect()], jobs()}.
push(_, #req{calls = none} = Req, Max, #jobs{n = N, n_waiting = Waiting} = J)
  when N + Waiting >= Max + J#jobs.window ->
    {[no_room(Req, N + Waiting - J#jobs.window, Max)], J};
push(Id, #req{deadline = Deadline, reply_to = From} = Req, _, #jobs{waiting = Waiting} = J) ->
    Job = #job{id = Id, req = Req, deadline = Deadline, left = From =:= undefined},
    {[], J#jobs{waiting = queue:in(Job, Waiting), n_waiting = J#jobs.n_waiting + 1,
                soonest = min(Deadline, J#jobs.soonest)}}.

no_room(#req{bound = false} = Req, _, _) -> {queue, Req};
no_room(#req{reply_to = From}, N, Max) -> {answer, From, {error, {overloaded, N, Max}}}.

%% Accepts a request that runs within a call of the running job, on top of it: it is
%% sent at once, and comes before all others, as nothing else goes on until it is over.
-spec nest(py_wire:id(), #req{}, jobs()) -> {[effect()], jobs()}.
nest(Id, #req{within = Call, arity = Arity, size = Size, body = Body, deadline = Deadline} = Req,
     #jobs{sent = Sent, n = N, bytes = Bytes} = J) ->
    Job = #job{id = Id, req = Req, state = {started, main}, deadline = Deadline},
    {[{send, py_wire:within(Call, py_wire:request(Id, Arity, py_secret:show(Body)), Size)}],
     J#jobs{sent = [Job | Sent], n = N + 1, bytes = Bytes + Size,
            soonest = min(Deadline, J#jobs.soonest)}}.

%% The job to send now, if one may be sent. It is not an effect, because what cannot
%% be written is not sent: then the old jobs stay.
-spec next(jobs()) -> {job(), jobs()} | none.
next(#jobs{n_waiting = 0}) -> none;
next(#jobs{n = N, bytes = Bytes, waiting = Waiting} = J) ->
    #job{req = #req{size = Size}} = Job = queue:get(Waiting),
    case N =:= 0 orelse N < J#jobs.window andalso Bytes + Size =< ?WINDOW_BYTES of
        true -> {Job, send(Job, Size, J)};
        false -> none
    end.

send(#job{req = #req{calls = Calls}} = Job, Size, #jobs{multicalls = Many} = J) ->
    {Sent, Behind} = py_turn:add(Job, J#jobs.sent, J#jobs.behind),
    J#jobs{sent = Sent, behind = Behind, n = J#jobs.n + 1, bytes = J#jobs.bytes + Size,
           multicalls = case Calls of none -> Many; _ -> Many + 1 end,
           waiting = queue:drop(J#jobs.waiting), n_waiting = J#jobs.n_waiting - 1}.

gather(J) -> J#jobs{sent = sent(J), behind = []}.

%% All that the program has, oldest first.
sent(#jobs{sent = Sent, behind = []}) -> Sent;
sent(#jobs{sent = Sent, behind = Behind}) -> Sent ++ lists:reverse(Behind).

%% A frame that comes ahead of the job's reply, and belongs to it: what it has
%% printed, or what it has cost.
-spec ahead(py_wire:id(), binary(), jobs()) -> jobs().
ahead(Id, Frame, J) ->
    J#jobs{behind = [], awaited = py_awaited:ahead(Id, Frame, J#jobs.awaited),
           sent = [case Job of
                       #job{id = Id, ahead = Ahead} -> Job#job{ahead = [Frame | Ahead]};
                       #job{} -> Job
                   end || Job <- sent(J)]}.

%% Calls of a multicall have their results, or are given back.
-spec part(py_wire:id(), py_wire:part(), binary(), jobs()) -> {[effect()], jobs()}.
part(Id, Part, Frame, J) ->
    #jobs{sent = Sent, calls = Calls} = Gathered = gather(J),
    case lists:keyfind(Id, #job.id, Sent) of
        #job{req = #req{calls = Known}} = Job when Known =/= none ->
            {Effects, Answered, Next} = py_job:part(Part, Frame, Job),
            {[progress | Effects], Gathered#jobs{sent = lists:keyreplace(Id, #job.id, Sent, Next),
                                                 calls = Calls + Answered}};
        _ ->
            {[], J}
    end.

%% The program goes on with the next job; this one goes on beside others, or does so already.
-spec aside(loop | thread, py_wire:id(), Now :: integer(), jobs()) -> {[effect()], jobs()}.
aside(Where, Id, Now, #jobs{awaited = Awaited} = J) ->
    case pop(Id, J) of
        {Job, Next} ->
            {Effects, Aside} = with_awaited(py_awaited:add(Where, Job, Now, Awaited), Now, Next),
            {[progress || Job#job.req#req.within =:= none] ++ Effects, Aside};
        none when Where =:= loop -> with_awaited(py_awaited:to_loop(Id, Now, Awaited), Now, J);
        none -> {[], looked_at(Now, J#jobs{awaited = py_awaited:at_end(Id, Now, Awaited)})}
    end.

%% It is looked soon what has become of those that were cancelled.
with_awaited({[], A}, _, J) -> {[], J#jobs{awaited = A}};
with_awaited({Effects, A}, Now, J) -> {Effects, looked_at(Now, J#jobs{awaited = A})}.

looked_at(Now, J) -> J#jobs{soonest = min(Now + ?TICK_MS, J#jobs.soonest)}.

%% The program has answered this one; mostly it is the oldest.
-spec reply(py_wire:id(), binary(), jobs()) -> {[effect()], jobs()} | unknown.
reply(Id, Frame, #jobs{sent = [#job{id = Id} = Job | Rest]} = J) ->
    replied(Job, Frame, without(Job, Rest, J));
reply(Id, Frame, J) ->
    case pop(Id, J) of
        {Job, Next} -> replied(Job, Frame, Next);
        none -> awaited_reply(Id, Frame, J)
    end.

awaited_reply(Id, Frame, #jobs{awaited = Awaited} = J) ->
    case py_awaited:take(Id, Awaited) of
        {#job{req = Req, state = {started, On}} = Job, Rest} when On =/= loop ->
            finish(Job, Frame, J#jobs{awaited = Rest, last = Req#req{body = []}});
        {Job, Rest} -> finish(Job, Frame, J#jobs{awaited = Rest});
        error -> unknown
    end.

pop(Id, #jobs{sent = Sent, behind = Behind} = J) ->
    case lists:keytake(Id, #job.id, Sent) of
        {value, Job, Rest} -> {Job, without(Job, Rest, J)};
        false when Behind =:= [] -> none;
        false -> pop(Id, gather(J))
    end.

without(#job{req = #req{size = Size, calls = Calls} = Req}, Rest,
        #jobs{n = N, bytes = Bytes, multicalls = Many} = J) ->
    {Sent, Behind} = py_turn:advance(Rest, J#jobs.behind),
    J#jobs{sent = Sent, behind = Behind, n = N - 1, bytes = Bytes - Size, last = Req#req{body = []},
           multicalls = case Calls of none -> Many; _ -> Many - 1 end}.

%% What runs within another one is no progress of that, unless it kept the ladder from it.
replied(#job{left = false, req = #req{within = Call}} = Job, Frame, J) when Call =/= none -> finish(Job, Frame, J);
replied(Job, Frame, J) ->
    case {py_turn:has_started(Job), finish(Job, Frame, J)} of
        {true, {[{requeue, _}], #jobs{n = N}} = Back} when N > 0 -> Back;   % something else runs
        {true, {Effects, Next}} -> {[progress | Effects], Next};
        {false, Finished} -> Finished
    end.

finish(#job{left = true} = Job, Frame, J) -> unwanted(Job, py_wire:chunk_items(Frame), Frame, J);
finish(#job{recalled = true, req = Req} = Job, Frame, J) ->
    case py_wire:is_not_started(Frame) of
        true -> {[{requeue, Req}], J};
        false -> finish(Job#job{recalled = false}, Frame, J)
    end;
finish(#job{req = #req{kind = {stream, _}} = Req} = Job, Frame, J) ->
    case py_wire:chunk_items(Frame) of
        final -> done(Job, Frame, J);
        Items -> {py_worker_tenure:binds(Req, Frame)
                      ++ [{open, Job#job{req = Req#req{body = []}}, Frame, Items}], J}
    end;
finish(Job, Frame, J) -> done(Job, Frame, J).

%% Nobody waits for it; but a stream has not ended before its last word.
unwanted(#job{id = Id, req = Req}, final, Frame, J) ->
    {[{ended, Id} | py_worker_tenure:unwanted(Req, Frame)], J};
unwanted(#job{deadline = Deadline} = Job, _Items, _, J) -> {[], put_back(Job, Deadline, J)}.

done(#job{req = #req{reply_to = From, calls = none} = Req, ahead = Ahead}, Frame,
     #jobs{calls = Calls, due = Due} = J) ->
    Answer = case Ahead of [] -> {reply, Frame}; _ -> {reply, Frame, lists:reverse(Ahead)} end,
    {py_worker_tenure:binds(Req, Frame) ++ [{answer, From, Answer} | [measure || Calls + 1 >= Due]],
     J#jobs{calls = Calls + 1}};
%% Calls that are left are those of a multicall that was refused as a whole.
done(#job{req = #req{reply_to = From} = Req} = Job, Frame, #jobs{calls = Calls, due = Due} = J) ->
    {[{given_back, Req} || py_job:calls(Job) > 0]
         ++ [{answer, From, {reply, Frame}} | [measure || Calls >= Due]], J}.

%% A stream is to end: it is the program's until its last word, which should come by then.
-spec put_back(job(), py_time:deadline(), jobs()) -> jobs().
put_back(#job{state = {started, Where}} = Job, Deadline, #jobs{awaited = Awaited} = J) when Where =/= main ->
    J#jobs{awaited = py_awaited:put_back(Job, Deadline, Awaited), soonest = min(Deadline, J#jobs.soonest)};
put_back(#job{req = #req{size = Size}} = Job, Deadline, #jobs{sent = Sent} = J) ->
    Ending = Job#job{left = true, deadline = Deadline},
    J#jobs{sent = py_turn:may_start([Ending | Sent]), n = J#jobs.n + 1, bytes = J#jobs.bytes + Size,
           soonest = min(Deadline, J#jobs.soonest)}.

%% The program was doing something that is not a job.
-spec note(#req{} | none, jobs()) -> jobs().
note(Req, J) -> J#jobs{last = Req}.

%% What the program was doing when it last said something.
-spec last(jobs()) -> #req{} | none.
last(#jobs{last = Last}) -> Last.

%% ---------------------------------------------------------------------------
%% What there is

%% Whether the program has no job.
-spec is_idle(jobs()) -> boolean().
is_idle(#jobs{n = N}) -> N =:= 0.

-spec count(jobs()) -> non_neg_integer().
count(#jobs{n = N, n_waiting = Waiting} = J) -> N + Waiting + awaited(J).

%% How many of them are beside the others.
-spec awaited(jobs()) -> non_neg_integer().
awaited(#jobs{awaited = Awaited}) -> py_awaited:count(Awaited).

%% On how many threads something runs.
-spec threads(jobs()) -> non_neg_integer().
threads(#jobs{awaited = Awaited}) -> py_awaited:threads(Awaited).

-spec is_awaited(py_wire:id() | none, jobs()) -> boolean().
is_awaited(Id, #jobs{awaited = Awaited}) -> py_awaited:find(Id, Awaited) =/= false.

%% How many have been answered with a reply since the worker became live.
-spec calls(jobs()) -> non_neg_integer().
calls(#jobs{calls = Calls}) -> Calls.

%% From now on this many may be sent. If the program has far too many, because it has
%% become slow, those behind would wait while others have nothing to do.
-spec set_window(py_worker_send:windows(), jobs()) -> {[effect()], jobs()}.
set_window({Window, Far, Due}, #jobs{n = N} = J) when N > Far ->
    take_back(fun py_job:is_free/1, Window, J#jobs{window = Window, due = Due});
set_window({Window, _, Due}, J) -> {[], J#jobs{window = Window, due = Due}}.

%% As others see it (py_pool_load): how many there are, and how many there may be; none,
%% if it has too many bytes or some wait although there might be more. A multicall counts
%% as so many that there is room for one more. Streams: how many are awaited.
-spec load(Streams :: non_neg_integer(), jobs()) -> {non_neg_integer(), Window :: non_neg_integer()}.
load(Streams, #jobs{awaited = A} = J) -> py_awaited:load(own_load(J), Streams, A).

own_load(#jobs{n = N, bytes = Bytes, n_waiting = Waiting, window = Window, multicalls = Many})
  when Bytes < ?WINDOW_BYTES, Waiting =:= 0 orelse N >= Window ->
    {N + Waiting + Many * (Window - 2), Window};
own_load(#jobs{n = N, n_waiting = Waiting}) -> {N + Waiting, 0}.

%% The processes that have a job here.
-spec callers(jobs()) -> [pid()].
callers(#jobs{} = J) -> [Caller || #job{req = #req{caller = Caller}} <- all(J)].

%% Who waits for this job of the program's, if anybody does.
-spec owner(py_wire:id() | none, jobs()) -> pid() | none.
owner(Id, #jobs{} = J) ->
    case request(Id, J) of #req{owner = Owner} -> Owner; none -> none end.

%% What the program may be running: the job that it has started, else a stream
%% that it has.
-spec running(jobs()) -> py_wire:what() | none.
running(#jobs{sent = Sent}) ->
    case py_turn:may_run(Sent) of
        [#job{req = #req{what = What}} | _] -> What;
        [] -> none
    end.

%% The one with this Id that the program has.
-spec request(py_wire:id() | none, jobs()) -> #req{} | none.
request(Id, #jobs{awaited = Awaited} = J) ->
    Sent = lists:keyfind(Id, #job.id, sent(J)),
    case Sent =/= false orelse py_awaited:find(Id, Awaited) of
        true -> Sent#job.req;
        #job{req = Req} -> Req;
        false -> none
    end.

-spec requests(jobs()) -> [#req{}].
requests(#jobs{} = J) -> [Req || #job{req = Req} <- all(J)].

%% Whether somebody waits for one that need not have run on this very worker.
-spec has_free(jobs()) -> boolean().
has_free(#jobs{} = J) ->
    lists:any(fun(#job{left = Left} = Job) -> not Left andalso may_move(Job) end, all(J)).

all(#jobs{waiting = Waiting, awaited = Awaited} = J) ->
    sent(J) ++ queue:to_list(Waiting) ++ py_awaited:all(Awaited).

%% ---------------------------------------------------------------------------
%% Time

%% Answers the jobs whose deadline has passed. What the program has not started is
%% cancelled; what it may have started is for the ladder (stuck/2). Both stay
%% until the program answers, but nobody waits for them any more.
-spec expire(Now :: integer(), jobs()) -> {[effect()], jobs()}.
expire(Now, #jobs{soonest = Soonest} = J) when Now < Soonest -> {[], J};
expire(Now, J) ->
    {Late, #jobs{sent = Sent} = Kept} =
        drop_waiting(fun(Job) -> py_job:is_late(Now, Job) end, gather(J)),
    {Marked, Effects} = lists:mapfoldr(fun(Job, Acc) -> py_job:expire(Now, Job, Acc) end, [], Sent),
    PutOff = fun(Job) -> {Later, []} = py_job:expire(Now, Job, []), {true, Later} end,
    {Told, Awaited} = py_awaited:expire(Now, Kept#jobs.awaited),
    Next = Kept#jobs{sent = Marked, awaited = Awaited, waiting = queue:filtermap(PutOff, Kept#jobs.waiting)},
    Deadlines = [D || #job{deadline = D} <- all(Next), D > Now],
    {[too_late(Job) || Job <- Late] ++ Effects ++ Told,
     Next#jobs{soonest = py_time:earliest(Deadlines)}}.

%% No deadline is earlier, except for those that expire/2 has handled.
-spec soonest(jobs()) -> py_time:deadline().
soonest(#jobs{soonest = Soonest}) -> Soonest.

%% What may be running although its deadline has passed.
-spec stuck(Now :: integer(), jobs()) -> {true, py_wire:id()} | false.
stuck(Now, #jobs{sent = Sent}) -> py_turn:stuck(Now, Sent).

%% ---------------------------------------------------------------------------
%% Absence and the end

%% A caller is gone. Its jobs that were sent are cancelled and keep their
%% places, until their own deadlines or this one; the others are dropped.
-spec leave(pid(), Now :: integer(), py_time:deadline(), jobs()) -> {[effect()], jobs()}.
leave(Caller, Now, Latest, J) ->
    IsHis = fun(#job{req = #req{caller = Pid}, left = Left}) -> not Left andalso Pid =:= Caller end,
    {_, #jobs{sent = Sent} = Kept} = drop_waiting(IsHis, gather(J)),
    {Told, Left} = with_awaited(py_awaited:leave(Caller, Now, Kept#jobs.awaited), Now, Kept),
    {[cancel(Job) || Job <- Sent, IsHis(Job)] ++ Told,
     lists:foldl(fun(Job, Acc) -> left(Job, Latest, Acc) end, Left, lists:filter(IsHis, Sent))}.

left(#job{id = Id, deadline = Deadline} = Job, Latest, #jobs{sent = Sent} = J) ->
    Until = min(Deadline, Latest),
    Left = Job#job{left = true, deadline = Until},
    J#jobs{sent = lists:keyreplace(Id, #job.id, Sent, Left), soonest = min(Until, J#jobs.soonest)}.

%% The worker has become busy: what waits goes elsewhere if it may, and the
%% program is asked, once for each job, to give back what it has not started.
-spec take_back(jobs()) -> {[effect()], jobs()}.
take_back(J) -> take_back(fun py_job:is_free/1, 0, J).

%% What waits goes elsewhere if it may; what the program has stays.
-spec spread(jobs()) -> {[effect()], jobs()}.
spread(#jobs{n = N} = J) -> take_back(fun py_job:is_free/1, N, J).

%% The worker must not run anything new. It does the same, and what names this worker
%% goes to its successor.
-spec hand_over(jobs()) -> {[effect()], jobs()}.
hand_over(J) -> take_back(fun py_job:may_move/1, 0, J).

%% All but the first ones that the program has.
take_back(May, Keep, J) ->
    {Free, #jobs{n = N, sent = All} = Kept} = drop_waiting(May, gather(J)),
    {First, Sent} = lists:split(min(Keep, N), All),
    Recall = fun(#job{left = Left, recalled = Was} = Job) -> not (Left orelse Was) andalso May(Job) end,
    Marked = [Job#job{recalled = Job#job.recalled orelse Recall(Job)} || Job <- Sent],
    {[{requeue, Req} || #job{req = Req} <- Free] ++ recall([Id || #job{id = Id} = Job <- Sent, Recall(Job)]),
     Kept#jobs{sent = First ++ Marked}}.

recall([]) -> [];
recall(Ids) -> [{recall, Ids}].

%% Takes out those of the waiting jobs for which the fun holds.
drop_waiting(_, #jobs{n_waiting = 0} = J) -> {[], J};
drop_waiting(IsOut, #jobs{waiting = Waiting} = J) ->
    {Out, Kept} = lists:partition(IsOut, queue:to_list(Waiting)),
    {Out, J#jobs{waiting = queue:from_list(Kept), n_waiting = length(Kept)}}.

%% The program is dead, and all that it said is heard: of a multicall, what is behind the
%% first call has not started.
-spec dead(jobs()) -> {[effect()], jobs()}.
dead(#jobs{sent = Sent} = J) ->
    case [Job || Job <- lists:filter(fun py_turn:has_started/1, Sent), py_job:calls(Job) > 1] of
        [#job{id = Id} = Job] -> part(Id, {not_started, py_job:calls(Job) - 1}, <<>>, J);
        [] -> {[], J}
    end.

%% The worker ends. What may have started gets this answer; what has not started
%% goes back to its caller, unless it needs this very worker.
-spec give_up(py_result:answer(), Program :: dead | alive, jobs()) -> [effect()].
give_up(Failed, Program, #jobs{} = J) ->
    [{answer, From, given_up(Job, Program, Failed)} || #job{left = false, req = #req{reply_to = From}} = Job <- all(J)].
