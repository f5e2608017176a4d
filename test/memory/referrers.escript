#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Who keeps objects alive: modules, frames, threads, exceptions, each other, nobody
%% that is known; through each kind of container.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import wedge">>}, [
        {"a cache in a module", fun cache/0},
        [{["through ", What], fun() -> through(Code, Path) end}
         || {What, Code, Path} <- ways()],
        {"a frame that an exception keeps", fun exception/0},
        {"a cycle", fun cycle/0},
        {"a cycle that something refers to", fun held_cycle/0},
        {"a running function's variable", fun frame/0},
        {"a variable of a function that called another", fun outer_frame/0},
        {"an exception that a thread handles", fun thread/0},
        {"an object that only C knows", fun unknown/0},
        {"objects that the collector does not know", fun untracked/0},
        {"a numpy array of which another one shows a part", fun array/0},
        {"different ways are different rows", fun several/0},
        {"a pool's rows are its workers' together", fun merged/0},
        {"a type that is not there", fun no_type/0},
        {"no object of it", fun no_object/0},
        {"no code of the objects runs", fun hostile/0},
        {"nobody is kept by being looked at", fun released/0},
        {"a million objects between", 300_000, fun many/0},
        {"nothing is imported before it is used", fun imports/0},
        {"wrong arguments", fun wrong/0}
    ])).

leaky(Fun) ->
    leaky(1, Fun).

leaky(Size, Fun) ->
    {ok, _} = py:start_pool(leaky, #{size => Size, python_path => [fixture:python_path()],
                                     init => <<"import leaky, wedge, threading, collections">>}),
    try Fun() after ok = py:stop_pool(leaky, 100) end.

