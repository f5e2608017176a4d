%% SPDX-License-Identifier: Apache-2.0
%%
%% How a worker ends its program, after every request that it accepted has been
%% answered. A program that understands `quit' is asked to end: what Python says
%% meanwhile (atexit functions print and log) still arrives. It has some time, then
%% its port is closed and it is killed with all that it started.
%%
%% Whatever others still want of the worker is refused, so nobody waits for this.
-module(py_worker_end).

-export([run/1, refuse/1, turn_away/2, give_back/2, grace/1, why/1, killed_by/3, start_failure/4, give_up/3]).
-export_type([ending/0]).

-include("py.hrl").
-include("py_protocol.hrl").
-include("py_worker_jobs.hrl").
-include("py_worker_live.hrl").

-type ending() :: #{port := port() | undefined,     % undefined: the program is gone
                    os_pid := pos_integer() | undefined,
                    quits := boolean(),             % whether it understands `quit'
                    lane := py_os_lane:lane() | none,
                    events := py_talk_events:events() | undefined,
                    about := logger:metadata(),
                    grace := non_neg_integer(),     % how long it may take (ms)
                    why := term()}.                 % the end of the worker

%% How long a program may take to end (ms): one that has nothing to do may clean up,
%% and ends itself if that takes longer than it should.
-define(IDLE_GRACE, 4_000).
-define(BUSY_GRACE, 500).

-spec grace(idle | busy) -> non_neg_integer().
grace(idle) -> ?IDLE_GRACE;
grace(busy) -> ?BUSY_GRACE.

%% What callers hear who need a worker that ends with this exit reason.
-spec why(ExitReason :: term()) -> term().
why({shutdown, {worker_exit, Why}}) -> Why;
why({shutdown, Why}) when Why =:= restarted; Why =:= recycled -> Why;
why({shutdown, _}) -> shutdown;
why(shutdown) -> shutdown;
why(_) -> internal_error.

