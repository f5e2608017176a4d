#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The heap's profile under load: threads, forked children, tracing, collection, code
%% that comes and goes, while somebody looks and switches. No worker ends, and what
%% the samples say of blocks that are counted is as right as it says. SOAK_SECONDS
%% says for how long.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(ROUND, 4).
-define(BLOCKS, 20_000).

main(_) ->
    Options = #{size => 2, python_path => [fixture:python_path()], timeout => 120_000,
                init => <<"import profiled">>, recycle => #{memory_errors => 1000},
                profile => #{rate => 4096, samples => 1000, per_second => 10_000}},
    tap:run(fixture:with_app(Options, [
        {"no worker ends, and estimates are right", infinity, fun soak/0}
    ])).

seconds() ->
    list_to_integer(os:getenv("SOAK_SECONDS", "8")).

soak() ->
    Before = fixture:os_pids(),
    Looker = spawn_link(fun() -> look(0) end),
    Errors = [Error || _ <- lists:seq(1, max(1, seconds() div ?ROUND)),
                       Error <- round([1, 2], Looker)],
    ?assertEqual(Before, fixture:os_pids()),
    {ok, #{thinned := Thinned, missed := Missed, unnamed := 0}} = py_profile:heap(default),
    tap:note("~b estimates, off by ~.2f standard errors in the mean, ~.2f squared; ~b looks, "
             "~b thinned, ~b missed", [length(Errors), mean(Errors), mean([E * E || E <- Errors]),
                                       looks(Looker), Thinned, Missed]),
    ?assert(lists:all(fun(Error) -> abs(Error) < 5 end, Errors)),
    ?assert(abs(mean(Errors)) < 4 / math:sqrt(length(Errors))).

mean(Numbers) -> lists:sum(Numbers) / length(Numbers).

%% Both workers have their load at the same time; then both are compared.
round(Ids, Looker) ->
    Asked = [py:spawn_call(profiled, work, [?ROUND], #{}, #{pool => {default, Id}}) || Id <- Ids],
    [?assertEqual({ok, []}, py:await(Request)) || Request <- Asked],
    ok = ask(Looker, wait),
    Errors = [error_of({default, Id}) || Id <- Ids],
    ok = ask(Looker, go),
    Errors.

%% How many standard errors an estimate is off.
error_of(Worker) ->
    ok = py_profile:start(Worker),
    fixture:wait_until(fun() -> is_calm(Worker) end, 60_000),
    ok = py_profile:mark(Worker),
    {ok, Exact} = py:call(profiled, keep, [?BLOCKS], #{}, #{pool => Worker}),
    {ok, #{sites := Sites}} = py_profile:heap(Worker, #{since => mark, top => 1000}),
    [#{bytes := Bytes, error := Error}] =
        [Site || #{function := Function} = Site <- Sites,
                 binary:match(Function, <<"<genexpr>">>) =/= nomatch],
    (Bytes - Exact) / Error.

%% The rate comes down again when there is little to do.
is_calm(Worker) ->
    {ok, _} = py:call(profiled, drop, [], #{}, #{pool => Worker}),
    {ok, #{rate := Rate}} = py_profile:heap(Worker),
    Rate =< 32768.

%% ---------------------------------------------------------------------------
%% Somebody who looks all the time

look(N) ->
    receive
        {From, wait} -> From ! {self(), ok}, paused(N);
        {From, looks} -> From ! {self(), N}
    after 20 ->
        Target = {default, rand:uniform(2)},
        looked(rand:uniform(8), Target),
        look(N + 1)
    end.

paused(N) ->
    receive {From, go} -> From ! {self(), ok}, look(N) end.

looked(1, Target) -> ok = py_profile:stop(Target);
looked(2, Target) -> ok = py_profile:mark(Target);
looked(3, Target) -> {ok, _} = py:gc(Target);
looked(4, Target) -> true = py:stack(Target) =/= {error, no_worker};
looked(5, Target) -> {ok, Profile} = py_profile:heap(Target), draw(Profile);
looked(6, _) -> {ok, _} = py_profile:heap(default, #{by => traceback, since => mark});
looked(_, Target) -> ok = py_profile:start(Target).

draw(Profile) ->
    ok = py_profile:flame(Profile, filename:join(fixture:tmpdir(), "soak.svg")).

ask(Looker, What) ->
    Looker ! {self(), What},
    receive {Looker, Answer} -> Answer end.

looks(Looker) -> ask(Looker, looks).
