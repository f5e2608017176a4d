%% SPDX-License-Identifier: Apache-2.0
%%
%% One pool: keeps its workers running (py_pool_slots), lets callers wait for a
%% place in order when every worker is full (py_pool_queue), and knows what is run in
%% every new worker (py_pool_steps). Callers come here only when they find no room:
%% picking a worker asks no process (py_pool_board).
-module(py_pool).
-behaviour(gen_server).

-export([start_link/2, await/1, info/1, define/3, trace/2, restart/1]).
-export([enter/2, room/2, ready/4]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

-include("py.hrl").

%% How often the workers are asked to tell their load while callers wait (ms).
-define(POKE, 50).

-record(state, {
    pool :: #pool{},
    options :: py_options:pool(),
    steps :: py_pool_steps:steps(),
    queue :: py_pool_queue:queue(),
    slots :: py_pool_slots:slots() | undefined,
    starters = [] :: [gen_server:from()],       % wait for the first workers
    definitions = [] :: [definition()],         % of exec_all, oldest first
    defining = none :: none | {reference(), definition()},
    restarting = none :: none | {gen_server:from(), Left :: [pos_integer()]},
    poking = false :: boolean()
}).

-type definition() :: {gen_server:from(), py_wire:op(), integer() | infinity}.

%% ---------------------------------------------------------------------------
%% What others ask

-spec start_link(#pool{}, py_options:pool()) -> gen_server:start_ret().
start_link(Pool, Options) ->
    gen_server:start_link(?MODULE, {Pool, Options}, []).

%% Waits until every worker has been ready once, or one could not start.
-spec await(#pool{}) -> ok | {error, term()}.
await(Pool) ->
    call(Pool, await).

-spec info(#pool{}) -> map() | {error, term()}.
info(Pool) ->
    call(Pool, info).

%% Runs the code in every worker, and in all that will start.
-spec define(#pool{}, py_wire:op(), integer() | infinity) -> ok | {error, term()}.
define(Pool, Op, Deadline) ->
    call(Pool, {define, Op, Deadline}).

%% New workers trace from now on, or do not; answers those that are there.
-spec trace(#pool{}, off | pos_integer()) ->
          {ok, [py_pool_board:worker()]} | {error, term()}.
trace(Pool, Tracing) ->
    call(Pool, {trace, Tracing}).

%% Replaces the workers one after another.
-spec restart(#pool{}) -> ok | {error, term()}.
restart(Pool) ->
    call(Pool, restart).

call(#pool{name = Name} = Pool, Request) ->
    case py_pool_board:pool(Pool) of
        {ok, Pid} ->
            try
                gen_server:call(Pid, Request, infinity)
            catch
                exit:_ -> {error, {no_pool, Name}}
            end;
        {error, _} = Error ->
            Error
    end.

%% ---------------------------------------------------------------------------
%% What callers and workers say to it: messages, which never wait

%% A request, without its body, whose caller wants a place.
-spec enter(pid(), #req{}) -> ok.
enter(Pool, Req) ->
    Pool ! Req,
    ok.

%% A worker has room, while callers wait.
-spec room(pid(), pos_integer()) -> ok.
room(Pool, Slot) ->
    tell(Pool, {room, Slot}).

%% A worker has run every step that it was given.
-spec ready(pid(), pos_integer(), pid(), pos_integer() | undefined) -> ok.
ready(Pool, Slot, Worker, OsPid) ->
    tell(Pool, {ready, Slot, Worker, OsPid}).

tell(Pool, Message) ->
    Pool ! {?MODULE, Message},
    ok.

%% ---------------------------------------------------------------------------

-spec init({#pool{}, py_options:pool()}) -> {ok, #state{}, {continue, start}}.
init({Pool, #{init := Init, max_queue := Max, queue_timeout := Patience} = Options}) ->
    py_pool_board:set_pool(Pool, self()),
    {ok, #state{pool = Pool, options = Options,
                steps = py_pool_board:steps(Pool, py_pool_steps:new(Init)),
                queue = py_pool_queue:new(Pool, Max, Patience)},
     {continue, start}}.

%% The steps outlive this process, should it ever be restarted.
keep(Steps, #state{pool = Pool} = S) ->
    py_pool_board:set_steps(Pool, Steps),
    S#state{steps = Steps}.

-spec handle_continue(start, #state{}) -> {noreply, #state{}}.
handle_continue(start, #state{pool = Pool, options = Options} = S) ->
    {noreply, S#state{slots = py_pool_slots:new(Pool, Options)}}.

-spec handle_call(term(), gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(await, From, #state{starters = Starters} = S) ->
    {noreply, tell_starters(S#state{starters = [From | Starters]})};
handle_call(info, _From, S) ->
    {reply, describe(S), S};
handle_call(restart, From, #state{restarting = none, slots = Slots} = S) ->
    {noreply, restart_next(S#state{restarting = {From, py_pool_slots:live(Slots)}})};
handle_call(restart, _From, S) ->
    {reply, {error, restarting}, S};
handle_call({define, Op, Deadline}, From, #state{definitions = Before} = S) ->
    is_integer(Deadline)
        andalso erlang:start_timer(Deadline, self(), {define, From}, [{abs, true}]),
    {noreply, define_next(S#state{definitions = Before ++ [{From, Op, Deadline}]})};
handle_call({trace, Tracing}, _From, #state{steps = Steps, slots = Slots} = S) ->
    Next = py_pool_steps:trace(Tracing, Steps),
    {reply, {ok, py_pool_board:workers(S#state.pool)},
     keep(Next, S#state{slots = py_pool_slots:ran(Next, Slots)})}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(#req{} = Req, #state{queue = Queue} = S) ->
    {noreply, keep_poking(S#state{queue = py_pool_queue:enter(Req, Queue)})};
handle_info({?MODULE, {room, _Slot}}, #state{queue = Queue} = S) ->
    {noreply, S#state{queue = py_pool_queue:grant(Queue)}};
handle_info({timeout, _, waited}, #state{queue = Queue} = S) ->
    {noreply, S#state{queue = py_pool_queue:timed_out(Queue)}};
handle_info({timeout, _, {define, From}}, S) ->
    {noreply, definition_late(From, S)};
handle_info(poke, S) ->
    {noreply, poke(S#state{poking = false})};
handle_info({?MODULE, {ready, Id, Pid, OsPid}}, S) ->
    {noreply, worker_ready(Id, Pid, OsPid, S)};
handle_info({start, Id}, #state{slots = Slots} = S) ->
    {noreply, S#state{slots = py_pool_slots:start(Id, Slots)}};
handle_info({'DOWN', Monitor, process, _, Reason}, #state{defining = {Monitor, _}} = S) ->
    {noreply, defined(Reason, S)};
handle_info({'DOWN', Monitor, process, Pid, Reason}, #state{queue = Queue} = S) ->
    case py_pool_queue:gone(Pid, Queue) of
        {gone, Rest} -> {noreply, S#state{queue = Rest}};
        unknown -> {noreply, worker_down(Monitor, Pid, Reason, S)}
    end;
handle_info(_, S) ->
    {noreply, S}.

%% ---------------------------------------------------------------------------
%% Callers who wait

%% A caller that was given a place and died on its way there leaves a worker
%% idle that will not say so by itself. So the workers are asked while there
%% is somebody in the queue.
poke(#state{pool = Pool} = S) ->
    [py_worker:report(Worker) || {_, Worker, _} <- py_pool_board:workers(Pool)],
    keep_poking(S).

keep_poking(#state{poking = false, queue = Queue} = S) ->
    Waiting = py_pool_queue:waiting(Queue) > 0,
    Waiting andalso erlang:send_after(?POKE, self(), poke),
    S#state{poking = Waiting};
keep_poking(S) ->
    S.

%% ---------------------------------------------------------------------------
%% Workers come and go

%% While a definition runs, it is not known whether new workers need it.
worker_ready(Id, Pid, OsPid, #state{defining = none, slots = Slots, steps = Steps} = S) ->
    Ready = py_pool_slots:ready({Id, Pid}, OsPid, Steps, Slots),
    workers_ready(S#state{slots = Ready});
worker_ready(Id, Pid, OsPid, #state{slots = Slots} = S) ->
    S#state{slots = py_pool_slots:hold({Id, Pid, OsPid}, Slots)}.

%% Some may be live now: whoever waited for that goes on.
workers_ready(S) ->
    restart_next(define_next(tell_starters(S))).

%% One that ended before it was watched has left its reason.
worker_down(Monitor, Pid, noproc, #state{pool = Pool} = S) ->
    worker_down(Monitor, Pid, {shutdown, py_pool_board:why_died(Pool, Pid)}, S);
worker_down(Monitor, Pid, Reason, #state{slots = Slots} = S) ->
    case py_pool_slots:down(Monitor, Pid, Reason, Slots) of
        {slot, Rest} -> start_failed(Reason, S#state{slots = Rest});
        {next, Rest} -> restart_failed(Reason, S#state{slots = Rest});
        {retired, Rest} -> S#state{slots = Rest};
        unknown -> S
    end.

%% The successor of a worker is live, or none was asked for yet.
restart_next(#state{restarting = {From, Left}, slots = Slots} = S) ->
    case {py_pool_slots:is_replacing(Slots), Left} of
        {true, _} ->
            S;
        {false, []} ->
            gen_server:reply(From, ok),
            S#state{restarting = none};
        {false, [Id | Rest]} ->
            S#state{restarting = {From, Rest}, slots = replace(Id, Slots)}
    end;
restart_next(S) ->
    S.

%% One that died meanwhile is being replaced as it is.
replace(Id, Slots) ->
    case lists:member(Id, py_pool_slots:live(Slots)) of
        true -> py_pool_slots:replace(Id, Slots);
        false -> Slots
    end.

%% The old worker stays.
restart_failed(Reason, #state{restarting = {From, _}} = S) ->
    gen_server:reply(From, {error, failure(Reason)}),
    S#state{restarting = none}.

failure({shutdown, Reason}) -> Reason;
failure(Reason) -> {worker_exit, Reason}.

%% Whoever started the pool is told the first failure.
start_failed({shutdown, {python_start, _} = Reason}, S) ->
    tell_starters({error, Reason}, S);
start_failed(Reason, #state{slots = Slots} = S) ->
    case py_pool_slots:all_started(Slots) of
        true -> S;
        false -> tell_starters({error, {worker_exit, Reason}}, S)
    end.

tell_starters(#state{slots = Slots} = S) ->
    case py_pool_slots:all_started(Slots) of
        true -> tell_starters(ok, S);
        false -> S
    end.

tell_starters(Answer, #state{starters = Starters} = S) ->
    [gen_server:reply(From, Answer) || From <- Starters],
    S#state{starters = []}.

%% ---------------------------------------------------------------------------
%% Definitions: code that every worker has to run, one after another

define_next(#state{defining = none, definitions = [Definition | Rest], slots = Slots} = S) ->
    case py_pool_slots:any_live(Slots) of
        true -> run_definition(Definition, S#state{definitions = Rest});
        false -> S
    end;
define_next(S) ->
    S.

%% There was no worker to run it in time.
definition_late(From, #state{definitions = Waiting} = S) ->
    case lists:keytake(From, 1, Waiting) of
        {value, _, Rest} ->
            gen_server:reply(From, {error, timeout}),
            S#state{definitions = Rest};
        false ->
            S
    end.

run_definition({_, Op, Deadline} = Definition, #state{pool = Pool} = S) ->
    Args = [py_pool_board:workers(Pool), job, Op, Deadline],
    {_, Monitor} = spawn_monitor(py_fanout, ask_and_exit, Args),
    S#state{defining = {Monitor, Definition}}.

%% What failed is not kept for later workers. One that died meanwhile is
%% replaced by one that will run it.
defined(Reason, #state{defining = {_, {From, Op, _}}, steps = Before, slots = Slots} = S) ->
    Outcome = outcome(Reason),
    Steps = case Outcome of
                ok -> py_pool_steps:append(Op, Before);
                {error, _} -> Before
            end,
    gen_server:reply(From, Outcome),
    Free = py_pool_slots:release(Steps, py_pool_slots:ran(Steps, Slots)),
    workers_ready(keep(Steps, S#state{defining = none, slots = Free})).

outcome({asked, Results}) ->
    py_fanout:all_ok(Results);
outcome(Reason) ->
    {error, {worker_exit, Reason}}.

%% ---------------------------------------------------------------------------

describe(#state{pool = #pool{name = Name, size = Size}, options = Options,
                queue = Queue, slots = Slots}) ->
    #{name => Name, size => Size, options => Options,
      queue => #{waiting => py_pool_queue:waiting(Queue), max => maps:get(max_queue, Options)},
      workers => py_pool_slots:describe(Slots)}.
