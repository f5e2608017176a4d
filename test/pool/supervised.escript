#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Pools in supervision trees of the user's own (py:start_link/2, py:child_spec/2):
%% they end with their supervisors, in order, and nobody else starts them anew.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-export([init/1]).

main(_) ->
    logger:set_primary_config(level, none),
    tap:run([
        fixture:with_app(#{size => 1}, [
            {"a pool of one's own is a pool", fun is_pool/0},
            {"its supervisor ends it in order", fun in_order/0},
            {"a supervisor that gives it little time ends it all the same", fun little_time/0},
            {"it ends with whoever has started it", fun starter_dies/0},
            {"killed, its supervisor starts it anew, nobody else does", fun killed/0},
            {"its processes are started anew inside it", fun inside/0},
            {"a name is given once", fun names/0},
            {"what is wrong leaves nothing and kills nobody", fun wrong/0},
            {"whoever stops it by its name gets a fresh one", fun stopped/0},
            {"a stop during its start", 60_000, fun stop_during_start/0},
            {"a start during a stop waits for its end", fun start_during_stop/0},
            {"many want one name: one gets it", 60_000, fun race/0},
            {"its name outlives the process that gives names", fun giver_dies/0},
            {"its options are in no specification", fun secret/0},
            {"nothing is left of all this", fun nothing_left/0}
        ]),
        {"it ends when the application stops", fun application_stops/0},
        {"it ends when the application dies", fun application_dies/0},
        {"no default pool", fun no_default/0}
    ]).

%% The user's supervisor.
init({Flags, Children}) ->
    {ok, {Flags, Children}}.

