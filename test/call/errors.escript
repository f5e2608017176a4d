#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Errors: Python's exceptions as values, their tracebacks on request, names
%% that lead nowhere, and misuse of the API.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([{"the application is not started", fun not_started/0} | fixture:with_app(#{init => <<"import raiser">>}, [
        [raised(Row) || Row <- exceptions()],
        [misused(Row) || Row <- misuses()],
        [nowhere(Row) || Row <- names()],
        {"without the option there is no traceback", fun no_traceback/0},
        {"a traceback's frames, outermost first", fun frames/0},
        {"a statement given to eval", fun statements/0},
        [hinted(Row) || Row <- hints()],
        {"a string as a key says what a key can be", fun wrong_key/0},
        {"a module that is where the worker runs, and not in sys.path", fun here/0},
        {"options that may have been taken for keyword arguments", fun hinted_options/0},
        {"a traceback names the exception's module", fun qualified_type/0},
        {"formatted is what Python would print", fun formatted/0},
        {"the cause of an exception", fun cause/0},
        {"the context of an exception", fun context/0},
        {"a hidden context", fun suppressed/0},
        {"a circular chain, and a very long one", fun chains_end/0},
        {"notes", fun notes/0},
        {"what an exception was made with", fun arguments/0},
        {"attributes of exceptions that are built-in", fun known_attributes/0},
        {"attributes of a program's own exceptions", fun own_attributes/0},
        {"attributes that are large, deep, circular or play tricks", fun odd_attributes/0},
        {"an exception whose attributes all fail", fun hostile/0},
        {"an exception group", fun group/0},
        {"the position of a syntax error", fun syntax_position/0},
        {"a deep recursion is an error, with a traceback of sane size", fun recursion/0},
        {"the classes of a program's own exceptions are atoms, a bounded number",
         fun own_classes/0},
        {"expected failures log nothing", fun logs_stay_clean/0},
        {"a worker that raised goes on", fun same_workers/0}
    ])]).

