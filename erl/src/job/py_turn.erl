%% SPDX-License-Identifier: Apache-2.0
%%
%% Which of a worker's jobs its program may have started. The program runs them in the
%% order in which they were sent. So of those that are not answered, only the first can
%% have started; and the streams before it, whose first items may come later than the
%% next job's reply, as what is too late for its call. Pure.
-module(py_turn).

-export([add/3, advance/2, may_start/1, has_started/1, may_have_run/2, may_run/1, stuck/2]).

-include("py.hrl").
-include("py_worker_jobs.hrl").

%% One more is sent. A job keeps its body until it is answered, because there may be funs
%% in it. Nothing behind a job can have started: so what comes there is only kept, youngest
%% first, until all are looked at or nothing else is left (advance/2).
-spec add(#job{}, Sent, Behind) -> {Sent, Behind} when Sent :: [#job{}], Behind :: [#job{}].
add(Job, [], []) ->
    {[started(Job#job{state = sent})], []};
add(Job, Sent, Behind) ->
    case are_aside(Sent) of
        true -> {may_start(Sent ++ [Job#job{state = sent}]), Behind};
        false -> {Sent, [Job#job{state = sent} | Behind]}
    end.

%% One of those that were sent first is answered.
-spec advance(Sent, Behind) -> {Sent, Behind} when Sent :: [#job{}], Behind :: [#job{}].
advance([], []) ->
    {[], []};
advance(Sent, Behind) ->
    case Behind =/= [] andalso are_aside(Sent) of
        true -> {may_start(Sent ++ lists:reverse(Behind)), []};
        false -> {may_start(Sent), Behind}
    end.

%% All that the program has, oldest first, in the states in which they are now.
-spec may_start([#job{}]) -> [#job{}].
may_start([Job | Rest]) ->
    case holds_up(Job) of
        true -> [started(Job) | Rest];
        false -> [started(Job) | may_start(Rest)]
    end;
may_start([]) -> [].

%% Whether what comes behind it cannot have started. A stream that may open on a thread
%% holds it up only until it does.
holds_up(#job{req = #req{within = none, kind = Kind, threaded = Threaded}}) -> Kind =:= job orelse Threaded;
holds_up(#job{}) -> false.

%% The program says by itself when it starts one that may run beside others.
started(#job{req = #req{threaded = true}} = Job) -> Job;
started(#job{state = sent} = Job) -> Job#job{state = {started, main}};
started(Job) -> Job.

%% Whether none of these keeps the next one from starting.
are_aside(Jobs) -> not lists:any(fun holds_up/1, Jobs).

-spec has_started(#job{}) -> boolean().
has_started(#job{state = {started, _}}) -> true;
has_started(#job{}) -> false.

%% Whether it may have run by the time the program is dead: one that is alive goes on,
%% with all that it has, before it hears that it should end.
-spec may_have_run(dead | alive, #job{}) -> boolean().
may_have_run(dead, Job) -> has_started(Job);
may_have_run(alive, #job{state = State}) -> State =/= waiting.

%% Those that may be running. Streams count only if no job has started: if one has, a
%% stream may just have to wait for its turn.
-spec may_run([#job{}]) -> [#job{}].
may_run(Jobs) ->
    case lists:partition(fun is_stream/1, lists:filter(fun has_started/1, Jobs)) of
        {Streams, []} -> Streams;
        {_, Others} -> Others
    end.

%% The first of those whose deadline has passed.
-spec stuck(Now :: integer(), [#job{}]) -> {true, py_wire:id()} | false.
stuck(Now, Jobs) ->
    case [Id || #job{id = Id, deadline = D} <- may_run(Jobs), D =< Now] of
        [Id | _] -> {true, Id};
        [] -> false
    end.

is_stream(#job{req = #req{kind = Kind}}) -> is_tuple(Kind).
