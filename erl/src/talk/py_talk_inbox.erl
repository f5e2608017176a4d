%% SPDX-License-Identifier: Apache-2.0
%%
%% Messages for Python. py:send/2 puts them here, in order, and erlang.receive takes them:
%% from the box of the context in which it runs, else from the worker's. A message stays
%% a term of this node until Python takes it.
%%
%% The worker starts it when something is sent for the first time, or wanted, and does
%% not go on without it. It never waits itself.
-module(py_talk_inbox).
-behaviour(gen_server).

-export([start/2, send/3, opened/2, take/4, withdraw/2, closed/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([box/0, mail/0]).

-include("py.hrl").

%% What others say to it: messages, which never wait.
-messages([opened/2, take/4, withdraw/2, closed/2]).

%% The most messages in a box.
-define(MOST, 10_000).

%% Whose messages they are: the worker's, or those of a context.
-type box() :: worker | pos_integer().
-type full() :: {error, {overloaded, messages, pos_integer()}}.
%% What a worker hears of it: somebody wants to send; a call wants a message, as this frame
%% says, or does not any more.
-type mail() :: {inbox, py_ask:from(), box()}
              | {take, py_wire:id(), Job :: py_wire:id() | none, binary()}
              | {withdraw, py_wire:id()}.

%% Either messages wait in a box, or calls do.
-record(box, {
    messages = queue:new() :: queue:queue(term()),
    n = 0 :: non_neg_integer(),
    calls = [] :: [{py_wire:id(), reference() | none}]  % who came first is first
}).

-record(state, {
    port :: port(),
    max_frame :: pos_integer(),
    boxes = #{} :: #{box() => #box{}}   % of contexts, those that are open and were used
}).

%% Starts it for the calling worker.
-spec start(port(), MaxFrame :: pos_integer()) -> pid().
start(Port, MaxFrame) ->
    {ok, Pid} = gen_server:start_link(?MODULE, {Port, MaxFrame}, []),
    Pid.

%% Puts a message into a box, unless that is full.
-spec send(pid(), box(), term()) -> ok | full() | closed | down.
send(Inbox, Box, Term) ->
    try
        gen_server:call(Inbox, {send, Box, py_secret:hide(Term)}, infinity)
    catch
        exit:_ -> down
    end.

%% Somebody is going to send to this box, which is there until it is closed.
-spec opened(pid(), box()) -> ok.
opened(Inbox, Box) ->
    gen_server:cast(Inbox, {opened, Box}).

%% A call of Python's wants a message from this box, within the time that its frame says.
-spec take(pid(), py_wire:id(), box() | closed, binary()) -> ok.
take(Inbox, Id, Box, Frame) ->
    gen_server:cast(Inbox, {take, Id, Box, Frame}).

%% It does not want one any more.
-spec withdraw(pid(), py_wire:id()) -> ok.
withdraw(Inbox, Id) ->
    gen_server:cast(Inbox, {withdraw, Id}).

%% These contexts are closed: their messages are dropped.
-spec closed(pid() | none, [box()]) -> ok.
closed(none, _) -> ok;
closed(Inbox, Contexts) -> gen_server:cast(Inbox, {closed, Contexts}).

%% ---------------------------------------------------------------------------

-spec init({port(), pos_integer()}) -> {ok, #state{}}.
init({Port, MaxFrame}) ->
    {ok, #state{port = Port, max_frame = MaxFrame}}.

-spec handle_call({send, box(), py_secret:secret(term())}, gen_server:from(), #state{}) ->
          {reply, ok | full() | closed, #state{}}.
handle_call({send, Name, Message}, _, #state{boxes = Boxes} = S) ->
    case Boxes of
        #{Name := #box{calls = [{Id, Timer} | Rest]} = Box} ->
            no_timer(Timer),
            answer(Id, Message, S),
            {reply, ok, put_box(Name, Box#box{calls = Rest}, S)};
        #{Name := #box{n = N}} when N >= ?MOST ->
            {reply, {error, {overloaded, messages, ?MOST}}, S};
        #{Name := #box{messages = Messages, n = N} = Box} ->
            {reply, ok, put_box(Name, Box#box{messages = queue:in(Message, Messages), n = N + 1}, S)};
        #{} ->
            {reply, closed, S}
    end.

-spec handle_cast({opened, box()} | {take, py_wire:id(), box() | closed, binary()} | {withdraw, py_wire:id()}
                  | {closed, [box()]}, #state{}) -> {noreply, #state{}}.
handle_cast({opened, Name}, S) ->
    {noreply, put_box(Name, box(Name, S), S)};
handle_cast({take, Id, closed, _}, S) ->
    refuse(Id, S),
    {noreply, S};
handle_cast({take, Id, Name, Frame}, S) ->
    case box(Name, S) of
        #box{n = 0, calls = Calls} = Box ->
            {noreply, put_box(Name, Box#box{calls = Calls ++ [{Id, timer(Id, Frame)}]}, S)};
        #box{messages = Messages, n = N} = Box ->
            {{value, Message}, Rest} = queue:out(Messages),
            answer(Id, Message, S),
            {noreply, put_box(Name, Box#box{messages = Rest, n = N - 1}, S)}
    end;
handle_cast({withdraw, Id}, S) ->
    {noreply, remove(Id, S)};
handle_cast({closed, Names}, #state{boxes = Boxes} = S) ->
    lists:foreach(fun({Id, Timer}) -> no_timer(Timer), refuse(Id, S) end,
                  [Call || Name <- Names, #box{calls = Calls} <- [box(Name, S)], Call <- Calls]),
    {noreply, S#state{boxes = maps:without(Names, Boxes)}}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({timeout, _, {late, Id}}, #state{port = Port} = S) ->
    Left = remove(Id, S),
    Left =:= S orelse py_os_port:send(Port, py_wire:answer(Id, {ok, none})),
    {noreply, Left};
handle_info(_, S) ->
    {noreply, S}.

box(Name, #state{boxes = Boxes}) -> maps:get(Name, Boxes, #box{}).

put_box(Name, Box, #state{boxes = Boxes} = S) ->
    S#state{boxes = Boxes#{Name => Box}}.

%% This call does not wait any more, in whichever box it does.
remove(Id, #state{boxes = Boxes} = S) ->
    case [{Name, Box, Timer} || {Name, #box{calls = Calls} = Box} <- maps:to_list(Boxes),
                                {Waits, Timer} <- Calls, Waits =:= Id] of
        [{Name, #box{calls = Calls} = Box, Timer}] ->
            no_timer(Timer),
            put_box(Name, Box#box{calls = lists:keydelete(Id, 1, Calls)}, S);
        [] -> S
    end.

%% ---------------------------------------------------------------------------
%% Time

timer(Id, Frame) ->
    case binary_to_term(Frame, [safe]) of
        {take, _, _, Ms} when is_integer(Ms), Ms >= 0 ->
            erlang:start_timer(min(Ms, ?LONGEST), self(), {late, Id});
        _ -> none
    end.

no_timer(none) -> ok;
no_timer(Timer) -> _ = erlang:cancel_timer(Timer), ok.

%% ---------------------------------------------------------------------------
%% Answers

%% A list, so that a message is not taken for none.
answer(Id, Message, #state{port = Port, max_frame = Max}) ->
    Frame = py_wire:answer(Id, {ok, [py_secret:show(Message)]}),
    Size = iolist_size(Frame),
    Said = case Size =< Max of true -> Frame; false -> py_wire:answer(Id, {error, too_large(Size, Max)}) end,
    _ = py_os_port:send(Port, Said),
    ok.

too_large(Size, Max) ->
    iolist_to_binary(io_lib:format("the message is larger than max_frame (~b > ~b bytes)", [Size, Max])).

refuse(Id, #state{port = Port}) ->
    _ = py_os_port:send(Port, py_wire:answer(Id, {error, <<"the context is closed">>})),
    ok.
