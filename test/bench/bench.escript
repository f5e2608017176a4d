#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The suite of `make bench' itself, in runs that are over at once: what they print, write and
%% end with. What they measure does not matter here.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([{"a goal that is met: exit code 0", fun met/0},
             {"a goal that is missed: exit code 1 of the check, 0 of the run", fun missed/0},
             {"a row that fails is a line, and the others are measured", fun failing/0},
             {"the JSON has what was measured", fun json/0},
             {"pictures, or why there are none", fun pictures/0},
             {"rows of the real table, on one CPU and free", fun real/0},
             {"rows and times that there are not", fun unknown/0},
             {"no peer: it says so, and fails", fun no_peers/0},
             {"peers that are found, whose module is called py, too", fun peers/0}]).

met() ->
    {0, Output} = bench(["check"], "easy", "tiny_rows"),
    has("0 of 1 goals missed\n", Output),
    {ok, Text} = file:read_file(in_results("results.txt")),
    has(unicode:characters_to_list(Text), Output).

missed() ->
    {1, Output} = bench(["check"], "hard,easy", "tiny_rows"),
    has("1 of 2 goals missed: hard (free)\n", Output),
    {0, _} = bench([], "hard", "tiny_rows").

failing() ->
    {0, Output} = bench(["check"], "failing,easy", "tiny_rows"),
    has("not measured: {call_failed,on_purpose}\n", Output),
    has("met", Output).

json() ->
    {0, _} = bench([], "easy,hard,failing", "tiny_rows"),
    #{<<"machine">> := #{<<"python">> := _}, <<"rows">> := [Easy, Hard, Failing]} = results(),
    #{<<"name">> := <<"easy">>, <<"cpus">> := <<"free">>, <<"verdict">> := <<"met">>,
      <<"rounds">> := Rounds,
      <<"sides">> := #{<<"floor">> := #{<<"figure">> := #{<<"median">> := Floor}},
                       <<"pyport">> := #{<<"ratio">> := #{<<"median">> := Ratio}}}} = Easy,
    ?assert(Rounds >= 5 andalso Floor > 0 andalso Ratio > 0),
    #{<<"verdict">> := <<"missed">>,
      <<"goal">> := #{<<"how">> := <<"at_most">>, <<"limit">> := 0}} = Hard,
    #{<<"error">> := <<"{call_failed,on_purpose}">>} = Failing.

pictures() ->
    {0, Output} = bench([], "callers_2,callers_4", "tiny_rows"),
    {ok, _} = file:read_file(in_results("throughput.gnuplot")),
    case os:find_executable("gnuplot") of
        false ->
            has("no pictures: there is no gnuplot", Output);
        _ ->
            {ok, Svg} = file:read_file(in_results("throughput.svg")),
            has("pyport, free", Svg)
    end.

