#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The programs in examples/ do what they show.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"raw_port: the program over a plain port", fun raw_port/0},
        {"agent: tools and progress by functions of Erlang's", fun agent/0},
        {"crawler: many pages at once, by coroutines", fun crawler/0},
        {"model: kept by handles and asked by many", fun model/0},
        {"progress: told by a fun, which may say stop", fun progress/0},
        {"sessions: each with a context of its own", fun sessions/0},
        {"stdlib_survey: a short one, with its crash", 240_000, fun survey/0}
    ]).

raw_port() ->
    Text = run("raw_port.escript", ""),
    says(Text, ["Python 3\\.\\d+", "thresholds {\\d+,\\d+,\\d+}", "<<\"collected\">>",
                "gc collected \\d{2,} objects", "traced: \\d{6,} bytes now, \\d{6,} at the peak",
                "Hello, Erlang!", "1\\.18\\d*e21", "\"answer\": 42",
                "division by zero", "no_such_operation",
                "\\[\\[0,1,4,9\\],\\[16,25,36,49\\],\\[64,81\\]\\]", "is gone"]).

agent() ->
    Text = run("agent.escript", ""),
    says(Text, ["step 1: weather", "step 2: fahrenheit", "clear, 23 degrees Fahrenheit",
                "I cannot say: error: \\{no_such_city,<<\"Atlantis\">>\\}",
                "A slow tool: exit: timeout"]).

crawler() ->
    Text = run("crawler.escript", ""),
    says(Text, ["101 pages, the last one is Page 99", "/nowhere: \\{'OSError',<<\"/nowhere: HTTP/1.0 404 Not Found\">>\\}",
                "102 requests of 50 ms took \\d+ ms"]).

%% Each model has had its half.
model() ->
    Text = run("model.escript", ""),
    says(Text, ["50 processes have asked, and 50 were right",
                "y = 3\\.00 x \\+ 2\\.00, asked 25 times\ny = 3\\.00 x \\+ 2\\.00, asked 25 times",
                "left: \\{ok,\\[\\]\\}"]).

progress() ->
    Text = run("progress.escript", ""),
    says(Text, ["\\[#\\.{9}\\]\n\\[##\\.{8}\\]\n", "\\[#{9}\\.\\]\n2262 primes below 20000",
                "stopped half way, with 1229 primes",
                "10000: 1229 primes, told 9 times\n20000: 2262 primes, told 9 times\n30000: 3245 primes, told 9 times"]).

sessions() ->
    Text = run("sessions.escript", ""),
    says(Text, ["greet\\(\\) -> <<\"Hello, Ada!\">>", "greet\\(\\) -> <<\"Hello, Bob!\">>",
                "-> <<\"Ada has 1\">>", "-> <<\"Bob has 1\">>", "1 / 0 -> error: \\{'ZeroDivisionError'",
                "notes -> \\{<<\"x is 42\">>\\}", "notes -> \\{<<\"nothing of hers\">>\\}",
                "len\\(notes\\) -> 1"]).

survey() ->
    Text = run("stdlib_survey.escript", "--files 150"),
    says(Text, ["150 files", "lines", "functions", "classes", "slowest", "before", "after gc",
                "after trim", "survey\\.keep leaks \\d+ bytes at each call \\(python\\)",
                "keep \\(survey\\.py:\\d+\\)", "limit", "MemoryError", "memory,#{",
                "worker_exit", "taken its place", "untouched"]),
    %% Not on a terminal: no control characters.
    ?assertEqual(nomatch, re:run(Text, "[\\x1b\\r]")).

run(Name, Args) ->
    File = filename:join([fixture:srcdir(), "examples", Name]),
    Output = os:cmd("escript " ++ File ++ " " ++ Args ++ " 2>&1; echo \"=$?\""),
    tap:note("~ts", [Output]),
    ?assert(lists:suffix("=0\n", Output)),
    Output.

says(Text, Patterns) ->
    [?assertMatch({{match, _}, _}, {re:run(Text, Pattern, [unicode]), Pattern})
     || Pattern <- Patterns].
