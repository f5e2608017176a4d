#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_quarantine: functions that cost workers their memory.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        table:rows("refused", fun refused/2, rows()),
        {"what is lifted has cost nothing", fun lifted/0},
        {"all may be lifted", fun all/0},
        {"what is known goes on", fun known/0}
    ]).

refused(Limit, Costs) ->
    py_pool_quarantine:refused(cost(Costs, py_pool_quarantine:new(Limit, #{}))).

cost(Costs, Q) ->
    lists:foldl(fun({What, Why}, Acc) -> py_pool_quarantine:cost(What, Why, Acc) end, Q, Costs).

%% {what, [the option, what has cost a worker and how], what is refused}
rows() ->
    F = {<<"m">>, <<"f">>, 1},
    [{"nothing", [1, []], []},
     {"one is enough", [1, [{{m, f, 1}, oom}]], [{F, oom}]},
     {"one is not enough", [2, [{{m, f, 1}, oom}]], []},
     {"names of either kind", [2, [{{m, f, 1}, oom}, {{<<"m">>, f, 1}, heap}]], [{F, heap}]},
     {"another arity", [2, [{{m, f, 1}, oom}, {{m, f, 2}, oom}]], []},
     {"an operation", [1, [{eval, memory_errors}]], [{eval, memory_errors}]},
     {"it was at nothing", [1, [{none, oom}]], []},
     {"without the option", [infinity, [{{m, f, 1}, oom}]], []}].

two() ->
    cost([{{m, f, 0}, oom}, {{m, g, 0}, oom}], py_pool_quarantine:new(1, #{})).

lifted() ->
    Q = py_pool_quarantine:lift({<<"m">>, f, 0}, two()),
    ?assertEqual([{{<<"m">>, <<"g">>, 0}, oom}], py_pool_quarantine:refused(Q)),
    ?assertEqual(Q, py_pool_quarantine:lift(eval, Q)).

all() ->
    ?assertEqual(#{}, py_pool_quarantine:known(py_pool_quarantine:lift(all, two()))).

known() ->
    Q = py_pool_quarantine:new(3, py_pool_quarantine:known(two())),
    ?assertEqual([], py_pool_quarantine:refused(Q)),
    ?assertMatch([{{<<"m">>, <<"f">>, 0}, heap}],
                 py_pool_quarantine:refused(cost([{{m, f, 0}, heap}, {{m, f, 0}, heap}], Q))).
