#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_top_view and what it shows: every line as wide as the screen, as many as it has,
%% and what stands in them.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        table:rows("fit", fun py_top_view:fit/2, fits()),
        table:rows("spark", fun py_top_view:spark/4, sparks()),
        {"each picture fills the screen, whatever its size", fun sizes/0},
        {"all workers", fun all/0},
        {"the one that was chosen is on the screen", fun chosen/0},
        {"once, for a pipe", fun once/0},
        {"one worker", fun one/0},
        {"a worker that starts", fun starting/0},
        {"functions", fun functions/0},
        {"names that tell the terminal what to do", fun hostile/0},
        {"no answer", fun trouble/0}
    ]).

fits() ->
    [{"shorter", ["ab", 4], "ab  "}, {"as long", ["abcd", 4], "abcd"},
     {"longer", ["abcde", 4], "abc~"}, {"no room", ["abc", 0], ""}].

sparks() ->
    [{"nothing", [[], 3, 0, true], "   "},
     {"one that stays", [[{0, 100}, {-60_000, 100}], 3, 0, true], "▁▁▁"},
     {"growth", [[{0, 200}, {-30_000, 150}, {-59_000, 100}], 3, 0, true], "▁▄█"},
     {"a little more", [[{0, 101}, {-59_000, 100}], 2, 0, true], "▁▁"},
     {"since a moment", [[{0, 100}], 3, 0, true], "  ▁"},
     {"what lies between two looks", [[{0, 200}, {-59_000, 100}], 4, 0, true], "▁▁▁█"},
     {"without more than ASCII", [[{0, 200}, {-59_000, 100}], 2, 0, false], "_#"}].

