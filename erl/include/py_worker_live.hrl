%% SPDX-License-Identifier: Apache-2.0
%%
%% The state of a live worker: py_worker_live changes it, py_worker_view reads it.

-record(live, {
    pool :: #pool{},
    pool_pid :: pid(),
    slot :: pos_integer(),
    port :: port(),
    lane :: py_os_lane:lane() | none,
    about :: logger:metadata(),         % what the log says of this worker
    max_queue :: non_neg_integer(),
    last_id = 0 :: py_wire:id(),
    jobs :: py_worker_jobs:jobs(),
    streams = py_worker_streams:new() :: py_worker_streams:streams(),
    urgent = py_worker_urgent:new() :: py_worker_urgent:urgent(),
    ladder :: py_worker_ladder:ladder(),
    rest = py_worker_rest:new() :: py_worker_rest:rest(),
    callers = py_watch:new() :: py_watch:callers(),
    inbox = none :: pid() | none,       % where messages for Python are, if there were any
    given = none :: py_talk_given:given(),  % funs that requests have brought
    send :: py_worker_send:send(),
    hello :: #{python := binary(), guard := atom(), os_pid := pos_integer(),     % it said so
               lane := boolean()},  % whether large frames take it
    now :: integer(),                   % when the clock was read last
    since = none :: none | integer(),   % when the program began what it is at
    busy = false :: boolean(),
    timer = none :: none | {reference(), integer()},
    interrupted = none :: none | pid(), % whose call it was that was interrupted last
    spoilt = false :: boolean(),        % by that
    loop_at = unknown :: binary() | unknown,    % where the program's loop was held up
    spared = false :: boolean(),        % it runs nothing new for a while
    retiring = false :: boolean(),      % another worker has this slot
    tenure :: py_worker_tenure:tenure(),
    sealed = false :: boolean()         % the pool stops: it takes nothing more
}).
