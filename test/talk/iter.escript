#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% {iter, Fun | List | Pid} as an argument: a Python iterator whose items are made in
%% Erlang, a few ahead of Python, by a process that ends with the call.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(SETUP, <<"
import itertools, os, threading, time
def taken(items, n): return list(itertools.islice(items, n))
def in_thread(items):
    got = []
    thread = threading.Thread(target=lambda: got.extend(items))
    thread.start()
    thread.join()
    return got
def in_child(items):
    read, write = os.pipe()
    if os.fork() == 0:
        try: list(items)
        except Exception as error: os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    with open(read) as file: return file.read()
def echo(items):
    for item in items: erlang.send(item[0], item[1])
def survives(items):
    try: return list(items)
    except erlang.Cancelled: return 'cancelled'
def failed(items):
    try: return list(items)
    except erlang.Error as error: return [str(error), error.class_, error.reason, error.stacktrace]
">>).

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 2, init => ?SETUP}, [
        [{["the items of ", What], fun() -> items(Source, Items) end} || {What, Source, Items} <- sources()],
        [{["in ", What], fun() -> ?assertEqual({ok, Result}, Ask({iter, [1, 2, 3]})) end}
         || {What, Ask, Result} <- ways()],
        {"many calls, each with its own", fun parallel/0},
        {"two at once", fun two/0},
        {"items are made only when they are asked for", fun lazy/0},
        {"how far the fun is ahead", fun ahead/0},
        {"what is there comes, although the fun waits for more", fun no_wait/0},
        {"large items", fun large/0},
        {"an item that is larger than a frame", fun too_large/0},
        {"the options of the request hold for the items", fun options/0},
        {"a fun that fails, behind its items", fun fails/0},
        {"a fun that gives something else", fun bad/0},
        {"a fun whose process is killed", fun killed/0},
        {"a process of the user's", fun process/0},
        {"a process of the user's that answers badly, or dies", fun process_fails/0},
        {"the fun ends with the call", fun ends_with_call/0},
        {"the fun ends with a call out of time", fun ends_in_time/0},
        {"the fun ends when the call is cancelled", fun ends_cancelled/0},
        {"the fun ends with its caller", fun ends_with_caller/0},
        {"the fun ends with its worker's program", fun ends_with_worker/0},
        {"a fun that traps exits ends, too", fun traps/0},
        {"a stream's iterator ends with the stream", fun ends_with_stream/0},
        {"a stream that pushes", fun pushed/0},
        {"kept after the call it is an error", fun kept/0},
        {"within a call from Python", fun within/0},
        {"in another thread, and in a forked child", fun threads/0},
        {"what is no iterator", fun wrong/0},
        {"nothing is left", fun nothing_left/0}
    ]))).

%% ---------------------------------------------------------------------------
%% Items

count(N) -> fun() -> [N | count(N + 1)] end.

upto(N, Most) when N > Most -> [];
upto(N, Most) -> [N | fun() -> upto(N + 1, Most) end].

