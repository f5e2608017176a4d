#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Python's heap, counted and limited: the program alone.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MIB, 1048576).
-define(LIMIT, (64 * ?MIB)).

main(_) ->
    tap:run([{"arenas are always counted", fun arenas/0},
             {"a heap is counted only if it is asked for", fun off/0}
             | [counted(Kind) || Kind <- kinds()]]
            ++ [limited(Kind) || Kind <- kinds()]
            ++ [traced(Kind) || Kind <- kinds()]
            ++ [
             {"Python's development mode", fun development/0},
             {"tracing from the start", fun traced_from_start/0},
             {"a limit that is changed", fun changed/0},
             {"a limit where none was", fun later/0},
             {"a limit where none was, while something is traced", fun later_traced/0},
             {"a limit where nothing is counted", fun never/0},
             {"limits that are none", fun wrong_limits/0},
             {"a running job is refused what a new limit forbids", fun changed_while_busy/0},
             {"threads that allocate and free at once", 60_000, fun threads/0},
             {"a forked child has an account of its own", fun child/0},
             {"another interpreter", fun interpreter/0},
             {"the end of Python is not limited", fun end_of_python/0},
             {"a wrong limit", fun usage/0},
             {"a kind that cannot be counted", fun unknown_kind/0}
            ]).

%% What PYTHONMALLOC may say: mimalloc came with 3.13, and may be left out.
kinds() ->
    ["default", "debug", "malloc", "malloc_debug", "pymalloc", "pymalloc_debug"]
        ++ [Kind || Kind <- ["mimalloc", "mimalloc_debug"], knows(Kind)].

knows(Kind) ->
    with_env("PYTHONMALLOC", Kind, fun() ->
        #{code := Code} = raw:run([], []),
        Code =:= 0
    end).

with_program(Args, Fun) ->
    Port = raw:open(Args),
    Result = Fun(Port),
    raw:close(Port),
    Result.

%% The variable is the program's only.
with_env(Name, Value, Fun) ->
    Before = os:getenv(Name),
    os:putenv(Name, Value),
    try Fun() after
        case Before of false -> os:unsetenv(Name); _ -> os:putenv(Name, Before) end
    end.

exec(Port, Code) -> raw:ask(Port, {exec, Code}).

detail(Port) ->
    {ok, Detail} = raw:ask(Port, memory_detail),
    Detail.

current(Port) ->
    #{heap := #{current := Current, peak := Peak}} = detail(Port),
    ?assert(Current =< Peak),
    Current.

arenas() ->
    with_env("PYTHONMALLOC", "pymalloc", fun() -> with_program([], fun(Port) ->
        #{arenas := #{count := Before, bytes := Bytes}} = detail(Port),
        ?assert(Before > 0 andalso Bytes >= Before * 4096),
        ok = exec(Port, <<"kept = [bytes(100) for _ in range(100000)]">>),
        #{arenas := #{count := More}} = detail(Port),
        ?assert(More - Before >= 10),
        ok = exec(Port, <<"kept.clear()">>),
        #{arenas := #{count := After}} = detail(Port),
        ?assert(After < Before + 10)
    end) end).

off() ->
    with_program([], fun(Port) -> ?assertNot(maps:is_key(heap, detail(Port))) end).

%% Whichever allocator is below, and whatever checks are above it.
counted(Kind) ->
    {["what is counted and what is freed is the same: ", Kind], fun() ->
        with_env("PYTHONMALLOC", Kind, fun() ->
            with_program(["--account"], fun same/1)
        end)
    end}.

same(Port) ->
    ok = exec(Port, <<"kept = []">>),
    ok = round(Port, <<"bytes(100) for _ in range(100000)">>),
    [?assertEqual(ok, round(Port, Items)) || Items <- items()].

items() ->
    [<<"bytes(100) for _ in range(100000)">>, <<"bytes(10000) for _ in range(1000)">>,
     <<"bytearray(2**26),">>, <<"{'a': n, 'b': str(n)} for n in range(50000)">>].

%% Grows by at least 8 MiB, and is back where it was within a few blocks.
round(Port, Items) ->
    Before = current(Port),
    ok = exec(Port, <<"kept.extend([", Items/binary, "])">>),
    ?assert(current(Port) - Before > 8 * ?MIB),
    ok = exec(Port, <<"kept.clear()">>),
    ?assert(abs(current(Port) - Before) < ?MIB div 16),
    ok.

%% Whichever allocator is below, a job is refused what is too much, and the next
%% one works.
limited(Kind) ->
    {["a limit holds: ", Kind], 60_000, fun() ->
        with_env("PYTHONMALLOC", Kind, fun() -> with_limit(fun full/1) end)
    end}.

