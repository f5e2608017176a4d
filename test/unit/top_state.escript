#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_top_state: what is asked, what is learnt, and what keys do.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"what is asked", fun asked/0},
        {"calls in a second", fun rates/0},
        {"samples of a minute, those of before in front", fun samples/0},
        {"the order of workers", fun order/0},
        {"keys that choose", fun choose/0},
        {"a worker is looked into, and left", fun look_into/0},
        {"functions", fun functions/0},
        {"one pool only", fun only/0},
        {"no worker", fun none/0},
        {"pause, help, quit", fun others/0},
        {"no answer, and one again", fun trouble/0}
    ]).

worker(Id, Calls, Rss) ->
    #{id => Id, os_pid => 100 + Id, state => idle, calls => Calls, rss => Rss, growth => -Rss,
      limits => #{rss => 1000}, left => #{rss => 1000 - Rss}}.

pools(Calls) ->
    [#{name => a, workers => [worker(1, Calls, 10), worker(2, 2 * Calls, 30)]},
     #{name => b, workers => [(worker(3, 0, 20))#{state => busy}]}].

fresh() ->
    py_top_state:heard(overview, pools(0), 1000, py_top_state:new(n@h)).

typed(Keys, S) ->
    lists:foldl(fun(Key, State) -> {ok, Next} = py_top_state:key(Key, State), Next end, S, Keys).

ids(S) -> [Id || #{id := Id} <- py_top_state:rows(S)].

id(S) -> {ok, #{id := Id}} = py_top_state:chosen(S), Id.

tags(S) -> [Tag || {Tag, _} <- py_top_state:questions(S)].

asked() ->
    ?assertEqual([overview], tags(py_top_state:new(n@h))),
    S = fresh(),
    ?assertEqual([overview, {history, a}, {history, b}], tags(S)),
    Seeded = lists:foldl(fun(Pool, T) -> py_top_state:heard({history, Pool}, {error, x}, 1000, T) end,
                         S, [a, b]),
    ?assertEqual([overview], tags(Seeded)),
    %% Only a worker that is busy is asked for its stack.
    ?assertEqual([overview], tags(typed([home, enter], Seeded))),
    Busy = typed([home, down, enter], Seeded),
    ?assertEqual([{overview, {py_mem, overview, []}}, {stack, {py, stack, [{b, 3}]}}],
                 py_top_state:questions(Busy)).

rates() ->
    S = py_top_state:heard(overview, pools(30), 3000, fresh()),
    ?assertEqual([30, 0, 15], [py_top_state:rate(Row, S) || Row <- py_top_state:rows(S)]),
    [#{workers := [First | _]} = A | _] = pools(0),
    Replaced = [A#{workers := [First#{os_pid => 999, calls => 7}]}],
    Next = py_top_state:heard(overview, Replaced, 4000, S),
    ?assertEqual([0], [py_top_state:rate(Row, Next) || Row <- py_top_state:rows(Next)]).

samples() ->
    S = fresh(),
    [_, _, #{id := 1} = Row] = py_top_state:rows(S),
    ?assertEqual([{1000, 10}], py_top_state:samples(Row, S)),
    History = {ok, #{workers => [#{os_pid => 101, samples => [{5000, 7}, {2000, 8}, {0, 9}]}]}},
    Seeded = py_top_state:heard({history, a}, History, 1500, S),
    ?assertEqual([{1000, 10}, {-500, 8}, {-3500, 7}], py_top_state:samples(Row, Seeded)),
    Later = py_top_state:heard(overview, pools(0), 58_000, Seeded),
    ?assertEqual([{58_000, 10}, {1000, 10}, {-500, 8}], py_top_state:samples(Row, Later)).

order() ->
    S = py_top_state:heard(overview, pools(30), 3000, fresh()),
    [?assertEqual({Key, Ids}, {Key, ids(typed([Key], S))})
     || {Key, Ids} <- [{$m, [2, 3, 1]}, {$g, [1, 3, 2]}, {$c, [2, 1, 3]}, {$l, [2, 3, 1]},
                       {$n, [1, 2, 3]}, {$x, [2, 3, 1]}]].

choose() ->
    S = typed([$n], fresh()),
    [?assertEqual({Keys, Id}, {Keys, id(typed(Keys, S))})
     || {Keys, Id} <- [{[], 1}, {[down], 2}, {[$j, $j], 3}, {[down, down, down], 3}, {[up], 1},
                       {['end'], 3}, {['end', $k], 2}, {[page_down], 3}, {['end', page_up], 1},
                       {['end', home], 1}]],
    %% The choice is a worker, wherever it stands.
    ?assertEqual(2, id(typed([down, $m], S))).

look_into() ->
    S = typed([home, enter], fresh()),
    ?assertMatch(#{view := worker}, S),
    {ask, details, {py, memory_stats, [{a, 2}, #{detail := true}]}, S} = py_top_state:key($d, S),
    Known = py_top_state:heard(details, {ok, #{pss => 1}}, 0, S),
    ?assertMatch(#{details := #{pss := 1}}, Known),
    ?assertMatch(#{details := none, view := worker}, typed([down], Known)),
    ?assertMatch(#{details := none, view := workers}, typed([escape], Known)),
    Stack = py_top_state:heard(stack, {ok, []}, 0, S),
    ?assertMatch(#{stack := {ok, []}}, Stack),
    ?assertMatch(#{stack := none}, py_top_state:heard(overview, pools(0), 1, Stack)).

functions() ->
    S = typed([$f], fresh()),
    ?assertMatch([{functions, {py_mem, top, [a, memory, _]}}], py_top_state:questions(S)),
    ?assertMatch([{functions, {py_mem, top, [a, time, _]}}], py_top_state:questions(typed([$f], S))),
    ?assertMatch([{functions, {py_mem, top, [b, memory, _]}}],
                 py_top_state:questions(typed([$\t, $\t], S))),
    ?assertMatch(#{functions := {ok, []}}, py_top_state:heard(functions, {ok, []}, 0, S)).

only() ->
    ?assertEqual([2, 1], ids(typed([$\t], fresh()))),
    ?assertEqual([3], ids(typed([$\t, $\t], fresh()))),
    ?assertEqual([2, 3, 1], ids(typed([$\t, $\t, $\t], fresh()))).

none() ->
    S = py_top_state:new(n@h),
    ?assertEqual(none, py_top_state:chosen(S)),
    ?assertMatch(#{view := workers}, typed([down, enter, up], S)),
    ?assertMatch([{functions, {py_mem, top, [default, memory, _]}}],
                 py_top_state:questions(typed([$f], S))).

others() ->
    S = fresh(),
    ?assertEqual([], py_top_state:questions(typed([$p], S))),
    ?assertEqual(tags(S), tags(typed([$p, $p], S))),
    ?assertMatch(#{view := help}, typed([$h], S)),
    ?assertMatch(#{view := workers}, typed([$h, $q], S)),
    ?assertEqual(quit, py_top_state:key($q, S)),
    ?assertEqual(quit, py_top_state:key(quit, typed([enter], S))).

trouble() ->
    S = py_top_state:failed("gone", fresh()),
    ?assertMatch(#{trouble := "gone", pools := [_, _]}, S),
    ?assertMatch(#{trouble := none}, py_top_state:heard(overview, pools(0), 1, S)).
