%% SPDX-License-Identifier: Apache-2.0
%%
%% How requests are sent to a worker's program: how many it may have, and which go
%% together in one frame. Pure.
%%
%% The window is what the program answers in a moment. So callers of short calls need
%% not wait in the pool, and nobody waits long behind others while another worker has
%% nothing to do. It is measured from one tick to the next while the program is at
%% work; a program that is slow, or has rested, has the smallest window. In between it
%% only becomes wider, as soon as twice as many have been answered as when it was
%% measured last: so those who call all at once need not wait for a tick.
-module(py_worker_send).

-export([new/2, tick/3, widen/3, next/2, recall/2, own/2]).
-export_type([send/0, windows/0]).

-include("py.hrl").
-include("py_worker_jobs.hrl").

%% The moment (ms): half of a tick, after which what waits behind a slow job is taken
%% back. Much less, and a few hundred callers have to wait in the pool's queue, which
%% costs each of them as much as the rest of its call.
-define(AHEAD_MS, 5).
%% What takes longer than this is far ahead, even if the VM was held up meanwhile (ms).
-define(FAR_MS, 20).

%% So many answers say how fast the program is.
-define(SOON, (2 * ?LEAST_WINDOW)).

-record(send, {
    most :: integer(),                          % bytes of requests in one frame
    window = ?LEAST_WINDOW :: pos_integer(),
    seen = none :: none | integer(),            % the last tick, if it was at work
    answered = 0 :: non_neg_integer()           % by then
}).

-opaque send() :: #send{}.
-type windows() :: {Window :: pos_integer(), Far :: pos_integer(), Due :: pos_integer()}.

%% For a program whose hello said this, and which takes frames of this many bytes.
-spec new(#{_ => _}, pos_integer()) -> send().
new(Hello, MaxFrame) ->
    case lists:member(batch, maps:get(features, Hello, [])) of
        true -> #send{most = MaxFrame - py_wire:batch_head()};
        false -> #send{most = 0}
    end.

%% The time has come to look again. The windows: how many the program may have from now
%% on; how many are far too many if it has them from before; and when so many are
%% answered, it is time to widen/3.
-spec tick(Now :: integer(), Answered :: non_neg_integer(), send()) -> {windows(), send()}.
tick(Now, Answered, #send{seen = Seen, answered = Before} = S) ->
    {Window, Far} = measured(Now, Seen, Answered - Before),
    AtWork = case Answered of Before -> none; _ -> Now end,
    {{Window, Far, Answered + ?SOON}, S#send{seen = AtWork, answered = Answered, window = Window}}.

%% The same between two ticks. The first time after a rest, it only begins to measure.
-spec widen(Now :: integer(), Answered :: non_neg_integer(), send()) -> {windows(), send()}.
widen(Now, Answered, #send{seen = none, window = Window} = S) ->
    {{Window, ?MOST_WINDOW, Answered + ?SOON}, S#send{seen = Now, answered = Answered}};
widen(Now, Answered, #send{seen = Seen, answered = Before, window = Window} = S) ->
    {Measured, _} = measured(Now, Seen, Answered - Before),
    Wider = max(Window, Measured),
    {{Wider, ?MOST_WINDOW, 2 * Answered - Before}, S#send{window = Wider}}.

measured(_, none, _) ->
    {?LEAST_WINDOW, 2 * ?LEAST_WINDOW};     % fewer than are due
measured(Now, Seen, Answered) ->
    In = fun(Ms) -> Answered * Ms div max(1, Now - Seen) end,
    {max(?LEAST_WINDOW, min(?MOST_WINDOW, In(?AHEAD_MS))), max(2 * ?LEAST_WINDOW, In(?FAR_MS))}.

%% The next frame, if something may be sent, and the jobs once it is sent. What has
%% piled up goes together; a lone request has its own short form, and may be larger.
-spec next(py_worker_jobs:jobs(), send()) -> {iodata(), py_worker_jobs:jobs()} | none.
next(Jobs, #send{most = Most}) ->
    case py_worker_jobs:next(Jobs) of
        {Job, Sent} -> more([Job], Most - part_size(Job), Sent);
        none -> none
    end.

more(Ready, Room, Jobs) ->
    case py_worker_jobs:next(Jobs) of
        {#job{} = Job, Sent} ->
            case Room - part_size(Job) of
                Left when Left >= 0 -> more([Job | Ready], Left, Sent);
                _ -> {frame(Ready), Jobs}
            end;
        none ->
            {frame(Ready), Jobs}
    end.

%% The frames that ask for these jobs back: one small frame, if possible. Between short
%% jobs the program reads a frame at a time, so several would come too late.
-spec recall([py_wire:id(), ...], send()) -> [iodata()].
recall(Ids, #send{most = Most}) ->
    case [py_wire:take_back(Id) || Id <- Ids] of
        [_, _ | _] = Frames when Most > 0 -> [py_wire:controls(Frames)];
        Frames -> Frames
    end.

%% A request of the worker's own: nobody waits for its answer, and it is this program's.
-spec own(py_wire:op(), py_time:deadline()) -> #req{}.
own(Op, Deadline) ->
    {Arity, Body} = py_wire:body(Op, #{}),
    #req{caller = self(), kind = job, what = py_wire:what(Op), bound = true, recycle = false,
         arrival = erlang:monotonic_time(microsecond), deadline = Deadline,
         arity = Arity, size = iolist_size(Body), body = py_secret:hide(Body)}.

part_size(#job{req = #req{size = Size}}) -> py_wire:part_size(Size).

frame([#job{id = Id, req = #req{arity = Arity, body = Body}}]) ->
    py_wire:request(Id, Arity, py_secret:show(Body));
frame(Ready) ->
    py_wire:batch([{Id, Arity, py_secret:show(Body), Size}
                   || #job{id = Id, req = #req{arity = Arity, body = Body, size = Size}}
                          <- lists:reverse(Ready)]).
