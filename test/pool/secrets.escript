#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What a pool was given in confidence (environment variables, code, arguments) is
%% in no log, whatever crashes, and in nothing that is shown.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MARKER, "s3cr3t-t0ken").
-define(CODE, <<"token = '" ?MARKER "'">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, logbook:kept([
        {must, "a pool with secrets", fun start/0},
        {"it has them", fun has_them/0},
        {"py:info", fun info/0},
        {"sys:get_status and the children of the supervisors", fun status/0},
        {"a cast that fails", fun cast/0},
        {"messages that make no sense", fun nonsense/0},
        [{["the crash of ", What], 60_000, fun() -> crash(Find, How) end}
         || {What, Find} <- suspects(), How <- [kill, error]],
        {"a request that is no request", fun bad_request/0},
        {"a step that is no step", fun bad_step/0},
        {"a message of Python's that waits for its receiver", fun parked/0},
        {"the death of a program", fun program_dies/0},
        {"a pool that cannot start", fun cannot_start/0},
        {"definitions, restarts and the end of the pool", fun stops/0}
    ]))).

in() -> #{pool => p}.

options() ->
    #{size => 1, env => #{"API_TOKEN" => ?MARKER, "NO_TOKEN" => false},
      init => [?CODE, <<"import time">>], python_path => [fixture:python_path()]}.

start() ->
    {ok, _} = py:start_pool(p, options()),
    ok = py:exec_all([?CODE, "\nx = 1"], in()),
    hidden().

%% The log so far, in every form in which a handler may write it.
hidden() ->
    timer:sleep(200),
    [not_in(Text) || Event <- logbook:all(), Text <- texts(Event)],
    logbook:clear().

