%% SPDX-License-Identifier: Apache-2.0
%%
%% The process of a channel (py_channel): a queue for each direction. It ends with the
%% process that has made it, or when it is closed and both queues are empty. The
%% first worker whose Python uses it is the other side.
%%
%% Who waits is monitored: a message goes to nobody who is dead by then.
-module(py_channel_server).
-behaviour(gen_server).

-export([start/1, send/3, recv/2, close/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, format_status/1]).
-export_type([channel/0]).

-include("py.hrl").

-define(IS_TIME(T), T =:= infinity; is_integer(T), T >= 0, T =< ?LONGEST).

%% Python knows this form (value/tagged.c).
-record(py_channel, {pid :: pid()}).
-opaque channel() :: #py_channel{}.

%% To whom messages go.
-type side() :: python | erlang.

-record(state, {
    owner :: pid(),
    worker = none :: none | pid(),
    queues :: #{side() => py_channel_queue:queue()},
    waiting = #{} :: #{gen_server:from() => {side(), Monitor :: reference(), Timer :: reference() | none}},
    closed = false :: boolean()
}).

-type question() :: {send, term(), timeout()} | {recv, timeout()} | close.

%% Starts it for the calling process.
-spec start(#{size := pos_integer()}) -> channel().
start(#{size := Size}) ->
    {ok, Pid} = gen_server:start(?MODULE, {self(), Size}, []),
    #py_channel{pid = Pid}.

-spec send(channel(), term(), timeout()) -> ok | {error, py_channel:reason()}.
send(Channel, Term, Timeout) ->
    ask(Channel, {send, Term, Timeout}).

-spec recv(channel(), timeout()) -> {ok, term()} | {error, py_channel:reason()}.
recv(Channel, Timeout) ->
    ask(Channel, {recv, Timeout}).

-spec close(channel()) -> ok.
close(Channel) ->
    _ = ask(Channel, close),
    ok.

ask(#py_channel{pid = Pid}, Question) when node(Pid) =:= node() ->
    try
        gen_server:call(Pid, Question, infinity)
    catch
        exit:_ -> {error, closed}   % it has ended
    end;
ask(Other, _) ->
    py_options:must_be(Other, "the channel", "what py_channel:new has returned on this node").

%% ---------------------------------------------------------------------------

-spec init({pid(), pos_integer()}) -> {ok, #state{}}.
init({Owner, Size}) ->
    _ = monitor(process, Owner),
    Queue = py_channel_queue:new(Size),
    {ok, #state{owner = Owner, queues = #{python => Queue, erlang => Queue}}}.

-spec handle_call(question() | {py_channel, Worker :: pid(), question()}, gen_server:from(),
                  #state{}) ->
          {reply, {error, elsewhere}, #state{}} | {noreply, #state{}} | {stop, normal, #state{}}.
handle_call({py_channel, Worker, Question}, From, #state{worker = none} = S) ->
    _ = monitor(process, Worker),
    handle_call({py_channel, Worker, Question}, From, S#state{worker = Worker});
handle_call({py_channel, Worker, Question}, From, #state{worker = Worker} = S) ->
    settle(asked(Question, python, From, S));
handle_call({py_channel, _, _}, _, S) ->
    {reply, {error, elsewhere}, S};
handle_call(Question, From, S) ->
    settle(asked(Question, erlang, From, S)).

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({'DOWN', _, process, Owner, _}, #state{owner = Owner} = S) ->
    {stop, normal, S};
handle_info({'DOWN', _, process, Worker, Reason}, #state{worker = Worker} = S) ->
    settle(worker_gone(Reason, S));
handle_info({'DOWN', Monitor, process, _, _}, #state{waiting = Waiting} = S) ->
    settle(lists:foldl(fun leave/2, S, [From || {From, {_, M, _}} <- maps:to_list(Waiting), M =:= Monitor]));
handle_info({timeout, Timer, {late, From}}, #state{waiting = Waiting} = S) ->
    case Waiting of
        #{From := {_, _, Timer}} -> gen_server:reply(From, {error, timeout}), settle(leave(From, S));
        #{} -> {noreply, S}
    end;
handle_info(_, S) ->
    {noreply, S}.

%% What reports print: no messages.
-spec format_status(gen_server:format_status()) -> gen_server:format_status().
format_status(Status) ->
    maps:map(fun(state, #state{waiting = Waiting}) -> {waiting, map_size(Waiting)};
                (message, _) -> hidden;
                (_, Term) -> Term
             end, Status).

%% Nobody can want anything of it any more.
settle(#state{closed = true, queues = #{python := ToPython, erlang := ToErlang}} = S) ->
    case py_channel_queue:is_empty(ToPython) andalso py_channel_queue:is_empty(ToErlang) of
        true -> {stop, normal, S};
        false -> {noreply, S}
    end;
settle(S) ->
    {noreply, S}.

%% ---------------------------------------------------------------------------

asked({send, Term, Timeout}, Side, From, S) when ?IS_TIME(Timeout) ->
    To = other(Side),
    wait(From, To, Timeout, queue(To, fun(Q) -> py_channel_queue:send(From, Term, Q) end, S));
asked({recv, Timeout}, Side, From, S) when ?IS_TIME(Timeout) ->
    wait(From, Side, Timeout, queue(Side, fun(Q) -> py_channel_queue:recv(From, Q) end, S));
asked(close, _, From, S) ->
    gen_server:reply(From, ok),
    (closed(closed, S))#state{closed = true};
asked(_, _, From, S) ->
    gen_server:reply(From, {error, closed}),    % it was not sent by our code
    S.

other(python) -> erlang;
other(erlang) -> python.

%% Does that with the messages for this side; who has got an answer by that.
queue(Side, Do, #state{queues = Queues} = S) ->
    {Answers, Queue} = Do(maps:get(Side, Queues)),
    {[Who || {Who, _} <- Answers],
     lists:foldl(fun answer/2, S#state{queues = Queues#{Side := Queue}}, Answers)}.

answer({From, Answer}, S) ->
    gen_server:reply(From, Answer),
    forget(From, S).

forget(From, #state{waiting = Waiting} = S) ->
    case maps:take(From, Waiting) of
        {{_, Monitor, Timer}, Rest} ->
            demonitor(Monitor, [flush]),
            Timer =/= none andalso erlang:cancel_timer(Timer),
            S#state{waiting = Rest};
        error ->
            S
    end.

%% Who has no time gets no timer, which would take a millisecond.
wait({Pid, _} = From, Side, Timeout, {Answered, #state{waiting = Waiting} = S}) ->
    case lists:member(From, Answered) of
        true -> S;
        false when Timeout =:= 0 ->
            gen_server:reply(From, {error, timeout}),
            give_up(From, Side, S);
        false -> S#state{waiting = Waiting#{From => {Side, monitor(process, Pid), timer(Timeout, From)}}}
    end.

timer(infinity, _) -> none;
timer(Timeout, From) -> erlang:start_timer(Timeout, self(), {late, From}).

leave(From, #state{waiting = Waiting} = S) ->
    #{From := {Side, _, _}} = Waiting,
    forget(From, give_up(From, Side, S)).

give_up(From, Side, #state{queues = Queues} = S) ->
    S#state{queues = maps:update_with(Side, fun(Q) -> py_channel_queue:leave(From, Q) end, Queues)}.

closed(Why, S) ->
    lists:foldl(fun(Side, Acc) ->
        {_, Next} = queue(Side, fun(Q) -> py_channel_queue:close(Why, Q) end, Acc),
        Next
    end, S, [python, erlang]).

%% What it has sent can still be received, what it has not got cannot.
worker_gone(Reason, S) ->
    #state{queues = Queues} = Closed = closed({worker_exit, why(Reason)}, S),
    {_, None} = py_channel_queue:close({worker_exit, why(Reason)}, py_channel_queue:new(1)),
    Closed#state{queues = Queues#{python := None}}.

why({shutdown, {worker_exit, Why}}) -> Why;
why({shutdown, Why}) -> Why;
why(Reason) -> Reason.
