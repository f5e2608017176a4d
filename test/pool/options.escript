#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Options of pools: from the application's environment and from start_pool,
%% several pools side by side, and reasons when a pool cannot start.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Settings = #{size => 3, timeout => 300, env => [{"PYPORT_TEST_ENV", "from the environment"}],
                 init => <<"import os, sys, time\nready = 'yes'">>,
                 pools => #{second => #{size => 1, init => <<"name = 'second'">>}}},
    tap:run(fixture:with_app(Settings, [
        {"the application's environment: size", fun env_size/0},
        {"the application's environment: init", fun env_init/0},
        {"the application's environment: env", fun env_env/0},
        {"the application's environment: timeout", fun env_timeout/0},
        {"the application's environment: further pools", fun env_pools/0},
        {"pools side by side do not see each other", fun side_by_side/0},
        {"size, and the default of it", fun size/0},
        {"python_path: one and several, as strings and binaries", fun python_path/0},
        {"python_path with a module that hides one of the library's", fun python_path_first/0},
        {"env: set, unset, not ASCII", fun env/0},
        {"env: nothing of the VM's", fun clear_env/0},
        {"cwd", fun cwd/0},
        {"init is run once in each worker, and again in a new one", fun init/0},
        {"init_once is run by one worker, before the others start", fun init_once/0},
        {"init_once again, when the pool was stopped", fun init_once_again/0},
        {"a worker knows its number, in init, too", fun number/0},
        {"init of several lines and not ASCII", fun init_text/0},
        {"timeout of a pool", fun timeout/0},
        {"timeout of a call beats the pool's", fun timeout_of_call/0},
        {"venv", 120_000, fun venv/0},
        {"venv by a relative path and with a cwd", 120_000, fun venv_relative/0},
        [wrong(Row) || Row <- wrong_options()],
        {"a time that no process can wait", fun too_long/0},
        {"the longest time that there is", fun longest/0},
        {"a default pool among the others in the environment", fun two_defaults/0},
        {"a pool's name that is taken", fun name_taken/0},
        {"stop_pool ends its processes", fun stop_pool/0},
        {"stop_pool fails what was running, with a reason", fun stop_running/0},
        {"a pool stopped and started again", fun again/0},
        [cannot_start(Row) || Row <- failures()],
        {"a pool that could not start leaves nothing", fun nothing_left/0},
        {"exceptions that a sitecustomize adds at every start", 120_000, fun many_exceptions/0},
        {"the signals and descriptors that Python starts with", fun clean_start/0}
    ])).

