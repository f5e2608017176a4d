#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_wire: frames that are written and read without encoding a term. What is
%% written has to be what term_to_binary writes of the same term; what is read
%% is what the program writes.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        table:rows("a request is", fun request/3, requests()),
        {"a batch is a list of requests, as long as it says", fun batch/0},
        table:rows("it is called", fun py_wire:what/1, names()),
        table:rows("control", fun erlang:binary_to_term/1, controls()),
        table:rows("reply_id", fun py_wire:reply_id/1, ids()),
        table:rows("is_not_started", fun py_wire:is_not_started/1, not_started()),
        table:rows("chunk_items", fun py_wire:chunk_items/1, chunks()),
        table:rows("iterators", fun iterators/2, with_iterators()),
        table:rows("ahead", fun py_wire:ahead/1, ahead()),
        {"what is kept becomes a handle", fun handle/0},
        table:rows("event", fun py_wire:event/1, events()),
        table:rows("message_id", fun py_wire:message_id/1, messages()),
        table:rows("receiver_name", fun py_wire:receiver_name/1, receivers()),
        table:rows("place", fun py_wire:place/1, places()),
        table:rows("large", fun py_wire:large/1, larges()),
        {"a large binary in a request is not copied", fun not_copied/0},
        {"a large binary in a reply is a part of it", fun part_of_it/0},
        {"an answer that is a list of encoded terms", fun answer_list/0},
        {"what is about the shared state", fun about_state/0},
        {"atoms are named once", fun atoms_once/0}
    ]).

request(Id, Op, Opts) ->
    {Arity, Body} = py_wire:body(Op, Opts),
    binary_to_term(iolist_to_binary(py_wire:request(Id, Arity, Body))).

%% Whether something has to be replaced before the others are encoded.
iterators(Op, Opts) -> py_wire:body(Op, Opts) =:= iterators.

