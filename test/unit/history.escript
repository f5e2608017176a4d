#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_history and what py_mem_history makes of it: samples that get fewer with
%% their age, a slope, and when a limit is reached.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"all of the last half minute is kept", fun recent/0},
        {"what is older gets fewer, and is in order", fun older/0},
        {"it is bounded for ever", fun bounded/0},
        table:rows("slope", fun py_pool_history:slope/1, slopes()),
        table:rows("of a worker", fun py_mem_history:of_worker/4, workers())
    ]).

%% A sample each second, whose number is its size.
history(N) ->
    lists:foldl(fun(I, History) -> py_pool_history:add(1000 * I, I, History) end,
                py_pool_history:new(), lists:seq(1, N)).

samples(N) ->
    py_pool_history:samples(history(N)).

recent() ->
    [?assertEqual([{1000 * I, I} || I <- lists:seq(max(1, N - 29), N)],
                  lists:nthtail(max(0, length(samples(N)) - 30), samples(N)))
     || N <- [0, 1, 2, 29, 30, 31, 59, 60, 61, 1000]].

%% No gap is larger than twice the age allows.
older() ->
    [begin
         Samples = samples(N),
         ?assertEqual(lists:usort(Samples), Samples),
         ?assert(element(2, hd(Samples)) =< 1 + N div 2),
         Gaps = lists:zipwith(fun({_, A}, {_, B}) -> {N - A, B - A} end,
                              lists:droplast(Samples), tl(Samples)),
         [?assert(Gap =< max(1, Age div 15)) || {Age, Gap} <- Gaps]
     end || N <- [100, 1000, 10_000, 100_000]].

bounded() ->
    {Most, _} = lists:foldl(fun(I, {Most, History}) ->
        Next = py_pool_history:add(I, I, History),
        case I rem 1000 of
            0 -> {max(Most, length(py_pool_history:samples(Next))), Next};
            _ -> {Most, Next}
        end
    end, {0, py_pool_history:new()}, lists:seq(1, 1_000_000)),
    tap:note("at most ~b of a million samples", [Most]),
    ?assert(Most =< 12 * 60).

slopes() ->
    [{"of nothing", [[]], unknown},
     {"of one sample", [[{0, 5}]], unknown},
     {"of one moment", [[{7, 5}, {7, 6}]], unknown},
     {"of two samples", [[{0, 5}, {1000, 15}]], {ok, 10}},
     {"of what stays", [[{0, 5}, {1000, 5}, {2000, 5}]], {ok, 0}},
     {"of what shrinks", [[{0, 50}, {2000, 10}]], {ok, -20}},
     {"of a straight line with gaps", [[{1000 * T, 3 * T} || T <- [1, 2, 5, 9, 33]]], {ok, 3}},
     {"of what goes up and down", [[{0, 0}, {1000, 30}, {2000, 0}, {3000, 30}]], {ok, 6}}].

workers() ->
    Two = [{0, 100}, {1000, 200}],
    [{"never seen", [[], #{}, infinity, 1500], #{samples => []}},
     {"seen once", [[{1000, 5}], #{rss => 9}, infinity, 1500], #{samples => [{500, 5}]}},
     {"without a limit", [Two, #{}, infinity, 1000],
      #{samples => [{1000, 100}, {0, 200}], slope => 100}},
     {"with one", [Two, #{rss => 700}, infinity, 1000],
      #{samples => [{1000, 100}, {0, 200}], slope => 100, limit => 700, reaches_limit_in => 5000}},
     {"a moment later", [Two, #{rss => 700}, infinity, 1400],
      #{samples => [{1400, 100}, {400, 200}], slope => 100, limit => 700, reaches_limit_in => 4600}},
     {"which should have been reached", [Two, #{rss => 210}, infinity, 1400],
      #{samples => [{1400, 100}, {400, 200}], slope => 100, limit => 210, reaches_limit_in => 0}},
     {"which was lifted", [Two, #{rss => infinity}, infinity, 1000],
      #{samples => [{1000, 100}, {0, 200}], slope => 100}},
     {"which it will never reach", [[{0, 200}, {1000, 100}], #{rss => 700}, infinity, 1000],
      #{samples => [{1000, 200}, {0, 100}], slope => -100, limit => 700}},
     {"the last second only", [[{-500, 1} | Two], #{}, 1000, 1000],
      #{samples => [{1000, 100}, {0, 200}], slope => 100}}].
