#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py:set_memory: limits of workers that run, and of those that come after them.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MIB, (1 bsl 20)).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, python_path => [fixture:python_path()]}, [
        {"a limit of a pool's workers", fun pool/0},
        {"a limit is met, raised and lifted", fun met/0},
        {"limits are set key by key", fun merged/0},
        {"successors have them", fun successors/0},
        {"they have them while they start", fun while_starting/0},
        {"they are kept whichever process dies", fun kept/0},
        {"a pool that is stopped forgets them", fun forgotten/0},
        {"one worker's limit is its own", fun one/0},
        {"each worker's limit", fun each/0},
        {"a worker that is busy gets them, too", fun busy/0},
        {"even one whose GIL is held", fun holds_gil/0},
        {"one that is stopped has them once it goes on", fun stopped/0},
        {"heap, where it is counted", fun heap/0},
        [{io_lib:format("~0p cannot be set: ~0p", [Limits, Why]), fun() -> refused(Limits, Why) end}
         || {Limits, Why} <- refusals()],
        {"what the kernel refuses is not kept", fun not_kept/0},
        {"one refusal, and nothing is set", fun nothing_set/0},
        {"statistics show limits, and what is left", fun shown/0},
        {"what is no limit is an error of the caller", fun misuse/0},
        {"no pool, no worker", fun nobody/0}
    ])).