sources() ->
    Values = [1.5, <<"é"/utf8>>, #{<<"a">> => [1, {2}]}, none, self(), {iter, x}],
    [{"a list", [1, 2, 3], [1, 2, 3]},
     {"no list", [], []},
     {"a string", "abc", "abc"},
     {"values of all kinds", Values, Values},
     {"a long list", lists:seq(1, 20_000), lists:seq(1, 20_000)},
     {"a fun", fun() -> upto(1, 3_000) end, lists:seq(1, 3_000)},
     {"a fun without items", fun() -> [] end, []},
     {"a fun that gives a fun", fun() -> fun() -> [1] end end, [1]},
     {"a fun that gives many", fun() -> lists:seq(1, 5_000) ++ count_down(2) end, lists:seq(1, 5_000) ++ [2, 1]},
     {"a list with a fun behind it", [a, b | fun() -> [c] end], [a, b, c]}].

count_down(0) -> [];
count_down(N) -> fun() -> [N | count_down(N - 1)] end.

items(Source, Items) ->
    ?assertEqual({ok, Items}, py:call(builtins, list, [{iter, Source}])).

ways() ->
    Sum = fun(Options) -> fun(Iter) -> py:eval(<<"sum(ns)">>, #{ns => Iter}, Options) end end,
    Sums = fun(Iter) -> py:stream_eval(<<"(n * 2 for n in ns)">>, #{ns => Iter}) end,
    [{"a call", fun(Iter) -> py:call(builtins, sum, [Iter, 5]) end, 11},
     {"a keyword argument", fun(Iter) -> py:call('__main__', taken, [], #{items => Iter, n => 2}) end, [1, 2]},
     {"the locals of an eval", Sum(#{}), 6},
     {"one worker", Sum(#{pool => {default, 2}}), 6},
     {"the locals of an exec", fun(Iter) ->
          ok = py:exec(<<"total = sum(ns)">>, #{ns => Iter}, #{}),
          py:eval(<<"total">>)
      end, 6},
     {"a context", fun(Iter) ->
          py_context:with(fun(Context) ->
              ok = py:exec(<<"total = sum(ns)">>, #{ns => Iter}, #{context => Context}),
              py:eval(<<"total + sum(ns)">>, #{ns => Iter}, #{context => Context})
          end)
      end, 12},
     {"spawn_call", fun(Iter) -> py:await(py:spawn_call(builtins, sum, [Iter])) end, 6},
     {"cast", fun(Iter) ->
          ok = py:cast('__main__', echo, [{iter, [{self(), N} || N <- element(2, Iter)]}]),
          {ok, [receive N -> N end || N <- [1, 2, 3]]}
      end, [1, 2, 3]},
     {"a stream", Sums, [2, 4, 6]}].

%% Each call has its own, together with others or alone.
parallel() ->
    Calls = [{builtins, sum, [{iter, lists:seq(1, N)}]} || N <- lists:seq(1, 40)],
    Sums = [N * (N + 1) div 2 || N <- lists:seq(1, 40)],
    [?assertEqual({ok, Sums}, py:parallel(Calls, Options)) || Options <- [#{}, #{chunk => 7}]],
    {error, [{ok, 1}, {error, {'erlang.Error', _}}, {ok, 6}]} =
        py:parallel([{builtins, sum, [{iter, Source}]} || Source <- [[1], fun() -> error(no) end, [1, 2, 3]]],
                    #{chunk => 3}).

two() ->
    ?assertEqual({ok, [{1, a}, {2, b}]},
                 py:eval(<<"list(zip(xs, ys))">>, #{xs => {iter, count(1)}, ys => {iter, [a, b]}})).

%% ---------------------------------------------------------------------------
%% When they are made

%% Counts how often it is run.
counting() ->
    Runs = counters:new(1, []),
    {Runs, fun Next() -> counters:add(Runs, 1, 1), [counters:get(Runs, 1) | Next] end}.

lazy() ->
    {Runs, Fun} = counting(),
    ?assertEqual({ok, 5}, py:eval(<<"5">>, #{ns => {iter, Fun}})),
    ?assertEqual(0, counters:get(Runs, 1)).

ahead() ->
    {Runs, Fun} = counting(),
    {ok, [1]} = py:eval(<<"(taken(ns, 1), time.sleep(0.3))[0]">>, #{ns => {iter, Fun}}),
    N = counters:get(Runs, 1),
    ?assert(N >= 1 andalso N =< 1_024).

%% It waits for what Python makes of the item before.
no_wait() ->
    Self = self(),
    Talk = fun Next() ->
        Self ! {ask, self()},
        receive {answer, Text} -> [{Self, Text} | Next]; stop -> [] end
    end,
    Chat = py:spawn_call('__main__', echo, [{iter, Talk}]),
    [begin
         receive {ask, Maker} -> Maker ! {answer, {n, N}} end,
         receive {n, N} -> ok end
     end || N <- lists:seq(1, 50)],
    receive {ask, Last} -> Last ! stop end,
    {ok, none} = py:await(Chat).

large() ->
    Items = [binary:copy(<<(N rem 64 + 32)>>, 200_000) || N <- lists:seq(1, 100)],
    ?assertEqual({ok, 20_000_000}, py:eval(<<"sum(map(len, xs))">>, #{xs => {iter, Items}})).

too_large() ->
    {ok, _} = py:start_pool(small, #{size => 1, max_frame => 65_536}),
    In = #{pool => small},
    Large = binary:copy(<<"x">>, 60_000),
    ?assertEqual({ok, 180_002}, py:eval(<<"sum(map(len, xs))">>, #{xs => {iter, [Large, <<"a">>, Large, <<"b">>, Large]}}, In)),
    {error, {'erlang.Error', <<"error: {max_frame,", _/binary>>}} =
        py:eval(<<"sum(map(len, xs))">>, #{xs => {iter, [<<"a">>, binary:copy(Large, 2)]}}, In),
    {error, {badarg, _}} = py:eval(<<"s">>, #{xs => {iter, []}, s => binary:copy(Large, 2)}, In),
    ok = py:stop_pool(small).

options() ->
    List = fun(Items, Options) -> py:eval(<<"repr(list(xs))">>, #{xs => {iter, Items}}, Options) end,
    ?assertEqual({ok, <<"[b'\\xff']">>}, List([<<255>>], #{binaries => bytes})),
    ?assertEqual({ok, <<"[b'\\xff']">>}, List([{bytes, <<255>>}], #{})),
    ?assertMatch({error, {badarg, <<"answer[0]: binary is not UTF-8", _/binary>>}}, List([<<255>>], #{})),
    ?assertEqual({ok, <<"[None, None, 'x']">>}, List([null, none, <<"x">>], #{none => null})),
    ?assertEqual({ok, <<"[datetime.date(2020, 1, 2)]">>}, List([{date, {2020, 1, 2}}], #{})),
    ?assertEqual({ok, {iter, [1]}}, py:eval(<<"xs">>, #{xs => {iter, [1]}}, #{tags => false})).

%% ---------------------------------------------------------------------------
%% Failures

failed(Source) ->
    py:call('__main__', failed, [{iter, Source}]).

fails() ->
    {ok, [<<"error: oops">>, error, oops, [#{module := Module, function := _} | _] = Stack]} =
        failed(fun() -> [1, 2 | fun() -> error(oops) end] end),
    ?assertNotEqual(py_iter, Module),
    ?assertEqual([], [Frame || #{module := M} = Frame <- Stack, M =:= py_iter orelse M =:= py_talk_call]),
    {ok, [<<"throw: up">>, throw, up, _]} = failed(fun() -> throw(up) end),
    {ok, [<<"exit: normal">>, exit, normal, _]} = failed(fun() -> exit(normal) end),
    ?assertMatch({ok, {1, {2, <<"error: oops">>}}},
                 py:eval(<<"(next(xs), (next(xs), failed(xs)[0]))">>,
                         #{xs => {iter, [1, 2 | fun() -> error(oops) end]}})).

bad() ->
    [?assertMatch({ok, [_, error, {bad_iterator, Bad}, _]}, failed(Source))
     || {Source, Bad} <- [{fun() -> 7 end, 7}, {[1 | two], two}, {fun() -> {ok, 1} end, {ok, 1}}]].

killed() ->
    ?assertMatch({ok, [<<"exit: killed">>, exit, killed, []]}, failed(fun() -> exit(self(), kill), [1] end)).

%% ---------------------------------------------------------------------------
%% {iter, Pid}

%% Answers each question with the next of these.
answering(Answers) ->
    spawn_link(fun() -> answer(Answers) end).

answer([]) -> ok;
answer([Answer | Answers]) ->
    receive
        {'$gen_call', From, {py_next, N}} when is_integer(N), N > 0 ->
            gen_server:reply(From, Answer),
            answer(Answers)
    end.

process() ->
    ?assertEqual({ok, [1, 2, 3]}, py:call(builtins, list, [{iter, answering([{ok, [1, 2]}, {ok, [3]}, done])}])),
    ?assertEqual({ok, [1, 2]}, py:eval(<<"taken(x['a'][0], 2)">>,
                                       #{x => #{a => [{iter, answering([{ok, [1, 2, 3]}])}]}})),
    {ok, Stream} = py:stream_open({builtins, range, [3]}),
    Self = self(),
    Bridge = spawn_link(fun() ->
        Next = py:stream_next(Stream),
        Self ! next,
        answer([Next, py:stream_next(Stream)])
    end),
    ?assertEqual({ok, 3}, py:call(builtins, sum, [{iter, Bridge}])),
    receive next -> ok end,
    %% It does not end with the call.
    Pid = answering([{ok, [1]}, {ok, [2]}, done]),
    ok = py:exec(<<"kept_pid = xs; first = next(xs)">>, #{xs => {iter, Pid}}, #{}),
    ?assertEqual({ok, [2]}, py:eval(<<"list(kept_pid)">>)).

process_fails() ->
    Failed = fun(Answers) -> failed_pid(answering(Answers)) end,
    ?assertMatch({ok, [<<"error: why">>, error, why, []]}, Failed([{ok, [1]}, {error, why}])),
    [?assertEqual({ok, [error, {bad_items, Bad}, []]}, without_text(Failed([Bad])))
     || Bad <- [7, {ok, []}, {ok, [1 | 2]}, {ok, 7}, [1]]],
    {ok, [_, exit, Why, []]} = Failed([{ok, [1]}]),
    ?assert(lists:member(Why, [normal, noproc])),
    Dead = spawn(fun() -> ok end),
    {ok, [Text, exit, noproc, []]} = failed_pid(Dead),
    ?assert(fixture:contains(Text, "there are no more items")).

without_text({ok, [_ | Rest]}) -> {ok, Rest}.

failed_pid(Pid) ->
    py:call('__main__', failed, [{iter, Pid}]).

%% ---------------------------------------------------------------------------
%% Ends

%% A fun that says who runs it, and then waits for ever.
stuck() ->
    Self = self(),
    fun() -> Self ! {maker, self()}, receive after infinity -> ok end end.

maker() ->
    receive {maker, Pid} -> Pid after 10_000 -> error(never_run) end.

gone(Pid) ->
    fixture:wait_until(fun() -> not is_process_alive(Pid) andalso iterators() =:= [] end).

iterators() ->
    [Pid || Pid <- processes(), proc_lib:translate_initial_call(Pid) =:= {py_iter, init, 1}].

ends_with_call() ->
    Stuck = stuck(),
    ?assertEqual({ok, [1]}, py:call('__main__', taken, [{iter, [1 | Stuck]}, 1])),
    gone(maker()),
    ?assertMatch({error, {'ValueError', _}}, py:eval(<<"(next(xs), int('x'))">>, #{xs => {iter, [1 | Stuck]}})),
    gone(maker()).

ends_in_time() ->
    figure:within(220, fun() ->
        ?assertEqual({error, timeout}, py:call(builtins, list, [{iter, stuck()}], #{}, 200))
    end),
    gone(maker()),
    ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>)).

ends_cancelled() ->
    Ref = py:spawn_call('__main__', survives, [{iter, stuck()}]),
    Maker = maker(),
    ok = py:cancel(Ref),
    gone(Maker),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    Early = py:spawn_call(builtins, list, [{iter, [1]}]),
    ok = py:cancel(Early),
    _ = py:await(Early),
    fixture:wait_until(fun() -> iterators() =:= [] end).

ends_with_caller() ->
    Stuck = stuck(),
    Caller = spawn(fun() -> py:call(builtins, list, [{iter, Stuck}]) end),
    Maker = maker(),
    exit(Caller, kill),
    gone(Maker).

ends_with_worker() ->
    Ref = py:spawn_call(builtins, list, [{iter, stuck()}], #{}, #{pool => {default, 1}}),
    Maker = maker(),
    [OsPid] = [Pid || #{id := 1, os_pid := Pid} <- fixture:workers()],
    _ = fixture:kill("KILL", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:await(Ref)),
    gone(Maker).

traps() ->
    Self = self(),
    Trap = fun() -> process_flag(trap_exit, true), Self ! {maker, self()}, receive after infinity -> ok end end,
    ?assertEqual({ok, [1]}, py:call('__main__', taken, [{iter, [1 | Trap]}, 1])),
    gone(maker()).

ends_with_stream() ->
    Open = fun(Source) -> py:stream_open({eval, <<"(n for n in ns)">>, #{ns => {iter, Source}}}) end,
    {ok, Closed} = Open([1, 2, 3, 4 | stuck()]),
    Maker = maker(),
    {ok, [1, 2, 3, 4]} = py:stream_next(Closed),
    ok = py:stream_close(Closed),
    gone(Maker),
    {ok, Ended} = Open([1, 2]),
    {ok, [1, 2]} = py:stream_next(Ended),
    ?assertEqual(done, py:stream_next(Ended)),
    fixture:wait_until(fun() -> iterators() =:= [] end),
    ?assertMatch({error, {'erlang.Error', _}}, Open(fun() -> error(no) end)),
    {ok, Failed} = Open([1 | fun() -> error(no) end]),
    {ok, [1]} = py:stream_next(Failed),
    ?assertMatch({error, {'erlang.Error', _}}, py:stream_next(Failed)),
    fixture:wait_until(fun() -> iterators() =:= [] end),
    Stuck = stuck(),
    {_, Monitor} = spawn_monitor(fun() -> Open([1, 2, 3, 4 | Stuck]) end),
    receive {'DOWN', Monitor, process, _, normal} -> ok end,
    gone(maker()).

pushed() ->
    {ok, Stream} = py:stream_open({eval, <<"(n * n for n in ns)">>, #{ns => {iter, [1, 2]}}},
                                  #{deliver => message}),
    [receive {py_stream, Stream, {data, N}} -> ok end || N <- [1, 4]],
    receive {py_stream, Stream, done} -> ok end,
    {ok, Closed} = py:stream_open({eval, <<"iter(ns)">>, #{ns => {iter, count(1)}}}, #{deliver => message}),
    receive {py_stream, Closed, {data, 1}} -> ok end,
    ok = py:stream_close(Closed),
    fixture:wait_until(fun() -> iterators() =:= [] end).

%% What Python has already, it may still use.
kept() ->
    ok = py:exec(<<"kept = xs">>, #{xs => {iter, [1, 2, 3]}}, #{}),
    {ok, [Text, exit, Why, []]} = py:eval(<<"failed(kept)">>),
    ?assert(lists:member(Why, [noproc, normal])),   % it may be just about to end
    ?assert(fixture:contains(Text, "as the iterator of a call does with the call")),
    ?assertEqual({ok, []}, py:eval(<<"list(kept)">>)),
    ok = py:exec(<<"kept = xs; first = next(xs)">>, #{xs => {iter, count(1)}}, #{}),
    ?assertMatch({error, {'erlang.Error', _}}, py:eval(<<"list(kept)">>)).

%% Erlang calls Python, that calls Erlang, which gives Python an iterator.
within() ->
    ok = py:register_function(nest, fun(N) ->
        {ok, Sum} = py:call(builtins, sum, [{iter, upto(1, N)}]),
        Sum
    end),
    ?assertEqual({ok, 6}, py:eval(<<"erlang.nest(3)">>)),
    ?assertEqual({ok, [1, 3, 6]}, py:eval(<<"[erlang.nest(n) for n in ns]">>, #{ns => {iter, [1, 2, 3]}})).

threads() ->
    ?assertEqual({ok, [1, 2, 3]}, py:call('__main__', in_thread, [{iter, [1, 2, 3]}])),
    ?assertEqual({ok, <<"there is no connection to Erlang any more">>},
                 py:call('__main__', in_child, [{iter, [1, 2, 3]}])).

wrong() ->
    [?assertError(badarg, Wrong())
     || Wrong <- [fun() -> py:call(builtins, list, [{iter, fun(_) -> [] end}]) end,
                  fun() -> py:stream(builtins, list, [{iter, fun lists:reverse/1}]) end,
                  fun() -> py:eval(<<"1">>, #{x => {iter, [1]}}, #{pool => {default, all}}) end]],
    [?assertMatch({error, {badarg, <<"locals['x'][0]: {iter, Fun} and {iter, List} are arguments", _/binary>>}},
                  py:eval(<<"x">>, #{x => [{iter, Source}]}))
     || Source <- [[1], [], "abc", fun() -> [] end, fun lists:reverse/1]],
    ?assertEqual({ok, [{iter, 1}, {iter, 1, [2]}, {iter}]},
                 py:call(builtins, list, [[{iter, 1}, {iter, 1, [2]}, {iter}]])),
    ?assertMatch({error, {no_pool, nowhere}}, py:call(builtins, list, [{iter, [1]}], #{}, #{pool => nowhere})),
    ?assertMatch({error, {'TypeError', <<"result: cannot encode generator", _/binary>>}},
                 py:eval(<<"x">>, #{x => {iter, [1]}})).

nothing_left() ->
    fixture:wait_until(fun() -> iterators() =:= [] end).
