#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa bench/lib -pa bench/report
%%
%% bench.escript [check | compare]: what pyport costs, beside floors measured in the same run
%% (bench/README.md). Run it with `make bench', `make bench-check' (which fails if a goal is
%% missed) or `make bench-compare' (with the peers in ERL_LIBS).
%%
%% ROWS=call,eval: these rows. ROW_SECONDS=4: for each row. RESULTS=folder. TABLE=module: another
%% table of rows.
-mode(compile).

main(Args) ->
    io:setopts([{encoding, unicode}]),
    ok = logger:set_primary_config(level, error),
    {Rows, Sides, Seconds} = {rows(), sides(Args), seconds()},
    Machine = with_python(fun bench_machine:facts/0),
    Head = [bench_text:machine(Machine), "\n", bench_text:head()],
    io:put_chars(Head),
    Findings = bench_run:all(Rows, Sides, Seconds, fun tell/1),
    Last = ["\n", bench_text:failures(Findings)],
    io:put_chars(Last),
    Folder = folder(),
    ok = filelib:ensure_path(Folder),
    write(Folder, "results.txt", [Head, [bench_text:line(Finding) || Finding <- Findings], Last]),
    write(Folder, "results.json", with_python(fun() -> bench_json:text(Machine, Findings) end)),
    draw(Folder, Findings),
    halt(code(Args, Findings)).

%% What was asked for and is not there.
-spec no(unicode:chardata()) -> no_return().
no(Why) ->
    io:put_chars(standard_error, ["bench: ", Why, "\n"]),
    halt(2).

rows() ->
    Table = list_to_atom(os:getenv("TABLE", "bench_rows")),
    case bench_rows:chosen(Table:table(), string:lexemes(os:getenv("ROWS", ""), ", ")) of
        {ok, Rows} -> Rows;
        {error, {unknown, Names}} -> no(["there are no rows ", lists:join(", ", Names)])
    end.

sides(["compare"]) ->
    case bench_sides:peers() of
        [] -> no("neither erlport nor erlang_python is in ERL_LIBS");
        Peers -> [floor, pyport | Peers]
    end;
sides(_) ->
    [floor, pyport].

%% "4" and "0.5".
seconds() ->
    Text = os:getenv("ROW_SECONDS", "4"),
    case erl_scan:string(Text) of
        {ok, [{_, _, Seconds}], _} when is_number(Seconds) -> Seconds;
        _ -> no(["ROW_SECONDS is not a number: ", Text])
    end.

tell(Finding) ->
    io:put_chars(bench_text:line(Finding)).

%% One worker, for what Python does for the report.
with_python(Fun) ->
    {_, Result} = bench_stage:fresh(1, Fun),
    Result.

folder() ->
    os:getenv("RESULTS", filename:join([os:getenv("top_builddir", "."), "bench", "results"])).

write(Folder, Name, Text) ->
    File = filename:join(Folder, Name),
    ok = file:write_file(File, unicode:characters_to_binary(Text)),
    io:put_chars([File, "\n"]).

draw(Folder, Findings) ->
    Said = case bench_plots:draw(Folder, Findings) of
        {ok, Names} -> [[Name, "\n"] || Name <- Names];
        {error, Why} -> ["no pictures: ", Why, "\n"]
    end,
    io:put_chars(Said).

code(["check"], Findings) ->
    case [missed || #{verdict := missed} <- Findings] of
        [] -> 0;
        _ -> 1
    end;
code(_, _) ->
    0.
