#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pace: a crowd is kept together if that is not slower, which is tried less and less
%% often as long as it is.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        table:rows("together in the end", fun together/1, crowds()),
        {"the pause doubles, up to a limit", fun pause/0},
        {"a trial that was worth it ends the long pauses", fun worth_it/0},
        {"what is worth it is compared less and less often, up to a limit", fun stay/0},
        {"until it is not worth it any more", fun short_stay/0}
    ]).

%% {What, {calls a second, how many under way, at which moment (ms)}, whether together}
crowds() ->
    Slow = fun(Moments) -> [{5_999, 9, Now} || Now <- Moments] end,
    [{What, [begun(Rate, UnderWay) ++ Seen], Together} || {What, Rate, UnderWay, Seen, Together} <-
        [{"at first", 0, 0, [], false},
         {"few calls", 1_999, 9, [], false},
         {"many calls", 2_000, 1, [], true},
         {"as fast as apart", 9_000, 9, [{9_000, 9, 125}, {9_000, 9, 150}, {9_000, 9, 175}], true},
         {"a little slower", 9_000, 9, [{6_000, 9, 125}, {6_000, 9, 150}, {6_000, 9, 175}], true},
         {"much slower, twice", 9_000, 9, Slow([125, 150]), true},
         {"much slower, now and then", 9_000, 9, Slow([125, 150]) ++ [{9_000, 9, 175}] ++ Slow([200]), true},
         {"much slower", 9_000, 9, Slow([125, 150, 175]), false},
         {"much slower, because nobody wants more", 9_000, 9, [{10, 2, N} || N <- [125, 150, 175]], true},
         {"much slower, while those that were apart are answered", 9_000, 900,
          [{10, 900, N} || N <- [125, 150, 175, 199]], true},
         {"much slower, once they are", 9_000, 900, [{10, 900, N} || N <- [200, 225, 250]], false},
         {"much slower, after half a second", 2_000, 9_000, [{10, 9_000, N} || N <- [600, 625, 650]], false},
         {"before the pause has ended", 9_000, 9, Slow([125, 150, 175]) ++ [{9_000, 9, 274}], false},
         {"after the pause", 9_000, 9, Slow([125, 150, 175]) ++ [{9_000, 9, 275}], true},
         {"when it is time to compare", 9_000, 9, [{9_000, 9, 2_100}], false},
         {"once that is done", 9_000, 9, [{9_000, 9, 2_100}, {9_000, 9, 2_200}], true},
         {"compared with what is possible now", 9_000, 9,
          [{9_000, 9, 2_100}] ++ [{90_000, 9, N} || N <- [2_150, 2_200]] ++ Slow([2_225, 2_250, 2_275]),
          false}]].

%% Apart at this rate until it is tried, with so many under way.
begun(Rate, UnderWay) ->
    [{Rate, UnderWay, N} || N <- lists:seq(-300, 100, 25)].

%% The same for as long as it takes until the mean is this rate.
begun() ->
    seen(begun(9_000, 9), new()).

%% Of two workers.
new() -> py_pace:new(2, 0).

slow(Now, Pace) ->
    seen([{10, 9, Now}, {10, 9, Now}, {10, 9, Now}], Pace).

together(Seen) ->
    py_pace:is_together(seen(Seen, new())).

seen(Seen, Pace) ->
    lists:foldl(fun({Rate, UnderWay, Now}, P) -> py_pace:next(Rate, UnderWay, Now, P) end, Pace, Seen).

%% When it is tried again, each time in vain, if it may be at any moment.
pause() ->
    Trials = trials(0, 60_000, new()),
    Pauses = lists:zipwith(fun(A, B) -> B - A end, lists:droplast(Trials), tl(Trials)),
    ?assertEqual([101, 201, 401, 801, 1601, 3201, 6401, 12801, 12801, 12801], Pauses).

trials(Now, End, _) when Now > End ->
    [];
trials(Now, End, Pace) ->
    Tried = py_pace:next(9_000, 9, Now, Pace),
    case py_pace:is_together(Tried) of
        true -> [Now | trials(Now + 1, End, slow(Now + 1, Tried))];
        false -> trials(Now + 1, End, Tried)
    end.

%% How long they are together each time, if they may be at any moment.
stay() ->
    ?assertEqual([2000, 4000, 8000, 16000, 32000, 64000, 64000], stays(0, 200_000, 0, new())).

stays(Now, End, _, _) when Now > End ->
    [];
stays(Now, End, Since, Pace) ->
    Next = py_pace:next(9_000, 9, Now, Pace),
    case {py_pace:is_together(Pace), py_pace:is_together(Next)} of
        {false, true} -> stays(Now + 1, End, Now, Next);
        {true, false} -> [Now - Since | stays(Now + 1, End, Since, Next)];
        _ -> stays(Now + 1, End, Since, Next)
    end.

%% They have been compared, and are together again.
compared() ->
    seen([{9_000, 9, 2_100}, {9_000, 9, 2_200}, {9_000, 9, 2_201}], begun()).

short_stay() ->
    Short = seen([{9_000, 9, 2_403}], slow(2_202, compared())),
    ?assert(py_pace:is_together(py_pace:next(9_000, 9, 4_402, Short))),
    ?assertNot(py_pace:is_together(py_pace:next(9_000, 9, 4_403, Short))).

worth_it() ->
    Twice = slow(302, seen([{9_000, 9, 301}], slow(101, begun()))),
    ?assertNot(py_pace:is_together(py_pace:next(9_000, 9, 501, Twice))),
    Again = slow(2_202, compared()),
    ?assertNot(py_pace:is_together(py_pace:next(9_000, 9, 2_301, Again))),
    ?assert(py_pace:is_together(py_pace:next(9_000, 9, 2_302, Again))).
