%% SPDX-License-Identifier: Apache-2.0
%%
%% A request in a worker's hands. `left': nobody waits for its answer any more,
%% but the program has it, and may be running it. `recalled': the program was
%% asked to give it back.
-record(item, {
    id :: py_wire:id(),
    req :: #req{},
    deadline :: integer() | infinity,
    left = false :: boolean(),
    recalled = false :: boolean(),
    output = none :: none | binary()    % the frame with what it has printed
}).
