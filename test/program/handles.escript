#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Objects that are kept, over a plain port.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"objects that are kept, and their numbers", fun kept/0}
    ]).

%% Only the number matters; and what comes instead of one that is not there is no other.
kept() ->
    Port = raw:open(),
    {kept, One} = raw:ask(Port, {keep, {eval, <<"[1]">>, #{}}}),
    {kept, Two} = raw:ask(Port, {keep, {call, builtins, list, [], #{}}}),
    ?assert(One =/= Two andalso lists:all(fun(N) -> N >= 1 bsl 63 andalso N < 1 bsl 64 end, [One, Two])),
    Handle = {py_handle, One, any, [thing, self()]},
    ?assertEqual({ok, none}, raw:ask(Port, {method, Handle, append, [2], #{}})),
    ?assertEqual({ok, [1, 2]}, raw:ask(Port, {value, Handle})),
    ?assertEqual({ok, [1, 2, [1, 2]]}, raw:ask(Port, {call, operator, add, [Handle, [Handle]], #{}})),
    {kept, Same} = raw:ask(Port, {keep, {value, Handle}}),
    {ok, [{<<"list">>, _, 3, Age}]} = raw:ask(Port, kept),
    fixture:wait_until(fun() -> {ok, [{_, _, 3, Older}]} = raw:ask(Port, kept), Older >= Age + 50 end),
    ?assertMatch({ok, #{type := <<"list">>}}, raw:ask(Port, {describe, Handle})),
    ?assertEqual(ok, raw:ask(Port, {release, [One, 7, Two, One]})),
    ?assertEqual({ok, [1, 2]}, raw:ask(Port, {value, setelement(2, Handle, Same)})),
    [?assertMatch({error, {badarg, <<"object: there is no such object", _/binary>>}},
                  raw:ask(Port, {value, setelement(2, Handle, N)}))
     || N <- [One, Same + 1, 1 bsl 63, 1 bsl 70, -(1 bsl 63) - 1, 1 bsl 2039]],
    [?assertMatch({error, {badarg, _}}, raw:ask(Port, Wrong))
     || Wrong <- [{keep, {exec, <<"1">>}}, {keep, 7}, {keep, {}}, {release, 7}, {release, [a]},
                  {method, Handle, 7, [], #{}}, {keep, {keep, {value, 1}}}]],
    ?assertMatch({error, {'ZeroDivisionError', _}}, raw:ask(Port, {keep, {eval, <<"1 / 0">>, #{}}})),
    raw:close(Port).
