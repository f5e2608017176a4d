%% SPDX-License-Identifier: Apache-2.0
%%
%% A worker's calls of Erlang functions from Python. Each runs in a process of its
%% own (py_talk_call), which this one starts and is linked to: so none waits for another,
%% nor does the worker. It ends with its answer, when Python does not wait for it any
%% more, when its time is up, or with the worker.
%%
%% The process is started when Python first calls: a worker that calls nothing has
%% none. Without it the worker does not go on.
-module(py_talk_calls).
-behaviour(gen_server).

-export([start/1, call/4, withdraw/2, limit/2, no_limit/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([args/0]).

%% What others say to it: messages, which never wait.
-messages([call/4, withdraw/2]).

%% The most bytes of a frame that this process deals with itself.
-define(SHORT, 65_536).

-record(state, {
    worker :: pid(),
    context :: py_talk_call:context(),
    ids = #{} :: #{pid() => py_wire:id()},
    pids = #{} :: #{py_wire:id() => pid()}
}).

-type args() :: #{port := port(), pool := atom(), functions := py_talk_functions:allowed(),
                  state := py_talk_question:allowed(), max_frame := pos_integer()}.

%% Starts it for the calling process.
-spec start(args()) -> pid().
start(Args) ->
    {ok, Pid} = gen_server:start(?MODULE, {self(), Args}, []),
    Pid.

%% The program has sent this frame: a call, or the question if there is a function.
-spec call(pid(), py_wire:id(), py_talk_call:who(), py_secret:secret(binary())) -> ok.
call(Calls, Id, Who, Frame) ->
    gen_server:cast(Calls, {call, Id, Who, Frame}).

%% Nobody waits for this call any more.
-spec withdraw(pid(), py_wire:id()) -> ok.
withdraw(Calls, Id) ->
    gen_server:cast(Calls, {withdraw, Id}).

%% The calling process, which is one of those that it has started, may run for this
%% long.
-spec limit(pid(), timeout()) -> reference() | none.
limit(_, infinity) -> none;
limit(Calls, Timeout) -> erlang:start_timer(Timeout, Calls, {late, self()}).

-spec no_limit(reference() | none) -> ok.
no_limit(none) -> ok;
no_limit(Timer) -> erlang:cancel_timer(Timer, [{async, true}, {info, false}]).

%% ---------------------------------------------------------------------------

%% The worker's end has to come as a message, as in py_talk_log.
-spec init({pid(), args()}) -> {ok, #state{}}.
init({Worker, Args}) ->
    process_flag(trap_exit, true),
    link(Worker),
    {ok, #state{worker = Worker,
                context = Args#{worker => Worker, calls => self()}}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {noreply, #state{}}.
handle_call(_, _, S) ->
    {noreply, S}.

-spec handle_cast({call, py_wire:id(), py_talk_call:who(), py_secret:secret(binary())}
                  | {withdraw, py_wire:id()}, #state{}) -> {noreply, #state{}}.
handle_cast({call, Id, Who, Frame}, S) ->
    {noreply, call(is_short(py_secret:show(Frame)), Id, Who, Frame, S)};
handle_cast({withdraw, Id}, #state{pids = Pids} = S) ->
    case Pids of
        #{Id := Pid} -> exit(Pid, kill), {noreply, forget(Pid, S)};
        #{} -> {noreply, S}
    end.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({'EXIT', Worker, _}, #state{worker = Worker, ids = Ids} = S) ->
    lists:foreach(fun(Pid) -> exit(Pid, kill) end, maps:keys(Ids)),
    {stop, normal, S};
handle_info({'EXIT', Pid, normal}, S) ->
    {noreply, forget(Pid, S)};
handle_info({'EXIT', Pid, Reason}, S) ->
    {noreply, fail(Pid, Reason, S)};
handle_info({timeout, _, {late, Pid}}, S) ->
    {noreply, late(Pid, S)};
handle_info(_, S) ->
    {noreply, S}.

%% What is about the shared state is answered here, unless its arguments are large: a
%% process of its own would cost more than that.
call(true, Id, Who, Frame, #state{context = Context} = S) ->
    ok = py_talk_call:run(Id, Who, Frame, Context),
    S;
call(false, Id, Who, Frame, #state{context = Context, ids = Ids, pids = Pids} = S) ->
    Pid = spawn_link(py_talk_call, run, [Id, Who, Frame, Context]),
    S#state{ids = Ids#{Pid => Id}, pids = Pids#{Id => Pid}}.

is_short(Frame) ->
    py_wire:is_about_state(Frame) andalso byte_size(Frame) =< ?SHORT.

late(Pid, #state{ids = Ids} = S) when is_map_key(Pid, Ids) ->
    exit(Pid, kill),
    fail(Pid, timeout, S);
late(_, S) ->
    S.

%% The process has not answered. If its call is over, nobody hears that.
fail(Pid, Reason, #state{ids = Ids, context = #{port := Port} = Context} = S) ->
    case Ids of
        #{Pid := Id} ->
            _ = py_os_port:send(Port, py_talk_call:failure(Id, Reason, Context)),
            forget(Pid, S);
        #{} ->
            S
    end.

forget(Pid, #state{ids = Ids, pids = Pids} = S) ->
    case Ids of
        #{Pid := Id} -> S#state{ids = maps:remove(Pid, Ids), pids = maps:remove(Id, Pids)};
        #{} -> S
    end.
