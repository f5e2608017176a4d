#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Many calls in one request, by hand: each with its own result, whatever happens to the
%% others; what is given back was not started; and what a dead program has left is found.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include_lib("py/include/py_protocol.hrl").

-define(PUT, <<"import time, os\n"
               "def mark(file, n, seconds=0):\n"
               "    with open(file, 'a') as f:\n"
               "        f.write(f'{n}\\n')\n"
               "    time.sleep(seconds)\n"
               "    return n\n">>).

main(_) ->
    tap:run([[{Name ++ Where, fun() -> Test(Open) end} || {Name, Test} <- both()]
             || {Where, Open} <- [{"", fun without_lane/0}, {", with a lane", fun with_lane/0}]]
            ++ [{"without a lane each result is sent before the next call", fun one_by_one/0},
                {"with a lane short calls are answered together", fun together/0},
                {"what a dead program had kept is in its notes", fun notes/0},
                {"a bill comes ahead of each result", fun bills/0},
                {"a request that is no multicall", fun refused/0},
                {"a list that does not end in []", fun improper/0},
                {"within a call there are no multicalls", fun within/0}]).

both() ->
    [{"each call has its own result", fun each/1},
     {"no calls", fun none/1},
     {"calls that are no calls", fun wrong/1},
     {"a large result is sent by itself", fun large/1},
     {"one that does not fit into a frame", fun too_large/1},
     {"more results than are kept", fun many/1},
     {"taken back before it starts", fun not_started/1},
     {"taken back while a call runs", fun take_back/1},
     {"cancelled while a call runs", fun cancel/1},
     {"a job behind it", fun behind/1},
     {"a call that forks", fun fork/1},
     {"a call that ends the program", fun ends/1}].

%% ---------------------------------------------------------------------------

without_lane() ->
    {raw:open(["--max-frame", "1000000"]), none}.

