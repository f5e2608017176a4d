#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Contexts: names of one's own, which are there until they are closed, their owner is
%% dead, or their worker has ended.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Settings = #{size => 2, init => <<"import misbehave, os, wedge, weakref\nshared = 'main'">>,
                 interrupt_grace => 100, close_grace => 100},
    tap:run(fixture:with_app(Settings, [
        {"a context has its own names, and no others", fun own_names/0},
        {"every kind of request runs in it", fun all_kinds/0},
        {"locals of eval and exec", fun locals/0},
        {"__main__ is the context", fun main/0},
        {"import __main__ is the context, where its names are globals", fun import_main/0},
        {"who looks for a class's names finds the context's", fun class_names/0},
        {"sys.modules is as before, however the code ends", fun modules_restored/0},
        {"a call has the context's names underneath", fun frame/0},
        {"tracebacks show its code", fun traceback/0},
        {"pickle says why it does not find a context's class", fun pickle/0},
        {"spawning a process with a context's function is refused", fun spawned/0},
        {"any process may use it", fun others/0},
        {"it does not bind, and is not where its owner is bound", fun not_bound/0},
        {"a context on a worker that is named", fun named_worker/0},
        {"contexts are spread over the workers", fun spread/0},
        {"a worker has as many contexts as it may", fun quota/0},
        {"if all others are full, one that is busy is waited for", fun quota_busy/0},
        {"one that is not used is closed, and no other", fun idle/0},
        {"what is in use is not closed", fun in_use/0},
        {"others find it by its name", fun named/0},
        {"one name, many at once: one has it", fun named_at_once/0},
        {"with closes it, whatever happens", fun with/0},
        {"closing drops the names, and runs finalizers", fun close_drops/0},
        {"a context that was closed", fun closed/0},
        {"closing waits for what was sent before", fun close_is_ordered/0},
        {"the owner's death closes it, at any moment", 60_000, fun owner_dies/0},
        {"the death of an owner of thousands keeps nobody out", 60_000, fun owner_of_many_dies/0},
        {"unbind closes nothing", fun unbind/0},
        {"a made-up context", fun made_up/0},
        {"wrong options", fun wrong/0},
        {"thousands opened and closed leave nothing", 120_000, fun flat/0}
    ])).

in(Context) -> #{context => Context}.

opened() ->
    {ok, Context} = py_context:open(),
    Context.

eval(Code, Context) -> py:eval(Code, #{}, in(Context)).

os_pid(Context) ->
    {ok, OsPid} = eval(<<"__import__('os').getpid()">>, Context),
    OsPid.

own_names() ->
    {A, B} = {opened(), opened()},
    ok = py:exec(<<"x = 'a'\ndef get(): return x">>, in(A)),
    ok = py:exec(<<"x = 'b'\ndef get(): return x">>, in(B)),
    ?assertEqual([{ok, <<"a">>}, {ok, <<"b">>}], [eval(<<"get()">>, C) || C <- [A, B]]),
    ?assertMatch({error, {'NameError', _}}, eval(<<"shared">>, A)),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"get">>)),
    ?assertEqual({ok, {<<"__main__">>, <<"erlang">>}},
                 eval(<<"(__name__, erlang.__name__)">>, A)),
    [py_context:close(C) || C <- [A, B]].

