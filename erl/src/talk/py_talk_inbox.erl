%% SPDX-License-Identifier: Apache-2.0
%%
%% Messages for Python. py:send/2 puts them here, in order, and erlang.receive takes them:
%% from the box of the context in which it runs, else from the worker's. A message stays
%% a term of this node until Python takes it.
%%
%% A box may have a handler, which erlang.on_message has set: what no call waits for goes
%% there, one message at a time, each as a job of this process.
%%
%% The worker starts it when something is sent for the first time, or wanted, and does
%% not go on without it. It never waits itself.
-module(py_talk_inbox).
-behaviour(gen_server).

-export([start/3, send/3, tell/3, closed/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([box/0, mail/0]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

%% What others say to it: messages, which never wait.
-messages([tell/3, closed/2]).

%% The most messages in a box.
-define(MOST, 10_000).
%% Bytes around a request's body.
-define(AROUND, 8).

%% Whose messages they are: the worker's, or those of a context.
-type box() :: worker | pos_integer().
-type full() :: {error, {overloaded, messages, pos_integer()}}.
%% What a worker hears of it: somebody wants to send; a call wants a message, as this frame
%% says, or does not any more; a box has a handler from now on, as this frame says. And
%% what it has to do for it: to run a job that brings a message to a handler, or to let go
%% of a handler.
-type mail() :: {inbox, py_ask:from(), box()}
              | {take, py_wire:id(), Job :: py_wire:id() | none, binary()}
              | {withdraw, py_wire:id()}
              | {on_message, box() | closed, binary()}
              | {message, #req{}}
              | {release, handler()}.

%% The number of what Python keeps.
-type handler() :: pos_integer().

%% Either messages wait in a box, or calls do.
-record(box, {
    messages = queue:new() :: queue:queue(py_secret:secret(term())),
    n = 0 :: non_neg_integer(),
    calls = [] :: [{py_wire:id(), reference() | none}], % who came first is first
    handler = none :: handler() | none,
    handles = false :: boolean()        % it has a message
}).

-record(state, {
    worker :: pid(),
    port :: port(),
    pool :: #pool{},
    about :: logger:metadata(),
    boxes = #{} :: #{box() => #box{}},  % of contexts, those that are open and were used
    jobs = #{} :: #{py_ask:from() => box()}     % by which handlers have messages
}).

%% Starts it for the calling worker, of which the log says this.
-spec start(port(), #pool{}, logger:metadata()) -> pid().
start(Port, Pool, About) ->
    {ok, Pid} = gen_server:start_link(?MODULE, {self(), Port, Pool, About}, []),
    Pid.

%% Puts a message into a box, unless that is full.
-spec send(pid(), box(), term()) -> ok | full() | closed | down.
send(Inbox, Box, Term) ->
    try
        gen_server:call(Inbox, {send, Box, py_secret:hide(Term)}, infinity)
    catch
        exit:_ -> down
    end.

%% What its worker has heard, and which box is meant.
-spec tell(pid(), mail(), box() | closed) -> ok.
tell(Inbox, Mail, Box) ->
    gen_server:cast(Inbox, {Mail, Box}).

%% These contexts are closed: their messages are dropped.
-spec closed(pid() | none, [box()]) -> ok.
closed(none, _) -> ok;
closed(Inbox, Contexts) -> gen_server:cast(Inbox, {closed, Contexts}).

%% ---------------------------------------------------------------------------

-spec init({pid(), port(), #pool{}, logger:metadata()}) -> {ok, #state{}}.
init({Worker, Port, Pool, About}) ->
    {ok, #state{worker = Worker, port = Port, pool = Pool, about = About}}.

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
            {reply, ok, hand_on(Name, Box#box{messages = queue:in(Message, Messages), n = N + 1}, S)};
        #{} ->
            {reply, closed, S}
    end.

-spec handle_cast({mail(), box() | closed} | {closed, [box()]}, #state{}) -> {noreply, #state{}}.
handle_cast({{inbox, _, _}, closed}, S) ->
    {noreply, S};
handle_cast({{inbox, _, _}, Name}, S) ->
    {noreply, put_box(Name, box(Name, S), S)};
handle_cast({{take, Id, _, _}, closed}, S) ->
    refuse(Id, S),
    {noreply, S};
handle_cast({{take, Id, _, Frame}, Name}, S) ->
    case box(Name, S) of
        #box{n = 0, calls = Calls} = Box ->
            {noreply, put_box(Name, Box#box{calls = Calls ++ [{Id, timer(Id, Frame)}]}, S)};
        Box ->
            {Message, Next} = first(Box),
            answer(Id, Message, S),
            {noreply, put_box(Name, Next, S)}
    end;
handle_cast({{withdraw, Id}, _}, S) ->
    {noreply, remove(Id, S)};
handle_cast({{on_message, _, Frame}, closed}, S) ->
    {noreply, release(number(Frame), S)};
handle_cast({{on_message, _, Frame}, Name}, S) ->
    #box{handler = Before} = Box = box(Name, S),
    {noreply, hand_on(Name, Box#box{handler = number(Frame)}, release(Before, S))};
handle_cast({closed, Names}, S) ->
    {noreply, lists:foldl(fun close/2, S, Names)}.

close(Name, #state{boxes = Boxes} = S) ->
    #box{calls = Calls, handler = Handler} = box(Name, S),
    lists:foreach(fun({Id, Timer}) -> no_timer(Timer), refuse(Id, S) end, Calls),
    release(Handler, S#state{boxes = maps:remove(Name, Boxes)}).

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({timeout, _, {late, Id}}, #state{port = Port} = S) ->
    Left = remove(Id, S),
    Left =:= S orelse py_os_port:send(Port, py_wire:answer(Id, {ok, none})),
    {noreply, Left};
handle_info({Ref, Answer}, #state{jobs = Jobs} = S) when is_map_key(Ref, Jobs) ->
    {Name, Rest} = maps:take(Ref, Jobs),
    {noreply, handled(Name, Answer, S#state{jobs = Rest})};
handle_info(_, S) ->
    {noreply, S}.

box(Name, #state{boxes = Boxes}) -> maps:get(Name, Boxes, #box{}).

put_box(Name, Box, #state{boxes = Boxes} = S) ->
    S#state{boxes = Boxes#{Name => Box}}.

%% The message that has waited longest, and what is left.
first(#box{messages = Messages, n = N} = Box) ->
    {{value, Message}, Rest} = queue:out(Messages),
    {Message, Box#box{messages = Rest, n = N - 1}}.

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
%% Handlers

%% A box has changed: its handler gets a message, if it has none and one is there.
hand_on(Name, #box{handler = Handler, handles = false, n = N} = Box, S)
  when Handler =/= none, N > 0 ->
    {Message, Left} = first(Box),
    case allowed(Handler, Name, py_secret:show(Message), S) of
        {ok, Req} -> ask(Name, Req, put_box(Name, Left#box{handles = true}, S));
        {error, Why} -> complain(Why, S), hand_on(Name, Left, S)
    end;
hand_on(Name, Box, S) ->
    put_box(Name, Box, S).

ask(Name, Req, #state{worker = Worker, jobs = Jobs} = S) ->
    Ref = py_ask:ask(Worker, fun(From) -> py_worker:mail(Worker, {message, Req#req{reply_to = From}}) end),
    S#state{jobs = Jobs#{Ref => Name}}.

%% Handlers may be in quarantine.
allowed(Handler, Name, Message, #state{pool = Pool} = S) ->
    case Pool#pool.refuses andalso py_pool_board:why_refused(Pool, message) of
        Free when Free =:= false; Free =:= none -> request(Handler, Name, Message, S);
        Why -> {error, {quarantined, message, Why}}
    end.

%% The job may take as long as any call of the pool.
request(Handler, Name, Message, #state{worker = Worker, pool = Pool}) ->
    #pool{name = Pools, timeout = Timeout, max_frame = Max} = Pool,
    Handle = #py_handle{number = Handler, at = {Pools, Worker}, owner = self()},
    {Arity, Body} = py_wire:body({message, Handle, [Message]}, options(Name)),
    Now = erlang:monotonic_time(microsecond),
    case iolist_size(Body) of
        Size when Size + ?AROUND > Max -> {error, too_large(Size, Max)};
        Size -> {ok, about(Name, #req{caller = self(), kind = job, what = message, bound = true, arrival = Now,
                                      deadline = py_time:deadline(Timeout, Now div 1000), arity = Arity,
                                      size = Size, body = py_secret:hide(Body)})}
    end.

options(worker) -> #{traceback => true};
options(Context) -> #{traceback => true, context => Context}.

%% A context is used as long as its handler has a message.
about(worker, Req) -> Req;
about(Context, Req) -> Req#req{context = Context, binds = {uses, Context, self()}}.

%% A handler has done with a message. If its context is closed by now, nobody minds.
handled(Name, Answer, #state{boxes = Boxes} = S) ->
    case Boxes of
        #{Name := Box} -> failed(Answer, S), hand_on(Name, Box#box{handles = false}, S);
        #{} -> S
    end.

failed(again, _) -> ok;     % the worker ends
failed(Answer, S) ->
    case py_result:result(Answer) of
        {error, Reason} -> complain(Reason, S);
        ok -> ok
    end.

%% The logger's handlers may be slow, and senders wait for this process.
complain(Reason, #state{about = #{pool := Pool, worker := Slot} = About}) ->
    Text = "a handler of messages has failed in worker ~p of pool ~tp: ~ts",
    _ = spawn(fun() -> ?LOG_WARNING(Text, [Slot, Pool, why(Reason)], About) end),
    ok.

%% The message is not for the log.
why({_, _, #{formatted := Traceback}}) -> Traceback;
why(Text) when is_binary(Text) -> Text;
why(Reason) -> io_lib:format("~tp", [Reason]).

number(Frame) ->
    {event, on_message, {_, Number}} = binary_to_term(Frame, [safe]),
    Number.

%% Nothing is called any more.
release(none, S) -> S;
release(Handler, #state{worker = Worker} = S) -> py_worker:mail(Worker, {release, Handler}), S.

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
answer(Id, Message, #state{port = Port, pool = #pool{max_frame = Max}}) ->
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
