%% SPDX-License-Identifier: Apache-2.0
%%
%% The jobs of a worker that its program runs beside the one whose turn it is: coroutines,
%% whose results it awaits on its loop; streams whose items it awaits there, before they
%% are open and when they are to end; and what runs on a thread of its own. Nothing waits
%% behind them. Pure.
%%
%% A coroutine that is cancelled gets CancelledError as soon as the program's loop goes
%% round, and may take its time then. The program says when it is told, because a loop
%% that does not go round holds up all the others.
%%
%% A thread holds up nobody. One that has not stopped a while after its job was cancelled
%% is stuck: nobody waits for it any more. If half of them are, or one for as long as an
%% interrupt may take, another worker is to take the place of this one. What runs within a
%% call of such a job is on its thread, and takes no other.
-module(py_awaited).

-export([new/1, add/4, to_loop/3, at_end/3, put_back/3, count/1, threads/1, load/3, find/2, all/1, take/2, ahead/3]).
-export([expire/2, leave/3, where/1]).
-export_type([awaited/0, options/0]).

-include("py.hrl").
-include("py_protocol.hrl").
-include("py_worker_jobs.hrl").

%% How long a thread has to stop before it is stuck (ms), at most; and how long, before it
%% is cancelled, if it ends a stream.
-define(STOPS, 100).
-define(STOP_GRACE, 500).

%% The deadline of a coroutine that is cancelled is when the loop should have gone round,
%% and then none; that of a thread's job when it is stuck, and then when the grace is over.
%% That of a stream which is to end is none until a thread is at it.
-record(awaited, {
    jobs = #{} :: #{py_wire:id() => #job{}},
    most :: pos_integer(),                  % coroutines, and threads, that there may be
    threads :: pos_integer(),
    grace :: non_neg_integer(),             % how long an interrupt may take (ms)
    at_work = 0 :: non_neg_integer(),       % threads
    stuck = 0 :: non_neg_integer(),         % of them
    within = 0 :: non_neg_integer(),        % on top of those
    ending = 0 :: non_neg_integer()         % streams that have their turns on threads
}).

-opaque awaited() :: #awaited{}.

-type options() :: #{concurrency := pos_integer(), threads := pos_integer(),
                     interrupt_grace := non_neg_integer(), _ => _}.

