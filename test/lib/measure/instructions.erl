%% SPDX-License-Identifier: Apache-2.0
%%
%% How many instructions the program runs for a request, counted by valgrind: a
%% busy machine does not change them. What is counted lies between two requests at
%% which valgrind writes down what it has (`listen', which nothing else here uses).
-module(instructions).

-export([available/0, rows/0, count/1, build/0, table/0, renew/0]).
-export_type([row/0]).

-type row() :: atom().

%% Requests ahead of the counted ones: what is found, compiled, allocated once.
-define(WARM, 30).
%% Counted requests; and counted lists of so many items.
-define(REQUESTS, 200).
-define(LISTS, 50).
-define(ITEMS, 200).

-define(MARK, "op_listen").
-define(LIMIT, 120_000).

%% Whether instructions can be counted here, and are those of an ordinary build.
-spec available() -> ok | {no, unicode:chardata()}.
available() ->
    Flags = os:getenv("PYPORT_CFLAGS", "-O2"),
    Rules = [{os:find_executable("valgrind") =:= false, "there is no valgrind"},
             {os:getenv("PYPORT_SANITIZERS", "") =/= "", "the program is built with sanitizers"},
             {string:find(Flags, "--coverage") =/= nomatch, "the program is built for coverage"},
             {string:find(Flags, "-O2") =:= nomatch, "the program is not compiled with -O2"}],
    case [Why || {true, Why} <- Rules] of
        [] -> ok;
        [Why | _] -> {no, Why}
    end.

%% Each row: for one request, or for one item of a list that goes there and back.
-spec rows() -> [row()].
rows() ->
    [Row || {Row, _, _, _} <- table_of_requests()].

table_of_requests() ->
    [request(call, {call, operator, add, [1, 2], #{}}),
     request(kwargs, {call, builtins, dict, [], #{a => 1, b => 2}}),
     request(eval, {eval, <<"1 + 1">>, #{}}),
     request(eval_locals, {eval, <<"x * y">>, #{x => 2, y => 3}}),
     request(exec, {exec, <<"x = 1">>}),
     request(error, {eval, <<"1 / 0">>, #{}}),
     request(memory_stats, memory_stats),
     request(gc, {gc, 0}),
     item(int, fun(I) -> 1000 + I end),
     item(big_int, fun(I) -> (1 bsl 79) + I end),
     item(float, fun(I) -> I + 0.5 end),
     item(text, fun(I) -> <<"text ", (integer_to_binary(I))/binary>> end),
     item(map, fun(I) -> #{id => I, name => <<"name">>} end)].

request(Row, Op) -> {Row, Op, ?REQUESTS, ?REQUESTS}.

item(Row, Item) ->
    List = [Item(I) || I <- lists:seq(1, ?ITEMS)],
    {Row, {eval, <<"x">>, #{x => List}}, ?LISTS, ?LISTS * ?ITEMS}.

%% What each of these rows takes.
-spec count([row()]) -> #{row() => pos_integer()}.
count(Rows) ->
    Dir = fixture:tmpdir(),
    Wanted = [Request || {Row, _, _, _} = Request <- table_of_requests(), lists:member(Row, Rows)],
    Port = open(Dir),
    [run(Port, Request) || Request <- Wanted],
    ok = close(Port),
    Counts = maps:from_list(
               [{Row, counted(Dir, N) div Times}
                || {N, {Row, _, _, Times}} <- lists:zip(lists:seq(1, length(Wanted)), Wanted)]),
    ok = file:del_dir_r(Dir),
    Counts.

%% The order in which Python's sets and dicts have their items does not vary.
open(Dir) ->
    Args = ["--tool=callgrind", "--cache-sim=no", "--dump-before=" ?MARK, "--quiet",
            "--callgrind-out-file=" ++ filename:join(Dir, "counts"), fixture:program()],
    open_port({spawn_executable, os:find_executable("valgrind")},
              [{args, Args}, {packet, 4}, binary, exit_status, {env, [{"PYTHONHASHSEED", "0"}]}]).

%% Its last words are a file, too.
close(Port) ->
    raw:send(Port, quit),
    {exit_status, 0} = raw:recv(Port, ?LIMIT),
    ok.

run(Port, {_, Op, Requests, _}) ->
    repeat(Port, Op, ?WARM),
    mark(Port),
    repeat(Port, Op, Requests),
    mark(Port).

repeat(Port, Op, Times) ->
    [ask(Port, Op) || _ <- lists:seq(1, Times)].

mark(Port) ->
    {_, ok} = ask(Port, {listen, false, 0}).

ask(Port, Op) ->
    raw:send(Port, {1, Op}),
    raw:recv(Port, ?LIMIT).

%% Each row has two marks; what was counted up to the second is its own.
counted(Dir, N) ->
    {ok, Text} = file:read_file(filename:join(Dir, "counts." ++ integer_to_list(2 * N))),
    {match, [Sum]} = re:run(Text, "^(?:totals|summary): (\\d+)", [multiline, {capture, [1], binary}]),
    binary_to_integer(Sum).

%% ---------------------------------------------------------------------------
%% The table

%% What the numbers depend on, by which the table has them: "3.11.2 static, gcc 12".
-spec build() -> string().
build() ->
    Compiler = hd(string:lexemes(os:getenv("PYPORT_CC", "gcc"), " ")),
    said(fixture:python() ++ " -c 'import platform; print(platform.python_version())'") ++ " "
        ++ os:getenv("PYPORT_LINK", "static") ++ ", " ++ filename:basename(Compiler) ++ " " ++ hd(string:lexemes(said(Compiler ++ " -dumpversion"), ".")).

said(Command) ->
    string:trim(os:cmd(Command)).

%% The numbers of this build, if there are any.
-spec table() -> {ok, #{row() => pos_integer()}} | none.
table() ->
    case lists:keyfind(build(), 1, tables()) of
        {_, Table} -> {ok, Table};
        false -> none
    end.

tables() ->
    {ok, Tables} = file:consult(file()),
    Tables.

file() ->
    filename:join([os:getenv("top_srcdir", "."), "test", "program", "instructions.table"]).

%% Counts anew for this build, and writes the table. Says what has changed.
-spec renew() -> ok.
renew() ->
    ok = available(),
    New = count(rows()),
    Old = case table() of {ok, Table} -> Table; none -> #{} end,
    [io:format("~-14s~8s~8b~n", [Row, shown(Row, Old), maps:get(Row, New)]) || Row <- rows()],
    Tables = lists:keystore(build(), 1, tables(), {build(), New}),
    ok = file:write_file(file(), [head() | [lines(Entry) || Entry <- lists:sort(Tables)]]).

shown(Row, Table) ->
    case Table of
        #{Row := N} -> integer_to_list(N);
        #{} -> "-"
    end.

head() ->
    "%% SPDX-License-Identifier: Apache-2.0\n"
    "%% Instructions for a request, or an item there and back, by versions of Python and\n"
    "%% the compiler. Made by `make instructions'.\n".

lines({Build, Table}) ->
    Rows = [[atom_to_list(Row), " => ", integer_to_list(maps:get(Row, Table))] || Row <- rows()],
    io_lib:format("{~p, #{~n    ~ts~n}}.~n", [Build, lists:join(",\n    ", Rows)]).
