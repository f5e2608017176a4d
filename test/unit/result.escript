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
        table:rows("decode", fun py_result:decode/1, frames()),
        table:rows("a part", fun py_result:results/1, parts())
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

%% One that cannot be decoded here is an error by itself.
parts() ->
    Part = fun(N, Bytes) -> <<131, 104, 2, 98, 1:32, 104, 3, 119, 4, "part", 98, 0:32, 105, N:32, Bytes/binary>> end,
    One = <<104, 2, 119, 2, "ok", 97, 1>>,
    Unknown = <<104, 2, 119, 2, "ok", 119, 9, "!nowhere!">>,
    Raised = <<104, 2, 119, 5, "error", 104, 2, 109, 10:32, "ValueError", 109, 2:32, "no">>,
    [{"results", [Part(2, <<One/binary, Raised/binary>>)], [{ok, 1}, {error, {'ValueError', <<"no">>}}]},
     {"an atom that does not exist", [Part(3, <<One/binary, Unknown/binary, One/binary>>)],
      [{ok, 1}, {error, {unknown_atom, <<"!nowhere!">>}}, {ok, 1}]},
     {"what is no term", [Part(2, <<One/binary, 0>>)],
      [{ok, 1}, {error, {badarg, <<"the reply cannot be decoded on this node">>}}]}].
