#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The heap's profile through the API: a leak is named, what is added since a mark,
%% what only C has, a flame graph, the switch.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(PROFILE, #{rate => 2048, per_second => 1000000}).

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"a pool without it says so", fun off/0},
        {"a leak is named by its line and function", fun leak/0},
        {"what was freed is gone", fun freed/0},
        {"what was added since a mark", fun mark/0},
        {"by file and by traceback", fun by/0},
        {"a pool's rows are its workers' together", fun merged/0},
        {"what C leaks is in the rest, and in no site", fun rest/0},
        {"it can be switched off and on", fun switch/0},
        {"a worker that is busy", fun busy/0},
        {"tracing, a limit and a profile together", fun together/0},
        {"the samples stand for what the heap has grown by", fun grown/0},
        {"interpreters that share objects with the main one", fun shared/0},
        {"never more samples than are wanted", fun bounded/0},
        {"with Python's own checks, and with malloc alone", fun kinds/0},
        {"a program of which nobody knows the frames, and wrong options", fun wrong/0},
        {"flame graphs", fun flame/0}
    ])).

leaky(Options, Fun) ->
    {ok, _} = py:start_pool(leaky, maps:merge(#{size => 1, python_path => [fixture:python_path()],
                                                profile => ?PROFILE, init => <<"import leaky">>},
                                              Options)),
    try Fun() after ok = py:stop_pool(leaky) end.

%% More than Python's own modules have.
handle() ->
    exec(<<"for _ in range(5000): leaky.handle('some words')">>).

