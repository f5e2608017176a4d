#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What comes back after real work (py/loads.py): of a pool that gives memory back
%% by itself at least as much as malloc_trim gives back when it is called by hand.
%% The log has the table. What needs a library that is not installed is left out.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MB, 1_000_000).

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {["what comes back: ", Load], 300_000, fun() -> returns(Load) end} || Load <- loads()
    ])).

%% All of them: which can run here, the worker's Python has to say.
loads() ->
    ["blocks", "text", "documents", "cycles", "buffers", "packed", "threads", "arrays", "formulas",
     "pages"].

returns(Load) ->
    fixture:unless_sanitized(),
    {ok, Available} = py:call(loads, available, []),
    lists:member(list_to_binary(Load), Available) orelse tap:skip("its library is not installed"),
    #{start := Start, worked := Worked, trimmed := ByHand} = Figures = by_hand(Load),
    ByItself = by_itself(Load, Figures),
    tap:note("MB: ~b at first, ~b after the work, ~b trimmed by hand, ~b by itself",
             [N div ?MB || N <- [Start, Worked, ByHand, ByItself]]),
    ?assert(is_as_good(ByItself, Load, Figures)).

%% Two programs do not end up with the same, but what comes back by hand comes back by
%% itself, but for one part in so many.
is_as_good(ByItself, Load, #{worked := Worked, trimmed := ByHand}) ->
    (ByItself - ByHand) * part(Load) =< max(0, Worked - ByHand) + part(Load) * ?MB.

%% Threads that parse at the same time leave other pieces behind each time.
part("threads") -> 2;
part(_) -> 50.

by_hand(Load) ->
    in_pool(never, fun(Call) ->
        Start = rss(),
        {ok, _} = Call(loads, run, [list_to_binary(Load)]),
        Worked = rss(),
        {ok, _} = Call(gc, collect, []),
        {ok, _} = py:eval(<<"__import__('ctypes').CDLL(None).malloc_trim(0)">>, #{}, #{pool => p}),
        #{start => Start, worked => Worked, trimmed => rss()}
    end).

%% It is idle then, which nothing has to wait for but this.
by_itself(Load, Figures) ->
    in_pool([idle], fun(Call) ->
        {ok, _} = Call(loads, run, [list_to_binary(Load)]),
        {ok, _} = py:gc(p),
        fixture:wait_until(fun() -> is_as_good(rss(), Load, Figures) end),
        rss()
    end).

in_pool(Trim, Fun) ->
    Options = #{size => 1, trim => Trim, init => <<"import loads">>,
                python_path => fixture:python_path(), timeout => 120_000},
    {ok, _} = py:start_pool(p, Options),
    try
        Fun(fun(Module, Function, Args) -> py:call(Module, Function, Args, #{}, #{pool => p}) end)
    after
        ok = py:stop_pool(p)
    end.

rss() ->
    {ok, #{rss := Rss}} = py:memory_stats({p, 1}),
    Rss.
