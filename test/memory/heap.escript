#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A pool whose heap is limited: Python sees MemoryError, and goes on. So that each
%% test sees what becomes of the same program, no worker is replaced for that here, and
%% one whose heap is left full keeps the process that is bound to it;
%% test/pool/recycle.escript is about that.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MIB, 1048576).
-define(LIMIT, (64 * ?MIB)).
-define(TIMES, 10).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, memory => #{heap => ?LIMIT}, drain => 60_000,
                               recycle => #{memory_errors => 1_000_000}}, [
        {"one large object", fun() -> ten_times(<<"bytearray(2**30)">>) end},
        {"ten million small objects", 120_000,
         fun() -> ten_times(<<"[[n] for n in range(10**7)]">>) end},
        {"a list that grows", 120_000,
         fun() -> ten_times(<<"(lambda l: [l.append(None) for _ in range(10**8)])([])">>) end},
        {"a dictionary", 120_000, fun() -> ten_times(<<"{n: str(n) for n in range(10**7)}">>) end},
        {"a text", fun() -> ten_times(<<"'a' * 10**9">>) end},
        {"a large integer", fun() -> ten_times(<<"1 << 8 * 10**9">>) end},
        {"one numpy array", fun() -> numpy(<<"len(numpy.ones(10**8))">>) end},
        {"many numpy arrays", 120_000,
         fun() -> numpy(<<"len([numpy.ones(1000) for _ in range(10**5)])">>) end},
        {"numpy imported in a thread", fun numpy_in_thread/0},
        {"C's malloc is not Python's heap", fun malloc/0},
        {"arguments", fun arguments/0},
        {"a generator", fun generator/0},
        {"except, finally and the next call have room", fun aftermath/0},
        {"a call that keeps all it can get: the next one frees it", fun keeper/0},
        {"no number of calls gets far beyond the limit", fun creeping/0},
        {"a thread of the call's", fun thread/0},
        {"a forked child", fun child/0},
        {"another limit while the pool runs", fun changed/0},
        {"a limit far below what there is: the next call frees it", fun lowered/0},
        {"a block that grows is counted once", fun grown/0},
        {"statistics do not count themselves", fun unobserved/0},
        {"tracemalloc started and stopped in between", 120_000, fun traced/0}
    ])).

%% ---------------------------------------------------------------------------

eval(Code) -> py:eval(Code).
exec(Code) -> ok = py:exec(Code).

%% The promised outcome; afterwards the same worker does its work, and has no
%% more than before.
ten_times(Code) ->
    [Worker] = fixture:os_pids(),
    _ = refused(Code),
    Before = current(),
    [begin
         ok = refused(Code),
         ?assertEqual({ok, 3}, eval(<<"1 + 2">>)),
         ?assertEqual({ok, 1000000}, eval(<<"len(bytes(10**6))">>))
     end || _ <- lists:seq(1, ?TIMES)],
    ?assertEqual([Worker], fixture:os_pids()),
    After = current(),
    tap:note("~b bytes before, ~b after", [Before, After]),
    ?assert(After < Before + ?MIB).

%% The message says which limit, and at what.
refused(Code) ->
    {error, {'MemoryError', Why}} = eval(Code),
    ?assertMatch({match, _}, re:run(Why, "while the code ran; limit heap: 67108864 bytes, with \\d+ in use")),
    ok.

refused(Code, Limit) ->
    {error, {'MemoryError', Why}} = eval(Code),
    ?assert(fixture:contains(Why, Limit)),
    ok.

current() ->
    {ok, _} = py:gc(),
    #{heap := #{current := Current, limit := ?LIMIT}} = detail(),
    Current.