with_limit(Fun) ->
    with_program(["--heap", integer_to_list(?LIMIT)], Fun).

full(Port) ->
    refused(Port, <<"bytearray(2**30)">>),
    refused(Port, <<"[[n] for n in range(10**7)]">>),
    refused(Port, <<"{n: str(n) for n in range(10**7)}">>),
    ok = exec(Port, <<"kept = []">>),
    {error, {'MemoryError', _}} = exec(Port, <<"while True: kept.append(bytes(100))">>),
    Full = current(Port),
    ?assert(Full > ?LIMIT - 2 * ?MIB andalso Full < ?LIMIT + 4 * ?MIB),
    ok = exec(Port, <<"kept.clear()">>),
    ?assertEqual({ok, 100000}, raw:ask(Port, {eval, <<"len([n for n in range(100000)])">>, #{}})).

refused(Port, Code) ->
    {error, {'MemoryError', Why}} = raw:ask(Port, {eval, Code, #{}}),
    ?assert(fixture:contains(Why, "limit heap: 67108864 bytes, with ")).

%% Blocks are allocated before it is switched on or off, and freed after that.
traced(Kind) ->
    {["tracing on and off, in any order: ", Kind], 60_000, fun() ->
        with_env("PYTHONMALLOC", Kind, fun() -> with_limit(fun trace_and_free/1) end)
    end}.

trace_and_free(Port) ->
    ok = exec(Port, <<"kept = []\nimport tracemalloc">>),
    Before = current(Port),
    [begin
         ok = raw:ask(Port, First),
         ok = exec(Port, <<"kept.append([bytes(100) for _ in range(50000)])">>),
         ok = raw:ask(Port, Second),
         ok = exec(Port, <<"kept.append([bytes(1000) for _ in range(5000)])">>),
         refused(Port, <<"bytearray(2**30)">>),
         refused(Port, <<"[[n] for n in range(10**7)]">>),
         ok = exec(Port, <<"kept.clear()">>)
     end || {First, Second} <- [{tracemalloc_start, tracemalloc_stop},
                                {tracemalloc_stop, tracemalloc_start},
                                {{tracemalloc_start, 5}, tracemalloc_start},
                                {tracemalloc_stop, tracemalloc_stop}]],
    ?assert(abs(current(Port) - Before) < ?MIB div 2).

development() ->
    with_env("PYTHONDEVMODE", "1", fun() -> with_program(["--account"], fun same/1) end).

traced_from_start() ->
    with_env("PYTHONTRACEMALLOC", "1", fun() -> with_limit(fun(Port) ->
        full(Port),
        ok = raw:ask(Port, tracemalloc_stop),
        full(Port)
    end) end).

changed() ->
    with_limit(fun(Port) ->
        refused(Port, <<"bytearray(2**27)">>),
        ok = raw:ask(Port, {set_memory, #{heap => 1 bsl 30}}),
        ?assertMatch(#{heap := #{limit := 1 bsl 30}}, detail(Port)),
        {ok, _} = raw:ask(Port, {eval, <<"len(bytearray(2**27))">>, #{}}),
        ok = raw:ask(Port, {set_memory, #{heap => infinity}}),
        ?assertNot(maps:is_key(limit, maps:get(heap, detail(Port)))),
        {ok, _} = raw:ask(Port, {eval, <<"len(bytearray(2**27))">>, #{}}),
        ok = raw:ask(Port, {set_memory, #{heap => ?LIMIT}}),
        full(Port)
    end).

%% In either form.
later() ->
    [with_program(Args, fun(Port) ->
         ok = exec(Port, <<"kept = [bytes(100), bytes(1000)] * 1000">>),
         ok = raw:ask(Port, {set_memory, #{heap => ?LIMIT}}),
         full(Port)
     end) || Args <- [["--account"], ["--heap", "infinity"]]].

later_traced() ->
    with_env("PYTHONMALLOC", "default", fun() -> with_program(["--account"], fun(Port) ->
        ok = raw:ask(Port, tracemalloc_start),
        {error, {'NotImplementedError', Why}} = raw:ask(Port, {set_memory, #{heap => ?LIMIT}}),
        ?assert(fixture:contains(Why, "tracemalloc")),
        ok = raw:ask(Port, tracemalloc_stop),
        ok = raw:ask(Port, {set_memory, #{heap => ?LIMIT}}),
        full(Port)
    end) end).

never() ->
    with_program([], fun(Port) ->
        {error, {'NotImplementedError', Why}} = raw:ask(Port, {set_memory, #{heap => ?LIMIT}}),
        ?assert(fixture:contains(Why, "--account"))
    end).

wrong_limits() ->
    with_limit(fun(Port) ->
        [?assertMatch({error, {badarg, _}}, raw:ask(Port, {set_memory, Limits}))
         || Limits <- [#{heap => 0}, #{heap => -1}, #{heap => 1000}, #{heap => <<"1G">>},
                       #{heap => 1.0e9}, #{heap => 1 bsl 64}, #{heap => none}, #{help => 1 bsl 30},
                       [], heap]],
        ?assertMatch(#{heap := #{limit := ?LIMIT}}, detail(Port))
    end).

changed_while_busy() ->
    with_program(["--account"], fun(Port) ->
        raw:send(Port, {busy, {exec, <<"while True: bytes(10**7)">>}}),
        ok = ask_beside(Port, {set_memory, #{heap => ?LIMIT}}),
        ok = ask_beside(Port, {set_memory, #{heap => 8 * ?MIB}}),
        ?assertMatch({busy, {error, {'MemoryError', _}}}, raw:recv(Port))
    end).

ask_beside(Port, Op) ->
    raw:send(Port, {beside, Op}),
    {beside, Result} = raw:recv(Port),
    Result.

%% zlib and hashlib work without the GIL; one thread frees what another made.
threads() ->
    with_program(["--account"], fun(Port) ->
        ok = exec(Port, <<"
import queue, threading, zlib
data = bytes(range(256)) * 400
def make(q):
    for n in range(300):
        q.put([zlib.compress(data), bytes(1000), [n] * 10, bytearray(100000)])
    q.put(None)
def drop(q):
    while q.get() is not None:
        pass
def work():
    queues = [queue.Queue(5) for _ in range(4)]
    threads = [threading.Thread(target=f, args=(q,)) for q in queues for f in (make, drop)]
    [t.start() for t in threads]
    [t.join() for t in threads]
work()
">>),
        Before = current(Port),
        [ok = exec(Port, <<"work()">>) || _ <- lists:seq(1, 5)],
        ?assert(abs(current(Port) - Before) < ?MIB div 4)
    end).

%% A thread reads the arenas all the time, and a fork does not leave them locked.
child() ->
    with_limit(fun(Port) ->
        ok = exec(Port, <<"
import os
def fork(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except MemoryError:
            os._exit(17)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def many():
    return [bytes(100) for _ in range(100000)]
def forks():
    return {fork(many) for _ in range(50)}
">>),
        raw:send(Port, {busy, {eval, <<"list(forks())">>, #{}}}),
        ?assertEqual({ok, [0]}, look_until_done(Port)),
        ?assertEqual({ok, 17}, raw:ask(Port, {eval, <<"fork(lambda: bytes(2**30))">>, #{}})),
        full(Port)
    end).

look_until_done(Port) ->
    raw:send(Port, {look, memory_detail}),
    case raw:recv(Port) of
        {look, {ok, #{heap := _}}} -> look_until_done(Port);
        {busy, Result} -> {look, {ok, _}} = raw:recv(Port), Result
    end.

%% Since 3.12 it may have arenas of its own.
interpreter() ->
    with_program(["--account"], fun(Port) ->
        case exec(Port, <<"
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
def work():
    it = interpreters.create()
    interpreters.run_string(it, 'kept = [[n] for n in range(100000)]')
    interpreters.destroy(it)
work()
">>) of
            ok ->
                Before = current(Port),
                [ok = exec(Port, <<"work()">>) || _ <- lists:seq(1, 5)],
                {ok, _} = raw:ask(Port, gc),
                tap:note("~b bytes more", [current(Port) - Before]),
                ?assert(current(Port) - Before < 8 * ?MIB);
            {error, Why} ->
                tap:skip(io_lib:format("no interpreters: ~p", [Why]))
        end
    end).

end_of_python() ->
    #{code := 0, stderr := Text} = raw:run(["--heap", integer_to_list(?LIMIT)], raw:frame(
        {1, {exec, <<"import atexit, sys\n"
                     "atexit.register(lambda: print(len(bytes(2**28)), file=sys.stderr))">>}})),
    ?assert(fixture:contains(Text, "268435456")).

usage() ->
    [begin
         #{code := 64, stderr := Text} = raw:run(["--heap", Value], <<>>),
         ?assert(fixture:contains(Text, "--heap"))
     end || Value <- ["0", "1000", "-1", "much"]].

%% Python itself refuses a word that it does not know.
unknown_kind() ->
    with_env("PYTHONMALLOC", "nonsense", fun() ->
        #{code := 70, replies := [{undefined, {error, {start_failed, Why}}}]} =
            raw:run(["--account"], raw:frame({1, version})),
        ?assert(fixture:contains(Why, "PYTHONMALLOC"))
    end).
