#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Code and what it is given: locals, lists of pairs instead of maps, text that
%% is indented or begins with a byte order mark.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"exec has locals, which are gone afterwards", fun locals/0},
        {"locals hide names, which are back afterwards", fun hide/0},
        {"locals that the code changes or deletes", fun changed/0},
        {"locals are gone after an exception", fun exception/0},
        {"functions that exec with locals defines see later names", fun later/0},
        {"locals that are no names", fun no_names/0},
        {"keyword arguments as a list", fun kwargs/0},
        {"locals as a list", fun list_of_locals/0},
        {"options as a list", fun options/0},
        {"a pool's options as a list", fun pool_options/0},
        [{["indented: ", What], fun() -> indented(Code, Expected) end}
         || {What, Code, Expected} <- indented()],
        {"numbers of lines stay", fun lines/0},
        {"code that cannot be unindented", fun cannot/0},
        {"erlang is known from the start", fun erlang/0}
    ])).

locals() ->
    ok = py:exec("total = sum(rows)", #{rows => [1, 2]}, #{}),
    ?assertEqual({ok, {3, false}}, py:eval("(total, 'rows' in globals())")).

hide() ->
    ok = py:exec("x = 1"),
    ok = py:exec("y = x", #{x => 2}, #{}),
    ?assertEqual({ok, {1, 2}}, py:eval("(x, y)")).

changed() ->
    ok = py:exec("x, kept = 1, None"),
    ok = py:exec("kept = x\nx = 5\ndel gone", #{x => 2, gone => 3}, #{}),
    ?assertEqual({ok, {1, 2, false}}, py:eval("(x, kept, 'gone' in globals())")).

exception() ->
    ok = py:exec("x = 1"),
    ?assertEqual({error, {'ValueError', <<"2">>}},
                 py:exec("done = True\nraise ValueError(x)", #{x => 2, z => 3}, #{})),
    ?assertEqual({ok, {1, true, false}}, py:eval("(x, done, 'z' in globals())")).

later() ->
    ok = py:exec("def f(): return rate", #{unused => 1}, #{}),
    ok = py:exec("rate = 7"),
    ?assertEqual({ok, 7}, py:call('__main__', f, [])).

no_names() ->
    ?assertMatch({error, {badarg, <<"locals.keys()[0]", _/binary>>}},
                 py:exec("pass", #{1 => 2}, #{})),
    ?assertError(badarg, py:exec("pass", [x], #{})),
    ?assertError(badarg, py:exec("pass", 7, #{})).

kwargs() ->
    ?assertEqual({ok, #{<<"a">> => 1, <<"b">> => 3}},
                 py:call(builtins, dict, [], [{a, 1}, {a, 2}, {"b", 3}])),
    ?assertEqual({ok, #{}}, py:call(builtins, dict, [], [])),
    ?assertEqual({ok, [#{<<"a">> => 1}]}, py:parallel([{builtins, dict, [], [{a, 1}]}])),
    ?assertEqual({ok, [<<"a">>]}, py:stream(builtins, dict, [], [{a, 1}])).

list_of_locals() ->
    ?assertEqual({ok, 3}, py:eval("x + y", [{x, 1}, {<<"y">>, 2}])),
    ok = py:exec("z = x", [{x, 1}], []),
    ?assertEqual({ok, 1}, py:eval("z")).

options() ->
    ?assertEqual({ok, null}, py:eval("None", [], [{none, null}, {timeout, 30_000}])),
    ?assertEqual({error, timeout}, py:eval("__import__('time').sleep(9)", [], [{timeout, 100}])),
    ?assertMatch({ok, _}, py:gc(default, [{generation, 0}])),
    ?assertError(badarg, py:eval("None", [], [{nothing, null}])).

pool_options() ->
    {ok, _} = py:start_pool(listed, [{size, 1}, {env, [{"A", "b"}]}, {recycle, [{calls, 5}]}]),
    ?assertMatch(#{options := #{size := 1, recycle := #{calls := 5}}}, py:info(listed)),
    ?assertEqual({ok, <<"b">>}, py:eval("__import__('os').environ['A']", [], [{pool, listed}])),
    ok = py:stop_pool(listed),
    ?assertMatch({error, {badarg, _}}, py:start_pool(listed, [{recycle, [{calls, 0}]}])),
    ?assertMatch({error, {badarg, _}}, py:start_pool(listed, [size])).

%% {What, code, what `value` is then}
indented() ->
    [{"by blanks", "\n    def f(x):\n        return x\n\n    value = f(1)\n  ", 1},
     {"by tabs", "\tif True:\n\t\tvalue = 2\n", 2},
     {"with lines that are empty", "  value = 3\n\n   \n  value += 1", 4},
     {"a string of several lines", "  value = '''a\n    b\n  '''", <<"a\n  b\n">>},
     {"blanks in a string, where nothing is indented", "\nvalue = '''a\n   \n'''", <<"a\n   \n">>},
     {"blanks in a string", "  value = '''a\n    \n  '''", <<"a\n  \n">>},
     {"a comment in front", "    # why\n    value = 5", 5},
     {"a comment further in", "    # why\nvalue = 6", 6},
     {"a byte order mark", [16#feff, "value = 7"], 7},
     {"a byte order mark and blanks", [16#feff, "\n  value = 8"], 8},
     {"nothing but blanks", "  \n ", none}].

indented(Code, Expected) ->
    ok = py:exec("value = None"),
    ok = py:exec(Code),
    ?assertEqual({ok, Expected}, py:eval(" \n\t value")),
    ?assertEqual({ok, Expected}, py:eval([16#feff, "\n  (\nvalue\n)\n"])).

lines() ->
    Line = fun({error, {_, _, #{frames := Frames}}}) -> maps:get(line, lists:last(Frames)) end,
    Options = #{traceback => true},
    ?assertEqual(4, Line(py:exec("\n\n  x = 1\n  1 / 0\n", #{}, Options))),
    ?assertEqual(3, Line(py:eval("\n \n  1 / 0", #{}, Options))).

cannot() ->
    ?assertMatch({error, {'IndentationError', _}}, py:exec("  x = 1\n y = 2")),
    ?assertMatch({error, {'IndentationError', _}}, py:exec("x = 1\n  y = 2")),
    ?assertMatch({error, {'SyntaxError', _}}, py:exec([16#feff, 16#feff, "x = 1"])).

erlang() ->
    ?assertEqual({ok, ok}, py:eval("erlang.Atom('ok')")),
    {ok, _} = py:start_pool(early, #{size => 1, init => "early = erlang.Atom('ok')"}),
    ?assertEqual({ok, ok}, py:eval("early", #{}, #{pool => early})),
    ok = py:stop_pool(early).
