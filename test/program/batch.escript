#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Frames of many requests: each is answered as if it had come alone.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"many requests in a frame, each with its answer", fun batch/0},
        {"a list that is no batch is answered as a whole", fun no_batch/0},
        {"what is wrong in a batch is its own", fun wrong_in_batch/0},
        {"a job ends the program: those before it were answered", fun end_in_batch/0},
        {"quit in a batch", fun quit_in_batch/0},
        {"what is urgent does not wait for the jobs before it", fun urgent_in_batch/0}
    ]).

send_batch(Port, Requests) ->
    raw:send(Port, [term_to_binary(Request) || Request <- Requests]).

batch() ->
    Port = raw:open(),
    Ids = lists:seq(1, 200),
    send_batch(Port, [{Id, {eval, <<"x">>, #{x => Id}}} || Id <- Ids]),
    ?assertEqual([{Id, {ok, Id}} || Id <- Ids], [raw:recv(Port) || _ <- Ids]),
    %% Control as well: what has not started is given back.
    send_batch(Port, [{1, {eval, <<"__import__('time').sleep(0.2)">>, #{}}}, {2, {eval, <<"2">>, #{}}},
                      {3, {eval, <<"3">>, #{}}}, {take_back, 2}]),
    ?assertEqual([{2, {error, not_started}}, {1, {ok, none}}, {3, {ok, 3}}],
                 [raw:recv(Port) || _ <- [1, 2, 3]]),
    ok = raw:close(Port).

no_batch() ->
    #{code := 0, replies := Replies} =
        raw:run([raw:frame(List) || List <- [[1, 2, 300], [<<1>>, two], [<<1>> | <<2>>]]]),
    [?assertMatch({undefined, {error, {badarg, _}}}, Reply) || Reply <- Replies],
    ?assertEqual(3, length(Replies)).

wrong_in_batch() ->
    Port = raw:open(),
    raw:send(Port, [<<>>, <<1, 2, 3>>, term_to_binary({7, 8}), term_to_binary([<<"x">>]),
                    term_to_binary({9, {eval, <<"9">>, #{}}})]),
    ?assertMatch([{undefined, {error, {badarg, _}}}, {undefined, {error, {badarg, _}}},
                  {7, {error, {badarg, _}}}, {undefined, {error, {badarg, _}}}, {9, {ok, 9}}],
                 [raw:recv(Port) || _ <- lists:seq(1, 5)]),
    ok = raw:close(Port).

end_in_batch() ->
    Port = raw:open(),
    send_batch(Port, [{Id, {eval, <<"__import__('os')._exit(3) if n == 26 else n">>, #{n => Id}}}
                      || Id <- lists:seq(1, 50)]),
    ?assertEqual([{Id, {ok, Id}} || Id <- lists:seq(1, 25)],
                 [raw:recv(Port) || _ <- lists:seq(1, 25)]),
    ?assertEqual({exit_status, 3}, raw:recv(Port)).

urgent_in_batch() ->
    Port = raw:open(),
    send_batch(Port, [{1, {eval, <<"__import__('time').sleep(0.3)">>, #{}}}, {2, stack}, {3, gc}]),
    ?assertMatch([{2, {ok, _}}, {3, {ok, _}}, {1, {ok, none}}], [raw:recv(Port) || _ <- [1, 2, 3]]),
    ok = raw:close(Port).

quit_in_batch() ->
    Port = raw:open(),
    raw:send(Port, [term_to_binary(quit), term_to_binary({1, version})]),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).
