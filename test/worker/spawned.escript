#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Processes that multiprocessing spawns do not know what exec has defined.  One
%% that needs it to start is refused, and one that is sent it later says so.
%% Without that a pool waits for ever.
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
    import functools, runpy, tempfile
    from multiprocessing import managers, reduction
    class P(mp.get_context('spawn').Process): pass
    class Server(managers.BaseManager): pass
    @functools.lru_cache
    def cached(x): return x
    def run(method, function, *args):
        with mp.get_context(method).Pool(1) as pool:
            return pool.map(function, args)
    def executed(method, function, *args):
        with cf.ProcessPoolExecutor(1, mp.get_context(method)) as pool:
            return list(pool.map(function, args))
    def process(method, function, *args):
        child = mp.get_context(method).Process(target=function, args=args)
        child.start()
        child.join()
        return child.exitcode
    def pool(method, function, *args):
        with mp.get_context(method).Pool(1, function, args) as pool:
            return pool.map(abs, [-3])
    def executor(method, function, *args):
        with cf.ProcessPoolExecutor(1, mp.get_context(method), function, args) as pool:
            return list(pool.map(abs, [-3]))
    def manager(method, function, *args):
        manager = managers.SyncManager(ctx=mp.get_context(method))
        manager.start(function, args)
        with manager:
            return manager.list([3])[0]
    def managed(method, function):
        managers.SyncManager.register('f', function, create_method=False)
        try:
            managers.SyncManager(ctx=mp.get_context(method)).start()
        finally:
            del managers.SyncManager._registry['f']
    def program():
        with tempfile.NamedTemporaryFile('w', suffix='.py') as file:
            file.write('''
    import multiprocessing as mp
    def sq(x): return x * x
    if __name__ == '__main__':
        with mp.get_context('spawn').Pool(1, sq, (1,)) as pool:
            result = pool.map(sq, [3])
    ''')
            file.flush()
            return runpy.run_path(file.name, run_name='__main__')['result']
    def with_dump(dump):
        reduction.dump, usual = dump, reduction.dump
        try:
            return process('spawn', sq, 3)
        finally:
            reduction.dump = usual
    def as_int(obj, file, protocol=None):
        if isinstance(obj, mp.process.BaseProcess):
            obj._target = int
        reduction.ForkingPickler(file, protocol).dump(obj)
">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => ?INIT, timeout => 120_000}, [
        [{["it runs: ", Source], fun() -> ?assertEqual({ok, Result}, py:eval(Source)) end}
         || {Source, Result} <- known()],
        [{["it is refused: ", Source], fun() -> refused(Source, Name) end}
         || {Source, Name} <- unknown() ++ needed()],
        [{["pickle refuses it: ", Source], fun() -> unpickled(Source) end}
         || Source <- lambdas()],
        {"no process is left", fun() -> ?assertEqual({ok, []}, py:eval(<<"mp.active_children()">>)) end}
    ])).

known() ->
    [{"run('fork', sq, 3)", [9]},
     {"run('spawn', abs, -3)", [3]},
     {"run('forkserver', abs, -3)", [3]},
     {"executed('fork', sq, 3)", [9]},
     {"executed('spawn', abs, -3)", [3]},
     {"process('fork', sq, 3)", 0},
     {"process('spawn', abs, -3)", 0},
     {"process('forkserver', abs, -3)", 0},
     {"pool('fork', sq, 3)", [3]},
     {"pool('spawn', abs, 3)", [3]},
     {"executor('fork', sq, 3)", [3]},
     {"executor('spawn', abs, 3)", [3]},
     {"manager('fork', sq, 3)", 3},
     {"manager('spawn', abs, 3)", 3},
     {"program()", [9]},
     {"with_dump(as_int)", 0}].

%% It is sent to a process that runs.
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

%% The process needs it to start.
needed() ->
    [{"process('spawn', sq, 3)", <<"sq">>},
     {"process('forkserver', sq, 3)", <<"sq">>},
     {"process('spawn', cached, 3)", <<"cached">>},
     {"process('spawn', functools.partial(sq, 3))", <<"sq">>},
     {"process('spawn', C().m, 3)", <<"C.m">>},
     {"process('spawn', C)", <<"C">>},
     {"process('spawn', print, C())", <<"C">>},
     {"process('spawn', print, {'a': [E()]})", <<"E">>},
     {"P().start()", <<"P">>},
     {"pool('spawn', sq, 3)", <<"sq">>},
     {"pool('forkserver', sq, 3)", <<"sq">>},
     {"pool('spawn', print, C())", <<"C">>},
     {"executor('spawn', sq, 3)", <<"sq">>},
     {"executor('forkserver', sq, 3)", <<"sq">>},
     {"manager('spawn', sq, 3)", <<"sq">>},
     {"manager('forkserver', sq, 3)", <<"sq">>},
     {"managed('spawn', sq)", <<"sq">>},
     {"Server(ctx=mp.get_context('spawn')).start()", <<"Server">>}].

refused(Source, Name) ->
    {error, {'RuntimeError', Why}} = py:eval(Source),
    ?assert(fixture:contains(Why, [Name, " is a name in __main__ of the worker"]), Why).

%% In any program.
lambdas() ->
    ["run('spawn', lambda x: x, 3)",
     "process('spawn', lambda x: x, 3)",
     "pool('spawn', lambda x: x, 3)",
     "executor('spawn', lambda x: x, 3)"].

unpickled(Source) ->
    {error, {Class, Why}} = py:eval(Source),
    ?assert(lists:member(Class, ['pickle.PicklingError', '_pickle.PicklingError']), Class),
    ?assert(fixture:contains(Why, "<lambda>"), Why).
