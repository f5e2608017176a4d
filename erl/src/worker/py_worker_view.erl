%% SPDX-License-Identifier: Apache-2.0
%%
%% A live worker as it is seen: what it is doing, whether it takes anything new, when it
%% has to decide something, whether it may end; and its load, which others read.
-module(py_worker_view).

-export([info/1, running/1, request/2, who/2, box/2, tell_open/3, callers/1, watch/2, is_running/1, lapse/1, uses/2]).
-export([takes/2, wake/1, is_done/1, may_end/1, cause/2, is_closing/1, suspect/2, culprit/1]).
-export([keep_time/1, rouse/1, last/1, is_limited/1, publish/1, publish_contexts/1, fit_heap/1]).
-export_type([live/0]).

-include("py.hrl").
-include("py_protocol.hrl").
-include("py_worker_live.hrl").

-type live() :: #live{}.

-spec info(live()) -> #{python := binary(), guard := atom(), os_pid := pos_integer(),
                        lane := boolean(),
                        state := idle | busy, calls := non_neg_integer(),
                        running := py_wire:what() | none,
                        in_flight := non_neg_integer(), awaited := non_neg_integer(),
                        threads := non_neg_integer(),
                        streams := non_neg_integer(), contexts := non_neg_integer(), handles := non_neg_integer()}.
info(#live{jobs = Jobs, streams = Streams, tenure = Tenure, hello = Hello} = L) ->
    State = case is_running(L) of true -> busy; false -> idle end,
    Hello#{state => State, calls => py_worker_jobs:calls(Jobs), running => running(L),
           in_flight => py_worker_jobs:count(Jobs), awaited => py_worker_jobs:awaited(Jobs),
           threads => py_worker_jobs:threads(Jobs),
           streams => py_worker_streams:count(Streams),
           contexts => py_worker_tenure:contexts(Tenure),
           handles => py_worker_tenure:handles(Tenure)}.

