%% SPDX-License-Identifier: Apache-2.0
%%
%% One worker: the process that owns a port to one `pyport' program, from its
%% start to its end. What it does while it is live is py_worker_live's.
%%
%%   boot    the program says hello and runs the pool's steps (py_worker_boot); the
%%           pool is told, gives more steps or says `live'
%%   live    requests come, replies go (py_worker_live)
%%   end     whatever ends the program ends this process, after every request
%%           that it accepted has been answered. It is never restarted: the
%%           pool starts another.
-module(py_worker).
-behaviour(gen_server).

-export([start_link/1, info/1, info/2]).
-export([request/2, pull/4, close_stream/2, report/1]).
-export([steps/2, live/1, retire/2]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2,
         terminate/2]).

-include("py.hrl").

-record(state, {
    pool :: #pool{},
    boss :: pid(),                  % the pool
    slot :: pos_integer(),
    options :: py_pool_options:pool(),
    port :: port() | undefined,
    os_pid :: pos_integer() | undefined,
    boot :: py_worker_boot:boot() | undefined,
    timer :: reference() | undefined,   % of the step of the boot
    events :: py_worker_events:events() | undefined,
    work :: py_worker_live:work() | undefined  % when live
}).

-type args() :: #{pool := #pool{}, boss := pid(), slot := pos_integer(),
                  options := py_pool_options:pool()}.

%% A frame from this size on makes the process give its memory back at once.
-define(LARGE, (1 bsl 20)).
-define(INFO_LIMIT, 1_000).
%% How long a program whose input was closed may take to end (ms).
-define(IDLE_GRACE, 4_000).
-define(BUSY_GRACE, 500).

-spec start_link(args()) -> gen_server:start_ret().
start_link(Args) ->
    gen_server:start_link(?MODULE, Args, []).

%% What the worker knows of itself.
-spec info(pid()) -> #{state := atom(), calls := non_neg_integer(), _ => _}.
info(Worker) ->
    info(Worker, ?INFO_LIMIT).

%% The same within so many milliseconds; one that does not say is down.
-spec info(pid(), non_neg_integer()) -> #{state := atom(), calls := non_neg_integer(), _ => _}.
info(Worker, Limit) ->
    try
        gen_server:call(Worker, info, min(Limit, ?INFO_LIMIT))
    catch
        exit:_ -> #{state => down, calls => 0, os_pid => undefined}
    end.

%% ---------------------------------------------------------------------------
%% What others say to it: messages, which never wait

