#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib -epmd_module loopback -start_epmd false -setcookie loopback
%%
%% erlang.send: messages come in their order, a sender learns why one cannot be
%% sent, a receiver that does not read or cannot be reached holds up nobody else,
%% and nothing that Python says by itself harms its worker.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% The promise about deadlines (ms), see docs/operation.md.
-define(LATE, 20).
%% Less than the tick after which somebody reads for a job that runs (ms).
-define(ROUND, 5).
-define(SEND_LIMIT, 50).

main(_) ->
    Settings = #{size => 1, send_limit => ?SEND_LIMIT, init => <<"import mailer, wedge">>},
    tap:run(logbook:kept(fixture:with_app(Settings, [
        {must, "this VM is a node", fun loopback:start/0},
        {"messages come in their order", fun in_order/0},
        {"from threads: each thread's come in their order", fun from_threads/0},
        [refused(Row) || Row <- refusals()],
        [named(Row) || Row <- names()],
        {"SendError is a RuntimeError", fun class/0},
        {"a message with an atom that this node does not have", fun unknown_atom/0},
        {"what is no receiver", fun no_receiver/0},
        {"a refusal in the middle of a job leaves the job alone", fun goes_on/0},
        {"a forged event is refused, too", fun forged/0},
        {"a short job waits no tick for its answer", fun no_tick/0},
        {"urgent requests are answered while a send waits", fun urgent/0},
        {"a receiver that does not read gets no more than send_limit", fun send_limit/0},
        {"a receiver that does not read holds up no other", fun others_go_on/0},
        {"a receiver that does not read: memory is bounded", fun bounded/0},
        {"a receiver that is killed while a send waits", fun killed_meanwhile/0},
        {"a call that times out while a send waits", fun timeout_meanwhile/0},
        {"calls that time out while a send waits hold up no other", fun many_timeouts/0},
        {"send_limit => infinity", fun no_limit/0},
        {"a node that cannot be reached", fun unreachable/0},
        {"a node that is there, and dies", fun node_dies/0},
        {"a node whose process does not read is no reason to wait", fun remote_queue/0},
        {"large messages delay no deadline", fun deadlines/0},
        {"in a forked child", fun in_child/0},
        {"in a child that is forked in the middle of a message", fun in_child_of_encoder/0},
        {"none of all this cost a worker", fun same_worker/0},
        {"at Python's end", fun at_exit/0},
        {"a worker ends while a send waits", fun ends_meanwhile/0},
        {"the process that sends is killed while a send waits", fun sender_ends/0},
        {"an odd record of Python's logging", fun odd_record/0},
        {"random events leave the worker alone", fun random_events/0}
    ]))).