supervisor(Children) ->
    supervisor(#{}, Children).

supervisor(Flags, Children) ->
    process_flag(trap_exit, true),
    supervisor:start_link(?MODULE, {Flags, Children}).

own() -> own(#{}).

own(Options) -> py:child_spec(own, maps:merge(#{size => 1}, Options)).

stop(Sup) ->
    exit(Sup, shutdown),
    receive {'EXIT', Sup, Reason} -> Reason end.

pool(Sup) ->
    {_, Pool, supervisor, _} = lists:keyfind({py, own}, 1, supervisor:which_children(Sup)),
    Pool.

eval(Code) ->
    py:eval(Code, #{}, #{pool => own}).

%% Nobody waits until it is known that the pool's supervisor has ended.
is_gone() ->
    fixture:wait_until(fun() -> eval(<<"1">>) =:= {error, {no_pool, own}} end),
    ?assertEqual([default], py:pools()).

%% Of a process that was linked, or would have been.
told_of_its_end() ->
    receive {'EXIT', _, normal} -> ok end.

process(Fun) ->
    Self = self(),
    spawn(fun() -> Self ! {self(), Fun()} end).

result(Pid) ->
    receive {Pid, Result} -> Result end.

%% ---------------------------------------------------------------------------

is_pool() ->
    {ok, Sup} = supervisor([own()]),
    Pool = pool(Sup),
    ?assertEqual([default, own], py:pools()),
    ?assertEqual({ok, 2}, eval(<<"1 + 1">>)),
    ?assertMatch(#{name := own, size := 1}, py:info(own)),
    ?assertEqual(ok, py:restart_workers(own)),
    ?assert(lists:member(Sup, element(2, process_info(Pool, links)))),
    ?assertEqual(false, lists:keyfind({pool, own}, 1, supervisor:which_children(py_sup))),
    ?assertEqual(shutdown, stop(Sup)),
    is_gone().

%% What is under way is finished, what is new is refused, atexit functions run.
in_order() ->
    File = filename:join(fixture:tmpdir(), "ended"),
    Init = ["import atexit, time; atexit.register(open, '", File, "', 'w')"],
    {ok, Sup} = supervisor([own(#{init => iolist_to_binary(Init), drain => 60_000})]),
    Long = process(fun() -> eval(<<"time.sleep(1) or 7">>) end),
    fixture:wait_until(fun() -> [busy] =:= [State || #{state := State} <- fixture:workers(own)] end),
    exit(Sup, shutdown),
    New = fun() -> py:eval(<<"1">>, #{}, #{pool => own, timeout => 20}) end,
    fixture:wait_until(fun() -> New() =:= {error, {stopping, own}} end),
    ?assertEqual({ok, 7}, result(Long)),
    receive {'EXIT', Sup, Reason} -> ?assertEqual(shutdown, Reason) end,
    ?assert(filelib:is_file(File)),
    is_gone().

little_time() ->
    {ok, Sup} = supervisor([#{id => pool, start => {py, start_link, [own, #{size => 1}]},
                              shutdown => brutal_kill}]),
    [OsPid] = fixture:os_pids(own),
    ?assertEqual(shutdown, stop(Sup)),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    is_gone().

starter_dies() ->
    Self = self(),
    Starter = spawn(fun() ->
        Self ! {started, py:start_link(own, #{size => 1})},
        receive stop -> ok end
    end),
    Pool = receive {started, {ok, Pid}} -> Pid end,
    Monitor = monitor(process, Pool),
    exit(Starter, kill),
    receive {'DOWN', Monitor, process, Pool, Reason} -> ?assertEqual(killed, Reason) end,
    is_gone().

killed() ->
    {ok, Sup} = supervisor([own()]),
    Pool = pool(Sup),
    ok = py:exec_all(<<"defined = 1">>, #{pool => own}),
    exit(Pool, kill),
    fixture:wait_until(fun() -> lists:member(eval(<<"1">>), [{ok, 1}]) end),
    ?assertNotEqual(Pool, pool(Sup)),
    ?assertMatch({ok, []}, py:definitions(own)),
    ?assertEqual(shutdown, stop(Sup)),
    is_gone().

%% As in any pool: definitions are kept, and its supervisor does not notice.
inside() ->
    {ok, Sup} = supervisor([own()]),
    Pool = pool(Sup),
    ok = py:exec_all(<<"defined = 8">>, #{pool => own}),
    {ok, Board} = py_pool_board:find(own),
    {ok, Pid} = py_pool_board:pool(Board),
    exit(Pid, kill),
    fixture:wait_until(fun() -> eval(<<"defined">>) =:= {ok, 8} end),
    ?assertEqual(Pool, pool(Sup)),
    ?assertEqual(shutdown, stop(Sup)),
    is_gone().

names() ->
    {ok, Sup} = supervisor([own()]),
    Taken = {error, {already_started, pool(Sup)}},
    ?assertEqual(Taken, py:start_pool(own, #{size => 1})),
    ?assertEqual(Taken, py:start_link(own, #{size => 1})),
    told_of_its_end(),
    ?assertEqual({ok, 1}, eval(<<"1">>)),
    ?assertEqual(shutdown, stop(Sup)),
    {ok, Pool} = py:start_pool(own, #{size => 1}),
    ?assertEqual({error, {already_started, Pool}}, py:start_link(own, #{size => 1})),
    told_of_its_end(),
    ?assertEqual({ok, 1}, eval(<<"1">>)),
    ?assertEqual(ok, py:stop_pool(own)),
    is_gone().

%% Also a process that traps no exits hears of it, and no message is left to it.
wrong() ->
    ?assertError(badarg, py:start_link("own", #{})),
    ?assertError(badarg, py:child_spec("own", #{})),
    Results = result(process(fun() ->
        [{py:start_link(own, #{size => 0}),
          py:start_link(own, #{size => 1, init => <<"1 / 0">>}),
          process_info(self(), messages)} || _ <- [1]]
    end)),
    [{BadOption, BadInit, Messages}] = Results,
    ?assertMatch({error, {badarg, {option, size, _}}}, BadOption),
    ?assertMatch({error, {python_start, _}}, BadInit),
    ?assertEqual({messages, []}, Messages),
    is_gone().

stopped() ->
    {ok, Sup} = supervisor([own()]),
    Pool = pool(Sup),
    ok = py:exec_all(<<"defined = 1">>, #{pool => own}),
    ?assertEqual(ok, py:stop_pool(own)),
    fixture:wait_until(fun() -> eval(<<"1">>) =:= {ok, 1} end),
    ?assertNotEqual(Pool, pool(Sup)),
    ?assertEqual({ok, []}, py:definitions(own)),
    ok = supervisor:terminate_child(Sup, {py, own}),
    is_gone(),
    {ok, _} = supervisor:restart_child(Sup, {py, own}),
    ?assertEqual({ok, 1}, eval(<<"1">>)),
    ?assertEqual(shutdown, stop(Sup)),
    is_gone().

stop_during_start() ->
    Slow = #{size => 1, init => <<"import time; time.sleep(600)">>},
    Starter = process(fun() -> py:start_link(own, Slow) end),
    fixture:wait_until(fun() -> is_map(py:info(own)) end),
    ?assertEqual(ok, py:stop_pool(own, 0)),
    ?assertMatch({error, {_, own}}, result(Starter)),
    is_gone().

start_during_stop() ->
    Slow = #{size => 1, init => <<"import atexit, time; atexit.register(time.sleep, 0.7)">>},
    {ok, Old} = py:start_pool(own, Slow),
    Stopper = process(fun() -> py:stop_pool(own) end),
    fixture:wait_until(fun() -> element(1, py_pool_board:open(own)) =:= error end),
    {ok, Sup} = supervisor([own()]),
    ?assertNot(is_process_alive(Old)),
    ?assertEqual(ok, result(Stopper)),
    ?assertEqual({ok, 1}, eval(<<"1">>)),
    ?assertEqual(shutdown, stop(Sup)),
    is_gone().

race() ->
    [race_once() || _ <- lists:seq(1, 5)].

race_once() ->
    Starts = [fun() -> py:start_link(own, #{size => 1}) end,
              fun() -> py:start_pool(own, #{size => 1}) end],
    Self = self(),
    Pids = [spawn(fun() ->
                      receive start -> ok end,
                      Self ! {self(), (lists:nth(N rem 2 + 1, Starts))()},
                      receive stop -> ok end
                  end) || N <- lists:seq(1, 20)],
    [Pid ! start || Pid <- Pids],
    Results = [result(Pid) || Pid <- Pids],
    [Pool] = [Pool || {ok, Pool} <- Results],
    ?assertEqual(19, fixture:count(fun(R) -> R =:= {error, {already_started, Pool}} end, Results)),
    ?assertEqual(ok, py:stop_pool(own)),
    [exit(Pid, kill) || Pid <- Pids],
    is_gone().

giver_dies() ->
    {ok, Sup} = supervisor([own()]),
    Old = whereis(py_pools),
    exit(Old, kill),
    fixture:wait_until(fun() -> not lists:member(whereis(py_pools), [undefined, Old]) end),
    ?assertEqual({error, {already_started, pool(Sup)}}, py:start_pool(own, #{size => 1})),
    ?assertEqual({ok, 1}, eval(<<"1">>)),
    exit(pool(Sup), kill),
    fixture:wait_until(fun() -> eval(<<"1">>) =:= {ok, 1} end),
    ?assertEqual(shutdown, stop(Sup)),
    is_gone().

secret() ->
    {ok, Sup} = supervisor([own(#{env => [{"PASSWORD", "hush-hush"}], init => <<"hush = 1">>})]),
    {ok, Spec} = supervisor:get_childspec(Sup, {py, own}),
    Shown = io_lib:format("~p ~p", [Spec, sys:get_state(Sup)]),
    ?assertEqual(nomatch, string:find(Shown, "hush")),
    ?assertEqual({ok, <<"hush-hush">>}, eval(<<"__import__('os').environ['PASSWORD']">>)),
    ?assertEqual(shutdown, stop(Sup)).

nothing_left() ->
    ?assertEqual([default], py_pool_board:names()),
    fixture:wait_until(fun() -> length(fixture:ports()) =:= 1 end),
    receive {'EXIT', _, _} = Message -> error(Message) after 0 -> ok end.

%% ---------------------------------------------------------------------------

application_stops() ->
    {ok, _} = application:ensure_all_started(py),
    {ok, Sup} = supervisor([(own())#{restart => temporary}]),
    Pool = pool(Sup),
    ?assertEqual(ok, application:stop(py)),
    ?assertNot(is_process_alive(Pool)),
    ?assertEqual([], supervisor:which_children(Sup)),
    ?assertEqual([], py_pool_board:names()),
    ?assertEqual({error, {not_started, py}}, py:start_link(own, #{})),
    told_of_its_end(),
    fixture:wait_until(fun() -> fixture:ports() =:= [] end),
    ?assertEqual(shutdown, stop(Sup)).

application_dies() ->
    {ok, _} = application:ensure_all_started(py),
    {ok, Sup} = supervisor([(own())#{restart => temporary}]),
    Pool = pool(Sup),
    Monitor = monitor(process, Pool),
    exit(whereis(py_sup), kill),
    receive {'DOWN', Monitor, process, Pool, Reason} -> ?assertEqual(shutdown, Reason) end,
    fixture:wait_until(fun() -> fixture:ports() =:= [] end),
    ?assertEqual([], py:pools()),
    ?assertEqual(shutdown, stop(Sup)),
    fixture:wait_until(fun() -> not lists:keymember(py, 1, application:which_applications()) end).

no_default() ->
    [ok = application:set_env(py, Key, Value)
     || {Key, Value} <- [{size, 0}, {pools, [{some, [{size, 1}]}]}]],
    {ok, _} = application:ensure_all_started(py),
    ?assertEqual([some], py:pools()),
    ?assertEqual({error, {no_pool, default}}, py:eval(<<"1">>)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, #{pool => some})),
    ?assertEqual(ok, application:stop(py)).
