%% SPDX-License-Identifier: Apache-2.0
%%
%% One worker: the process that owns a port to one `pyport' program, from its
%% start to its end. All its messages come in here; what is done about them
%% depends on the phase:
%%
%%   starting   the program says hello and runs the pool's steps (py_worker_boot);
%%              the pool hears of that, and gives more steps or says `live'
%%   live       requests come, replies go (py_worker_live)
%%   ending     whatever ends the program ends this process, after every request
%%              that it accepted has been answered (terminate/2, py_worker_end).
%%              It is never restarted: the pool starts another.
-module(py_worker).
-behaviour(gen_server).

-export([request/2, pull/4, close_stream/2, let_go/2, is_open/3, report/1, spoilt/1, ran_out/2, mail/2]).
-export([start_link/1, info/2, seal/2, steps/2, live/1, retire/3, exceeded/2, spare/2, format_status/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export_type([options/0]).

-include("py.hrl").

%% What others say to it: messages, which never wait.
-messages([request/2, pull/4, close_stream/2, let_go/2, is_open/3, report/1, spoilt/1, ran_out/2, mail/2,
           steps/2, live/1, retire/3, exceeded/2, spare/2]).

-record(state, {
    pool :: #pool{},
    pool_pid :: pid(),
    slot :: pos_integer(),
    options :: options(),
    port :: port() | undefined,
    os_pid :: pos_integer() | undefined,
    events :: py_talk_events:events() | undefined,
    lane = none :: py_os_lane:lane() | none,
    quits = false :: boolean(),         % whether it understands `quit'
    excess = none :: none | map(),      % the memory for which it is being killed
    large = false :: boolean(),         % whether a large frame has come in this step
    phase = opening :: phase()
}).

-type phase() :: opening                                        % there is no program
               | {starting, py_worker_boot:boot(), reference() | {late, reference()} | none}
               | {live, py_worker_live:live()}.

%% What a pool's options say of a worker.
-type options() :: #{env := py_secret:secret(list()), logs := boolean(),
                     start_timeout := non_neg_integer(), max_queue := non_neg_integer(),
                     concurrency := pos_integer(), threads := pos_integer(), loop := asyncio | uvloop, memory := py_os_limit:limits(), _ => _}.
-type args() :: #{pool := #pool{}, pool_pid := pid(), slot := pos_integer(),
                  options := options()}.

%% A frame from this size on makes the process give its memory back at once.
-define(LARGE, (1 bsl 20)).
-define(INFO_LIMIT, 1_000).
%% How long a program has to say where it is when its start takes too long (ms).
-define(LATE, 100).
%% How many more messages a live worker handles before it settles.
-define(MOST_STEPS, 32).

-spec start_link(args()) -> gen_server:start_ret().
start_link(Args) ->
    gen_server:start_link(?MODULE, Args, [{spawn_opt, [{min_heap_size, ?HEAP_WORDS}]}]).

%% What it knows of itself, within Limit milliseconds, at most a second; else it is down.
-spec info(pid(), timeout()) -> #{state := atom(), calls := non_neg_integer(), _ => _}.
info(Worker, Limit) ->
    try gen_server:call(Worker, info, min(Limit, ?INFO_LIMIT))
    catch exit:_ -> #{state => down, calls => 0, os_pid => undefined}
    end.

%% Whether it has nothing to do, within Limit milliseconds. If so, it takes
%% nothing any more: a request that was on its way to it is given back.
-spec seal(pid(), timeout()) -> boolean().
seal(Worker, Limit) ->
    try gen_server:call(Worker, seal, min(Limit, ?INFO_LIMIT))
    catch
        exit:{timeout, _} -> false;
        exit:_ -> true      % it has ended
    end.

%% ---------------------------------------------------------------------------
%% What others say to it

%% A caller's request, to be answered at its `reply_to'.
-spec request(pid(), #req{}) -> ok.
request(Worker, Req) -> tell(Worker, {request, Req}).

%% A stream's consumer asks for the next chunk.
-spec pull(pid(), py_ask:from(), py_wire:id(), py_time:deadline()) -> ok.
pull(Worker, From, Id, Deadline) -> tell(Worker, {pull, From, Id, Deadline}).

%% A stream's consumer wants no more.
-spec close_stream(pid(), py_wire:id()) -> ok.
close_stream(Worker, Id) -> tell(Worker, {close, Id}).

%% A process that was bound to it no longer is, or a context is to be closed.
-spec let_go(pid(), py_worker_tenure:leaving()) -> ok.
let_go(Worker, Leaving) -> tell(Worker, {let_go, Leaving}).

%% Whether this context is open; the answer is a boolean, or `ended'.
-spec is_open(pid(), py_ask:from(), {pos_integer(), Owner :: pid()}) -> ok.
is_open(Worker, From, Context) -> tell(Worker, {is_open, From, Context}).

%% The pool wants to know whether there is room.
-spec report(pid()) -> ok.
report(Worker) -> tell(Worker, report).

%% Its program should not run anything new, and has to be replaced.
-spec spoilt(pid()) -> ok.
spoilt(Worker) -> tell(Worker, spoilt).

%% Its program has paused: a job has run out of memory, or the heap is nearly full.
-spec ran_out(pid(), py_talk_events:shortage()) -> ok.
ran_out(Worker, What) -> tell(Worker, {ran_out, What}).

%% Something about messages for Python (py_talk_inbox).
-spec mail(pid(), py_talk_inbox:mail()) -> ok.
mail(Worker, Mail) -> tell(Worker, {mail, Mail}).

%% The pool has more to be run before the worker is live.
-spec steps(pid(), [py_worker_boot:step()]) -> ok.
steps(Worker, Steps) -> tell(Worker, {steps, Steps}).

%% The pool has nothing more to be run: requests may come.
-spec live(pid()) -> ok.
live(Worker) -> tell(Worker, live).

%% Another worker has this one's slot: it ends when it has nothing left to do. Callers
%% that need this very worker have Limit milliseconds, perhaps more if it is recycled.
-spec retire(pid(), restarted | recycled, Limit :: non_neg_integer()) -> ok.
retire(Worker, Why, Limit) -> tell(Worker, {retire, Why, Limit}).

%% Its program has this much memory, which is above a limit: it is being killed.
-spec exceeded(pid(), map()) -> ok.
exceeded(Worker, Excess) -> tell(Worker, {exceeded, Excess}).

%% Whether it should run only what it has, and what is bound to it.
-spec spare(pid(), boolean()) -> ok.
spare(Worker, Spared) -> tell(Worker, {spare, Spared}).

tell(Worker, Message) ->
    Worker ! {?MODULE, Message},
    ok.

%% ---------------------------------------------------------------------------

-spec init(args()) -> {ok, #state{}, {continue, open}}.
init(#{pool := Pool, pool_pid := PoolPid, slot := Slot, options := Options}) ->
    process_flag(trap_exit, true),
    py_pool_load:set_oom_kills(Pool, py_os_proc:oom_kills()),
    {ok, #state{pool = Pool, pool_pid = PoolPid, slot = Slot, options = Options},
     {continue, open}}.

-spec handle_continue(open, #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_continue(open, #state{options = #{memory := Limits} = Options} = S) ->
    case py_os_cgroup:make(Limits) of
        {ok, Own} -> open(Own, S#state{options = Options#{memory := Own}});
        {error, Text} -> no_program(Text, S)
    end.

open(Limits, #state{options = #{env := Env} = Options} = S) ->
    case py_os_port:open(Options#{env := py_secret:show(Env), worker => S#state.slot}) of
        {ok, Port, OsPid} ->
            About = py_talk_log:metadata(S#state.pool, S#state.slot, OsPid),
            py_pool_board:set_program(S#state.pool, S#state.slot, self(), OsPid),
            py_worker_reaper:guard(OsPid, S#state.pool#pool.close_grace, Limits),
            py_pool_board:set_limits(S#state.pool, self(), Limits),
            Events = py_talk_events:new(About, Port, Options),
            boot(py_worker_boot:new(Options), S#state{port = Port, os_pid = OsPid, events = Events});
        {error, Text} ->
            py_os_cgroup:remove(Limits),
            no_program(Text, S)
    end.

no_program(Text, #state{pool = Pool} = S) ->
    py_pool_board:died(Pool, self(), {python_start, Text}),
    {stop, not_started(Text), S}.

-spec handle_call(term(), gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}} | {stop, term(), #state{}}.
handle_call(info, _From, #state{phase = {live, Live}} = S) -> {reply, py_worker_view:info(Live), S};
handle_call(info, _From, #state{os_pid = OsPid} = S) ->
    {reply, #{state => starting, calls => 0, os_pid => OsPid}, S};
handle_call(seal, From, #state{phase = {live, Live}} = S) ->
    {Sealed, Next} = py_worker_live:seal(Live),
    gen_server:reply(From, Sealed),
    settle(S#state{phase = {live, Next}});
handle_call(seal, _From, S) -> {reply, true, S};
handle_call(_, _From, S) -> {reply, {error, badarg}, S}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) -> {noreply, S}.

%% What may come in any phase; everything else is for the phase.
-spec handle_info(term(), #state{}) ->
          {noreply, #state{}} | {noreply, #state{}, hibernate} | {stop, term(), #state{}}.
handle_info({Port, {data, Frame}}, #state{port = Port, lane = Lane} = S) ->
    frame(py_os_lane:frame(Frame, Lane), S);
handle_info({Port, {exit_status, Status}}, #state{port = Port} = S) ->
    ended(Status, py_os_exit:reason(Status), dead(S#state{port = undefined}));
handle_info({'EXIT', Port, Reason}, #state{port = Port} = S) ->
    ended(Reason, py_os_port:closed(Reason), S#state{port = undefined});
handle_info({'EXIT', Pid, Reason}, #state{events = Events} = S) when is_pid(Pid) ->
    case py_worker_view:who(inbox, S#state.phase) =:= Pid
             orelse Events =/= undefined andalso py_talk_events:is_helper(Pid, Events) of
        true -> {stop, {helper, Reason}, S};
        false -> {noreply, S}   % anybody may send that
    end;
handle_info({?MODULE, {exceeded, Excess}}, S) -> {noreply, killing(Excess, S)};
handle_info(Message, #state{phase = {starting, Boot, Timer}} = S) ->
    starting(Message, Boot, Timer, S);
handle_info(Message, #state{phase = {live, _}} = S) ->
    settle(steps(Message, ?MOST_STEPS, S)).

killing(Excess, #state{excess = none, phase = {live, Live}} = S) ->
    S#state{excess = Excess#{running => py_worker_view:running(Live)}};
killing(Excess, #state{excess = none} = S) -> S#state{excess = Excess#{running => start}};
killing(_, S) -> S.

%% An event changes nothing that others see. After a broken frame nothing is heard or said.
frame({What, _} = Frame, S) when is_atom(What) -> {noreply, frame_step(Frame, S)};
frame({_, Frame}, #state{phase = {starting, Boot, Timer}} = S) ->
    case py_wire:ahead(Frame) of {aside, loop} -> {noreply, S}; none -> step_done(Frame, Boot, Timer, S) end;
frame(Frame, S) -> settle(more(?MOST_STEPS, frame_step(Frame, S))).

frame_step({broken, Why}, #state{port = Port} = S) -> exit(Port, Why), S;
frame_step({none, Frame}, #state{port = Port, events = Events, phase = Phase} = S) ->
    Who = fun(What) -> py_worker_view:who(What, Phase) end,
    {Done, Next} = py_talk_events:handle(Frame, Who, Port, Events),
    S#state{events = Next, phase = lists:foldl(fun heard/2, Phase, Done)};
frame_step({0, Frame}, #state{phase = {live, Live}} = S) ->
    S#state{phase = {live, py_worker_live:numbers(py_result:decode(Frame), Live)}};
frame_step({Id, Frame}, #state{phase = {live, Live}, large = Large} = S) ->
    S#state{phase = {live, py_worker_live:reply(Id, Frame, Live)},
            large = Large orelse byte_size(Frame) >= ?LARGE}.

heard(Done, {live, Live}) -> {live, step({?MODULE, Done}, Live)};
heard({mail, Mail}, {starting, Boot, Timer}) -> {starting, py_worker_boot:mail(Mail, Boot), Timer};
heard({ran_out, Why}, Starting) -> ran_out(self(), Why), Starting.

%% ---------------------------------------------------------------------------
%% Starting

starting({?MODULE, {steps, Steps}}, Boot, _, S) -> boot(py_worker_boot:steps(Steps, Boot), S);
starting({?MODULE, live}, Boot, _, S) ->
    py_worker_rest:remember(S#state.pool, S#state.slot, S#state.os_pid, py_worker_boot:memory(Boot)),
    go_live(Boot, S);
starting({?MODULE, {ran_out, What}}, _, _, #state{port = Port} = S) ->
    What =:= heap andalso py_worker_reaper:full(S#state.pool, S#state.slot, S#state.os_pid),
    _ = py_os_port:send(Port, py_wire:resume()), {noreply, S};
starting({?MODULE, {retire, Why, _}}, _, _, S) -> {stop, {shutdown, Why}, S};
starting({?MODULE, {What, Sent}}, _, _, S) when What =:= request; What =:= mail ->
    py_worker_end:turn_away(Sent, S#state.port), {noreply, S};
starting({timeout, Timer, boot}, Boot, Timer, S) ->
    ask(stack, #{}, S),
    {noreply, S#state{phase = {starting, Boot, {late, erlang:start_timer(?LATE, self(), boot)}}}};
starting({timeout, Timer, boot}, Boot, {late, Timer}, S) -> too_late({error, timeout}, Boot, S);
starting(_, _, _, S) -> {noreply, S}.

boot({run, Step, Boot}, #state{options = #{start_timeout := Limit}} = S) ->
    ask(py_worker_boot:op(Step), py_worker_boot:opts(Step), S),
    Timer = erlang:start_timer(Limit, self(), boot),
    {noreply, S#state{phase = {starting, Boot, Timer}}};
boot({done, Boot}, #state{pool_pid = Pool, slot = Slot, os_pid = OsPid} = S) ->
    py_pool:ready(Pool, Slot, self(), OsPid),
    {noreply, S#state{phase = {starting, Boot, none}}};
boot({failed, Text}, S) -> {stop, not_started(Text), S}.

ask(Op, Opts, #state{port = Port}) -> py_os_port:send(Port, py_worker_boot:request(Op, Opts)).

too_late(Where, Boot, #state{options = #{start_timeout := Limit}} = S) ->
    {stop, not_started(py_worker_boot:late(Limit, Where, Boot)), S}.

step_done(Frame, Boot, {late, _}, S) -> too_late(py_result:decode(Frame), Boot, S);
step_done(Frame, Boot, Timer, S) ->
    _ = erlang:cancel_timer(Timer),
    Next = py_worker_boot:result(py_result:decode(Frame), Boot),
    case py_worker_boot:hello(Boot) =:= #{} of
        true -> greeted(Next, S);
        false -> boot(Next, S)
    end.

%% The program has said hello: from now on its descriptors stay where they are,
%% and nobody can know of it yet.
greeted({run, _, Boot} = Next, #state{pool = Pool, os_pid = OsPid} = S) ->
    #{exceptions := Names, version := Version} = Hello = py_worker_boot:hello(Boot),
    ok = py_exception:learn(Names),
    py_pool_board:set_version(Pool, Version),
    py_os_proc:hold_input(OsPid),
    Lane = py_os_lane:open(OsPid, Pool#pool.max_frame, Hello),
    boot(py_worker_boot:lane(Lane =/= none, Next),
         S#state{lane = Lane, quits = lists:member(quit, maps:get(features, Hello, []))});
greeted({failed, _} = Failed, S) -> boot(Failed, S).

go_live(Boot, #state{pool = Pool, options = Options} = S) ->
    Live = py_worker_live:new(#{pool => Pool, pool_pid => S#state.pool_pid, slot => S#state.slot,
                                port => S#state.port, lane => S#state.lane,
                                hello => py_worker_boot:hello(Boot), mail => py_worker_boot:mail(Boot),
                                os_pid => S#state.os_pid, options => Options}),
    settle(S#state{phase = {live, Live}}).

not_started(Text) -> {shutdown, {python_start, Text}}.

%% ---------------------------------------------------------------------------
%% Live

%% What has piled up meanwhile is handled before others hear of the load and before
%% deadlines are checked: under load that is most of the work. These messages are taken
%% in their order, all others wait for their turn. After a retire it may end at once.
more(0, S) -> S;
more(N, #state{port = Port, lane = Lane} = S) ->
    receive
        {Port, {data, Frame}} -> more(N - 1, frame_step(py_os_lane:frame(Frame, Lane), S));
        {?MODULE, _} = Message -> steps(Message, N - 1, S);
        {'DOWN', _, process, _, _} = Message -> steps(Message, N - 1, S)
    after 0 -> S
    end.

steps({?MODULE, {retire, _, _}} = Message, _, S) -> live_step(Message, S);
steps(Message, N, S) -> more(N, live_step(Message, S)).

live_step({?MODULE, {exceeded, Excess}}, S) -> killing(Excess, S);
live_step(Message, #state{phase = {live, Live}} = S) -> S#state{phase = {live, step(Message, Live)}}.

step({?MODULE, {request, Req}}, L) -> py_worker_live:request(Req, L);
step({?MODULE, {pull, From, Id, Deadline}}, L) -> py_worker_live:pull(Id, From, Deadline, L);
step({?MODULE, {close, Id}}, L) -> py_worker_live:close(Id, L);
step({?MODULE, spoilt}, L) -> py_worker_live:spoilt(L);
step({?MODULE, {spare, Spared}}, L) -> py_worker_live:spare(Spared, L);
step({?MODULE, {mail, Mail}}, L) -> py_worker_live:mail(Mail, L);
step({?MODULE, {let_go, Leaving}}, L) -> py_worker_live:let_go(Leaving, L);
step({?MODULE, {is_open, From, Context}}, L) -> py_worker_view:tell_open(From, Context, L), L;
step({?MODULE, {ran_out, What}}, L) -> py_worker_live:ran_out(What, L);
step({?MODULE, {retire, Why, Limit}}, L) -> py_worker_live:retire(Why, Limit, L);
step({?MODULE, abandon}, L) -> py_worker_live:abandon(L);
step({timeout, Timer, tick}, L) -> py_worker_live:tick(Timer, L);
step({'DOWN', _, process, Pid, Why}, L) -> py_worker_live:caller_gone(Pid, Why, L);
step(_, L) -> L.    % each step reports

settle(#state{phase = {live, Live}, large = Large} = S) ->
    case py_worker_live:settle(Live) of
        {live, Live} when not Large -> {noreply, S};
        {live, _} = Phase when Large -> {noreply, S#state{phase = Phase, large = false}, hibernate};
        {live, _} = Phase -> {noreply, S#state{phase = Phase}};
        {retired, Why} -> {stop, {shutdown, Why}, S}
    end.

%% ---------------------------------------------------------------------------
%% Ending

%% The program is gone, before it was live or afterwards.
ended(_, Reason, #state{phase = {live, Live}, events = Events} = S) ->
    Why = py_talk_events:explain(py_worker_view:cause(killed_by(Reason, S), Live), Events),
    {stop, {shutdown, {worker_exit, Why}}, S};
ended(Status, Reason, #state{events = Events, options = #{memory := Limits}, phase = Phase} = S) ->
    Why = py_talk_events:explain(killed_by(Reason, S), Events),
    Text = case py_talk_events:start_failure(Events) of
               none -> py_worker_end:start_failure(Status, Why, at(Phase), Limits);
               Said -> Said
           end,
    {stop, not_started(Text), S}.

at({starting, Boot, _}) -> py_worker_boot:step(Boot);
at(opening) -> "the start of the program".

%% All that the program said is heard, but for what it had kept.
dead(#state{phase = {live, Live}, lane = Lane} = S) ->
    S#state{phase = {live, py_worker_live:dead(py_os_lane:unsent(Lane), Live)}};
dead(S) -> S.

killed_by(Reason, #state{excess = Excess, pool = Pool}) ->
    py_worker_end:killed_by(Reason, Excess, Pool).

-spec terminate(term(), #state{}) -> ok.
terminate(Reason, #state{phase = {live, Live}, port = Port} = S) ->
    Why = py_worker_end:why(Reason),
    py_worker_live:give_up(Why, case Port of undefined -> dead; _ -> alive end, Live),
    #{state := State} = py_worker_view:info(Live),
    IsReaped = Port =:= undefined andalso py_worker_view:is_closing(Live),
    IsReaped orelse end_program(py_worker_end:grace(State), Why, S),
    ok;
terminate(Reason, S) ->
    end_program(py_worker_end:grace(busy), py_worker_end:why(Reason), S).

end_program(Grace, Why, #state{port = Port, os_pid = OsPid, quits = Quits, events = Events} = S) ->
    py_worker_end:run(#{port => Port, os_pid => OsPid, quits => Quits, events => Events,
                        about => py_talk_log:metadata(S#state.pool, S#state.slot, OsPid),
                        lane => S#state.lane, grace => Grace, why => Why}).

%% What reports print: none of the frames that it has or keeps.
-spec format_status(gen_server:format_status()) -> gen_server:format_status().
format_status(Status) -> maps:map(fun shown/2, Status).

shown(state, #state{slot = Slot, phase = {live, Live}}) ->
    (py_worker_view:info(Live))#{slot => Slot};
shown(message, {Port, {data, Frame}}) when is_binary(Frame) -> {Port, {data, byte_size(Frame)}};
shown(_, Term) -> Term.
