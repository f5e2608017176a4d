#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Hostile and broken frames against the program alone: each gets its error,
%% and the next request its answer; what cannot be survived ends the program
%% with the exit code that docs/protocol.md gives.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% A binary that occurs nowhere else, to be replaced by other bytes.
-define(HERE, <<"-- the bytes under test --">>).

main(_) ->
    tap:run([
        [malformed(Row) || Row <- malformed_terms()],
        [not_a_request(Row) || Row <- not_requests()],
        [old_form(Row) || Row <- old_forms()],
        {"any term may be an Id, and comes back byte for byte", fun ids/0},
        {"every truncation of a frame", fun truncations/0},
        {"every byte of a frame changed", fun changed_bytes/0},
        {"2,000 frames of garbage", fun garbage/0},
        {"a frame larger than --max-frame", fun too_large/0},
        {"a reply larger than --max-frame", fun reply_too_large/0},
        {"an exception that is larger than --max-frame", fun exception_too_large/0},
        {"a frame of exactly --max-frame", fun exactly_max/0},
        {"an impossible length", fun impossible_length/0},
        {"input that ends inside a length", fun ends_in_length/0},
        {"input that ends inside a frame", fun ends_in_frame/0},
        {"no input at all", fun no_input/0},
        {"frames in small pieces", fun pieces/0},
        {"thousands of frames at once", fun flood/0}
    ]).

%% ---------------------------------------------------------------------------
%% Terms that are none. Each is sent alone and as an argument inside a request.

