%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc Python for Erlang, in supervised operating-system processes.
%%
%% Every function that runs Python sends its request to one worker of a pool: an
%% operating-system process with a Python of its own. `docs/types.md' says what
%% Erlang terms become in Python, and Python objects in Erlang.
%%
%% <h3>Results</h3>
%% A failure is a value, `{error, Reason}':
%% <dl>
%% <dt>`{Class, Message}'</dt><dd>Python raised, such as
%%   ``{'ZeroDivisionError', <<"division by zero">>}''; with the option
%%   `traceback' there is a third element, a map</dd>
%% <dt>`timeout'</dt><dd>there was no result in time; the request was
%%   cancelled</dd>
%% <dt>`{worker_exit, Why}'</dt><dd>the worker ended: `{signal, sigsegv}', `{status, 3}', …</dd>
%% <dt>`{overloaded, Waiting, Max}'</dt><dd>the pool's queue is full</dd>
%% <dt>`{overloaded, memory, Map}'</dt><dd>the pool's workers are above its budget</dd>
%% <dt>`{quarantined, What, Why}'</dt><dd>the pool refuses this function, which has
%%   used up its workers' memory ({@link unquarantine/2})</dd>
%% <dt>`{stopping, Name}'</dt><dd>the pool stops; this request has not started</dd>
%% <dt>`cancelled'</dt><dd>{@link cancel/1} was called</dd>
%% <dt>`{badarg, What}'</dt><dd>there is no Python form of a value, or no such request</dd>
%% <dt>`{unknown_atom, Name}'</dt><dd>Python returned an atom that this node does not have</dd>
%% <dt>`{no_pool, Name}'</dt><dd>there is no such pool, or it has been stopped</dd>
%% <dt>`{not_started, py}'</dt><dd>the application is not started</dd>
%% <dt>`{python_start, Text}'</dt><dd>no worker of the pool can start; the text says why</dd>
%% <dt>`{no_worker, {Name, Id}}'</dt><dd>`pool' names a worker that is not there</dd>
%% </dl>
%% Wrong arguments of the functions here raise `error:badarg'.
%%
%% <h3>State</h3>
%% Names that {@link exec/1} defines are in the worker's `__main__'. A process
%% that has used `exec' stays with that worker until the worker ends. It learns
%% of that end from its next call, once: `{error, {worker_exit, Why}}'; it does not
%% if one of its own calls ran out of time and so ended the worker. {@link unbind/0}
%% sets the process free. Other processes use the same worker and the same
%% `__main__', so they see these names and may change them. {@link exec_all/1} and
%% the pool option `init' define names in every worker.
-module(py).

-export([call/2, call/3, call/4, call/5, eval/1, eval/2, eval/3]).
-export([exec/1, exec/2, exec/3, exec_all/1, exec_all/2]).
-export([definitions/0, definitions/1, forget/1, forget/2]).
-export([cast/3, cast/4, cast/5, spawn_call/3, spawn_call/4, spawn_call/5]).
-export([await/1, await/2, cancel/1, parallel/1, parallel/2]).
-export([stream/3, stream/4, stream/5, stream_eval/1, stream_eval/2, stream_eval/3]).
-export([stream_open/1, stream_open/2, stream_next/1, stream_close/1]).
-export([stream_ack/1, stream_ack/2]).
-export([stream_fold/3, stream_fold/4]).
-export([memory_stats/0, memory_stats/1, memory_stats/2, gc/0, gc/1, gc/2]).
-export([trim/0, trim/1, set_memory/1, set_memory/2]).
-export([tracemalloc_start/0, tracemalloc_start/1, tracemalloc_start/2]).
-export([tracemalloc_stop/0, tracemalloc_stop/1]).
-export([version/0, stack/1, restart_workers/0, restart_workers/1]).
-export([unbind/0, unbind/1]).
-export([start_pool/2, start_link/2, child_spec/2, stop_pool/1, stop_pool/2]).
-export([pools/0, info/0, info/1]).
-export([unquarantine/1, unquarantine/2]).
-export([register_function/2, register_function/3, unregister_function/1]).
-export([send/2]).
-export_type([name/0, callee/0, args/0, kwargs/0, code/0, locals/0, options/0, pool_options/0]).
-export_type([keywords/0, memory_limits/0, recycle_limits/0, profile_options/0]).
-export_type([result/0, bill/0, source/0, stream/0, target/0, each/0]).

-include("py.hrl").

