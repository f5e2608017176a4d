#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The lane by hand, as docs/protocol.md has it: offered, opened or not, written and
%% read; and peers that do not keep to it.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include_lib("py/include/py_protocol.hrl").

main(_) ->
    tap:run([
        {"a large request and a large reply", fun both_ways/0},
        {"what is in the pipe behind a place comes after it", fun order/0},
        {"many requests in one frame", fun batch/0},
        {"one half is in use until its frame was read", fun in_use/0},
        {"without an answer to the offer there is no lane", fun unanswered/0},
        {"after a no there is none", fun not_opened/0},
        {"a place before the answer is no request", fun too_early/0},
        [{"garbage in the lane: " ++ What, fun() -> garbage(Bytes) end} || {What, Bytes} <- garbage()],
        [{"an impossible place: " ++ What, fun() -> impossible(Sizes) end}
         || {What, Sizes} <- impossible()],
        {"another form of place is no place", fun other_form/0}
    ]).

%% ---------------------------------------------------------------------------

offered(Port) ->
    {ok, #{lane := {Fd, Room}}} = raw:ask(Port, hello),
    Name = lists:concat(["/proc/", raw:os_pid(Port), "/fd/", Fd]),
    {ok, File} = file:open(Name, [raw, read, write, binary]),
    {File, Room}.

open() ->
    Port = raw:open(),
    {File, Room} = offered(Port),
    ok = raw:ask(Port, {lane, true}),
    ?assertEqual({ok, <<0:64>>}, file:pread(File, 0, 8)),
    {Port, File, Room}.

place(Serial, Size) ->
    <<131, 104, 3, 119, 4, "lane", 98, Serial:32, 98, Size:32>>.

put(Port, File, Serial, Bytes) ->
    ok = file:pwrite(File, ?LANE_IN_WRITE, <<Serial:32/native>>),
    ok = file:pwrite(File, ?LANE_HEAD + ?LANE_SKIP, Bytes),
    true = port_command(Port, place(Serial, iolist_size(Bytes))).

get({lane, Serial, Size}, File, Room) ->
    {ok, Bytes} = file:pread(File, ?LANE_HEAD + Room + ?LANE_SKIP, Size),
    ok = file:pwrite(File, ?LANE_OUT_READ, <<Serial:32/native>>),
    binary_to_term(Bytes);
get(_, _, _) ->
    error(no_place).    % it may be large

is_read(File, Serial) ->
    fixture:wait_until(fun() ->
        file:pread(File, ?LANE_IN_READ, 4) =:= {ok, <<Serial:32/native>>}
    end).

large(Id) ->
    {Id, {call, copy, copy, [{bytes, binary:copy(<<Id>>, 300_000)}], #{}}}.

result(Id) ->
    {Id, {ok, binary:copy(<<Id>>, 300_000)}}.

%% ---------------------------------------------------------------------------

both_ways() ->
    {Port, File, Room} = open(),
    [begin
         put(Port, File, N, term_to_binary(large(N))),
         {lane, N, _} = Place = raw:recv(Port),
         ?assert(result(N) =:= get(Place, File, Room)),
         is_read(File, N)
     end || N <- [1, 2, 3]],
    raw:close(Port).

order() ->
    {Port, File, Room} = open(),
    put(Port, File, 1, term_to_binary(large(1))),
    [raw:send(Port, {Id, {eval, <<"1">>, #{}}}) || Id <- [2, 3]],
    ?assert(result(1) =:= get(raw:recv(Port), File, Room)),
    ?assertEqual([{2, {ok, 1}}, {3, {ok, 1}}], [raw:recv(Port), raw:recv(Port)]),
    raw:close(Port).

batch() ->
    {Port, File, Room} = open(),
    put(Port, File, 1, term_to_binary([term_to_binary(large(1)), term_to_binary({2, {eval, <<"2">>, #{}}})])),
    ?assert(result(1) =:= get(raw:recv(Port), File, Room)),
    ?assertEqual({2, {ok, 2}}, raw:recv(Port)),
    is_read(File, 1),
    raw:close(Port).

%% The reply that finds no room comes through the pipe.
in_use() ->
    {Port, File, Room} = open(),
    [raw:send(Port, large(Id)) || Id <- [1, 2]],
    {lane, 1, _} = Place = raw:recv(Port),
    ?assert(result(2) =:= raw:recv(Port)),
    ?assert(result(1) =:= get(Place, File, Room)),
    raw:send(Port, large(3)),
    ?assert(result(3) =:= get(raw:recv(Port), File, Room)),
    put(Port, File, 1, term_to_binary({4, {call, time, sleep, [0.2], #{}}})),
    ?assertEqual({ok, <<0:32>>}, file:pread(File, ?LANE_IN_READ, 4)),
    ?assertEqual({4, {ok, none}}, raw:recv(Port)),
    is_read(File, 1),
    raw:close(Port).

unanswered() ->
    Port = raw:open(),
    {_, _} = offered(Port),
    raw:send(Port, large(1)),
    ?assert(result(1) =:= raw:recv(Port)),
    raw:close(Port).

not_opened() ->
    Port = raw:open(),
    {_, _} = offered(Port),
    ok = raw:ask(Port, {lane, false}),
    raw:send(Port, large(1)),
    ?assert(result(1) =:= raw:recv(Port)),
    ok = raw:ask(Port, {lane, true}),
    raw:send(Port, large(2)),
    ?assert(result(2) =:= raw:recv(Port)),
    ?assertMatch({error, {badarg, _}}, raw:ask(Port, {lane, 1})),
    raw:close(Port).

too_early() ->
    Port = raw:open(),
    {_, _} = offered(Port),
    true = port_command(Port, place(1, 100)),
    ?assertMatch({lane, {error, {badarg, _}}}, raw:recv(Port)),
    raw:close(Port).

%% {What, bytes}
garbage() ->
    Whole = term_to_binary(large(7)),
    [{"nothing", <<>>},
     {"zeros", <<0:1000>>},
     {"a request that is cut off", binary:part(Whole, 0, byte_size(Whole) - 1)},
     {"a request and more", <<Whole/binary, 0>>},
     {"a place", place(2, 19)}].

%% Each is answered, and the next one is understood.
garbage(Bytes) ->
    {Port, File, Room} = open(),
    put(Port, File, 1, Bytes),
    ?assertMatch({_, {error, {badarg, _}}}, raw:recv(Port)),
    is_read(File, 1),
    put(Port, File, 2, term_to_binary(large(1))),
    ?assert(result(1) =:= get(raw:recv(Port), File, Room)),
    raw:close(Port).

%% {What, sizes of frames of which the last cannot be}
impossible() ->
    [{"larger than max_frame", [?DEFAULT_MAX_FRAME + 1]},
     {"of 2 GiB", [16#7fffffff]},
     {"while one is in use", [100_000, 100_000]}].

impossible(Sizes) ->
    {Port, File, _} = open(),
    Sleeps = term_to_binary({1, {call, time, sleep, [5], #{}}}),
    ok = file:pwrite(File, ?LANE_HEAD + ?LANE_SKIP, Sleeps),
    length(Sizes) > 1 andalso port_command(Port, place(1, byte_size(Sleeps))),
    true = port_command(Port, place(2, lists:last(Sizes))),
    ?assertEqual({exit_status, 65}, last(raw:recv(Port), Port)).

last({exit_status, _} = Exit, _) -> Exit;
last(_, Port) -> last(raw:recv(Port), Port).

other_form() ->
    {Port, _, _} = open(),
    raw:send(Port, {lane, 1, 100}),
    ?assertMatch({lane, {error, {badarg, _}}}, raw:recv(Port)),
    raw:close(Port).
