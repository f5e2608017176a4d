#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What a request's names stand for is what they stand for now, whatever was
%% found there before; and finding it imports nothing again.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"requests import nothing again", fun imports/0},
        {"__main__ replaced, by a module and by something else, and put back", fun main_replaced/0},
        {"__main__ removed", fun main_removed/0},
        {"a module replaced, removed, forbidden, imported again", fun module_replaced/0},
        {"a module that another thread is just importing is waited for", fun importing/0},
        {"an attribute changed, removed, deeper down", fun attribute_changed/0},
        {"contexts by their numbers", fun contexts/0},
        {"what a text was compiled to is told", fun compiled/0}
    ]).

imports() ->
    Port = raw:open(),
    ok = raw:ask(Port, {exec, <<"
import builtins
n = 0
def counting(*args, real=builtins.__import__, **kwargs):
    global n
    n += 1
    return real(*args, **kwargs)
builtins.__import__ = counting
">>}),
    Ops = [{call, operator, add, [1, 2], #{}}, {eval, <<"1">>, #{}}, {eval, <<"x">>, #{x => 1}},
           {exec, <<"x = 1">>}, memory_stats, {gc, 0}, gc_threshold],
    ?assertEqual([{Op, 0} || Op <- Ops], [{Op, imports(Port, Op)} || Op <- Ops]),
    raw:close(Port).

%% The greatest number counts, too, and what a context has is not in another one.
contexts() ->
    Port = raw:open(),
    Most = (1 bsl 63) - 1,
    In = fun(Op, Id) ->
        raw:send(Port, {in, Op, #{context => Id}}),
        {in, Result} = raw:recv(Port),
        Result
    end,
    [ok = raw:ask(Port, {context_open, Id}) || Id <- [1, Most]],
    ?assertMatch({error, {badarg, <<"context: 1 is open already">>}}, raw:ask(Port, {context_open, 1})),
    ok = In({exec, <<"x = 7">>}, Most),
    ?assertEqual({ok, 7}, In({eval, <<"x">>, #{}}, Most)),
    ?assertMatch({error, {'NameError', _}}, In({eval, <<"x">>, #{}}, 1)),
    ?assertMatch({error, {'NameError', _}}, raw:ask(Port, {eval, <<"x">>, #{}})),
    [ok = raw:ask(Port, {context_close, Ids}) || Ids <- [[Most], [Most, 5, Most], [1], []]],
    ?assertMatch({error, {badarg, <<"context: there is none", _/binary>>}}, In({exec, <<"x = 1">>}, Most)),
    ok = raw:ask(Port, {context_open, Most}),
    ?assertMatch({error, {'NameError', _}}, In({eval, <<"x">>, #{}}, Most)),
    [?assertMatch({Wrong, {error, {badarg, _}}}, {Wrong, raw:ask(Port, Op)})
     || Wrong <- [0, -1, a, 1.0, 1 bsl 63],
        Op <- [{context_open, Wrong}, {context_close, Wrong}, {context_close, [Most, Wrong]}]],
    ?assertEqual({ok, 1}, In({eval, <<"1">>, #{}}, Most)),
    [?assertMatch({Wrong, {error, {badarg, _}}}, {Wrong, In({eval, <<"1">>, #{}}, Wrong)})
     || Wrong <- [0, -1, a, 1 bsl 63]],
    raw:close(Port).

%% How often __import__ runs in 20 of them, behind the first one.
imports(Port, Op) ->
    raw:ask(Port, Op),
    {ok, Before} = raw:ask(Port, {eval, <<"n">>, #{}}),
    [raw:ask(Port, Op) || _ <- lists:seq(1, 20)],
    {ok, After} = raw:ask(Port, {eval, <<"n">>, #{}}),
    After - Before.

%% Steps on one program, and what each of them gives.
steps(Steps) ->
    Port = raw:open(),
    [?assertEqual({Op, Expected}, {Op, shown(raw:ask(Port, Op))}) || {Op, Expected} <- Steps],
    raw:close(Port).

shown({error, {Class, _}}) -> Class;
shown(Other) -> Other.

main_replaced() ->
    Where = {eval, <<"where">>, #{}},
    InFrame = {call, builtins, eval, [<<"where">>], #{}},
    steps([
        {{exec, <<"import sys, types\nwhere = 'first'\nsys.first = sys.modules['__main__']">>}, ok},
        {InFrame, {ok, <<"first">>}},
        {{exec, <<"sys.modules['__main__'] = types.ModuleType('__main__')">>}, ok},
        {Where, 'NameError'},
        {InFrame, 'NameError'},
        {{exec, <<"import sys\nwhere = 'second'">>}, ok},
        {Where, {ok, <<"second">>}},
        {{eval, <<"where + x">>, #{x => <<"!">>}}, {ok, <<"second!">>}},
        {InFrame, {ok, <<"second">>}},
        {{exec, <<"class It: pass\nit = It()\nit.where = 'third'\nit.sys = sys\n"
                  "sys.modules['__main__'] = it">>}, ok},
        {Where, {ok, <<"third">>}},
        {{exec, <<"sys.modules['__main__'] = sys.first">>}, ok},
        {Where, {ok, <<"first">>}},
        {InFrame, {ok, <<"first">>}}
    ]).

main_removed() ->
    steps([
        {{exec, <<"import sys\nmain = sys.modules['__main__']\nsys.main = main">>}, ok},
        {{exec, <<"del sys.modules['__main__']">>}, ok},
        {{eval, <<"1">>, #{}}, 'ModuleNotFoundError'},
        {{exec, <<"x = 1">>}, 'ModuleNotFoundError'},
        {{call, operator, add, [1, 2], #{}}, {ok, 3}},
        {{call, builtins, exec, [<<"import sys\nsys.modules['__main__'] = sys.main">>], #{}},
         {ok, none}},
        {{eval, <<"main.__name__">>, #{}}, {ok, <<"__main__">>}}
    ]).

module_replaced() ->
    Called = {call, made, name, [], #{}},
    Made = <<"import sys, types\ndef make(n):\n"
             "    made = types.ModuleType('made')\n"
             "    made.name = lambda: n\n"
             "    sys.modules['made'] = made">>,
    steps([
        {Called, 'ModuleNotFoundError'},
        {{exec, Made}, ok},
        {{exec, <<"make(1)">>}, ok}, {Called, {ok, 1}}, {Called, {ok, 1}},
        {{exec, <<"make(2)">>}, ok}, {Called, {ok, 2}},
        {{exec, <<"kept = sys.modules.pop('made')">>}, ok}, {Called, 'ModuleNotFoundError'},
        {{exec, <<"sys.modules['made'] = kept">>}, ok}, {Called, {ok, 2}},
        {{exec, <<"sys.modules['made'] = None">>}, ok}, {Called, 'AttributeError'},
        {{exec, <<"sys.modules['gc'] = None">>}, ok}, {{gc, 0}, 'ModuleNotFoundError'}
    ]).

%% It is in sys.modules all the while, and has its function only at the end.
importing() ->
    Dir = fixture:tmpdir(),
    ok = file:write_file(filename:join(Dir, "slow.py"),
                         <<"import sys, time\nwhile not hasattr(sys, 'go_on'): time.sleep(0.01)\n"
                           "time.sleep(0.2)\nname = lambda: 1\n">>),
    steps([
        {{call, 'sys', 'path.insert', [0, list_to_binary(Dir)], #{}}, {ok, none}},
        {{exec, <<"import sys, threading, time\n"
                  "thread = threading.Thread(target=lambda: __import__('slow'))\nthread.start()\n"
                  "while 'slow' not in sys.modules: time.sleep(0.01)\nsys.go_on = True">>}, ok},
        {{call, slow, name, [], #{}}, {ok, 1}},
        {{call, slow, name, [], #{}}, {ok, 1}},
        {{eval, <<"thread.join()">>, #{}}, {ok, none}}
    ]),
    ok = file:del_dir_r(Dir).

attribute_changed() ->
    Called = {call, made, name, [], #{}},
    Deep = {call, made, <<"inner.name">>, [], #{}},
    steps([
        {{exec, <<"import sys, types\nmade = sys.modules['made'] = types.ModuleType('made')\n"
                  "made.name = lambda: 1\nmade.inner = types.SimpleNamespace(name=lambda: 10)">>}, ok},
        {Called, {ok, 1}}, {Called, {ok, 1}}, {Deep, {ok, 10}},
        {{exec, <<"made.name = lambda: 2">>}, ok}, {Called, {ok, 2}},
        {{exec, <<"made.__dict__['name'] = lambda: 3">>}, ok}, {Called, {ok, 3}},
        {{exec, <<"made.inner = types.SimpleNamespace(name=lambda: 20)">>}, ok}, {Deep, {ok, 20}},
        {{exec, <<"del made.name">>}, ok}, {Called, 'AttributeError'},
        {{exec, <<"made.__getattr__ = lambda name: lambda: name">>}, ok},
        {Called, {ok, <<"name">>}}
    ]).

compiled() ->
    Port = raw:open(),
    [ok = raw:ask(Port, {exec, Text}) || Text <- [<<"x = 1">>, <<"x = 2">>, <<"x = 1">>]],
    [{ok, 2} = raw:ask(Port, {eval, <<"1 + 1">>, #{}}) || _ <- lists:seq(1, 10)],
    {ok, #{compiled := Compiled}} = raw:ask(Port, memory_objects),
    ?assertEqual(#{exec => #{texts => 2, characters => 10, hits => 1, misses => 2, dropped => 0},
                   eval => #{texts => 1, characters => 5, hits => 9, misses => 1, dropped => 0}},
                 Compiled),
    raw:close(Port).