not_started() ->
    Calls = [fun() -> py:eval(<<"1">>) end, fun() -> py:call(math, sqrt, [4]) end,
             fun() -> py:exec(<<"1">>) end, fun() -> py:exec_all(<<"1">>) end,
             fun() -> py:stream_eval(<<"[]">>) end, fun() -> py:parallel([{math, sqrt, [4]}]) end,
             fun() -> py:await(py:spawn_call(math, sqrt, [4])) end, fun py:memory_stats/0,
             fun py:gc/0, fun py:info/0, fun py:version/0, fun py:restart_workers/0,
             fun() -> py:stack(1) end, fun() -> py:start_pool(p, #{}) end,
             fun() -> py:stop_pool(p) end],
    [?assertEqual({error, {not_started, py}}, Call()) || Call <- Calls].

%% ---------------------------------------------------------------------------
%% Exceptions

%% {What, the call, what is said behind Python's own words; nothing where it would
%% not help}
hints() ->
    Behind = <<"the options of a call, such as timeout, come after its keyword arguments">>,
    Bytes = <<"a binary arrives as str: send {bytes, Binary}, or see the option binaries">>,
    Float = fun(Name) -> <<"the atom ", Name/binary, " is no float: send {float, ", Name/binary, "}">> end,
    Text = fun(Where) -> <<Where/binary, " may be an Erlang string: send text as a binary">> end,
    [{"options in the place of keyword arguments",
      fun() -> py:call(math, sqrt, [4], #{timeout => 100}) end, Behind},
     {"the same, of a function with names", fun() -> py:call(json, dumps, [4], #{timeout => 100}) end, Behind},
     {"a wrong keyword argument", fun() -> py:call(math, sqrt, [4], #{x => 100}) end, none},
     {"a string", fun() -> py:call(json, loads, ["{}"]) end, Text(<<"args[0]">>)},
     {"a string whose attribute is wanted", fun() -> py:call(operator, attrgetter, ["upper"]) end, none},
     {"a string as a keyword argument", fun() -> py:call(builtins, open, [<<"x">>], #{mode => "rb"}) end,
      Text(<<"mode">>)},
     {"a string as a local", fun() -> py:eval(<<"s.upper()">>, #{s => "straße"}) end,
      Text(<<"s">>)},
     {"a long string", fun() -> py:eval(<<"s.upper()">>, #{s => lists:duplicate(100, $x)}) end,
      Text(<<"s">>)},
     {"nan where a float is wanted", fun() -> py:call(math, isnan, [nan]) end, Float(<<"nan">>)},
     {"infinity in a list", fun() -> py:call(math, fsum, [[1.5, infinity]]) end, Float(<<"infinity">>)},
     {"-infinity as a local", fun() -> py:eval(<<"1.0 + x">>, #{x => neg_infinity}) end,
      Float(<<"neg_infinity">>)},
     {"an atom where a float is wanted", fun() -> py:call(math, isnan, [much]) end, none},
     {"a list that is no string", fun() -> py:call(json, loads, [[1, 2, 3]]) end, none},
     {"a list of other things", fun() -> py:call(json, loads, [[$a, b]]) end, none},
     {"an empty list", fun() -> py:call(json, loads, [[]]) end, none},
     [{["text where bytes are wanted: ", atom_to_list(Function)],
       fun() -> py:call(Module, Function, [<<"x">>]) end, Bytes}
      || {Module, Function} <- [{zlib, compress}, {hashlib, md5}, {builtins, bytes}]],
     {"text where bytes are wanted, as a local",
      fun() -> py:eval(<<"__import__('zlib').compress(s)">>, #{s => <<"x">>}) end, Bytes},
     {"text of the code's own", fun() -> py:eval(<<"__import__('zlib').compress('x')">>) end, none}].

hinted(Rows) when is_list(Rows) ->
    [hinted(Row) || Row <- Rows];
hinted({What, Call, Hint}) ->
    {["a hint: ", What], fun() ->
        {error, {Class, Message}} = Call(),
        ?assert(lists:member(Class, ['TypeError', 'AttributeError'])),
        case Hint of
            none -> ?assertEqual(nomatch, re:run(Message, "send text as|come after|arrives as str|is no float"));
            _ -> ?assertEqual(<<"(", Hint/binary, ")">>, string:find(Message, <<"(", Hint/binary>>))
        end
    end}.

wrong_key() ->
    {error, {badarg, Why}} = py:eval(<<"d">>, #{d => #{"name" => 1}}),
    ?assertMatch(<<"locals['d']: [110, 97, 109, 101] cannot be a key of a dict: ", _/binary>>, Why),
    ?assert(fixture:contains(Why, "; a key is a binary, an atom, a number or a tuple of these")).

here() ->
    Dir = list_to_binary(fixture:tmpdir()),
    ok = file:write_file(filename:join(Dir, "found_here.py"), <<>>),
    {ok, _} = py:start_pool(there, #{size => 1, cwd => Dir}),
    Says = <<"No module named 'found_here' (there is ", Dir/binary, "/found_here.py, but its directory is "
             "not in sys.path: see the pool's option python_path)">>,
    [?assertEqual({error, {'ModuleNotFoundError', Says}}, Call(#{pool => there}))
     || Call <- [fun(In) -> py:call(found_here, f, [], #{}, In) end,
                 fun(In) -> py:exec(<<"import found_here">>, In) end,
                 fun(In) -> py:eval(<<"__import__('found_here')">>, #{}, In) end]],
    ?assertEqual({error, {'ModuleNotFoundError', <<"No module named 'not_here'">>}},
                 py:call(not_here, f, [], #{}, #{pool => there})),
    ok = py:stop_pool(there).

hinted_options() ->
    Names = lists:sort([atom_to_binary(Name) || {Name, _, _, _} <- py_options:table()]),
    ?assertEqual({ok, Names}, py:eval(<<"sorted(__import__('erlang._hint')._hint.OPTIONS)">>)).

%% {What, Python source, class, message}
exceptions() ->
    [{"ZeroDivisionError", "1/0", 'ZeroDivisionError', <<"division by zero">>},
     {"NameError", "nobody", 'NameError', <<"name 'nobody' is not defined">>},
     {"KeyError has its repr for a message", "{}['k']", 'KeyError', <<"'k'">>},
     {"ValueError", "raiser.plain()", 'ValueError', <<"plain trouble">>},
     {"no message", "(_ for _ in ()).throw(ValueError)", 'ValueError', <<>>},
     {"StopIteration", "next(iter([]))", 'StopIteration', <<>>},
     {"AttributeError", "(1).nothing", 'AttributeError',
      <<"'int' object has no attribute 'nothing'">>},
     {"a message that is not ASCII", "int('☃')", 'ValueError',
      <<"invalid literal for int() with base 10: '☃'"/utf8>>},
     {"a message with a lone surrogate", "raiser.surrogate()", 'ValueError',
      <<"lone \\ud800 surrogate">>},
     {"a class of the program's own", "raiser.refused()", 'raiser.Refused', <<"not today">>},
     {"a message that cannot be had", "raiser.unprintable()", 'raiser.Unprintable',
      <<"<no message: str() raised RuntimeError>">>},
     {"SystemExit does not end the worker", "raiser.leave(3)", 'SystemExit', <<"3">>},
     {"sys.exit does not end the worker", "__import__('sys').exit('bye')", 'SystemExit',
      <<"bye">>},
     {"KeyboardInterrupt", "raiser.interrupt()", 'KeyboardInterrupt', <<>>},
     {"an error whose class has a common name", "__import__('zlib').decompress(b'')", 'zlib.error',
      <<"Error -5 while decompressing data: incomplete or truncated stream">>},
     {"a class that is named like one of our own reasons", "raiser.timeout()", 'raiser.timeout',
      <<"no such thing">>},
     {"one of __main__", "(_ for _ in ()).throw(type('badarg', (Exception,), {})('mine'))",
      '__main__.badarg', <<"mine">>},
     {"an OSError with its number", "open('/no/such/file')", 'FileNotFoundError',
      <<"[Errno 2] No such file or directory: '/no/such/file'">>},
     {"an error of json", "__import__('json').loads('{')", 'json.decoder.JSONDecodeError',
      <<"Expecting property name enclosed in double quotes: line 1 column 2 (char 1)">>}].

raised({What, Source, Class, Message}) ->
    {["exception: ", What], fun() ->
        {error, {Got, Text}} = py:eval(unicode:characters_to_binary(Source)),
        %% 3.13 and later say more about a few of these.
        ?assertEqual({Class, Message},
                     {Got, case Got of 'json.decoder.JSONDecodeError' -> Message; _ -> Text end})
    end}.

no_traceback() ->
    ?assertMatch({error, {'ValueError', <<"plain trouble">>}}, py:call(raiser, plain, [])).

trace(Function, Args) ->
    {error, {_, Message, Trace}} = py:call(raiser, Function, Args, #{}, #{traceback => true}),
    ?assertMatch(#{type := _, message := Message, frames := _, formatted := _}, Trace),
    Trace.

frames() ->
    #{frames := Frames} = trace(deeper, [2]),
    ?assertEqual([<<"deeper">>, <<"deeper">>, <<"deeper">>, <<"plain">>],
                 [F || #{function := F} <- Frames]),
    #{file := File, line := Line, text := Text} = lists:last(Frames),
    ?assertEqual("raiser.py", filename:basename(binary_to_list(File))),
    ?assert(is_integer(Line)),
    ?assertEqual(<<"raise ValueError(\"plain trouble\")">>, Text).

statements() ->
    [?assertEqual({error, {'SyntaxError', <<Text/binary, " (<eval>, line 1)">>}}, py:eval(Code))
     || {Code, Text} <-
            [{"x = 1", <<"eval takes an expression, and this is a statement: use exec">>},
             {"import os", <<"eval takes an expression, and this is a statement: use exec">>},
             {"x = 1; x", <<"eval takes an expression, and these are statements: use exec">>},
             {"# nothing", <<"there is no expression">>}]],
    {error, {'SyntaxError', Yield}} = py:eval("yield 1"),
    ?assertNot(fixture:contains(Yield, "use exec")),
    ?assertEqual({error, {'SyntaxError', <<"'(' was never closed (<eval>, line 1)">>}}, py:eval("f(")).

qualified_type() ->
    ?assertMatch(#{type := <<"raiser.Refused">>}, trace(refused, [])),
    ?assertMatch(#{type := <<"ValueError">>}, trace(plain, [])).

formatted() ->
    #{formatted := Text} = trace(caused, []),
    [?assert(fixture:contains(Text, Part))
     || Part <- ["Traceback (most recent call last):", "raiser.py", "in caused",
                 "ValueError: plain trouble", "direct cause", "KeyError: 'outer'"]].

cause() ->
    #{type := <<"KeyError">>, cause := Cause} = trace(caused, []),
    ?assertMatch(#{type := <<"ValueError">>, message := <<"plain trouble">>,
                   frames := [_ | _]}, Cause),
    ?assertNot(maps:is_key(formatted, Cause)).

context() ->
    #{type := <<"KeyError">>, context := Context} = trace(during, []),
    ?assertMatch(#{type := <<"ValueError">>}, Context).

suppressed() ->
    #{formatted := Text} = Trace = trace(suppressed, []),
    ?assertNot(maps:is_key(cause, Trace)),
    ?assertNot(fixture:contains(Text, "plain trouble")).

chains_end() ->
    ?assert(chain_length(trace(circular, [])) =< 17),
    Long = trace(long_chain, [1000]),
    ?assert(chain_length(Long) =< 17).

chain_length(#{cause := Cause}) -> 1 + chain_length(Cause);
chain_length(#{context := Context}) -> 1 + chain_length(Context);
chain_length(#{}) -> 1.

notes() ->
    since({3, 11}),
    #{notes := Notes, formatted := Text} = trace(noted, []),
    ?assertEqual([<<"first note">>, <<"second note">>], Notes),
    ?assert(fixture:contains(Text, "second note")).

arguments() ->
    ?assertMatch(#{args := [<<"plain trouble">>]}, trace(plain, [])),
    ?assertMatch(#{args := [503, #{<<"retry">> := 5}]}, trace(status, [503, #{retry => 5}])),
    ?assertNot(maps:is_key(args, trace(interrupt, []))).

attributes(Code) ->
    {error, {_, _, #{attributes := Attributes}}} = py:eval(Code, #{}, #{traceback => true}),
    Attributes.

known_attributes() ->
    ?assertEqual(#{<<"errno">> => 2, <<"strerror">> => <<"No such file or directory">>,
                   <<"filename">> => <<"/no/such">>}, attributes("open('/no/such')")),
    ?assertMatch(#{<<"returncode">> := 3, <<"stderr">> := <<"oops\n">>, <<"stdout">> := <<"x\n">>,
                   <<"cmd">> := [<<"sh">> | _]},
                 attributes("__import__('subprocess').run(['sh', '-c', 'echo x; echo oops >&2; exit 3'], "
                            "check=True, capture_output=True)")),
    ?assertEqual(#{<<"code">> => 3}, attributes("raiser.leave(3)")),
    ?assertEqual(#{<<"name">> => <<"nobody">>}, attributes("nobody")),
    ?assertMatch(#{<<"name">> := <<"no_such">>}, attributes("__import__('no_such')")),
    ?assertMatch(#{<<"encoding">> := <<"utf-8">>, <<"object">> := <<"a", 255>>, <<"start">> := 1},
                 attributes("b'a\\xff'.decode()")),
    {error, {'SyntaxError', _, Trace}} = py:eval("1 +* 2", #{}, #{traceback => true}),
    ?assertNot(maps:is_key(<<"lineno">>, maps:get(attributes, Trace, #{}))).

own_attributes() ->
    #{attributes := Attributes} = trace(status, [503, #{retry => 5}]),
    ?assertEqual(#{<<"status">> => 503, <<"body">> => #{<<"retry">> => 5}, <<"code">> => 7}, Attributes).

odd_attributes() ->
    #{attributes := Odd, formatted := _} = trace(odd, []),
    #{<<"circle">> := _, <<"long">> := Long, <<"bytes">> := Bytes, <<"many">> := Many, <<"keys">> := Keys,
      <<"mute">> := Mute, <<"thing">> := Thing} = Odd,
    ?assertEqual({10_000, 10_000, 100}, {byte_size(Long), byte_size(Bytes), length(Many)}),
    ?assertEqual(#{<<"a">> => 1, <<"b'a'">> => 2, 1 => 3, <<"\\ud800">> => 4}, Keys),
    ?assertEqual(<<"<Mute: repr() raised RuntimeError>">>, Mute),
    ?assertMatch(<<"<object object at ", _/binary>>, Thing),
    ?assertEqual([], [Name || Name <- [<<"method">>, <<"fails">>, <<"_private">>], is_map_key(Name, Odd)]),
    ?assert(byte_size(term_to_binary(Odd)) < 200_000).

hostile() ->
    Trace = trace(hostile, []),
    ?assertMatch(#{type := <<"raiser.Hostile">>, frames := [_ | _], formatted := _,
                   args := [<<"<Leaving: repr() raised SystemExit>">>, <<"<Long of 1>">>,
                            <<"<raiser.Liar>">>],
                   cause := #{type := <<"KeyError">>},
                   attributes := #{<<"fine">> := 1}}, Trace),
    ?assertEqual([<<"fine">>], maps:keys(maps:get(attributes, Trace))).

group() ->
    since({3, 11}),
    #{exceptions := Inner} = trace(group, []),
    ?assertMatch([#{type := <<"ValueError">>, message := <<"one">>},
                  #{type := <<"KeyError">>}], Inner).

since(Version) ->
    {ok, Is} = py:eval(<<"tuple(__import__('sys').version_info[:2])">>),
    Is >= Version orelse tap:skip("this Python is too old for it").

syntax_position() ->
    {error, {'SyntaxError', _, Trace}} =
        py:eval(<<"1 +\n">>, #{}, #{traceback => true}),
    ?assertMatch(#{position := #{line := 1, offset := _, text := _}}, Trace),
    {error, {'SyntaxError', _, #{position := Position}}} =
        py:exec(<<"a = 1\nb = = 2\n">>, #{traceback => true}),
    ?assertMatch(#{line := 2, offset := 5}, Position).

recursion() ->
    {error, {'RecursionError', _}} = py:call(raiser, endless, []),
    Trace = trace(endless, []),
    ?assert(byte_size(term_to_binary(Trace)) < 1_000_000).

%% 1,000 new atoms at most, then the class's name is a binary.
own_classes() ->
    {error, {'raiser.Refused', _}} = py:call(raiser, refused, []),
    Before = erlang:system_info(atom_count),
    Classes = [begin
                   {error, {Class, <<"new">>}} = py:call(raiser, new_class, [N]),
                   Class
               end || N <- lists:seq(1, 1200)],
    Grown = erlang:system_info(atom_count) - Before,
    ?assertEqual('raiser.Fresh1Error', hd(Classes)),
    ?assertEqual(<<"raiser.Fresh1200Error">>, lists:last(Classes)),
    ?assert(length([Class || Class <- Classes, is_atom(Class)]) =< 1000),
    ?assert(Grown < 1100),      % the VM may load a module meanwhile
    ?assert(lists:all(fun is_binary/1, lists:nthtail(1010, Classes))),
    ?assertMatch({error, {'raiser.Fresh1Error', _}}, py:call(raiser, new_class, [1])).

%% ---------------------------------------------------------------------------
%% Misuse

%% {What, the call}: raises error:badarg in the caller, nothing is sent.
misuses() ->
    [{"gc of a generation that is not", fun() -> py:gc(7) end},
     {"gc of no target", fun() -> py:gc("all") end},
     {"tracing without frames", fun() -> py:tracemalloc_start(0) end},
     {"arguments that are no list", fun() -> py:call(math, sqrt, 16) end},
     {"arguments that are an improper list", fun() -> py:call(math, sqrt, [16 | 4]) end},
     {"keyword arguments that are no map", fun() -> py:call(math, sqrt, [16], [a, 1]) end},
     {"locals that are no map", fun() -> py:eval(<<"1">>, [a]) end},
     {"an unknown option", fun() -> py:eval(<<"1">>, #{}, #{tiemout => 5}) end},
     {"an invalid timeout", fun() -> py:eval(<<"1">>, #{}, -1) end},
     {"a timeout that is no number", fun() -> py:eval(<<"1">>, #{}, soon) end},
     {"an invalid value of an option", fun() -> py:eval(<<"1">>, #{}, #{traceback => 7}) end},
     {"code that is no text", fun() -> py:eval(42) end},
     {"code that is not UTF-8", fun() -> py:exec(<<255, 254>>) end},
     {"a function's name that is no text", fun() -> py:call(math, {sqrt}, [1]) end},
     {"a chunk of no items", fun() -> py:stream_eval(<<"[]">>, #{}, #{chunk => 0}) end},
     {"a fold with no function", fun() -> py:stream_fold(sum, 0, <<"[]">>) end},
     {"parallel of something else", fun() -> py:parallel([math]) end},
     {"await of something else", fun() -> py:await(7) end},
     [{io_lib:format("a pool's name that is no atom, for ~s", [What]), Call}
      || {What, Call} <- [{"start_pool", fun() -> py:start_pool("odd", #{}) end},
                          {"stop_pool", fun() -> py:stop_pool({default, 1}) end},
                          {"info", fun() -> py:info({default, 1}) end},
                          {"unquarantine", fun() -> py:unquarantine({math, sqrt, 1}) end}]]].

misused(Rows) when is_list(Rows) ->
    [misused(Row) || Row <- Rows];
misused({What, Call}) ->
    {["misuse is error:badarg: ", What], fun() ->
        ?assertError(badarg, Call())
    end}.

%% ---------------------------------------------------------------------------
%% Names that lead nowhere

%% {What, Module, Function, class}
names() ->
    [{"a module that is not", no_such_module, f, 'ModuleNotFoundError'},
     {"a module in a package that is not", 'xml.nothing', f, 'ModuleNotFoundError'},
     {"an attribute of a module that is not", 'os.nothing', f, 'AttributeError'},
     {"a function that is not", math, no_such_function, 'AttributeError'},
     {"a dotted function that is not", collections, 'Counter.nothing', 'AttributeError'},
     {"an attribute that is not callable", math, pi, 'TypeError'},
     {"no name at all", <<>>, f, any},
     {"a name with code in it", <<"os; print(1)">>, f, any},
     {"a name with a zero byte", <<"os", 0, "x">>, f, any},
     {"only dots", <<"..">>, f, any},
     {"an argument too many", math, sqrt, 'TypeError'}].

nowhere({What, Module, Function, Class}) ->
    {["a name that leads nowhere: ", What], fun() ->
        {error, {Got, Message}} = py:call(Module, Function, [1, 2]),
        ?assert(is_binary(Message)),
        ?assert(Class =:= any orelse Class =:= Got)
    end}.

%% ---------------------------------------------------------------------------

logs_stay_clean() ->
    Self = self(),
    Watch = fun(Event, _) -> Self ! {logged, Event}, Event end,
    ok = logger:add_primary_filter(watch, {Watch, []}),
    {error, _} = py:eval(<<"1/0">>),
    {error, _} = py:call(no_such_module, f, []),
    {error, _} = py:eval(<<"((">>),
    catch py:gc(7),
    {ok, _} = py:eval(<<"1">>),
    ok = logger:remove_primary_filter(watch).

same_workers() ->
    ?assert(lists:all(fun(#{restarts := N}) -> N =:= 0 end, fixture:workers())).