with_lane() ->
    Port = raw:open(["--max-frame", "1000000"]),
    {ok, #{lane := {Fd, Room}}} = raw:ask(Port, hello),
    {ok, File} = file:open(lists:concat(["/proc/", raw:os_pid(Port), "/fd/", Fd]), [raw, read, write, binary]),
    ok = raw:ask(Port, {lane, true}),
    {Port, {File, Room}}.

open(Open) ->
    {Port, Lane} = Open(),
    ok = raw:ask(Port, {exec, ?PUT}),
    {Port, Lane}.

send(Port, Calls) -> send(Port, Calls, #{}).

send(Port, Calls, Options) ->
    raw:send(Port, {7, {multicall, Calls}, Options}).

recv(Port, Lane) ->
    place(raw:recv(Port), Lane).

place({lane, Serial, Size}, {File, Room}) ->
    {ok, Bytes} = file:pread(File, ?LANE_HEAD + Room + ?LANE_SKIP, Size),
    ok = file:pwrite(File, ?LANE_OUT_READ, <<Serial:32/native>>),
    binary_to_term(Bytes);
place(Frame, _) ->
    Frame.

%% The results, how many calls were given back, and the last word.
answers(Port, Lane) ->
    answers(Port, Lane, [], 0).

answers(Port, Lane, Results, Back) ->
    case recv(Port, Lane) of
        {7, {part, From, Some}} when tuple_size(Some) > 0 ->
            ?assertEqual(length(Results), From),
            answers(Port, Lane, Results ++ tuple_to_list(Some), Back);
        {7, {not_started, N}} -> answers(Port, Lane, Results, Back + N);
        {7, Final} -> {Results, Back, Final};
        Other -> {Results, Back, Other}
    end.

add(N) -> {operator, add, [N, 1], #{}}.
marks(File, Ns) -> [{'__main__', mark, [list_to_binary(File), N], #{}} || N <- Ns].
slow(File, N, Seconds) -> {'__main__', mark, [list_to_binary(File), N, Seconds], #{}}.

file() -> filename:join(fixture:tmpdir(), "ran").

ran(File) ->
    case file:read_file(File) of
        {ok, Lines} -> [binary_to_integer(Line) || Line <- binary:split(Lines, <<"\n">>, [global, trim])];
        {error, enoent} -> []
    end.

%% ---------------------------------------------------------------------------

each(Open) ->
    {Port, Lane} = open(Open),
    send(Port, [add(1), {math, sqrt, [-1], #{}}, {nowhere, f, [], #{}}, {builtins, dict, [], #{a => 1}},
                {math, sqrt, not_a_list, #{}}, {'__main__', time, [], #{}}, add(5)]),
    {Results, 0, ok} = answers(Port, Lane),
    ?assertMatch([{ok, 2}, {error, {'ValueError', _}}, {error, {'ModuleNotFoundError', _}},
                  {ok, #{<<"a">> := 1}}, {error, {badarg, _}}, {error, {'TypeError', _}}, {ok, 6}], Results),
    %% Options hold for all.
    send(Port, [{operator, add, [<<"x">>, {bytes, <<"y">>}], #{}}, {builtins, print, [], #{}}],
         #{binaries => bytes, none => nil}),
    {[{ok, <<"xy">>}, {ok, nil}], 0, ok} = answers(Port, Lane),
    ok = raw:close(Port).

none(Open) ->
    {Port, Lane} = open(Open),
    send(Port, []),
    ?assertEqual({[], 0, ok}, answers(Port, Lane)),
    ok = raw:close(Port).

wrong(Open) ->
    {Port, Lane} = open(Open),
    send(Port, [add(1), not_a_call, {operator, add, [1, 2]}, <<>>, {call, operator, add, [1, 2], #{}}, add(2)]),
    ?assertMatch({[{ok, 2}, {error, {badarg, _}}, {error, {badarg, _}}, {error, {badarg, _}},
                   {error, {badarg, _}}, {ok, 3}], 0, ok}, answers(Port, Lane)),
    ok = raw:close(Port).

large(Open) ->
    {Port, Lane} = open(Open),
    Copy = fun(Size) -> {operator, mul, [{bytes, <<"x">>}, Size], #{}} end,
    Sizes = [10, 200_000, 20, 70_000, 61_000, 300_000, 300_000, 1],
    send(Port, [Copy(Size) || Size <- Sizes]),
    {Results, 0, ok} = answers(Port, Lane),
    ?assertEqual(Sizes, [byte_size(Bytes) || {ok, Bytes} <- Results]),
    ok = raw:close(Port).

too_large(Open) ->
    {Port, Lane} = open(Open),
    Copy = fun(Size) -> {operator, mul, [{bytes, <<"x">>}, Size], #{}} end,
    %% Up to the byte.
    Most = 1_000_000 - byte_size(term_to_binary({7, {part, [], {{ok, <<>>}}}}, [{minor_version, 2}]))
        - 2 * 4 + 1,
    send(Port, [add(1), Copy(1_000_001), Copy(Most), Copy(Most + 1), add(2)]),
    ?assertMatch({[{ok, 2}, {error, {'OverflowError', _}}, {ok, <<_:Most/binary>>},
                   {error, {'OverflowError', _}}, {ok, 3}], 0, ok}, answers(Port, Lane)),
    ok = raw:close(Port).

many(Open) ->
    {Port, Lane} = open(Open),
    Texts = [binary:copy(<<"y">>, N) || N <- lists:seq(1, 600)],
    send(Port, [{builtins, str, [Text], #{}} || Text <- Texts]),
    ?assertEqual({[{ok, Text} || Text <- Texts], 0, ok}, answers(Port, Lane)),
    ok = raw:close(Port).

not_started(Open) ->
    {Port, Lane} = open(Open),
    raw:send(Port, {1, {eval, <<"time.sleep(0.3)">>, #{}}}),
    send(Port, [add(1), add(2)]),
    raw:send(Port, {take_back, 7}),
    ?assertEqual([{7, {error, not_started}}, {1, {ok, none}}], [recv(Port, Lane) || _ <- [1, 2]]),
    ok = raw:close(Port).

%% What is finished comes while the call runs.
take_back(Open) ->
    {Port, Lane} = open(Open),
    File = file(),
    send(Port, marks(File, [1, 2]) ++ [slow(File, 3, 1.0)] ++ marks(File, [4, 5, 6])),
    fixture:wait_until(fun() -> ran(File) =:= [1, 2, 3] end),
    raw:send(Port, {take_back, 7}),
    raw:send(Port, {take_back, 7}),
    figure:within(500, fun() -> ?assertEqual({[{ok, 1}, {ok, 2}], 3}, before(Port, Lane)) end),
    ?assertEqual({7, {part, 2, {{ok, 3}}}}, recv(Port, Lane)),
    ?assertEqual({7, ok}, recv(Port, Lane)),
    ?assertEqual([1, 2, 3], ran(File)),
    ok = raw:close(Port).

before(Port, Lane) ->
    before(Port, Lane, []).

before(Port, Lane, Results) ->
    case recv(Port, Lane) of
        {7, {part, _, Some}} -> before(Port, Lane, Results ++ tuple_to_list(Some));
        {7, {not_started, N}} -> {Results, N}
    end.

cancel(Open) ->
    {Port, Lane} = open(Open),
    File = file(),
    send(Port, marks(File, [1, 2]) ++ [slow(File, 3, 30)] ++ marks(File, [4, 5, 6])),
    fixture:wait_until(fun() -> ran(File) =:= [1, 2, 3] end),
    raw:send(Port, {cancel, 7}),
    ?assertEqual({[{ok, 1}, {ok, 2}, {error, cancelled}], 3, ok}, answers(Port, Lane)),
    ?assertEqual([1, 2, 3], ran(File)),
    send(Port, [add(1)]),
    ?assertEqual({[{ok, 2}], 0, ok}, answers(Port, Lane)),
    ok = raw:close(Port).

behind(Open) ->
    {Port, Lane} = open(Open),
    send(Port, [add(1), add(2)]),
    raw:send(Port, {8, {eval, <<"3">>, #{}}}),
    raw:send(Port, {cancel, 9}),
    ?assertEqual({[{ok, 2}, {ok, 3}], 0, ok}, answers(Port, Lane)),
    ?assertEqual({8, {ok, 3}}, recv(Port, Lane)),
    ok = raw:close(Port).

%% The child answers nothing.
fork(Open) ->
    {Port, Lane} = open(Open),
    ok = raw:ask(Port, {exec, <<"def fork():\n"
                                "    pid = os.fork()\n"
                                "    if pid:\n"
                                "        os.waitpid(pid, 0)\n"
                                "        return 1\n"
                                "    return 2\n">>}),
    send(Port, [add(1), {'__main__', fork, [], #{}}, add(2)]),
    ?assertEqual({[{ok, 2}, {ok, 1}, {ok, 3}], 0, ok}, answers(Port, Lane)),
    ok = raw:close(Port).

ends(Open) ->
    {Port, Lane} = open(Open),
    send(Port, [add(1), {os, '_exit', [3], #{}}, add(2)]),
    {Results, 0, {exit_status, 3}} = answers(Port, Lane),
    ?assertEqual(case Lane of none -> [{ok, 2}]; _ -> [] end, Results).

%% ---------------------------------------------------------------------------

one_by_one() ->
    {Port, none} = open(fun without_lane/0),
    send(Port, [add(N) || N <- lists:seq(1, 20)]),
    [?assertEqual({7, {part, N - 1, {{ok, N + 1}}}}, raw:recv(Port)) || N <- lists:seq(1, 20)],
    ?assertEqual({7, ok}, raw:recv(Port)),
    ok = raw:close(Port).

%% How many parts there are depends on the clock, but not on every call.
together() ->
    {Port, _} = open(fun with_lane/0),
    send(Port, [add(N) || N <- lists:seq(1, 2000)]),
    Parts = parts(Port),
    ?assertEqual(2000, lists:sum(Parts)),
    ?assert(length(Parts) < 1000),
    ok = raw:close(Port).

parts(Port) ->
    case raw:recv(Port) of
        {7, {part, _, Some}} -> [tuple_size(Some) | parts(Port)];
        {7, ok} -> []
    end.

%% What the pipe has not carried.
notes() ->
    {Port, {File, _}} = open(fun with_lane/0),
    Ran = file(),
    send(Port, marks(Ran, [1, 2, 3]) ++ [{os, kill, [raw:os_pid(Port), 9], #{}} | marks(Ran, [4])]),
    {Heard, 0, {exit_status, _}} = answers(Port, none),
    {ok, <<Word:64/native, Notes/binary>>} = file:pread(File, ?LANE_NOTES, ?LANE_HEAD - ?LANE_NOTES),
    Kept = case Word bsr 32 of
               0 -> [];
               N ->
                   Size = Word band 16#ffffffff - ?FRAME_HEADER,
                   <<_:?FRAME_HEADER/binary, Part:Size/binary, _/binary>> = Notes,
                   <<131, 104, 2, 97, 7, 104, 3, 119, 4, "part", 98, From:32, 105, 1:32, Results/binary>> = Part,
                   ?assertEqual(length(Heard), From),
                   tuple_to_list(binary_to_term(<<131, 105, N:32, Results/binary>>))
           end,
    ?assertEqual([{ok, 1}, {ok, 2}, {ok, 3}], Heard ++ Kept),
    ?assertEqual([1, 2, 3], ran(Ran)).

bills() ->
    {Port, _} = open(fun with_lane/0),
    send(Port, [add(1), {math, sqrt, [-1], #{}}], #{bill => true}),
    ?assertMatch([{7, {bill, #{time := _}}}, {7, {part, 0, {{ok, 2}}}},
                  {7, {bill, #{time := _}}}, {7, {part, 1, {{error, _}}}}, {7, ok}],
                 [raw:recv(Port) || _ <- lists:seq(1, 5)]),
    ok = raw:close(Port).

refused() ->
    Port = raw:open(),
    [?assertMatch({error, {badarg, _}}, raw:ask(Port, Op))
     || Op <- [{multicall, calls}, {multicall, #{}}, {multicall, "ab"}, multicall, {multicall, [], []}]],
    raw:send(Port, {7, {multicall, [add(1)]}, #{capture => true}}),
    ?assertMatch({7, {error, {badarg, _}}}, raw:recv(Port)),
    raw:send(Port, {7, {multicall, [add(1)]}, #{context => 5}}),
    ?assertMatch({[{error, {badarg, _}}], 0, ok}, answers(Port, none)),
    ok = raw:close(Port).

%% No call of it is started. What a call is given may be improper.
improper() ->
    Port = raw:open(),
    ok = raw:ask(Port, {exec, ?PUT}),
    File = file(),
    Calls = marks(File, [1, 2]),
    [?assertMatch({error, {badarg, _}}, raw:ask(Port, {multicall, Calls ++ Tail}))
     || Tail <- [add(3), 106, <<"j">>, #{}, {[]}]],
    %% Nor one that goes on in its tail.
    <<131, 104, 2, 119, 9, "multicall", List/binary>> = term_to_binary({multicall, Calls}, [{minor_version, 2}]),
    Front = binary:part(List, 0, byte_size(List) - 1),
    true = port_command(Port, <<131, 104, 2, 97, 7, 104, 2, 119, 9, "multicall", Front/binary, List/binary>>),
    ?assertMatch({7, {error, {badarg, _}}}, raw:recv(Port)),
    ?assertEqual([], ran(File)),
    [?assertMatch({error, {badarg, _}}, raw:ask(Port, Op))
     || Op <- [{call, operator, add, [1 | 2], #{}}, {release, [1 bsl 63 | 2]}, {context_close, [1 | 2]},
               {exec, ["pass" | pass]}]],
    send(Port, [{builtins, str, [[1 | 2]], #{}}]),
    ?assertMatch({[{ok, <<_/binary>>}], 0, ok}, answers(Port, none)),
    ok = raw:close(Port).

within() ->
    Port = raw:open(),
    ok = raw:ask(Port, {listen, true, 1000, true, true}),
    raw:send(Port, {1, {eval, <<"__import__('erlang').call('f')">>, #{}}}),
    {call, CallId, 1, 1, <<"f">>, [], #{}} = raw:recv(Port),
    raw:send(Port, {within, CallId, term_to_binary({2, {multicall, [add(1)]}})}),
    ?assertEqual({2, {error, unsupported}}, raw:recv(Port)),
    raw:send(Port, {reply, CallId, {ok, 5}}),
    ?assertEqual({1, {ok, 5}}, raw:recv(Port)),
    ok = raw:close(Port).
