#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% memory => #{cgroup => Dir}: each worker in a control group of its own. Where
%% there is a tree of version 2 that may be written, a real one; the limits are
%% seen in a directory that only looks like one, so that it needs no controllers.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MIB, (1 bsl 20)).

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"limits are written where the worker is", fun written/0},
        {"limits are changed while it runs", fun changed/0},
        {"controllers are enabled for the workers", fun enabled/0},
        {"what a VM that crashed has left is removed", fun swept/0},
        {"the directory of a worker goes with it", fun removed/0},
        [{["cannot be used: ", What], fun() -> unusable(Change, Text) end}
         || {What, Change, Text} <- unusable()],
        {"a limit without a control group", fun without/0},
        {"a real one: the workers are in it, the VM is not", fun real/0},
        {"a real one: what a worker has started ends with it", fun real_orphan/0},
        {"a real one: a worker over its limit is ended, and told apart", fun real_limit/0}
    ])).

with_pool(Limits, Fun) ->
    {ok, _} = py:start_pool(grouped, #{size => 2, memory => Limits}),
    try Fun() after ok = py:stop_pool(grouped) end.

%% ---------------------------------------------------------------------------
%% A directory that looks like a control group

with_fake(Fun) ->
    Dir = filename:join(fixture:tmpdir(), "group"),
    ok = file:make_dir(Dir),
    put(Dir, "cgroup.controllers", "cpu memory pids\n"),
    put(Dir, "cgroup.subtree_control", "\n"),
    put(Dir, "cgroup.procs", ""),
    try Fun(Dir) after ok = file:del_dir_r(Dir) end.

put(Dir, Name, Text) -> ok = file:write_file(filename:join(Dir, Name), Text).

get(Dir, Name) ->
    {ok, Text} = file:read_file(filename:join(Dir, Name)),
    Text.

children(Dir) ->
    lists:sort(filelib:wildcard(filename:join(Dir, "py-*"))).

%% What is in the groups that workers have joined.
in_groups(Dir, Name) ->
    [get(Child, Name) || Child <- children(Dir)].

%% The kernel removes the files of a group with it.
unfake(Dir) ->
    [file:delete(File) || Child <- children(Dir), File <- filelib:wildcard(Child ++ "/*")].

written() ->
    with_fake(fun(Dir) ->
        with_pool(#{cgroup => Dir, cgroup_max => 500 * ?MIB, cgroup_high => infinity,
                    cgroup_pids => 50}, fun() ->
            ?assertEqual([<<"0">>, <<"0">>], in_groups(Dir, "cgroup.procs")),
            ?assertEqual([<<"524288000">>, <<"524288000">>], in_groups(Dir, "memory.max")),
            ?assertEqual([<<"max">>, <<"max">>], in_groups(Dir, "memory.high")),
            ?assertEqual([<<"50">>, <<"50">>], in_groups(Dir, "pids.max")),
            ?assertEqual([<<"1">>, <<"1">>], in_groups(Dir, "memory.oom.group")),
            [put(Child, "memory.current", "104857600\n") || Child <- children(Dir)],
            {ok, Stats} = py:memory_stats({grouped, 1}),
            ?assertEqual(#{cgroup_max => 400 * ?MIB}, maps:get(left, Stats)),
            unfake(Dir)
        end)
    end).

changed() ->
    with_fake(fun(Dir) ->
        with_pool(#{cgroup => Dir}, fun() ->
            ok = py:set_memory(grouped, #{cgroup_max => 700 * ?MIB}),
            ?assertEqual([<<"734003200">>, <<"734003200">>], in_groups(Dir, "memory.max")),
            ok = py:set_memory(grouped, #{cgroup_max => infinity}),
            ?assertEqual([<<"max">>, <<"max">>], in_groups(Dir, "memory.max")),
            unfake(Dir)
        end)
    end).

enabled() ->
    with_fake(fun(Dir) ->
        with_pool(#{cgroup => Dir, cgroup_max => 500 * ?MIB, cgroup_pids => 50}, fun() ->
            ?assertEqual(<<"+memory +pids ">>, get(Dir, "cgroup.subtree_control")),
            unfake(Dir)
        end),
        put(Dir, "cgroup.subtree_control", "memory\n"),
        with_pool(#{cgroup => Dir, cgroup_max => 500 * ?MIB}, fun() ->
            ?assertEqual(<<"memory\n">>, get(Dir, "cgroup.subtree_control")),
            unfake(Dir)
        end)
    end).

swept() ->
    with_fake(fun(Dir) ->
        Left = filename:join(Dir, "py-1-2-3"),
        Other = filename:join(Dir, "other"),
        [ok = file:make_dir(D) || D <- [Left, Other]],
        with_pool(#{cgroup => Dir}, fun() ->
            ?assertEqual([false, true], [filelib:is_dir(D) || D <- [Left, Other]]),
            unfake(Dir)
        end)
    end).

removed() ->
    with_fake(fun(Dir) ->
        with_pool(#{cgroup => Dir}, fun() ->
            Before = children(Dir),
            ?assertEqual(2, length(Before)),
            unfake(Dir),
            ok = py:restart_workers(grouped),
            fixture:wait_until(fun() -> children(Dir) -- Before =:= children(Dir) end),
            ?assertEqual(2, length(children(Dir))),
            unfake(Dir)
        end),
        fixture:wait_until(fun() -> children(Dir) =:= [] end)
    end).

%% {What, what is done to the directory, what is said}
unusable() ->
    [{"no directory", fun(Dir) -> Dir ++ "/missing" end, "not a directory"},
     {"no control group", fun(Dir) -> file:delete(Dir ++ "/cgroup.controllers"), Dir end,
      "not a control group of version 2"},
     {"processes in it", fun(Dir) -> put(Dir, "cgroup.procs", "17\n"), Dir end,
      "there are processes in it"},
     {"a controller that is not delegated",
      fun(Dir) -> put(Dir, "cgroup.controllers", "cpu pids\n"), Dir end,
      "the controller memory is not delegated to it"},
     {"what cannot be written",
      fun(Dir) ->
          ok = file:delete(Dir ++ "/cgroup.subtree_control"),
          ok = file:make_symlink(Dir ++ "/nowhere/x", Dir ++ "/cgroup.subtree_control"),
          Dir
      end, "cgroup.subtree_control: no such file or directory"}].

unusable(Change, Text) ->
    with_fake(fun(Dir) ->
        {error, {python_start, Why}} =
            py:start_pool(grouped, #{size => 1, memory => #{cgroup => Change(Dir),
                                                            cgroup_max => 500 * ?MIB}}),
        ?assertMatch({match, _}, re:run(Why, ["^memory: cgroup .*: ", Text, "$"])),
        ?assertEqual([], children(Dir))
    end).

without() ->
    ?assertEqual({error, {python_start, <<"memory: cgroup_max needs cgroup">>}},
                 py:start_pool(grouped, #{size => 1, memory => #{cgroup_max => ?MIB}})).

%% ---------------------------------------------------------------------------
%% The kernel's

with_real(Controllers, Fun) ->
    Root = root(),
    Dir = filename:join(Root, "pyport-test-" ++ os:getpid()),
    Missing = Controllers -- string:lexemes(get(Root, "cgroup.controllers"), " \n"),
    Missing =:= [] orelse tap:skip("its tree has no controller for memory"),
    file:make_dir(Dir) =:= ok orelse tap:skip("control groups cannot be made here"),
    [file:write_file(filename:join(Root, "cgroup.subtree_control"), ["+", Name])
     || Name <- Controllers],
    try Fun(Dir) after fixture:wait_until(fun() -> file:del_dir(Dir) =:= ok end) end.

root() ->
    {ok, Mounts} = file:read_file("/proc/self/mounts"),
    case re:run(Mounts, "^\\S+ (\\S+) cgroup2 ", [multiline, {capture, all_but_first, list}]) of
        {match, [Root]} -> Root;
        nomatch -> tap:skip("there is no tree of version 2")
    end.

real() ->
    with_real([], fun(Dir) ->
        with_pool(#{cgroup => Dir}, fun() ->
            Inside = [binary_to_integer(string:trim(Pid)) || Pid <- in_groups(Dir, "cgroup.procs")],
            ?assertEqual(lists:sort(fixture:os_pids(grouped)), lists:sort(Inside)),
            ok = py:restart_workers(grouped),
            fixture:wait_until(fun() -> length(children(Dir)) =:= 2 end)
        end),
        fixture:wait_until(fun() -> children(Dir) =:= [] end)
    end).

%% It has left the worker's process group, but not its control group.
real_orphan() ->
    with_real([], fun(Dir) ->
        with_pool(#{cgroup => Dir}, fun() ->
            Code = <<"__import__('subprocess').Popen(['sleep', '600'], start_new_session=True).pid">>,
            {ok, Orphan} = py:eval(Code, #{}, #{pool => grouped}),
            ok = py:restart_workers(grouped),
            fixture:wait_until(fun() -> not fixture:is_running(Orphan) end)
        end)
    end).

real_limit() ->
    with_real(["memory"], fun(Dir) ->
        with_pool(#{cgroup => Dir, cgroup_max => 100 * ?MIB}, fun() ->
            ?assertEqual({error, {worker_exit, oom}},
                         py:eval(<<"len(bytearray(b'x') * (1 << 30))">>, #{}, #{pool => grouped})),
            ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>, #{}, #{pool => grouped}))
        end)
    end).
