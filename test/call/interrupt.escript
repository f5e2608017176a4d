#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Interrupts: what they interrupt, what they leave in peace, and that none of
%% the standard library's locks stays taken, at whatever moment they come.
%% TIMEOUTS is how many of these moments there are.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% How long an interrupted call has (ms), and how long one may take that does not
%% resist: half of it, and some time for two signals.
-define(GRACE, 1_000).
-define(SOON, (?GRACE / 2 + 200)).

main(_) ->
    Settings = #{size => 1, interrupt_grace => ?GRACE,
                 init => <<"import os, time, wedge, locks">>},
    tap:run(fixture:with_app(Settings, logbook:kept([
        [stays(What, fun() -> no_lock(Function) end) || {What, Function} <- takers()],
        [stays(What, fun() -> blocked(Function) end) || {What, Function} <- blocks()],
        [stays(What, fun() -> cleans_up(Function) end) || {What, Function} <- clean_ups()],
        stays("an exception that __del__ swallows is raised again", fun swallowed_in_del/0),
        stays("one that `except' swallows is raised again", fun swallowed/0),
        stays("code of logging is interrupted after half of the grace", fun half_grace/0),
        stays("generators in generators", fun nested/0),
        stays("the step of a stream that is no generator", fun closing/0),
        stays("a stream that is cancelled while it works", fun stream_cancelled/0),
        {"a worker that keeps the import lock is replaced", fun spoilt/0},
        {"a worker that keeps a handler's lock is replaced", fun spoilt_handler/0},
        {"what waits for a spoilt worker runs in its successor", fun spoilt_waiting/0},
        {"a spoilt worker whose successor cannot start", fun spoilt_for_good/0}
    ]))).

%% The worker is the same one afterwards.
stays(What, Test) ->
    {What, 600_000, fun() ->
        Before = os_pid(),
        Test(),
        ?assertEqual(Before, os_pid())
    end}.

os_pid() ->
    {ok, OsPid} = py:eval(<<"os.getpid()">>),
    OsPid.

%% ---------------------------------------------------------------------------
%% No lock is left

takers() ->
    [{["no lock is left: ", What], Function}
     || {What, Function} <- [
         {"imports of one module", import_one}, {"imports of many", import_many},
         {"logging", log}, {"loggers and handlers", make_loggers},
         {"queue", put_and_get}, {"condition variables", wait_for_condition},
         {"events and semaphores", wait_for_event}, {"threads", start_threads},
         {"executors", use_executor}, {"subprocess", run_processes}]].

no_lock(Function) ->
    Times = list_to_integer(os:getenv("TIMEOUTS", "900")) div length(takers()),
    Taken = [Names || _ <- lists:seq(1, Times), Names <- [interrupted(Function)], Names =/= []],
    tap:note("~b timeouts", [Times]),
    ?assertEqual([], Taken).

