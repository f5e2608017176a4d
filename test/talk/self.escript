#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What Python may ask the node: who has called, who has a name, a new reference.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1}, [
        {"self is whoever waits for the call", fun caller/0},
        {"self in a stream is whoever reads it, also beside others", fun streams/0},
        {"self in a nested call is the function's process", fun nested/0},
        {"self in a thread, after a cast, in init code", fun nobody/0},
        {"references are new, and come back", fun refs/0},
        {"whereis, as the pool allows it", fun names/0},
        {"what whereis returns can be sent to", fun send/0},
        {"wrong arguments", fun wrong/0},
        {"in a forked child", fun in_child/0},
        {"in an ordinary Python", fun elsewhere/0},
        {"names of the package are refused", fun reserved/0}
    ]))).

caller() ->
    ?assertEqual({ok, self()}, py:eval("erlang.self()")),
    ?assertEqual({ok, self()}, py:await(py:spawn_call(erlang, self, []))),
    ?assertEqual({ok, [self(), self()]}, py:parallel([{erlang, self, []}, {erlang, self, []}])),
    Self = self(),
    Pid = spawn(fun() -> Self ! {self(), py:eval("erlang.self()")} end),
    ?assertEqual({ok, Pid}, receive {Pid, Result} -> Result end).

%% Another process's stream is open meanwhile, and a call is made between items.
streams() ->
    Self = self(),
    Code = "(erlang.self() for _ in range(100))",
    Reader = spawn(fun() ->
        {ok, Stream} = py:stream_open(Code, #{chunk => 1}),
        Self ! {open, self()},
        receive go -> ok end,
        Self ! {read, [py:stream_next(Stream) || _ <- lists:seq(1, 100)]}
    end),
    receive {open, Reader} -> ok end,
    {ok, Own} = py:stream_eval(Code),
    ?assertEqual([self()], lists:usort(Own)),
    ?assertEqual({ok, self()}, py:eval("erlang.self()")),
    Reader ! go,
    Read = receive {read, Chunks} -> lists:append([Items || {ok, Items} <- Chunks]) end,
    ?assertEqual([Reader], lists:usort(Read)).

nested() ->
    ok = py:register_function(inner, fun() -> {self(), py:eval("erlang.self()")} end),
    {ok, {Pid, {ok, Pid}}} = py:eval("erlang.call('inner')").

nobody() ->
    ok = py:exec("import threading\n"
                 "seen = []\n"
                 "def look(): seen.append(erlang.self())\n"
                 "def in_thread():\n"
                 "    thread = threading.Thread(target=look); thread.start(); thread.join()\n"
                 "    return seen.pop()\n"),
    ?assertEqual({ok, self()}, py:eval("in_thread()")),
    ok = py:cast('__main__', look, []),
    fixture:wait_until(fun() -> {ok, [none]} =:= py:eval("seen") end),
    {ok, _} = py:start_pool(early, #{size => 1, init => <<"me = erlang.self()">>}),
    ?assertEqual({ok, none}, py:eval("me", #{}, #{pool => early})),
    ok = py:stop_pool(early).

refs() ->
    {ok, [A, B]} = py:eval("[erlang.make_ref(), erlang.make_ref()]"),
    ?assert(is_reference(A) andalso is_reference(B) andalso A =/= B),
    ?assertEqual({ok, true}, py:eval("erlang.make_ref() != erlang.make_ref()")),
    ?assertEqual({ok, {A, true}}, py:eval("(a, isinstance(a, erlang.Reference))", #{a => A})).

names() ->
    true = register(somebody, self()),
    Ask = fun(Name, Send) ->
        {ok, _} = py:start_pool(asks, #{size => 1, send => Send}),
        Result = py:eval("erlang.whereis(name)", #{name => Name}, #{pool => asks}),
        ok = py:stop_pool(asks),
        Result
    end,
    Refused = fun(Text) -> {error, {'erlang.SendError', Text}} end,
    ?assertEqual({ok, self()}, Ask(<<"somebody">>, [somebody])),
    ?assertEqual({ok, self()}, Ask(somebody, all)),
    ?assertEqual({ok, none}, Ask(<<"nobody_of_that_name">>, all)),
    ?assertEqual({ok, none}, Ask(binary:copy(<<"x">>, 1000), all)),
    ?assertEqual({ok, none}, Ask(<<"undefined">>, all)),
    ?assertEqual({ok, none}, Ask(absent, [absent])),
    ?assertEqual(Refused(<<"the pool's option send allows only pids, not the name 'init'">>), Ask(init, pids)),
    ?assertEqual(Refused(<<"the pool's option send does not allow the name 'init', only others and pids">>),
                 Ask(<<"init">>, [somebody])),
    ?assertEqual(Refused(<<"the pool's option send allows only pids, not the name 'nobody_of_that_name'">>),
                 Ask(<<"nobody_of_that_name">>, pids)),
    true = unregister(somebody).

send() ->
    true = register(somebody, self()),
    {ok, _} = py:start_pool(sends, #{size => 1, send => [somebody]}),
    {ok, none} = py:eval("erlang.send(erlang.whereis('somebody'), 'hello')", #{}, #{pool => sends}),
    receive <<"hello">> -> ok end,
    ok = py:stop_pool(sends),
    true = unregister(somebody).

wrong() ->
    {error, {'TypeError', <<"a name is a str, not int">>}} = py:eval("erlang.whereis(1)"),
    {error, {'TypeError', _}} = py:eval("erlang.self(1)"),
    {error, {'ValueError', _}} = py:eval("erlang.whereis('\\ud800')").

in_child() ->
    ok = py:exec("import os\n"
                 "def ask(name, *args):\n"
                 "    try:\n"
                 "        return str(getattr(erlang, name)(*args))\n"
                 "    except erlang.SendError as error:\n"
                 "        return str(error)\n"
                 "def forked(*args):\n"
                 "    end, begin = os.pipe()\n"
                 "    if os.fork() == 0:\n"
                 "        os.write(begin, ask(*args).encode())\n"
                 "        os._exit(0)\n"
                 "    os.close(begin)\n"
                 "    with os.fdopen(end) as file:\n"
                 "        return file.read()\n"),
    [?assertEqual({ok, <<"there is no connection to Erlang any more">>}, py:call('__main__', forked, Args))
     || Args <- [[<<"self">>], [<<"make_ref">>], [<<"whereis">>, <<"init">>]]].

elsewhere() ->
    Script = "import erlang\n"
             "for ask in erlang.self, erlang.make_ref, lambda: erlang.whereis('init'):\n"
             "    try:\n"
             "        ask()\n"
             "    except erlang.SendError as error:\n"
             "        print(error)\n",
    Said = os:cmd("PYTHONPATH='" ++ filename:join(code:priv_dir(py), "python") ++ "' '"
                  ++ os:getenv("PYTHON", "python3") ++ "' -c \"" ++ Script ++ "\""),
    ?assertEqual(["erlang." ++ Name ++ " works in a pyport worker only" || Name <- ["self", "make_ref", "whereis"]],
                 string:lexemes(Said, "\n")).

reserved() ->
    [?assertError(badarg, py:register_function(Name, fun() -> ok end)) || Name <- [self, make_ref, whereis]].
