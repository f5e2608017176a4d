#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Processes that multiprocessing spawns do not know what exec has defined, and
%% say so. Without that a pool waits for ever.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(INIT, <<"
    import multiprocessing as mp, enum, concurrent.futures as cf
    def sq(x): return x * x
    class C:
        def __init__(self): self.a = 1
        def m(self, x): return x
        @staticmethod
        def s(x): return x
        @classmethod
        def c(cls, x): return x
        class D: pass
    M = enum.Enum('M', 'one')
    class L(list): pass
    class S(set): pass
    class E:
        def __reduce__(self): return E, (1,)
    def run(method, function, *args):
        with mp.get_context(method).Pool(1) as pool:
            return pool.map(function, args)
    def executed(method, function, *args):
        with cf.ProcessPoolExecutor(1, mp.get_context(method)) as pool:
            return list(pool.map(function, args))
    def process(method, function):
        child = mp.get_context(method).Process(target=function, args=(1,))
        child.start()
        child.join()
        return child.exitcode
">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => ?INIT, timeout => 120_000}, [
        [{["it runs: ", Source], fun() -> ?assertEqual({ok, Result}, py:eval(Source)) end}
         || {Source, Result} <- known()],
        [{["it is refused: ", Source], fun() -> refused(Source, Name) end}
         || {Source, Name} <- unknown()],
        {"a process of its own ends with status 1", fun() ->
            ?assertEqual({ok, 1}, py:eval("process('spawn', sq)")) end}
    ])).

known() ->
    [{"run('fork', sq, 3)", [9]},
     {"run('spawn', abs, -3)", [3]},
     {"run('forkserver', abs, -3)", [3]},
     {"executed('fork', sq, 3)", [9]},
     {"executed('spawn', abs, -3)", [3]},
     {"process('spawn', abs)", 0}].

unknown() ->
    [{"run('spawn', sq, 3)", <<"sq">>},
     {"run('forkserver', sq, 3)", <<"sq">>},
     {"executed('spawn', sq, 3)", <<"sq">>},
     {"executed('forkserver', sq, 3)", <<"sq">>},
     {"run('spawn', C().m, 3)", <<"C.m">>},
     {"run('spawn', C.s, 3)", <<"C.s">>},
     {"run('spawn', C.c, 3)", <<"C.c">>},
     {"run('spawn', len, C.D())", <<"C.D">>},
     {"run('spawn', str, M.one)", <<>>}, % M or M.one, by the version of Python
     {"run('spawn', list, M)", <<"M">>},
     {"run('spawn', len, C())", <<"C">>},
     {"run('spawn', len, L([1]))", <<"L">>},
     {"run('spawn', len, S([1]))", <<"S">>},
     {"run('spawn', int, E())", <<"E">>}].

refused(Source, Name) ->
    {error, {'RuntimeError', Why}} = py:eval(Source),
    ?assert(fixture:contains(Why, [Name, " is a name in __main__ of the worker"]), Why).