%% The worker takes nothing more, and others learn why. What is left is to be answered.
-spec give_up(term(), Program :: dead | alive, py_worker_view:live()) -> [effect()].
give_up(Why, Program, #live{pool = Pool, pool_pid = PoolPid, slot = Slot} = L) ->
    py_pool_board:died(Pool, self(), Why, py_worker_view:culprit(L)),
    py_pool_board:leave(Pool, Slot, self()),
    cost(Why, PoolPid, L),
    Failed = {error, {worker_exit, Why}},
    py_worker_jobs:give_up(Failed, Program, L#live.jobs)
        ++ py_worker_urgent:give_up(Failed, L#live.urgent)
        ++ py_worker_streams:give_up(Failed, L#live.streams).

%% What it was doing may use up the memory of other workers, too: the pool hears of it.
cost(oom, Pool, Live) -> py_pool:heard(Pool, {cost, py_worker_view:running(Live), oom});
cost({memory, #{running := What}} = Why, Pool, _) -> py_pool:heard(Pool, {cost, What, Why});
cost(_, _, _) -> ok.

%% How it ended; it may have been killed for its memory: by us, if it was above a limit
%% and is being killed; or by the kernel, which counts the processes that it killed for
%% want of memory.
-spec killed_by(Reason :: term(), Excess :: map() | none, #pool{}) -> term().
killed_by(Reason, Excess, _)
  when is_map(Excess), Reason =:= {signal, sigkill} orelse Reason =:= closed ->
    {memory, Excess};
killed_by({signal, sigkill} = Reason, _, Pool) ->
    case py_pool_load:claim_oom_kill(Pool, py_os_proc:oom_kills()) of
        true -> oom;
        false -> Reason
    end;
killed_by(Reason, _, _) ->
    Reason.

%% Why there is no worker if the program has ended like this, at this step of its
%% start. After a crash there are Python's stacks.
-spec start_failure(Status :: term(), Reason :: term(), At :: unicode:chardata(),
                    py_os_limit:limits()) -> binary().
start_failure(_, {memory, Excess}, At, _) ->
    text("~ts: it was killed for its memory: ~0p", [At, Excess]);
start_failure(Status, {signal, _, Stacks}, At, Limits) when is_integer(Status) ->
    text("~ts\n~ts", [start_failure(Status, none, At, Limits), Stacks]);
start_failure(Status, _, At, Limits) when is_integer(Status) ->
    text("~ts: ~ts~ts", [At, py_os_exit:start_failure(Status), py_os_limit:remark(Limits)]);
start_failure(_, Reason, At, _) ->
    text("~ts: ~p", [At, Reason]).

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).

-spec run(ending()) -> ok.
run(#{port := undefined, os_pid := OsPid}) ->
    py_os_port:kill(OsPid);
run(#{quits := false, grace := Grace} = E) ->
    close(Grace, E);
run(#{port := Port, grace := Grace} = E) ->
    _ = py_os_port:send(Port, py_wire:quit()),
    Last = listen(py_time:deadline(Grace), E),
    close(0, Last).

%% Until the program is gone, or until the time is up, even if there is more to hear.
listen(Deadline, E) ->
    case py_time:left(Deadline) of
        0 -> E;
        Left -> listen(Left, Deadline, E)
    end.

listen(Left, Deadline, #{port := Port} = E) ->
    receive
        {Port, {data, Frame}} -> listen(Deadline, heard(Frame, E));
        {Port, {exit_status, Status}} -> ended(py_os_exit:reason(Status), E);
        {'EXIT', Port, _} -> E;
        {py_worker, Message} -> refuse(Message, E), listen(Deadline, E)
    after Left ->
        E
    end.

%% Nobody waits for a reply any more.
heard(Frame, #{port := Port, lane := Lane, events := Events} = E) ->
    case py_os_lane:frame(Frame, Lane) of
        {none, Event} ->
            {_, Heard} = py_talk_events:handle(Event, fun(_) -> none end, Port, Events),
            E#{events := Heard};
        _ -> E
    end.

%% There is no caller who could hear of a crash in its last moments.
ended({signal, _} = Reason, #{events := Events, about := About} = E) ->
    py_worker_reaper:crashed(About, py_talk_events:explain(Reason, Events)),
    E;
ended(_, E) ->
    E.

%% What the program says until then is for nobody, and in no report of a crash.
close(Grace, #{port := Port, os_pid := OsPid} = E) ->
    {_, Closed} = spawn_monitor(fun() -> py_os_port:close(Port, OsPid, Grace) end),
    refuse_until(Closed, E),
    forget(Port).

refuse_until(Closed, #{port := Port} = E) ->
    receive
        {'DOWN', Closed, process, _, _} -> ok;
        {Port, {data, _}} -> refuse_until(Closed, E);
        {py_worker, Message} -> refuse(Message, E), refuse_until(Closed, E)
    end.

forget(Port) ->
    receive {Port, {data, _}} -> forget(Port) after 0 -> ok end.

refuse({request, Req}, _) -> refuse(Req);
refuse({pull, From, _, _}, #{why := Why}) -> py_ask:answer(From, {error, {worker_exit, Why}});
refuse({is_open, From, _}, _) -> py_ask:answer(From, ended);
refuse(_, _) -> ok.

%% Answers a request to a worker that is not live, or not for that.
-spec refuse(#req{}) -> ok.
refuse(#req{reply_to = From}) -> py_ask:answer(From, again).

%% A request that has not started goes elsewhere. It does not go by way of its caller, so
%% the pool's queue has it before it hears that there is room here: nobody who came later
%% overtakes it. Some requests are for their callers to bring elsewhere.
-spec give_back(#req{}, Pool :: pid()) -> ok.
give_back(#req{named = Named, calls = Calls} = Req, _) when Named; Calls =/= none ->
    refuse(Req);
give_back(Req, Pool) ->
    py_pool:enter(Pool, Req#req{returned = true, body = []}).

%% What comes to a worker that is not live yet. Its program may wait for an answer.
-spec turn_away(#req{} | py_talk_inbox:mail(), port()) -> ok.
turn_away({inbox, From, _}, _) -> py_ask:answer(From, again);
turn_away({take, Id, _, _}, Port) ->
    _ = py_os_port:send(Port, py_wire:answer(Id, {error, <<"nobody can send to a worker that is starting">>})),
    ok;
turn_away({withdraw, _}, _) -> ok;
turn_away(Req, _) -> refuse(Req).
