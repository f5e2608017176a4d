#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Last words: what Python says while its worker ends in order arrives, however
%% that came about; and nobody waits for a worker that does not end.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% Longer than any worker may take to end.
-define(SHUTDOWN, 10_000).

main(_) ->
    Settings = #{size => 1, init => <<"import farewell, wedge">>},
    tap:run(logbook:kept(fixture:with_app(Settings, [
        [arrive(Row) || Row <- ends()],
        {"of a worker that is busy when its time is up", fun busy/0},
        {"a message in the end", fun message/0},
        {"what is too much for the log is counted", fun flood/0},
        {"a crash in the end is in the log, once", fun crash/0},
        [bounded(Row) || Row <- endless()],
        {"nobody waits for a worker that takes its time", fun refused/0},
        {"idle workers end at once", fun at_once/0}
    ]))).

with_pool(Fun) ->
    Options = #{size => 1, python_path => [fixture:python_path()], init => <<"import farewell, wedge">>},
    {ok, _} = py:start_pool(p, Options),
    try Fun(#{pool => p}) after py:stop_pool(p) end.

%% {What, how the worker of pool p is ended}
ends() ->
    [{"py:stop_pool", fun() -> ok = py:stop_pool(p) end},
     {"py:restart_workers", fun() -> ok = py:restart_workers(p) end},
     {"SIGTERM", fun() -> fixture:kill("TERM", hd(fixture:os_pids(p))) end},
     {"application:stop", fun() ->
         ok = application:stop(py),
         {ok, _} = application:ensure_all_started(py)
     end}].

arrive({What, End}) ->
    {["what atexit functions print, log and raise arrives: ", What], fun() ->
        with_pool(fun(In) ->
            {ok, none} = py:call(farewell, words, [<<"plain">>], #{}, In),
            logbook:clear(),
            End(),
            [said(Row) || Row <- words()]
        end)
    end}.

%% {source, level, a part of the text}
words() ->
    [{stdout, notice, <<"plain: printed">>}, {stderr, warning, <<"plain: on stderr">>},
     {logging, error, <<"plain: logged">>}, {warnings, warning, <<"plain: warned">>},
     {unraisable, error, <<"plain: raised">>}, {stdout, notice, <<"plain: without an end">>}].

said({Source, Level, Part}) ->
    #{level := Found} = logbook:await(fun(#{meta := Meta} = Event) ->
        maps:get(source, Meta, none) =:= Source andalso fixture:contains(logbook:text(Event), Part)
    end),
    ?assertEqual({Source, Level}, {Source, Found}).

%% Its call is interrupted, then Python ends in order.
busy() ->
    with_pool(fun(In) ->
        {ok, none} = py:call(farewell, words, [<<"busy">>], #{}, In),
        logbook:clear(),
        Ref = py:spawn_call(wedge, sleep, [], #{}, In),
        fixture:wait_until(fun() -> [busy] =:= [State || #{state := State} <- fixture:workers(p)] end),
        ok = py:stop_pool(p, 0),
        ?assertEqual({error, {worker_exit, shutdown}}, py:await(Ref)),
        said({stdout, notice, <<"busy: printed">>})
    end).

message() ->
    with_pool(fun(In) ->
        Messages = [<<"good bye">>, binary:copy(<<"good bye">>, 100_000)],
        [{ok, none} = py:call(farewell, message, [self(), Message], #{}, In) || Message <- Messages],
        ok = py:stop_pool(p),
        [receive Message -> ok after 10_000 -> error(no_message) end || Message <- Messages]
    end).

%% More than the program may send ahead, and nothing behind it.
flood() ->
    ok = logger:add_handler(slow, logbook, #{sleep => 5}),
    with_pool(fun(In) ->
        logbook:clear(),
        ok = py:exec(<<"import atexit\n"
                       "atexit.register(lambda: [print('x' * 8000) for _ in range(400)])">>, In)
    end),
    ok = logger:remove_handler(slow),
    Dropped = logbook:await(fun(Event) ->
        fixture:contains(logbook:text(Event), "lines were dropped")
    end),
    tap:note("~ts", [logbook:text(Dropped)]).

crash() ->
    with_pool(fun(In) ->
        ok = py:exec(<<"import atexit; atexit.register(wedge.null)">>, In),
        logbook:clear(),
        ok = py:stop_pool(p),
        Is = fun(Event) -> fixture:contains(logbook:text(Event), "sigsegv") end,
        #{level := Level} = Event = logbook:await(Is),
        ?assertEqual(warning, Level),
        ?assert(fixture:contains(logbook:text(Event), "in null")),
        timer:sleep(100),
        ?assertEqual(1, length(logbook:find(Is)))
    end).

%% {What, what Python does in the end}
endless() ->
    [{"an atexit function that sleeps", <<"farewell.slowly(60)">>},
     {"a thread that prints for ever", <<"farewell.print_for_ever()">>},
     {"a thread that sends for ever", <<"farewell.send_for_ever()">>},
     {"an atexit function that keeps the GIL",
      <<"import atexit, ctypes; atexit.register(ctypes.PyDLL(None).sleep, 60)">>},
     {"a program that is stopped", stopped}].

bounded({What, Code}) ->
    {["a stop does not wait for ever: ", What], 60_000, fun() ->
        with_pool(fun(In) ->
            OsPids = fixture:os_pids(p),
            ok = endless(Code, OsPids, In),
            {Ms, ok} = figure:within(?SHUTDOWN, fun() -> py:stop_pool(p) end),
            ?assertEqual([], [Pid || Pid <- OsPids, fixture:is_running(Pid)]),
            tap:note("~.1f ms", [Ms])
        end)
    end}.

endless(stopped, [OsPid], _) -> fixture:kill("STOP", OsPid), ok;
endless(Code, _, In) -> py:exec(Code, In).

%% The one that is replaced is still there when the next one has answered.
refused() ->
    with_pool(fun(In) ->
        ok = py:exec(<<"farewell.slowly(2)">>, In),
        [OsPid] = fixture:os_pids(p),
        ok = py:restart_workers(p),
        {Ms, Bound} = figure:within(500, fun() -> py:eval(<<"1">>, #{}, In) end),
        ?assertEqual({error, {worker_exit, restarted}}, Bound),
        ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, In)),
        ?assert(fixture:is_running(OsPid)),
        tap:note("~.1f ms", [Ms])
    end).

at_once() ->
    Times = [begin
                 {ok, _} = py:start_pool(p, #{size => 2}),
                 {Ms, ok} = figure:ours(fun() -> py:stop_pool(p) end),
                 Ms
             end || _ <- lists:seq(1, 10)],
    figure:show("stop_pool", Times),
    ?assert(figure:median(Times) < 300).