%% A caller's request, to be answered at its `reply_to'.
-spec request(pid(), #req{}) -> ok.
request(Worker, Req) ->
    Worker ! Req,
    ok.

%% A stream's consumer asks for the next chunk.
-spec pull(pid(), py_ask:from(), py_wire:id(), py_time:deadline()) -> ok.
pull(Worker, From, Id, Deadline) ->
    tell(Worker, {pull, From, Id, Deadline}).

%% A stream's consumer wants no more.
-spec close_stream(pid(), py_wire:id()) -> ok.
close_stream(Worker, Id) ->
    tell(Worker, {close, Id}).

%% The pool wants to know whether there is room.
-spec report(pid()) -> ok.
report(Worker) ->
    tell(Worker, report).

%% The pool has more to be run before the worker is live.
-spec steps(pid(), [py_wire:op()]) -> ok.
steps(Worker, Steps) ->
    tell(Worker, {steps, Steps}).

%% The pool has nothing more to be run: requests may come.
-spec live(pid()) -> ok.
live(Worker) ->
    tell(Worker, live).

%% Another worker has this one's slot: it ends when it has nothing left to do,
%% in so many milliseconds at the latest.
-spec retire(pid(), non_neg_integer()) -> ok.
retire(Worker, Limit) ->
    _ = erlang:send_after(Limit, Worker, {?MODULE, abandon}),
    tell(Worker, retire).

tell(Worker, Message) ->
    Worker ! {?MODULE, Message},
    ok.

%% ---------------------------------------------------------------------------

-spec init(args()) -> {ok, #state{}, {continue, open}}.
init(#{pool := Pool, boss := Boss, slot := Slot, options := Options}) ->
    process_flag(trap_exit, true),
    py_pool_load:set_oom_kills(Pool, py_os_proc:oom_kills()),
    State = #state{pool = Pool, boss = Boss, slot = Slot, options = Options},
    {ok, State, {continue, open}}.

-spec handle_continue(open, #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_continue(open, #state{options = #{logs := Logs} = Options} = S) ->
    case py_os_port:open(Options) of
        {ok, Port, OsPid} ->
            Events = py_worker_events:new(S#state.pool, S#state.slot, OsPid),
            boot(py_worker_boot:new(Logs), S#state{port = Port, os_pid = OsPid, events = Events});
        {error, Text} ->
            py_pool_board:died(S#state.pool, self(), {python_start, Text}),
            {stop, not_started(Text), S}
    end.

-spec handle_call(info, gen_server:from(), #state{}) -> {reply, map(), #state{}}.
handle_call(info, _From, #state{work = undefined, os_pid = OsPid} = S) ->
    {reply, #{state => starting, calls => 0, os_pid => OsPid}, S};
handle_call(info, _From, #state{work = Work, os_pid = OsPid, boot = Boot} = S) ->
    Info = py_worker_live:info(Work),
    #{python := Python} = py_worker_boot:hello(Boot),
    {reply, Info#{os_pid => OsPid, python => Python}, S}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

-spec handle_info(term(), #state{}) ->
          {noreply, #state{}} | {noreply, #state{}, hibernate} | {stop, term(), #state{}}.
handle_info({Port, {data, Frame}}, #state{port = Port} = S) ->
    case py_wire:reply_id(Frame) of
        none -> {noreply, event(Frame, S)};
        Id -> frame(Id, Frame, S)
    end;
handle_info({Port, {exit_status, Status}}, #state{port = Port} = S) ->
    ended(Status, py_os_exit:reason(Status), S#state{port = undefined});
handle_info({'EXIT', Port, Reason}, #state{port = Port} = S) ->
    ended(Reason, closed, S#state{port = undefined});
handle_info({'EXIT', Log, Reason}, S) when is_pid(Log) ->
    {stop, {log, Reason}, S};
handle_info({?MODULE, {steps, Steps}}, #state{boot = Boot} = S) ->
    boot(py_worker_boot:steps(Steps, Boot), S);
handle_info({?MODULE, live}, S) ->
    {noreply, go_live(S)};
handle_info({timeout, Timer, boot}, #state{timer = Timer, boot = Boot} = S) ->
    #{start_timeout := Limit} = S#state.options,
    {stop, not_started(py_worker_boot:late(Limit, Boot)), S};
handle_info({?MODULE, abandon}, S) ->
    {stop, {shutdown, retired}, S};
handle_info(#req{} = Req, #state{work = undefined} = S) ->
    py_worker_live:refuse(Req),
    {noreply, S};
handle_info(_, #state{work = undefined} = S) ->
    {noreply, S};
handle_info(Message, #state{work = Work} = S) ->
    go_on(S#state{work = py_worker_live:message(Message, Work)}).

%% A worker that was told to retire ends when it has nothing left to do.
go_on(#state{work = Work} = S) ->
    case py_worker_live:is_retired(Work) of
        true -> {stop, {shutdown, retired}, S};
        false -> {noreply, S}
    end.

%% ---------------------------------------------------------------------------
%% Boot

boot({run, Op, Boot}, #state{port = Port, options = #{start_timeout := Limit}} = S) ->
    {Arity, Body} = py_wire:body(Op, #{}),
    _ = py_os_port:send(Port, py_wire:request(py_worker_boot:id(), Arity, Body)),
    Timer = erlang:start_timer(Limit, self(), boot),
    {noreply, S#state{boot = Boot, timer = Timer}};
boot({done, Boot}, #state{boss = Boss, slot = Slot, os_pid = OsPid} = S) ->
    py_pool:ready(Boss, Slot, self(), OsPid),
    {noreply, S#state{boot = Boot}};
boot({failed, Text}, S) ->
    {stop, not_started(Text), S}.

%% A reply: to a step of the boot, or to a request. With the first one the
%% program has its descriptors where they stay, and nobody can know of it yet.
frame(_, Frame, #state{work = undefined, boot = Boot, timer = Timer} = S) ->
    _ = erlang:cancel_timer(Timer),
    py_worker_boot:hello(Boot) =:= #{} andalso py_os_proc:hold_input(S#state.os_pid),
    boot(py_worker_boot:result(py_result:decode(Frame), Boot), S#state{timer = undefined});
frame(Id, Frame, #state{work = Work} = S) ->
    case go_on(S#state{work = py_worker_live:frame(Id, Frame, Work)}) of
        {noreply, Next} when byte_size(Frame) >= ?LARGE -> {noreply, Next, hibernate};
        Next -> Next
    end.

event(Frame, #state{port = Port, events = Events} = S) ->
    S#state{events = py_worker_events:handle(Frame, Port, Events)}.

go_live(#state{pool = Pool, slot = Slot, boss = Boss, port = Port, options = Options} = S) ->
    #{max_queue := MaxQueue} = Options,
    #{version := Version} = py_worker_boot:hello(S#state.boot),
    py_pool_board:set_version(Pool, Version),
    Work = py_worker_live:new(Pool, Slot, Boss, Port, S#state.os_pid, MaxQueue),
    S#state{work = Work}.

not_started(Text) ->
    {shutdown, {python_start, Text}}.

%% ---------------------------------------------------------------------------
%% The end

%% The program is gone, before it was live or afterwards.
ended(Status, Reason, #state{work = undefined, events = Events} = S) ->
    Text = case py_worker_events:start_failure(Events) of
               none -> start_failure(Status, py_worker_events:explain(Reason, Events));
               Said -> Said
           end,
    {stop, not_started(Text), S};
ended(_, Reason, #state{work = Work, events = Events} = S) ->
    Why = py_worker_events:explain(py_worker_live:cause(killed_by(Reason, S), Work), Events),
    {stop, {shutdown, {worker_exit, Why}}, S}.

start_failure(Status, _) when is_integer(Status) -> py_os_exit:start_failure(Status);
start_failure(_, Reason) -> iolist_to_binary(io_lib:format("~p", [Reason])).

%% The kernel counts those whom it killed for want of memory.
killed_by({signal, sigkill} = Reason, #state{pool = Pool}) ->
    case py_pool_load:claim_oom_kill(Pool, py_os_proc:oom_kills()) of
        true -> oom;
        false -> Reason
    end;
killed_by(Reason, _) ->
    Reason.

-spec terminate(term(), #state{}) -> ok.
terminate(Reason, #state{work = Work, port = Port, os_pid = OsPid}) ->
    Work =:= undefined orelse py_worker_live:give_up(why(Reason), Work),
    IsClosing = Work =/= undefined andalso py_worker_live:is_closing(Work),
    case Port of
        undefined when IsClosing -> ok;
        undefined -> py_os_port:kill(OsPid);
        _ -> refuse_until(spawn_close(Port, OsPid, grace(Work)), why(Reason))
    end.

spawn_close(Port, OsPid, Grace) ->
    {_, Monitor} = spawn_monitor(fun() -> py_os_port:close(Port, OsPid, Grace) end),
    Monitor.

%% The program takes its time to end, and nobody is to wait for it.
refuse_until(Closed, Why) ->
    receive
        {'DOWN', Closed, process, _, _} ->
            ok;
        #req{} = Req ->
            py_worker_live:refuse(Req),
            refuse_until(Closed, Why);
        {?MODULE, {pull, From, _, _}} ->
            py_ask:answer(From, {error, {worker_exit, Why}}),
            refuse_until(Closed, Why)
    end.

%% Python that has nothing to do may clean up; it ends itself when that takes
%% longer than it should.
grace(undefined) -> ?BUSY_GRACE;
grace(Work) ->
    case py_worker_live:info(Work) of
        #{state := idle} -> ?IDLE_GRACE;
        #{state := busy} -> ?BUSY_GRACE
    end.

why({shutdown, {worker_exit, Why}}) -> Why;
why({shutdown, retired}) -> restarted;
why({shutdown, _}) -> shutdown;
why(shutdown) -> shutdown;
why(_) -> internal_error.
