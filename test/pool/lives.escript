#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A property of pools, checked by PropEr with random cases: NUMTESTS of them.
-mode(compile).

main(_) ->
    case code:lib_dir(proper) of
        {error, _} -> tap:skip_all("PropEr is not installed (Debian: erlang-proper)");
        _ -> tap:run(fixture:with_app(#{size => 1}, logbook:kept([
                 {"whatever happens to workers, the pool is whole and everybody is answered",
                  1_800_000, fun lives/0}])))
    end.

lives() ->
    Options = [{numtests, list_to_integer(os:getenv("NUMTESTS", "15"))}, quiet, long_result],
    case proper:quickcheck(pool_lives:prop(), Options) of
        true -> ok;
        Counterexample -> error({does_not_hold, Counterexample})
    end.
