#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% A survey of Python's standard library by Python itself, in a pool of worker
%% processes: what is in it, what it costs, how memory comes back, how a leak is
%% found, how a limit holds, and what happens when one worker dies in the middle. Run
%% it with `make demo`; or with the application on ERL_LIBS:
%%
%%     escript examples/stdlib_survey.escript [--files N]
%%
%% The Python side is examples/survey.py.
-mode(compile).

main(Args) ->
    Started = now_ms(),
    io:setopts([{encoding, unicode}]),
    %% A worker's death is logged; here it is the show, and told below.
    ok = logger:set_primary_config(level, critical),
    ok = start(),
    Files = files(Args),
    Results = survey(Files),
    table(Results),
    memory(Files),
    hunt(Files),
    limits(),
    crash(Files, Results),
    ok = application:stop(py),
    say("~nAll of it took ~.1f s.", [(now_ms() - Started) / 1000]).

%% ---------------------------------------------------------------------------
%% Starting: a pool is a size, a place for modules, and code to begin with.

start() ->
    ok = application:load(py),
    ok = application:set_env(py, python_path, here()),
    ok = application:set_env(py, init, <<"import survey">>),
    {ok, _} = application:ensure_all_started(py),
    {ok, Version} = py:version(),
    #{workers := Workers} = py:info(),
    say("Python ~ts", [hd(string:split(Version, " "))]),
    say("~b workers, processes ~ts", [length(Workers), pids(Workers)]).

here() ->
    filename:dirname(escript:script_name()).

