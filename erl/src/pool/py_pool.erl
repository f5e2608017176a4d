%% SPDX-License-Identifier: Apache-2.0
%%
%% One pool: the process that keeps its workers running (py_pool_slots), lets
%% callers wait for a place in order when every worker is full (py_pool_queue),
%% has code run in every worker (py_pool_define, py_pool_steps), and replaces the
%% workers one by one (py_pool_roll). Callers come here only when they find no
%% room: picking a worker asks no process (py_pool_board).
-module(py_pool).
-behaviour(gen_server).

-export([start_link/2, await/1, info/1, define/3, forget/2, set/2, lift/2, restart/2]).
-export([enter/2, room/2, ready/4, prepare/3, replace/5, heard/2]).
%% These only send a message, so whoever is below may call them.
-messages([enter/2, room/2, ready/4, prepare/3, replace/5, heard/2]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

-include("py.hrl").

%% How often the workers are asked for their load while callers wait (ms).
-define(POKE, 50).

-record(state, {
    pool :: #pool{},
    options :: py_pool_options:hidden(),
    steps :: py_pool_steps:steps(),
    queue :: py_pool_queue:queue(),
    slots :: py_pool_slots:slots(),
    definitions = py_pool_define:new() :: py_pool_define:definitions(),
    definer = none :: none | reference(),       % the monitor of who runs one
    roll = py_pool_roll:new() :: py_pool_roll:roll(),
    tend :: py_pool_tend:tend(),
    starters = [] :: [gen_server:from()],       % wait for the first workers
    poking = false :: boolean()
}).

%% ---------------------------------------------------------------------------
%% What others ask

-spec start_link(#pool{}, py_pool_options:hidden()) -> gen_server:start_ret().
start_link(Pool, Options) ->
    gen_server:start_link(?MODULE, {Pool, Options}, []).

%% Asks to hear when every worker has been ready once, or one could not start. Whoever
%% asks has to receive the answer: ok | {error, term()}.
-spec await(#pool{}) -> {ok, gen_server:request_id()} | {error, {no_pool | stopping | not_started, atom()}}.
await(Pool) ->
    case py_pool_board:pool(Pool) of
        {ok, Pid} -> {ok, gen_server:send_request(Pid, await)};
        {error, _} = Error -> Error
    end.

-spec info(#pool{}) -> map() | {error, term()}.
info(Pool) ->
    call(Pool, info).

%% Runs the code in every worker, and in all that start later.
-spec define(#pool{}, py_secret:secret(py_wire:op()), py_time:deadline()) -> ok | {error, term()}.
define(Pool, Op, Deadline) ->
    call(Pool, {define, Op, Deadline}).

%% Workers that start later do not run this definition.
-spec forget(#pool{}, py_pool_steps:id()) -> ok | {error, term()}.
forget(Pool, Id) ->
    call(Pool, {forget, Id}).

%% New workers are set like this from now on; answers those that are there.
-spec set(#pool{}, py_wire:op()) -> {ok, [py_pool_board:worker()]} | {error, term()}.
set(Pool, Op) ->
    call(Pool, {set, Op}).

%% Something that is refused, or all of it, may be called again.
-spec lift(#pool{}, all | py_wire:what()) -> ok | {error, term()}.
lift(Pool, What) ->
    call(Pool, {lift, What}).

%% Replaces the workers, one after another, or that of one slot.
-spec restart(#pool{}, all | pos_integer()) -> ok | {error, term()}.
restart(Pool, Which) ->
    call(Pool, {restart, Which}).

call(Pool, Request) ->
    py_pool_board:call(py_pool_board:pool(Pool), Pool, Request, infinity).

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

%% A worker will soon run nothing new: its successor should be ready by then.
-spec prepare(pid(), pos_integer(), pid()) -> ok.
prepare(Pool, Slot, Worker) ->
    tell(Pool, {prepare, Slot, Worker}).

%% A worker runs nothing new any more, and should be replaced: this is why, and
%% what it was doing.
-spec replace(pid(), pos_integer(), pid(), py_worker_tenure:closing(),
              py_wire:what() | none) -> ok.
replace(Pool, Slot, Worker, Why, What) ->
    tell(Pool, {replace, Slot, Worker, Why, What}).

%% Something is known about the memory of its workers.
-spec heard(pid(), py_pool_tend:heard()) -> ok.
heard(Pool, What) ->
    tell(Pool, {heard, What}).

tell(Pool, Message) ->
    Pool ! {?MODULE, Message},
    ok.

%% ---------------------------------------------------------------------------

-spec init({#pool{}, py_pool_options:hidden()}) ->
          {ok, #state{}, {continue, [py_pool_slots:effect()]}}.
init({#pool{name = Name, size = Size} = Pool,
      #{max_queue := Max, queue_timeout := Patience} = Options}) ->
    py_pool_board:set_process(Pool, pool, self()),
    Steps = py_pool_kept:steps(Name, first_steps(Options)),
    {Slots, Effects} = py_pool_slots:new(Size, py_pool_steps:is_once_due(Steps)),
    {ok, #state{pool = Pool, options = Options, slots = Slots, steps = Steps,
                queue = py_pool_queue:new(Pool, Max, Patience),
                tend = py_pool_tend:new(Pool, Options)},
     {continue, Effects}}.

first_steps(#{init_once := Once, init := Init}) ->
    py_pool_steps:new(py_secret:show(Once), py_secret:show(Init)).

-spec handle_continue([py_pool_slots:effect()], #state{}) -> {noreply, #state{}}.
handle_continue(Effects, S) ->
    {noreply, act(Effects, S)}.

-spec handle_call(term(), gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}}.
handle_call(await, From, #state{starters = Starters} = S) ->
    {noreply, tell_starters(S#state{starters = [From | Starters]})};
handle_call(info, _From, S) ->
    {reply, describe(S), S};
handle_call({restart, Which}, From, #state{slots = Slots, roll = Roll} = S) ->
    Phases = py_pool_slots:phases(Slots),
    {noreply, roll(py_pool_roll:begin_with(From, chosen(Which, Phases), Phases, Roll), S)};
handle_call({forget, Id}, _From, #state{steps = Steps} = S) ->
    case py_pool_steps:forget(Id, Steps) of
        {ok, Left} -> {reply, ok, set_steps(Left, S)};
        unknown -> {reply, {error, {no_definition, Id}}, S}
    end;
handle_call({define, Op, Deadline}, From, #state{definitions = Definitions} = S) ->
    Added = definitions(py_pool_define:add(From, Op, Deadline, Definitions), S),
    {noreply, define_next(Added)};
handle_call({lift, What}, _From, #state{pool = Pool, tend = T} = S) ->
    {reply, ok, S#state{tend = py_pool_tend:lift(Pool, What, T)}};
handle_call({set, Op}, _From, #state{pool = Pool, steps = Steps} = S) ->
    Next = set_steps(py_pool_steps:set(Op, Steps), S),
    {reply, {ok, py_pool_board:workers(Pool)}, Next};
handle_call(_, _From, S) ->
    {reply, {error, badarg}, S}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(#req{} = Req, #state{queue = Queue} = S) ->
    {noreply, keep_poking(S#state{queue = py_pool_queue:enter(Req, Queue)})};
handle_info({?MODULE, {room, _Slot}}, #state{queue = Queue} = S) ->
    {noreply, S#state{queue = py_pool_queue:grant(Queue)}};
handle_info({?MODULE, {ready, Id, Pid, OsPid}}, S) ->
    {noreply, worker_ready({Id, Pid}, OsPid, S)};
handle_info({?MODULE, {prepare, Id, Worker}}, S) ->
    {noreply, if_live(Id, Worker, fun warm_up/2, S)};
handle_info({?MODULE, {replace, Id, Worker, Why, What}}, #state{pool = Pool, tend = T} = S) ->
    Known = S#state{tend = py_pool_tend:ends(Pool, Id, Worker, Why, What, T)},
    {noreply, if_live(Id, Worker, fun(_, _) -> replace_worker(Id, Worker, Why, Known) end, S)};
handle_info({?MODULE, {heard, What}}, #state{pool = Pool, tend = T} = S) ->
    {noreply, tend(py_pool_tend:hear(What, Pool, T), S)};
handle_info({?MODULE, {start, Id}}, #state{slots = Slots} = S) ->
    {noreply, slots(py_pool_slots:start(Id, Slots), S)};
handle_info({?MODULE, poke}, S) ->
    {noreply, poke(S#state{poking = false})};
handle_info({timeout, Timer, waited}, #state{queue = Queue} = S) ->
    {noreply, S#state{queue = py_pool_queue:timed_out(Timer, Queue)}};
handle_info({timeout, _, {define, From}}, #state{definitions = Definitions, queue = Q} = S) ->
    {noreply, definitions(py_pool_define:late(From, py_pool_queue:out_of_time(Q), Definitions), S)};
handle_info({'DOWN', Monitor, process, _, Reason}, #state{definer = Monitor} = S) ->
    {noreply, defined(outcome(Reason), S#state{definer = none})};
handle_info({'DOWN', Monitor, process, Pid, Reason}, #state{queue = Queue} = S) ->
    case py_pool_queue:gone(Pid, Queue) of
        {gone, Rest} -> {noreply, S#state{queue = Rest}};
        unknown -> {noreply, worker_down(Monitor, Pid, Reason, S)}
    end;
handle_info(_, S) ->
    {noreply, S}.

%% ---------------------------------------------------------------------------
%% Effects: what the pure modules want done, in order

slots({Slots, Effects}, S) -> act(Effects, S#state{slots = Slots}).

definitions({Definitions, Effects}, S) -> act(Effects, S#state{definitions = Definitions}).

roll({Roll, Effects}, S) -> act(Effects, S#state{roll = Roll}).

act(Effects, S) ->
    lists:foldl(fun effect/2, S, Effects).

effect({start, Id}, S) -> start_worker(Id, S);
effect({replace, Id, Why}, #state{slots = Slots} = S) ->
    slots(py_pool_slots:replace(Id, Why, Slots), S);
effect({ready, Worker, OsPid}, S) -> worker_ready(Worker, OsPid, S);
effect({join, Id, Worker, OsPid}, #state{pool = Pool, steps = Steps, tend = T, queue = Q} = S) ->
    Tended = py_pool_tend:live(Pool, Id, Worker, OsPid, T),
    py_pool_board:change_limits(Pool, Worker, py_pool_steps:limits(Steps)),
    py_pool_board:join(Pool, Id, Worker, OsPid),
    S#state{tend = Tended, queue = py_pool_queue:broken(none, Q)};
effect({ended, Id, Worker, OsPid, Reason}, #state{pool = Pool, tend = T} = S) ->
    Tended = py_pool_tend:ended(Pool, Id, Worker, Reason, T),
    py_pool_board:leave(Pool, Id, Worker),
    py_pool_board:forget_program(Pool, Worker),
    py_pool_log:ended(Id, OsPid, Reason, Pool),
    py_pool_log:remember(Worker, Reason, Pool),
    S#state{tend = Tended};
effect(ran_once, #state{steps = Steps} = S) ->
    #state{slots = Slots} = Ran = set_steps(py_pool_steps:ran_once(Steps), S),
    slots(py_pool_slots:start_others(Slots), Ran);
effect({run, Code, Deadline}, S) -> run(Code, Deadline, S);
effect({append, Code}, #state{steps = Steps} = S) -> set_steps(py_pool_steps:append(Code, Steps), S);
effect(Effect, S) -> _ = outwards(Effect, S), S.

%% Those that change nothing here.
outwards({reply, From, Answer}, _) ->
    gen_server:reply(From, Answer);
outwards({late_at, Deadline, From}, _) ->
    erlang:start_timer(Deadline, self(), {define, From}, [{abs, true}]);
outwards({start_later, Delay, Id}, _) ->
    erlang:send_after(Delay, self(), {?MODULE, {start, Id}});
outwards({live, Worker}, _) -> py_worker:live(Worker);
outwards({steps, Worker, Steps}, _) ->
    py_worker:steps(Worker, Steps);
outwards({retire, Worker, Why}, #state{pool = #pool{drain = Drain}}) ->
    py_worker:retire(Worker, Why, Drain);
outwards({forget, Worker}, #state{pool = Pool}) ->
    py_pool_board:forget_dead(Pool, Worker).

%% The worker belongs to this process: neither goes on without the other.
start_worker(Id, #state{pool = Pool, slots = Slots} = S) ->
    Args = #{pool => Pool, pool_pid => self(), slot => Id, options => options(S)},
    {ok, Sup} = py_pool_board:workers_sup(Pool),
    {ok, Worker} = supervisor:start_child(Sup, [Args]),
    S#state{slots = py_pool_slots:started(Id, Worker, monitor(process, Worker), Slots)}.

%% With the limits as they are now.
options(#state{options = #{memory := Limits} = Options, steps = Steps}) ->
    Options#{memory := maps:merge(Limits, py_pool_steps:limits(Steps))}.

run(Code, Deadline, #state{pool = Pool} = S) ->
    Args = [py_pool_board:workers(Pool), job, Code, Deadline],
    {_, Monitor} = spawn_monitor(py_fanout, ask_and_exit, Args),
    S#state{definer = Monitor}.

%% The steps outlive this process and its supervisor, in case these are ever
%% restarted. The workers that are live have run them, or are asked to.
set_steps(Steps, #state{pool = #pool{name = Name}, slots = Slots} = S) ->
    py_pool_kept:put_steps(Name, Steps),
    S#state{steps = Steps, slots = py_pool_slots:ran(Steps, Slots)}.

%% ---------------------------------------------------------------------------
%% Callers who wait

%% A caller that got a place and died on its way there leaves a worker idle that
%% will not say so by itself. So the workers are asked while anybody is in the
%% queue.
poke(#state{pool = Pool} = S) ->
    [py_worker:report(Worker) || {_, Worker, _} <- py_pool_board:workers(Pool)],
    keep_poking(S).

keep_poking(#state{poking = false, queue = Queue} = S) ->
    Waiting = py_pool_queue:waiting(Queue) > 0,
    Waiting andalso erlang:send_after(?POKE, self(), {?MODULE, poke}),
    S#state{poking = Waiting};
keep_poking(S) ->
    S.

%% ---------------------------------------------------------------------------
%% Workers come and go

%% While a definition runs, it is not known whether new workers need it.
worker_ready(Worker, OsPid, #state{definitions = Definitions, slots = Slots} = S) ->
    case py_pool_define:is_running(Definitions) of
        true ->
            S#state{slots = py_pool_slots:hold(Worker, OsPid, Slots)};
        false ->
            Now = py_time:now_ms(),
            workers_ready(slots(py_pool_slots:ready(Worker, OsPid, S#state.steps, Now, Slots), S))
    end.

%% Some may be live now: whoever waited for that goes on.
workers_ready(S) ->
    restart_next(define_next(tell_starters(S))).

define_next(#state{definitions = Definitions, slots = Slots} = S) ->
    definitions(py_pool_define:next(py_pool_slots:any_live(Slots), Definitions), S).

restart_next(#state{roll = Roll, slots = Slots} = S) ->
    roll(py_pool_roll:next(py_pool_slots:phases(Slots), Roll), S).

chosen(all, Phases) -> lists:sort(maps:keys(Phases));
chosen(Id, _) -> [Id].

%% A worker that has lost its slot, or died, is already replaced.
if_live(Id, Worker, Do, #state{slots = Slots} = S) ->
    case py_pool_slots:is_live(Id, Worker, Slots) of
        true -> Do(Id, S);
        false -> S
    end.

warm_up(Id, #state{slots = Slots} = S) -> slots(py_pool_slots:prepare(Id, Slots), S).

%% One that is used up has, or gets, a successor of its own; others are replaced
%% one after another.
replace_worker(Id, _, calls, #state{slots = Slots} = S) ->
    slots(py_pool_slots:replace(Id, used_up, Slots), S);
replace_worker(Id, Worker, Why, #state{roll = Roll, slots = Slots} = S) ->
    roll(py_pool_roll:hurry(Id, Worker, told(Why), py_pool_slots:phases(Slots), Roll), S).

%% Those that are over a limit come one after another.
tend({Over, Tended}, S) ->
    lists:foldl(fun({Id, Worker}, Acc) -> if_live(Id, Worker, fun want/2, Acc) end,
                S#state{tend = Tended}, Over).

want(Id, #state{roll = Roll, slots = Slots} = S) ->
    roll(py_pool_roll:want(Id, py_pool_slots:phases(Slots), Roll), S).

told(spoilt) -> restarted;
told(_) -> recycled.

%% Every live worker has run a definition, or one of them failed.
defined(Outcome, #state{definitions = Before} = S) ->
    #state{steps = Steps, slots = Slots} = Done =
        definitions(py_pool_define:done(Outcome, Before), S),
    workers_ready(slots(py_pool_slots:release(Steps, py_time:now_ms(), Slots), Done)).

outcome({asked, Results}) -> py_fanout:all_ok(Results);
outcome(Reason) -> {error, {worker_exit, Reason}}.

%% One that ended before it was watched has left its reason.
worker_down(Monitor, Pid, noproc, #state{pool = Pool} = S) ->
    worker_down(Monitor, Pid, {shutdown, py_pool_board:why_died(Pool, Pid)}, S);
worker_down(Monitor, _, Reason, #state{slots = Slots, roll = Roll} = S) ->
    case py_pool_slots:down(Monitor, Reason, py_time:now_ms(), Slots) of
        {{slot, Id}, Rest, Effects} ->
            Told = start_failed(Reason, slots({Rest, Effects}, S)),
            roll(py_pool_roll:died(Id, Reason, py_pool_slots:phases(Rest), Roll), Told);
        {{next, Id}, Rest, Effects} ->
            roll(py_pool_roll:failed(Id, Reason, py_pool_slots:phases(Rest), Roll), slots({Rest, Effects}, S));
        {retired, Rest, Effects} -> slots({Rest, Effects}, S);
        unknown -> S
    end.

%% ---------------------------------------------------------------------------
%% Whoever started the pool

%% The first failure is what they hear. Nobody waits once all have started.
start_failed({shutdown, {python_start, _} = Reason}, S) ->
    tell_starters({error, Reason}, broken({error, Reason}, S));
start_failed(Reason, S) ->
    tell_starters({error, {worker_exit, Reason}}, S).

%% If there is no other worker, that is why callers wait in vain.
broken(Why, #state{slots = Slots, queue = Q} = S) ->
    Broken = case py_pool_slots:any_live(Slots) of true -> none; false -> Why end,
    S#state{queue = py_pool_queue:broken(Broken, Q)}.

tell_starters(#state{slots = Slots} = S) ->
    case py_pool_slots:all_started(Slots) of true -> tell_starters(ok, S); false -> S end.

tell_starters(Answer, #state{starters = Starters} = S) ->
    [gen_server:reply(From, Answer) || From <- Starters],
    S#state{starters = []}.

describe(#state{pool = #pool{name = Name, size = Size}, queue = Queue, slots = Slots,
                tend = Tend} = S) ->
    Options = options(S),
    (py_pool_tend:describe(Tend))#{
      name => Name, size => Size, options => py_pool_options:describe(Options),
      queue => #{waiting => py_pool_queue:waiting(Queue), max => maps:get(max_queue, Options)},
      workers => py_pool_slots:describe(Slots)}.
