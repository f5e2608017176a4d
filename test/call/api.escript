#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Requests that are answered while the caller waits: call, eval, exec, gc,
%% version, info, their forms of names and code, options, and time limits.
%% (For the others see async, stream, binding and options.)
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import misbehave">>, send => all}, [
        [answers(Row) || Row <- call_forms() ++ eval_forms() ++ exec_forms() ++ option_forms()],
        {"locals are seen by lambdas, comprehensions and generators", fun nested_scopes/0},
        {"locals hide what the worker has by that name, and go away", fun locals_go_away/0},
        {"locals named as built-ins, keywords and oddly", fun odd_locals/0},
        {"a function defined by exec may use later definitions", fun later_definitions/0},
        {"exec_all reaches every worker, also new ones", fun exec_all/0},
        {"exec_all with an error somewhere", fun exec_all_error/0},
        {"time limit of a call that sleeps", fun limit_sleep/0},
        {"time limit of a call that spins", fun limit_spin/0},
        {"time limit of a call that swallows exceptions", fun limit_stubborn/0},
        {"time limit of 0", fun limit_zero/0},
        {"no time limit", fun limit_infinity/0},
        {"after time limits the pool is as good as new", fun heals/0},
        {"version", fun version/0},
        {"info of the pools and of one", fun info/0},
        {"info of a pool that is not", fun info_of_none/0},
        {"calls are counted", fun counted/0},
        {"gc and statistics while all workers are busy", fun busy_statistics/0},
        {"erlang.send to a pid, a name, from a thread", fun send/0},
        {"output of Python does not reach the frames", fun noise/0},
        {"standard input of Python is empty", fun no_input/0},
        {"a forked child does not answer in our name", fun forked/0},
        {"many callers at once", fun many_callers/0}
    ])).

answers({What, Expected, Call}) ->
    {What, fun() -> ?assertEqual(Expected, Call()) end}.

%% ---------------------------------------------------------------------------

