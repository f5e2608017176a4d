#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Which thread runs what: every call, of each kind, runs on Python's main thread,
%% so that libraries which keep their state for each thread keep one state.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% Each call of `here' counts in a state of its thread's.
-define(INIT, <<"import _thread, erlang, threading, time\n"
                "local = threading.local()\n"
                "def here(*_):\n"
                "    local.calls = getattr(local, 'calls', 0) + 1\n"
                "    return _thread.get_ident() == threading.main_thread().ident and local.calls\n"
                "def chunks(n):\n"
                "    for _ in range(n): yield here()\n"
                "class Encoded: pass\n"
                "erlang.encoder(Encoded, here)\n"
                "init = here()\n">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => ?INIT}, [
        {"init runs on it, too", fun init/0},
        [{["one state for ", What], fun() -> one_state(Call) end} || {What, Call} <- kinds()],
        {"for calls from many processes at once", fun crowded/0},
        {"for calls beside urgent requests, behind a timeout", fun urgent/0},
        {"a thread of the user's own has its own", fun own_thread/0}
    ])).

count() ->
    {ok, N} = py:call('__main__', here, []),
    N.

init() ->
    ?assertEqual({ok, 1}, py:eval(<<"init">>)),
    ?assertEqual(2, count()).

%% Each calls `here' once, and gives what that has returned.
kinds() ->
    Value = fun({ok, N}) -> N end,
    [{"call", fun() -> count() end},
     {"eval", fun() -> Value(py:eval(<<"here()">>)) end},
     {"exec", fun() -> ok = py:exec(<<"last = here()">>), Value(py:eval(<<"last">>)) end},
     {"exec_all", fun() -> ok = py:exec_all(<<"last = here()">>), Value(py:eval(<<"last">>)) end},
     {"a captured call", fun() ->
          {ok, N, _} = py:call('__main__', here, [], #{}, #{capture => true}), N end},
     {"spawn_call", fun() -> Value(py:await(py:spawn_call('__main__', here, []))) end},
     {"parallel", fun() -> {ok, [N]} = py:parallel([{'__main__', here, []}]), N end},
     {"a stream", fun() -> {ok, [N]} = py:stream('__main__', chunks, [1]), N end},
     {"a stream of an expression", fun() -> {ok, [N]} = py:stream_eval(<<"chunks(1)">>), N end},
     {"an encoder", fun() -> Value(py:eval(<<"Encoded()">>)) end},
     {"a large argument", fun() ->
          Value(py:call('__main__', here, [binary:copy(<<"x">>, 5_000_000)])) end}].

one_state(Call) ->
    Before = count(),
    ?assertEqual(Before + 1, Call()),
    ?assertEqual(Before + 2, count()).

crowded() ->
    Before = count(),
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), [count() || _ <- lists:seq(1, 20)]} end)
            || _ <- lists:seq(1, 20)],
    Counts = lists:append([receive {Pid, Counted} -> Counted end || Pid <- Pids]),
    ?assertEqual(lists:seq(Before + 1, Before + 400), lists:sort(Counts)).

urgent() ->
    Before = count(),
    Slow = py:spawn_call(time, sleep, [0.5]),
    [{ok, _} = Ask() || _ <- lists:seq(1, 5), Ask <- [fun py:gc/0, fun py:memory_stats/0]],
    {ok, _} = py:await(Slow),
    ?assertEqual({error, timeout}, py:call(time, sleep, [5], #{}, 50)),
    ?assertEqual(Before + 1, count()).

own_thread() ->
    Code = <<"from concurrent.futures import ThreadPoolExecutor\n"
             "with ThreadPoolExecutor(1) as pool: other = pool.submit(here).result()\n">>,
    Before = count(),
    ok = py:exec(Code),
    ?assertEqual({ok, false}, py:eval(<<"other">>)),
    ?assertEqual(Before + 1, count()).