with_pool(Options, Fun) ->
    Base = #{size => 1, python_path => [fixture:python_path()],
             init => <<"import mailer, wedge">>},
    {ok, _} = py:start_pool(p, maps:merge(Base, Options)),
    try Fun(#{pool => p}) after _ = py:stop_pool(p) end.

%% The processes that send for workers.
senders() ->
    [Pid || Pid <- processes(),
            proc_lib:translate_initial_call(Pid) =:= {py_talk_sender, init, 1}].

%% A process that reads only when it is told to, and then says what has come.
idle() ->
    spawn(fun() -> receive {'$read', From, N} -> From ! {self(), [next() || _ <- lists:seq(1, N)]} end end).

next() ->
    receive Message -> Message after 30_000 -> error(nothing_came) end.

read(Pid, N) ->
    Pid ! {'$read', self(), N},
    receive {Pid, Messages} -> Messages after 60_000 -> error(nothing_came) end.

queue_length(Pid) ->
    {message_queue_len, N} = process_info(Pid, message_queue_len),
    N.

%% ---------------------------------------------------------------------------
%% Order

in_order() ->
    Self = self(),
    Ref = py:spawn_call(mailer, numbers, [Self, 2_000]),
    ?assertEqual(lists:seq(0, 1_999), [receive N when is_integer(N) -> N end
                                       || _ <- lists:seq(1, 2_000)]),
    ?assertEqual({ok, <<"sent">>}, py:await(Ref)).

from_threads() ->
    Self = self(),
    Ref = py:spawn_call(mailer, in_threads, [Self, 4, 500]),
    Came = [receive {T, N} when is_integer(T), is_integer(N) -> {T, N} end
            || _ <- lists:seq(1, 2_000)],
    [?assertEqual(lists:seq(0, 499), [N || {T, N} <- Came, T =:= Thread])
     || Thread <- lists:seq(0, 3)],
    ?assertEqual({ok, <<"sent">>}, py:await(Ref)).

%% ---------------------------------------------------------------------------
%% Refusals

%% {What, the pool's option, to whom, what is said}
refusals() ->
    OnlyPids = <<"the pool's option send allows only pids, not the name '">>,
    OnlyOthers = <<"the pool's option send does not allow the name '">>,
    [{"a name, where pids are allowed", pids, 'a name', <<OnlyPids/binary, "a name'">>},
     {"a name, where others are allowed", [a, b], 'a name',
      <<OnlyOthers/binary, "a name', only others and pids">>},
     {"init, where pids are allowed", pids, init, <<OnlyPids/binary, "init'">>},
     {"rex, where pids are allowed", pids, rex, <<OnlyPids/binary, "rex'">>},
     {"a name that is no atom, where pids are allowed", pids, <<"never_such_a_name">>,
      <<OnlyPids/binary, "never_such_a_name'">>},
     {"a name that is no atom, where others are allowed", [a, b], <<"never_such_a_name">>,
      <<OnlyOthers/binary, "never_such_a_name', only others and pids">>},
     {"a name that is no atom, where all are allowed", all, <<"never_such_a_name">>,
      <<"nobody is registered as 'never_such_a_name'">>},
     {"a long name that is no atom", all, binary:copy(<<"é"/utf8>>, 200),
      <<"nobody is registered as '", (binary:copy(<<"é"/utf8>>, 200))/binary, "'">>},
     {"a name that nobody has", all, nobody_has_it, <<"nobody is registered as 'nobody_has_it'">>},
     {"a name on the list that nobody has", [nobody_has_it], nobody_has_it,
      <<"nobody is registered as 'nobody_has_it'">>},
     {"a name with characters of its own", all, 'ü ☃', <<"nobody is registered as 'ü ☃'"/utf8>>},
     {"the name of a port", all, a_port, <<"nobody is registered as 'a_port'">>},
     {"a process that is dead", pids, fun dead/0, <<"the process is dead">>},
     {"a process of an earlier life of this node", pids, fun earlier/0,
      <<"the process is dead">>}].

refused({What, Send, To, Says}) ->
    {["refused: ", What], fun() ->
        {ok, Socket} = gen_udp:open(0),
        catch unregister(a_port),
        true = register(a_port, Socket),
        with_pool(#{send => Send}, fun(In) ->
            Receiver = case is_function(To) of true -> To(); false -> To end,
            ?assertEqual({ok, Says}, py:call(mailer, outcome, [Receiver], #{}, In)),
            ?assertEqual({error, {'erlang.SendError', Says}},
                         py:call(erlang, send, [Receiver, 1], #{}, In))
        end),
        ok = gen_udp:close(Socket)
    end}.

dead() ->
    {Pid, Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Ref, process, Pid, _} -> Pid end.

earlier() ->
    loopback:pid_of(node()).

%% {What, the pool's option}
names() ->
    [{"all names are allowed", all}, {"this name is allowed", [x, some_name]}].

named({What, Send}) ->
    {What, fun() ->
        true = register(some_name, self()),
        with_pool(#{send => Send}, fun(In) ->
            {ok, <<"sent">>} = py:call(mailer, outcome, [some_name, [1, {2}]], #{}, In),
            ?assertEqual([1, {2}], next()),
            {ok, <<"sent">>} = py:call(mailer, outcome, [self(), 2], #{}, In),
            ?assertEqual(2, next())
        end)
    end}.

class() ->
    ?assertEqual({ok, true}, py:eval(<<"issubclass(mailer.erlang.SendError, RuntimeError)">>)).

unknown_atom() ->
    Code = <<"mailer.outcome(to, [1, erlang.Atom('no_' + 'such_' + tail)])">>,
    Names = #{to => self(), tail => <<"atom_here">>},
    ok = py:exec(<<"import erlang">>),
    ?assertEqual({ok, <<"this node has no atom 'no_such_atom_here'">>}, py:eval(Code, Names)),
    ?assertError(badarg, binary_to_existing_atom(<<"no_such_", "atom_here">>)).

no_receiver() ->
    ?assertMatch({error, {'TypeError', _}}, py:call(erlang, send, [7, 1])),
    ?assertMatch({error, {'TypeError', _}},
                 py:eval(<<"mailer._erlang.send(to, object())">>, #{to => self()})),
    [?assertEqual({error, {'erlang.SendError', <<"the receiver is neither a pid nor a name">>}},
                  py:eval(<<"mailer._erlang.send(to, 1)">>, #{to => To}))
     || To <- [7, make_ref(), {some_name, node()}, [], <<"text">>]].

goes_on() ->
    Code = <<"[mailer.outcome(to), mailer.outcome('init'), mailer.outcome(to)]">>,
    {ok, [<<"sent">>, _, <<"sent">>]} = py:eval(Code, #{to => self()}),
    ?assertEqual([1, 1], [next(), next()]).

forged() ->
    logbook:clear(),
    _ = py:eval(<<"mailer._erlang.event('send', (mailer.erlang.Atom('init'),"
                  " (mailer.erlang.Atom('stop'), mailer.erlang.Atom('stop'))), True)">>),
    _ = logbook:await(fun(Event) ->
        fixture:contains(logbook:text(Event), "allows only pids, not the name 'init'")
    end),
    {ok, true} = py:eval(<<"mailer._erlang.event('send', (to, 7), True)">>, #{to => self()}),
    ?assertEqual(7, next()).

%% ---------------------------------------------------------------------------
%% Waiting

no_tick() ->
    Times = [begin
                 {Ms, {ok, <<"sent">>}} =
                     figure:ours(fun() -> py:call(mailer, outcome, [self()]) end),
                 1 = next(),
                 Ms
             end || _ <- lists:seq(1, 100)],
    figure:show("a call that sends a message", Times),
    ?assert(figure:median(Times) =< ?ROUND).

%% A worker whose send waits for this process, which has its fill.
waiting(Fun) ->
    Receiver = idle(),
    Ref = py:spawn_call(mailer, until_refused, [Receiver], #{}, #{timeout => infinity}),
    fixture:wait_until(fun() -> queue_length(Receiver) >= ?SEND_LIMIT end),
    timer:sleep(30),
    Fun(Receiver),
    exit(Receiver, kill),
    ?assertEqual({ok, <<"the process is dead">>}, py:await(Ref)).

urgent() ->
    waiting(fun(_) ->
        ?assertMatch(#{workers := [#{busy := false}]}, fixture:memory_stats(default)),
        {ok, Threads} = fixture:stack(1),
        ?assert(lists:member(<<"until_refused">>,
                             [F || #{frames := Frames} <- Threads, #{function := F} <- Frames]))
    end).

send_limit() ->
    Receiver = idle(),
    Ref = py:spawn_call(mailer, numbers, [Receiver, 500], #{}, #{timeout => infinity}),
    fixture:wait_until(fun() -> queue_length(Receiver) >= ?SEND_LIMIT end),
    timer:sleep(200),
    ?assertEqual(?SEND_LIMIT, queue_length(Receiver)),
    ?assertEqual(lists:seq(0, 499), read(Receiver, 500)),
    ?assertEqual({ok, <<"sent">>}, py:await(Ref)).

others_go_on() ->
    Stuck = idle(),
    Self = self(),
    {ok, _} = py:call(mailer, in_background, [until_refused, Stuck]),
    fixture:wait_until(fun() -> queue_length(Stuck) >= ?SEND_LIMIT end),
    {ok, <<"sent">>} = py:call(mailer, numbers, [Self, 40]),
    ?assertEqual(lists:seq(0, 39), [next() || _ <- lists:seq(1, 40)]),
    ok = py:exec(<<"print('a line')">>),
    _ = logbook:await(fun(Event) -> logbook:text(Event) =:= <<"a line">> end),
    exit(Stuck, kill).

%% Sixty-four threads, 256 KiB each: the VM keeps what is in the window, a message
%% more, and what Python has written meanwhile.
bounded() ->
    Stuck = idle(),
    erlang:garbage_collect(),
    Before = erlang:memory(binary),
    {ok, _} = py:eval(<<"[mailer.in_background('pairs', to, 100, 1 << 18) for _ in range(64)]">>,
                      #{to => Stuck}),
    fixture:wait_until(fun() -> queue_length(Stuck) >= ?SEND_LIMIT end),
    timer:sleep(200),
    Parked = erlang:memory(binary) - Before - (?SEND_LIMIT bsl 18),
    tap:note("~b kB beside the messages that have come", [Parked div 1000]),
    ?assert(Parked =< 8_000_000),
    exit(Stuck, kill).

killed_meanwhile() ->
    waiting(fun(_) -> ok end).

timeout_meanwhile() ->
    Receiver = idle(),
    ?assertEqual({error, timeout},
                 py:call(mailer, numbers, [Receiver, 500], #{}, #{timeout => 300})),
    ?assertEqual({ok, <<"sent">>}, py:call(mailer, outcome, [self()])),
    ?assertEqual(1, next()),
    %% What had not been sent is not sent any more.
    ?assertEqual(lists:seq(0, ?SEND_LIMIT - 1), read(Receiver, ?SEND_LIMIT)),
    ?assertNot(is_process_alive(Receiver)).

%% Each of them leaves nothing in the window.
many_timeouts() ->
    Receiver = idle(),
    [?assertEqual({error, timeout},
                  py:call(mailer, pairs, [Receiver, 500, 1 bsl 18], #{}, #{timeout => 100}))
     || _ <- lists:seq(1, 8)],
    ?assertEqual({ok, <<"sent">>}, py:call(mailer, outcome, [self()])),
    ?assertEqual(1, next()),
    exit(Receiver, kill).

no_limit() ->
    with_pool(#{send_limit => infinity}, fun(In) ->
        Receiver = idle(),
        {ok, <<"sent">>} = py:call(mailer, numbers, [Receiver, 1_000], #{}, In),
        ?assertEqual(1_000, queue_length(Receiver)),
        exit(Receiver, kill)
    end).

%% ---------------------------------------------------------------------------
%% Other nodes

%% A host that takes connections and says nothing.
deaf_node() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Socket),
    {Socket, loopback:node_at(Port)}.

%% One thread sends to both: what goes here is not held up.
unreachable() ->
    {Socket, Node} = deaf_node(),
    Self = self(),
    Before = erlang:memory(total),
    Processes = erlang:system_info(process_count),
    logbook:clear(),
    ok = py:exec(<<"import erlang\n"
                   "def both(far, near):\n"
                   "    for n in range(200):\n"
                   "        mailer.pairs(far, 100, 1000)\n"
                   "        erlang.send(near, n)\n">>),
    Ref = py:spawn_call('__main__', both, [loopback:pid_of(Node), Self]),
    ?assertEqual(lists:seq(0, 199), [receive N when is_integer(N) -> N end
                                     || _ <- lists:seq(1, 200)]),
    ?assertEqual({ok, none}, py:await(Ref)),
    Grown = erlang:memory(total) - Before,
    tap:note("the VM grew by ~b kB", [Grown div 1000]),
    ?assert(Grown =< 16_000_000),
    ?assert(erlang:system_info(process_count) - Processes < 20),
    _ = logbook:await(fun(Event) ->
        fixture:contains(logbook:text(Event), "were dropped: there is no connection")
    end),
    ok = gen_tcp:close(Socket).

node_dies() ->
    {Peer, Node} = loopback:peer(),
    Self = self(),
    Far = peer:call(Peer, erlang, spawn, [loopback, forward, [Self]]),
    ?assertEqual(Node, node(Far)),
    {ok, <<"sent">>} = py:call(mailer, numbers, [Far, 300]),
    ?assertEqual(lists:seq(0, 299), [next() || _ <- lists:seq(1, 300)]),
    ok = peer:stop(Peer),
    fixture:wait_until(fun() -> not lists:member(Node, nodes(connected)) end),
    ?assertEqual({ok, <<"sent">>}, py:call(mailer, numbers, [Far, 300])).

remote_queue() ->
    {Peer, Node} = loopback:peer(),
    Far = peer:call(Peer, erlang, spawn, [timer, sleep, [infinity]]),
    ?assertEqual(Node, node(Far)),
    ?assertEqual({ok, <<"sent">>}, py:call(mailer, pairs, [Far, 200, 100_000])),
    fixture:wait_until(fun() ->
        peer:call(Peer, erlang, process_info, [Far, message_queue_len]) =:= {message_queue_len, 200}
    end),
    ok = peer:stop(Peer).

%% ---------------------------------------------------------------------------
%% Beside deadlines

%% The thread that sends keeps the GIL while it encodes: the calls cannot be
%% interrupted then, and that is not what is tested. A worker that decoded the
%% messages would be late with nearly every call; one that a stall of the machine
%% has hit, which its measure has missed, is not the worker's.
deadlines() ->
    with_pool(#{interrupt_grace => 60_000}, fun(In) ->
        Sink = spawn(fun Read() -> receive _ -> Read() end end),
        {ok, _} = py:call(mailer, in_background, [small_integers, Sink, 12, 4_000_000], #{}, In),
        Times = [late(In) || _ <- lists:seq(1, 8)],
        figure:show("late", Times),
        ?assert(figure:percentile(75, Times) =< ?LATE),
        exit(Sink, kill)
    end).

late(In) ->
    {Ms, Result} = figure:ours(fun() ->
        py:call(time, sleep, [0.3], #{}, In#{timeout => 50})
    end),
    ?assertEqual({error, timeout}, Result),
    max(0.0, Ms - 50).

%% ---------------------------------------------------------------------------
%% Children and ends

no_connection() ->
    <<"there is no connection to Erlang any more">>.

path() ->
    filename:join(fixture:tmpdir(), "outcome").

in_child() ->
    Path = list_to_binary(path()),
    ?assertEqual({ok, no_connection()}, py:call(mailer, from_child, [self(), Path])).

in_child_of_encoder() ->
    Path = path(),
    ?assertEqual({ok, <<"sent">>},
                 py:call(mailer, fork_in_encoder, [self(), list_to_binary(Path)])),
    ?assertEqual(<<"parent">>, next()),
    ?assertEqual({ok, no_connection()}, file:read_file(Path)).

same_worker() ->
    ?assertEqual([0], [Restarts || #{restarts := Restarts} <- fixture:workers()]).

at_exit() ->
    Path = path(),
    with_pool(#{}, fun(In) ->
        {ok, _} = py:call(mailer, at_exit, [self(), list_to_binary(Path)], #{}, In)
    end),
    fixture:wait_until(fun() -> filelib:file_size(Path) > 0 end),
    {ok, Outcome} = file:read_file(Path),
    case Outcome =:= no_connection() of
        true -> ok;
        false -> ?assertEqual(<<"sent">>, Outcome), ?assertEqual(1, next())
    end.

ends_meanwhile() ->
    Before = senders(),
    Stuck = idle(),
    with_pool(#{send_limit => 1}, fun(In) ->
        Ref = py:spawn_call(mailer, numbers, [Stuck, 10], #{}, In),
        fixture:wait_until(fun() -> queue_length(Stuck) =:= 1 end),
        [OsPid] = fixture:os_pids(p),
        _ = fixture:kill("KILL", OsPid),
        ?assertMatch({error, {worker_exit, _}}, py:await(Ref)),
        Again = py:spawn_call(mailer, numbers, [Stuck, 10], #{}, In),
        timer:sleep(50),
        ok = py:stop_pool(p, 0),
        ?assertMatch({error, _}, py:await(Again))
    end),
    fixture:wait_until(fun() -> senders() -- Before =:= [] end),
    exit(Stuck, kill).

sender_ends() ->
    Before = senders(),
    Stuck = idle(),
    with_pool(#{send_limit => 1}, fun(In) ->
        [Sender] = senders() -- Before,
        Ref = py:spawn_call(mailer, numbers, [Stuck, 10], #{}, In),
        fixture:wait_until(fun() -> queue_length(Stuck) =:= 1 end),
        exit(Sender, kill),
        ?assertMatch({error, {worker_exit, _}}, py:await(Ref)),
        ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>, #{}, In))
    end),
    exit(Stuck, kill).

%% ---------------------------------------------------------------------------
%% Odd events

odd_record() ->
    [#{pid := Worker}] = fixture:workers(),
    ok = py:exec(<<"import logging, warnings\n"
                   "log = logging.getLogger('odd')\n"
                   "log.handle(logging.LogRecord('odd', 40, None, 0, 'no path', None, None))\n"
                   "log.handle(logging.LogRecord(7, 40, 8, 'x', 'no name', None, None))\n"
                   "log.handle(logging.LogRecord('odd', 40, b'\\xff', -1, 'bytes', None, None))\n"
                   "log.handle(logging.LogRecord('\\ud800', 40, '\\ud800', 2.5, 'odd', None, None))\n"
                   "warnings.showwarning('odd', UserWarning, None, None)\n"
                   "print('it goes on')\n">>),
    _ = logbook:await(fun(Event) -> logbook:text(Event) =:= <<"it goes on">> end),
    [_ = logbook:await(fun(Event) -> fixture:contains(logbook:text(Event), Text) end)
     || Text <- ["no path", "no name", "bytes"]],
    ?assertMatch([#{pid := Worker}], fixture:workers()).

random_events() ->
    [#{pid := Worker}] = fixture:workers(),
    Seed = rand:uniform(1 bsl 30),
    tap:note("seed ~b", [Seed]),
    {ok, _} = py:call(mailer, random_events, [Seed, 5_000]),
    ok = py:exec(<<"print('after the events')">>),
    _ = logbook:await(fun(Event) -> logbook:text(Event) =:= <<"after the events">> end),
    ?assertMatch([#{pid := Worker}], fixture:workers()).