exec(Code) ->
    ok = py:exec(Code, #{pool => leaky}).

orders() ->
    py_mem:referrers(leaky, <<"leaky.Order">>).

cache() ->
    leaky(fun() ->
        exec(<<"leaky.in_cache(1000)">>),
        {ok, [#{root := module, path := Path, count := 10, workers := [1],
                holders := [<<"module">>, <<"dict">>, <<"leaky.Order">>]}]} = orders(),
        ?assertMatch({match, _}, re:run(Path, "^leaky\\.cache\\['order [0-9]+'\\]$")),
        ?assertMatch({ok, [#{count := 100}]},
                     py_mem:referrers({leaky, 1}, 'leaky.Order', #{sample => 100}))
    end).

%% {What, code that keeps one Order, its path}
ways() ->
    [{"a list and a tuple", "a = [0, (1, leaky.Order())]", "__main__.a[1][1]"},
     {"a set", "a = {leaky.Order()}", "__main__.a{…}"},
     {"a dict's key", "a = {leaky.Order(): 1}", "__main__.a[a key]"},
     {"a key that is an object", "a = {leaky.Session: leaky.Order()}", "__main__.a[<type>]"},
     {"a deque", "a = collections.deque([1, leaky.Order()])", "__main__.a[1]"},
     {"an attribute", "a = leaky.Order(); a = leaky.Session(); a.other = leaky.Order()", "__main__.a.other"},
     {"an attribute of an odd name", "a = leaky.Session(); a.__dict__['x y'] = leaky.Order()", "__main__.a['x y']"},
     {"a slot", "a = leaky.Slotted(); a.kept = leaky.Order()", "__main__.a.kept"},
     {"a class", "class A: kept = [leaky.Order()]", "__main__.A.kept[0]"},
     {"a default", "def f(a=leaky.Order()): pass", "__main__.f.__defaults__[0]"},
     {"a closure", "def f(a): return lambda: a\ng = f(leaky.Order()); del f",
      "__main__.g.__closure__[0].cell_contents"},
     {"a method", "class A:\n    def m(self): pass\n    def __init__(self): self.o = leaky.Order()\na = A().m",
      "__main__.a.__self__.o"},
     {"a generator", "def f(a):\n    yield\n    return a\na = f(leaky.Order()); next(a); del f",
      "__main__.a.gi_frame.f_locals['a']"},
     {"a key that is long", "a = {'x' * 1000: leaky.Order()}",
      "__main__.a['" ++ lists:duplicate(32, $x) ++ "']"}].

through(Code, Path) ->
    leaky(fun() ->
        exec(unicode:characters_to_binary(Code)),
        {ok, [#{root := module, path := Found, count := 1}]} = orders(),
        ?assertEqual(Path, unicode:characters_to_list(Found))
    end).

exception() ->
    leaky(fun() ->
        exec(<<"leaky.kept_by_exception()">>),
        {ok, [#{root := module, path := Path, holders := Holders}]} = orders(),
        ?assertEqual(<<"leaky.errors[0].__traceback__.tb_frame.f_locals['order']">>, Path),
        ?assertEqual([<<"module">>, <<"list">>, <<"ValueError">>, <<"traceback">>, <<"frame">>,
                      <<"leaky.Order">>], Holders)
    end).

cycle() ->
    leaky(fun() ->
        exec(<<"leaky.in_cycle(1000)">>),
        ?assertMatch({ok, [#{root := cycle, path := <<"<leaky.Session>.other.other">>, count := 10}]},
                     py_mem:referrers(leaky, <<"leaky.Session">>)),
        {ok, _} = py:gc(leaky),
        ?assertEqual({ok, []}, py_mem:referrers(leaky, <<"leaky.Session">>))
    end).

held_cycle() ->
    leaky(fun() ->
        exec(<<"a, b = leaky.Order(), leaky.Order(); a.other, b.other = b, a; leaky.kept = [a]; del a, b">>),
        ?assertMatch({ok, [#{root := module, path := <<"leaky.kept[0]">>},
                           #{root := module, path := <<"leaky.kept[0].other">>}]}, orders())
    end).

%% The function of a call that runs until it is released.
waiting(Code, Fun) ->
    leaky(fun() ->
        File = filename:join(fixture:tmpdir(), "waiting"),
        exec(Code),
        Call = py:spawn_call('__main__', outer, [unicode:characters_to_binary(File)], #{},
                             #{pool => leaky, timeout => infinity}),
        fixture:wait_until(fun() -> filelib:is_file(File ++ ".started") end),
        Found = orders(),
        ok = file:write_file(File ++ ".go", <<>>),
        {ok, _} = py:await(Call),
        Fun(Found)
    end).

frame() ->
    waiting(<<"def outer(file):\n"
              "    orders = [leaky.Order()]\n"
              "    wedge.until(file)\n">>,
            fun({ok, [#{root := frame, path := Path, holders := [<<"list">>, <<"leaky.Order">>]}]}) ->
                ?assertEqual("<outer (<exec N>:3, MainThread)>.orders[0]", unnumbered(Path))
            end).

outer_frame() ->
    waiting(<<"def outer(file):\n"
              "    order = leaky.Order()\n"
              "    inner(file)\n"
              "def inner(file):\n"
              "    wedge.until(file)\n">>,
            fun({ok, [#{root := frame, path := Path}]}) ->
                ?assertEqual("<outer (<exec N>:3, MainThread)>.order", unnumbered(Path))
            end).

%% Each text that exec has run has a number.
unnumbered(Path) ->
    re:replace(Path, "<exec [0-9]+>", "<exec N>", [{return, list}]).

thread() ->
    waiting(<<"class Wrong(Exception): pass\n"
              "def fail():\n"
              "    wrong = Wrong()\n"
              "    wrong.order = leaky.Order()\n"
              "    raise wrong\n"
              "def outer(file):\n"
              "    try: fail()\n"
              "    except Wrong: wedge.until(file)\n">>,
            fun({ok, [#{root := thread, path := Path}]}) ->
                ?assertEqual(<<"<the exception of MainThread>.order">>, Path)
            end).

%% A reference from C that nobody sees.
unknown() ->
    leaky(fun() ->
        exec(<<"import ctypes\n"
               "order = leaky.Order()\n"
               "ctypes.pythonapi.Py_IncRef(ctypes.py_object(order))\n"
               "del order">>),
        ?assertMatch({ok, [#{root := unknown, path := <<"<leaky.Order>">>}]}, orders())
    end).

untracked() ->
    leaky(fun() ->
        exec(<<"import decimal\n"
               "numbers = {'one': (1, decimal.Decimal('1.5'))}">>),
        {ok, Rows} = py_mem:referrers(leaky, <<"decimal.Decimal">>, #{sample => 100}),
        ?assertMatch([_], [Row || #{path := <<"__main__.numbers['one'][1]">>} = Row <- Rows])
    end).

array() ->
    fixture:has_numpy() orelse tap:skip("numpy was not found"),
    leaky(fun() ->
        exec(<<"import numpy\nkept = [numpy.zeros(1000)[:3] for _ in range(500)]">>),
        %% Numpy has some by itself.
        {ok, Rows} = py_mem:referrers(leaky, <<"numpy.ndarray">>, #{sample => 100}),
        Own = [re:replace(Path, "[0-9]+", "N", [{return, list}])
               || #{path := <<"__main__", _/binary>> = Path, count := N} <- Rows, N > 10],
        ?assertEqual(["__main__.kept[N]", "__main__.kept[N].base"], lists:sort(Own))
    end).

several() ->
    leaky(fun() ->
        exec(<<"leaky.in_cache(3); a = [leaky.Order(), leaky.Order()]">>),
        {ok, [#{count := 3, path := <<"leaky.cache[", _/binary>>},
              #{count := 2, path := <<"__main__.a[", _/binary>>}]} = orders()
    end).

merged() ->
    leaky(2, fun() ->
        ok = py:exec_all(<<"leaky.in_cache(1000)">>, #{pool => leaky}),
        ?assertMatch({ok, [#{count := 20, workers := [1, 2]}]}, orders()),
        ?assertMatch({ok, [#{count := 10, workers := [2]}]},
                     py_mem:referrers({leaky, 2}, <<"leaky.Order">>)),
        ?assertMatch({ok, [{1, {ok, [#{count := 10}]}}, {2, {ok, [_]}}]},
                     py_mem:referrers({leaky, all}, <<"leaky.Order">>)),
        exec(<<"class Alone: pass\na = Alone()">>),
        ?assertMatch({ok, [#{count := 1, path := <<"__main__.a">>, workers := [_]}]},
                     py_mem:referrers(leaky, <<"__main__.Alone">>))
    end).

no_type() ->
    leaky(fun() ->
        ?assertEqual({error, {no_type, <<"leaky.Nothing">>}},
                     py_mem:referrers(leaky, <<"leaky.Nothing">>)),
        ?assertEqual({error, {no_type, <<"leaky.Nothing">>}},
                     py_mem:referrers({leaky, 1}, <<"leaky.Nothing">>)),
        ?assertEqual({error, {no_worker, {leaky, 2}}}, py_mem:referrers({leaky, 2}, <<"dict">>)),
        ?assertEqual({error, {no_pool, nowhere}}, py_mem:referrers(nowhere, <<"dict">>))
    end).

no_object() ->
    leaky(fun() -> ?assertEqual({ok, []}, orders()) end).

hostile() ->
    leaky(fun() ->
        exec(<<"class Meta(type):\n"
               "    def __getattribute__(cls, name): raise RuntimeError\n"
               "class Odd(list, metaclass=Meta):\n"
               "    def __getattribute__(self, name): raise RuntimeError\n"
               "    def __iter__(self): raise RuntimeError\n"
               "    def __eq__(self, other): raise RuntimeError\n"
               "    def __hash__(self): return 1\n"
               "a = {Odd([1, leaky.Order()]): 1}\n"
               "b = Odd(a)\n">>),
        ?assertMatch({ok, [#{root := module, path := <<"__main__.", _/binary>>}]}, orders()),
        ?assertMatch({ok, [#{root := module} | _]}, py_mem:referrers(leaky, <<"__main__.Odd">>))
    end).

released() ->
    leaky(fun() ->
        exec(<<"leaky.in_cache(10); leaky.kept_by_exception()">>),
        {ok, _} = orders(),
        exec(<<"leaky.cache.clear(); leaky.errors.clear()">>),
        ?assertEqual({ok, []}, orders())
    end).

many() ->
    leaky(fun() ->
        exec(<<"a = [[n] for n in range(1_000_000)]; a[-1].append(leaky.Order())">>),
        {ok, [#{path := <<"__main__.a[999999][1]">>}]} = orders(),
        %% Each of a million refers to it.
        exec(<<"o = leaky.Order(); b = [[o] for n in range(1_000_000)]; del o; a.clear()">>),
        {ok, [#{root := module, path := <<"__main__.b[", _/binary>>}]} = orders()
    end).

imports() ->
    leaky(fun() ->
        Known = <<"'erlang._holders' in __import__('sys').modules">>,
        ?assertEqual({ok, false}, py:eval(Known, #{}, #{pool => leaky})),
        {ok, _} = orders(),
        ?assertEqual({ok, true}, py:eval(Known, #{}, #{pool => leaky}))
    end).

wrong() ->
    [?assertError(badarg, py_mem:referrers(default, <<"dict">>, Options))
     || Options <- [[sample], #{sample => 0}, #{sample => 101}, #{other => 1}]],
    [?assertError(badarg, py_mem:referrers(default, Type)) || Type <- [1, {dict}, <<255>>]],
    ?assertError(badarg, py_mem:referrers({default, 0}, <<"dict">>)).
