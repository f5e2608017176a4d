#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Random frames against the program alone: requests of every kind, control for
%% them, and the same with bytes changed, left out and added. Each request has
%% one answer whatever comes beside it, and the program lives. FRAMES is how
%% many are sent.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(BATCH, 500).

main(_) ->
    Frames = list_to_integer(os:getenv("FRAMES", "20000")),
    tap:run([{io_lib:format("~b frames", [Frames]), infinity, fun() -> survives(Frames) end}]).

survives(Frames) ->
    Seed = rand:export_seed_s(rand:seed(exsss)),
    tap:note("seed ~p", [Seed]),
    Port = raw:open(),
    Answers = [batch(Port, N * ?BATCH) || N <- lists:seq(1, max(1, Frames div ?BATCH))],
    tap:note("~b requests were answered", [lists:sum(Answers)]),
    raw:send(Port, {0, {eval, <<"1 + 1">>, #{}}}),
    await(Port, #{0 => 0}),
    ok = raw:close(Port).

%% Sends a batch; returns how many requests had their answer.
batch(Port, First) ->
    Sent = [frame(First + N) || N <- lists:seq(0, ?BATCH - 1)],
    [port_command(Port, Bytes) || {_, Bytes} <- Sent],
    Asked = [Id || {Id, _} <- Sent, is_integer(Id)],
    await(Port, maps:from_keys(Asked, 0)),
    length(Asked).

%% Until each has its answer, and nothing more comes.
await(Port, Open) ->
    Limit = case lists:member(0, maps:values(Open)) of true -> 60_000; false -> 0 end,
    receive
        {Port, {data, Frame}} -> await(Port, answered(term(Frame), Open));
        {Port, {exit_status, Status}} -> error({ended, Status})
    after Limit ->
        ?assertEqual([], [Id || {Id, Count} <- maps:to_list(Open), Count =/= 1])
    end.

%% A reference that was changed comes back as it came: this VM may refuse it.
term(Frame) ->
    try binary_to_term(Frame) catch error:badarg -> refused end.

answered({_, {chunk, _}}, Open) -> Open;
answered({_, {output, _}}, Open) -> Open;
answered({Id, _}, Open) when is_map_key(Id, Open) -> maps:update_with(Id, fun(N) -> N + 1 end, Open);
answered(_, Open) -> Open.

%% {Id of a request that is to be answered once, or none; the frame}
frame(N) ->
    case rand:uniform(10) of
        1 -> {none, term_to_binary(control(N - rand:uniform(20)))};
        Odd when Odd =< 4 -> {none, changed(term_to_binary(any({odd, N})))};
        _ -> {N, term_to_binary(request(N))}
    end.

any(Id) ->
    case rand:uniform(3) of
        1 -> control(Id);
        _ -> request(Id)
    end.

%% A stream has credit for all its items: it ends by itself.
request(Id) ->
    case {op(), rand:uniform(4)} of
        {{stream, _} = Op, _} -> {Id, Op, #{chunk => rand:uniform(1000), credit => 100_000}};
        {Op, 1} -> {Id, Op, options()};
        {Op, _} -> {Id, Op}
    end.

op() ->
    one_of([hello, version, memory_stats, stack, gc, {gc, rand:uniform(4) - 1}, trim,
            {set_limits, #{core => rand:uniform(9)}}, {set_limits, value(2)},
            tracemalloc_start, {tracemalloc_start, rand:uniform(5)}, tracemalloc_stop,
            {tracemalloc_top, rand:uniform(10)}, traced, census, growth, uncollectable,
            {referrers, value(1), rand:uniform(4)}, {referrers, <<"dict">>, 3}, {listen, true, 1 bsl 20},
            {eval, <<"1 + 1">>, #{}}, {eval, <<"n">>, #{n => value(3)}}, {eval, <<"1 / 0">>, #{}},
            {exec, <<"x = 1">>}, {call, math, sqrt, [value(1)], #{}},
            {call, builtins, dict, [], #{k => value(2)}},
            {stream, {eval, <<"range(3)">>, #{}}}, {stream, {call, builtins, range, [2000], #{}}},
            {nothing, value(1)}]).

options() ->
    one_of([#{}, #{traceback => true}, #{binaries => bytes}, #{none => nil}, #{chunk => 10},
            #{odd => 1}, #{capture => yes}]).

control(Id) ->
    one_of([{cancel, Id}, {take_back, Id}, {more, Id, 3000}, {stop, Id}, {ack, 1000}, {reply, 1, ok}]).

value(0) -> one_of([1, -1.5, <<"text">>, atom, [], 1 bsl 100, self(), make_ref(), <<5:3>>, fun() -> ok end]);
value(Depth) -> one_of([value(0), [value(Depth - 1), value(Depth - 1)], {value(Depth - 1)},
                        #{value(0) => value(Depth - 1)}, {bytes, <<"b">>}]).

one_of(Choices) ->
    lists:nth(rand:uniform(length(Choices)), Choices).

changed(Bytes) ->
    At = rand:uniform(byte_size(Bytes)) - 1,
    <<Before:At/binary, Byte, After/binary>> = Bytes,
    one_of([<<Before/binary, (rand:uniform(256) - 1), After/binary>>,
            <<Before/binary, (Byte bxor (1 bsl (rand:uniform(8) - 1))), After/binary>>,
            <<Before/binary, After/binary>>, Before,
            <<Before/binary, Byte, (rand:uniform(256) - 1), After/binary>>,
            <<Bytes/binary, Before/binary>>]).