-spec new(options()) -> awaited().
new(#{concurrency := Most, threads := Threads, interrupt_grace := Grace}) ->
    #awaited{most = Most, threads = Threads, grace = Grace}.

%% The program has said that it awaits this one, or runs it on a thread. A coroutine that
%% nobody waits for any more may have been cancelled too early for the program, so it is
%% cancelled again. What may run on a thread was cancelled, whether it had started or not.
-spec add(loop | thread | within, #job{}, Now :: integer(), awaited()) -> {[effect()], awaited()}.
add(thread, #job{req = #req{within = Call}} = Job, Now, A) when Call =/= none -> add(within, Job, Now, A);
add(Where, #job{left = false, req = #req{aside = Aside} = Req} = Job, _, A) ->
    {[{answer, Aside, aside} || Aside =/= none],
     store(Job#job{state = {started, Where}, req = Req#req{aside = none}}, A)};
add(thread, #job{id = Id} = Job, Now, A) ->
    {[{ended, Id}], store(cancelled(Job#job{state = {started, thread}, left = false}, Now, A), A)};
add(Where, #job{id = Id} = Job, Now, A) ->
    {[{ended, Id}, cancel(Id)], store(cancelled(Job#job{state = {started, Where}}, Now, A), A)}.

%% How many threads are at work, and how many of them are stuck.
store(#job{id = Id, state = State} = Job, #awaited{jobs = Jobs} = A) ->
    counted(State, 1, A#awaited{jobs = Jobs#{Id => Job}}).

counted({started, loop}, _, A) -> A;
counted({started, ending}, By, #awaited{ending = N} = A) -> A#awaited{ending = N + By};
counted({started, thread}, By, #awaited{at_work = N} = A) -> A#awaited{at_work = N + By};
counted({started, within}, By, #awaited{within = N} = A) -> A#awaited{within = N + By};
counted({started, stuck}, By, #awaited{at_work = N, stuck = M} = A) -> A#awaited{at_work = N + By, stuck = M + By}.

%% What a thread has run has returned a coroutine, which is awaited from now on. Or it is
%% awaited already, was cancelled, and the loop goes round.
-spec to_loop(py_wire:id(), Now :: integer(), awaited()) -> {[effect()], awaited()}.
to_loop(Id, Now, #awaited{jobs = Jobs} = A) ->
    case Jobs of
        #{Id := #job{state = {started, loop}, left = true} = Job} ->
            {[{ended, Id}], A#awaited{jobs = Jobs#{Id := Job#job{deadline = infinity}}}};
        #{Id := #job{state = {started, On}}} when On =/= loop ->
            {Job, Rest} = take(Id, A),
            add(loop, Job, Now, Rest);
        #{} ->
            {[], A}
    end.

cancel(Id) -> {send, py_wire:cancel(Id)}.

%% A thread is at the stream that is to end, which did not just have to wait for one.
-spec at_end(py_wire:id(), Now :: integer(), awaited()) -> awaited().
at_end(Id, Now, #awaited{jobs = Jobs} = A) ->
    case Jobs of
        #{Id := #job{state = {started, ending}} = Job} ->
            A#awaited{jobs = Jobs#{Id := Job#job{deadline = Now + ?STOP_GRACE}}};
        #{} ->
            A
    end.

%% A stream is to end: it is the program's until its last word. The loop should have gone
%% round by then.
-spec put_back(#job{}, py_time:deadline(), awaited()) -> awaited().
put_back(#job{state = {started, loop}} = Job, Deadline, A) -> store(Job#job{left = true, deadline = Deadline}, A);
put_back(Job, _, A) -> store(ending(Job), A).

ending(Job) -> Job#job{state = {started, ending}, left = true, deadline = infinity}.

cancelled(#job{state = {started, loop}} = Job, Now, _) ->
    Job#job{left = true, deadline = Now + ?TICK_MS};
cancelled(#job{state = {started, within}} = Job, Now, #awaited{grace = Grace}) ->
    Job#job{left = true, deadline = Now + Grace};
cancelled(#job{left = false, req = #req{kind = {stream, _}}} = Job, _, _) ->
    ending(Job);
cancelled(Job, Now, #awaited{grace = Grace}) ->
    Job#job{left = true, deadline = Now + min(Grace, ?STOPS)}.

%% Those that are stuck do not count, nor those on top of others.
-spec count(awaited()) -> non_neg_integer().
count(#awaited{jobs = Jobs, stuck = Stuck, within = Within}) -> map_size(Jobs) - Stuck - Within.

%% On how many threads something runs.
-spec threads(awaited()) -> non_neg_integer().
threads(#awaited{at_work = N}) -> N.

%% A worker's load with them, and so many streams that are awaited: they take no room from
%% others, but there may be no more on the loop than so many, and while all threads are at
%% work nothing more should come.
-spec load({N, Window}, Streams :: non_neg_integer(), awaited()) -> {N, Window}
              when N :: non_neg_integer(), Window :: non_neg_integer().
load(Load, 0, #awaited{jobs = Jobs}) when map_size(Jobs) =:= 0 -> Load;
load({N, 0}, Streams, A) -> {N + count(A) + Streams, 0};
load({N, _}, Streams, #awaited{threads = Threads, at_work = Threads} = A) -> {N + count(A) + Streams, 0};
load({N, Window}, Streams, #awaited{at_work = At, stuck = Stuck, ending = Ending, most = Most} = A) ->
    OnThreads = At - Stuck + Ending,
    {N + count(A) + Streams, room(Window, count(A) - OnThreads + Streams, Most) + OnThreads}.

room(Window, 0, _) -> Window;
room(Window, OnLoop, Most) -> min(Window + OnLoop, Most).

-spec find(py_wire:id(), awaited()) -> #job{} | false.
find(Id, #awaited{jobs = Jobs}) -> maps:get(Id, Jobs, false).

-spec all(awaited()) -> [#job{}].
all(#awaited{jobs = Jobs}) -> maps:values(Jobs).

%% The program has answered it.
-spec take(py_wire:id(), awaited()) -> {#job{}, awaited()} | error.
take(Id, #awaited{jobs = Jobs} = A) ->
    case maps:take(Id, Jobs) of
        {#job{state = State} = Job, Rest} -> {Job, counted(State, -1, A#awaited{jobs = Rest})};
        error -> error
    end.

%% A frame that comes ahead of the reply of one, and belongs to it.
-spec ahead(py_wire:id(), binary(), awaited()) -> awaited().
ahead(Id, Frame, #awaited{jobs = Jobs} = A) ->
    case Jobs of
        #{Id := #job{ahead = Ahead} = Job} -> A#awaited{jobs = Jobs#{Id := Job#job{ahead = [Frame | Ahead]}}};
        #{} -> A
    end.

%% Answers and cancels those whose deadline has passed. Of coroutines that are cancelled
%% and should have heard of it, the ladder hears (py_worker_ladder).
-spec expire(Now :: integer(), awaited()) -> {[effect()], awaited()}.
expire(Now, #awaited{jobs = Jobs} = A) ->
    lists:foldl(fun(Id, {Effects, Acc}) ->
        {Job, Rest} = take(Id, Acc),
        {More, Next} = late(Job, Now, Rest),
        {More ++ Effects, Next}
    end, {[], A}, [Id || {Id, #job{deadline = D}} <- maps:to_list(Jobs), D =< Now]).

late(#job{id = Id, left = false, req = #req{reply_to = From}} = Job, Now, A) ->
    {[{answer, From, {error, timeout}}, cancel(Id)], store(cancelled(Job, Now, A), A)};
late(#job{id = Id, state = {started, loop}} = Job, Now, A) ->
    {[{unheard, Id}], store(cancelled(Job, Now, A), A)};
late(#job{id = Id, state = {started, ending}} = Job, Now, A) ->
    {[cancel(Id)], store(cancelled(Job#job{state = {started, thread}}, Now, A), A)};
late(#job{state = {started, thread}, deadline = D} = Job, _, #awaited{grace = Grace} = A) ->
    Next = store(Job#job{state = {started, stuck}, deadline = D + max(0, Grace - ?STOPS)}, A),
    {[stuck || are_half_stuck(Next)], Next};
late(Job, _, A) ->
    {[stuck], store(Job#job{deadline = infinity}, A)}.

are_half_stuck(#awaited{threads = Threads, stuck = Stuck}) -> 2 * Stuck >= Threads.

%% A caller is gone.
-spec leave(pid(), Now :: integer(), awaited()) -> {[effect()], awaited()}.
leave(Caller, Now, #awaited{jobs = Jobs} = A) ->
    maps:fold(fun(Id, #job{left = false, req = #req{caller = Pid}} = Job, {Effects, Acc})
                    when Pid =:= Caller ->
                      {_, Rest} = take(Id, Acc),
                      {[cancel(Id) | Effects], store(cancelled(Job, Now, A), Rest)};
                 (_, _, Acc) -> Acc
              end, {[], A}, Jobs).

%% Where the loop is, by the stacks of the program's threads.
-spec where([#{atom() => _}]) -> binary() | unknown.
where(Stacks) ->
    case [lists:last(Frames) || #{thread := <<"asyncio">>, frames := [_ | _] = Frames} <- Stacks] of
        [#{file := File, line := Line, function := Function} | _] ->
            unicode:characters_to_binary(io_lib:format("~ts, line ~tp, in ~ts", [File, Line, Function]));
        [] ->
            unknown
    end.
