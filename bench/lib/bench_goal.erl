%% SPDX-License-Identifier: Apache-2.0
%%
%% Pure. Goals, and whether a result reaches them.
-module(bench_goal).

-export([verdict/2, text/2]).
-export_type([goal/0, verdict/0]).

%% What must hold of the ratio to the floor, or of the value itself, where load does not
%% change it.
-type goal() :: none | {ratio | value, at_most | at_least, number()}.
-type verdict() :: none | met | missed.

%% Of pyport's median. A row without a floor has no ratio, so it misses such a goal.
-spec verdict(goal(), #{value := number(), ratio := number() | none}) -> verdict().
verdict(none, _) -> none;
verdict({ratio, _, _}, #{ratio := none}) -> missed;
verdict({Of, How, Limit}, Measured) -> holds(How, maps:get(Of, Measured), Limit).

holds(at_most, Number, Limit) when Number =< Limit -> met;
holds(at_least, Number, Limit) when Number >= Limit -> met;
holds(_, _, _) -> missed.

%% As a person reads it: values have units.
-spec text(goal(), fun((number()) -> unicode:chardata())) -> unicode:chardata().
text(none, _) -> "";
text({ratio, How, Limit}, _) -> [sign(How), io_lib:format("~.2f", [float(Limit)])];
text({value, How, Limit}, Shown) -> [sign(How), Shown(Limit)].

sign(at_most) -> "≤ ";
sign(at_least) -> "≥ ".