worker(Id) ->
    #{id => Id, os_pid => 100 + Id, state => idle, calls => 10 * Id, rss => Id * 10_000_000,
      peak => 500_000_000, swap => 0, baseline => 10_000_000, growth => Id * 1_000_000,
      uptime => 7_300_000, running => none, in_flight => 0, streams => 0, restarts => 1,
      python => <<"3.11.2">>, age => 1500,
      gc_stats => [#{<<"collections">> => N} || N <- [20, 2, 0]],
      gc_pauses => [#{count => 1, longest => 1500, total => 1500}],
      limits => #{rss => 1_000_000_000, heap => 300_000_000},
      left => #{rss => 1_000_000_000 - Id * 10_000_000}}.

pool(Name, Ids) ->
    #{name => Name, size => length(Ids), queue => #{waiting => 3, max => 10}, memory => #{},
      recycled => #{}, quarantined => [], workers => [worker(Id) || Id <- Ids]}.

%% 3 pools with 40 workers.
state() ->
    [Default, Pdf, Maths] = [pool(default, lists:seq(1, 24)), pool(pdf, lists:seq(25, 32)),
                             pool(maths, lists:seq(33, 40))],
    Busy = (worker(40))#{state => busy, running => {<<"layout">>, <<"render">>, 2}},
    Pools = [Default#{memory => #{budget => 2_000_000_000}, recycled => #{rss => 2, age => 1}}, Pdf,
             Maths#{workers => [worker(Id) || Id <- lists:seq(33, 39)] ++ [Busy]}],
    py_top_state:heard(overview, Pools, 1000, py_top_state:new('shop@host')).

screen(Rows, Columns) ->
    #{rows => Rows, columns => Columns, now => 1000, clock => "12:34:56", utf8 => true}.

typed(Keys, S) ->
    lists:foldl(fun(Key, State) -> {ok, Next} = py_top_state:key(Key, State), Next end, S, Keys).

lines(S, Rows, Columns) ->
    [Text || {_, Text} <- py_top_view:lines(S, screen(Rows, Columns))].

trimmed(S, Rows, Columns) ->
    [string:trim(Line, trailing) || Line <- lines(S, Rows, Columns)].

sizes() ->
    [sized(Keys, Rows, Columns)
     || Keys <- [[], [enter], [$h], [$f], ['end'], [$\t]],
        {Rows, Columns} <- [{24, 80}, {50, 132}, {10, 40}, {3, 10}, {100, 300}]].

sized(Keys, Rows, Columns) ->
    Lines = lines(typed(Keys, state()), Rows, Columns),
    ?assertEqual({Keys, Rows}, {Keys, length(Lines)}),
    [?assertEqual({Keys, Columns, Line}, {Keys, string:length(Line), Line}) || Line <- Lines].

all() ->
    [" shop@host  3 pools  40 workers  1 busy  8.2G                          12:34:56",
     " POOL     WORKERS  BUSY  QUEUE  CALLS/S   RSS  BUDGET  RECYCLED  REFUSED",
     " default       24     0      3        0  3.0G    2.0G         3",
     " pdf            8     0      3        0  2.3G",
     " maths          8     1      3        0  2.9G",
     "",
     " POOL       ID STATE  CALLS    /S   *RSS LAST MIN    GROWTH LIMIT    RUNS 0^ 24v",
     " maths      40 busy     400     0 400.0M          ▁  +40.0M rss 40%  layout:ren~"
     | More] = trimmed(state(), 24, 80),
    " q quit " ++ _ = lists:last(More).

chosen() ->
    [reverse] = [Style || {Style, " default     1 " ++ _}
                              <- py_top_view:lines(typed(['end'], state()), screen(24, 80))],
    [reverse] = [Style || {Style, " default    20 " ++ _}
                              <- py_top_view:lines(typed(['end', page_up, page_up | lists:duplicate(1, down)],
                                                         state()), screen(24, 80))].

once() ->
    Lines = py_top_view:lines(state(), screen(infinity, 100)),
    ?assertEqual(6 + 1 + 40, length(Lines)),
    ?assertEqual([], [Line || {reverse, Line} <- tl(Lines)]).

one() ->
    Stack = {ok, [#{thread => <<"MainThread">>,
                    frames => [#{file => <<"/srv/app/layout.py">>, line => 12,
                                 function => <<"render">>, text => <<"  draw(page)">>}]}]},
    S = py_top_state:heard(stack, Stack, 0, typed([home, enter], state())),
    [_, "",
     " worker 40 of pool maths  busy  Python 3.11.2",
     " os pid 140  up 2h  400 calls  0 in hand  0 streams  replaced 1x",
     "",
     " rss 400.0M" ++ _,
     " peak 500.0M  growth +40.0M since it was ready, with 10.0M  swap 0",
     " collections 20/2/0  longest pause 1.5 ms  (1s ago)",
     " limit heap 300.0M",
     " limit rss 1.0G  ########............ 40%",
     "",
     " runs layout:render/2",
     "   MainThread",
     "     render  layout.py:12  draw(page)" | _] = trimmed(S, 24, 80),
    Known = py_top_state:heard(details, {ok, #{diagnosis => c_heap, pss => 5_000_000,
                                               arenas => #{bytes => 2_000_000, unused => 0}}}, 0, S),
    [" mostly c_heap", " pss 5.0M", " arenas 2.0M  unused 0" | _] =
        lists:nthtail(10, trimmed(Known, 24, 80)).

starting() ->
    New = #{id => 1, os_pid => undefined, state => starting, calls => 0, restarts => 2},
    S = py_top_state:heard(overview, [(pool(a, []))#{workers => [New]}], 0, py_top_state:new(n@h)),
    [_, _, _, "", _, " a           1 start      0     0" | _] = trimmed(S, 24, 80),
    [_, "", " worker 1 of pool a  starting  Python ?",
     " os pid ?  up ?  0 calls  0 in hand  0 streams  replaced 2x", "",
     " nothing is known of its memory yet", "", " runs nothing" | _] = trimmed(typed([enter], S), 24, 80).

functions() ->
    S = typed([$f], state()),
    Row = #{what => {<<"shop">>, <<"remember">>}, calls => 10, time => 1_500_000, p50 => 900,
            p99 => 12_000, growth => 2_000_000, peak => 3_000_000, workers => [1, 2]},
    Known = py_top_state:heard(functions, {ok, [Row, Row#{what => other}]}, 0, S),
    [_, "", " functions of pool maths by memory",
     " FUNCTION       CALLS  TIME    P50     P99  GROWTH  PEAK  WORKERS",
     " shop:remember     10  1.5s  900us  12.0ms   +2.0M  3.0M        2",
     " other             10  1.5s  900us  12.0ms   +2.0M  3.0M        2" | _] = trimmed(Known, 24, 80),
    [?assert(lists:any(fun(Line) -> string:find(Line, Text) =/= nomatch end,
                       trimmed(py_top_state:heard(functions, Answer, 0, S), 24, 80)))
     || {Answer, Text} <- [{{error, {not_enabled, bill}}, "bill => true"},
                           {{error, unknown}, "this version"}, {{ok, []}, "no call"},
                           {{error, {no_pool, x}}, "{no_pool,x}"}]].

trouble() ->
    {alarm, " the node is gone" ++ _} =
        lists:last(py_top_view:lines(py_top_state:failed("the node is gone", state()), screen(24, 80))).

hostile() ->
    Name = <<"\e[2J\r\n\x{202e}"/utf8>>,
    Pool = pool(a, []),
    Worker = (worker(1))#{state => busy, running => {Name, Name, 1}},
    S = py_top_state:heard(overview, [Pool#{workers => [Worker]}], 0, py_top_state:new(n@h)),
    Row = #{what => {Name, Name}, calls => 1, time => 1, p50 => 1, p99 => 1, growth => 0, peak => 0,
            workers => [1]},
    Stack = {ok, [#{thread => Name, frames => [#{file => Name, line => 1, function => Name, text => Name}]}]},
    Views = [S, py_top_state:heard(stack, Stack, 0, typed([enter], S)),
             py_top_state:heard(functions, {ok, [Row]}, 0, typed([$f], S)),
             py_top_state:failed(unicode:characters_to_list(Name), S)],
    [?assertEqual([], [C || C <- lists:append(lines(View, 24, 100)), C < $\s orelse C =:= 16#202e])
     || View <- Views].