-type name() :: atom() | unicode:chardata().
%% A module, function or keyword: ``'os.path' '', `<<"join">>', `"join"'.
%% Dotted paths are followed, in modules and in functions.
-type callee() :: name() | py_handle:handle().
%% A module; or an object that stays in Python, whose method is called.
-type args() :: [term()].
%% Positional arguments.
-type kwargs() :: #{name() => term()} | [{name(), term()}].
%% Keyword arguments.
-type code() :: unicode:chardata().
%% Python source.
-type locals() :: #{name() => term()} | [{name(), term()}].
%% Names that an expression may use.
-type options() :: timeout() | #{
    timeout => timeout(),
    pool => target(),
    traceback => boolean(),
    none => atom(),
    binaries => str | bytes,
    arrays => list | binary,
    context => py_context:context() | atom(),
    filename => unicode:chardata(),
    line => pos_integer(),
    tags => false | in | true,
    frames => records | columns | arrays,
    capture => boolean(),
    bill => boolean(),
    return => value | handle,
    recycle => boolean(),
    traceparent => unicode:chardata() | undefined,
    chunk => pos_integer(),
    deliver => pull | message
} | keywords().
%% A timeout in milliseconds alone, or a map: `timeout' (the pool's), `pool' (`default';
%% `{Pool, Id}' is one of its workers, `{Pool, all}', for call, eval and exec only, each
%% of them), `traceback' (`false'), the atom that Python's `None' becomes (`none'), what
%% binaries become (`str'), what numpy arrays become (`list'), the context whose names
%% the code sees, or its name, the file and the line that the code is said to come from, where tagged
%% tuples stand for dates and their like (`in': in arguments), what tables become
%% (`records'), whether what Python prints comes as the last element of the result tuple,
%% and after it what the call has cost, its bill() (`false'; for call, eval, exec and
%% spawn_call only), whether the value comes or stays in Python, {@link py_handle} (`value'),
%% whether the call counts for recycling its worker (`true'), the trace that spans in Python
%% go on in, the most items in a stream's chunk (1000), and, for stream_open only, how its
%% items come (`pull'). Wherever there is a map of names or options, a list of pairs will do.
-type keywords() :: [{atom(), term()}].
%% A map of options as a list of pairs.
-type pool_options() :: #{
    size => pos_integer(),
    python_path => [unicode:chardata()],
    venv => unicode:chardata(),
    env => #{name() => unicode:chardata() | false}
         | [clear | {name(), unicode:chardata() | false}],
    cwd => unicode:chardata(),
    init_once => code() | [code()],
    init => code() | [code()],
    timeout => timeout(),
    max_queue => non_neg_integer(),
    queue_timeout => timeout(),
    contexts => pos_integer() | infinity,
    handles => pos_integer() | infinity,
    concurrency => pos_integer(),
    loop => asyncio | uvloop,
    threads => pos_integer(),
    max_frame => pos_integer(),
    logs => boolean(),
    memory => memory_limits(),
    recycle => recycle_limits(),
    quarantine => pos_integer() | infinity,
    bill => boolean(),
    trim => never | [idle | {after_growth, pos_integer()} | {every, pos_integer()}],
    profile => boolean() | profile_options(),
    guard => auto | python | kernel | off,
    send => pids | all | [atom()],
    send_limit => pos_integer() | infinity,
    functions => registered | [{module(), atom()}],
    state => none | read | write,
    interrupt_grace => non_neg_integer(),
    close_grace => non_neg_integer(),
    drain => non_neg_integer(),
    start_timeout => non_neg_integer()
} | keywords().
%% The number of workers (schedulers online); directories in front of `sys.path'; a
%% virtual environment; variables set, or with `false' removed, in the workers'
%% environment, which with `clear' at the head of the list has nothing of the VM's; the
%% workers' directory; code that one worker runs before the others start, and code that
%% each new worker runs; milliseconds that a call may take (30000); callers that may wait
%% for a worker (10000), and how many milliseconds each of them may wait (`infinity');
%% how many contexts a worker may have, and how many of its objects handles (both
%% `infinity'); how many coroutines it awaits at a time (100), and whose loop does that
%% (`asyncio'); bytes that a request or a reply may
%% have (268435456); whether what Python prints and logs goes to Erlang's logger
%% (`true'); limits of each worker's memory; when a worker is replaced by a fresh one,
%% and when it gives memory back ({@link trim/1}); whether what calls cost is summed up
%% by function ({@link py_mem:top/2}); whether samples say which code holds the memory
%% ({@link py_profile}); where `erlang.send' may send to (`pids': no names), and how many
%% messages may be in a receiver's queue before it waits (10000); which functions Python
%% may call: those of {@link register_function/3} (`registered'), or only these; whether it
%% may read or write the state that workers share, {@link py_state} (`none');
%% milliseconds that an interrupted call which is out of time has to stop (500), and that
%% its program then has to end (1000) before it is killed; milliseconds that calls under
%% way have when the pool stops or a worker is replaced (1000); milliseconds that each
%% step of a worker's start may take, such as a piece of `init' (60000).
-type memory_limits() :: #{
    heap => pos_integer() | infinity,
    account => boolean(),
    address_space => pos_integer() | infinity,
    data => pos_integer() | infinity,
    files => pos_integer() | infinity,
    core => non_neg_integer() | infinity,
    cgroup => unicode:chardata(),
    cgroup_max => pos_integer() | infinity,
    cgroup_high => pos_integer() | infinity,
    cgroup_pids => pos_integer() | infinity,
    oom_score_adj => integer(),
    rss => pos_integer() | infinity,
    group => pos_integer() | infinity,
    budget => pos_integer() | {percent, 1..100} | infinity
} | keywords().
%% What a worker's memory is limited to; README says what each key does.
-type recycle_limits() :: #{
    rss => pos_integer(),
    growth => pos_integer(),
    calls => pos_integer(),
    age => pos_integer(),
    idle => pos_integer(),
    memory_errors => pos_integer(),
    jitter => non_neg_integer(),
    min_calls => non_neg_integer()
} | keywords().
%% When a worker is replaced; README says what each key means.
-type profile_options() :: #{
    rate => pos_integer(),
    samples => pos_integer(),
    per_second => pos_integer()
}.
%% How many samples {@link py_profile} has of the heap; README says what each key
%% means.
-type result() :: {ok, term()} | {error, term()}
                | {ok, term(), extra()} | {error, term(), extra()}
                | {ok, term(), Output :: binary(), bill()}
                | {error, term(), Output :: binary(), bill()}.
%% With the option `pool => {Pool, all}' the result is each(), also for exec.
-type extra() :: Output :: binary() | bill().
%% What comes after a result, with the options `capture' and `bill'.
-type bill() :: #{time => non_neg_integer(), heap_delta => integer(),
                  heap_peak => non_neg_integer(), rss_delta => integer(),
                  gc_runs => non_neg_integer(), gc_pause => non_neg_integer()}.
%% What a call has cost, in bytes and microseconds. The map is empty if the call did
%% not end by itself.
-type source() :: code() | {eval, code(), locals()} | py_handle:handle()
                | {callee(), name(), args()} | {callee(), name(), args(), kwargs()}.
%% What a stream iterates over: the value of an expression, or of a call, or an object that
%% stays in Python.
-opaque stream() :: py_stream:stream().
-type target() :: py_target:target().
%% The workers that a function looks at or tends: `Pool' (all of them, whose
%% answers are summed), `{Pool, Id}' (one) or `{Pool, all}' (each by itself). As the
%% option `pool' of a call: any worker of the pool, that worker, or each.
-type each() :: {ok, [{Id :: pos_integer(), ok | result()}]}.
%% What `{Pool, all}' gives: for each worker what `{Pool, Id}' would give.

%% ---------------------------------------------------------------------------
%% Calls

%% @doc Calls an object that stays in Python, a function or a model for example: ``{ok,
%% 2.0} = py:call(Handle, [4])''. That is its method `__call__'.
-spec call(py_handle:handle(), args()) -> result().
call(Handle, Args) ->
    call(Handle, '__call__', Args).

%% @equiv call(Module, Function, Args, #{}, #{})
-spec call(callee(), name(), args()) -> result().
call(Module, Function, Args) ->
    py_request:run(py_args:call(Module, Function, Args, #{}), #opts{}).

%% @equiv call(Module, Function, Args, Kwargs, #{})
-spec call(callee(), name(), args(), kwargs()) -> result().
call(Module, Function, Args, Kwargs) ->
    py_request:run(py_args:call(Module, Function, Args, Kwargs), #opts{}).

%% @doc Calls a Python function: ``{ok, 2.0} = py:call(math, sqrt, [4])''. Options
%% come after the keyword arguments, even if there are none:
%% ``py:call(math, sqrt, [4], #{}, #{timeout => 100})''. With a handle ({@link py_handle}) in
%% the place of the module, it is a method of that object: ``py:call(Model, predict, [Rows])''.
%% If it returns a coroutine, that is awaited, beside other calls: `docs/asyncio.md' has more.
-spec call(callee(), name(), args(), kwargs(), options()) -> result().
call(Module, Function, Args, Kwargs, Options) ->
    py_request:run(py_args:call(Module, Function, Args, Kwargs), py_options:call(Options)).

%% @equiv eval(Code, #{}, #{})
-spec eval(code()) -> result().
eval(Code) ->
    py_request:run(py_args:eval(Code, #{}), #opts{}).

%% @equiv eval(Code, Locals, #{})
-spec eval(code(), locals()) -> result().
eval(Code, Locals) ->
    py_request:run(py_args:eval(Code, Locals), #opts{}).

%% @doc Evaluates an expression: ``{ok, 6} = py:eval(<<"x * 2">>, #{x => 3})''.
%% Options come after the locals. Statements are for {@link exec/1}.
-spec eval(code(), locals(), options()) -> result().
eval(Code, Locals, Options) ->
    py_request:run(py_args:eval(Code, Locals), py_options:call(Options)).

%% @equiv exec(Code, #{})
-spec exec(code()) -> ok | {error, term()}.
exec(Code) ->
    exec(Code, #{}).

%% @doc Runs statements: ``ok = py:exec(<<"x = 3">>), {ok, 3} = py:eval(<<"x">>)''.
%% From now on the calling process stays with the worker that ran them.
-spec exec(code(), options()) ->
          ok | {error, term()} | each()
        | {ok, extra()} | {error, term(), extra()}
        | {ok, Output :: binary(), bill()} | {error, term(), Output :: binary(), bill()}.
exec(Code, Options) ->
    py_request:exec(py_args:exec(Code), py_options:statement(Options)).

%% @doc The same with names that are there while the code runs: ``ok =
%% py:exec(<<"total = sum(rows)">>, #{rows => [1, 2]}, #{})''. A name that
%% `__main__' already has is restored afterwards.
-spec exec(code(), locals(), options()) ->
          ok | {error, term()} | each()
        | {ok, Output :: binary()} | {error, term(), Output :: binary()}.
exec(Code, Locals, Options) ->
    py_request:exec(py_args:exec(Code, Locals), py_options:statement(Options)).

%% @equiv unbind(default)
-spec unbind() -> ok.
unbind() ->
    unbind(default).

%% @doc Lets the calling process use any worker of the pool again, after {@link
%% exec/1}: ``ok = py:unbind(science)''. The names stay in that worker's
%% `__main__'. This is harmless if the process is not bound.
-spec unbind(atom()) -> ok.
unbind(Name) ->
    py_binding:release(py_args:pool(Name)).

%% @equiv exec_all(Code, #{})
-spec exec_all(code()) -> ok | {error, term()}.
exec_all(Code) ->
    exec_all(Code, #{}).

%% @doc Runs statements in every worker of the pool, and in each that it starts
%% later: ``ok = py:exec_all(<<"import json">>)''. Code that raises in any worker
%% is not kept for later ones. The same text is kept once, and a later worker runs
%% it at most twice: at the place where it came first, and where it came last.
-spec exec_all(code(), options()) -> ok | {error, term()}.
exec_all(Code, Options) ->
    py_pools:define(py_args:exec(Code), py_options:plain(Options)).

%% @equiv definitions(default)
-spec definitions() -> {ok, [map()]} | {error, {no_pool | not_started, atom()}}.
definitions() ->
    definitions(default).

%% @doc What {@link exec_all/1} has defined in a pool, which workers that start later
%% run, too, oldest first: ``{ok, [#{id := 1, begins := <<"import json">>, size := 11}]} =
%% py:definitions(science)''. `begins' has the first 60 characters, `size' is the
%% number of bytes.
-spec definitions(atom()) ->
          {ok, [#{id := pos_integer(), begins := binary(), size := non_neg_integer()}]}
        | {error, {no_pool | not_started, atom()}}.
definitions(Name) ->
    py_pools:definitions(py_args:pool(Name)).

%% @equiv forget(default, Id)
-spec forget(pos_integer()) -> ok | {error, term()}.
forget(Id) ->
    forget(default, Id).

%% @doc Forgets what {@link exec_all/1} has defined: ``ok = py:forget(science, 1)''.
%% Workers that start later do not run it; those that are there keep its names. If
%% there is no such definition: `{error, {no_definition, Id}}'.
-spec forget(atom(), pos_integer()) -> ok | {error, term()}.
forget(Name, Id) ->
    py_pools:forget(py_args:pool(Name), py_args:definition(Id)).

%% ---------------------------------------------------------------------------
%% Calls that are not waited for

%% @equiv cast(Module, Function, Args, #{}, #{})
-spec cast(callee(), name(), args()) -> ok.
cast(Module, Function, Args) ->
    cast(Module, Function, Args, #{}, #{}).

%% @equiv cast(Module, Function, Args, Kwargs, #{})
-spec cast(callee(), name(), args(), kwargs()) -> ok.
cast(Module, Function, Args, Kwargs) ->
    cast(Module, Function, Args, Kwargs, #{}).

%% @doc Calls a function without waiting for it: ``ok = py:cast(gc, collect, [])''.
%% Casts may run in any order. A failure is logged.
-spec cast(callee(), name(), args(), kwargs(), options()) -> ok.
cast(Module, Function, Args, Kwargs, Options) ->
    py_async:cast(py_args:call(Module, Function, Args, Kwargs),
                  py_options:uncaptured(Options)).

%% @equiv spawn_call(Module, Function, Args, #{}, #{})
-spec spawn_call(callee(), name(), args()) -> reference().
spawn_call(Module, Function, Args) ->
    spawn_call(Module, Function, Args, #{}, #{}).

%% @equiv spawn_call(Module, Function, Args, Kwargs, #{})
-spec spawn_call(callee(), name(), args(), kwargs()) -> reference().
spawn_call(Module, Function, Args, Kwargs) ->
    spawn_call(Module, Function, Args, Kwargs, #{}).

%% @doc Begins a call whose result {@link await/2} fetches later:
%% ``Ref = py:spawn_call(math, sqrt, [4]), {ok, 2.0} = py:await(Ref)''. The
%% caller's death cancels it. Await each reference, even one that was cancelled:
%% otherwise its result stays in the caller's mailbox. {@link cast/3} is for
%% calls whose result nobody needs.
-spec spawn_call(callee(), name(), args(), kwargs(), options()) -> reference().
spawn_call(Module, Function, Args, Kwargs, Options) ->
    py_async:spawn_call(py_args:call(Module, Function, Args, Kwargs),
                        py_options:single(Options)).

%% @doc Waits for the result of a {@link spawn_call/3}, until the call's own
%% timeout: ``{ok, 2.0} = py:await(py:spawn_call(math, sqrt, [4]))''.
-spec await(reference()) -> result().
await(Ref) ->
    await(Ref, infinity).

%% @doc Waits for the result of a {@link spawn_call/3} for Timeout milliseconds,
%% then cancels it: ``{error, timeout} = py:await(py:spawn_call(time, sleep, [9]), 10)''.
%% Only the process that began the call can wait for it, and once.
-spec await(reference(), timeout()) -> result().
await(Ref, Timeout) ->
    py_async:await(Ref, py_options:timeout(Timeout)).

%% @equiv parallel(Calls, #{})
-spec parallel([{callee(), name(), args()} | {callee(), name(), args(), kwargs()}]) ->
          {ok, [term()]} | {error, [result()] | term()}.
parallel(Calls) ->
    parallel(Calls, #{}).

%% @doc Calls many functions over all workers and waits for all of them:
%% ``{ok, [2.0, 3.0]} = py:parallel([{math, sqrt, [4]}, {math, sqrt, [9]}])''.
%% If one fails: `{error, Results}', each `{ok, Value}' or `{error, Reason}', in
%% order. The timeout holds for each call by itself. Many small calls are faster
%% with the option `chunk', which says how many of them may go to a worker together.
-spec parallel([{callee(), name(), args()} | {callee(), name(), args(), kwargs()}],
               options()) ->
          {ok, [term()]} | {error, [result()] | term()}.
parallel(Calls, Options) ->
    py_parallel:run(py_args:calls(Calls), py_options:spread(Options)).

%% ---------------------------------------------------------------------------
%% Streams

%% @equiv stream(Module, Function, Args, #{}, #{})
-spec stream(callee(), name(), args()) -> {ok, [term()]} | {error, term()}.
stream(Module, Function, Args) ->
    stream(Module, Function, Args, #{}, #{}).

%% @equiv stream(Module, Function, Args, Kwargs, #{})
-spec stream(callee(), name(), args(), kwargs()) -> {ok, [term()]} | {error, term()}.
stream(Module, Function, Args, Kwargs) ->
    stream(Module, Function, Args, Kwargs, #{}).

%% @doc Calls a function and iterates over what it returns, with little of it in
%% Python at a time: ``{ok, [0, 1, 2]} = py:stream(builtins, range, [3])''. The
%% timeout is how long each wait for more items may take.
-spec stream(callee(), name(), args(), kwargs(), options()) ->
          {ok, [term()]} | {error, term()}.
stream(Module, Function, Args, Kwargs, Options) ->
    py_stream:collect(py_args:source({Module, Function, Args, Kwargs}),
                      py_options:uncaptured(Options)).

%% @equiv stream_eval(Code, #{}, #{})
-spec stream_eval(code()) -> {ok, [term()]} | {error, term()}.
stream_eval(Code) ->
    stream_eval(Code, #{}, #{}).

%% @equiv stream_eval(Code, Locals, #{})
-spec stream_eval(code(), locals()) -> {ok, [term()]} | {error, term()}.
stream_eval(Code, Locals) ->
    stream_eval(Code, Locals, #{}).

%% @doc Evaluates an expression and iterates over its value:
%% ``{ok, [0, 1, 4]} = py:stream_eval(<<"(x*x for x in range(3))">>)''.
-spec stream_eval(code(), locals(), options()) -> {ok, [term()]} | {error, term()}.
stream_eval(Code, Locals, Options) ->
    py_stream:collect(py_args:source({eval, Code, Locals}), py_options:uncaptured(Options)).

%% @equiv stream_open(Source, #{})
-spec stream_open(source()) -> {ok, stream()} | {error, term()}.
stream_open(Source) ->
    stream_open(Source, #{}).

%% @doc Opens a stream for {@link stream_next/1} and waits for its first items:
%% ``{ok, S} = py:stream_open({itertools, count, []})''. It is closed by
%% {@link stream_close/1} or by the death of the process that opened it.
%%
%% With the option `deliver => message' its items come to that process as messages:
%% `{py_stream, Stream, {data, Item}}' for each, and at the end `{py_stream, Stream, done}'
%% or `{py_stream, Stream, {error, Reason}}'. Say what you have handled by
%% {@link stream_ack/2}: no more than twice the option `chunk' are sent ahead of
%% that.
-spec stream_open(source(), options()) -> {ok, stream()} | {error, term()}.
stream_open(Source, Options) ->
    {Deliver, Opts} = py_options:opening(Options),
    py_stream:open(Deliver, py_args:source(Source), Opts).

%% @doc The next items, at most a chunk: ``{ok, [0 | _]} = py:stream_next(S)'';
%% `done' at the end. If the stream was closed, or its end was already reported:
%% `{error, closed}'. A stream without any items always gives `done'.
-spec stream_next(stream()) -> {ok, [term(), ...]} | done | {error, term()}.
stream_next(Stream) ->
    py_stream:next(Stream).

%% @equiv stream_ack(Stream, 1)
-spec stream_ack(stream()) -> ok.
stream_ack(Stream) ->
    py_stream:ack(Stream, 1).

%% @doc Says that N more items which have come as messages are handled:
%% ``ok = py:stream_ack(S, 1)'', so that others may come. Any process may say so.
-spec stream_ack(stream(), pos_integer()) -> ok.
stream_ack(Stream, N) ->
    py_stream:ack(Stream, N).

%% @doc Closes the Python generator: ``ok = py:stream_close(S)''. This is harmless
%% if the stream has ended. None of its messages is left in the mailbox. If another
%% process than its owner closes it, the owner gets `{error, closed}' as its end.
-spec stream_close(stream()) -> ok.
stream_close(Stream) ->
    py_stream:close(Stream).

%% @equiv stream_fold(Fun, Acc, Source, #{})
-spec stream_fold(fun((term(), Acc) -> Acc), Acc, source()) ->
          {ok, Acc} | {error, term()}.
stream_fold(Fun, Acc, Source) ->
    stream_fold(Fun, Acc, Source, #{}).

%% @doc Folds over a stream's items as they come:
%% ``{ok, 45} = py:stream_fold(fun(N, Sum) -> N + Sum end, 0, {builtins, range, [10]})''.
-spec stream_fold(fun((term(), Acc) -> Acc), Acc, source(), options()) ->
          {ok, Acc} | {error, term()}.
stream_fold(Fun, Acc, Source, Options) when is_function(Fun, 2) ->
    py_stream:fold(Fun, Acc, py_args:source(Source), py_options:uncaptured(Options));
stream_fold(Fun, _, _, _) ->
    py_options:must_be(Fun, "the function", "a fun of an item and an accumulator").

%% @doc Cancels a {@link spawn_call/3}, whose await then gives
%% `{error, cancelled}': ``ok = py:cancel(Ref)''. This is harmless if the call
%% already has its result.
-spec cancel(reference()) -> ok.
cancel(Ref) when is_reference(Ref) ->
    py_async:cancel(Ref);
cancel(Other) ->
    py_options:must_be(Other, "the call", "a reference that spawn_call has returned").

%% ---------------------------------------------------------------------------
%% Memory

%% @equiv memory_stats(default)
-spec memory_stats() -> {ok, map()} | {error, term()}.
memory_stats() ->
    memory_stats(default).

%% @equiv memory_stats(Target, #{})
-spec memory_stats(target()) -> {ok, map()} | each() | {error, term()}.
memory_stats(Target) ->
    memory_stats(Target, #{}).

%% @doc The memory of a pool or of a worker, within 100 ms whatever they do:
%% ``{ok, #{gc_count := {_, _, _}}} = py:memory_stats(pdf, #{})''. A worker's map
%% has the numbers of its Python: `gc_stats', `gc_pauses', `gc_count', `gc_threshold' and,
%% while tracing is on, `traced_memory_current' and `traced_memory_peak', with their
%% `age' (ms; they were taken now, or when the worker fell idle); from the kernel
%% `rss', `peak' and `swap'; and `id', `os_pid', `calls', `uptime' (ms), `baseline'
%% (the `rss' when it was ready) and `growth' since then; its `limits' and what is
%% `left' of them. With `#{detail => true}'
%% there are also `pss', `uss', `children', `lane', `arenas', `malloc', `blocks', `objects', `compiled'
%% and a `diagnosis', as far as they are available (`docs/memory.md'). A pool's map sums
%% up the Python numbers of the `asked' workers, `answered' of which gave new ones, and
%% has the workers' own maps as `workers'.
-spec memory_stats(target(), #{detail => boolean()} | keywords()) ->
          {ok, map()} | each() | {error, term()}.
memory_stats(Target, Options) ->
    #{detail := Detail} = py_args:memory_stats(Options),
    py_mem_stats:stats(Target, Detail).

%% @equiv gc(default)
-spec gc() -> {ok, non_neg_integer()} | {error, term()}.
gc() ->
    gc(default).

%% @doc Collects garbage, and returns how many objects were unreachable:
%% ``{ok, Collected} = py:gc(pdf)''. With a number, it collects this generation
%% and the younger ones in the default pool: ``{ok, _} = py:gc(0)''.
-spec gc(0..2 | target()) -> {ok, non_neg_integer()} | each() | {error, term()}.
gc(Generation) when is_integer(Generation) ->
    gc(default, Generation);
gc(Target) ->
    gc(Target, #{}).

%% @doc Collects this generation and the younger ones:
%% ``{ok, _} = py:gc({pdf, 2}, 0)''. With options, a `generation' (2) and whether
%% to `trim' (`false'), which also gives memory back, as {@link trim/1} does:
%% ``{ok, #{collected := _, returned := Bytes}} = py:gc(pdf, #{trim => true})''.
-spec gc(target(), 0..2 | #{generation => 0..2, trim => boolean()} | keywords()) ->
          {ok, non_neg_integer() | map()} | each() | {error, term()}.
gc(Target, Options) ->
    py_mem_tend:gc(Target, py_args:gc(Options)).

%% @equiv trim(default)
-spec trim() -> {ok, non_neg_integer()} | {error, term()}.
trim() ->
    trim(default).

%% @doc Gives memory that C's allocator keeps free back to the kernel, even while
%% Python is busy, and returns how many bytes that was: ``{ok, Bytes} =
%% py:trim(pdf)''. Pools do that by themselves, as their option `trim' says. If
%% the C library cannot do that (only glibc can): `{error, {unsupported, trim}}'.
-spec trim(target()) -> {ok, non_neg_integer()} | each() | {error, term()}.
trim(Target) ->
    py_mem_tend:trim(Target).

%% @equiv set_memory(default, Limits)
-spec set_memory(memory_limits()) -> ok | {error, term()}.
set_memory(Limits) ->
    set_memory(default, Limits).

%% @doc Changes limits of the pool option `memory' while the workers run:
%% ``ok = py:set_memory(pdf, #{address_space => 2000000000})''. What is not named
%% stays. A pool's name means its workers and those that start later, until the
%% pool is stopped; `{Pool, Id}' and `{Pool, all}' only workers that are there now.
%% What has to be there from the start: `{error, {not_while_running, cgroup}}'; what
%% can be changed only if it was there from the start: `{error, {not_enabled, heap}}'.
%% After an error, nothing is set for workers that start later.
-spec set_memory(target(), memory_limits()) -> ok | each() | {error, term()}.
set_memory(Target, Limits) ->
    py_mem_limit:set(Target, Limits).

%% @equiv tracemalloc_start(default, 1)
-spec tracemalloc_start() -> ok | {error, term()}.
tracemalloc_start() ->
    tracemalloc_start(default, 1).

%% @doc Traces memory: with a number of frames, that of the default pool:
%% ``ok = py:tracemalloc_start(10)''; otherwise that of the target, with one frame for
%% each allocation: ``ok = py:tracemalloc_start(pdf)''.
-spec tracemalloc_start(pos_integer() | target()) -> ok | each() | {error, term()}.
tracemalloc_start(NFrame) when is_integer(NFrame) ->
    tracemalloc_start(default, NFrame);
tracemalloc_start(Target) ->
    tracemalloc_start(Target, 1).

%% @doc Traces memory with NFrame frames for each allocation:
%% ``ok = py:tracemalloc_start(pdf, 10)''. A pool's name means its workers and
%% those that start later; `{Pool, Id}' and `{Pool, all}' only workers that are
%% there now. If tracing is on with another number of frames, it begins anew.
-spec tracemalloc_start(target(), pos_integer()) -> ok | each() | {error, term()}.
tracemalloc_start(Target, NFrame) ->
    py_mem_tend:set(Target, py_args:tracemalloc_start(NFrame)).

%% @equiv tracemalloc_stop(default)
-spec tracemalloc_stop() -> ok | {error, term()}.
tracemalloc_stop() ->
    tracemalloc_stop(default).

%% @doc Stops tracing: ``ok = py:tracemalloc_stop(pdf)''. A pool's name means the
%% workers that start later, too.
-spec tracemalloc_stop(target()) -> ok | each() | {error, term()}.
tracemalloc_stop(Target) ->
    py_mem_tend:set(Target, tracemalloc_stop).

%% @doc Python's version, as in `sys.version': ``{ok, <<"3.", _/binary>>} = py:version()''.
-spec version() -> {ok, binary()} | {error, term()}.
version() ->
    py_pools:version(default).

%% @doc What a worker's Python threads are doing, even while it is busy, within
%% 100 ms: ``{ok, [#{thread := _, frames := _} | _]} = py:stack(1)''. Worker is
%% its pid, its id in the default pool, or `{Pool, Id}' (see {@link info/1}); a
%% pool's name or `{Pool, all}' gives each worker's: `{ok, [{Id, Result}]}'. The
%% outermost frame comes first; each has `file', `line', `function' and `text'.
%% While C code holds the GIL: `{error, busy}'.
-spec stack(py_stack:worker()) -> {ok, [map()]} | each() | {error, term()}.
stack(Worker) ->
    py_stack:of_worker(Worker).

%% ---------------------------------------------------------------------------
%% Pools

%% @doc Starts a pool beside the others and waits until its workers are ready:
%% ``{ok, _} = py:start_pool(science, #{size => 2, venv => "/opt/science"})''. If
%% Python cannot start: `{error, {python_start, Text}}'; if an option is wrong:
%% `{error, {badarg, {option, Key, Text}}}', where the text says what it must be and
%% what was given. The application supervises the pool; for a child of your own
%% supervisor use {@link child_spec/2}.
-spec start_pool(atom(), pool_options()) -> {ok, pid()} | {error, term()}.
start_pool(Name, Options) ->
    py_pools:start(py_args:pool(Name), Options).

%% @doc Starts a pool that is linked to the calling process, for a supervisor of
%% your own: ``{ok, _} = py:start_link(science, #{size => 2})''. It has a name like
%% any other pool, and ends with the caller: new calls are refused then, and those
%% under way have as long as its option `drain' says. Errors are those of {@link
%% start_pool/2}.
-spec start_link(atom(), pool_options()) -> {ok, pid()} | {error, term()}.
start_link(Name, Options) ->
    py_pools:start_link(py_args:pool(Name), py_secret:hide(Options)).

%% @doc The pool as a child of your own supervisor: ``[py:child_spec(science, #{size =>
%% 2})]''. A pool that its supervisor restarts begins with these options, and without
%% what {@link exec_all/1} had defined.
-spec child_spec(atom(), pool_options()) -> supervisor:child_spec().
child_spec(Name, Options) ->
    py_pools:child_spec(py_args:pool(Name), Options).

%% @doc Stops a pool: ``ok = py:stop_pool(science)''. New calls get
%% `{error, {stopping, Name}}'; those under way have as long as the pool's option
%% `drain' says. A supervisor of your own may start its pool anew: stop it there.
-spec stop_pool(atom()) -> ok | {error, {no_pool | not_started, atom()}}.
stop_pool(Name) ->
    py_pools:stop(py_args:pool(Name)).

%% @doc The same; calls under way have Limit milliseconds to finish:
%% ``ok = py:stop_pool(science, 10000)''.
-spec stop_pool(atom(), timeout()) -> ok | {error, {no_pool | not_started, atom()}}.
stop_pool(Name, Limit) ->
    py_pools:stop(py_args:pool(Name), py_options:timeout(Limit)).

%% @equiv restart_workers(default)
-spec restart_workers() -> ok | {error, term()}.
restart_workers() ->
    restart_workers(default).

%% @doc Replaces workers one after another, each by one that is ready before the
%% old one ends: ``ok = py:restart_workers(science)''; or only one worker:
%% ``ok = py:restart_workers({science, 2})''. Calls under way have as long as the
%% pool's option `drain' says. A process that is bound to a worker learns of its end
%% from the next call, once. In the place of one that has died the next one is waited
%% for. If one cannot start: `{error, {python_start, Text}}' or another reason of its
%% death. While another restart is under way: `{error, restarting}'.
-spec restart_workers(target()) -> ok | each() | {error, term()}.
restart_workers(Target) ->
    py_pools:restart(Target).

%% @doc The names of all pools, whoever supervises them: ``[default, science] = py:pools()''.
-spec pools() -> [atom()].
pools() ->
    py_pools:names().

%% @equiv info(default)
-spec info() -> map() | {error, {no_pool | not_started, atom()}}.
info() ->
    info(default).

%% @doc The state of a pool: ``#{size := 2, workers := [_, _]} = py:info(science)''.
%% The map has `name', `size', `options' (of `env' only the names, of `init' and
%% `init_once' only the size), `queue' (`waiting', `max') and `workers': for each of
%% them `id', `pid', `os_pid', `state' (`starting', `idle', `busy', `down'),
%% `calls', `restarts' and what it is `running'.
-spec info(atom()) -> map() | {error, {no_pool | not_started, atom()}}.
info(Name) ->
    py_pools:info(py_args:pool(Name)).

%% @doc Lets everything be called again that a pool with the option `quarantine'
%% refuses: ``ok = py:unquarantine(pdf)''. What the functions have cost so far does not
%% count any more. `quarantined' in {@link info/1} says what is refused, and why.
-spec unquarantine(atom()) -> ok | {error, {no_pool | stopping | not_started, atom()}}.
unquarantine(Name) ->
    py_pools:lift(py_args:pool(Name), all).

%% @doc Lets one function be called again, named as in {@link info/1} or in the error:
%% ``ok = py:unquarantine(pdf, {layout, render, 2})''. It may also be an operation such
%% as `eval'.
-spec unquarantine(atom(), {name(), name(), arity()} | atom()) ->
          ok | {error, {no_pool | stopping | not_started, atom()}}.
unquarantine(Name, What) ->
    py_pools:lift(py_args:pool(Name), py_args:what(What)).

%% @equiv register_function(Name, Function, #{})
-spec register_function(name(), function() | {module(), atom()}) -> ok | {error, {not_started, py}}.
register_function(Name, Function) ->
    register_function(Name, Function, #{}).

%% @doc Lets Python call an Erlang function by this name: ``ok =
%% py:register_function(price, fun(Item) -> shop:price(Item) end)'', and in Python
%% `erlang.price("tea")' or `erlang.call("price", "tea")'. Each call runs in a process of
%% its own, with Python's arguments; if there are keyword arguments, they are a map behind
%% the others. What it returns is Python's value, what it raises Python's `erlang.Error'.
%% `{Module, Function}' is the newest version of the module at each call. With
%% `#{pool => pdf}' only that pool's workers may call it; with `timeout', in milliseconds,
%% a call that takes longer fails. The function stays until {@link unregister_function/1},
%% or until the application stops. A name that the Python package `erlang' has itself
%% raises `badarg'.
-spec register_function(name(), function() | {module(), atom()},
                        #{pool => atom(), timeout => timeout()} | keywords()) ->
          ok | {error, {not_started, py}}.
register_function(Name, Function, Options) ->
    #{pool := Pool, timeout := Timeout} = py_args:registration(Options),
    py_talk_functions:put(py_args:new_function_name(Name), Pool, py_args:function(Function), Timeout).

%% @doc Sends a message to Python: ``ok = py:send({default, 1}, {price, 3})'', or to a
%% context, ``ok = py:send(C, stop)''. Code that runs there takes it by
%% `erlang.receive(timeout=5)', or a handler gets it (`erlang.on_message'); until then it
%% waits. Messages of one process come in the order in which they were sent. `ok' does not
%% say that Python will take it: what is there when the worker ends, or the context is
%% closed, is dropped. A worker, and a context, may have 10,000 messages: then this is
%% `{error, {overloaded, messages, 10000}}'.
-spec send({Pool :: atom(), Id :: pos_integer()} | py_context:context(), term()) ->
          ok | {error, term()}.
send(To, Message) ->
    py_message:send(To, Message).

%% @doc Python cannot call the function of this name any more: ``ok =
%% py:unregister_function(price)''. Calls under way go on.
-spec unregister_function(name()) ->
          ok | {error, {no_function, binary()} | {not_started, py}}.
unregister_function(Name) ->
    py_talk_functions:remove(py_args:function_name(Name)).
