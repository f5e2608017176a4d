%% SPDX-License-Identifier: Apache-2.0
%%
%% How many instructions the program runs for a request, counted by valgrind: a
%% busy machine does not change them. What is counted lies between two requests at
%% which valgrind writes down what it has (`listen', which nothing else here uses).
-module(instructions).

-export([available/0, rows/0, count/0, count/1, python/0, table/0, table_file/0, growth/2]).
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

%% What it takes to count here; why it cannot be done.
-spec available() -> ok | {no, unicode:chardata()}.
available() ->
    case {os:find_executable("valgrind"), os:getenv("PYPORT_SANITIZERS", "")} of
        {false, _} -> {no, "there is no valgrind"};
        {_, ""} -> ok;
        {_, Names} -> {no, ["the program is built with sanitizers: ", Names]}
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

-spec count() -> #{row() => pos_integer()}.
count() ->
    count(rows()).

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

%% The version by which the table has its rows: "3.11.2".
-spec python() -> string().
python() ->
    string:trim(os:cmd(fixture:python() ++ " -c 'import platform; print(platform.python_version())'")).

-spec table_file() -> file:filename().
table_file() ->
    filename:join([os:getenv("top_srcdir", "."), "test", "program", "instructions.table"]).

%% By version.
-spec table() -> #{string() => #{row() => pos_integer()}}.
table() ->
    {ok, Versions} = file:consult(table_file()),
    maps:from_list(Versions).

%% The rows that have grown by more than so many percent.
-spec growth({map(), map()}, number()) -> [{row(), pos_integer(), pos_integer()}].
growth({Before, Now}, Percent) ->
    [{Row, Old, New} || {Row, Old} <- lists:sort(maps:to_list(Before)),
                        New <- [maps:get(Row, Now)], New * 100 > Old * (100 + Percent)].