%% What the program is running now, if it is; without arguments.
-spec running(live()) -> py_wire:what() | none.
running(#live{jobs = Jobs, streams = Streams}) ->
    case py_worker_jobs:running(Jobs) of
        none -> py_worker_streams:running(Streams);
        What -> What
    end.

%% What it was doing when it last said something.
-spec last(live()) -> py_wire:what() | none.
last(#live{jobs = Jobs}) ->
    case py_worker_jobs:last(Jobs) of
        #req{what = What} -> What;
        none -> none
    end.

%% Who waits for this request, a job or a stream, if anybody does; who keeps the funs that
%% requests have brought; where messages for Python are, and which of them are for this
%% request's code.
-spec who({caller | box, py_wire:id() | none} | keeper | inbox, {live, live()} | tuple() | atom()) ->
          pid() | none | py_talk_inbox:box() | closed.
who({caller, Id}, {live, L}) ->
    case request(Id, L) of #req{owner = Owner} -> Owner; none -> none end;
who(keeper, {live, #live{given = Given}}) -> py_talk_given:keeper(Given);
who(inbox, {live, #live{inbox = Inbox}}) -> Inbox;
who({box, Id}, {live, L}) -> box_of(Id, L);
who({box, _}, _) -> worker;
who(_, _) -> none.

%% The job or the stream with this Id, if there is one.
-spec request(py_wire:id() | none, live()) -> #req{} | none.
request(Id, #live{jobs = Jobs, streams = Streams}) ->
    case py_worker_streams:request(Id, Streams) of
        none -> py_worker_jobs:request(Id, Jobs);
        Req -> Req
    end.

%% Which messages this is about: those for whoever it says, or for the code of a request.
-spec box(py_talk_inbox:mail(), live()) -> py_talk_inbox:box() | closed.
box({take, _, Job, _}, L) -> box_of(Job, L);
box({inbox, _, Box}, L) -> open_box(Box, L);
box({on_message, Box, _}, L) -> open_box(Box, L);
box(_, _) -> worker.

open_box(Box, _) when is_atom(Box) -> Box;
open_box(Context, #live{tenure = Tenure}) ->
    case py_worker_tenure:is_context(Context, Tenure) of true -> Context; false -> closed end.

box_of(Id, #live{tenure = Tenure} = L) ->
    case request(Id, L) of
        #req{context = Context} = Req when Context =/= none ->
            case py_worker_tenure:open_context(Req, Tenure) of none -> closed; _ -> Context end;
        _ -> worker
    end.

%% Answers whether this context is open.
-spec tell_open(py_ask:from(), {pos_integer(), Owner :: pid()}, live()) -> ok.
tell_open(From, {Id, Owner}, #live{tenure = Tenure}) ->
    py_ask:answer(From, py_worker_tenure:is_context(Id, Owner, Tenure)).

%% Those whose death is heard of, and this process.
-spec watch(pid(), live()) -> py_watch:callers().
watch(Caller, #live{callers = Callers} = L) ->
    py_watch:watch(Caller, fun callers/1, L, Callers).

%% The processes that have something here.
-spec callers(live()) -> [pid()].
callers(#live{jobs = Jobs, streams = Streams, tenure = Tenure}) ->
    py_worker_jobs:callers(Jobs) ++ py_worker_streams:callers(Streams)
        ++ py_worker_tenure:owners(Tenure).

%% Whether the program has something to do.
-spec is_running(live()) -> boolean().
is_running(#live{jobs = Jobs, streams = Streams}) ->
    not py_worker_jobs:is_idle(Jobs) orelse py_worker_streams:active(Streams) > 0.

%% Lets go of the funs of requests that are over.
-spec lapse(live()) -> live().
lapse(#live{given = Given, jobs = Jobs, streams = Streams} = L) ->
    Has = fun(Id) ->
        py_worker_jobs:request(Id, Jobs) =/= none orelse py_worker_streams:is_open(Id, Streams)
    end,
    L#live{given = py_talk_given:over(Has, Given)}.

%% Whether something that it has in hand uses this context.
-spec uses(Context :: pos_integer(), live()) -> boolean().
uses(Id, #live{jobs = Jobs, streams = Streams}) ->
    lists:any(fun(Req) -> uses_this(Id, Req) end,
              py_worker_jobs:requests(Jobs) ++ py_worker_streams:requests(Streams)).

uses_this(Id, #req{binds = {uses, Id, _}}) -> true;
uses_this(Id, #req{binds = {handle, {uses, Id, _}}}) -> true;
uses_this(_, _) -> false.

%% Whether it takes this request, or has as many contexts or handles as it may. What
%% names it waits for its successor, if there is to be one.
-spec takes(#req{}, live()) -> boolean() | {full, contexts | handles, pos_integer()}.
takes(#req{binds = {context, _, _}} = Req, L) -> takes_one_more(context, Req, L);
takes(#req{binds = {handle, _}} = Req, L) -> takes_one_more(handle, Req, L);
takes(#req{named = true}, #live{tenure = Tenure}) -> py_worker_tenure:is_open(Tenure);
takes(#req{bound = Bound, calls = none}, L) -> Bound orelse takes_new(L);
takes(Req, #live{tenure = Tenure} = L) -> takes_new(L) andalso py_worker_tenure:has_use(Req, Tenure).

takes_one_more(Kind, Req, #live{tenure = Tenure, jobs = Jobs} = L) ->
    Coming = fun() ->
        length([Binds || #req{binds = Binds} <- py_worker_jobs:requests(Jobs),
                         is_tuple(Binds), element(1, Binds) =:= Kind])
    end,
    case py_worker_tenure:room(Kind, Coming, Tenure) of
        true -> takes(Req#req{binds = false}, L);
        Full -> Full
    end.

%% Whether it takes requests that any worker may run.
takes_new(#live{busy = Busy, spared = Spared, tenure = Tenure}) ->
    not Busy andalso not Spared andalso py_worker_tenure:is_open(Tenure).

%% Whether it has nothing in hand.
-spec is_done(live()) -> boolean().
is_done(#live{jobs = Jobs, streams = Streams, urgent = Urgent}) ->
    py_worker_jobs:count(Jobs) + py_worker_streams:count(Streams)
        + py_worker_urgent:count(Urgent) =:= 0.

%% Whether another worker has its slot and nobody needs it any more.
-spec may_end(live()) -> {true, restarted | recycled} | false.
may_end(#live{retiring = false}) ->
    false;
may_end(#live{tenure = Tenure, jobs = Jobs} = L) ->
    py_worker_tenure:may_end(is_done(L), not py_worker_jobs:has_free(Jobs), Tenure).

%% Whether its program has a limit of its memory that Python can run into.
-spec is_limited(live()) -> boolean().
is_limited(#live{pool = Pool, about = #{os_pid := OsPid}}) ->
    py_os_limit:is_met(py_pool_board:limits(Pool, self())) orelse py_os_proc:is_limited(OsPid).

%% The next moment at which something may have to be decided.
-spec wake(live()) -> py_time:deadline().
wake(#live{jobs = Jobs, streams = Streams, urgent = Urgent, ladder = Ladder} = L) ->
    first(py_worker_ladder:soonest(Ladder),
          first(py_worker_urgent:soonest(Urgent),
                first(py_worker_streams:soonest(Streams),
                      first(next_tick(L), py_worker_jobs:soonest(Jobs))))).

%% Most of them are never.
first(infinity, At) -> At;
first(At, infinity) -> At;
first(At, Other) -> min(At, Other).

next_tick(#live{since = Since, busy = false}) when is_integer(Since) -> Since + ?TICK_MS;
next_tick(#live{since = none, retiring = false, sealed = false, rest = Rest} = L) ->
    py_worker_rest:soonest(L#live.last_id, L#live.now, Rest);
next_tick(#live{}) -> infinity.

%% ---------------------------------------------------------------------------
%% Its end

%% Why the worker ended, if the program ended like this.
-spec cause(term(), live()) -> term().
cause({memory, _} = Reason, _) ->
    Reason;
cause(Reason, L) ->
    case is_closing(L) of
        true -> why_closed(L);
        false -> Reason
    end.

why_closed(#live{ladder = Ladder, jobs = Jobs, loop_at = Where}) ->
    case py_worker_jobs:is_awaited(py_worker_ladder:culprit(Ladder), Jobs) of
        true -> {loop_blocked, Where};
        false -> timeout
    end.

%% Whether the program has been given up and is being ended.
-spec is_closing(live()) -> boolean().
is_closing(#live{ladder = Ladder}) ->
    py_worker_ladder:is_closing(Ladder).

%% Whose call it was that was interrupted last, if this one is interrupted now: whoever
%% has spoilt the program is remembered.
-spec suspect(py_wire:id(), live()) -> pid() | none.
suspect(_, #live{spoilt = true, interrupted = Pid}) -> Pid;
suspect(Id, #live{jobs = Jobs}) -> py_worker_jobs:owner(Id, Jobs).

%% Whose call it was for which the worker has to end, if it was one.
-spec culprit(live()) -> pid() | none.
culprit(#live{ladder = Ladder, jobs = Jobs, spoilt = Spoilt, interrupted = Interrupted}) ->
    case py_worker_ladder:culprit(Ladder) of
        none when Spoilt -> Interrupted;
        none -> none;
        Id -> py_worker_jobs:owner(Id, Jobs)
    end.

%% ---------------------------------------------------------------------------
%% As others see it

%% Writes its load, then looks whether callers wait.
-spec publish(live()) -> ok.
publish(#live{retiring = true}) ->
    ok;
publish(#live{sealed = true, pool = Pool, slot = Slot}) ->
    py_pool_load:set_absent(Pool, Slot);
publish(L) ->
    publish(load(L), L).

publish({N, Window} = Load, #live{pool = Pool, slot = Slot, pool_pid = PoolPid, jobs = Jobs} = L) ->
    py_pool_load:set(Pool, Slot, Load),
    py_pool_load:set_use(Pool, Slot, py_worker_jobs:calls(Jobs), in_hand(L)),
    case N < Window andalso py_pool_load:has_waiting(Pool) of
        true -> py_pool:room(PoolPid, Slot);
        false -> ok
    end.

%% Writes how many contexts it has. The slot may belong to another one.
-spec publish_contexts(live()) -> ok.
publish_contexts(#live{retiring = true}) ->
    ok;
publish_contexts(#live{pool = Pool, slot = Slot, tenure = Tenure}) ->
    py_pool_load:set_contexts(Pool, Slot, py_worker_tenure:contexts(Tenure)).

%% Streams take places in the window, too, or are awaited; those on threads make their own.
load(#live{jobs = Jobs, streams = Streams} = L) ->
    case takes_new(L) of
        true ->
            {Main, Awaited, Threads} = py_worker_streams:at_work(Streams),
            {N, Window} = py_worker_jobs:load(Awaited, Jobs),
            {N + Main + Threads, case Window of 0 -> 0; _ -> Window + Threads end};
        false ->
            {py_worker_jobs:count(Jobs), 0}
    end.

%% Whether its limits are not looked at now, or at least not how long it has been idle.
in_hand(#live{streams = Streams} = L) ->
    case is_held(L) of
        true -> held;
        false -> case py_worker_streams:count(Streams) of 0 -> none; _ -> streaming end
    end.

is_held(#live{tenure = Tenure, jobs = Jobs, streams = Streams}) ->
    py_worker_tenure:holds(Tenure) andalso
        lists:any(fun(#req{recycle = Recycle}) -> not Recycle end,
                  py_worker_jobs:requests(Jobs) ++ py_worker_streams:requests(Streams)).

%% Whether the program is at work, and since when.
-spec keep_time(live()) -> live().
keep_time(#live{since = Since} = L) ->
    case is_running(L) of
        IsRunning when IsRunning =:= is_integer(Since) -> L;
        true -> Now = py_time:now_ms(), L#live{since = Now, now = Now};
        false -> L#live{since = none, busy = false}
    end.

%% A program that was at rest has got something to do.
-spec rouse(live()) -> live().
rouse(#live{rest = Rest, last_id = Last, since = Since, pool = Pool, slot = Slot} = L) ->
    case py_worker_rest:moved(Last, Since =/= none, Rest) of
        {true, Next} -> py_pool_board:rouse(Pool, Slot), L#live{rest = Next};
        {false, _} -> L
    end.

%% ---------------------------------------------------------------------------
%% Its own process

%% Has the heap be as large as the number of requests in hand makes sensible. What is
%% too large is given back at once: the next collection may be far away.
-spec fit_heap(live()) -> live().
fit_heap(#live{jobs = Jobs} = L) ->
    {N, Window} = py_worker_jobs:load(0, Jobs),
    Words = case max(N, Window) > ?MANY of true -> ?MANY_WORDS; false -> ?HEAP_WORDS end,
    process_flag(min_heap_size, Words) > 2 * Words andalso garbage_collect(),
    L.
