#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_result: from an answer to what a caller gets.
-mode(compile).

main(_) ->
    ok = py_exception:start(),
    tap:run([
        table:rows("result", fun py_result:result/1, results()),
        table:rows("an error", fun py_result:result/2, failures()),
        table:rows("decode", fun py_result:decode/1, frames())
    ]).

reply(Result) ->
    term_to_binary({1, Result}).

results() ->
    Said = term_to_binary({1, {output, <<"said">>}}),
    Bill = term_to_binary({1, {bill, #{time => 7}}}),
    [{"a reply", [{reply, reply({ok, 1})}], {ok, 1}},
     {"a reply without a value", [{reply, reply(ok)}], ok},
     {"an error that is no reply", [{error, timeout}], {error, timeout}},
     {"a value and what was printed", [{reply, reply({ok, 1}), [Said]}], {ok, 1, <<"said">>}},
     {"no value, and what was printed", [{reply, reply(ok), [Said]}], {ok, <<"said">>}},
     {"an error, and what was printed", [{reply, reply({error, cancelled}), [Said]}],
      {error, cancelled, <<"said">>}},
     {"a value and its bill", [{reply, reply({ok, 1}), [Bill]}], {ok, 1, #{time => 7}}},
     {"no value, what was printed, and the bill", [{reply, reply(ok), [Said, Bill]}],
      {ok, <<"said">>, #{time => 7}}}].

%% {what it is, the options, what becomes of an error that is no reply}
failures() ->
    Error = {error, timeout},
    [{"no option", [Error, #{}], Error},
     {"nothing was printed", [Error, #{capture => true}], {error, timeout, <<>>}},
     {"no bill", [Error, #{bill => true, capture => false}], {error, timeout, #{}}},
     {"neither", [Error, #{bill => true, capture => true}], {error, timeout, <<>>, #{}}}].

frames() ->
    [{"items of a stream", [reply({chunk, [1, 2]})], {ok, [1, 2]}},
     {"the class of an exception is an atom", [reply({error, {<<"ValueError">>, <<"no">>}})],
      {error, {'ValueError', <<"no">>}}},
     {"a reason without a class", [reply({error, {badarg, <<"no">>}})],
      {error, {badarg, <<"no">>}}},
     {"an atom that does not exist is named",
      [<<131, 104, 2, 98, 1:32, 104, 2, 119, 2, "ok", 119, 9, "!nowhere!">>],
      {error, {unknown_atom, <<"!nowhere!">>}}}].
