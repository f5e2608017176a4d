#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Streams: a generator is consumed in chunks, Python's memory stays flat, and
%% it is closed when nobody wants more of it.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import misbehave, samples">>}, [
        [streams(Row) || Row <- sources()],
        {"a million items", fun million/0},
        {"Python's memory stays flat while a stream runs", fun flat/0},
        {"large items, each more than a chunk", fun large_items/0},
        {"items are sent while the generator is slow", fun slow_generator/0},
        {"a generator that raises in the end", fun raises/0},
        {"a generator with an item that is no value", fun bad_item/0},
        {"what is not iterable", fun not_iterable/0},
        {"a generator that was used up is closed", fun closed_at_end/0},
        {"the consumer's death closes the generator", fun consumer_dies/0},
        {"a time limit for the next items closes the generator", fun time_limit/0},
        {"opened, pulled, closed", fun pulled/0},
        {"a fold", fun fold/0},
        {"a chunk's size", fun chunk_size/0},
        {"closed before its end, the generator is closed", fun closed_early/0},
        {"short calls get through beside an endless stream", fun beside/0},
        {"many streams at once", fun many/0},
        {"a worker's death ends its stream with the reason", fun worker_dies/0}
    ])).

%% {What, the stream, its items}
sources() ->
    [{"eval with locals", fun() -> py:stream_eval(<<"(i * n for i in items)">>,
                                                  #{n => 2, items => [1, 2]}) end, [2, 4]},
     {"eval of a list", fun() -> py:stream_eval(<<"[1, 2]">>) end, [1, 2]},
     {"eval of a string of code", fun() -> py:stream_eval("iter('☃')") end, [<<"☃"/utf8>>]},
     {"a call", fun() -> py:stream(builtins, range, [3]) end, [0, 1, 2]},
     {"a call by a dotted name",
      fun() -> py:stream('itertools', 'chain.from_iterable', [[[1], [2]]]) end, [1, 2]},
     {"a call with keyword arguments",
      fun() -> py:stream(builtins, enumerate, [[a]], #{start => 5}) end, [{5, a}]},
     {"a set", fun() -> py:stream_eval(<<"{1}">>) end, [1]},
     {"a dict's keys", fun() -> py:stream_eval(<<"{'k': 1}">>) end, [<<"k">>]},
     {"nested values", fun() -> py:stream_eval(<<"([n, {'n': (n,)}] for n in range(2))">>) end,
      [[0, #{<<"n">> => {0}}], [1, #{<<"n">> => {1}}]]}].

streams({What, Stream, Items}) ->
    {["stream: ", What], fun() -> ?assertEqual({ok, Items}, Stream()) end}.

million() ->
    {ok, Items} = py:stream_eval(<<"range(1_000_000)">>),
    ?assert(Items =:= lists:seq(0, 999_999)).

%% A worker of its own, so that its peak is this stream's.
flat() ->
    fixture:unless_sanitized(),
    {ok, _} = py:start_pool(flat, #{size => 1, python_path => [fixture:python_path()],
                               init => <<"import misbehave">>}),
    In = #{pool => flat},
    {ok, Before} = py:call(misbehave, peak_rss_kb, [], #{}, In),
    Code = <<"('x' * 1000 + str(i) for i in range(200_000))">>,
    {ok, Items} = py:stream_eval(Code, #{}, In),
    ?assertEqual(200_000, length(Items)),
    {ok, After} = py:call(misbehave, peak_rss_kb, [], #{}, In),
    tap:note("peak before ~b kB, after 200 MB were streamed ~b kB", [Before, After]),
    ok = py:stop_pool(flat),
    ?assert(After - Before < 20_000).

large_items() ->
    {ok, Items} = py:stream_eval(<<"(bytes([n]) * 1_000_000 for n in range(8))">>),
    ?assertEqual([binary:copy(<<N>>, 1_000_000) || N <- lists:seq(0, 7)], Items).

slow_generator() ->
    Code = <<"(time.sleep(0.05) or n for time in [__import__('time')] for n in range(5))">>,
    ?assertEqual({ok, [0, 1, 2, 3, 4]}, py:stream_eval(Code)).

raises() ->
    ?assertMatch({error, {'ValueError', <<"out of items">>}},
                 py:stream(misbehave, failing_generator, [2500])),
    ?assertMatch({error, {'ValueError', <<"out of items">>}},
                 py:stream(misbehave, failing_generator, [0])).

bad_item() ->
    {error, {'TypeError', Message}} = py:stream_eval(<<"(n if n < 3 else object()"
                                                       " for n in range(5))">>),
    ?assert(fixture:contains(Message, "object")).

not_iterable() ->
    ?assertMatch({error, {'TypeError', _}}, py:stream_eval(<<"42">>)),
    ?assertMatch({error, {'TypeError', _}}, py:stream(math, sqrt, [4])),
    ?assertMatch({error, {'SyntaxError', _}}, py:stream_eval(<<"(((">>)).

closed_at_end() ->
    Log = log_file(),
    {ok, Items} = py:stream(misbehave, countdown, [Log, 10]),
    ?assertEqual(lists:seq(1, 10), Items),
    ?assertEqual("closed after 10", read(Log)).

consumer_dies() ->
    Log = log_file(),
    Consumer = spawn(fun() -> py:stream(misbehave, countdown, [Log, 1_000_000_000]) end),
    timer:sleep(300),
    exit(Consumer, kill),
    fixture:wait_until(fun() -> filelib:file_size(Log) > 0 end),
    ?assertMatch("closed after " ++ _, read(Log)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

time_limit() ->
    Log = log_file(),
    {_, Result} = figure:within(1500, fun() -> py:stream(misbehave, stalling, [Log, 5], #{}, 300) end),
    ?assertEqual({error, timeout}, Result),
    fixture:wait_until(fun() -> filelib:file_size(Log) > 0 end),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

pulled() ->
    {ok, Stream} = py:stream_open({builtins, range, [2500]}, #{chunk => 1000}),
    Pull = fun Pull(Items) ->
        case py:stream_next(Stream) of
            {ok, [_ | _] = More} -> Pull(Items ++ More);
            done -> Items
        end
    end,
    ?assertEqual(lists:seq(0, 2499), Pull([])),
    ?assertMatch({error, _}, py:stream_next(Stream)),
    ?assertEqual(ok, py:stream_close(Stream)).

fold() ->
    Sum = fun(N, Acc) -> N + Acc end,
    ?assertEqual({ok, 4950}, py:stream_fold(Sum, 0, <<"range(100)">>)),
    ?assertEqual({ok, 6}, py:stream_fold(Sum, 0, {eval, <<"iter(x)">>, #{x => [1, 2, 3]}})),
    ?assertMatch({error, {'ValueError', _}},
                 py:stream_fold(Sum, 0, {misbehave, failing_generator, [5]})).

chunk_size() ->
    {ok, Stream} = py:stream_open(<<"iter(range(10))">>, #{chunk => 3}),
    {ok, First} = py:stream_next(Stream),
    ?assert(length(First) =< 3),
    ok = py:stream_close(Stream).

closed_early() ->
    Log = log_file(),
    {ok, Stream} = py:stream_open({misbehave, countdown, [Log, 1_000_000_000]}),
    {ok, [1 | _]} = py:stream_next(Stream),
    ok = py:stream_close(Stream),
    fixture:wait_until(fun() -> filelib:file_size(Log) > 0 end),
    "closed after " ++ Made = read(Log),
    %% Little was made ahead of what was wanted.
    ?assert(list_to_integer(Made) =< 20_000).

beside() ->
    Log = log_file(),
    Consumers = [spawn(fun() -> py:stream(misbehave, countdown, [Log, 1_000_000_000]) end)
                 || _ <- [1, 2]],
    timer:sleep(100),
    {Ms, Answers} = figure:within(5000, fun() -> [py:eval(<<"1">>) || _ <- lists:seq(1, 20)] end),
    [exit(Consumer, kill) || Consumer <- Consumers],
    ?assertEqual([{ok, 1}], lists:usort(Answers)),
    tap:note("20 short calls beside two endless streams took ~.1f ms", [Ms]).

many() ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), py:stream(builtins, range, [N, N + 3000])} end)
            || N <- lists:seq(1, 30)],
    Results = [receive {Pid, Result} -> Result end || Pid <- Pids],
    ?assertEqual([{ok, lists:seq(N, N + 2999)} || N <- lists:seq(1, 30)], Results).

worker_dies() ->
    Code = <<"(n if n < 5000 else __import__('os').kill(__import__('os').getpid(), 9)"
             " for n in range(10000))">>,
    ?assertMatch({error, {worker_exit, _}}, py:stream_eval(Code)),
    fixture:wait_until(fun() -> length(fixture:os_pids()) =:= 2 end),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

log_file() ->
    unicode:characters_to_binary(filename:join(fixture:tmpdir(), "log")).

read(File) ->
    {ok, Text} = file:read_file(File),
    binary_to_list(Text).
