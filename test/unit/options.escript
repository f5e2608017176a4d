#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The two tables of options: what each option may be, and that README and the
%% types say the same. README's rows are printed anew by
%%
%%   ERL_LIBS=lib escript test/unit/options.escript rows
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").

main(["rows"]) ->
    io:setopts([{encoding, unicode}]),
    [io:format("~ts~n", [lists:join("\n", option_table:rows(Table)) ++ "\n"])
     || Table <- [py_options:table(), py_pool_options:table()
                  | [Keys || {_, _, Keys} <- option_table:maps(py_pool_options:table())]]];
main(_) ->
    tap:run([
        {"README has the options of a call", fun() ->
            readme("## Options of a call", py_options:table()) end},
        {"README has the options of a pool", fun() ->
            readme("## Pools", py_pool_options:table()) end},
        {"py:options() is the table's", fun() ->
            type(py, options, map_field_assoc, given, py_options:table()) end},
        {"py:pool_options() is the table's", fun() ->
            type(py, pool_options, map_field_assoc, given, py_pool_options:table()) end},
        {"py_pool_options:pool() is the table's", fun() ->
            type(py_pool_options, pool, map_field_exact, checked, py_pool_options:table()) end},
        [map(Map) || Map <- option_table:maps(py_pool_options:table())],
        [{io_lib:format("~p may be ~0tp", [Name, Value]), fun() ->
             ?assertEqual(Checked, pool(Name, Value)) end}
         || {Name, Value, Checked} <- right()],
        [{io_lib:format("~p may not be ~0tp", [Name, Value]), fun() ->
             {error, {badarg, {option, Name, Text}}} = py_pool_options:check(#{Name => Value}),
             ?assertEqual(match, re:run(Text, "must be .*, not |is no option", [{capture, none}])) end}
         || {Name, Value} <- wrong()],
        [{io_lib:format("~p is wrong in ~0tp", [Place, Map]), fun() ->
             ?assertMatch({wrong, Place, _}, py_option:check(map, Map, with_maps())) end}
         || {Place, Map} <- places()],
        {"a map is brought to its form key by key", fun in_form/0},
        {"a pool's options name the key that is wrong", fun wrong_key/0},
        {"what comes of code and environment is not shown", fun nothing_secret/0},
        {"the beginning of a wrong value is shown", fun came/0},
        {"a pool's options are completed", fun completed/0},
        {"what is no map is no pool's options", fun no_map/0},
        {"what set_memory may be given is said", fun limits/0},
        {"each kind of value has words for errors", fun words/0},
        [environment(Row) || Row <- environments()],
        {"each option of a call", fun call/0},
        {"a context as an option", fun context/0},
        [misuse(Row) || Row <- misuses()]
    ]).

readme(Heading, Table) ->
    Page = filename:join(os:getenv("top_srcdir", "."), "README.md"),
    ?assertEqual(option_table:rows(Table), option_table:readme_rows(Page, Heading)).

%% An option that is a map has a table and types of its own.
map({Option, Type, Keys}) ->
    [{io_lib:format("README has the keys of ~s", [Option]), fun() ->
         readme(lists:flatten(io_lib:format("### `~s`", [Option])), Keys) end},
     {io_lib:format("py:~s() is the table's", [Type]), fun() ->
         type(py, Type, map_field_assoc, given, Keys) end},
     {io_lib:format("py_pool_options:~s() is the table's", [Type]), fun() ->
         type(py_pool_options, Type, map_field_assoc, checked, Keys) end}].

type(Module, Type, How, Form, Table) ->
    ?assertEqual(option_table:types(Form, Table), option_table:declared(Module, Type, How)).

%% ---------------------------------------------------------------------------
%% Pools

pool(Name, Value) ->
    {ok, #{Name := Checked}} = py_pool_options:check(#{Name => Value}),
    Checked.

%% {an option, a value that it may have, the form that this is brought to}
right() ->
    [{size, 1, 1}, {size, 10_000, 10_000},
     {python_path, [], []}, {python_path, "/a", [<<"/a">>]}, {python_path, <<"/a">>, [<<"/a">>]},
     {python_path, ["/a", <<"/ü"/utf8>>], [<<"/a">>, <<"/ü"/utf8>>]},
     {venv, "/ü", <<"/ü"/utf8>>}, {cwd, ["/a", <<"/b">>], <<"/a/b">>},
     {env, #{'A' => "x", "B" => false}, [{"A", "x"}, {"B", false}]},
     {env, [{<<"Ü"/utf8>>, <<"ü"/utf8>>}], [{"Ü", "ü"}]},
     {env, [clear], [clear]}, {env, [clear, {'A', "x"}, {clear, "y"}], [clear, {"A", "x"}, {"clear", "y"}]},
     {init, "a = 1", [<<"a = 1">>]}, {init, ["a", <<"b">>], [<<"a">>, <<"b">>]},
     {init, [<<"a\0">>], [<<"a\0">>]},
     {start_timeout, 0, 0}, {drain, ?LONGEST, ?LONGEST},
     {timeout, infinity, infinity}, {queue_timeout, ?LONGEST, ?LONGEST},
     {contexts, 1, 1}, {contexts, infinity, infinity}, {handles, 1, 1},
     {max_queue, 0, 0}, {max_queue, 1 bsl 70, 1 bsl 70},
     {max_frame, 65_536, 65_536}, {max_frame, 16#7fffffff, 16#7fffffff}, {logs, false, false},
     {send, pids, pids}, {send, all, all}, {send, [], []}, {send, [a, 'B c'], [a, 'B c']},
     {send_limit, 1, 1}, {send_limit, infinity, infinity},
     {profile, true, true}, {profile, #{}, #{}}, {profile, #{rate => 64}, #{rate => 64}},
     {trim, never, never}, {trim, [], []},
     {trim, [idle, {after_growth, 1}, {every, ?LONGEST}],
      [idle, {after_growth, 1}, {every, ?LONGEST}]}].

wrong() ->
    [{profile, yes}, {profile, [rate]}, {sise, 2}, {size, 0}, {size, 10_001}, {size, 2.0}, {timeout, -1}, {timeout, ?LONGEST + 1},
     {timeout, forever}, {drain, infinity}, {python_path, 7}, {python_path, ["a\0b"]},
     {python_path, [a]}, {venv, undefined}, {venv, <<255>>}, {cwd, "a\0b"}, {env, 7}, {env, [7]},
     {env, [{"A=B", "x"}]}, {env, [{"", "x"}]}, {env, [{"A", 7}]}, {env, [{"A", "x"}, clear | []]}, {env, clear}, {init, 7},
     {init, [<<255>>]}, {contexts, 0}, {handles, 0}, {max_queue, -1}, {max_frame, 65_535}, {max_frame, 1 bsl 31},
     {logs, yes}, {send, none}, {send, ["a"]}, {send, [a | b]}, {send, <<"a">>},
     {send_limit, 0}, {send_limit, forever},
     {trim, idle}, {trim, [always]}, {trim, [{after_growth, 0}]}, {trim, [{every, 0}]},
     {trim, [{every, infinity}]}, {trim, [idle | never]}].

%% Tables of maps, one in the other.
with_maps() ->
    Inner = [{a, {integer, 1, 9}, ""}, {b, directory, ""}],
    [{map, {map, outer, [{size, {limit, 0}, ""}, {inner, {map, inner, Inner}, ""}]}, #{}, ""}].

places() ->
    [{map, 7}, {map, [size]}, {map, [{size, 1} | x]}, {{map, size}, [{size, -1}]},
     {{map, sise}, #{sise => 1}}, {{map, size}, #{size => -1}}, {{map, "size"}, #{"size" => 1}},
     {{map, inner}, #{size => 1, inner => 7}}, {{map, {inner, a}}, [{inner, [{a, 0}]}]},
     {{map, {inner, a}}, #{size => infinity, inner => #{a => 0, b => "/"}}}].

in_form() ->
    ?assertEqual({ok, #{}}, py_option:check(map, #{}, with_maps())),
    ?assertEqual({ok, #{size => 0, inner => #{b => <<"/x">>}}},
                 py_option:check(map, #{size => 0, inner => #{b => "/x"}}, with_maps())),
    ?assertEqual({ok, #{size => 0, inner => #{b => <<"/x">>}}},
                 py_option:check(map, [{size, 0}, {inner, [{b, "/x"}]}, {size, 1}], with_maps())),
    ?assertMatch({ok, #{size := 2}}, py_pool_options:check([{size, 2}])).

wrong_key() ->
    {error, {badarg, {option, {memory, heep}, <<"heep is no option here; there are: heap, ", _/binary>>}}} =
        py_pool_options:check(#{memory => #{heep => 1}}),
    ?assertEqual({error, {badarg, {option, {memory, oom_score_adj},
                                   <<"oom_score_adj must be an integer from -1000 to 1000, not 1001">>}}},
                 py_pool_options:check(#{memory => #{oom_score_adj => 1001}})).

%% What is in code and in the environment is not shown.
nothing_secret() ->
    [begin
         {error, {badarg, {option, Name, Text}}} = py_pool_options:check(#{Name => Value}),
         ?assertEqual({Name, nomatch}, {Name, string:find(Text, "hush")})
     end || {Name, Value} <- [{init, [<<"hush">>, {7}]}, {init, {"hush"}}, {env, [{"A", {"hush"}}]},
                              {env, #{"A" => {"hush"}}}]],
    [?assertMatch({Env, {error, {badarg, {option, env, <<"env must be a map or a list of pairs, which may begin "
                                                         "with clear, of names without = and texts or false, not this ",
                                                         Came/binary>>}}}},
                  {Env, py_pool_options:check(#{env => Env})})
     || {Env, Came} <- [{7, <<"number">>}, {#{"A" => "x", "B" => {"hush"}}, <<"map (see \"B\")">>},
                        {[clear, {'Ü', hush}, {"C", [a]}], <<"list (see \"C\")">>},
                        {[{"A=hush", "x"}], <<"list (see \"A\")">>}, {["A=hush"], <<"list">>}]],
    {error, {badarg, {options, Text}}} = py_pool_options:check([{env, [{"A", "hush"}]}, hush]),
    ?assertEqual(<<"a pool's options must be a map or a list of pairs, not this list">>, Text).

%% A long value is cut.
came() ->
    {wrong, size, Text} = py_option:check(size, lists:seq(1, 10_000), py_pool_options:table()),
    ?assert(byte_size(Text) < 150),
    ?assertMatch(<<"size must be an integer from 1 to 10000, not [1,2,3,", _/binary>>, Text).

completed() ->
    {ok, Pool} = py_pool_options:check(#{timeout => 5}),
    ?assertEqual(lists:sort([Name || {Name, _, _, _} <- py_pool_options:table()]),
                 lists:sort(maps:keys(Pool))),
    ?assertMatch(#{timeout := 5, size := _, venv := undefined, init := [], logs := true,
                   queue_timeout := infinity, max_frame := 268435456}, Pool),
    ?assertEqual(erlang:system_info(schedulers_online), maps:get(size, Pool)).

no_map() ->
    [?assertMatch({error, {badarg, {options, <<"a pool's options must be a map or a list of pairs, not ", _/binary>>}}},
                  py_pool_options:check(Given))
     || Given <- [[size], [{size, 1, 2}], [{size, 1} | x], size, 7]].

limits() ->
    [?assertEqual({error, Text}, py_pool_options:limits(Limits))
     || {Limits, Text} <- [{#{rss => 0}, <<"rss must be an integer of at least 1, or infinity, not 0">>},
                           {#{budget => {percent, 101}},
                            <<"budget must be bytes, {percent, 1..100} or infinity, not {percent,101}">>}]],
    {error, <<"heep is no option here; there are: heap, ", _/binary>>} =
        py_pool_options:limits(#{heep => 1}),
    {error, <<"memory must be a map (which may have heap, ", _/binary>>} = py_pool_options:limits(7).

%% Nothing may be a reference.
words() ->
    [{wrong, _, <<_, _/binary>>} = py_option:check(element(1, Row), make_ref(), Table)
     || Table <- [py_options:table(), py_pool_options:table()], Row <- Table].

%% {What, the application's environment, the pools and their sizes, or the error}
environments() ->
    [{"the default pool alone", [{size, 3}], #{default => 3}},
     {"further pools", [{size, 3}, {pools, #{a => #{size => 1}}}], #{default => 3, a => 1}},
     {"what OTP puts there", [{size, 3}, {included_applications, []}], #{default => 3}},
     {"no default pool", [{size, 0}, {pools, #{a => #{size => 1}}}], #{a => 1}},
     {"no default pool, but its options are wrong", [{size, 0}, {timeout, a}],
      {option, timeout, <<"timeout must be milliseconds or infinity, not a">>}},
     {"no pool at all", [{size, 0}], #{}},
     {"lists for maps", [{size, 3}, {pools, [{a, [{size, 1}]}, {b, #{size => 2}}]}],
      #{default => 3, a => 1, b => 2}},
     {"a wrong option", [{size, -1}],
      {option, size, <<"size must be an integer from 1 to 10000, not -1">>}},
     {"a wrong option of a further pool", [{pools, #{a => #{size => 0}}}],
      {pool, a, {option, size, <<"size must be an integer from 1 to 10000, not 0">>}}},
     {"a default pool among the others", [{pools, #{default => #{}}}],
      {option, pools, <<"pools must not have default: its options stand beside pools">>}},
     {"a pool whose name is no atom", [{pools, #{"a" => #{}}}],
      {option, pools, <<"pools must have atoms for names, not \"a\"">>}},
     {"pools that are no map", [{pools, [a]}],
      {option, pools, <<"pools must be a map or a list of pairs, not this list">>}},
     {"options that are no map", [{pools, [{a, 1}]}],
      {pool, a, {options, <<"a pool's options must be a map or a list of pairs, not this number">>}}}].

environment({What, Env, Expected}) ->
    {["the environment: ", What], fun() ->
        case py_pool_options:environment(Env) of
            {ok, Pools} ->
                ?assertEqual(Expected, maps:map(fun(_, #{size := Size}) -> Size end, Pools));
            {error, {badarg, Reason}} ->
                ?assertEqual(Expected, Reason)
        end
    end}.

%% ---------------------------------------------------------------------------
%% Calls

%% A record, because a script cannot see it by name: {opts, Pool, Timeout, Recycle, Keep, Wire, Said}.
call() ->
    ?assertEqual({opts, default, default, true, false, #{}, false}, py_options:call(#{})),
    ?assertEqual({opts, default, 7, true, false, #{}, false}, py_options:call(7)),
    ?assertEqual({opts, default, infinity, true, false, #{}, false}, py_options:call(infinity)),
    [?assertEqual({opts, Target, default, true, false, #{}, true}, py_options:single(#{pool => Target}))
     || Target <- [pdf, {pdf, 2}]],
    ?assertEqual({opts, {pdf, all}, default, true, false, #{}, true}, py_options:call(#{pool => {pdf, all}})),
    Wire = #{traceback => true, none => null, binaries => bytes, arrays => binary,
             tags => true, frames => columns, capture => true, bill => true, chunk => 1_000_000,
             filename => <<"x.py">>, line => 7,
             traceparent => <<"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01">>},
    Options = Wire#{pool => pdf, timeout => ?LONGEST, recycle => false, return => handle},
    ?assertEqual({opts, pdf, ?LONGEST, false, true, Wire, true}, py_options:call(Options)),
    ?assertEqual({opts, pdf, ?LONGEST, false, true, Wire, true}, py_options:call(maps:to_list(Options))),
    ?assertEqual(py_options:call(#{}), py_options:call(#{return => value})),
    ?assertEqual(lists:sort([Name || {Name, _, _, _} <- py_options:table()]),
                 lists:sort([context, deliver | maps:keys(Options)])),
    ?assertEqual({message, {opts, pdf, 5, true, false, #{chunk => 3}, true}},
                 py_options:opening(#{pool => pdf, timeout => 5, chunk => 3, deliver => message})),
    ?assertEqual({pull, {opts, default, 7, true, false, #{}, false}}, py_options:opening(7)).

%% It says which worker, and its number goes to the program.
context() ->
    Pool = #pool{name = pdf, size = 1, table = make_ref(), load = make_ref(), timeout = 1, max_frame = 1,
                 interrupt_grace = 0, close_grace = 0, drain = 0},
    Context = #py_context{pool = Pool, worker = self(), id = 7, owner = self()},
    ?assertEqual({opts, Context, 5, true, false, #{context => 7}, false},
                 py_options:call(#{context => Context, timeout => 5})),
    ?assertEqual({opts, Context, default, true, false, #{context => 7}, true},
                 py_options:call(#{context => Context, pool => pdf})),
    [?assertEqual({opts, {context, In, cart}, default, true, false, #{context => cart}, Said},
                  py_options:call(maps:merge(#{context => cart}, More)))
     || {In, Said, More} <- [{default, false, #{}}, {pdf, true, #{pool => pdf}}]],
    ?assertEqual(pdf, py_target:pool(Context)),
    [?assertError(badarg, py_options:call(#{context => Wrong}))
     || Wrong <- [7, "cart", self(), setelement(1, Context, py_stream)]],
    [?assertError(badarg, Check(#{context => Context}))
     || Check <- [fun py_options:spread/1, fun py_options:plain/1, fun py_options:context/1]],
    [?assertError(badarg, py_options:call(#{context => Wrong, pool => Other}))
     || {Wrong, Other} <- [{Context, default}, {Context, {pdf, 1}}, {cart, {pdf, 1}}]].

%% {the check, what it is given, what is said about it}
misuses() ->
    Call = fun py_options:call/1,
    [{Call, -1, "the options must be milliseconds, infinity, a map or a list of pairs, not -1"},
     {Call, [traceback],
      "the options must be milliseconds, infinity, a map or a list of pairs, not [traceback]"},
     {Call, ?LONGEST + 1,
      "the options must be milliseconds, infinity, a map or a list of pairs, not 4294967296"},
     {Call, #{timeout => -1}, "timeout must be milliseconds or infinity, not -1"},
     [{Call, #{pool => Wrong}, "pool must be a pool's name, {Pool, Id} or {Pool, all}, not " ++ Shown}
      || {Wrong, Shown} <- [{"pdf", "\"pdf\""}, {{pdf, 0}, "{pdf,0}"}, {{pdf, any}, "{pdf,any}"},
                            {{"pdf", 1}, "{\"pdf\",1}"}, {{pdf, 1, 2}, "{pdf,1,2}"}]],
     [{Check, #{pool => {pdf, all}}, "pool must be a pool's name or {Pool, Id} here"}
      || Check <- [fun py_options:single/1, fun py_options:uncaptured/1]],
     [{Check, #{pool => {pdf, 1}}, "pool must be a pool's name here"}
      || Check <- [fun py_options:spread/1, fun py_options:plain/1]],
     [{Call, #{Name => Value}, Text}
      || {Name, Value, Text} <- [{traceback, yes, "traceback must be true or false, not yes"},
                                 {none, 7, "none must be an atom, not 7"},
                                 {binaries, list, "binaries must be str or bytes, not list"},
                                 {chunk, 0, "chunk must be an integer from 1 to 1000000, not 0"},
                                 {filename, <<>>, "filename must be a text that is not empty and has no "
                                                  "NUL (a binary or a string), not <<>>"},
                                 {line, 0, "line must be an integer from 1 to 1000000, not 0"},
                                 {chink, 1, "chink is no option here; there are: timeout, pool, "
                                            "traceback, none, binaries, arrays, context, filename, line, tags, frames, "
                                            "capture, bill, return, recycle, traceparent, chunk; locals and keyword "
                                            "arguments come before the options"}]],
     {fun py_args:top/1, size, "the order must be memory, time or calls, not size"},
     {fun py_profile_sites:stacks/1, x, "the argument must be a profile or a snapshot, not x"},
     {fun py_target:check/1, #{}, "the target must be a pool's name, {Pool, Id} or {Pool, all}, not #{}"},
     [{Check, Given, "capture is no option here; there are: timeout, pool, traceback, none, binaries, "
                     "arrays, context, filename, line, tags, frames, " ++ More ++ "recycle, traceparent, chunk"}
      || {Check, More} <- [{fun py_options:uncaptured/1, ""}, {fun py_options:spread/1, "return, "}],
         Given <- [#{capture => false}, [{capture, false}]]],
     {fun py_options:statement/1, #{return => handle},
      "return is no option here; there are: timeout, pool, traceback, none, binaries, arrays, context, "
      "filename, line, tags, frames, capture, bill, recycle, traceparent, chunk"},
     {Call, #{return => both}, "return must be value or handle, not both"},
     [{fun py_options:plain/1, #{Name => Value}, atom_to_list(Name) ++ " is no option here; there are: timeout, pool"}
      || {Name, Value} <- [{none, null}, {recycle, false}, {chunk, 1}, {bill, true}, {x, 1}]],
     [{fun py_args:memory_stats/1, #{Name => yes}, Text}
      || {Name, Text} <- [{detail, "detail must be true or false, not yes"},
                          {details, "details is no option here; there are: detail"}]],
     {fun py_args:gc_threshold/1, {700, 10},
      "the thresholds must be {N0, N1, N2}, numbers of objects below 2 to the power of 31, "
      "not {700,10}"},
     [{fun(Kwargs) -> py_args:call(math, sqrt, [4], Kwargs) end, Given,
       "the keyword arguments must be a map or a list of pairs, not " ++ Shown ++
           "; options, or a timeout, are the argument after them"}
      || {Given, Shown} <- [{1000, "1000"}, {infinity, "infinity"}]],
     {fun(Locals) -> py_args:eval("1", Locals) end, 1000,
      "the locals must be a map or a list of pairs, not 1000; options, or a timeout, are the "
      "argument after them"},
     {fun py_args:calls/1, [{math, sqrt}],
      "a call must be {Module, Function, Args} or {Module, Function, Args, Kwargs}, not {math,sqrt}"},
     {fun py_options:timeout/1, #{}, "a timeout must be milliseconds or infinity, not #{}"},
     {fun py_options:text/1, 7, "a text must be a binary or a string, not 7"},
     {fun py_options:text/1, [<<255>>], "a text must be UTF-8, or a list of code points"}].

misuse(Rows) when is_list(Rows) ->
    [misuse(Row) || Row <- Rows];
misuse({Check, Given, Text}) ->
    {io_lib:format("~ts: ~0tp", [Text, Given]), fun() ->
        try Check(Given) of
            Result -> error({accepted, Result})
        catch
            error:badarg:Stack ->
                ?assertEqual(#{general => list_to_binary(Text)},
                             py_options:format_error(badarg, Stack))
        end
    end}.