%% {What, bytes of one term without the 131, what the error says}
malformed_terms() ->
    Levels = 100_000,
    [{"an unknown tag", <<200>>, ""},
     {"an integer cut short", <<98, 1, 2>>, "end"},
     {"a float cut short", <<70, 1, 2, 3>>, "end"},
     {"an old float that is no number", <<99, (binary:copy(<<"x">>, 31))/binary>>, ""},
     {"an atom longer than what is there", <<119, 200, "short">>, "end"},
     {"an atom that is not UTF-8", <<119, 2, 255, 254>>, "UTF-8"},
     {"an atom of 256 characters", <<118, 256:16, (binary:copy(<<"a">>, 256))/binary>>, "atom"},
     {"a binary of 4 GiB that is not there", <<109, 16#ffffffff:32, "x">>, "end"},
     {"a binary of 2 GiB that is not there", <<109, 16#7fffffff:32, "x">>, "end"},
     {"a binary one byte too long", <<109, 2:32, "x">>, "end"},
     {"a string one byte too long", <<107, 2:16, "x">>, "end"},
     {"a tuple of 2 G elements", <<105, 16#7fffffff:32, 97, 1>>, "end"},
     {"a tuple of 4 G elements", <<105, 16#ffffffff:32, 97, 1>>, "end"},
     {"a small tuple of more than there is", <<104, 9, 97, 1>>, "end"},
     {"a list of 4 G elements", <<108, 16#ffffffff:32, 97, 1, 106>>, "end"},
     {"a list without its tail", <<108, 1:32, 97, 1>>, "end"},
     {"a map of 4 G pairs", <<116, 16#ffffffff:32, 97, 1, 97, 1>>, "end"},
     {"a map without a value", <<116, 1:32, 97, 1>>, "end"},
     {"a big integer longer than what is there", <<111, 16#ffffffff:32, 0, 1>>, "end"},
     {"a big integer with an odd sign", <<110, 1, 7, 1>>, "sign"},
     {"a bitstring of 9 bits in its last byte", <<77, 1:32, 9, 0>>, "bit"},
     {"a bitstring of no bytes", <<77, 0:32, 3>>, "bit"},
     {"a pid without a node", <<88, 97, 1, 1:32, 1:32, 1:32>>, ""},
     {"a pid cut short", <<88, 119, 1, "n", 1:32>>, "end"},
     {"a reference of 65,535 words", <<90, 65535:16, 119, 1, "n", 1:32, 1:32>>, ""},
     {"a fun whose size lies", <<112, 16#ffffffff:32, 0>>, "end"},
     {"an external fun without its arity", <<113, 119, 1, "m", 119, 1, "f">>, "end"},
     {"an atom cache reference", <<82, 0>>, ""},
     {"a local term", <<121, 1, 2, 3, 4, 5, 6, 7, 8, 9>>, ""},
     {"a compressed term", compressed(), "ompressed"},
     {"100,000 lists in each other", [lists:duplicate(Levels, <<108, 1:32>>), 106,
                                      lists:duplicate(Levels, 106)], "deep"},
     {"100,000 tuples in each other", [lists:duplicate(Levels, <<104, 1>>), 106], "deep"},
     {"100,000 maps in each other", [lists:duplicate(Levels, <<116, 1:32, 97, 1>>), 106], "deep"},
     {"100,000 maps in each other's keys",
      [lists:duplicate(Levels, <<116, 1:32>>), 106, lists:duplicate(Levels, 106)], "deep"},
     {"100,000 improper lists in each other's tails",
      [lists:duplicate(Levels, <<108, 1:32, 97, 1>>), 106], "deep"},
     {"100,000 tuples that never end", lists:duplicate(Levels, <<104, 1>>), ""}].

compressed() ->
    <<131, Compressed/binary>> =
        term_to_binary(lists:duplicate(1000, same), [compressed]),
    Compressed.

malformed({What, Bytes0, Says}) ->
    {["malformed: ", What], fun() ->
        Bytes = iolist_to_binary(Bytes0),
        Inside = raw:splice({7, {eval, <<"1">>, #{x => ?HERE}}}, ?HERE, Bytes),
        #{code := 0, replies := [Alone, Within, Alive]} =
            raw:run([raw:frame_bytes(<<131, Bytes/binary>>), raw:frame_bytes(Inside),
                     raw:frame({8, {eval, <<"1 + 1">>, #{}}})]),
        {_, {error, {badarg, Why}}} = Alone,
        {_, {error, {badarg, _}}} = Within,
        ?assertEqual({8, {ok, 2}}, Alive),
        ?assertEqual({true, Why}, {fixture:contains(Why, Says), Why})
    end}.

%% ---------------------------------------------------------------------------
%% Terms that are no request

%% {What, bytes of the frame, the Id of the answer}
not_requests() ->
    [{"no bytes at all", <<>>, undefined},
     {"a wrong version byte", <<130, 97, 1>>, undefined},
     {"only the version byte", <<131>>, undefined},
     {"bytes behind the term", <<(term_to_binary({7, version}))/binary, 0>>, any},
     {"two terms", <<(term_to_binary({7, version}))/binary, 97, 1>>, any},
     {"a number", term_to_binary(7), undefined},
     {"an empty tuple", term_to_binary({}), undefined},
     {"an Id alone", term_to_binary({7}), any},
     {"a tuple of four", term_to_binary({7, version, #{}, 1}), any},
     {"a list", term_to_binary([7, version]), undefined},
     {"an operation that is not", term_to_binary({7, no_such_operation}), 7},
     {"an operation with a very long name",
      term_to_binary({7, list_to_atom(lists:duplicate(200, $x))}), 7},
     {"an operation that is no atom", term_to_binary({7, <<"version">>}), 7},
     {"an operation that is an empty tuple", term_to_binary({7, {}}), 7},
     {"an operation with an argument too few", term_to_binary({7, {eval, <<"1">>}}), 7},
     {"an operation with an argument too many", term_to_binary({7, {eval, <<"1">>, #{}, 2}}), 7},
     {"options that are no map", term_to_binary({7, version, [a]}), 7},
     {"an unknown option", term_to_binary({7, version, #{colour => red}}), 7},
     {"an option with a wrong value", term_to_binary({7, version, #{traceback => 3}}), 7},
     {"a filename that is no binary", term_to_binary({7, {exec, <<"1">>}, #{filename => "x"}}), 7},
     {"a line that is not", term_to_binary({7, {exec, <<"1">>}, #{line => 0}}), 7},
     {"an option's name that is no atom", term_to_binary({7, version, #{<<"none">> => a}}), 7},
     {"code that is a number", term_to_binary({7, {eval, 42, #{}}}), 7},
     {"code that is not UTF-8", term_to_binary({7, {eval, <<255>>, #{}}}), 7},
     {"code that is a list of nonsense", term_to_binary({7, {exec, [1114112]}}), 7},
     {"locals that are no map", term_to_binary({7, {eval, <<"1">>, []}}), 7},
     {"locals whose names are numbers", term_to_binary({7, {eval, <<"1">>, #{1 => 2}}}), 7},
     {"arguments that are no list", term_to_binary({7, {call, math, sqrt, 16, #{}}}), 7},
     {"arguments that are an improper list",
      term_to_binary({7, {call, math, sqrt, [1 | 2], #{}}}), 7},
     {"a generation that is not", term_to_binary({7, {gc, 9}}), 7},
     {"a generation that is very large", term_to_binary({7, {gc, 1 bsl 80}}), 7},
     {"a stream of nonsense", term_to_binary({7, {stream, 42}}), 7}].

not_a_request({What, Bytes, Id}) ->
    {["no request: ", What], fun() ->
        #{code := 0, replies := [{GotId, {error, {badarg, Why}}}, Alive]} =
            raw:run([raw:frame_bytes(Bytes), raw:frame({8, {eval, <<"1 + 1">>, #{}}})]),
        ?assert(is_binary(Why) andalso Why =/= <<>>),
        ?assert(Id =:= any orelse Id =:= GotId),
        ?assertEqual({8, {ok, 2}}, Alive)
    end}.

%% ---------------------------------------------------------------------------
%% Forms that this VM does not write, but others do or did

old_forms() ->
    Node = <<119, 3, "a@b">>,
    OldNode = <<100, 3:16, "a@b">>,
    [{"ATOM_EXT", <<100, 2:16, "ok">>},
     {"ATOM_EXT in Latin-1", <<100, 1:16, 252>>},
     {"SMALL_ATOM_EXT", <<115, 2, "ok">>},
     {"ATOM_UTF8_EXT", <<118, 2:16, "ok">>},
     {"SMALL_ATOM_UTF8_EXT", <<119, 2, "ok">>},
     {"FLOAT_EXT", <<99, "1.50000000000000000000e+00", 0, 0, 0, 0, 0>>},
     {"LARGE_TUPLE_EXT for a small tuple", <<105, 1:32, 97, 1>>},
     {"LARGE_BIG_EXT for a small number", <<111, 1:32, 0, 5>>},
     {"SMALL_BIG_EXT for a small number", <<110, 1, 1, 5>>},
     {"SMALL_BIG_EXT of no bytes", <<110, 0, 0>>},
     {"INTEGER_EXT for a small number", <<98, 5:32>>},
     {"STRING_EXT of none", <<107, 0:16>>},
     {"PID_EXT", <<103, OldNode/binary, 1:32, 2:32, 3>>},
     {"NEW_PID_EXT", <<88, Node/binary, 1:32, 2:32, 3:32>>},
     {"PORT_EXT", <<102, OldNode/binary, 1:32, 3>>},
     {"NEW_PORT_EXT", <<89, Node/binary, 1:32, 3:32>>},
     {"V4_PORT_EXT", <<120, Node/binary, 1:64, 3:32>>},
     {"REFERENCE_EXT", <<101, OldNode/binary, 1:32, 3>>},
     {"NEW_REFERENCE_EXT", <<114, 3:16, Node/binary, 3, 1:32, 2:32, 3:32>>},
     {"NEWER_REFERENCE_EXT of 5 words",
      <<90, 5:16, Node/binary, 3:32, 1:32, 2:32, 3:32, 4:32, 5:32>>},
     {"EXPORT_EXT", <<113, 119, 5, "lists", 119, 3, "map", 97, 2>>}].

old_form({What, Bytes}) ->
    {["another form: ", What], fun() ->
        Request = raw:splice({7, {eval, <<"x">>, #{x => [?HERE]}}}, ?HERE, Bytes),
        ?assertMatch(#{code := 0, replies := [{7, {ok, [_]}}]},
                     raw:run(raw:frame_bytes(Request))),
        #{replies := [{7, {ok, [Back]}}]} = raw:run(raw:frame_bytes(Request)),
        ?assertEqual(binary_to_term(<<131, Bytes/binary>>), Back)
    end}.

%% ---------------------------------------------------------------------------

ids() ->
    Ids = [0, -1, 1 bsl 200, 1.5, an_atom, '', <<"binary">>, <<1:3>>, [], "string", [1 | 2], {},
           {a, {b}}, #{k => v}, self(), make_ref(), fun lists:map/2,
           lists:seq(1, 1000), undefined],
    #{code := 0, replies := Replies} =
        raw:run([raw:frame({Id, {eval, <<"1">>, #{}}}) || Id <- Ids]),
    ?assertEqual([{Id, {ok, 1}} || Id <- Ids], Replies),
    %% Byte for byte: an Id in a form that this VM would not choose.
    Odd = <<111, 1:32, 0, 5>>,
    Frame = raw:splice({?HERE, {eval, <<"1">>, #{}}}, ?HERE, Odd),
    #{stdout := <<_:32, 131, 104, 2, Echo:(byte_size(Odd))/binary, _/binary>>} =
        raw:run(raw:frame_bytes(Frame)),
    ?assertEqual(Odd, Echo).

sample() ->
    Value = [1, 2.5, <<"b">>, <<1:3>>, {a, [b | c]}, #{k => self()}, make_ref(), 1 bsl 70,
             fun lists:map/2],
    term_to_binary({7, {eval, <<"x">>, #{x => Value}}}).

truncations() ->
    Whole = sample(),
    Cut = [binary:part(Whole, 0, N) || N <- lists:seq(0, byte_size(Whole) - 1)],
    #{code := 0, replies := Replies} = raw:run([raw:frame_bytes(Bytes) || Bytes <- Cut]),
    ?assertEqual(length(Cut), length(Replies)),
    [?assertMatch({_, {error, {badarg, _}}}, Reply) || Reply <- Replies].

%% A changed byte may make another good request (even one with a pid that this
%% VM would not take back), so only this is sure: one answer each, and the
%% program lives.
changed_bytes() ->
    Whole = sample(),
    Frames = [begin
                  <<Before:At/binary, _, After/binary>> = Whole,
                  raw:frame_bytes(<<Before/binary, Byte, After/binary>>)
              end || At <- lists:seq(0, byte_size(Whole) - 1),
                     Byte <- [0, 1, 77, 97, 104, 108, 110, 116, 127, 128, 255],
                     Byte =/= binary:at(Whole, At)],
    #{code := 0, replies := Replies} = raw:run([Frames, raw:frame({last, {eval, <<"0">>, #{}}})]),
    ?assertEqual(length(Frames) + 1, length(Replies)),
    ?assertMatch({last, {ok, _}}, lists:last(Replies)).

garbage() ->
    rand:seed(exsss, {2026, 11, 23}),
    Frames = [raw:frame_bytes(<<131, (rand:bytes(rand:uniform(200)))/binary>>)
              || _ <- lists:seq(1, 2000)],
    #{code := 0, replies := Replies} = raw:run([Frames, raw:frame({last, {eval, <<"0">>, #{}}})]),
    ?assertEqual(2001, length(Replies)),
    ?assertMatch({last, {ok, _}}, lists:last(Replies)).

%% ---------------------------------------------------------------------------

too_large() ->
    Large = raw:frame({7, {eval, <<"len(x)">>, #{x => binary:copy(<<"x">>, 100_000)}}}),
    #{code := 0, replies := [{7, {error, {badarg, Why}}}, Alive]} =
        raw:run(["--max-frame", "65536"], [Large, raw:frame({8, {eval, <<"2">>, #{}}})]),
    ?assert(fixture:contains(Why, "65536")),
    ?assertEqual({8, {ok, 2}}, Alive).

reply_too_large() ->
    #{code := 0, replies := [{7, {error, {'OverflowError', Why}}}, Alive]} =
        raw:run(["--max-frame", "65536"], [raw:frame({7, {eval, <<"'x' * 100000">>, #{}}}),
                                           raw:frame({8, {eval, <<"2">>, #{}}})]),
    ?assert(fixture:contains(Why, "65536")),
    ?assertEqual({8, {ok, 2}}, Alive).

%% The class's name is cut, and the message left out.
exception_too_large() ->
    Raise = <<"raise type('X' * 2000, (Exception,), {})('m' * 2000)">>,
    Id = binary:copy(<<"i">>, 500),
    #{code := 0, replies := [{7, {error, {Class, Why}}}, {Id, {error, {Class, Why}}}, Alive]} =
        raw:run(["--max-frame", "1024"], [raw:frame({7, {exec, Raise}}), raw:frame({Id, {exec, Raise}}),
                                          raw:frame({8, {eval, <<"2">>, #{}}})]),
    ?assertEqual(<<"__main__.", (binary:copy(<<"X">>, 243))/binary, "…"/utf8>>, Class),
    ?assert(fixture:contains(Why, "max_frame")),
    ?assertEqual({8, {ok, 2}}, Alive).

exactly_max() ->
    Request = fun(N) -> {7, {eval, <<"len(x)">>, #{x => binary:copy(<<"x">>, N)}}} end,
    Rest = byte_size(term_to_binary(Request(1000))) - 1000,
    N = 65536 - Rest,
    Run = fun(Size) -> maps:get(replies, raw:run(["--max-frame", "65536"],
                                                 raw:frame(Request(Size)))) end,
    ?assertEqual([{7, {ok, N}}], Run(N)),
    ?assertMatch([{7, {error, {badarg, _}}}], Run(N + 1)).

impossible_length() ->
    [?assertMatch(#{code := 65, replies := [{1, {ok, 1}} | _]},
                  raw:run([], raw:frame({1, {eval, <<"1">>, #{}}}), <<Length:32, "rest">>))
     || Length <- [16#ffffffff, 16#80000000]].

ends_in_length() ->
    ?assertMatch(#{code := 74, replies := [{1, {ok, 1}} | _]},
                 raw:run([], raw:frame({1, {eval, <<"1">>, #{}}}), <<0, 0>>)).

ends_in_frame() ->
    ?assertMatch(#{code := 74, replies := [{1, {ok, 1}} | _]},
                 raw:run([], raw:frame({1, {eval, <<"1">>, #{}}}), <<100:32, 131, 104>>)).

no_input() ->
    ?assertMatch(#{code := 0, replies := []}, raw:run(<<>>)).

%% A frame that arrives byte by byte, and frames cut at odd places.
pieces() ->
    Port = open_port({spawn_executable, fixture:program()}, [binary, stream, exit_status]),
    Frame = raw:frame({7, {eval, <<"len(x)">>, #{x => binary:copy(<<"x">>, 300)}}}),
    [begin
         port_command(Port, <<Byte>>),
         Byte =:= $x orelse timer:sleep(1)
     end || <<Byte>> <= Frame],
    ?assertEqual({7, {ok, 300}}, next_of_stream(Port, <<>>)),
    Two = <<Frame/binary, Frame/binary>>,
    Half = byte_size(Frame) + 2,
    <<First:Half/binary, Second/binary>> = Two,
    port_command(Port, First),
    ?assertEqual({7, {ok, 300}}, next_of_stream(Port, <<>>)),
    port_command(Port, Second),
    ?assertEqual({7, {ok, 300}}, next_of_stream(Port, <<>>)),
    raw:close(Port).

next_of_stream(_, <<Size:32, Frame:Size/binary>>) ->
    binary_to_term(Frame);
next_of_stream(Port, Got) ->
    receive {Port, {data, More}} -> next_of_stream(Port, <<Got/binary, More/binary>>)
    after 30_000 -> error({nothing_came, Got}) end.

flood() ->
    Frames = [raw:frame({N, {eval, <<"x">>, #{x => N}}}) || N <- lists:seq(1, 20_000)],
    #{code := 0, replies := Replies} = raw:run(Frames),
    ?assertEqual([{N, {ok, N}} || N <- lists:seq(1, 20_000)], Replies).
