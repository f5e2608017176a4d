#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Calls within calls, checked with random programs: NUMTESTS of them (PropEr).
-mode(compile).

main(_) ->
    case code:lib_dir(proper) of
        {error, _} -> tap:skip_all("PropEr is not installed (Debian: erlang-proper)");
        _ -> tap:run(fixture:with_app(nesting:pools(), [
                 {"whatever asks whatever, the value is the program's, and each part runs once", 600_000,
                  fun() -> holds(nesting:prop()) end},
                 {"whoever is killed meanwhile, nothing of it is left, and no part runs twice", 600_000,
                  fun() -> holds(nesting:killed()), nesting:settled() end}]))
    end.

holds(Property) ->
    Numtests = list_to_integer(os:getenv("NUMTESTS", "80")),
    case proper:quickcheck(Property, [{numtests, Numtests}, {max_shrinks, 40}, quiet, long_result]) of
        true -> ok;
        Counterexample -> error({does_not_hold, Counterexample})
    end.
