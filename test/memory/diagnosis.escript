#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The one word for what a worker's memory mostly is, in memory that was planted:
%% each word for six reasons (planted.py), and once where the program's own account
%% says what objects take.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MB, 1_000_000).
-define(PLANTED, 80).

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        [{[atom_to_list(Word), ": ", atom_to_list(Hoard)], 60_000,
          fun() -> planted(Word, Hoard, #{}) end}
         || {Word, Hoards} <- hoards(), Hoard <- Hoards],
        [{[atom_to_list(Word), ", with an account: ", atom_to_list(hd(Hoards))], 60_000,
          fun() -> planted(Word, hd(Hoards), #{memory => #{account => true}}) end}
         || {Word, Hoards} <- hoards()],
        {"frozen objects are not seen, and that is known", 60_000, fun frozen/0},
        {"no word for what a job that runs may have", 60_000, fun running/0},
        {"C code holds the GIL: what needs no Python is known", 60_000, fun gil_held/0}
    ])).

hoards() ->
    [{c_heap, [leak_large, leak_small, leak_strings, leak_in_threads, leak_mmap, leak_sqlite]},
     {freed_not_returned, [freed_bytearrays, freed_strings, freed_arrays, freed_numpy,
                           freed_nested, freed_by_c]},
     {fragmentation, [pieces_bytearrays, pieces_strings, pieces_tuples, pieces_nested,
                      pieces_by_c, pieces_after_trim]},
     {python_objects, [cache_nested, cache_bytes, cache_one, cache_instances, cache_numpy,
                       cache_in_threads, cache_shared]},
     {children, [children_forked, children_many, children_subprocess, children_of_a_shell,
                 children_multiprocessing, children_orphaned]}].

with_pool(Options, Fun) ->
    {ok, _} = py:start_pool(planted, Options#{size => 1, python_path => [fixture:python_path()],
                                              init => <<"import planted, wedge">>}),
    try Fun() after ok = py:stop_pool(planted, 100) end.

planted(Word, Hoard, Options) ->
    fixture:unless_sanitized(),
    needs_numpy(lists:suffix("numpy", atom_to_list(Hoard))),
    with_pool(Options, fun() ->
        {ok, none} = py:call(planted, Hoard, [?PLANTED], #{}, #{pool => planted, timeout => 50_000}),
        Word =:= children andalso fixture:wait_until(fun() -> children_rss() > 0.9 * ?PLANTED * ?MB end),
        fixture:wait_until(fun() -> is_map_key(diagnosis, detail()) end),
        Stats = detail(),
        tap:note("~0tp", [maps:with([held, uss, arenas, malloc, objects, children], Stats)]),
        ?assertEqual(Word, maps:get(diagnosis, Stats, none))
    end).

needs_numpy(true) -> fixture:has_numpy() orelse tap:skip("numpy was not found");
needs_numpy(false) -> ok.

detail() ->
    fixture:memory_stats({planted, 1}, #{detail => true}).

children_rss() ->
    #{children := #{rss := Rss}} = detail(),
    Rss.

frozen() ->
    fixture:unless_sanitized(),
    with_pool(#{}, fun() ->
        {ok, none} = py:call(planted, cache_bytes, [?PLANTED], #{}, #{pool => planted}),
        ok = py_mem:gc_freeze(planted),
        fixture:wait_until(fun() -> is_map_key(blocks, detail()) end),
        Stats = detail(),
        ?assertNot(is_map_key(objects, Stats) orelse is_map_key(diagnosis, Stats))
    end).

%% A function's local variables are seen by nobody but itself.
running() ->
    fixture:unless_sanitized(),
    with_pool(#{}, fun() ->
        {ok, none} = py:call(planted, leak_large, [?PLANTED], #{}, #{pool => planted}),
        ?assertMatch(#{diagnosis := c_heap}, detail()),
        Held = fixture:hold(#{pool => planted}),
        ?assertNot(is_map_key(diagnosis, detail())),
        {ok, _} = fixture:release(Held)
    end).

gil_held() ->
    fixture:unless_sanitized(),
    with_pool(#{}, fun() ->
        {ok, none} = py:call(planted, pieces_tuples, [?PLANTED], #{}, #{pool => planted}),
        File = filename:join(fixture:tmpdir(), "started"),
        Args = [unicode:characters_to_binary(File)],
        spawn(fun() -> py:call(wedge, keep_gil_deaf, Args, #{}, #{pool => planted}) end),
        fixture:wait_until(fun() -> filelib:is_file(File) end),
        Detail = fun() -> {ok, #{} = Stats} = py:memory_stats({planted, 1}, #{detail => true}), Stats end,
        %% Where the machine is late, it is not there in time.
        fixture:wait_until(fun() -> is_map_key(diagnosis, Detail()) end),
        #{busy := true, diagnosis := fragmentation} = Stats = Detail(),
        ?assertMatch(#{arenas := #{unused := _}, malloc := #{used := _, free := _}}, Stats),
        ?assertNot(is_map_key(blocks, Stats) orelse is_map_key(objects, Stats)),
        [OsPid] = fixture:os_pids(planted),
        _ = fixture:kill("KILL", OsPid)
    end).
