#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The program's samples of its heap, without the application.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% Of a heap of some megabytes more than these can be samples, at first.
-define(SAMPLES, 10_000).
-define(ARGS, ["--profile", "64,10000,1000000"]).

main(_) ->
    tap:run([
        {"without it there is nothing to say", fun off/0},
        {"what the samples say", fun samples/0},
        {"none is taken while it is switched off", fun switched/0},
        {"a limit that comes later, above which tracing is on", fun limit/0},
        {"arguments that are none", fun arguments/0},
        {"a wrong option", fun usage/0}
    ]).

run(Args, Requests) ->
    Frames = [raw:frame({N, Request})
              || {N, Request} <- lists:zip(lists:seq(1, length(Requests)), Requests)],
    #{code := 0, replies := Replies} = raw:run(Args, Frames),
    [Reply || {_, Reply} <- lists:keysort(1, Replies)].

off() ->
    ?assertEqual([{ok, none}, {ok, none}, {ok, none}],
                 run([], [{heap_profile, false}, profile_mark, {profile_switch, true}])).

%% The estimate is as good as it says, which is good enough to be of use.
samples() ->
    with_program(?ARGS, fun(Ask) ->
        ok = Ask({exec, <<"def make():\n    return [bytes(1000) for _ in range(10_000)]\nkept = make()">>}),
        {ok, Exact} = Ask({eval, <<"sum(map(__import__('sys').getsizeof, [kept, *kept]))">>, #{}}),
        {ok, #{sites := Sites, frames := Frames, rate := Rate, samples := N, thinned := Thinned,
               missed := Missed, unnamed := Unnamed, on := true, raw := Raw}} =
            Ask({heap_profile, false}),
        tap:note("~b samples at a rate of ~b, ~b were thinned; missed ~b, unnamed ~b, raw ~b",
                 [N, Rate, Thinned, Missed, Unnamed, Raw]),
        ?assert(Rate > 64 andalso N > 0 andalso N =< ?SAMPLES andalso Thinned > 0),
        ?assert(Raw > Exact),
        {Made, Variance} = made(Sites, Frames),
        Error = math:sqrt(Variance),
        ?assert(abs(Made - Exact) < 6 * Error),
        ?assert(Error < Exact / 10),
        {ok, true} = Ask(profile_mark),
        ok = Ask({exec, <<"del kept">>}),
        {ok, #{sites := Since}} = Ask({heap_profile, true}),
        ?assert(lists:sum([Bytes || {_, Bytes, _, _} <- Since]) < Exact / 10)
    end).

%% What the function's line has made.
made(Sites, Frames) ->
    Rows = [{Bytes, Variance}
            || {[Innermost | _], Bytes, Variance, Count} <- Sites,
               true = Bytes > 0 andalso Variance >= 0 andalso Count >= 1,
               #{file := <<"<exec", _/binary>>, line := 2} <- [lists:nth(Innermost + 1, Frames)]],
    {Bytes, Variances} = lists:unzip(Rows),
    {lists:sum(Bytes), lists:sum(Variances)}.

switched() ->
    with_program(?ARGS, fun(Ask) ->
        {ok, true} = Ask({profile_switch, false}),
        {ok, true} = Ask(profile_mark),
        ok = Ask({exec, <<"kept = [bytes(1000) for _ in range(1000)]">>}),
        ?assertMatch({ok, #{sites := [], frames := [], on := false}}, Ask({heap_profile, true})),
        {ok, true} = Ask({profile_switch, true}),
        ok = Ask({exec, <<"more = [bytes(1000) for _ in range(1000)]">>}),
        ?assertMatch({ok, #{sites := [_ | _], on := true}}, Ask({heap_profile, true}))
    end).

limit() ->
    with_program(?ARGS, fun(Ask) ->
        ok = Ask(tracemalloc_start),
        ok = Ask({set_memory, #{heap => 100_000_000}}),
        {error, {'MemoryError', _}} = Ask({exec, <<"bytes(200_000_000)">>}),
        ok = Ask({exec, <<"kept = [bytes(1000) for _ in range(1000)]">>}),
        {ok, #{sites := [_ | _]}} = Ask(traced),
        {ok, #{sites := [_ | _]}} = Ask({heap_profile, false})
    end).

with_program(Args, Fun) ->
    Port = raw:open(Args),
    try Fun(fun(Request) -> raw:ask(Port, Request) end) after raw:close(Port) end.

arguments() ->
    [?assertMatch([{error, {badarg, _}}], run([], [Request]))
     || Request <- [heap_profile, {heap_profile, 1}, {profile_switch, maybe_on}, {profile_mark, 1}]].

usage() ->
    [begin
         #{code := 64, stderr := Text} = raw:run(["--profile", Value], <<>>),
         ?assert(fixture:contains(Text, "--profile"))
     end || Value <- ["", "much", "63,100,100", "64,15,100", "64,100,0", "64,100", "64,100,100,1",
                      "64,65537,1", "64,100,1x"]].