%% Starts a pool for the time of a fun; one inside the other if need be.
with_pool(Options, Fun) ->
    Pool = case lists:member(outer, registered_pools()) of false -> outer; true -> inner end,
    {ok, _} = py:start_pool(Pool, Options),
    try Fun(#{pool => Pool}, Pool) after ok = py:stop_pool(Pool) end.

registered_pools() ->
    [Pool || Pool <- [outer, inner], is_map(py:info(Pool))].

eval(Code, In) -> py:eval(Code, #{}, In).

%% ---------------------------------------------------------------------------

env_size() -> ?assertEqual(3, length(fixture:workers())).
env_init() -> ?assertEqual({ok, <<"yes">>}, py:eval(<<"ready">>)).
env_env() -> ?assertEqual({ok, <<"from the environment">>},
                          py:eval(<<"os.environ['PYPORT_TEST_ENV']">>)).
env_timeout() -> ?assertEqual({error, timeout}, py:eval(<<"time.sleep(5)">>)).

env_pools() ->
    ?assertEqual({ok, <<"second">>}, eval(<<"name">>, #{pool => second})),
    ?assertEqual(1, length(fixture:workers(second))).

side_by_side() ->
    with_pool(#{size => 1, init => <<"who = 'a'">>}, fun(InA, _) ->
        with_pool(#{size => 2, init => <<"who = 'b'">>, env => [{"WHO", "b"}]}, fun(InB, PoolB) ->
            ?assertEqual({ok, <<"a">>}, eval(<<"who">>, InA)),
            ?assertEqual({ok, <<"b">>}, eval(<<"who">>, InB)),
            ?assertMatch({error, {'NameError', _}}, py:eval(<<"who">>)),
            ?assertEqual({ok, none}, py:eval(<<"os.environ.get('WHO')">>)),
            ?assertEqual(2, length(fixture:workers(PoolB)))
        end)
    end).

size() ->
    with_pool(#{size => 5}, fun(_, Pool) -> ?assertEqual(5, length(fixture:workers(Pool))) end),
    with_pool(#{}, fun(_, Pool) ->
        ?assertEqual(erlang:system_info(schedulers_online), length(fixture:workers(Pool)))
    end).

python_path() ->
    [First, Second] = [module_dir("one", "value = 1"), module_dir("two", "value = 2")],
    Code = <<"(__import__('one').value, __import__('two').value)">>,
    with_pool(#{size => 1, python_path => [First, list_to_binary(Second)]}, fun(In, _) ->
        ?assertEqual({ok, {1, 2}}, eval(Code, In))
    end),
    with_pool(#{size => 1, python_path => [First]}, fun(In, _) ->
        ?assertMatch({error, {'ModuleNotFoundError', _}}, eval(Code, In))
    end).

python_path_first() ->
    Dir = module_dir("colorsys", "value = 'ours'"),
    with_pool(#{size => 1, python_path => [Dir]}, fun(In, _) ->
        ?assertEqual({ok, <<"ours">>}, eval(<<"__import__('colorsys').value">>, In))
    end).

module_dir(Name, Text) ->
    Dir = fixture:tmpdir(),
    ok = file:write_file(filename:join(Dir, Name ++ ".py"), Text),
    Dir.

env() ->
    true = os:putenv("PYPORT_TEST_GONE", "here"),
    Env = [{"A_VALUE", "grün ☃"}, {"PYPORT_TEST_GONE", false}],
    with_pool(#{size => 1, env => Env}, fun(In, _) ->
        Get = fun(Name) -> py:call(os, getenv, [list_to_binary(Name)], #{}, In) end,
        ?assertEqual({ok, <<"grün ☃"/utf8>>}, Get("A_VALUE")),
        ?assertEqual({ok, none}, Get("PYPORT_TEST_GONE")),
        ?assertEqual({ok, list_to_binary(os:getenv("PATH"))}, Get("PATH"))
    end).

%% Python itself may set LC_CTYPE.
clear_env() ->
    Has = <<"{k: v for k, v in __import__('os').environ.items() if k != 'LC_CTYPE'}">>,
    true = os:putenv("PYPORT_TEST_ENV", "the VM's"),
    with_pool(#{size => 1, env => [clear]}, fun(In, Pool) ->
        ?assertEqual({ok, #{}}, eval(Has, In)),
        ?assertMatch(#{options := #{env := [clear]}}, py:info(Pool))
    end),
    with_pool(#{size => 1, env => [clear, {"PYPORT_TEST_ENV", "its own"}, {"HOME", false}]}, fun(In, Pool) ->
        ?assertEqual({ok, #{<<"PYPORT_TEST_ENV">> => <<"its own">>}}, eval(Has, In)),
        ?assertMatch(#{options := #{env := [clear, "PYPORT_TEST_ENV", "HOME"]}}, py:info(Pool)),
        fixture:kill("KILL", hd(fixture:os_pids(Pool))),
        fixture:wait_until(fun() -> eval(Has, In) =:= {ok, #{<<"PYPORT_TEST_ENV">> => <<"its own">>}} end)
    end).

cwd() ->
    Dir = fixture:tmpdir(),
    with_pool(#{size => 1, cwd => Dir}, fun(In, _) ->
        ?assertEqual({ok, list_to_binary(Dir)}, eval(<<"__import__('os').getcwd()">>, In))
    end),
    {ok, Here} = file:get_cwd(),
    ?assertEqual({ok, list_to_binary(Here)}, py:eval(<<"os.getcwd()">>)).

init() ->
    Log = filename:join(fixture:tmpdir(), "log"),
    Init = lists:append(["import os\nwith open('", Log, "', 'a') as f: f.write('x')\n"]),
    with_pool(#{size => 2, init => Init}, fun(In, Pool) ->
        ?assertEqual({ok, <<"xx">>}, file:read_file(Log)),
        {error, {worker_exit, _}} = eval(<<"os._exit(1)">>, In),
        fixture:wait_until(fun() -> file:read_file(Log) =:= {ok, <<"xxx">>} end),
        fixture:wait_until(fun() -> length(fixture:os_pids(Pool)) =:= 2 end),
        ?assertEqual({ok, <<"xxx">>}, file:read_file(Log))
    end).

%% The first one takes its time, and each init adds an `i' afterwards.
init_once() ->
    {Options, Log} = once(),
    with_pool(Options#{size => 3}, fun(In, Pool) ->
        ?assertEqual({ok, <<"oiii">>}, file:read_file(Log)),
        ok = py:restart_workers(Pool),
        {error, {worker_exit, _}} = eval(<<"__import__('os')._exit(1)">>, In),
        fixture:wait_until(fun() -> file:read_file(Log) =:= {ok, <<"oiiiiiii">>} end),
        {ok, Board} = py_pool_board:find(Pool),
        {ok, Pid} = py_pool_board:pool(Board),
        exit(Pid, kill),
        fixture:wait_until(fun() -> file:read_file(Log) =:= {ok, <<"oiiiiiiiiii">>} end)
    end).

init_once_again() ->
    {Options, Log} = once(),
    [with_pool(Options#{size => 1}, fun(_, _) -> ok end) || _ <- [1, 2]],
    ?assertEqual({ok, <<"oioi">>}, file:read_file(Log)).

once() ->
    Log = filename:join(fixture:tmpdir(), "once"),
    Add = fun(Text) -> ["with open('", Log, "', 'a') as f: f.write('", Text, "')\n"] end,
    {#{init_once => iolist_to_binary(["import time; time.sleep(0.2)\n", Add("o")]),
       init => iolist_to_binary(Add("i"))}, Log}.

number() ->
    Init = <<"import erlang\nmine = erlang.worker()">>,
    with_pool(#{size => 2, init => Init}, fun(In, Pool) ->
        Each = In#{pool => {Pool, all}},
        Numbers = {ok, [{1, {ok, {1, 1}}}, {2, {ok, {2, 2}}}]},
        ?assertEqual(Numbers, eval(<<"mine, erlang.worker()">>, Each)),
        ok = py:restart_workers(Pool),
        ?assertEqual(Numbers, eval(<<"mine, erlang.worker()">>, Each))
    end).

init_text() ->
    with_pool(#{size => 1, init => "def größe(x):\n    return x + '☃'\n"}, fun(In, _) ->
        ?assertEqual({ok, <<"a☃"/utf8>>},
                     py:call('__main__', <<"größe"/utf8>>, [<<"a">>], #{}, In))
    end).

timeout() ->
    with_pool(#{size => 1, timeout => 100}, fun(In, _) ->
        {_, Result} = figure:within(1000, fun() -> eval(<<"__import__('time').sleep(20)">>, In) end),
        ?assertEqual({error, timeout}, Result)
    end).

timeout_of_call() ->
    with_pool(#{size => 1, timeout => 50}, fun(In, _) ->
        ?assertEqual({ok, none}, eval(<<"__import__('time').sleep(0.3)">>, In#{timeout => 5000}))
    end).

%% ---------------------------------------------------------------------------

%% A virtual environment with one module of its own.
make_venv() ->
    Dir = filename:join(fixture:tmpdir(), "venv"),
    Output = os:cmd(["'", fixture:python(), "' -m venv --without-pip ", Dir, " 2>&1; echo =$?"]),
    case lists:suffix("=0\n", Output) of
        true -> add_module(Dir);
        false -> tap:skip("python -m venv does not work here: " ++ hd(string:split(Output, "\n")))
    end.

add_module(Dir) ->
    [Site] = filelib:wildcard(filename:join(Dir, "lib/python3*/site-packages")),
    ok = file:write_file(filename:join(Site, "only_in_venv.py"), "value = 'venv'\n"),
    Dir.

venv() ->
    Dir = make_venv(),
    with_pool(#{size => 1, venv => Dir}, fun(In, _) -> in_venv(Dir, In) end),
    with_pool(#{size => 1}, fun(In, _) ->
        ?assertMatch({error, {'ModuleNotFoundError', _}},
                     eval(<<"__import__('only_in_venv')">>, In))
    end).

in_venv(Dir, In) ->
    ?assertEqual({ok, <<"venv">>}, eval(<<"__import__('only_in_venv').value">>, In)),
    {ok, Prefix} = eval(<<"__import__('os').path.realpath(__import__('sys').prefix)">>, In),
    ?assertEqual(Prefix, list_to_binary(string:trim(os:cmd("realpath " ++ Dir)))),
    {ok, Base} = eval(<<"__import__('sys').base_prefix">>, In),
    ?assertNotEqual(Prefix, Base),
    ?assertEqual({ok, <<"{}">>}, py:call(json, dumps, [#{}], #{}, In)).

venv_relative() ->
    Dir = make_venv(),
    {ok, Here} = file:get_cwd(),
    ok = file:set_cwd(filename:dirname(Dir)),
    try
        with_pool(#{size => 1, venv => "venv", cwd => "/"}, fun(In, _) -> in_venv(Dir, In) end)
    after
        ok = file:set_cwd(Here)
    end.

%% ---------------------------------------------------------------------------

%% {an option, a value that it cannot have}
wrong_options() ->
    [{sise, 2}, {size, 0}, {size, many}, {size, 1 bsl 62}, {timeout, -1}, {timeout, 1 bsl 32},
     {python_path, 7}, {python_path, ["a\0b"]}, {env, [7]}, {env, [{"A=B", "x"}]},
     {env, [{"", "x"}]}, {env, #{"A" => <<"x\0y">>}}, {cwd, {dir}}, {cwd, "a\0b"}, {venv, 7},
     {init, 7}, {init_once, 7}, {max_queue, -1}, {max_frame, 10}, {queue_timeout, 1 bsl 64},
     {interrupt_grace, 1 bsl 64}, {close_grace, infinity}, {drain, 1 bsl 64}, {start_timeout, -1}].

wrong({Key, Value}) ->
    {io_lib:format("a wrong option: ~p => ~p", [Key, Value]), fun() ->
        ?assertMatch({error, {badarg, {option, Key, _}}}, py:start_pool(odd, #{Key => Value}))
    end}.

too_long() ->
    Long = 1 bsl 32,
    Ref = py:spawn_call(math, sqrt, [4]),
    [?assertError(badarg, Call())
     || Call <- [fun() -> py:eval(<<"1">>, #{}, Long) end,
                 fun() -> py:eval(<<"1">>, #{}, #{timeout => Long}) end,
                 fun() -> py:exec_all(<<"1">>, Long) end,
                 fun() -> py:await(Ref, Long) end,
                 fun() -> py:stop_pool(nobody, Long) end]],
    ?assertEqual({ok, 2.0}, py:await(Ref)).

longest() ->
    Longest = 16#ffffffff,
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, Longest)),
    ?assertEqual(ok, py:exec_all(<<"pass">>, Longest)),
    ?assertEqual({ok, [1]}, py:stream_eval(<<"[1]">>, #{}, Longest)),
    ?assertEqual({ok, 2.0}, py:await(py:spawn_call(math, sqrt, [4]), Longest)),
    with_pool(#{size => 1, timeout => Longest, queue_timeout => Longest}, fun(In, Pool) ->
        ?assertEqual({ok, 1}, eval(<<"1">>, In)),
        ?assertMatch({ok, _}, py:memory_stats(Pool))
    end).

two_defaults() ->
    ?assertMatch({error, {badarg, {option, pools, _}}},
                 py_pool_options:environment([{size, 1}, {pools, #{default => #{size => 2}}}])).

name_taken() ->
    with_pool(#{size => 1}, fun(_, Pool) ->
        ?assertMatch({error, {already_started, _}}, py:start_pool(Pool, #{size => 1}))
    end).

stop_pool() ->
    {ok, _} = py:start_pool(short, #{size => 2}),
    OsPids = fixture:os_pids(short),
    ok = py:stop_pool(short),
    fixture:wait_until(fun() -> not lists:any(fun fixture:is_running/1, OsPids) end),
    ?assertEqual({error, {no_pool, short}}, eval(<<"1">>, #{pool => short})),
    ?assertMatch({error, _}, py:stop_pool(short)).

stop_running() ->
    {ok, _} = py:start_pool(short, #{size => 1}),
    [OsPid] = fixture:os_pids(short),
    Self = self(),
    Caller = spawn_link(fun() ->
        In = #{pool => short, timeout => 20_000},
        Self ! {self(), eval(<<"__import__('time').sleep(30)">>, In)}
    end),
    timer:sleep(200),
    ok = py:stop_pool(short),
    receive {Caller, Result} -> ?assertMatch({error, _}, Result) after 30_000 -> error(no_answer) end,
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end).

again() ->
    [begin
         Init = <<"n = ", (integer_to_binary(N))/binary>>,
         {ok, _} = py:start_pool(again, #{size => 1, init => Init}),
         ?assertEqual({ok, N}, eval(<<"n">>, #{pool => again})),
         ok = py:stop_pool(again)
     end || N <- [1, 2, 3]].

%% ---------------------------------------------------------------------------

%% {What, options, words that the reason must have}
failures() ->
    [{"a venv that is not", #{venv => "/no/such/venv"}, ["/no/such/venv"]},
     {"a directory that is no venv", #{venv => "/"}, ["venv / is no virtual environment", "pyvenv.cfg"]},
     {"a venv of another Python", #{venv => venv_of("3.1.0")}, ["is of Python 3.1, but", "make one by python3."]},
     {"init that raises", #{init => <<"raise ValueError('not today')">>},
      ["init, piece 1, line 1", "ValueError", "not today"]},
     {"init_once that raises", #{init_once => <<"raise ValueError('not today')">>, size => 2},
      ["init_once, piece 1, line 1", "ValueError", "not today"]},
     {"init behind init_once that raises",
      #{init_once => [<<"a = 1">>, <<"b = 2">>], init => <<"raise ValueError('not today')">>},
      ["init, piece 1, line 1"]},
     {"a function in init that raises",
      #{init => [<<"def load():\n    open('/no/such/model')">>, <<"\n\nload()">>]},
      ["init, piece 2, line 3: FileNotFoundError", "File \\\"<init 1>\\\", line 2, in load"]},
     {"a module of init that raises", #{init => <<"import json\njson.loads('{')">>},
      ["init, piece 1, line 2: json.decoder.JSONDecodeError", "json/decoder.py", "raw_decode"]},
     {"init that is no Python", #{init => [<<"a = 1">>, <<"\nthis is no Python">>]},
      ["init, piece 2, line 2: SyntaxError"]},
     {"init that crashes",
      #{init => [<<"a = 1">>, <<"import ctypes\ndef touch():\n    ctypes.string_at(0)\ntouch()">>]},
      ["init, piece 2", "signal sigsegv", "<init 2>\\\", line 3 in touch"]},
     {"init that takes too long", #{init => <<"import time; time.sleep(60)">>, start_timeout => 2000},
      ["init, piece 1", "start_timeout", "File \\\"<init 1>\\\", line 1, in <module>"]},
     {"init that ends the process", #{init => <<"import os; os._exit(3)">>}, ["init, piece 1", "exit status 3"]},
     {"a cwd that is not", #{cwd => "/no/such/dir"}, ["/no/such/dir"]},
     {"a python_path that is not", #{python_path => ["/", "/no/such/lib"]},
      ["python_path", "there: /no/such/lib"]},
     {"a python_path that is relative", #{cwd => "/", python_path => ["no/such"]},
      ["python_path", "/no/such (no/such is relative to the VM's directory)"]},
     {"a python_path that is a module", #{python_path => [filename:join(fixture:python_path(), "raiser.py")]},
      ["python_path names a module instead of its directory: /", "raiser.py"]},
     {"a cwd that is relative", #{cwd => "no/such"}, ["cwd", "no/such is relative to the VM's"]},
     {"Python without its library", #{env => [{"PYTHONHOME", "/no/such/home"}]},
      ["PYTHONHOME is /no/such/home, where its library has to be"]}].

venv_of(Version) ->
    Dir = filename:join(fixture:tmpdir(), "venv of " ++ Version),
    ok = filelib:ensure_dir(filename:join(Dir, "pyvenv.cfg")),
    ok = file:write_file(filename:join(Dir, "pyvenv.cfg"), ["home = /usr/bin\nversion = ", Version, "\n"]),
    Dir.

cannot_start({What, Options, Words}) ->
    {["cannot start: ", What], fun() ->
        {_, {error, Reason}} = figure:within(15_000, fun() -> py:start_pool(broken, Options#{size => 2}) end),
        Text = lists:flatten(io_lib:format("~0tp", [Reason])),
        tap:note("~ts", [Text]),
        [?assertEqual({true, Word, Text}, {fixture:contains(Text, Word), Word, Text})
         || Word <- Words],
        ?assertEqual({error, {no_pool, broken}}, eval(<<"1">>, #{pool => broken}))
    end}.

nothing_left() ->
    fixture:wait_until(fun() -> length(fixture:ports()) =:= 4 end),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

clean_start() ->
    with_pool(#{size => 1}, fun(In, _) ->
        Code = <<"sorted(int(n) for n in __import__('os').listdir('/proc/self/fd'))">>,
        {ok, Descriptors} = eval(Code, In),
        %% 0, 1, 2, the two of the protocol, the listing itself and a few of ours;
        %% nothing of the VM's, such as the ports of other workers.
        ?assert(length(Descriptors) =< 12),
        ?assertEqual([0, 1, 2], lists:sublist(Descriptors, 3))
    end).

%% Each start has another hundred of them. Another pool is not affected.
many_exceptions() ->
    Dir = fixture:tmpdir(),
    ok = file:write_file(filename:join(Dir, "sitecustomize.py"),
                         "import builtins, os\n"
                         "for n in range(100):\n"
                         "    name = f'Odd{os.getpid()}x{n}'\n"
                         "    setattr(builtins, name, type(name, (Exception,), {}))\n"),
    with_pool(#{size => 1, env => #{"PYTHONPATH" => Dir}}, fun(In, Pool) ->
        ?assertEqual({ok, 100}, eval(<<"len([n for n in dir(__builtins__) if 'Odd' in n])">>, In)),
        Before = erlang:system_info(atom_count),
        [ok = py:restart_workers(Pool) || _ <- lists:seq(1, 5)],
        Made = erlang:system_info(atom_count) - Before,
        tap:note("~b atoms in five starts", [Made]),
        ?assert(Made =< 250),
        ?assertMatch({error, {'ZeroDivisionError', _}}, eval(<<"1/0">>, In))
    end),
    ?assertMatch({error, {'ZeroDivisionError', _}}, py:eval(<<"1/0">>)).
