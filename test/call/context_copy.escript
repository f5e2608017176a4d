#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What is in a context, copies of it, and what closing it does to that.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => <<"import misbehave">>}, [
        {"a copy has the names, for the same objects", fun copied/0},
        {"its functions see its own names", fun copied_functions/0},
        {"what means its context means the copy there", fun copied_context/0},
        {"a copy outlives what it was copied from", fun copy_outlives/0},
        {"a copy of what is not there", fun copied_nothing/0},
        {"copies leave nothing", fun copies_leave_nothing/0},
        {"the last one that is closed drops the names", fun last_close_drops/0},
        {"a finalizer sees the names that were there before its object", fun finalizer/0},
        {"a stream that is open goes on, without the names", fun closed_stream/0},
        {"in a function that Python calls", fun in_callback/0},
        {"what is in a context, and how large it is", fun vars/0},
        {"what has an odd size or class", fun odd_vars/0},
        {"what becomes larger while it is measured", fun growing_vars/0}
    ])).

in(Context) -> #{context => Context}.

opened() ->
    {ok, Context} = py_context:open(),
    Context.

eval(Code, Context) -> py:eval(Code, #{}, in(Context)).

os_pid(Context) ->
    {ok, OsPid} = eval(<<"__import__('os').getpid()">>, Context),
    OsPid.

%% How many contexts each worker's program has.
open_contexts() ->
    Count = <<"import gc, sys, types\n"
              "left = sum(type(o) is types.ModuleType and o.__name__ == '__main__'\n"
              "           for o in gc.get_objects()) - 1">>,
    {ok, Oks} = py:exec(Count, #{pool => {default, all}}),
    true = lists:all(fun({_, Result}) -> Result =:= ok end, Oks),
    {ok, Counts} = py:eval(<<"left">>, #{}, #{pool => {default, all}}),
    lists:sum([N || {_, {ok, N}} <- Counts]).

all_back() ->
    fixture:wait_until(fun() ->
        lists:all(fun(Id) -> py:eval(<<"1">>, #{}, #{pool => {default, Id}}) =:= {ok, 1} end, [1, 2])
    end).

base() ->
    C = opened(),
    ok = py:exec(<<"x = 'base'\nitems = []\n"
                   "def get(a=1, *, b=2): return x, a, b\n"
                   "get.mark, same = 'mark', get\n"
                   "def outer():\n    n = 0\n    def inner(): return x, n\n    return inner\n"
                   "closure = outer()\nclass A:\n    def get(self): return x">>, in(C)),
    C.

copy(C) ->
    {ok, Copy} = py_context:open(#{from => C}),
    Copy.

copied() ->
    A = base(),
    B = copy(A),
    ?assertEqual(os_pid(A), os_pid(B)),
    ok = py:exec(<<"items.append(1)\nx = 'copy'\nonly_here = 1">>, in(B)),
    ?assertEqual({ok, {<<"base">>, [1]}}, eval(<<"(x, items)">>, A)),
    ?assertMatch({error, {'NameError', _}}, eval(<<"only_here">>, A)),
    ?assertEqual({ok, <<"copy">>}, eval(<<"__import__('__main__', globals()).x">>, B)),
    [py_context:close(C) || C <- [A, B]].

copied_functions() ->
    A = base(),
    B = copy(A),
    ok = py:exec(<<"x = 'copy'">>, in(B)),
    Seen = <<"(get(5), get(b=3), get.mark, same is get, get.__qualname__, closure(), A().get())">>,
    ?assertEqual({ok, {{<<"copy">>, 5, 2}, {<<"copy">>, 1, 3}, <<"mark">>, true, <<"get">>,
                       {<<"copy">>, 0}, <<"base">>}}, eval(Seen, B)),
    ?assertEqual({ok, {<<"copy">>, 1, 2}}, py:call('__main__', get, [], #{}, in(B))),
    ?assertEqual({ok, {<<"base">>, 1, 2}}, py:call('__main__', get, [], #{}, in(A))),
    [py_context:close(C) || C <- [A, B]].

copied_context() ->
    A = opened(),
    ok = py:exec(<<"import __main__, functools, json\nx: int = 1\n"
                   "def get(): return __main__.x\n"
                   "@functools.wraps(json.dumps)\ndef dumps(*args): return x">>, in(A)),
    B = copy(A),
    ok = py:exec(<<"x = 2\ny: str = 'two'">>, in(B)),
    Seen = <<"(get(), dumps(), dumps.__module__, sorted(__annotations__))">>,
    ?assertEqual([{ok, {1, 1, <<"json">>, [<<"x">>]}}, {ok, {2, 2, <<"json">>, [<<"x">>, <<"y">>]}}],
                 [eval(Seen, C) || C <- [A, B]]),
    [py_context:close(C) || C <- [A, B]].

copy_outlives() ->
    A = base(),
    B = copy(A),
    ok = py_context:close(A),
    ?assertEqual({ok, {<<"base">>, {<<"base">>, 1, 2}}}, eval(<<"(A().get(), get())">>, B)),
    C = copy(B),
    ok = py_context:close(B),
    ?assertEqual({ok, {<<"base">>, {<<"base">>, 1, 2}}}, eval(<<"(A().get(), get())">>, C)),
    py_context:close(C).

copied_nothing() ->
    A = opened(),
    ok = py_context:close(A),
    ?assertMatch({error, {badarg, _}}, py_context:open(#{from => A})),
    B = opened(),
    {error, _} = eval(<<"__import__('os')._exit(3)">>, B),
    ?assertEqual({error, {worker_exit, {status, 3}}}, py_context:open(#{from => B})),
    all_back().

copies_leave_nothing() ->
    Before = open_contexts(),
    [begin
         A = base(),
         Copies = [copy(A) || _ <- lists:seq(1, 5)],
         [py_context:close(C) || C <- [A | Copies]]
     end || _ <- lists:seq(1, 20)],
    {ok, _} = py:gc(),
    ?assertEqual(Before, open_contexts()).

%% In whatever order a context, its copies and their copies are closed; without help of
%% the collector.
last_close_drops() ->
    On = #{pool => {default, 1}},
    [begin
         {ok, A} = py_context:open(On),
         ok = py:exec(<<"import gc, sys, weakref\ngc.disable()\nclass Kept: pass\nkept = Kept()\n"
                        "sys.kept = weakref.ref(kept)\ndef get(): return kept\n"
                        "class A:\n    def get(self): return kept">>, in(A)),
         B = copy(A),
         Opened = [A, B, copy(A), copy(B)],
         Order = [lists:nth(N, Opened) || N <- Ns],
         [begin
              ?assertEqual({ok, true}, eval(<<"A().get() is get() is __import__('sys').kept()">>, C)),
              py_context:close(C)
          end || C <- Order],
         ?assertEqual({Ns, {ok, none}},
                      {Ns, py:eval(<<"(__import__('gc').enable(), __import__('sys').kept())[1]">>, #{}, On)})
     end || Ns <- [[1, 2, 3, 4], [4, 3, 2, 1], [2, 1, 4, 3], [3, 2, 1, 4], [2, 4, 3, 1]]].

finalizer() ->
    {ok, C} = py_context:open(#{pool => {default, 1}}),
    ok = py:exec(<<"import misbehave\nword = 'seen'\nclass A:\n    def __del__(self):\n"
                   "        global late\n        late = misbehave.last = (word, A.__name__, len(word))\n"
                   "it, later = A(), 1">>, in(C)),
    ok = py_context:close(C),
    ?assertEqual({ok, {<<"seen">>, <<"A">>, 4}},
                 py:eval(<<"misbehave.last">>, #{}, #{pool => {default, 1}})).

closed_stream() ->
    C = opened(),
    ok = py:exec(<<"n = 1\ndef each():\n    while True: yield n">>, in(C)),
    {ok, Stream} = py:stream_open({'__main__', each, []}, (in(C))#{chunk => 1}),
    ok = py_context:close(C),
    ?assertMatch({error, {'NameError', _}}, last(Stream)).

last(Stream) ->
    case py:stream_next(Stream) of
        {ok, [1]} -> last(Stream);
        Last -> Last
    end.

in_callback() ->
    {ok, A} = py_context:open(#{pool => {default, 1}}),
    {ok, B} = py_context:open(#{pool => {default, 2}}),
    [ok = py:exec(<<"x = 7">>, in(C)) || C <- [A, B]],
    Self = self(),
    ok = py:register_function(look, fun() ->
        Opened = [py_context:open(Options) || Options <- [#{}, #{pool => {default, 1}}, #{from => A},
                                                          #{from => B}]],
        Self ! {[eval(<<"x">>, C) || C <- [A, B]], [element(1, Result) || Result <- Opened]},
        ok
    end),
    {ok, _} = eval(<<"erlang.call('look')">>, A),
    receive Seen -> ?assertEqual({[{ok, 7}, {ok, 7}], [ok, ok, ok, ok]}, Seen) end,
    ok = py:unregister_function(look),
    [py_context:close(C) || C <- [A, B]].

vars() ->
    C = opened(),
    ?assertEqual({ok, []}, py_context:vars(C)),
    ok = py:exec(<<"text = 'x' * 1000\nrows = [{'a': 'y' * 5000}] * 100\nn = 1\nimport os\n"
                   "def f(): pass">>, in(C)),
    {ok, Vars} = py_context:vars(C),
    ?assertEqual([<<"rows">>, <<"text">>], [Name || #{name := Name, bytes := N} <- Vars, N > 1_000]),
    ?assertEqual(lists:sort([{<<"f">>, <<"function">>}, {<<"n">>, <<"int">>}, {<<"os">>, <<"module">>},
                             {<<"rows">>, <<"list">>}, {<<"text">>, <<"str">>}]),
                 lists:sort([{Name, Type} || #{name := Name, type := Type} <- Vars])),
    %% The same dict a hundred times counts once.
    [#{bytes := Rows}] = [Var || #{name := <<"rows">>} = Var <- Vars],
    ?assert(Rows > 5_000 andalso Rows < 10_000),
    ok = py_context:close(C),
    ?assertMatch({error, {badarg, _}}, py_context:vars(C)).

odd_vars() ->
    C = opened(),
    ok = py:exec(<<"class Odd(list):\n    def __sizeof__(self): raise ValueError\n"
                   "odd = Odd()\nnested = []\nnested.append(nested)\nmany = list(range(300_000))\n"
                   "__hidden = 1\nglobals()[7] = 8\ndel erlang">>, in(C)),
    {ok, Vars} = py_context:vars(C),
    ?assertEqual([<<"Odd">>, <<"many">>, <<"nested">>, <<"odd">>],
                 lists:sort([Name || #{name := Name} <- Vars])),
    ?assertMatch([#{type := <<"__main__.Odd">>, bytes := 0}],
                 [Var || #{name := <<"odd">>} = Var <- Vars]),
    py_context:close(C).

growing_vars() ->
    C = opened(),
    ok = py:exec(<<"class Grows:\n    def __sizeof__(self):\n        grown[len(grown)] = 0\n"
                   "        return 100\ngrown = {0: Grows(), 1: 1}">>, in(C)),
    {ok, Vars} = py_context:vars(C),
    ?assertMatch([N] when N >= 100, [N || #{name := <<"grown">>, bytes := N} <- Vars]),
    py_context:close(C).
