%% SPDX-License-Identifier: Apache-2.0
%%
%% A request in a worker's hands. `left': nobody waits for its answer any more,
%% but the program has it, and may be running it.
-record(item, {
    id :: py_wire:id(),
    req :: #req{},
    monitor :: reference(),
    deadline :: integer() | infinity,
    left = false :: boolean()
}).