call_forms() ->
    [{"call with atoms for names", {ok, <<"a/b">>},
      fun() -> py:call('os.path', join, [<<"a">>, <<"b">>]) end},
     {"call with binaries for names", {ok, <<"a/b">>},
      fun() -> py:call(<<"os.path">>, <<"join">>, [<<"a">>, <<"b">>]) end},
     {"call with strings for names", {ok, <<"a/b">>},
      fun() -> py:call("os.path", "join", [<<"a">>, <<"b">>]) end},
     {"call of a method by a dotted module path", {ok, [{<<"a">>, 2}]},
      fun() -> py:call('collections.Counter', most_common, [#{<<"a">> => 2, <<"b">> => 1}, 1]) end},
     {"call of a method by a dotted function path", {ok, <<"A">>},
      fun() -> py:call(builtins, 'str.upper', [<<"a">>]) end},
     {"call in a submodule that nobody imported yet", {ok, <<"x">>},
      fun() -> py:call('xml.sax.saxutils', escape, [<<"x">>]) end},
     {"call of the worker's own function", {ok, 3},
      fun() -> ok = py:exec(<<"def plus(a, b=1): return a + b">>),
               py:call('__main__', plus, [1], #{b => 2}) end},
     {"call without arguments", {ok, #{}}, fun() -> py:call(builtins, dict, []) end},
     {"call with keyword arguments only", {ok, #{<<"a">> => 1}},
      fun() -> py:call(builtins, dict, [], #{a => 1}) end},
     {"call with a number for a time limit", {ok, 3},
      fun() -> py:call(operator, add, [1, 2], #{}, 1000) end},
     {"call with options", {ok, 3},
      fun() -> py:call(operator, add, [1, 2], #{}, #{timeout => 1000}) end},
     {"call with a text among the arguments", {ok, 4},
      fun() -> py:call(builtins, len, [<<"grün"/utf8>>]) end}].

eval_forms() ->
    [{"eval of a binary", {ok, 2}, fun() -> py:eval(<<"1 + 1">>) end},
     {"eval of a string", {ok, 2}, fun() -> py:eval("1 + 1") end},
     {"eval of chardata", {ok, 12}, fun() -> py:eval([<<"1">>, ["0", $\s], "+ 2"]) end},
     {"eval of code that is not ASCII", {ok, <<"grün☃"/utf8>>},
      fun() -> py:eval(<<"'grün' + '☃'"/utf8>>) end},
     {"eval of a string that is not ASCII", {ok, <<"☃"/utf8>>}, fun() -> py:eval("'☃'") end},
     {"eval with a name that is not ASCII", {ok, 7},
      fun() -> py:eval(<<"größe"/utf8>>, #{<<"größe"/utf8>> => 7}) end},
     {"eval with blanks around", {ok, 2}, fun() -> py:eval(<<"  1 + 1  \n">>) end},
     {"eval over several lines", {ok, [1, 2]}, fun() -> py:eval(<<"[1,\n 2]">>) end},
     {"eval with a number for a time limit", {ok, 2}, fun() -> py:eval(<<"1+1">>, #{}, 1000) end},
     {"eval with options", {ok, null}, fun() -> py:eval(<<"None">>, #{}, #{none => null}) end}].

exec_forms() ->
    [{"exec of a binary", ok, fun() -> py:exec(<<"a = 1">>) end},
     {"exec of a string", ok, fun() -> py:exec("a = '☃'") end},
     {"exec of chardata", ok, fun() -> py:exec(["a = ", <<"1">>, $\n]) end},
     {"exec of nothing", ok, fun() -> py:exec(<<>>) end},
     {"exec of a comment", ok, fun() -> py:exec(<<"# nothing">>) end},
     {"exec with options", ok, fun() -> py:exec(<<"a = 1">>, #{timeout => 1000}) end},
     {"exec with a number for a time limit", ok, fun() -> py:exec(<<"a = 1">>, 1000) end}].

option_forms() ->
    [{"the pool by its name", {ok, 1}, fun() -> py:eval(<<"1">>, #{}, #{pool => default}) end},
     {"a pool that is not", {error, {no_pool, nowhere}},
      fun() -> py:eval(<<"1">>, #{}, #{pool => nowhere}) end}].

%% ---------------------------------------------------------------------------

nested_scopes() ->
    Locals = #{n => 10, items => [1, 2, 3]},
    Is = fun(Expected, Code) -> ?assertEqual({ok, Expected}, py:eval(Code, Locals)) end,
    Is([11, 12, 13], <<"[i + n for i in items]">>),
    Is([11, 12, 13], <<"list(map(lambda i: i + n, items))">>),
    Is(36, <<"sum(i + n for i in items)">>),
    Is(#{1 => 10, 2 => 10, 3 => 10}, <<"{i: n for i in items}">>),
    Is([[12, 13, 14], [13, 14, 15], [14, 15, 16]],
       <<"[[i + j + n for i in items] for j in items]">>),
    Is(21, <<"(lambda: (lambda: n + 11)())()">>).

locals_go_away() ->
    ok = py:exec(<<"here = 'global'">>),
    ?assertEqual({ok, <<"local">>}, py:eval(<<"here">>, #{here => <<"local">>})),
    ?assertEqual({ok, <<"global">>}, py:eval(<<"here">>)),
    {ok, _} = py:eval(<<"x">>, #{x => 1}),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"x">>)).

odd_locals() ->
    ?assertEqual({ok, 1}, py:eval(<<"len">>, #{len => 1})),
    ?assertEqual({ok, 3}, py:eval(<<"len('abc')">>)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{'for' => 1})),
    ?assertEqual({ok, 5}, py:eval(<<"globals()['no name']">>, #{<<"no name">> => 5})).

later_definitions() ->
    ok = py:exec(<<"def first(): return second() + 1">>),
    ok = py:exec(<<"def second(): return 41">>),
    ?assertEqual({ok, 42}, py:eval(<<"first()">>)).

exec_all() ->
    ok = py:exec_all(<<"everywhere = 'yes'">>),
    ?assertEqual(lists:duplicate(20, {ok, <<"yes">>}), from_many(<<"everywhere">>, 20)),
    Before = fixture:os_pids(),
    [fixture:kill("KILL", OsPid) || OsPid <- Before],
    fixture:wait_until(fun() -> all_ready() andalso fixture:os_pids() -- Before =:= fixture:os_pids() end),
    ?assertEqual(lists:duplicate(20, {ok, <<"yes">>}), from_many(<<"everywhere">>, 20)).

%% The same question from many processes at once, so that it meets all workers.
from_many(Code, N) ->
    in_parallel(N, fun(_) -> py:eval(["[__import__('time').sleep(0.01), ", Code, "][1]"]) end).

in_parallel(N, Fun) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), Fun(I)} end) || I <- lists:seq(1, N)],
    [receive {Pid, Result} -> Result end || Pid <- Pids].

%% Not only alive: one that has not yet been ended for its time limit is busy.
all_ready() ->
    [idle, idle] =:= [State || #{state := State} <- fixture:workers()].

exec_all_error() ->
    ?assertMatch({error, _}, py:exec_all(<<"1/0">>)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

%% ---------------------------------------------------------------------------
%% Time limits: the caller is free at once, whatever Python does

limit_sleep() -> limited(fun() -> py:call(misbehave, sleep, [30], #{}, 100) end).
limit_spin() -> limited(fun() -> py:call(misbehave, spin, [], #{}, 100) end).
limit_stubborn() -> limited(fun() -> py:call(misbehave, stubborn, [], #{}, 100) end).

limited(Call) ->
    {Ms, Result} = figure:within(1000, Call),
    ?assertEqual({error, timeout}, Result),
    ?assert(Ms >= 100).

limit_zero() ->
    {_, Result} = figure:within(1000, fun() -> py:call(misbehave, sleep, [1], #{}, 0) end),
    ?assertEqual({error, timeout}, Result).

limit_infinity() ->
    ?assertEqual({ok, 0.2}, py:call(misbehave, sleep, [0.2], #{}, infinity)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, #{timeout => infinity})).

heals() ->
    fixture:wait_until(fun all_ready/0),
    Answers = from_many(<<"7">>, 20),
    ?assertEqual(lists:duplicate(20, {ok, 7}), Answers).

%% ---------------------------------------------------------------------------

version() ->
    {ok, Version} = py:version(),
    ?assertEqual({ok, Version}, py:eval(<<"__import__('sys').version">>)).

info() ->
    #{workers := Workers} = py:info(),
    ?assertEqual(2, length(Workers)),
    [?assertMatch(#{id := _, pid := Pid, os_pid := OsPid, state := _, calls := Calls,
                    restarts := Restarts}
                      when is_pid(Pid) andalso is_integer(OsPid) andalso is_integer(Calls)
                           andalso is_integer(Restarts), Worker) || Worker <- Workers],
    ?assertEqual(lists:sort([Id || #{id := Id} <- Workers]),
                 lists:sort([Id || #{id := Id} <- fixture:workers(default)])),
    [?assert(fixture:is_running(OsPid)) || #{os_pid := OsPid} <- Workers].

info_of_none() ->
    ?assertEqual({error, {no_pool, nowhere}}, py:info(nowhere)).

counted() ->
    Calls = fun() -> lists:sum([N || #{calls := N} <- fixture:workers()]) end,
    Before = Calls(),
    [{ok, _} = py:eval(<<"1">>) || _ <- lists:seq(1, 100)],
    ?assert(Calls() - Before >= 100).

busy_statistics() ->
    fixture:wait_until(fun all_ready/0),
    Refs = [py:spawn_call(misbehave, sleep, [0.5]) || _ <- [1, 2]],
    timer:sleep(50),
    {Ms, {ok, #{workers := Workers}}} = figure:within(150, fun py:memory_stats/0),
    ?assertEqual(2, length(Workers)),
    [?assertMatch(#{rss := Rss} when Rss > 0, Worker) || Worker <- Workers],
    tap:note("statistics beside busy workers took ~.1f ms", [Ms]),
    [?assertEqual({ok, 0.5}, py:await(Ref)) || Ref <- Refs].

%% ---------------------------------------------------------------------------

send() ->
    ?assertMatch({ok, _}, py:call(erlang, send, [self(), hello])),
    ?assertEqual(hello, next()),
    register(a_named_process, self()),
    {ok, _} = py:call(erlang, send, [a_named_process, [1, {2}]]),
    ?assertEqual([1, {2}], next()),
    ok = py:exec(<<"import threading, erlang\n"
                   "def send_later(to):\n"
                   "    t = threading.Thread(target=lambda: erlang.send(to, 'from a thread'))\n"
                   "    t.start()\n    t.join()\n">>),
    {ok, none} = py:call('__main__', send_later, [self()]),
    ?assertEqual(<<"from a thread">>, next()),
    ?assertMatch({error, {_, _}}, py:eval(<<"erlang.send(to, object())">>, #{to => self()})),
    ?assertMatch({error, {_, _}}, py:eval(<<"erlang.send(42, 1)">>)),
    ?assertMatch({error, {'erlang.SendError', _}}, py:call(erlang, send, [nobody_has_this_name, 1])),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

next() ->
    receive Message -> Message after 30_000 -> error(nothing_came) end.

noise() ->
    Text = binary:copy(<<"noise ">>, 100),
    [?assertEqual({ok, none}, py:call(misbehave, noise, [Text])) || _ <- lists:seq(1, 5)],
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

no_input() ->
    ?assertEqual({ok, <<>>}, py:call(misbehave, read_input, [])),
    ?assertMatch({error, {'EOFError', _}}, py:eval(<<"input()">>)).

forked() ->
    ?assertEqual({ok, 7}, py:call(misbehave, forked, [])),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

many_callers() ->
    Answers = in_parallel(500, fun(N) -> py:call(operator, mul, [N, 2]) end),
    ?assertEqual([{ok, 2 * N} || N <- lists:seq(1, 500)], Answers).
