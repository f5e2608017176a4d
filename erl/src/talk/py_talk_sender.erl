%% SPDX-License-Identifier: Apache-2.0
%%
%% A worker's messages from Python: erlang.send(to, term). They are decoded and
%% sent by a process of their own, so that a large one delays no deadline of the
%% worker. Each is answered when it has been sent, or with the reason why it
%% cannot be: Python waits for that.
%%
%% Messages to one receiver are sent in their order. What cannot be sent now is
%% parked and tried again, and others overtake it:
%%
%% - a message to a process that has `send_limit' messages in its queue already;
%% - a message to a node whose connection is busy.
%%
%% What is parked is bounded by the program's window. While the VM tries to connect
%% to a node, it takes messages to it, up to the size of a distribution buffer. If
%% there is no connection a second after that is full, messages to the node are
%% dropped for a while and counted: Erlang loses messages to a node that cannot be
%% reached anyway, and nobody should wait for it.
-module(py_talk_sender).
-behaviour(gen_server).

-export([start/1, message/3, withdraw/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([args/0, allowed/0]).

-include("py.hrl").

%% What others say to it: messages, which never wait.
-messages([message/3, withdraw/2]).

%% How soon it looks whether what is parked can be sent (ms): the sooner, the more
%% gets through.
-define(SOON, 1).
-define(SELDOM, 64).
%% A receiver's queue is looked at after this many messages at the latest.
-define(LOOK, 100).
%% How many receivers are remembered, with how many messages each may still get.
-define(REMEMBERED, 1_000).
%% How long a node may take to connect once its buffer is full (ms).
-define(CONNECT, 1_000).
%% For how long messages to a node are then dropped, until the log says how many
%% there were (ms).
-define(REPORT, 10_000).
%% A frame from this size on makes the process give its memory back at once.
-define(LARGE, (1 bsl 20)).

-record(message, {
    id :: py_wire:id() | none,  % of the call that waits for the answer
    bytes :: pos_integer(),     % of its frame
    to :: term(),               % whatever Python has given
    term :: py_secret:secret(term()) | undefined
}).

%% The names that Python may send to, beside pids.
-type allowed() :: pids | all | [atom()].
-type receiver() :: pid() | node().

-record(state, {
    worker :: pid(),
    port :: port(),
    log :: py_talk_log:log(),
    allowed :: allowed(),
    limit :: pos_integer() | infinity,
    room = #{} :: #{pid() => non_neg_integer()},    % until it is looked at again
    parked = #{} :: #{receiver() => queue:queue(#message{})},
    pause = ?SOON :: pos_integer(),     % the next one, until the next try
    retry = none :: none | reference(),
    since = #{} :: #{node() => integer()},  % it has its fill, and no connection
    dropped = #{} :: #{node() => pos_integer()},    % since the last report
    report = none :: none | reference()
}).

-type args() :: #{port := port(), log := py_talk_log:log(), send := allowed(),
                  send_limit := pos_integer() | infinity, _ => _}.

%% Starts it for the calling process.
-spec start(args()) -> pid().
start(Args) ->
    {ok, Pid} = gen_server:start(?MODULE, {self(), Args}, []),
    Pid.

%% The program has sent this frame of Size bytes, which is a message.
-spec message(pid(), Size :: pos_integer(), py_secret:secret(binary())) -> ok.
message(Sender, Size, Frame) ->
    gen_server:cast(Sender, {message, Size, Frame}).

%% Nobody waits for the answer to this message any more, so it is not kept.
-spec withdraw(pid(), py_wire:id()) -> ok.
withdraw(Sender, Id) ->
    gen_server:cast(Sender, {withdraw, Id}).

%% ---------------------------------------------------------------------------

%% As in py_talk_log: what the program has said before its end is still sent.
-spec init({pid(), args()}) -> {ok, #state{}}.
init({Worker, #{port := Port, log := Log, send := Allowed, send_limit := Limit}}) ->
    process_flag(trap_exit, true),
    group_leader(whereis(init), self()),
    link(Worker),
    {ok, #state{worker = Worker, port = Port, log = Log, allowed = Allowed, limit = Limit}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {noreply, #state{}}.
handle_call(_, _, S) ->
    {noreply, S}.

-spec handle_cast({message, pos_integer(), py_secret:secret(binary())}
                  | {withdraw, py_wire:id()}, #state{}) ->
          {noreply, #state{}} | {noreply, #state{}, hibernate}.
handle_cast({message, Size, Frame}, S) when Size >= ?LARGE ->
    {noreply, frame(py_secret:show(Frame), S), hibernate};
handle_cast({message, _, Frame}, S) ->
    {noreply, frame(py_secret:show(Frame), S)};
handle_cast({withdraw, Id}, #state{parked = Parked} = S) ->
    {noreply, maps:fold(fun(Receiver, Queue, Next) -> take_out(Id, Receiver, Queue, Next) end,
                        S, Parked)}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({timeout, Timer, retry}, #state{retry = Timer} = S) ->
    {noreply, retry(S#state{retry = none})};
handle_info({timeout, Timer, report}, #state{report = Timer} = S) ->
    {noreply, report(S#state{report = none})};
handle_info({'EXIT', Worker, _}, #state{worker = Worker} = S) ->
    {stop, normal, S};
handle_info(_, S) ->
    {noreply, S}.

%% ---------------------------------------------------------------------------
%% One message

frame(Frame, #state{allowed = Allowed} = S) ->
    Message = #message{id = py_wire:message_id(Frame), bytes = byte_size(Frame),
                       to = undefined, term = undefined},
    try binary_to_term(Frame, [safe]) of
        {send, _, To, Term} -> message_to(To, Term, Message, S);
        {event, send, {To, Term}} -> message_to(To, Term, Message, S);
        {whereis, _, Name} when is_binary(Name) -> answer_whereis(Name, Message, S);
        _ -> refuse(Message, <<"this is no message">>, S)
    catch
        error:badarg ->
            Unknown = py_unknown_atom:explain(Frame),
            refuse(Message, why_unreadable(Unknown, py_wire:receiver_name(Frame), Allowed), S)
    end.

%% Whoever has a pid can send to it.
answer_whereis(Text, #message{id = Id} = Message, #state{allowed = Allowed} = S) ->
    Name = existing(Text),
    case is_allowed(Name, Allowed) of
        true -> answer(Id, {ok, whereis(Name)}, S);
        false -> refuse(Message, not_allowed(Text, Allowed), S)
    end.

%% Nobody has a name that is not an atom here, nor this one.
existing(Text) ->
    try binary_to_existing_atom(Text) catch error:_ -> undefined end.

%% A name that is not an atom on this node is a name that nobody has.
why_unreadable({unknown_atom, Name}, Name, all) -> nobody_has(Name);
why_unreadable({unknown_atom, Name}, Name, Allowed) -> not_allowed(Name, Allowed);
why_unreadable({unknown_atom, Name}, _, _) -> <<"this node has no atom '", Name/binary, "'">>;
why_unreadable({badarg, Why}, _, _) -> Why.

nobody_has(Name) -> text("nobody is registered as '~ts'", [Name]).

not_allowed(Name, pids) ->
    text("the pool's option send allows only pids, not the name '~ts'", [Name]);
not_allowed(Name, _) ->
    text("the pool's option send does not allow the name '~ts', only others and pids", [Name]).

message_to(To, Term, Message, #state{allowed = Allowed} = S) ->
    case receiver(To, Allowed) of
        {refused, Why} ->
            refuse(Message, Why, S);
        Receiver ->
            send_or_park(Receiver, Message#message{to = To, term = py_secret:hide(Term)}, S)
    end.

%% Who gets it: a process here, or whoever it is on another node.
receiver(Pid, _) when is_pid(Pid), node(Pid) =:= node() ->
    Pid;
receiver(Pid, _) when is_pid(Pid) ->
    node(Pid);
receiver(Name, Allowed) when is_atom(Name) ->
    case is_allowed(Name, Allowed) of
        true -> registered(Name, whereis(Name));
        false -> {refused, not_allowed(Name, Allowed)}
    end;
receiver(_, _) ->
    {refused, <<"the receiver is neither a pid nor a name">>}.

is_allowed(_, all) -> true;
is_allowed(_, pids) -> false;
is_allowed(Name, Names) -> lists:member(Name, Names).

registered(_, Pid) when is_pid(Pid) -> Pid;
registered(Name, _) -> {refused, nobody_has(Name)}.

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).

%% Behind what is parked for the same receiver, if there is something.
send_or_park(Receiver, Message, #state{parked = Parked} = S) ->
    case Parked of
        #{Receiver := Queue} ->
            S#state{parked = Parked#{Receiver := queue:in(Message, Queue)}};
        #{} ->
            case try_send(Receiver, Message, S) of
                {done, Next} -> Next;
                {wait, Next} -> park(Receiver, Message, Next)
            end
    end.

try_send(Pid, Message, S) when is_pid(Pid) ->
    case room(Pid, S) of
        dead -> {done, refuse(Message, <<"the process is dead">>, S)};
        {0, Next} -> {wait, Next};
        {_, Next} -> _ = erlang:send(Pid, py_secret:show(Message#message.term)), {done, sent(Message, Next)}
    end;
try_send(Node, #message{to = To, term = Term} = Message, S) ->
    case erlang:send(To, py_secret:show(Term), [nosuspend]) of
        ok -> {done, sent(Message, forget(Node, S))};
        nosuspend -> busy(lists:member(Node, nodes(connected)), Node, Message, S)
    end.

%% How many messages this process may get; one of them is taken.
room(Pid, #state{limit = Limit} = S) ->
    case is_alive(Pid) of
        false -> dead;
        true when Limit =:= infinity -> {1, S};
        true -> limited_room(Pid, S)
    end.

%% A pid with this node's name may be from an earlier life of the node.
is_alive(Pid) ->
    try
        is_process_alive(Pid)
    catch
        error:badarg -> false
    end.

limited_room(Pid, #state{room = Room} = S) ->
    case Room of
        #{Pid := N} when N > 0 -> {N, S#state{room = Room#{Pid := N - 1}}};
        #{} -> look(Pid, process_info(Pid, message_queue_len), S)
    end.

look(_, undefined, _) ->
    dead;
look(Pid, {_, Length}, #state{limit = Limit, room = Room} = S) ->
    N = min(?LOOK, max(0, Limit - Length)),
    Known = case map_size(Room) < ?REMEMBERED of true -> Room; false -> #{} end,
    {N, S#state{room = Known#{Pid => max(0, N - 1)}}}.

%% A node that takes no more now.
busy(true, Node, _, S) ->
    {wait, forget(Node, S)};
busy(false, Node, Message, #state{since = Since, dropped = Dropped} = S) ->
    Now = py_time:now_ms(),
    case is_map_key(Node, Dropped) orelse Now - maps:get(Node, Since, Now) > ?CONNECT of
        true -> {done, sent(Message, drop(Node, forget(Node, S)))};
        false -> {wait, S#state{since = maps:merge(#{Node => Now}, Since)}}
    end.

forget(Node, #state{since = Since} = S) when is_map_key(Node, Since) ->
    S#state{since = maps:remove(Node, Since)};
forget(_, S) ->
    S.

%% ---------------------------------------------------------------------------
%% What is parked

park(Receiver, Message, #state{parked = Parked} = S) ->
    Queue = queue:in(Message, queue:new()),
    try_later(S#state{parked = Parked#{Receiver => Queue}, pause = ?SOON}).

try_later(#state{retry = none, parked = Parked, pause = Pause} = S) when map_size(Parked) > 0 ->
    S#state{retry = erlang:start_timer(Pause, self(), retry), pause = min(2 * Pause, ?SELDOM)};
try_later(S) ->
    S.

retry(#state{parked = Parked} = S) ->
    try_later(maps:fold(fun unpark/3, S, Parked)).

%% Sends as many of them as can be sent now.
unpark(Receiver, Queue, S) ->
    case queue:peek(Queue) of
        empty ->
            S#state{parked = maps:remove(Receiver, S#state.parked)};
        {value, Message} ->
            case try_send(Receiver, Message, S) of
                {done, Next} -> unpark(Receiver, queue:drop(Queue), Next#state{pause = ?SOON});
                {wait, Next} -> Next#state{parked = (Next#state.parked)#{Receiver := Queue}}
            end
    end.

%% Takes the message with this Id out. Its answer gives its room back.
take_out(Id, Receiver, Queue, #state{parked = Parked} = S) ->
    Rest = queue:filter(fun(#message{id = Other}) -> Other =/= Id end, Queue),
    case queue:len(Rest) =:= queue:len(Queue) of
        true -> S;
        false -> answer(Id, {error, <<"withdrawn">>}, S#state{parked = Parked#{Receiver := Rest}})
    end.

%% ---------------------------------------------------------------------------
%% Answers

sent(#message{id = none, bytes = Bytes}, #state{log = Log, port = Port} = S) ->
    py_talk_log:acknowledge(Log, Port, Bytes),
    S;
sent(#message{id = Id}, S) ->
    answer(Id, ok, S).

%% Whoever does not wait for an answer does not learn of it.
refuse(#message{id = none} = Message, Why, #state{log = Log} = S) ->
    py_talk_log:write(Log, debug, "a message from Python was not sent: ~ts", [Why], #{}),
    sent(Message, S);
refuse(#message{id = Id}, Why, S) ->
    answer(Id, {error, Why}, S).

answer(Id, Result, #state{port = Port} = S) ->
    _ = py_os_port:send(Port, py_wire:answer(Id, Result)),
    S.

%% ---------------------------------------------------------------------------
%% What is dropped

drop(Node, #state{dropped = Dropped} = S) ->
    Count = maps:get(Node, Dropped, 0) + 1,
    report_later(S#state{dropped = Dropped#{Node => Count}}).

report_later(#state{report = none} = S) ->
    S#state{report = erlang:start_timer(?REPORT, self(), report)};
report_later(S) ->
    S.

report(#state{log = Log, dropped = Dropped} = S) ->
    [py_talk_log:write(Log, warning, "~b messages from Python to ~tp were dropped: "
                         "there is no connection", [Count, Node], #{})
     || {Node, Count} <- maps:to_list(Dropped)],
    S#state{dropped = #{}}.
