#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% How malloc is set in a worker, and that its environment wins. glibc says how
%% many blocks have a mapping of their own, and which arenas there are.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app([
        {"a block of 1 MB comes from the heap, even the first", fun() -> mapped(0, []) end},
        {"few arenas, however many threads", fun few_arenas/0},
        [{["the environment wins: ", Name], fun() -> mapped(1, [{Name, Value}]) end}
         || {Name, Value} <- [{"MALLOC_MMAP_THRESHOLD_", "65536"},
                              {"GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=65536"}]],
        {"another setting of the environment leaves this one", fun() ->
            mapped(0, [{"MALLOC_ARENA_MAX", "4"}, {"GLIBC_TUNABLES", "glibc.malloc.arena_max=4"}])
        end},
        {"the environment wins: arenas", fun more_arenas/0}
    ])).

%% How many mappings a block of 1 MB adds.
mapped(Expected, Env) ->
    glibc(Env, fun(Eval) ->
        {ok, Before} = Eval(<<"blocks()">>),
        {ok, After} = Eval(<<"[blocks() for block in [bytearray(1 << 20)]][0]">>),
        ?assertEqual(Expected, After - Before)
    end).

few_arenas() ->
    ?assert(arenas([]) =< 2).

more_arenas() ->
    ?assertEqual(4, arenas([{"MALLOC_ARENA_MAX", "4"}])).

arenas(Env) ->
    glibc(Env, fun(Eval) -> {ok, N} = Eval(<<"arenas()">>), N end).

glibc(Env, Fun) ->
    fixture:unless_sanitized(),
    {ok, _} = py:start_pool(glibc, #{size => 1, env => Env, init => code()}),
    try
        Eval = fun(Code) -> py:eval(Code, #{}, #{pool => glibc}) end,
        Eval(<<"hasattr(libc, 'mallinfo2')">>) =:= {ok, true} orelse tap:skip("no mallinfo2"),
        Fun(Eval)
    after
        ok = py:stop_pool(glibc)
    end.

%% Ten threads allocate at the same time.
code() ->
    <<"import ctypes, threading\n"
      "libc = ctypes.CDLL(None)\n"
      "class Info(ctypes.Structure):\n"
      "    _fields_ = [(n, ctypes.c_size_t) for n in 'arena ordblks smblks hblks hblkhd "
      "usmblks fsmblks uordblks fordblks keepcost'.split()]\n"
      "if hasattr(libc, 'mallinfo2'):\n"
      "    libc.mallinfo2.restype = Info\n"
      "def blocks():\n"
      "    return libc.mallinfo2().hblks\n"
      "def allocate(barrier):\n"
      "    block = libc.malloc(1000)\n"
      "    barrier.wait()\n"
      "def arenas():\n"
      "    libc.malloc.restype = ctypes.c_void_p\n"
      "    barrier = threading.Barrier(10)\n"
      "    threads = [threading.Thread(target=allocate, args=(barrier,)) for _ in range(10)]\n"
      "    for t in threads: t.start()\n"
      "    for t in threads: t.join()\n"
      "    libc.open_memstream.restype = ctypes.c_void_p\n"
      "    text, size = ctypes.c_char_p(), ctypes.c_size_t()\n"
      "    stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))\n"
      "    libc.malloc_info(0, stream)\n"
      "    libc.fclose(stream)\n"
      "    return text.value.count(b'<heap nr=')\n">>.