texts(Event) ->
    [logger_formatter:format(Event, #{single_line => true}), io_lib:format("~0tp", [Event])].

shown(Term) ->
    not_in(io_lib:format("~0tp", [Term])).

%% Neither as text nor as the bytes of a binary that is no text.
not_in(Text) ->
    Whole = unicode:characters_to_binary(Text),
    Bytes = lists:flatten(lists:join($,, [integer_to_list(Byte) || Byte <- ?MARKER])),
    [?assertEqual(nomatch, string:find(Whole, Form)) || Form <- [?MARKER, Bytes]].

whole() ->
    fixture:wait_until(fun() -> py:eval(<<"1">>, #{}, in()) =:= {ok, 1} end).

%% ---------------------------------------------------------------------------

has_them() ->
    Code = <<"(token, __import__('os').environ['API_TOKEN'])">>,
    ?assertEqual({ok, {<<?MARKER>>, <<?MARKER>>}}, py:eval(Code, #{}, in())).

info() ->
    #{options := Options} = Info = py:info(p),
    shown(Info),
    ?assertMatch(#{env := ["API_TOKEN", "NO_TOKEN"], init := #{pieces := 2, bytes := 33},
                   init_once := #{pieces := 0, bytes := 0}},
                 Options#{env := lists:sort(maps:get(env, Options))}).

%% While a call is under way and others wait.
status() ->
    {ok, Stream} = py:stream_open(<<"(token for _ in range(20))">>, (in())#{chunk => 1}),
    shown(sys:get_status(worker())),
    ok = py:stream_close(Stream),
    Refs = [py:spawn_call(time, sleep, [0.5 + N], #{}, in()) || N <- [0, 0.01]]
        ++ [py:spawn_call(builtins, str, [<<?MARKER>>], #{}, in()) || _ <- lists:seq(1, 20)],
    timer:sleep(50),
    [shown(sys:get_status(Find())) || {_, Find} <- suspects()],
    [shown(sys:get_state(Find())) || {_, Find} <- suspects()],
    [shown({supervisor:which_children(Sup), catch supervisor:get_childspec(py_sup, {pool, p})})
     || Sup <- [py_sup, sup()]],
    [{ok, _} = py:await(Ref) || Ref <- Refs],
    hidden().

suspects() ->
    [{"the pool's process", fun boss/0}, {"a worker", fun worker/0},
     {"the workers' supervisor", fun workers_sup/0}, {"the pool's supervisor", fun sup/0},
     {"the process that starts pools", fun() -> whereis(py_pools) end}].

board() -> {ok, Pool} = py_pool_board:find(p), Pool.
boss() -> {ok, Pid} = py_pool_board:pool(board()), Pid.
workers_sup() ->
    {ok, Sup} = py_pool_board:workers_sup(board()),
    Sup.
worker() -> whole(), [#{pid := Pid}] = fixture:workers(p), Pid.
sup() -> {_, Sup, _, _} = lists:keyfind({pool, p}, 1, supervisor:which_children(py_sup)), Sup.

cast() ->
    ok = py:cast(math, sqrt, [<<?MARKER>>], #{}, in()),
    ok = py:cast(math, no_such_function, [[?MARKER]], #{key => <<?MARKER>>}, in()),
    ok = py:cast(json, loads, [?MARKER], #{}, in()),
    ok = py:cast(os, getcwd, [?MARKER], #{}, (in())#{traceback => true}),
    Events = logbook:await(4, fun is_cast/1),
    Texts = lists:sort([logbook:text(E) || E <- Events]),
    ?assertEqual([<<"json:loads/1">>, <<"math:no_such_function/2">>, <<"math:sqrt/1">>, <<"os:getcwd/1">>],
                 [lists:nth(2, binary:split(Text, <<": ">>, [global])) || Text <- Texts]),
    ?assertMatch(<<"TypeError: ", _/binary>>,
                 string:prefix(lists:last(Texts), "a cast failed: os:getcwd/1: ")),
    hidden().

is_cast(#{msg := {"a cast failed" ++ _, _}}) -> true;
is_cast(_) -> false.

%% They change nothing.
nonsense() ->
    [begin
         Pid = Find(),
         Pid ! nonsense,
         Pid ! {timeout, make_ref(), nonsense},
         gen_server:cast(Pid, nonsense),
         ?assertEqual({error, badarg}, gen_server:call(Pid, nonsense)),
         ?assert(is_process_alive(Pid))
     end || {What, Find} <- suspects(), string:find(What, "supervisor") =:= nomatch],
    hidden().

%% With calls under way whose arguments are secret.
crash(Find, How) ->
    whole(),
    Ref = py:spawn_call(time, sleep, [0.5], #{}, in()),
    More = [py:spawn_call(builtins, str, [<<?MARKER>>], #{}, in()) || _ <- lists:seq(1, 20)],
    timer:sleep(20),
    Pid = Find(),
    Monitor = monitor(process, Pid),
    end_it(How, Pid),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    _ = [py:await(R) || R <- [Ref | More]],
    whole(),
    hidden().

end_it(kill, Pid) ->
    exit(Pid, kill);
end_it(error, Pid) ->
    catch sys:replace_state(Pid, fun(State) -> setelement(2, State, nonsense) end),
    catch sys:terminate(Pid, {internal, error}, 5000).

bad_request() ->
    [crashed_by(worker(), {py_worker, Message})
     || Message <- [{request, nonsense}, {pull, 1, 2, 3, 4}, {pull, make_ref(), x, y}]].

bad_step() ->
    crashed_by(boss(), {py_pool, {ready, [], nonsense, 1}}).

%% Whether it crashes is not promised.
crashed_by(Pid, Message) ->
    Ref = py:spawn_call(time, sleep, [0.2], #{}, in()),
    More = [py:spawn_call(builtins, str, [<<?MARKER>>], #{}, in()) || _ <- lists:seq(1, 20)],
    timer:sleep(20),
    Pid ! Message,
    _ = [py:await(R) || R <- [Ref | More]],
    whole(),
    hidden().

%% A second message waits, and a third one has not been looked at, when the
%% process that sends them crashes.
parked() ->
    {ok, _} = py:start_pool(q, (options())#{send_limit => 1}),
    Receiver = spawn(fun() -> receive stop -> ok end end),
    Code = <<"[__import__('erlang').send(pid, token) for _ in range(2)]">>,
    Ref = py:spawn_call(builtins, eval, [Code, #{<<"pid">> => Receiver, <<"token">> => <<?MARKER>>}],
                        #{}, #{pool => q}),
    Sender = sender(q),
    fixture:wait_until(fun() -> waits(Sender) end),
    [shown(Show(Sender)) || Show <- [fun sys:get_status/1, fun sys:get_state/1]],
    ok = sys:suspend(Sender),
    Frame = term_to_binary({event, send, {Receiver, <<?MARKER>>}}),
    py_talk_sender:message(Sender, byte_size(Frame), py_secret:hide(Frame)),
    shown(process_info(Sender, messages)),
    catch sys:terminate(Sender, {internal, error}, 5000),
    {error, {worker_exit, _}} = py:await(Ref),
    exit(Receiver, kill),
    ok = py:stop_pool(q),
    hidden().

waits(Sender) ->
    string:find(io_lib:format("~p", [sys:get_state(Sender)]), "#Fun<py_secret") =/= nomatch.

sender(Pool) ->
    [#{pid := Worker}] = fixture:workers(Pool),
    {links, Links} = process_info(Worker, links),
    [Sender] = [Pid || Pid <- Links, is_pid(Pid),
                       proc_lib:initial_call(Pid) =:= {py_talk_sender, init, ['Argument__1']}],
    Sender.

program_dies() ->
    _ = py:call(os, abort, [], #{}, in()),
    whole(),
    hidden().

cannot_start() ->
    Options = options(),
    {error, {python_start, Text}} =
        py:start_pool(broken, Options#{init := [?CODE, <<"1/0 # " ?MARKER>>]}),
    ?assertEqual(nomatch, string:find(Text, ?MARKER)),
    [begin
         {error, {python_start, Said}} = py:start_pool(broken, Options#{init := Init}),
         ?assertEqual({Init, nomatch}, {Init, string:find(Said, ?MARKER)})
     end || Init <- [["def load(x):\n    1/0 # " ?MARKER, "load('" ?MARKER "')"],
                     ["= '" ?MARKER "'"], ["'" ?MARKER "', __import__('os').abort()"]]],
    {error, {python_start, _}} = py:start_pool(broken, Options#{cwd => "/nonexistent"}),
    {error, {badarg, {option, init, _}}} = py:start_pool(broken, Options#{init => [?CODE, seven]}),
    hidden().

stops() ->
    {error, _} = py:exec_all([?CODE, "\n1/0"], in()),
    {error, timeout} = py:exec_all([?CODE, "\ntime.sleep(9)"], (in())#{timeout => 50}),
    ok = py:restart_workers(p),
    ok = py:stop_pool(p),
    hidden().
