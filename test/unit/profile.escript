#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_profile_sites and py_profile_flame: samples summed up with their errors, and as
%% a picture.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([table:rows("profile", fun sites/2, profiles()),
             {"all that is known of some workers", fun numbers/0},
             {"the rest is what malloc has beside Python", fun rest/0},
             {"stacks have their outermost frame first", fun stacks/0},
             {"a picture has each frame once", fun picture/0},
             {"names are escaped, and cut where there is no room", fun names/0},
             {"nothing is a picture, too", fun nothing/0}]).

frame(Line) -> #{file => <<"/app/a.py">>, line => Line, function => <<"f">>}.

part(Id, Sites) -> part(Id, Sites, 5000).

part(Id, Sites, Used) ->
    py_profile_sites:part(Id, 100 + Id,
                          #{frames => [frame(1), frame(2), (frame(3))#{file := <<"b.py">>}],
                            sites => Sites, rate => 10 * Id, samples => 2, thinned => 1,
                            missed => 7, unnamed => 0, on => Id =:= 1, raw => 1000}, Used).

options(Options) -> py_args:profile(Options).

sites(Parts, Options) ->
    maps:get(sites, py_profile_sites:profile(Parts, options(Options))).

%% Variances are added, errors are not.
profiles() ->
    One = part(1, [{[0, 2], 10.0, 9.0, 1.5}, {[0], 20.0, 16.0, 2.5}, {[1], 5.0, 0.0, 1.0},
                   {[2], 1.0, 4.0, 1.0}]),
    Two = part(2, [{[0], 70.4, 144.0, 1.0}]),
    A1 = (frame(1))#{bytes => 30, error => 5, count => 4, workers => [1]},
    A2 = (frame(2))#{bytes => 5, error => 0, count => 1, workers => [1]},
    B = (frame(3))#{file => <<"b.py">>, bytes => 1, error => 2, count => 1, workers => [1]},
    [{"nothing", [[], #{}], []},
     {"no site", [[part(1, [])], #{}], []},
     {"by line", [[One], #{}], [A1, A2, B]},
     {"the largest alone", [[One], #{top => 1}], [A1]},
     {"of two workers", [[One, Two], #{top => 1}],
      [A1#{bytes => 100, error => 13, count => 5, workers => [1, 2]}]},
     {"by file", [[One], #{by => file}],
      [#{file => <<"/app/a.py">>, bytes => 35, error => 5, count => 5, workers => [1]},
       #{file => <<"b.py">>, bytes => 1, error => 2, count => 1, workers => [1]}]},
     {"by traceback", [[One], #{by => traceback, top => 2}],
      [#{frames => [frame(1)], bytes => 20, error => 4, count => 3, workers => [1]},
       #{frames => [(frame(3))#{file => <<"b.py">>}, frame(1)], bytes => 10, error => 3,
         count => 2, workers => [1]}]}].

numbers() ->
    Parts = [part(1, [{[0], 10.0, 9.0, 1.0}]), part(2, [{[0], 5.0, 16.0, 1.0}])],
    ?assertMatch(#{bytes := 15, error := 5, samples := 4, thinned := 2, missed := 14, unnamed := 0,
                   on := 1, rate := 20, rest := 8000},
                 py_profile_sites:profile(Parts, options(#{}))).

rest() ->
    Rest = fun(Used) -> maps:get(rest, py_profile_sites:profile(
                                         [part(1, [], U) || U <- Used], options(#{})), none) end,
    ?assertEqual(4000, Rest([5000])),
    ?assertEqual(0, Rest([900])),
    ?assertEqual(4000, Rest([900, 5000])),
    ?assertEqual(none, Rest([5000, unknown])).

stacks() ->
    Profile = py_profile_sites:profile([part(1, [{[0, 1], 9.6, 1.0, 1.0}])], options(#{})),
    ?assertEqual([{[frame(2), frame(1)], 10}], py_profile_sites:stacks(Profile)),
    ?assertEqual([{[frame(2), frame(1)], 10}], py_profile_sites:stacks(maps:get(stacks, Profile))),
    ?assertError(badarg, py_profile_sites:stacks(#{})).

count(Word, Svg) ->
    length(binary:matches(Svg, unicode:characters_to_binary(Word))).

picture() ->
    Svg = py_profile_flame:svg([{[frame(1), frame(2)], 750}, {[frame(1), frame(3)], 250},
                                {[frame(4)], 1}]),
    [?assertEqual(1, count(["data-n=\"f a.py:", N, "\""], Svg)) || N <- ["1", "2", "3"]],
    ?assertEqual(1, count("f /app/a.py:2\n750 B, 74.9 %", Svg)),
    ?assertEqual(0, count("a.py:5", Svg)),
    ?assertEqual(count("<g ", Svg), count("</g>", Svg)),
    ?assertEqual(1, count("</svg>", Svg)),
    %% Less than what is seen.
    Small = py_profile_flame:svg([{[frame(1)], 1_000_000}, {[frame(2)], 1}]),
    ?assertEqual(0, count("a.py:2", Small)).

names() ->
    Odd = #{file => <<"/ü/<a&b>\".py"/utf8>>, line => 1, function => <<"Map<int>.\x{1}go"/utf8>>},
    Svg = py_profile_flame:svg([{[Odd], 10}, {[frame(1)], 90}]),
    ?assertEqual(1, count("Map&lt;int&gt;.?go /ü/&lt;a&amp;b&gt;&quot;.py:1\n10 B, 10.0 %", Svg)),
    ?assertEqual(1, count(">Map&lt;int&gt;.?go &lt;a…<", Svg)),
    ?assertEqual(0, count("int>.", Svg)).

nothing() ->
    ?assertEqual(1, count("data-n=\"all\"", py_profile_flame:svg([]))).