all_kinds() ->
    C = opened(),
    ok = py:exec(<<"n = 3\ndef get(i=0): return n + i\n"
                   "def send(to): erlang.send(to, get())\ndef each(): yield from range(n)">>, in(C)),
    ?assertEqual({ok, 4}, py:call('__main__', get, [1], #{}, in(C))),
    ?assertEqual({ok, 5}, py:call('__main__', get, [], #{i => 2}, in(C))),
    ?assertEqual({ok, 2.0}, py:call(math, sqrt, [4], #{}, in(C))),
    ?assertEqual({ok, 4}, py:await(py:spawn_call('__main__', get, [1], #{}, in(C)))),
    ?assertEqual({ok, [3]}, py:stream_eval(<<"iter([n])">>, #{}, in(C))),
    ?assertEqual({ok, [0, 1, 2]}, py:stream('__main__', each, [], #{}, in(C))),
    {ok, Stream} = py:stream_open({'__main__', each, []}, (in(C))#{chunk => 1}),
    ?assertEqual([{ok, [0]}, {ok, [1]}, {ok, [2]}, done],
                 [py:stream_next(Stream) || _ <- lists:seq(1, 4)]),
    ok = py:cast('__main__', send, [self()], #{}, in(C)),
    receive Got -> ?assertEqual(3, Got) after 30_000 -> error(nothing_came) end,
    ?assertMatch({ok, 3, <<"3\n">>}, py:eval(<<"print(n) or n">>, #{}, (in(C))#{capture => true})),
    py_context:close(C).

locals() ->
    C = opened(),
    ok = py:exec(<<"x = 1\ny = seen + x">>, #{seen => 5}, in(C)),
    ?assertEqual({ok, {1, 6}}, eval(<<"(x, y)">>, C)),
    ?assertMatch({error, {'NameError', _}}, eval(<<"seen">>, C)),
    ?assertEqual({ok, [7, 8]}, py:eval(<<"[x + a for a in b]">>, #{x => 6, b => [1, 2]}, in(C))),
    ?assertEqual({ok, 1}, eval(<<"x">>, C)),
    py_context:close(C).

main() ->
    C = opened(),
    ok = py:exec(<<"class A:\n    @staticmethod\n    def f(): return 'of A'\n    class B:\n"
                   "        @staticmethod\n        def g(): return 'of B'">>, in(C)),
    ?assertEqual({ok, <<"of A">>}, py:call('__main__', 'A.f', [], #{}, in(C))),
    ?assertEqual({ok, <<"of A">>}, py:call('__main__.A', f, [], #{}, in(C))),
    ?assertEqual({ok, <<"of B">>}, py:call('__main__.A.B', g, [], #{}, in(C))),
    ?assertMatch({error, {'AttributeError', _}}, py:call('__main__', shared, [], #{}, in(C))),
    ?assertMatch({error, {'ModuleNotFoundError', _}}, py:call('__main__x', f, [], #{}, in(C))),
    ?assertMatch({error, {'AttributeError', _}}, py:call('__main__', 'A.f', [])),
    py_context:close(C).

import_main() ->
    {A, B} = {opened(), opened()},
    Import = <<"x = __name__ + ' here'\nimport __main__\nfrom __main__ import x as y\n"
               "found = (__main__.x, y)">>,
    ok = py:exec(Import, in(A)),
    ?assertEqual({ok, {<<"__main__ here">>, <<"__main__ here">>}}, eval(<<"found">>, A)),
    ?assertMatch({error, {'AttributeError', _}},
                 py:exec(<<"import __main__\n__main__.found">>, in(B))),
    ?assertEqual({ok, <<"main">>}, eval(<<"__import__('sys').modules['__main__'].shared">>, B)),
    ok = py:exec(<<"import __main__\nassert __main__.shared == 'main'">>),
    ok = py:unbind(),
    ?assertMatch({error, {'ModuleNotFoundError', _}}, py:exec(<<"import nowhere">>, in(B))),
    [py_context:close(C) || C <- [A, B]].

class_names() ->
    C = opened(),
    ok = py:exec(<<"from __future__ import annotations\nimport dataclasses, typing\n"
                   "from typing import ClassVar\n@dataclasses.dataclass\nclass A:\n"
                   "    it: typing.Optional[A] = None\n    n: ClassVar[int] = 5\n"
                   "fields = [f.name for f in dataclasses.fields(A)]\n"
                   "def hints(): return typing.get_type_hints(A)['it'] == typing.Optional[A]">>, in(C)),
    ?assertEqual({ok, {[<<"it">>], true}}, eval(<<"(fields, hints())">>, C)),
    ?assertEqual({ok, true}, py:call('__main__', hints, [], #{}, in(C))),
    ?assertEqual({ok, [true]}, py:stream_eval(<<"[hints()]">>, #{}, in(C))),
    py_context:close(C).

modules_restored() ->
    {ok, C} = py_context:open(#{pool => {default, 1}}),
    Main = <<"(lambda m: (type(m).__name__, m.shared, m.__dict__ is globals()))(__import__('sys').modules['__main__'])">>,
    Restored = fun() ->
        ?assertEqual({ok, {<<"module">>, <<"main">>, true}}, py:eval(Main, #{}, #{pool => {default, 1}}))
    end,
    ?assertEqual({ok, {<<"StandIn">>, <<"main">>, true}}, eval(Main, C)),
    Restored(),
    [begin {error, _} = py:exec(Code, in(C)), Restored() end
     || Code <- [<<"1 / 0">>, <<"1 /">>, <<"raise SystemExit">>]],
    {error, timeout} = py:eval(<<"__import__('time').sleep(60)">>, #{}, (in(C))#{timeout => 50}),
    Restored(),
    py_context:close(C).

frame() ->
    C = opened(),
    ok = py:exec(<<"x = 'its'">>, in(C)),
    ?assertEqual({ok, <<"its">>}, py:call(builtins, eval, [<<"x">>], #{}, in(C))),
    ?assertMatch({error, {'NameError', _}}, py:call(builtins, eval, [<<"x">>])),
    py_context:close(C).

traceback() ->
    C = opened(),
    Options = (in(C))#{traceback => true, filename => "mine.py", line => 7},
    ok = py:exec(<<"def bad():\n    return 1 / 0">>, Options),
    {error, {_, _, #{frames := Frames}}} = py:call('__main__', bad, [], #{}, (in(C))#{traceback => true}),
    ?assertMatch([#{file := <<"mine.py">>, line := 8, function := <<"bad">>,
                    text := <<"return 1 / 0">>}], Frames),
    py_context:close(C).

pickle() ->
    C = opened(),
    ok = py:exec(<<"import pickle\nclass A: pass\ndef save(): return pickle.dumps(A())">>, in(C)),
    [?assertMatch({What, {true, true}}, {What, {fixture:contains(Text, "__main__.A"),
                                                fixture:contains(Text, "a context's names")}})
     || {What, {error, {'_pickle.PicklingError', Text}}}
            <- [{eval, eval(<<"save()">>, C)},
                {exec, py:exec(<<"save()">>, in(C))},
                {call, py:call('__main__', save, [], #{}, in(C))}]],
    ?assertMatch({ok, 1}, eval(<<"pickle.loads(pickle.dumps(1))">>, C)),
    py_context:close(C).

spawned() ->
    C = opened(),
    {error, {'RuntimeError', Text}} =
        py:exec(<<"import multiprocessing\ndef f(): pass\n"
                  "multiprocessing.get_context('spawn').Process(target=f).start()">>, in(C)),
    ?assert(fixture:contains(Text, "f is a name in __main__")),
    py_context:close(C).

others() ->
    C = opened(),
    Self = self(),
    Pid = spawn_link(fun() -> ok = py:exec(<<"x = 5">>, in(C)), Self ! {self(), done} end),
    receive {Pid, done} -> ok end,
    ?assertEqual({ok, 5}, eval(<<"x">>, C)),
    _ = spawn_link(fun() -> ok = py_context:close(C), Self ! closed end),
    receive closed -> ok end,
    fixture:wait_until(fun() -> is_closed(C) end).

is_closed(C) ->
    case eval(<<"1">>, C) of
        {error, {badarg, Text}} -> fixture:contains(Text, "it was closed");
        {ok, 1} -> false
    end.

not_bound() ->
    {ok, A} = py_context:open(#{pool => {default, 1}}),
    {ok, B} = py_context:open(#{pool => {default, 2}}),
    Pids = [os_pid(C) || C <- [A, B]],
    ?assertEqual(2, length(lists:usort(Pids))),
    ok = py:exec(<<"bound = True">>, #{pool => {default, 1}}),
    ok = py:exec(<<"x = 1">>, in(B)),
    ?assertEqual(Pids, [os_pid(C) || C <- [A, B]]),
    ?assertEqual({ok, hd(Pids)}, py:eval(<<"bound and os.getpid()">>)),
    ok = py:unbind(),
    [py_context:close(C) || C <- [A, B]].

named_worker() ->
    [?assertEqual(OsPid, py_context:with(#{pool => {default, Id}}, fun os_pid/1))
     || #{id := Id, os_pid := OsPid} <- fixture:workers()],
    ?assertEqual({error, {no_worker, {default, 9}}}, py_context:open(#{pool => {default, 9}})),
    ?assertEqual({error, {no_pool, nix}}, py_context:open(#{pool => nix})).

spread() ->
    Contexts = [opened() || _ <- lists:seq(1, 10)],
    OsPids = [os_pid(C) || C <- Contexts],
    ?assertEqual([5, 5], [length([P || P <- OsPids, P =:= OsPid]) || OsPid <- fixture:os_pids()]),
    ?assertEqual([5, 5], [N || #{contexts := N} <- fixture:workers()]),
    [py_context:close(C) || C <- Contexts].

quota() ->
    {ok, _} = py:start_pool(other, #{size => 2, contexts => 3}),
    all_back(other),
    Open = fun() -> py_context:open(#{pool => other}) end,
    Full = {error, {overloaded, contexts, 3}},
    Contexts = [C || {ok, C} <- [Open() || _ <- lists:seq(1, 6)]],
    ?assertEqual({6, Full}, {length(Contexts), Open()}),
    ?assertEqual(Full, py_context:open(#{pool => {other, 1}})),
    ?assertEqual(Full, py_context:open(#{from => hd(Contexts)})),
    ok = py_context:close(hd(Contexts)),
    {ok, _} = Open(),
    %% Many at once: as many as there may be, and not one more.
    [py_context:close(C) || C <- tl(Contexts)],
    fixture:wait_until(fun() -> 1 =:= lists:sum([N || #{contexts := N} <- fixture:workers(other)]) end),
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), Open()}, receive stop -> ok end end)
            || _ <- lists:seq(1, 50)],
    Results = [receive {Pid, Result} -> Result end || Pid <- Pids],
    Opened = length([C || {ok, C} <- Results]),
    ?assertEqual({5, [Full]}, {Opened, lists:usort([R || {error, _} = R <- Results])}),
    [Pid ! stop || Pid <- Pids],
    ok = py:stop_pool(other).

%% While one worker is held, the other one becomes full.
quota_busy() ->
    {ok, _} = py:start_pool(other, #{size => 2, contexts => 1, init => <<"import wedge">>,
                                     python_path => [fixture:python_path()]}),
    all_back(other),
    Held = fixture:hold(#{pool => {other, 1}}),
    {ok, _} = py_context:open(#{pool => other}),
    Self = self(),
    Pid = spawn_link(fun() -> Self ! {self(), py_context:open(#{pool => other})}, receive stop -> ok end end),
    fixture:wait_until(fun() -> [2] =:= [N || #{id := 1, in_flight := N} <- fixture:workers(other)] end),
    {ok, _} = fixture:release(Held),
    receive {Pid, Result} -> ?assertMatch({ok, _}, Result) end,
    ?assertEqual({error, {overloaded, contexts, 1}}, py_context:open(#{pool => other})),
    Pid ! stop,
    ok = py:stop_pool(other).

idle() ->
    none_open(),
    Never = opened(),
    {ok, Idle} = py_context:open(#{idle => 20}),
    fixture:wait_until(fun() -> open_contexts() =:= 1 end),
    ?assertEqual({true, false}, {is_closed(Idle), is_closed(Never)}),
    py_context:close(Never).

%% A stream under way is a use, and so is a call.
in_use() ->
    none_open(),
    {ok, C} = py_context:open(#{idle => 20}),
    {ok, Stream} = py:stream_open({eval, <<"iter(range(1000))">>, #{}}, (in(C))#{chunk => 1}),
    ?assertEqual({ok, none}, eval(<<"__import__('time').sleep(0.2)">>, C)),
    timer:sleep(200),
    ?assertEqual({ok, 1}, eval(<<"1">>, C)),
    ok = py:stream_close(Stream),
    none_open().

named() ->
    ?assertEqual({error, {no_context, cart}}, py_context:find(cart)),
    {ok, C} = py_context:open(#{name => cart, pool => {default, 1}}),
    ok = py:exec(<<"x = 1">>, in(C)),
    {ok, Found} = py_context:find(default, cart),
    ?assertEqual({ok, 1}, eval(<<"x">>, Found)),
    ?assertEqual({error, {already_open, Found}}, py_context:open(#{name => cart})),
    ?assertMatch({ok, _}, py_context:open(#{name => other, idle => 60_000})),
    ok = py_context:close(Found),
    ?assertEqual({error, {no_context, cart}}, py_context:find(cart)),
    {ok, Again} = py_context:open(#{name => cart, pool => {default, 1}}),
    ?assertMatch({error, {'NameError', _}}, eval(<<"x">>, Again)),
    ?assertEqual({error, {no_pool, nix}}, py_context:find(nix, cart)),
    ok = py_context:close(Again).

named_at_once() ->
    none_open(),
    Self = self(),
    Open = fun() -> Self ! {self(), py_context:open(#{name => one})}, receive stop -> ok end end,
    Pids = [spawn_link(Open) || _ <- lists:seq(1, 20)],
    Results = [receive {Pid, Result} -> Result end || Pid <- Pids],
    [C] = [C || {ok, C} <- Results],
    ?assertEqual(lists:duplicate(19, {error, {already_open, C}}), Results -- [{ok, C}]),
    fixture:wait_until(fun() -> open_contexts() =:= 1 end),
    [Pid ! stop || Pid <- Pids],
    fixture:wait_until(fun() -> py_context:find(one) =:= {error, {no_context, one}} end).

with() ->
    Self = self(),
    ?assertEqual({ok, 3}, py_context:with(fun(C) -> Self ! C, eval(<<"1 + 2">>, C) end)),
    ?assertError(oops, py_context:with(fun(C) -> Self ! C, error(oops) end)),
    [receive C -> ?assert(is_closed(C)) end || _ <- [1, 2]],
    ?assertEqual({error, {no_pool, nix}}, py_context:with(#{pool => nix}, fun(_) -> never end)).

%% Objects of __main__ by their context's names, watched from its worker's.
watched(C) ->
    Code = <<"import misbehave, weakref\nclass A:\n    def __del__(self, kept=misbehave):\n"
             "        kept.last = 'deleted'\n    def me(self): return self\nit = A()\n"
             "misbehave.watched, misbehave.last = weakref.ref(it), None">>,
    ok = py:exec(Code, in(C)).

close_drops() ->
    {ok, C} = py_context:open(#{pool => {default, 1}}),
    watched(C),
    ok = py_context:close(C),
    ?assertEqual({ok, {true, <<"deleted">>}},
                 py:eval(<<"(misbehave.watched() is None, misbehave.last)">>, #{},
                         #{pool => {default, 1}})).

closed() ->
    C = opened(),
    [ok = py_context:close(C) || _ <- [1, 2]],
    ?assert(is_closed(C)),
    [?assertMatch({error, {badarg, _}}, Result)
     || Result <- [py:exec(<<"x = 1">>, in(C)), py:call('__main__', f, [], #{}, in(C)),
                   py:call(math, sqrt, [4], #{}, in(C)), py:stream_eval(<<"[]">>, #{}, in(C)),
                   py:stream_open({math, sqrt, [4]}, in(C)),
                   py:await(py:spawn_call(math, sqrt, [4], #{}, in(C)))]].

close_is_ordered() ->
    C = opened(),
    ok = py:exec(<<"x = 1">>, in(C)),
    Self = self(),
    Code = <<"(erlang.send(to, erlang.Atom('runs')), __import__('time').sleep(0.2), x)[-1]">>,
    Pid = spawn_link(fun() -> Self ! {self(), py:eval(Code, #{to => Self}, in(C))} end),
    receive runs -> ok end,
    ok = py_context:close(C),
    ?assertMatch({error, {badarg, _}}, eval(<<"x">>, C)),
    receive {Pid, Result} -> ?assertEqual({ok, 1}, Result) end.

%% How many contexts each worker's program has.
%% Those of the test before end with its process, or a little later.
none_open() -> fixture:wait_until(fun() -> open_contexts() =:= 0 end).

open_contexts() ->
    Count = <<"import gc, sys, types\n"
              "left = sum(type(o) is types.ModuleType and o.__name__ == '__main__'\n"
              "           for o in gc.get_objects()) - 1">>,
    {ok, Oks} = py:exec(Count, #{pool => {default, all}}),
    true = lists:all(fun({_, Result}) -> Result =:= ok end, Oks),
    {ok, Counts} = py:eval(<<"left">>, #{}, #{pool => {default, all}}),
    lists:sum([N || {_, {ok, N}} <- Counts]).

%% It may die before it opens one, while that is under way, or later.
owner_dies() ->
    none_open(),
    [begin
         {Pid, Ref} = spawn_monitor(fun() -> use(opened()) end),
         busy_wait(N * 20),
         exit(Pid, kill),
         receive {'DOWN', Ref, process, _, _} -> ok end
     end || N <- lists:seq(0, 100)],
    none_open().

use(C) ->
    ok = py:exec(<<"x = 1">>, in(C)),
    use(C).

busy_wait(Micros) ->
    Until = erlang:monotonic_time(microsecond) + Micros,
    (fun Wait() -> erlang:monotonic_time(microsecond) < Until andalso Wait() end)().

owner_of_many_dies() ->
    {ok, _} = py:start_pool(other, #{size => 1, max_queue => 10, max_frame => 65_536}),
    {ok, Mine} = py_context:open(#{pool => other}),
    Self = self(),
    {Pid, Ref} = spawn_monitor(fun() ->
        [{ok, _} = py_context:open(#{pool => other}) || _ <- lists:seq(1, 5_000)],
        Self ! {self(), opened},
        receive stop -> ok end
    end),
    receive {Pid, opened} -> ok end,
    exit(Pid, kill),
    receive {'DOWN', Ref, process, _, _} -> ok end,
    [?assertEqual({ok, 1}, eval(<<"1">>, Mine)) || _ <- lists:seq(1, 20)],
    fixture:wait_until(fun() -> [1] =:= [N || #{contexts := N} <- fixture:workers(other)] end),
    ?assertEqual({ok, 1}, eval(<<"1">>, Mine)),
    ok = py:stop_pool(other).

unbind() ->
    C = opened(),
    ok = py:exec(<<"x = 1">>, in(C)),
    ok = py:exec(<<"y = 1">>),
    ok = py:unbind(),
    ?assertEqual({ok, 1}, eval(<<"x">>, C)),
    py_context:close(C).

all_back(Pool) ->
    fixture:wait_until(fun() ->
        lists:all(fun(Id) -> py:eval(<<"1">>, #{}, #{pool => {Pool, Id}}) =:= {ok, 1} end, [1, 2])
    end).

%% The number of another one, of this worker or of another.
made_up() ->
    {ok, A} = py_context:open(#{pool => {default, 1}}),
    {ok, B} = py_context:open(#{pool => {default, 2}}),
    ok = py:exec(<<"x = 1">>, in(B)),
    Id = fun(C) -> element(4, C) end,
    [?assertMatch({error, {badarg, _}}, eval(<<"x">>, setelement(4, A, Made)))
     || Made <- [Id(B), Id(B) + 1_000_000, 1 bsl 62]],
    [py_context:close(C) || C <- [A, B]].

wrong() ->
    C = opened(),
    [?assertError(badarg, Wrong())
     || Wrong <- [fun() -> eval(<<"1">>, "nix") end, fun() -> py_context:close(nix) end,
                  fun() -> py_context:with(fun() -> ok end) end,
                  fun() -> py_context:open(#{pool => {default, all}}) end,
                  fun() -> py_context:open(#{context => C}) end,
                  fun() -> py_context:open(#{idle => 0}) end,
                  fun() -> py_context:open(#{name => "cart"}) end,
                  fun() -> py_context:find("cart") end, fun() -> py_context:find({default, 1}, cart) end,
                  fun() -> py_context:open(#{from => "nix"}) end,
                  fun() -> py_context:open(#{from => C, pool => other}) end,
                  fun() -> py_context:vars(nix) end, fun() -> py_context:vars(C, soon) end,
                  fun() -> py:eval(<<"1">>, #{}, (in(C))#{pool => other}) end,
                  fun() -> py:eval(<<"1">>, #{}, (in(C))#{pool => {default, 1}}) end,
                  fun() -> py:parallel([{math, sqrt, [4]}], in(C)) end,
                  fun() -> py:exec_all(<<"x = 1">>, in(C)) end]],
    py_context:close(C).

%% After the first ones, many more take no more memory on either side: less than a
%% twentieth of what they would if their names stayed.
flat() ->
    fixture:unless_sanitized(),
    On = #{pool => {default, 1}},
    Open = fun(N) -> [begin
        {ok, C} = py_context:open(On),
        ok = py:exec(<<"import misbehave\nclass A:\n    def f(self): return x\n"
                       "x = bytearray(10_000)\nit = A()">>, in(C)),
        ok = py_context:close(C)
    end || _ <- lists:seq(1, N)] end,
    #{pid := Worker, os_pid := OsPid} = hd(fixture:workers()),
    Memory = fun() ->
        {ok, _} = py:gc({default, 1}),
        erlang:garbage_collect(Worker),
        {memory, Bytes} = process_info(Worker, memory),
        Bytes + 1024 * fixture:proc_kb(OsPid, "VmRSS")
    end,
    Open(300),
    Before = Memory(),
    Open(3_000),
    Grown = Memory() - Before,
    tap:note("~b bytes more after 3000 contexts of 10 kB", [Grown]),
    ?assert(Grown < 3_000 * 10_000 div 20).
