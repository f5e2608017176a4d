%% SPDX-License-Identifier: Apache-2.0
%%
%% The pools of this node: started, stopped, described. One process starts and
%% stops them: one thing at a time for each name, in the order in which it was
%% asked, each in a process of its own (py_pool_life), so that a pool whose start
%% takes long delays no other. Nobody's death interrupts what it does, except for
%% its own, and then its successor ends the pools that are half started or half
%% stopped.
%%
%% It owns the names of pools, not the pools. A pool that is linked to a process of
%% the user (py:start_link/2) has its name as long as its supervisor lives.
-module(py_pools).
-behaviour(gen_server).

-export([start_link/0]).
-export([start/2, start_checked/2, start_like/3, start_link/2, claim/1, child_spec/2]).
-export([stop/1, stop/2, drain_all/0, names/0, restart/1, lift/2]).
-export([define/2, definitions/1, forget/2, version/1, info/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).

-include("py.hrl").

-type work() :: {start, py_pool_options:hidden()} | {stop, timeout() | drain} | {claim, #pool{}}.
%% Whoever wants it done, if anybody waits.
-type wish() :: {gen_server:from() | none, work()}.

-record(turn, {
    pid :: pid(),
    wish :: wish(),
    waiting = [] :: [wish()]            % for their turn, with the same name
}).

-record(state, {
    turns = #{} :: #{Name :: atom() => #turn{}},
    linked = #{} :: #{Name :: atom() => {pid(), reference()}},  % supervisors, monitored
    closing = false :: boolean()        % the application stops
}).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% ---------------------------------------------------------------------------
%% Start and end

-spec start(atom(), term()) -> {ok, pid()} | {error, term()}.
start(Name, Options) ->
    case py_pool_options:check(Options) of
        {ok, Checked} -> start_checked(Name, Checked);
        {error, _} = Error -> Error
    end.

%% Returns when every worker is ready. After an error nothing of the pool is left.
-spec start_checked(atom(), py_pool_options:pool()) -> {ok, pid()} | {error, term()}.
start_checked(Name, Options) ->
    ask({Name, {start, py_pool_options:hide(Options)}}, {error, {not_started, py}}).

%% Starts a pool that has this one's options, as the fun changes them, and runs what
%% that one has to run.
-spec start_like(atom(), Other :: atom(),
                 fun((py_pool_options:hidden()) -> py_pool_options:hidden())) ->
          {ok, pid()} | {error, term()}.
start_like(Name, Other, Change) ->
    case py_pool_life:options(Other) of
        {ok, #{init := Init} = Options} ->
            Steps = py_pool_kept:steps(Other, py_pool_steps:new(py_secret:show(Init))),
            Own = Options#{init_once := py_secret:hide([]),
                           init := py_secret:hide(py_pool_steps:code(Steps))},
            ask({Name, {start, Change(Own)}}, {error, {not_started, py}});
        {error, _} = Error ->
            Error
    end.

%% The same for a pool that is linked to the calling process and ends with it. The
%% options are hidden, because they stand in reports of the caller's supervisor.
-spec start_link(atom(), py_secret:secret(term())) -> {ok, pid()} | {error, term()}.
start_link(Name, Options) ->
    case py_pool_options:check(py_secret:show(Options)) of
        {ok, Checked} -> start_linked(Name, py_pool_options:hide(Checked));
        {error, _} = Error -> Error
    end.

%% Whoever had the name may be gone by the time one asks who that is.
start_linked(Name, Options) ->
    case py_pool_life:start_linked(Name, Options) of
        ignore ->
            case ask({refusal, Name}, {error, {not_started, py}}) of
                none -> start_linked(Name, Options);
                Error -> Error
            end;
        Result ->
            Result
    end.

%% By the supervisor of a pool that is to be linked: whether it has the name now,
%% for as long as it lives. Then the pool is known.
-spec claim(#pool{}) -> boolean().
claim(#pool{name = Name} = Pool) ->
    ask({Name, {claim, Pool}}, false).

ask(Question, Otherwise) ->
    try
        gen_server:call(?MODULE, Question, infinity)
    catch
        exit:_ -> Otherwise
    end.

%% As a child of the user's own supervisor.
-spec child_spec(atom(), term()) -> supervisor:child_spec().
child_spec(Name, Options) ->
    #{id => {py, Name}, start => {?MODULE, start_link, [Name, py_secret:hide(Options)]},
      type => supervisor, shutdown => infinity}.

%% Those that are there, are stopping or starting, in order.
-spec names() -> [atom()].
names() ->
    lists:sort([Name || Name <- py_pool_board:names(), py_pool_board:supervisor(Name) =/= none]).

-spec stop(atom()) -> ok | {error, {no_pool | not_started, atom()}}.
stop(Name) ->
    do_stop(Name, drain).

%% New requests are refused at once; those under way have this many milliseconds.
-spec stop(atom(), timeout()) -> ok | {error, {no_pool | not_started, atom()}}.
stop(Name, Limit) ->
    do_stop(Name, Limit).

%% The application may be stopping, which ends the pool, too.
do_stop(Name, Limit) ->
    try
        gen_server:call(?MODULE, {Name, {stop, Limit}}, infinity)
    catch
        exit:{noproc, _} -> {error, {not_started, py}};
        exit:_ -> ok
    end.

%% The application stops: every pool drains, and ends its workers. No pool is
%% started any more.
-spec drain_all() -> ok.
drain_all() ->
    ask(drain_all, ok).

%% ---------------------------------------------------------------------------

%% What it has under way ends with it.
-spec init([]) -> {ok, #state{}, {continue, leftovers}}.
init([]) ->
    process_flag(trap_exit, true),
    Linked = [{Name, {Pid, monitor(process, Pid)}}
              || Name <- py_pool_board:names(), {linked, Pid} <- [py_pool_board:supervisor(Name)]],
    {ok, #state{linked = maps:from_list(Linked)}, {continue, leftovers}}.

-spec handle_continue(leftovers, #state{}) -> {noreply, #state{}}.
handle_continue(leftovers, S) ->
    {noreply, lists:foldl(fun(Name, Acc) -> wish(Name, {none, {stop, 0}}, Acc) end, S,
                          py_pool_life:leftovers())}.

-spec handle_call(term(), gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({_, {start, _}}, _, #state{closing = true} = S) ->
    {reply, {error, {not_started, py}}, S};
handle_call({_, {claim, _}}, _, #state{closing = true} = S) ->
    {reply, false, S};
handle_call({refusal, _}, _, #state{closing = true} = S) ->
    {reply, {error, {not_started, py}}, S};
handle_call({refusal, Name}, _, S) ->
    {reply, refusal(py_pool_board:supervisor(Name)), S};
handle_call({Name, {Kind, _} = Work}, From, S)
  when Kind =:= start; Kind =:= stop; Kind =:= claim ->
    {noreply, wish(Name, {From, Work}, S)};
handle_call(drain_all, From, #state{turns = Turns} = S) ->
    _ = spawn_link(fun() -> gen_server:reply(From, py_pool_life:drain_all()) end),
    {noreply, S#state{closing = true, turns = maps:map(fun close/2, Turns)}};
handle_call(_, _, S) ->
    {reply, {error, badarg}, S}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({'EXIT', Pid, Reason}, #state{turns = Turns} = S) ->
    case [Found || {_, #turn{pid = P}} = Found <- maps:to_list(Turns), P =:= Pid] of
        [{Name, Turn}] -> {noreply, ended(Reason, Name, Turn, S)};
        [] -> {noreply, S}
    end;
handle_info({'DOWN', Monitor, process, Pid, _}, #state{linked = Linked} = S) ->
    Names = [Name || {Name, Owner} <- maps:to_list(Linked), Owner =:= {Pid, Monitor}],
    {noreply, lists:foldl(fun settle/2, S, Names)};
handle_info(_, S) ->
    {noreply, S}.

%% ---------------------------------------------------------------------------
%% Names of linked pools

refusal({_, Sup}) -> {error, {already_started, Sup}};
refusal(none) -> none.

%% The name of one that is dead is free, even before its end is known here.
settle(Name, #state{linked = Linked} = S) ->
    case Linked of
        #{Name := {Pid, Monitor}} -> free(is_process_alive(Pid), Name, Monitor, S);
        #{} -> S
    end.

free(true, _, _, S) ->
    S;
free(false, Name, Monitor, #state{linked = Linked} = S) ->
    demonitor(Monitor, [flush]),
    py_pool_board:delete(Name),
    py_pool_kept:forget(Name),
    S#state{linked = maps:remove(Name, Linked)}.

give({Pid, _} = From, #pool{name = Name} = Pool, #state{linked = Linked} = S) ->
    case py_pool_board:find(Name) of
        {error, {no_pool, Name}} ->
            py_pool_board:publish(Pool),
            gen_server:reply(From, true),
            S#state{linked = Linked#{Name => {Pid, monitor(process, Pid)}}};
        _ ->
            gen_server:reply(From, false),
            S
    end.

%% ---------------------------------------------------------------------------
%% One thing at a time

wish(Name, Wish, #state{turns = Turns} = S) ->
    case Turns of
        #{Name := Running} -> S#state{turns = Turns#{Name := wait(Wish, Running)}};
        #{} -> next(Name, [Wish], S)
    end.

%% Whoever stops a pool does not wait until it has started, nor as long as an earlier
%% caller was ready to wait.
wait({_, {stop, _}} = Wish, #turn{wish = {_, {start, _}}, waiting = Waiting} = Turn) ->
    hurry(0, Turn),
    Turn#turn{waiting = [Wish | Waiting]};
wait({_, {stop, Limit}} = Wish, #turn{waiting = Waiting} = Turn) ->
    hurry(Limit, Turn),
    Turn#turn{waiting = Waiting ++ [Wish]};
wait(Wish, #turn{waiting = Waiting} = Turn) ->
    Turn#turn{waiting = Waiting ++ [Wish]}.

hurry(drain, _) ->
    ok;
hurry(Limit, #turn{pid = Pid}) ->
    Pid ! {?MODULE, hurry, py_time:deadline(Limit)},
    ok.

turn(Name, {From, Work} = Wish, Waiting) ->
    Pid = spawn_link(fun() -> answer(From, do(Name, Work)) end),
    #turn{pid = Pid, wish = Wish, waiting = Waiting}.

do(Name, {start, Options}) -> py_pool_life:start(Name, Options);
do(Name, {stop, Limit}) -> py_pool_life:stop(Name, Limit).

answer(none, _) -> ok;
answer(From, Answer) -> gen_server:reply(From, Answer).

%% What was interrupted is put right before the next turn.
ended(normal, Name, #turn{waiting = Waiting}, S) ->
    next(Name, Waiting, S);
ended(Reason, Name, #turn{wish = {From, {start, _}}, waiting = Waiting}, S) ->
    answer(From, {error, {worker_exit, Reason}}),
    next(Name, [{none, {stop, 0}} | Waiting], S);
ended(_, Name, #turn{wish = {From, {stop, 0}}, waiting = Waiting}, S) ->
    answer(From, {error, {no_pool, Name}}),
    next(Name, Waiting, S);
ended(_, Name, #turn{wish = {From, {stop, _}}, waiting = Waiting}, S) ->
    next(Name, [{From, {stop, 0}} | Waiting], S).

next(Name, [], #state{turns = Turns} = S) ->
    S#state{turns = maps:remove(Name, Turns)};
next(Name, [{From, {claim, Pool}} | Rest], S) ->
    next(Name, Rest, give(From, Pool, settle(Name, S)));
next(Name, [Wish | Rest], S) ->
    #state{turns = Turns} = Settled = settle(Name, S),
    Settled#state{turns = Turns#{Name => turn(Name, Wish, Rest)}}.

%% What is under way has as long as the pool's option says, and nothing new starts.
close(Name, #turn{wish = {_, {Kind, _}}, waiting = Waiting} = Turn) ->
    hurry(case py_pool_board:find(Name) of
              {ok, #pool{drain = Limit}} when Kind =:= stop -> Limit;
              _ -> 0
          end, Turn),
    [answer(From, {error, {not_started, py}}) || {From, {start, _}} <- Waiting],
    [answer(From, false) || {From, {claim, _}} <- Waiting],
    Turn#turn{waiting = [Wish || {_, {stop, _}} = Wish <- Waiting]}.

%% ---------------------------------------------------------------------------
%% What the pools are asked

%% What is refused may be called again.
-spec lift(atom(), all | py_wire:what()) -> ok | {error, term()}.
lift(Name, What) ->
    py_pool_board:with_pool(Name, fun(Pool) -> py_pool:lift(Pool, What) end).

%% Replaces the workers that are meant, each by one that is ready before the old
%% one ends. A pool's name means one wish, which its first failure ends.
-spec restart(py_target:target()) -> py_target:answer().
restart(Name) when is_atom(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) -> py_pool:restart(Pool, all) end);
restart(Target) ->
    py_target:run(Target, fun restart/2, fun(_, Results) -> py_fanout:all_ok(Results) end).

restart(Pool, Workers) ->
    [{Worker, py_pool:restart(Pool, Id)} || {Id, _, _} = Worker <- Workers].

%% Runs statements in every worker, and in all that will start.
-spec define(py_wire:op(), #opts{}) -> ok | {error, term()}.
define(Op, #opts{pool = Target} = Opts) ->
    py_pool_board:with_open(py_target:pool(Target), fun(Pool) ->
        Deadline = py_request:deadline(Opts, Pool),
        case py_time:left(Deadline) of
            0 -> {error, timeout};
            _ -> py_pool:define(Pool, py_secret:hide(Op), Deadline)
        end
    end).

%% What exec_all has defined. It outlives the pool's processes, so none of them is
%% asked.
-spec definitions(atom()) ->
          {ok, [py_pool_steps:definition()]} | {error, {no_pool | not_started, atom()}}.
definitions(Name) ->
    py_pool_board:with_pool(Name, fun(_) ->
        {ok, py_pool_steps:definitions(py_pool_kept:steps(Name, py_pool_steps:new([])))}
    end).

-spec forget(atom(), py_pool_steps:id()) -> ok | {error, term()}.
forget(Name, Id) ->
    py_pool_board:with_pool(Name, fun(Pool) -> py_pool:forget(Pool, Id) end).

%% What sys.version is in the pool's Python.
-spec version(atom()) -> {ok, binary()} | {error, {no_pool | not_started, atom()} | no_worker}.
version(Name) ->
    py_pool_board:with_pool(Name, fun py_pool_board:version/1).

%% The pool's own view, completed by each worker's.
-spec info(atom()) -> map() | {error, {no_pool | not_started, atom()}}.
info(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) -> with_workers(py_pool:info(Pool)) end).

with_workers(#{workers := Workers} = Info) ->
    Info#{workers := [worker(Worker) || Worker <- Workers]};
with_workers({error, _} = Error) ->
    Error.

worker(#{state := live, pid := Pid} = Worker) ->
    maps:merge(Worker, py_worker:info(Pid, infinity));
worker(Worker) ->
    Worker#{calls => 0}.