detail() ->
    fixture:memory_stats({default, 1}, #{detail => true}).

needs_numpy() ->
    eval(<<"__import__('importlib.util').util.find_spec('numpy') is not None">>) =:= {ok, true}
        orelse tap:skip("there is no numpy").

%% What its arrays have is counted, and given back.
numpy(Code) ->
    needs_numpy(),
    exec(<<"import numpy">>),
    Before = current(),
    exec(<<"kept = numpy.ones(10**6)">>),
    ?assert(current() - Before > 7900000),
    exec(<<"kept = None">>),
    ?assert(current() - Before < 100000),
    [begin
         {error, {_, Why}} = eval(Code),
         ?assert(fixture:contains(Why, "limit heap: 67108864 bytes")),
         ?assertEqual({ok, 10.0}, eval(<<"float(numpy.ones(10).sum())">>))
     end || _ <- lists:seq(1, ?TIMES)],
    ?assert(current() < Before + ?MIB).

%% The thread's arrays are its own business, the next call's are counted.
numpy_in_thread() ->
    needs_numpy(),
    ok = py:restart_workers(),
    exec(<<"
import threading
def load():
    global numpy
    import numpy
thread = threading.Thread(target=load)
thread.start()
thread.join()
">>),
    {error, {_, Why}} = eval(<<"len(numpy.ones(10**8))">>),
    ?assert(fixture:contains(Why, "limit heap: 67108864 bytes")).

malloc() ->
    exec(<<"
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
">>),
    Before = current(),
    exec(<<"block = libc.malloc(2**27)">>),
    ?assertEqual({ok, true}, eval(<<"block is not None">>)),
    ?assert(current() - Before < ?MIB),
    exec(<<"libc.free(block)">>),
    ?assert(abs(current() - Before) < ?MIB).

arguments() ->
    {error, {'MemoryError', Why}} = py:eval(<<"len(x)">>, #{x => binary:copy(<<"a">>, ?LIMIT)}),
    ?assert(fixture:contains(Why, "for the arguments; limit heap: 67108864 bytes")),
    ?assertEqual({ok, 10}, py:eval(<<"len(x)">>, #{x => binary:copy(<<"a">>, 10)})).

generator() ->
    ?assertMatch({error, {'MemoryError', _}}, py:stream_eval(<<"(bytes(n) for n in [1, 2**30, 2])">>)),
    ?assertEqual({ok, [0, 1]}, py:stream_eval(<<"range(2)">>)).

%% The handler formats, logs, writes a file; all of it takes memory.
aftermath() ->
    exec(<<"
import logging, tempfile, traceback
def work():
    kept, done = [], []
    try:
        while True:
            kept.append(bytes(1000))
    except MemoryError as e:
        logging.getLogger('heap').debug('at %d', len(kept), exc_info=True)
        done.append(len(traceback.format_exc()) > 0)
        raise ValueError('out of memory') from e
    finally:
        with tempfile.TemporaryFile('w') as f:
            done.append(f.write('x' * 10000))
            work.done = done
">>),
    ?assertMatch({error, {'ValueError', <<"out of memory">>}}, eval(<<"work()">>)),
    ?assertEqual({ok, [true, 10000]}, eval(<<"work.done">>)).

%% In a list that outlives the call; what frees it has to be compiled first.
keeper() ->
    [begin
         exec(<<"kept = []">>),
         ?assertMatch({error, {'MemoryError', _}},
                      py:exec(<<"while True: kept.append(", Item/binary, ")">>)),
         [?assertMatch({ok, N} when N > 1000, eval(<<"len(kept)">>)) || _ <- lists:seq(1, 20)],
         exec(<<"
def free():
    '''Written after the heap had run full.'''
    global kept
    kept = None
    return [str(n) for n in range(100)]
free()
">>),
         ?assertEqual({ok, 10000000}, eval(<<"len(bytes(10**7))">>))
     end || Item <- [<<"bytes(1000)">>, <<"[1]">>]].

%% Not even calls that handle the error and go on, and keep all they get: then
%% only another worker helps.
creeping() ->
    exec(<<"
kept = []
def grow():
    while True: kept.append(bytes(10000))
def grow_on():
    for _ in range(3):
        try:
            grow()
        except MemoryError:
            pass
">>),
    [_ = py:call('__main__', Function, []) || _ <- lists:seq(1, 50), Function <- [grow, grow_on]],
    Most = current(),
    tap:note("~b bytes above the limit", [Most - ?LIMIT]),
    ?assert(Most < ?LIMIT + 5 * ?LIMIT div 50 + ?MIB),
    ok = py:unbind(),
    ok = py:restart_workers(),
    ?assertEqual({ok, 10000000}, eval(<<"len(bytes(10**7))">>)).

thread() ->
    exec(<<"
import threading
def work(found):
    try:
        found.append(len(bytes(2**30)))
    except MemoryError:
        found.append('MemoryError')
def in_threads():
    found = []
    threads = [threading.Thread(target=work, args=(found,)) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    return found
">>),
    ?assertEqual({ok, lists:duplicate(4, <<"MemoryError">>)}, eval(<<"in_threads()">>)).

child() ->
    exec(<<"
import os
def in_child(code):
    pid = os.fork()
    if pid == 0:
        try:
            exec(code)
            os._exit(0)
        except MemoryError:
            os._exit(17)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
">>),
    ?assertEqual({ok, 17}, eval(<<"in_child('bytes(2**30)')">>)),
    ?assertEqual({ok, 0}, eval(<<"in_child('[bytes(100) for _ in range(100000)]')">>)).

%% It holds for the workers to come, too.
changed() ->
    ok = py:unbind(),
    ok = py:set_memory(default, #{heap => 4 * ?LIMIT}),
    ?assertEqual({ok, 2 * ?LIMIT}, eval(<<"len(bytearray(2**27))">>)),
    ok = py:restart_workers(),
    ?assertEqual({ok, 2 * ?LIMIT}, eval(<<"len(bytearray(2**27))">>)),
    ok = py:set_memory(default, #{heap => ?LIMIT}),
    ok = refused(<<"bytearray(2**27)">>).

%% Also for the call that runs then.
lowered() ->
    exec(<<"
import time
kept = [bytes(10**6) for _ in range(50)]
def patient():
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            bytearray(2**24)
        except MemoryError:
            return len([bytes(1000) for _ in range(100)])
">>),
    Waits = py:spawn_call('__main__', patient, []),
    ok = py:set_memory(default, #{heap => 8 * ?MIB}),
    ?assertEqual({ok, 100}, py:await(Waits)),
    ok = refused(<<"bytearray(2**24)">>, <<"limit heap: 8388608 bytes">>),
    exec(<<"kept.clear()">>),
    ok = refused(<<"bytearray(2**24)">>, <<"limit heap: 8388608 bytes">>),
    ok = py:set_memory(default, #{heap => ?LIMIT}),
    ?assertEqual({ok, 16 * ?MIB}, eval(<<"len(bytearray(2**24))">>)).

grown() ->
    ok = py_mem:reset_peak(default),
    {ok, _} = eval(<<"(lambda b: [b.extend(bytes(10**6)) for _ in range(40)])(bytearray()) and 1">>),
    #{heap := #{peak := Peak}} = detail(),
    ?assert(Peak < ?LIMIT).

%% Python 3.11 would list all its containers, to count objects.
unobserved() ->
    exec(<<"kept = [[] for _ in range(200000)]">>),
    Before = current(),
    [?assert(abs(current() - Before) < 200000) || _ <- lists:seq(1, ?TIMES)],
    exec(<<"kept = None">>).

traced() ->
    ok = refused(<<"bytearray(2**30)">>),
    Before = current(),
    ok = py:tracemalloc_start(),
    ten_times(<<"bytearray(2**30)">>),
    ok = py:exec(<<"kept = [bytes(100) for _ in range(100000)]">>),
    ok = py:tracemalloc_stop(),
    ten_times(<<"bytearray(2**30)">>),
    ok = py:exec(<<"kept.clear()">>),
    ?assert(abs(current() - Before) < ?MIB).