real() ->
    {0, Output} = bench([], "call,gc,callers_16,bytes_64k,rss,loop", "bench_rows"),
    nomatch = string:find(Output, "not measured"),
    has("call(operator, add, [1, 2])", Output),
    #{<<"rows">> := Rows} = results(),
    ?assertEqual([{<<"call">>, <<"one">>}, {<<"callers_16">>, <<"one">>}, {<<"bytes_64k">>, <<"one">>},
                  {<<"gc">>, <<"one">>}, {<<"rss">>, <<"one">>}, {<<"loop">>, <<"one">>},
                  {<<"call">>, <<"free">>}, {<<"callers_16">>, <<"free">>},
                  {<<"bytes_64k">>, <<"free">>}],
                 [{Name, Cpus} || #{<<"name">> := Name, <<"cpus">> := Cpus} <- Rows]).

unknown() ->
    {2, Output} = bench([], "easy,soft", "tiny_rows"),
    has("there are no rows soft\n", Output),
    {2, Again} = bench([], "easy", "tiny_rows", [{"ROW_SECONDS", "long"}]),
    has("ROW_SECONDS is not a number: long\n", Again).

no_peers() ->
    {2, Output} = bench(["compare"], "easy", "tiny_rows"),
    has("neither erlport nor erlang_python is in ERL_LIBS\n", Output).

%% They only have the names, and the answers that are waited for; one takes 5 ms for it.
peers() ->
    Dir = filename:join(fixture:tmpdir(), "peers"),
    stand_in(Dir, erlport, python, "start(_) -> {ok, self()}. call(_, operator, add, [1, 2]) -> 3."),
    stand_in(Dir, erlang_python, py, "call(operator, add, [1, 2]) -> receive after 5 -> {ok, 3} end."),
    Libs = {"ERL_LIBS", os:getenv("ERL_LIBS") ++ ":" ++ Dir},
    {0, Output} = bench(["compare"], "easy", "tiny_rows", [Libs]),
    nomatch = string:find(Output, "not measured"),
    has("; erlport ", Output),
    has("; erlang_python ", Output),
    #{<<"rows">> := [#{<<"sides">> := Sides}]} = results(),
    #{<<"floor">> := _, <<"pyport">> := _, <<"erlport">> := _, <<"erlang_python">> := Theirs} = Sides,
    #{<<"figure">> := #{<<"median">> := Median}} = Theirs,
    ?assert(Median > 5_000).

%% An application of one module.
stand_in(Dir, Application, Module, Functions) ->
    Ebin = filename:join([Dir, Application, "ebin"]),
    ok = filelib:ensure_path(Ebin),
    {ok, Tokens, _} = erl_scan:string(lists:concat(["-module(", Module, "). -compile(export_all). ", Functions])),
    {ok, Module, Beam} = compile:forms(forms(Tokens), [nowarn_export_all]),
    ok = file:write_file(filename:join(Ebin, lists:concat([Module, ".beam"])), Beam),
    App = {application, Application, [{vsn, "0"}, {applications, [kernel, stdlib]}]},
    ok = file:write_file(filename:join(Ebin, lists:concat([Application, ".app"])), io_lib:format("~p.~n", [App])).

forms([]) ->
    [];
forms(Tokens) ->
    {Form, [Dot | Others]} = lists:splitwith(fun(Token) -> element(1, Token) =/= dot end, Tokens),
    {ok, Parsed} = erl_parse:parse_form(Form ++ [Dot]),
    [Parsed | forms(Others)].

%% ---------------------------------------------------------------------------

bench(Args, Rows, Table) ->
    bench(Args, Rows, Table, []).

bench(Args, Rows, Table, More) ->
    Script = filename:join([os:getenv("top_srcdir", "."), "bench", "bench.escript"]),
    Env = More ++ [{"ROWS", Rows}, {"TABLE", Table}, {"RESULTS", in_results("")}]
        ++ [{"ROW_SECONDS", "0"} || not lists:keymember("ROW_SECONDS", 1, More)],
    Port = open_port({spawn_executable, os:find_executable("escript")},
                     [{args, [Script | Args]}, {env, Env}, binary, exit_status, stderr_to_stdout]),
    ended(Port, []).

ended(Port, Parts) ->
    receive
        {Port, {data, Part}} -> ended(Port, [Parts, Part]);
        {Port, {exit_status, Code}} ->
            Output = unicode:characters_to_list(iolist_to_binary(Parts)),
            tap:note("~ts", [Output]),
            {Code, Output}
    end.

in_results(Name) ->
    filename:join([os:getenv("TMPDIR", "/tmp"), "results", Name]).

results() ->
    {ok, Text} = file:read_file(in_results("results.json")),
    {ok, _} = application:ensure_all_started(py),
    {ok, Results} = py:call(json, loads, [Text]),
    ok = application:stop(py),
    Results.

%% The test's log has the text.
has(Part, Text) ->
    string:find(Text, Part) =/= nomatch orelse error({lacks, Part}).