with_pool(Options, Fun) ->
    {ok, _} = py:start_pool(limited, maps:merge(#{size => 2, timeout => 60_000}, Options)),
    try Fun() after ok = py:stop_pool(limited) end.

%% The limit of that name, in each of the pool's workers as it shows itself.
limits(Name) ->
    [limit(Name, OsPid) || OsPid <- fixture:os_pids(limited)].

limit(Name, OsPid) ->
    {ok, Text} = file:read_file(["/proc/", integer_to_list(OsPid), "/limits"]),
    {match, [Soft]} = re:run(Text, ["^", Name, " +(\\S+)"],
                             [multiline, {capture, all_but_first, list}]),
    case Soft of
        "unlimited" -> infinity;
        _ -> list_to_integer(Soft)
    end.

-define(AS, "Max address space").
-define(FILES, "Max open files").

%% ---------------------------------------------------------------------------

pool() ->
    fixture:unless_sanitized(),
    with_pool(#{}, fun() ->
        ?assertEqual([infinity, infinity], limits(?AS)),
        ok = py:set_memory(limited, #{address_space => 900 * ?MIB, files => 200}),
        ?assertEqual([900 * ?MIB, 900 * ?MIB], limits(?AS)),
        ?assertEqual([200, 200], limits(?FILES)),
        ?assertMatch(#{options := #{memory := #{files := 200}}}, py:info(limited)),
        ?assertEqual([infinity], [limit(?AS, OsPid) || OsPid <- fixture:os_pids()])
    end),
    ok = py:set_memory(#{core => 0}),
    ?assertEqual([0], [limit("Max core file size", OsPid) || OsPid <- fixture:os_pids()]).

met() ->
    fixture:unless_sanitized(),
    with_pool(#{size => 1, memory => #{address_space => 200 * ?MIB}}, fun() ->
        Need = fun() -> py:eval(<<"len(bytearray(300 << 20))">>, #{}, #{pool => limited}) end,
        ?assertMatch({error, {'MemoryError', _}}, Need()),
        ok = py:set_memory(limited, #{address_space => 600 * ?MIB}),
        ?assertEqual({ok, 300 * ?MIB}, Need()),
        ok = py:set_memory(limited, #{address_space => 200 * ?MIB}),
        ?assertMatch({error, {'MemoryError', _}}, Need()),
        ok = py:set_memory(limited, #{address_space => infinity}),
        ?assertEqual({ok, 300 * ?MIB}, Need())
    end).

merged() ->
    fixture:unless_sanitized(),
    with_pool(#{memory => #{files => 300}}, fun() ->
        ok = py:set_memory(limited, #{address_space => 900 * ?MIB}),
        ok = py:set_memory(limited, #{oom_score_adj => 900}),
        ?assertMatch(#{options := #{memory := #{files := 300, address_space := 943718400,
                                                oom_score_adj := 900}}}, py:info(limited)),
        ok = py:restart_workers(limited),
        ?assertEqual([900 * ?MIB, 900 * ?MIB], limits(?AS)),
        ?assertEqual([300, 300], limits(?FILES))
    end).

successors() ->
    with_pool(#{}, fun() ->
        ok = py:set_memory(limited, #{files => 222}),
        [Killed, _] = fixture:os_pids(limited),
        fixture:kill("KILL", Killed),
        fixture:wait_until(fun() -> length(fixture:os_pids(limited) -- [Killed]) =:= 2 end),
        ?assertEqual([222, 222], limits(?FILES)),
        ok = py:restart_workers(limited),
        ?assertEqual([222, 222], limits(?FILES))
    end).

%% What `init' needs is given to successors before they run it.
while_starting() ->
    Init = <<"import resource\nseen = resource.getrlimit(resource.RLIMIT_NOFILE)[0]">>,
    with_pool(#{size => 1, init => Init}, fun() ->
        ok = py:set_memory(limited, #{files => 333}),
        ok = py:restart_workers(limited),
        ?assertEqual({ok, 333}, py:eval(<<"seen">>, #{}, #{pool => limited}))
    end).

%% The pool's process, then its supervisor.
kept() ->
    with_pool(#{}, fun() ->
        ok = py:set_memory(limited, #{files => 444}),
        [begin
             Before = fixture:os_pids(limited),
             exit(Find(), kill),
             fixture:wait_until(fun() -> are_new(Before) end),
             ?assertEqual([444, 444], limits(?FILES))
         end || Find <- [fun pool_process/0, fun pool_supervisor/0]]
    end).

pool_process() ->
    {ok, Pool} = py_pool_board:find(limited),
    {ok, Pid} = py_pool_board:pool(Pool),
    Pid.

pool_supervisor() ->
    {_, Pid, _, _} = lists:keyfind({pool, limited}, 1, supervisor:which_children(py_sup)),
    Pid.

are_new(Before) ->
    case catch fixture:os_pids(limited) of
        [_, _] = Now -> Now -- Before =:= Now andalso
                            [live || #{state := idle} <- fixture:workers(limited)] =:= [live, live];
        _ -> false
    end.

forgotten() ->
    with_pool(#{}, fun() -> ok = py:set_memory(limited, #{files => 111}) end),
    with_pool(#{}, fun() -> ?assert(lists:min(limits(?FILES)) > 111) end).

one() ->
    with_pool(#{}, fun() ->
        [Before, _] = limits(?FILES),
        ok = py:set_memory({limited, 2}, #{files => 99}),
        ?assertEqual([Before, 99], limits(?FILES)),
        ok = py:restart_workers(limited),
        ?assertEqual([Before, Before], limits(?FILES))
    end).

each() ->
    with_pool(#{}, fun() ->
        ?assertEqual({ok, [{1, ok}, {2, ok}]}, py:set_memory({limited, all}, #{files => 99})),
        ?assertEqual([99, 99], limits(?FILES)),
        ?assertEqual({ok, [{Id, {error, {not_enabled, heap}}} || Id <- [1, 2]]},
                     py:set_memory({limited, all}, #{heap => ?MIB}))
    end).

busy() ->
    with_pool(#{size => 1}, fun() ->
        Ref = py:spawn_call(time, sleep, [60], #{}, #{pool => limited}),
        ok = py:set_memory(limited, #{files => 77}),
        ?assertEqual([77], limits(?FILES)),
        ok = py:cancel(Ref),
        ?assertEqual({error, cancelled}, py:await(Ref))
    end).

%% PyDLL calls C with the GIL.
holds_gil() ->
    with_pool(#{size => 1}, fun() ->
        Ref = py:spawn_call(builtins, eval, [<<"__import__('ctypes').PyDLL(None).sleep(3)">>], #{},
                            #{pool => limited}),
        fixture:wait_until(fun() -> {error, busy} =:= py:stack({limited, 1}) end),
        ok = py:set_memory(limited, #{files => 66}),
        ?assertEqual([66], limits(?FILES)),
        ?assertEqual({error, busy}, py:stack({limited, 1})),
        ?assertEqual({ok, 0}, py:await(Ref))
    end).

%% Statistics show what it has then, not what it had.
stopped() ->
    Options = #{size => 1, timeout => 500, memory => #{heap => 100 * ?MIB}},
    with_pool(Options, fun() ->
        [OsPid] = fixture:os_pids(limited),
        fixture:stop(OsPid),
        ?assertEqual({error, timeout}, py:set_memory(limited, #{heap => 50 * ?MIB})),
        fixture:kill("CONT", OsPid),
        fixture:wait_until(fun() -> {ok, 1} =:= py:eval(<<"1">>, #{}, #{pool => limited}) end),
        Seen = fixture:memory_stats({limited, 1}, #{detail => true}),
        #{heap := #{limit := Has}, limits := #{heap := Shown}} = Seen,
        ?assertEqual({50 * ?MIB, 50 * ?MIB}, {Has, Shown}),
        #{options := #{memory := #{heap := Kept}}} = py:info(limited),
        ?assertEqual(100 * ?MIB, Kept)
    end).

heap() ->
    Need = fun() -> py:eval(<<"len(bytearray(200 << 20))">>, #{}, #{pool => limited}) end,
    with_pool(#{size => 1, memory => #{heap => 100 * ?MIB}}, fun() ->
        ?assertMatch({error, {'MemoryError', _}}, Need()),
        ok = py:set_memory(limited, #{heap => 300 * ?MIB}),
        ?assertEqual({ok, 200 * ?MIB}, Need()),
        ok = py:restart_workers(limited),
        ?assertEqual({ok, 200 * ?MIB}, Need())
    end),
    with_pool(#{size => 1, memory => #{account => true}}, fun() ->
        ?assertEqual({ok, 200 * ?MIB}, Need()),
        ok = py:set_memory(limited, #{heap => 100 * ?MIB}),
        ?assertMatch({error, {'MemoryError', _}}, Need())
    end).

%% ---------------------------------------------------------------------------

refusals() ->
    [{#{heap => 100 * ?MIB}, {not_enabled, heap}},
     {#{account => true}, {not_while_running, account}},
     {#{cgroup => "/"}, {not_while_running, cgroup}},
     {#{cgroup_max => ?MIB}, {not_enabled, cgroup_max}},
     {#{cgroup_high => ?MIB}, {not_enabled, cgroup_high}},
     {#{cgroup_pids => 10}, {not_enabled, cgroup_pids}}].

refused(Limits, Why) ->
    with_pool(#{}, fun() ->
        ?assertEqual({error, Why}, py:set_memory(limited, Limits)),
        ?assertEqual({error, Why}, py:set_memory({limited, 1}, Limits))
    end).

%% No process may have so many, not even root's.
not_kept() ->
    with_pool(#{}, fun() ->
        Before = limits(?FILES),
        ?assertMatch({error, {'OSError', <<"memory: files 1099511627776: ", _/binary>>}},
                     py:set_memory(limited, #{files => 1 bsl 40})),
        ok = py:restart_workers(limited),
        ?assertEqual(Before, limits(?FILES))
    end).

nothing_set() ->
    with_pool(#{}, fun() ->
        Before = limits(?FILES),
        ?assertEqual({error, {not_enabled, heap}},
                     py:set_memory(limited, #{files => 55, heap => 100 * ?MIB})),
        ?assertEqual(Before, limits(?FILES))
    end).

shown() ->
    fixture:unless_sanitized(),
    with_pool(#{size => 1, memory => #{address_space => 900 * ?MIB, files => 300}}, fun() ->
        {ok, #{limits := Limits, left := Left}} = py:memory_stats({limited, 1}),
        ?assertEqual(#{address_space => 900 * ?MIB, files => 300}, Limits),
        [OsPid] = fixture:os_pids(limited),
        ?assertEqual(#{address_space => 900 * ?MIB - 1024 * fixture:proc_kb(OsPid, "VmSize")}, Left),
        ok = py:set_memory(limited, #{address_space => infinity, data => 800 * ?MIB}),
        {ok, #{workers := [#{limits := Now, left := Rest}]}} = py:memory_stats(limited),
        ?assertEqual(#{data => 800 * ?MIB, files => 300}, Now),
        ?assertEqual(#{data => 800 * ?MIB - 1024 * fixture:proc_kb(OsPid, "VmData")}, Rest)
    end),
    with_pool(#{size => 1, memory => #{heap => 100 * ?MIB}}, fun() ->
        {ok, #{left := None}} = py:memory_stats({limited, 1}),
        ?assertEqual(#{}, None)
    end),
    with_pool(#{size => 1}, fun() ->
        ?assertMatch({ok, #{limits := L, left := L}} when L =:= #{}, py:memory_stats({limited, 1}))
    end).

misuse() ->
    [?assertError(badarg, py:set_memory(Limits))
     || Limits <- [[heap], 7, #{heep => 1}, #{address_space => 0}, #{core => -1}, #{files => many}]],
    ?assertError(badarg, py:set_memory({default, 0}, #{files => 100})),
    [?assertError(badarg, py:set_memory(Target, #{budget => 1 bsl 40}))
     || Target <- [{default, 1}, {default, all}]].

nobody() ->
    ?assertEqual({error, {no_pool, nowhere}}, py:set_memory(nowhere, #{files => 100})),
    ?assertEqual({error, {no_worker, {default, 9}}}, py:set_memory({default, 9}, #{files => 100})).
