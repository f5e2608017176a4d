#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Properties, checked by PropEr with random cases: NUMTESTS of them each.
-mode(compile).

main(_) ->
    case code:lib_dir(proper) of
        {error, _} -> tap:skip_all("PropEr is not installed (Debian: erlang-proper)");
        _ -> tap:run(fixture:with_app([holds(Property) || Property <- properties()]))
    end.

properties() ->
    [{"any Erlang term survives the round trip, or is refused as documented", erlang_terms},
     {"any nested Python value becomes its term", python_values}].

holds({What, Module}) ->
    {What, 240_000, fun() ->
        Options = [{numtests, numtests()}, {max_size, 40}, quiet, long_result,
                   {constraint_tries, 500}],
        case proper:quickcheck(Module:prop(), Options) of
            true -> ok;
            Counterexample -> show(Module, Counterexample)
        end
    end}.

numtests() ->
    list_to_integer(os:getenv("NUMTESTS", "1000")).

show(Module, Counterexample) ->
    _ = proper:check(Module:prop(), Counterexample),
    error({does_not_hold, Counterexample}).
