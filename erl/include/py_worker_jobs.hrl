%% SPDX-License-Identifier: Apache-2.0
%%
%% What the pure modules of a worker share: a request in its hands, and what
%% they want to be done.

%% Where a request is.
%%
%%   waiting          here: the program does not have it yet
%%   sent             the program has it and has certainly not started it
%%   {started, main}  the program may have started it, on its main thread
%%   {started, thread}  it runs on a thread beside the main one
%%   {started, stuck}   the same, and was cancelled a while ago
%%   {started, within}  it runs beside the main thread, within a call of what waits there
%%   {started, ending}  a stream that has turns on threads, and is to end
%%   {started, loop}  the program awaits what it has returned
-type job_state() :: waiting | sent | {started, main | thread | stuck | within | ending | loop}.

%% `left': nobody waits for the answer any more, but the program has the request
%% and may be running it. `recalled': the program was asked to give it back.
-record(job, {
    id :: py_wire:id(),
    req :: #req{},
    state = waiting :: job_state(),
    deadline :: py_time:deadline(),
    left = false :: boolean(),
    recalled = false :: boolean(),
    ahead = [] :: [binary()]            % frames that belong to its reply, the last first
}).

%% py_worker_live carries them out, in their order.
-type effect() ::
    %% Write this frame to the program.
    {send, iodata()}
    %% Ask the program to give these back, if it has not started them.
    | {recall, [py_wire:id(), ...]}
    %% Answer somebody who waits.
    | {answer, py_ask:from(), py_result:answer()}
    %% This request has not started: the pool finds another worker for it.
    | {requeue, #req{}}
    %% These calls of a multicall have not started: whoever waits has heard that.
    | {given_back, #req{}}
    %% The same for one that was not taken, and which the queue may refuse.
    | {queue, #req{}}
    %% Something needs this very worker from now on.
    | {bind, py_worker_tenure:bound()}
    %% It does not any more.
    | {let_go, py_worker_tenure:leaving()}
    %% The program has done a piece of work.
    | progress
    %% If the program says now that it has run out of memory, this request did it.
    | {note, #req{}}
    %% So many have been answered that the window may be too small.
    | measure
    %% A stream's first chunk has come, with this number of items.
    | {open, #job{}, Frame :: binary(), non_neg_integer()}
    %% The program is to end this stream, by then.
    | {stop, #job{}, Until :: integer()}
    %% The program has answered a request that nobody waited for any more.
    | {ended, py_wire:id()}
    %% What is awaited was cancelled, and the program's loop has not gone round since.
    | {unheard, py_wire:id()}
    %% So many threads of the program do not stop, or one for so long, that it should not
    %% run anything new.
    | stuck
    %% The next rung of the ladder: log it; close the port and kill what stays.
    | {rung, interrupt | close}.