pids(Workers) ->
    lists:join(", ", [integer_to_list(OsPid) || #{os_pid := OsPid} <- Workers]).

%% Some systems pack the library without its tests; then the packages that are
%% installed beside it are surveyed too.
files(Args) ->
    {ok, #{<<"library">> := Library, <<"packages">> := Packages}} =
        py:call(survey, files, []),
    Files = case length(Library) of
        Many when Many > 1000 -> Library;
        Few -> Library ++ lists:sublist(Packages, max(0, 1500 - Few))
    end,
    Chosen = spread(Files, wanted(Args, length(Files))),
    Own = length([File || File <- Chosen, lists:member(File, Library)]),
    say("~b files: ~b of the standard library, ~b of packages installed beside it~n",
        [length(Chosen), Own, length(Chosen) - Own]),
    Chosen.

wanted(["--files", N], All) -> min(list_to_integer(N), All);
wanted([], All) -> All.

%% So many of them, evenly from large to small.
spread(Files, Wanted) ->
    All = list_to_tuple(Files),
    [element(1 + N * tuple_size(All) div Wanted, All) || N <- lists:seq(0, Wanted - 1)].

%% ---------------------------------------------------------------------------
%% The survey: a few more callers than workers, each takes the next file.

survey(Files) ->
    Show = progress(length(Files)),
    {Us, Results} = timer:tc(fun() -> each(Files, survey, Show) end),
    say("surveyed in ~.2f s", [Us / 1_000_000]),
    [Result || {ok, Result} <- Results].

%% Calls survey:Function for all files; results in the files' order.
each(Files, Function, Show) ->
    each(Files, fun(_, File) -> py:call(survey, Function, [File]) end, Show, 2 * size()).

each(Files, Ask, Show, Callers) ->
    Main = self(),
    All = list_to_tuple(Files),
    Next = atomics:new(1, []),
    [spawn_link(fun() -> caller(Main, Next, All, Ask) end) || _ <- lists:seq(1, Callers)],
    collect(tuple_size(All), 0, Show, []).

caller(Main, Next, All, Ask) ->
    case atomics:add_get(Next, 1, 1) of
        N when N =< tuple_size(All) ->
            Main ! {done, N, Ask(N, element(N, All))},
            caller(Main, Next, All, Ask);
        _ ->
            ok
    end.

collect(All, All, _, Results) ->
    [Result || {_, Result} <- lists:sort(Results)];
collect(All, Done, Show, Results) ->
    receive
        {done, N, Result} ->
            Show(Done + 1, Result),
            collect(All, Done + 1, Show, [{N, Result} | Results])
    end.

size() ->
    length(maps:get(workers, py:info())).

%% ---------------------------------------------------------------------------
%% Progress: one line that is written over on a terminal, else a few lines.

progress(All) ->
    case is_terminal() of
        true -> fun(Done, Result) -> bar(Done, All, Result) end;
        false -> fun(Done, _) -> quarter(Done, All) end
    end.

is_terminal() ->
    case {file:read_link("/proc/self/fd/1"), os:getenv("TERM", "dumb")} of
        {_, "dumb"} -> false;
        {{ok, "/dev/pts/" ++ _}, _} -> true;
        {{ok, "/dev/tty" ++ _}, _} -> true;
        _ -> false
    end.

bar(Done, All, Result) when Done rem 10 =:= 0; Done =:= All ->
    Full = 30 * Done div All,
    Name = case Result of
        {ok, #{<<"file">> := File}} -> filename:basename(File);
        _ -> <<>>
    end,
    io:format("\r\e[K  ~ts~ts ~b/~b  ~ts",
              [lists:duplicate(Full, $█), lists:duplicate(30 - Full, $░), Done, All, Name]),
    Done =:= All andalso io:format("\r\e[K");
bar(_, _, _) ->
    ok.

quarter(Done, All) ->
    Quarter = fun(N) -> 4 * N div All end,
    Quarter(Done) > Quarter(Done - 1) andalso say("  ~b of ~b files", [Done, All]).

%% ---------------------------------------------------------------------------
%% The table: packages with the most lines, all together, the slowest files.

table(Results) ->
    Good = [R || #{<<"lines">> := _} = R <- Results],
    Groups = maps:groups_from_list(fun package/1, Good),
    Rows = lists:reverse(lists:keysort(3, [row(Name, Of) || {Name, Of} <- maps:to_list(Groups)])),
    {Large, Small} = lists:split(min(10, length(Rows)), Rows),
    say("~n~-20ts~7ts~10ts~11ts~9ts~9ts",
        ["package", "files", "lines", "functions", "methods", "classes"]),
    [print_row(Row) || Row <- Large],
    Small =:= [] orelse print_row(sum(io_lib:format("~b others", [length(Small)]), Small)),
    print_row(sum("all", Rows)),
    broken(length(Results) - length(Good)),
    slowest(Good).

%% The folder or module at the top: .../json/decoder.py is json's.
package(#{<<"file">> := File}) ->
    Parts = filename:split(File),
    IsRoot = fun(Part) -> re:run(Part, "^python3|-packages$") =/= nomatch end,
    Behind = lists:dropwhile(fun(Part) -> not IsRoot(Part) end, Parts),
    case [Part || Part <- Behind, not IsRoot(Part)] of
        [Module] -> filename:rootname(Module);
        [Folder | _] -> Folder;
        [] -> <<"?">>
    end.

row(Name, Of) ->
    Sum = fun(Key) -> lists:sum([maps:get(Key, R) || R <- Of]) end,
    {Name, length(Of), Sum(<<"lines">>), Sum(<<"functions">>), Sum(<<"methods">>),
     Sum(<<"classes">>)}.

sum(Name, Rows) ->
    Sum = fun(N) -> lists:sum([element(N, Row) || Row <- Rows]) end,
    {Name, Sum(2), Sum(3), Sum(4), Sum(5), Sum(6)}.

print_row({Name, Files, Lines, Functions, Methods, Classes}) ->
    say("~-20ts~7b~10b~11b~9b~9b", [Name, Files, Lines, Functions, Methods, Classes]).

broken(0) -> ok;
broken(N) -> say("(~b files are broken on purpose, for tests of the parser)", [N]).

slowest(Good) ->
    say("~nslowest files", []),
    Slow = lists:reverse(lists:sort([{Ms, File} || #{<<"ms">> := Ms, <<"file">> := File} <- Good])),
    [say("~8.1f ms  ~ts", [Ms, File]) || {Ms, File} <- lists:sublist(Slow, 5)].

%% ---------------------------------------------------------------------------
%% Memory: each worker as the kernel sees it, after it was given work that
%% leaves garbage which only the collector can free, and then much that is free
%% but that Python's and C's allocators keep. A pool gives that back by itself
%% when its workers are idle; here it is asked to.

memory(Files) ->
    Large = sample(Files, 60, 15),
    ok = py:exec_all(<<"import gc\ngc.disable()">>),
    {ok, Nodes} = py:parallel([{survey, tangle, [Large]} || _ <- lists:seq(1, size())]),
    {ok, #{workers := Before}} = py:memory_stats(),
    {ok, Collected} = py:gc(),
    {ok, #{workers := After}} = py:memory_stats(),
    {ok, Returned} = py:trim(),
    {ok, #{workers := Left}} = py:memory_stats(),
    ok = py:exec_all(<<"gc.enable()">>),
    say("~nmemory, after trees of ~b nodes that hold each other were dropped",
        [lists:sum(Nodes)]),
    say("  ~-20ts~14ts~14ts~14ts", ["worker", "before", "after gc", "after trim"]),
    [say("  process ~-12b~11.1f MB~11.1f MB~11.1f MB",
         [OsPid, mb(Rss), mb(rss(OsPid, After)), mb(rss(OsPid, Left))])
     || #{os_pid := OsPid, rss := Rss} <- Before],
    say("  gc collected ~b objects, trim gave ~.1f MB back", [Collected, mb(Returned)]).

rss(OsPid, Workers) ->
    hd([Rss || #{os_pid := P, rss := Rss} <- Workers, P =:= OsPid]).

mb(Bytes) -> Bytes / 1_000_000.

%% Some files behind the first 20th, or 4th, which are the largest.
sample(Files, Part, Number) ->
    lists:sublist(Files, 1 + length(Files) div Part, Number).

%% ---------------------------------------------------------------------------
%% A leak is hunted: three functions run in a pool that sums up what calls cost, and
%% one of them keeps what it makes. Which one, and at which line?

hunt(Files) ->
    {ok, _} = py:start_pool(billed, #{size => 2, bill => true, python_path => here(),
                                      init => <<"import survey">>}),
    [{ok, _} = py:call(survey, Function, [File], #{}, #{pool => billed})
     || File <- sample(Files, 4, 15), Function <- [survey, keep, longest]],
    {ok, [#{what := {Module, Leaking}} | _] = Rows} = py_mem:top(billed, memory),
    say("~nthree functions have parsed 15 files each, and one of them leaks", []),
    say("  ~-20ts~8ts~12ts~12ts~14ts", ["function", "calls", "half below", "all below", "left behind"]),
    [say("  ~-20ts~8b~9.1f ms~9.1f ms~11b kB", [Name, Calls, P50 / 1000, P99 / 1000, Growth div 1000])
     || #{what := {_, Name}, calls := Calls, p50 := P50, p99 := P99, growth := Growth} <- Rows],
    named(Module, Leaking, hd(sample(Files, 4, 15))),
    ok = py:stop_pool(billed).

%% The function by itself, in a worker of its own, with the same file again and again.
named(Module, Function, File) ->
    {leak, #{kind := Kind, bytes_per_call := Bytes, sites := Sites}} =
        py_mem:leak_test(Module, Function, [File], #{pool => billed, runs => 40, warmup => 5}),
    say("  ~ts.~ts leaks ~b bytes at each call (~p), of a file of ~b:",
        [Module, Function, Bytes, Kind, filelib:file_size(File)]),
    [say("    ~8b bytes  ~ts", [Own, lists:join(" > ", [place(Frame) || Frame <- Frames])])
     || #{bytes_per_call := Own, frames := Frames} <- Sites].

place(#{file := File, line := Line, function := Function}) ->
    io_lib:format("~ts (~ts:~b)", [Function, filename:basename(File), Line]).

%% ---------------------------------------------------------------------------
%% Limits, in a pool of its own: what Python takes too much of is a MemoryError, and
%% its worker goes on; what C code takes is seen from outside, and costs the worker.

limits() ->
    {ok, _} = py:start_pool(limited, #{size => 1, python_path => here(),
                                       memory => #{heap => 50_000_000, rss => 150_000_000}}),
    say("~na worker with at most 50 MB of Python's heap and 150 MB in all", []),
    [attempt(What, Function) || {What, Function} <- [{"a list of ten million texts", hoard},
                                                     {"300 MB taken by C code", leak}]],
    ok = py:stop_pool(limited).

attempt(What, Function) ->
    In = #{pool => limited},
    {ok, Before} = py:call(os, getpid, [], #{}, In),
    {error, Reason} = py:call(survey, Function, [], #{}, In),
    {ok, After} = py:call(os, getpid, [], #{}, In),
    say("  ~ts: ~0tp", [What, Reason]),
    say("    the next call: ~ts", [fate(Before, After)]).

%% ---------------------------------------------------------------------------
%% The crash: one call in the middle of the second survey reads address 0.

crash(Files, Results) ->
    Some = lists:sublist(Files, 50, 150),
    Half = length(Some) div 2,
    #{workers := Before} = py:info(),
    say("~nThe same again for ~b files, and in the middle one worker segfaults.", [length(Some)]),
    Ask = fun(N, File) when N =:= Half -> {py:call(survey, crash, [File]), 1};
             (_, File) -> ask(File, 0)
          end,
    Answers = each(Some, Ask, fun(_, _) -> ok end, length(Before)),
    {Crashed, _} = lists:nth(Half, Answers),
    After = when_whole(100),
    say("  the call that crashed: ~0tp", [Crashed]),
    say("  asked again, having been with that worker: ~b",
        [lists:sum([Again || {{ok, _}, Again} <- Answers])]),
    untouched(Answers, Results),
    workers(Before, After).

%% The workers, once the successor has started.
when_whole(Tries) ->
    #{workers := Workers} = py:info(),
    case [Worker || #{os_pid := OsPid} = Worker <- Workers, is_integer(OsPid)] of
        Workers -> Workers;
        _ when Tries > 0 -> timer:sleep(50), when_whole(Tries - 1)
    end.

%% A request that was with the worker that died is not lost: it gets an error
%% that says so, and whether to ask again is the caller's to decide.
ask(File, Again) ->
    case py:call(survey, survey, [File]) of
        {error, {worker_exit, _}} when Again < 5 -> ask(File, Again + 1);
        Result -> {Result, Again}
    end.

untouched(Answers, Results) ->
    Known = maps:from_list([{File, maps:remove(<<"ms">>, R)}
                            || #{<<"file">> := File} = R <- Results]),
    Same = [ok || {{ok, #{<<"file">> := File} = R}, _} <- Answers,
                  maps:remove(<<"ms">>, R) =:= maps:get(File, Known)],
    Expected = length(Answers) - 1,
    say("  other results, the same as before: ~b of ~b, untouched", [length(Same), Expected]),
    length(Same) =:= Expected orelse error(results_differ).

workers(Before, After) ->
    Was = maps:from_list([{Id, OsPid} || #{id := Id, os_pid := OsPid} <- Before]),
    [say("  worker ~p: ~ts", [Id, fate(maps:get(Id, Was), OsPid)])
     || #{id := Id, os_pid := OsPid} <- After],
    say("  the node: process ~ts, running all the while", [os:getpid()]).

fate(OsPid, OsPid) -> io_lib:format("process ~b, untouched", [OsPid]);
fate(Old, New) -> io_lib:format("process ~b is dead, ~p has taken its place", [Old, New]).

%% ---------------------------------------------------------------------------

say(Format, Args) ->
    io:format(Format ++ "~n", Args).

now_ms() ->
    erlang:monotonic_time(millisecond).