interrupted(Function) ->
    ?assertEqual({error, timeout}, py:call(locks, Function, [], #{}, 4 + rand:uniform(30))),
    {ok, Names} = py:call(locks, taken, []),
    Names.

%% ---------------------------------------------------------------------------
%% What is interrupted, and what is not

blocks() ->
    [{["is interrupted: ", What], Function}
     || {What, Function} <- [{"Queue.get", get}, {"Event.wait", wait}, {"Thread.join", join},
                             {"Future.result", result}, {"subprocess.run", child}]].

blocked(Function) ->
    Ms = until_free(Function),
    tap:note("over after ~.1f ms", [Ms]).

%% How long a call goes on when it is cancelled.
until_free(Function) ->
    Ref = py:spawn_call(locks, Function, []),
    timer:sleep(100),
    {Ms, _} = figure:within(?SOON, fun() -> ok = py:cancel(Ref), os_pid() end),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    Ms.

clean_ups() ->
    [{["cleans up in peace: ", What], Function}
     || {What, Function} <- [{"finally", clean_up_finally}, {"except", clean_up_except},
                             {"with", clean_up_with}, {"what finally calls", clean_up_callee}]].

cleans_up(Function) ->
    ?assertEqual({error, timeout}, py:call(locks, Function, [], #{}, 50)),
    ?assertEqual([<<"cleaned up">>], seen()).

seen() ->
    {ok, Seen} = py:call(locks, seen, []),
    Seen.

file() ->
    filename:join(fixture:tmpdir(), "there").

swallowed_in_del() ->
    File = file(),
    Ref = py:spawn_call(locks, swallow_in_del, [list_to_binary(File)]),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    ?assertEqual([<<"went on">>], seen()).

swallowed() ->
    ?assertEqual({error, timeout}, py:call(locks, swallow_some, [3], #{}, 50)),
    ?assertEqual(lists:duplicate(3, <<"swallowed">>), seen()).

%% Not at once, but in time: the worker stays.
half_grace() ->
    ?assert(until_free(as_logging) >= ?GRACE / 2).

nested() ->
    ?assertEqual({error, timeout}, py:eval(<<"list(locks.nested(3))">>, #{}, 50)),
    ?assertEqual([<<"cleaned up">> | lists:duplicate(3, <<"closed">>)], seen()).

closing() ->
    ?assertEqual({error, timeout}, py:stream_eval(<<"locks.Closing()">>, #{}, 50)),
    ?assertEqual([<<"cleaned up">>], seen()).

stream_cancelled() ->
    {ok, Stream} = py:stream_open({locks, nested, [2]}, #{chunk => 2, timeout => 100}),
    ?assertEqual({ok, [1, 2]}, py:stream_next(Stream)),
    ?assertEqual({error, timeout}, py:stream_next(Stream)),
    ?assertEqual([<<"cleaned up">>, <<"closed">>, <<"closed">>], seen()).

%% ---------------------------------------------------------------------------
%% A worker that is spoilt all the same

spoilt() ->
    replaced(fun() -> timeout = spoil(#{}) end),
    warned("the import lock").

spoilt_handler() ->
    replaced(fun() -> {error, timeout} = py:call(locks, take_handler, [], #{}, 50) end),
    warned("the lock of a StreamHandler").

spoil(In) ->
    {error, timeout} = py:call(locks, take_import_lock, [], #{}, In#{timeout => 50}),
    timeout.

replaced(Spoil) ->
    logbook:clear(),
    Before = os_pid(),
    Spoil(),
    fixture:wait_until(fun() -> os_pid() =/= Before end),
    fixture:wait_until(fun() -> not fixture:is_running(Before) end).

warned(Lock) ->
    #{meta := #{worker := 1, pool := _, os_pid := _}} = logbook:await(fun(#{level := Level} = Event) ->
        Level =:= warning andalso fixture:contains(logbook:text(Event), Lock)
    end).

spoilt_waiting() ->
    replaced(fun() ->
        Refs = [py:spawn_call(locks, take_import_lock, [], #{}, 50)
                | [py:spawn_call(math, sqrt, [N * N]) || N <- lists:seq(1, 20)]],
        [First | Rest] = [py:await(Ref) || Ref <- Refs],
        ?assertEqual({error, timeout}, First),
        ?assertEqual([{ok, float(N)} || N <- lists:seq(1, 20)], Rest)
    end).

%% It ends instead, and its slot is filled as after any death.
spoilt_for_good() ->
    File = file(),
    Init = ["import locks, os\nassert not os.path.exists('", File, "')"],
    {ok, _} = py:start_pool(other, #{size => 1, python_path => [fixture:python_path()],
                                     init => iolist_to_binary(Init)}),
    ok = file:write_file(File, <<>>),
    [Before] = fixture:os_pids(other),
    timeout = spoil(#{pool => other}),
    fixture:wait_until(fun() -> not fixture:is_running(Before) end),
    ok = file:delete(File),
    fixture:wait_until(fun() -> py:eval(<<"1">>, #{}, #{pool => other}) =:= {ok, 1} end),
    ok = py:stop_pool(other).