with_iterators() ->
    Fun = fun() -> [] end,
    Call = fun(Args, Kwargs) -> {call, m, f, Args, Kwargs} end,
    Eval = fun(Locals) -> {eval, <<"1">>, Locals} end,
    [{What, [Op, Opts], Is}
     || {What, Op, Opts, Is} <-
            [{"a list", Call([{iter, [1]}], #{}), #{}, true},
             {"behind ten others", Call(lists:duplicate(10, 1) ++ [{iter, Fun}], #{}), #{}, true},
             {"a keyword argument", Call([], #{a => 1, b => {iter, []}}), #{}, true},
             {"locals", Eval(#{a => {iter, Fun}}), #{}, true},
             {"locals of an exec", {exec, <<"1">>, #{a => {iter, Fun}}}, #{none => nil}, true},
             {"a stream", {stream, Eval(#{a => {iter, Fun}})}, #{chunk => 1}, true},
             {"a fun that takes something", Call([{iter, fun lists:max/1}], #{}), #{}, true},
             {"a pid", Call([{iter, self()}, [x]], #{}), #{}, false},
             {"tuples that are tuples", Eval(#{a => {iter, [1]}}), #{tags => false}, false},
             {"within another argument", Call([[{iter, [1]}]], #{}), #{}, false},
             {"something else", Call([{iter, 1}, {iter, [1], 1}], #{}), #{}, false},
             {"a result", {ok, {iter, [1]}}, #{}, false}]].

batch() ->
    Ops = [{1, {call, math, sqrt, [4], #{}}}, {2, version}, {3, {eval, binary:copy(<<"x">>, 100_000), #{}}}],
    Parts = [begin {Arity, Body} = py_wire:body(Op, #{}), {Id, Arity, Body, iolist_size(Body)} end
             || {Id, Op} <- Ops],
    Batch = iolist_to_binary(py_wire:batch(Parts)),
    ?assertEqual(Ops, [binary_to_term(Part) || Part <- binary_to_term(Batch)]),
    ?assertEqual(byte_size(Batch), py_wire:batch_head()
                 + lists:sum([py_wire:part_size(Size) || {_, _, _, Size} <- Parts])).

answer_list() ->
    [?assertEqual({reply, 300, {ok, Terms}},
                  binary_to_term(iolist_to_binary(py_wire:answer_list(300, [term_to_binary(Term) || Term <- Terms]))))
     || Terms <- [[], [1], [#{a => <<"b">>}, [1, 2], none]]].

about_state() ->
    [?assertEqual(Is, py_wire:is_about_state(said(Term)))
     || {Is, Term} <- [{true, {state, 300, <<"get">>, [1]}}, {false, {lookup, 300, <<"f">>}},
                       {false, {call, 300, 1, <<"state">>, [], #{}}}]].

requests() ->
    Large = binary:copy(<<"x">>, 100_000),
    [{What, [Id, Op, Opts], Term}
     || {What, Id, Op, Opts, Term} <-
            [{"an atom", 0, version, #{}, {0, version}},
             {"with the largest id", 16#7fffffff, version, #{}, {16#7fffffff, version}},
             {"with options", 7, version, #{max => 1}, {7, version, #{max => 1}}},
             {"a call", 1, {call, math, sqrt, [4], #{}}, #{}, {1, {call, math, sqrt, [4], #{}}}},
             {"a call with keywords", 1, {call, m, f, [], #{a => 1}}, #{},
              {1, {call, m, f, [], #{a => 1}}}},
             {"a call with nested arguments", 1, {call, m, f, [[{1, "x"}]], #{}}, #{},
              {1, {call, m, f, [[{1, "x"}]], #{}}}},
             {"a call with a large argument", 1, {call, m, f, [Large], #{}}, #{t => 1},
              {1, {call, m, f, [Large], #{}}, #{t => 1}}},
             {"an evaluation", 1, {eval, <<"1">>, #{}}, #{}, {1, {eval, <<"1">>, #{}}}},
             {"an evaluation with names", 1, {eval, <<"n">>, #{n => 1}}, #{},
              {1, {eval, <<"n">>, #{n => 1}}}}]].

names() ->
    [{"a function with its arity", [{call, math, <<"pow">>, [1, 2], #{}}], {math, <<"pow">>, 2}},
     {"keywords count", [{call, m, f, [secret], #{<<"k">> => secret}}], {m, f, 2}},
     {"a stream as its source", [{stream, {call, m, f, [secret], #{}}}], {m, f, 1}},
     {"a stream of code", [{stream, {eval, <<"secret">>, #{}}}], eval},
     {"code", [{exec, <<"secret">>}], exec},
     {"what has no arguments", [memory_stats], memory_stats}].

controls() ->
    [{"cancel", [py_wire:cancel(1)], {cancel, 1}},
     {"take_back", [py_wire:take_back(16#7fffffff)], {take_back, 16#7fffffff}},
     {"more", [py_wire:more(2, 1000)], {more, 2, 1000}},
     {"stop", [py_wire:stop(3)], {stop, 3}},
     {"ack", [py_wire:ack(70_000)], {ack, 70_000}},
     {"quit", [py_wire:quit()], quit},
     {"an answer", [iolist_to_binary(py_wire:answer(300, ok))], {reply, 300, ok}},
     {"an answer that says no", [iolist_to_binary(py_wire:answer(300, {error, <<"no">>}))],
      {reply, 300, {error, <<"no">>}}},
     {"an answer with a value", [iolist_to_binary(py_wire:answer(300, {ok, [1]}))],
      {reply, 300, {ok, [1]}}}].

%% A reply as the program writes it: its Id in four bytes, atoms in UTF-8.
reply(Id, Term) ->
    <<131, Bare/binary>> = term_to_binary(Term, [{minor_version, 2}]),
    <<131, 104, 2, 98, Id:32, Bare/binary>>.

ids() ->
    [{"of a result", [reply(9, {ok, 1})], 9},
     {"the largest", [reply(16#7fffffff, ok)], 16#7fffffff},
     {"of an event", [term_to_binary({event, send, {self(), 1}})], none},
     {"of the Id that another wrote", [term_to_binary({9, ok})], none},
     {"of nothing", [<<>>], none}].

places() ->
    [{"what was written", [py_wire:place(7, 200_000)], {7, 200_000}},
     {"the largest", [py_wire:place(16#7fffffff, 16#7fffffff)], {16#7fffffff, 16#7fffffff}},
     {"that is longer", [<<(py_wire:place(1, 2))/binary, 0>>], none},
     {"of a reply", [reply(1, ok)], none},
     {"of another form of integer", [term_to_binary({lane, 1, 2})], none}].

%% The reply with an empty binary, which is decoded, and the binary.
larges() ->
    Array = fun(Shape, Bytes) -> {ok, {ndarray, <<"<f8">>, Shape, Bytes}} end,
    Split = fun(Empty, Large) -> {reply(1, Empty), Large} end,
    Bytes = binary:copy(<<"abc">>, 100),
    [{"a binary", [reply(1, {ok, <<"abc">>})], Split({ok, <<>>}, <<"abc">>)},
     {"an array", [reply(1, Array({3, 100_000}, Bytes))], Split(Array({3, 100_000}, <<>>), Bytes)},
     {"an array of no dimension", [reply(1, Array({}, Bytes))], Split(Array({}, <<>>), Bytes)},
     {"an array that is the smaller part", [reply(1, {ok, {ndarray, Bytes, {}, Bytes}})], none},
     {"an array that is longer than there is", [reply(1, Array({1 bsl 40}, <<"abc">>))], none},
     {"another tuple", [reply(1, {ok, {ndarrays, <<"<f8">>, {1}, <<"abc">>}})], none},
     {"a binary in a list", [reply(1, {ok, [<<"abc">>]})], none},
     {"an error", [reply(1, {error, <<"abc">>})], none},
     {"a binary with something behind it", [<<(reply(1, {ok, <<"abc">>}))/binary, 0>>], none},
     {"a binary that is cut off", [binary:part(reply(1, {ok, <<"abc">>}), 0, 15)], none}].

part_of_it() ->
    Frame = reply(1, {ok, binary:copy(<<"x">>, 200_000)}),
    {ok, Value} = py_result:decode(Frame),
    ?assertEqual(byte_size(Frame), binary:referenced_byte_size(Value)),
    ?assertEqual(binary:copy(<<"x">>, 200_000), Value),
    Array = {ndarray, <<"|u1">>, {200_000}, Value},
    ?assertEqual({ok, Array}, py_result:decode(reply(1, {ok, Array}))).

not_started() ->
    [{"the answer to take_back", [reply(1, {error, not_started})], true},
     {"a result", [reply(1, {ok, not_started})], false},
     {"an error of user code", [reply(1, {error, {not_started, <<>>}})], false},
     {"a large frame", [reply(1, {error, binary:copy(<<"x">>, 100)})], false},
     {"an atom that is unknown", [<<131, 104, 2, 98, 1:32, 119, 8, "!unknown">>], false}].

chunks() ->
    Named = fun(Atom, List) -> <<131, 104, 2, 98, 1:32, 104, 2, Atom/binary, List/binary>> end,
    Two = <<108, 2:32, 97, 1, 97, 2, 106>>,
    [{"two items", [reply(1, {chunk, [a, b]})], 2},
     {"no items", [reply(1, {chunk, []})], 0},
     {"the last word", [reply(1, ok)], final},
     {"an error", [reply(1, {error, chunk})], final},
     {"a small atom in UTF-8", [Named(<<119, 5, "chunk">>, Two)], 2},
     {"an atom in UTF-8", [Named(<<118, 5:16, "chunk">>, Two)], 2},
     {"a small atom in Latin-1", [Named(<<115, 5, "chunk">>, Two)], 2},
     {"an atom in Latin-1", [Named(<<100, 5:16, "chunk">>, Two)], 2},
     {"another atom", [Named(<<119, 5, "chuck">>, Two)], final}].

ahead() ->
    [{"what was printed", [reply(1, {output, <<"said">>})], output},
     {"a bill", [reply(1, {bill, #{time => 1}})], bill},
     {"that it brings funs", [reply(1, {given, funs})], given},
     {"that it is awaited", [reply(1, awaiting)], {aside, loop}},
     {"that it is on a thread", [reply(1, threaded)], {aside, thread}},
     {"a value that is kept", [kept(1 bsl 63)], kept},
     {"results of a multicall", [part(2, [{ok, 1}, ok])], {part, 2, 2}},
     {"a multicall gives back", [<<(reply_head(1))/binary, 104, 2, 119, 11, "not_started", 98, 7:32>>],
      {not_started, 7}},
     {"a result", [reply(1, {ok, <<"output">>})], none},
     {"a result that looks like a part", [reply(1, {part, 2, [ok]})], none},
     {"another atom", [reply(1, {outputs, <<>>})], none}].

%% Its numbers have exactly 64 bits.
kept(Number) ->
    <<(binary:part(reply(1, ok), 0, 8))/binary, 104, 2, 119, 4, "kept", 110, 8, 0, Number:64/little>>.

handle() ->
    [begin
         {Number, Reply} = py_wire:kept(kept(Number), {pdf, self()}, self()),
         ?assertEqual({1, {ok, {py_handle, Number, {pdf, self()}, self()}}}, binary_to_term(Reply)),
         ?assertEqual({ok, Number}, py_wire:handle_number(Reply))
     end || Number <- [1 bsl 63, 1 bsl 64 - 1]],
    ?assertEqual([none, none], [py_wire:handle_number(reply(1, Result)) || Result <- [ok, {ok, 7}]]).

reply_head(Id) -> <<131, 104, 2, 98, Id:32>>.

part(From, Results) ->
    <<131, 104, N, Bare/binary>> = term_to_binary(list_to_tuple(Results)),
    <<(reply_head(1))/binary, 104, 3, 119, 4, "part", 98, From:32, 105, N:32, Bare/binary>>.

%% As the program writes it: atoms in UTF-8.
said(Term) ->
    term_to_binary(Term, [{minor_version, 2}]).

events() ->
    Cut = said({event, crash, <<"stacks">>}),
    [{"a message", [said({send, 300, self(), [1]})], message},
     {"a message that nobody waits for", [said({event, send, {self(), 1}})], message},
     {"a call", [said({call, 300, 301, 1, <<"f">>, [1], #{}})], {call, 300, 301}},
     {"a call while nothing runs", [said({call, 300, none, 0, <<"f">>, [1], #{}})], {call, 300, none}},
     {"a call of a fun", [said({apply, 300, 301, 1, fun lists:sum/1, [1], #{}})], {apply, 300, 301}},
     {"the question if there is a function", [said({lookup, 300, <<"f">>})], {call, 300, none}},
     {"the question who has called", [said({self, 300, 301})], {call, 300, 301}},
     {"the wish for a message", [said({take, 300, 301, 5000})], {take, 300, 301}},
     {"the wish for a reference", [said({make_ref, 300})], {call, 300, none}},
     {"the question who has a name", [said({whereis, 300, <<"init">>})], message},
     {"something of the shared state", [said({state, 300, <<"get">>, [1]})], {call, 300, none}},
     {"the question for more items", [said({pull, 300, self()})], {call, 300, none}},
     {"the question of a channel", [said({channel, 300, self(), close})], {call, 300, none}},
     {"a message that is withdrawn", [said({event, withdraw, 300})], {withdraw, 300}},
     {"another that looks alike", [said({event, withdraw, [300]})], other},
     {"a pause", [said({event, paused, memory_error})], {paused, memory_error}},
     {"a pause for a full heap", [said({event, paused, heap})], {paused, heap}},
     {"a pause for something awaited", [said({event, paused, {memory_error, 300}})], {paused, {memory_error, 300}}},
     {"a pause for an answer", [said({event, paused, {memory_error, none}})], {paused, {memory_error, none}}},
     {"a handler of messages", [said({event, on_message, {300, 1 bsl 63}})], {on_message, 300}},
     {"the worker's handler", [said({event, on_message, {none, 1 bsl 63}})], {on_message, none}},
     {"no handler", [said({event, on_message, {none, none}})], {on_message, none}},
     {"a handler of nothing", [said({event, on_message, [300]})], other},
     {"stacks", [Cut], {crash, <<"stacks">>}},
     {"stacks that are no text", [said({event, crash, [1]})], other},
     {"stacks that are cut off", [binary:part(Cut, 0, byte_size(Cut) - 1)], other},
     {"why it cannot start", [said({undefined, {error, {start_failed, <<"why">>}}})],
      {start_failed, <<"why">>}},
     {"another error", [said({undefined, {error, {badarg, <<"why">>}}})], other},
     {"a line", [said({event, log, #{}})], other},
     {"a message without a number", [said({send, a, self(), [1]})], other},
     {"nothing", [<<>>], other}].

%% As the program writes them.
receivers() ->
    Long = binary:copy(<<"é"/utf8>>, 200),
    [{"of a message", [frame({send, 256, a_name, x})], <<"a_name">>},
     {"of one that nobody waits for", [frame({event, send, {a_name, x}})], <<"a_name">>},
     {"a long one", [<<131, 104, 4, 119, 4, "send", 98, 256:32, 118, 400:16, Long/binary, 97, 1>>], Long},
     {"of one to a pid", [frame({send, 256, self(), x})], none},
     {"of another event", [frame({event, withdraw, 256})], none}].

frame(Term) -> iolist_to_binary(term_to_binary(Term, [{minor_version, 2}])).

messages() ->
    [{"of a message", [said({send, 300, self(), [1]})], 300},
     {"of one that nobody waits for", [said({event, send, {self(), 1}})], none}].

%% It is a binary of its own in the list, not a part of one that was made.
not_copied() ->
    Large = binary:copy(<<"x">>, 1_000_000),
    {2, Body} = py_wire:body({call, m, f, [Large], #{}}, #{}),
    ?assert(lists:member(Large, lists:flatten([Body]))).

atoms_once() ->
    ?assertEqual(lists:usort(py_wire:atoms()), lists:sort(py_wire:atoms())).
