#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What a fresh worker has: what is not used is not imported, and nothing grows
%% before it is used.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"it has imported what it needs, and no more", fun imports/0},
        {"nor has one that counts its memory", fun counting/0},
        {"looking at it imports nothing", fun looked_at/0},
        {"its stacks, while it is busy", fun stack/0},
        [{["the main thread, if threading is imported by ", What],
          fun() -> main_thread(Code, After) end} || {What, Code, After} <- importers()],
        {"logging that comes before somebody listens, and after", fun logging/0},
        [{["our hooks are there: ", What], fun() -> hooked(Code) end}
         || {What, Code} <- hooked()],
        {"it has little more memory of its own than Python has", fun own_memory/0},
        {"its package is compiled, whatever time its files have", fun compiled/0},
        {"it does not grow", fun same/0}
    ])).

%% These, and what they import themselves, which depends on Python's version.
%% `erlang._source' is what the eval needs that looks at them.
-define(NEEDED, "__future__, atexit, faulthandler, gc, warnings").
-define(OWN, [<<"_erlang">>, <<"_tracemalloc">>, <<"erlang">>, <<"erlang._imports">>,
              <<"erlang._locks">>, <<"erlang._log">>, <<"erlang._output">>, <<"erlang._setup">>,
              <<"erlang._signals">>, <<"erlang._source">>, <<"erlang._threads">>]).

imports() ->
    imports(default, ?OWN).

%% It waits for numpy, too.
counting() ->
    fixture:unless_sanitized(),
    {ok, _} = py:start_pool(counting, #{size => 1, memory => #{account => true}}),
    imports(counting, [<<"erlang._numpy">> | ?OWN]),
    ok = py:stop_pool(counting).

imports(Pool, Own) ->
    Command = [fixture:python(), " -c \"import sys, " ?NEEDED "; print(*sys.modules)\""],
    Ordinary = list_to_binary(string:trim(os:cmd(lists:flatten(Command)))),
    Modules = modules(Pool),
    tap:note("~b modules", [length(Modules)]),
    ?assertEqual([], (Modules -- Own) -- binary:split(Ordinary, <<" ">>, [global])).

modules(Pool) ->
    {ok, Modules} = py:eval(<<"sorted(__import__('sys').modules)">>, #{}, #{pool => Pool}),
    Modules.

looked_at() ->
    Before = modules(default),
    {ok, _} = py:memory_stats(),
    {ok, _} = py:gc(),
    {ok, _} = py:trim(),
    {ok, [_ | _]} = py_mem:gc_threshold({default, all}),
    ?assertEqual(Before, modules(default)).

%% They are shown by another thread, and until 3.13 that one would be the main thread
%% if it were the first to import threading.
stack() ->
    {ok, _} = py:start_pool(stacks, #{size => 1}),
    Sleep = <<"__import__('time').sleep(1)">>,
    spawn_link(fun() -> ok = py:exec(Sleep, #{}, #{pool => stacks}) end),
    fixture:wait_until(fun() -> sleeps(py:stack({stacks, 1})) end),
    Main = <<"__import__('threading').current_thread() is threading.main_thread()">>,
    ok = py:exec(<<"import threading">>, #{}, #{pool => stacks}),
    ?assertEqual({ok, true}, py:eval(Main, #{}, #{pool => stacks})),
    ok = py:unbind(stacks),
    ok = py:stop_pool(stacks).

sleeps({ok, [#{thread := <<"MainThread">>}]}) -> true;
sleeps({ok, []}) -> false.

%% They are other threads, or forked from one: {what, code, what is then done}.
importers() ->
    [{"a finalizer that another thread runs",
      <<"import gc\ngc.disable()\n"
        "class Late:\n def __del__(self): import threading\n"
        "it = Late()\nit.it = it\ndel it">>,
      fun() ->
          _ = spawn_link(fun() -> py:exec(<<"import time\ntime.sleep(1)">>, #{},
                                          #{pool => importer}) end),
          fixture:wait_until(fun() -> sleeps(py:stack({importer, 1})) end),
          {ok, _} = py:gc(importer)
      end},
     {"one of _thread", <<"import _thread, sys, time\n"
                          "def run():\n import threading\n time.sleep(60)\n"
                          "_thread.start_new_thread(run, ())\n"
                          "while not hasattr(sys.modules.get('threading'), '_shutdown'):\n"
                          " time.sleep(0.01)">>, fun() -> ok end},
     {"a child that a thread has forked",
      <<"import _thread, os\n"
        "def run():\n"
        " pid = os.fork()\n"
        " if pid == 0:\n"
        "  import threading\n"
        "  os._exit(threading.main_thread() is not threading.current_thread())\n"
        " status.append(os.waitpid(pid, 0)[1])\n"
        " lock.release()\n"
        "status, lock = [], _thread.allocate_lock()\nlock.acquire()\n"
        "_thread.start_new_thread(run, ())\nlock.acquire()\n"
        "assert status == [0], status">>, fun() -> ok end}].

%% Python's end waits for no thread that is none of threading's.
main_thread(Code, After) ->
    {ok, _} = py:start_pool(importer, #{size => 1}),
    ok = py:exec(Code, #{}, #{pool => importer}),
    After(),
    File = filename:join(fixture:tmpdir(), "ended"),
    ok = py:exec(<<"import os, threading\n"
                   "main = threading.main_thread()\n"
                   "assert threading.current_thread() is main and main.is_alive()\n"
                   "assert main in threading.enumerate() and main.native_id == os.getpid()\n"
                   "it = threading.Thread(target=print)\nit.start()\nit.join()\n"
                   "__import__('atexit').register(lambda file=file: open(file, 'w').close())">>,
                 #{file => list_to_binary(File)}, #{pool => importer}),
    ok = py:unbind(importer),
    ok = py:stop_pool(importer),
    ?assertEqual(ok, file:delete(File)).

%% Where it goes is said by the event, or by its not being one.
logging() ->
    [begin
         Port = raw:open(),
         [ok = raw:ask(Port, Op) || Op <- Ops],
         raw:send(Port, {1, {exec, <<"logging.warning('seen')">>}}),
         ?assertMatch({event, log, #{source := logging, text := <<"seen">>}}, raw:recv(Port)),
         ?assertEqual({1, ok}, raw:recv(Port)),
         ok = raw:ask(Port, {listen, false, 0}),
         ok = raw:ask(Port, {exec, <<"logging.warning('on standard error')">>}),
         raw:close(Port)
     end || Ops <- [[import(), listen()], [listen(), import()],
                    [listen(), {listen, false, 0}, import(), listen()]]].

%% What is done in a fresh worker, before what Python logs and the exceptions of threads
%% are seen.
hooked() ->
    [{"imported and gone", <<"import sys, logging, threading\n"
                             "del sys.modules['logging'], sys.modules['threading']">>},
     {"reloaded", <<"import importlib, logging, threading\n"
                    "importlib.reload(logging)\nimportlib.reload(threading)">>},
     {"the import is interrupted in any line of ours",
      <<"import sys\n"
        "import erlang\n"
        "def run(n):\n"
        "    for name in ('erlang._logging', 'logging', 'threading'):\n"
        "        sys.modules.pop(name, None)\n"
        "    left = [n]\n"
        "    def trace(frame, event, arg):\n"
        "        if '/erlang/' in frame.f_code.co_filename:\n"
        "            left[0] -= 1\n"
        "            if left[0] == 0: raise erlang.Cancelled\n"
        "        return trace\n"
        "    sys.settrace(trace)\n"
        "    try: import threading; erlang.LogHandler\n"
        "    except erlang.Cancelled: pass\n"
        "    finally: sys.settrace(None)\n"
        "    import logging, threading\n"
        "    at = (type(logging.lastResort), logging.StreamHandler.emit, threading.excepthook)\n"
        "    assert [hook.__module__ for hook in at] == [\n"
        "        'erlang._logging', 'erlang._logging', 'erlang._log'], (n, at)\n"
        "    return left[0] <= 0\n"
        "n = 1\n"
        "while run(n): n += 1\n"
        "assert n > 20, n">>},
     {"what shows tracebacks is a file of the user's",
      <<"import sys, types\nsys.modules['linecache'] = types.ModuleType('linecache')">>},
     {"the finder was asked, and the loader has then run another module",
      <<"import importlib.util, sys\n"
        "class Both:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('threading', 'other'):\n"
        "            return importlib.util.spec_from_loader(name, self)\n"
        "    def create_module(self, spec): pass\n"
        "    def exec_module(self, module): pass\n"
        "sys.meta_path.insert(0, Both())\n"
        "importlib.util.find_spec('threading')\n"
        "import other\n"
        "del sys.meta_path[0]">>}].

hooked(Code) ->
    Port = raw:open(),
    ok = raw:ask(Port, listen()),
    ok = raw:ask(Port, {exec, Code}),
    [begin
         raw:send(Port, {1, {exec, Line}}),
         ?assertMatch({event, log, #{source := Source}}, raw:recv(Port)),
         ?assertEqual({1, ok}, raw:recv(Port))
     end || {Source, Line} <- [{logging, <<"import logging\nlogging.warning('seen')">>},
                               {thread, <<"import threading\n"
                                          "it = threading.Thread(target=divmod, args=(1, 0))\n"
                                          "it.start()\nit.join()">>}]],
    raw:close(Port).

import() -> {exec, <<"import logging">>}.
listen() -> {listen, true, 1 bsl 20}.

%% What the kernel says of both, in kB: pages that nobody shares.
own_memory() ->
    fixture:unless_sanitized(),
    {ok, _} = py:start_pool(own, #{size => 1}),
    #{workers := [#{os_pid := OsPid}]} = py:info(own),
    {ok, Worker} = file:read_file(["/proc/", integer_to_list(OsPid), "/smaps_rollup"]),
    ok = py:stop_pool(own),
    Python = os:cmd(fixture:python() ++ " -c 'print(open(\"/proc/self/smaps_rollup\").read())'"),
    [Own, Pythons] = [private(Text) || Text <- [Worker, Python]],
    tap:note("~b kB, Python ~b kB", [Own, Pythons]),
    ?assert(Own - Pythons < 1_600).

private(Text) ->
    {match, [Kb]} = re:run(Text, "Private_Dirty: +([0-9]+)", [{capture, [1], list}]),
    list_to_integer(Kb).

%% Flags of a .pyc file: made for a text (1), which is not compared (no 2).
compiled() ->
    [?assertMatch({Module, {ok, <<_:4/binary, 1:32/little, _/binary>>}},
                  {Module, file:read_file(cached(Module))})
     || Module <- [<<"erlang">>, <<"erlang._setup">>, <<"erlang._log">>]].

cached(Module) ->
    {ok, File} = py:eval(<<"__import__('sys').modules[name].__cached__">>, #{name => Module}),
    File.

%% It may shrink, when it is trimmed.
same() ->
    fixture:unless_sanitized(),
    {ok, #{rss := Before}} = py:memory_stats({default, 1}),
    [{ok, N} = py:call(operator, add, [N, 0]) || N <- lists:seq(1, 1000)],
    timer:sleep(2_500),
    {ok, #{rss := After}} = py:memory_stats({default, 1}),
    tap:note("~b kB, then ~b kB", [Before div 1024, After div 1024]),
    ?assert(After - Before < 500_000).