exec(Code) -> ok = py:exec_all(Code, #{pool => leaky}).

off() ->
    No = {error, {not_enabled, profile}},
    ?assertEqual(No, py_profile:heap(default)),
    ?assertEqual(No, py_profile:heap({default, 1}, #{since => mark})),
    ?assertEqual({ok, [{1, No}]}, py_profile:heap({default, all})),
    ?assertEqual(No, py_profile:mark(default)),
    ?assertEqual(No, py_profile:start(default)),
    ?assertEqual({ok, [{1, No}]}, py_profile:stop({default, all})),
    ?assertEqual({error, {no_pool, nowhere}}, py_profile:heap(nowhere)),
    ?assertEqual({error, {no_worker, {default, 3}}}, py_profile:mark({default, 3})).

leak() ->
    leaky(#{}, fun() ->
        handle(),
        {ok, #{sites := [Most | _], bytes := All, error := _, on := 1, missed := 0,
               unnamed := 0}} = py_profile:heap(leaky),
        #{file := File, line := 16, function := <<"remember">>, bytes := Bytes, error := Error,
          count := Count, workers := [1]} = Most,
        ?assertEqual(<<"leaky.py">>, filename:basename(File)),
        ?assert(abs(Bytes - exact()) < 5 * Error),
        ?assert(Bytes < All andalso Count > 4000)
    end).

%% What that line has made: the words are of another.
exact() ->
    {ok, N} = py:eval(<<"sum(map(__import__('sys').getsizeof,"
                        " leaky._seen + [x[-1] for x in leaky._seen] + [leaky._seen]))">>, #{},
                      #{pool => leaky}),
    N.

freed() ->
    leaky(#{}, fun() ->
        handle(),
        exec(<<"leaky._seen.clear()">>),
        {ok, #{sites := Sites}} = py_profile:heap(leaky, #{top => 1000}),
        ?assert(lists:sum([Bytes || #{function := <<"remember">>, bytes := Bytes} <- Sites]) < 100_000)
    end).

mark() ->
    leaky(#{}, fun() ->
        handle(),
        ok = py_profile:mark(leaky),
        {ok, #{bytes := Before}} = py_profile:heap(leaky, #{since => mark}),
        ?assert(Before < 200_000),
        handle(),
        {ok, #{sites := [#{line := 16, bytes := Added} | _]}} =
            py_profile:heap(leaky, #{since => mark}),
        {ok, #{sites := [#{line := 16, bytes := All} | _]}} = py_profile:heap(leaky),
        ?assert(Added * 3 < All * 2)
    end).

by() ->
    leaky(#{}, fun() ->
        handle(),
        {ok, #{sites := [#{file := File} = Row]}} = py_profile:heap(leaky, #{by => file, top => 1}),
        ?assertEqual(<<"leaky.py">>, filename:basename(File)),
        ?assertNot(is_map_key(line, Row)),
        {ok, #{sites := [#{frames := Frames}]}} =
            py_profile:heap(leaky, #{by => traceback, top => 1}),
        ?assertMatch([{<<"remember">>, 16}, {<<"handle">>, 25} | _],
                     lists:reverse([{F, L} || #{function := F, line := L} <- Frames]))
    end).

merged() ->
    leaky(#{size => 2}, fun() ->
        ok = py:exec_all(<<"for _ in range(5000): leaky.remember('a')">>, #{pool => leaky}),
        {ok, #{sites := [#{line := 16, bytes := Both, workers := [1, 2]} | _]}} =
            py_profile:heap(leaky),
        {ok, [{1, {ok, #{sites := [#{bytes := One, workers := [1]} | _]}}},
              {2, {ok, #{sites := [#{bytes := Two, workers := [2]} | _]}}}]} =
            py_profile:heap({leaky, all}),
        ?assert(abs(Both - One - Two) =< 2)
    end).

%% A sanitizer's malloc does not tell.
rest() ->
    fixture:unless_sanitized(),
    leaky(#{}, fun() ->
        exec(<<"import ctypes; libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p">>),
        {ok, #{rest := Before, bytes := Bytes}} = py_profile:heap(leaky),
        exec(<<"for _ in range(1000): libc.malloc(50000)">>),
        exec(<<"large = [bytes(10000) for _ in range(1000)]">>),
        {ok, #{rest := After, bytes := More}} = py_profile:heap(leaky),
        ?assert(abs(After - Before - 50_000_000) < 2_000_000),
        ?assert(abs(More - Bytes - 10_000_000) < 1_500_000)
    end).

switch() ->
    leaky(#{}, fun() ->
        ok = py_profile:stop(leaky),
        ok = py_profile:mark(leaky),
        handle(),
        ?assertMatch({ok, #{sites := [], bytes := 0, on := 0}},
                     py_profile:heap(leaky, #{since => mark})),
        ?assertEqual({ok, [{1, ok}]}, py_profile:start({leaky, all})),
        handle(),
        ?assertMatch({ok, #{sites := [#{line := 16} | _], on := 1}},
                     py_profile:heap({leaky, 1}, #{since => mark}))
    end).

busy() ->
    leaky(#{}, fun() ->
        handle(),
        Held = fixture:hold(#{pool => leaky}),
        ?assertMatch({ok, #{sites := [#{line := 16} | _]}}, py_profile:heap(leaky)),
        {ok, _} = fixture:release(Held)
    end).

together() ->
    leaky(#{memory => #{heap => 100_000_000}, recycle => #{memory_errors => 1000}}, fun() ->
        ok = py:tracemalloc_start(leaky, 5),
        handle(),
        ?assertMatch({error, {'MemoryError', _}}, py:eval(<<"bytes(200_000_000)">>, #{},
                                                          #{pool => leaky})),
        ?assertMatch({error, {'MemoryError', _}},
                     py:exec(<<"x = []\nwhile True: x.append(bytes(10000))">>, #{pool => leaky})),
        exec(<<"x = None">>),
        {ok, [#{line := 16} | _]} = py_mem:traced(leaky),
        ?assertMatch({ok, #{sites := [#{line := 16} | _]}}, py_profile:heap(leaky)),
        ok = py:tracemalloc_stop(leaky),
        handle(),
        ok = py:set_memory(leaky, #{heap => infinity}),
        ?assertEqual({ok, 200_000_000}, py:eval(<<"len(bytes(200_000_000))">>, #{}, #{pool => leaky}))
    end).

%% These blocks have 256 bytes: none is lost between them.
grown() ->
    leaky(#{}, fun() ->
        {Heap, _} = both(),
        ok = py_profile:mark(leaky),
        exec(<<"kept = [bytes(223) for _ in range(20000)]">>),
        {More, #{bytes := Bytes, error := Error}} = both(),
        ?assert(abs(Bytes - (More - Heap)) < 5 * Error)
    end).

both() ->
    {ok, 0} = py:eval(<<"(__import__('gc').collect(), 0)[1]">>, #{}, #{pool => leaky}),
    #{heap := #{current := Heap}} = fixture:memory_stats({leaky, 1}, #{detail => true}),
    {ok, Profile} = py_profile:heap(leaky, #{since => mark}),
    {Heap, Profile}.

%% They free what the main one has allocated, large samples, too.
shared() ->
    Code = <<"try:\n"
             "    try:\n"
             "        import _xxsubinterpreters as interpreters\n"
             "    except ImportError:\n"
             "        import _interpreters as interpreters\n"
             "except ImportError:\n"
             "    interpreters = None\n"
             "def create():\n"
             "    for how in ({'isolated': False}, {'config': 'legacy'}):\n"
             "        try:\n"
             "            return interpreters.create(**how)\n"
             "        except TypeError:\n"
             "            pass\n"
             "for _ in range(5 if interpreters else 0):\n"
             "    other = create()\n"
             "    interpreters.run_string(other, 'import sys, json; kept = [sys.intern(str(n) * 3) for n in range(50_000)]')\n"
             "    interpreters.destroy(other)\n">>,
    leaky(#{profile => #{rate => 512, per_second => 1_000_000}}, fun() ->
        ?assertEqual(ok, py:exec(Code, #{pool => leaky, timeout => 60_000})),
        {ok, #{sites := [_ | _]}} = py_profile:heap(leaky)
    end).

bounded() ->
    leaky(#{profile => #{rate => 512, samples => 200, per_second => 1000000}}, fun() ->
        ok = py_profile:mark(leaky),
        exec(<<"kept = [bytes(479) for _ in range(50000)]">>),
        {ok, #{samples := N, thinned := Thinned, bytes := Bytes, error := Error, rate := Rate}} =
            py_profile:heap(leaky, #{since => mark}),
        ?assert(N =< 200 andalso Thinned > 200 andalso Rate > 1000),
        ?assert(abs(Bytes - 50000 * (512 + 8)) < 5 * Error)
    end).

kinds() ->
    [leaky(#{env => #{"PYTHONMALLOC" => Kind}}, fun() ->
         handle(),
         exec(<<"x = [bytes(n) for n in range(0, 60000, 100)]; del x">>),
         ?assertMatch({ok, #{sites := [#{line := 16} | _]}}, py_profile:heap(leaky))
     end) || Kind <- ["debug", "malloc", "malloc_debug"]].

wrong() ->
    [?assertMatch({error, {badarg, {option, {profile, Key}, _}}},
                  py:start_pool(leaky, #{profile => #{Key => Value}}))
     || {Key, Value} <- [{rate, 63}, {samples, 15}, {per_second, 0}, {else, 1}]],
    ?assertMatch({error, {badarg, {option, profile, _}}}, py:start_pool(leaky, #{profile => yes})),
    [?assertError(badarg, py_profile:heap(default, Options))
     || Options <- [#{by => module}, #{top => 0}, #{since => 1}, [top]]],
    [?assertError(badarg, py_profile:flame(Profile, "/nowhere")) || Profile <- [default, [1], #{}]].

flame() ->
    leaky(#{}, fun() ->
        handle(),
        ok = py:tracemalloc_start(leaky, 10),
        handle(),
        {ok, Profile} = py_profile:heap(leaky),
        {ok, Snapshot} = py_mem:snapshot(leaky),
        [begin
             File = filename:join(fixture:tmpdir(), "flame.svg"),
             ok = py_profile:flame(What, File),
             {ok, Svg} = file:read_file(File),
             ?assertMatch(<<"<?xml", _/binary>>, Svg),
             ?assertNotEqual(nomatch, binary:match(Svg, <<"remember leaky.py:16">>)),
             ?assertNotEqual(nomatch, binary:match(Svg, <<"handle leaky.py:25">>))
         end || What <- [Profile, Snapshot]],
        ?assertEqual({error, enoent}, py_profile:flame(Profile, "/no/such/folder/flame.svg"))
    end).
