%% SPDX-License-Identifier: Apache-2.0
%%
%% A table for `make bench' that is over at once: a goal that any machine reaches, one
%% that none reaches, a row that fails, and a plot's points.
-module(tiny_rows).

-export([table/0]).

-spec table() -> [bench_rows:row()].
table() ->
    [row(easy, {ratio, at_most, 9_999}, bench_work:call(), #{}),
     row(hard, {ratio, at_most, 0}, bench_work:call(), #{}),
     row(failing, none, #{floor => fun(_) -> fun() -> error(on_purpose) end end}, #{}),
     row(callers_2, none, bench_work:call(), #{figure => rate, unit => rate, callers => 2,
                                               plot => {callers, 2}}),
     row(callers_4, none, bench_work:call(), #{figure => rate, unit => rate, callers => 4,
                                               plot => {callers, 4}})].

row(Name, Goal, Sides, More) ->
    maps:merge(#{name => Name, title => atom_to_list(Name), in => #{free => Goal}, sides => Sides,
                 figure => latency, unit => time, workers => 1, callers => 1, calls => 8,
                 items => 1, plot => none, meanwhile => fun() -> fun() -> ok end end}, More).
