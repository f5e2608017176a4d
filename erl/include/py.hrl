%% SPDX-License-Identifier: Apache-2.0
%%
%% What callers, a pool and its workers share. Nothing here is for users.

%% Requests in flight to one worker: as many as it answers in a moment, at least
%% and at most this many (py_worker_send); and how many bytes they may have (one
%% larger request may go when nothing else is in flight).
-define(LEAST_WINDOW, 8).
-define(MOST_WINDOW, 256).
-define(WINDOW_BYTES, 65536).

%% The least words of a worker's heap: room for some calls between one collection of
%% its garbage and the next; and while it has that many requests in hand, or may have,
%% for a few times those, so that most are over before they were copied twice.
-define(HEAP_WORDS, 4096).
-define(MANY, (4 * ?LEAST_WINDOW)).
-define(MANY_WORDS, 32768).

%% The most items in a stream's chunk.
-define(MOST_CHUNK, 1_000_000).

%% The longest that a process can wait, and that a timer takes (ms).
-define(LONGEST, 16#ffffffff).

%% Where the process dictionary says which worker of a pool a process needs, and that a
%% worker waits for it (py_binding).
-define(BINDING(PoolOrWorker), {py_binding, PoolOrWorker}).

%% A pool as its callers see it without asking a process (py_pool_board).
-record(pool, {
    name :: atom(),
    size :: pos_integer(),
    table :: ets:table(),
    load :: atomics:atomics_ref(),
    bills = none :: ets:table() | none, % what calls have cost (py_worker_bill)
    timeout :: timeout(),
    concurrency :: pos_integer(),       % how many coroutines a worker awaits
    max_frame :: pos_integer(),
    interrupt_grace :: non_neg_integer(),
    close_grace :: non_neg_integer(),
    drain :: non_neg_integer(),
    few = 0 :: non_neg_integer(),       % that can do the work of a crowd (py_pool_load)
    ahead = 0 :: non_neg_integer(),     % how much each of these may have
    threads = 1 :: pos_integer(),       % on how many each worker runs calls
    refuses = false :: boolean()        % whether something may be in quarantine
}).

%% A namespace of its own on one worker (py_context). The pool is as it was then: one
%% that was started later by the same name knows nothing of this worker.
-record(py_context, {
    pool :: #pool{},
    worker :: pid(),
    id :: pos_integer(),
    owner :: pid(),                     % whose it is
    idle = infinity :: timeout(),       % how long it may be without use (ms)
    name = none :: none | {atom(), Keeper :: pid()}     % py_named
}).

%% An object that stays in its worker (py_handle). The program knows it by its number, and
%% finds it wherever this record is in an argument.
-record(py_handle, {
    number :: pos_integer(),            % drawn at random
    at :: {Pool :: atom(), Worker :: pid()},
    owner :: pid()                      % whose it is
}).

%% What the last argument of a call comes to (py_options).
-record(opts, {
    pool = default :: py_target:target() | #py_context{} | #py_handle{}
                    | {context, Pool :: atom(), Name :: atom()},
    timeout = default :: timeout() | default,
    recycle = true :: boolean(),
    keep = false :: boolean(),          % whether its value stays in Python (py_handle)
    wire = #{} :: #{atom() => term()},
    said = false :: boolean()           % whether the option `pool' was given
}).

%% A job waits its turn; an urgent request is answered as soon as Python can;
%% a stream's items come in chunks of at most that size.
-type kind() :: job | urgent | {stream, pos_integer()}.

%% A request on its way from its caller to a worker, or to the pool for a
%% place. The owner is the process that hears of it when its deadline passes, even if
%% another one waits for the answer. Times are monotonic: the arrival in
%% microseconds, because it orders those who wait; the deadline in milliseconds.
%% An answer to it is the message
%% {ReplyTo, {reply, Frame} | {reply, Frame, Ahead} | {opened, StreamId}
%%           | {go, Worker} | again | {error, Reason}}; a multicall has
%% {ReplyTo, {part, N, Frame} | {again, N}} before that.
-record(req, {
    reply_to :: py_ask:from() | undefined,
    caller :: pid(),
    owner = none :: pid() | none,
    kind :: kind(),
    what = none :: py_wire:what() | none,
    bound = false :: boolean(),
    named = false :: boolean(),         % bound to whichever worker has the slot
    binds = false :: false | home       % what its owner has at the worker afterwards …
                   | {context, pos_integer(), Idle :: timeout()}
                   | {handle, false | {uses, _, _}}
                   | {uses, pos_integer(), Owner :: pid()},     % … or what it uses there
    context = none :: none | pos_integer(),     % where its names are, if it is in one
    threaded = false :: boolean(),      % whether it may run beside others, on a thread
    recycle = true :: boolean(),        % whether it counts (py_worker_tenure)
    bill = false :: boolean(),          % whether its caller wants to see it
    aside = none :: none | py_ask:from(),   % who hears when it is beside others
    returned = false :: boolean(),
    within = none :: none | py_wire:id(),   % the call from Python that it runs within
    calls = none :: none | py_multicall:calls(),    % if it is several: what is given back
                                        % goes to its caller, and not to the queue
    arrival :: integer(),
    deadline :: integer() | infinity,
    arity :: 2 | 3,
    size :: non_neg_integer(),
    body :: py_secret:secret(iodata()) | []
}).
