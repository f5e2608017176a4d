#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Pools give memory back by themselves: when a worker falls idle, under constant
%% load, every now and then, or never.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MB, 1_000_000).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => code()}, [
        {"a worker that has fallen idle", 120_000, fun() -> idle(default) end},
        {"one that is never idle", 120_000, fun() -> loaded([{after_growth, 50 * ?MB}]) end},
        {"every 100 ms", 120_000, fun() -> loaded([{every, 100}]) end},
        {"never", 120_000, fun never/0},
        {"an idle worker with nothing to give is left alone", 120_000, fun left_alone/0}
    ])).

%% What is kept lies above what is freed: malloc by itself gives only the end of
%% its memory back. `work' leaves 100 MB free, and then has something to do.
code() ->
    <<"import time\n"
      "kept = []\n"
      "def leave(n):\n"
      "    blocks = [bytearray(1000) for _ in range(n)]\n"
      "    kept.append([bytearray(1000) for _ in range(10)])\n"
      "def work(n, seconds):\n"
      "    leave(n)\n"
      "    until = time.monotonic() + seconds\n"
      "    while time.monotonic() < until: pass\n">>.

rss(Pool) -> figure(rss, Pool).

%% What it has had, even if it was given back before anybody could look.
peak(Pool) -> figure(peak, Pool).

figure(Key, Pool) ->
    {ok, #{Key := Bytes}} = py:memory_stats({Pool, 1}),
    Bytes.

idle(Pool) ->
    fixture:unless_sanitized(),
    Before = rss(Pool),
    {ok, none} = py:call('__main__', leave, [200_000], #{}, #{pool => Pool}),
    ?assert(peak(Pool) - Before > 180 * ?MB),
    fixture:wait_until(fun() -> rss(Pool) - Before < 20 * ?MB end).

%% There is always a call under way or waiting.
loaded(Rules) ->
    fixture:unless_sanitized(),
    in_pool(Rules, fun() ->
        Before = rss(p),
        {ok, none} = py:call('__main__', leave, [200_000], #{}, #{pool => p}),
        Loads = [spawn_link(fun load/0) || _ <- [1, 2]],
        ?assert(peak(p) - Before > 180 * ?MB),
        fixture:wait_until(fun() -> rss(p) - Before < 100 * ?MB end),
        [begin unlink(Load), exit(Load, kill) end || Load <- Loads]
    end).

load() ->
    {ok, none} = py:call('__main__', work, [10], #{seconds => 0.2}, #{pool => p}),
    load().

in_pool(Trim, Fun) ->
    {ok, _} = py:start_pool(p, #{size => 1, init => code(), trim => Trim}),
    try Fun() after ok = py:stop_pool(p) end.

%% For longer than the default pool needs.
never() ->
    fixture:unless_sanitized(),
    in_pool(never, fun() ->
        {ok, none} = py:call('__main__', leave, [200_000], #{}, #{pool => p}),
        Kept = rss(p),
        idle(default),
        ?assert(rss(p) > Kept - 5 * ?MB)
    end).

%% Its threads sleep: the kernel counts how often each has.
left_alone() ->
    in_pool([idle], fun() ->
        [OsPid] = fixture:os_pids(p),
        timer:sleep(4_000),
        Before = waits(OsPid),
        timer:sleep(3_000),
        ?assertEqual(Before, waits(OsPid))
    end).

waits(OsPid) ->
    [switches(File) || File <- filelib:wildcard(lists:concat(["/proc/", OsPid, "/task/*/status"]))].

switches(File) ->
    {ok, Text} = file:read_file(File),
    {match, [N]} = re:run(Text, "\nvoluntary_ctxt_switches:\\s+(\\d+)",
                          [{capture, all_but_first, list}]),
    N.
