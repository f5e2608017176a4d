%% SPDX-License-Identifier: Apache-2.0
%%
%% Pools and their workers, as lines for people to read. Pure.
-module(py_mem_report).

-export([lines/1]).

-import(py_mem_figure, [known/3, counted/2, rss/1]).

%% Nobody reads more.
-define(MOST_GROWING, 5).

-spec lines([py_mem_overview:pool()]) -> [string()].
lines([]) ->
    ["no pool is running"];
lines(Pools) ->
    [summary(Pools)] ++ lists:flatmap(fun pool/1, Pools) ++ meanings(Pools).

summary(Pools) ->
    Workers = lists:append([Workers || #{workers := Workers} <- Pools]),
    text("~ts, ~ts, ~ts in memory",
         [counted("pool", Pools), counted("worker", Workers), rss(Workers)]).

pool(#{workers := Workers} = Pool) ->
    ["", head(Pool)] ++ happened(Pool) ++ [""] ++ table(Workers) ++ growing(Workers).

head(#{name := Name, workers := Workers, queue := #{waiting := Waiting}} = Pool) ->
    Busy = length([busy || #{state := busy} <- Workers]),
    text("~tp: ~ts, ~b busy, ~b ~ts, ~ts in memory~ts",
         [Name, counted("worker", Workers), Busy, Waiting,
          case Waiting of 1 -> "call waits"; _ -> "calls wait" end, rss(Workers), budget(Pool)]).

budget(#{memory := #{budget := {percent, N}}}) -> text(", budget ~b %", [N]);
budget(#{memory := #{budget := N}}) when is_integer(N) -> ", budget " ++ py_mem_figure:bytes(N);
budget(_) -> "".

%% What has been done about memory so far.
happened(#{recycled := Recycled, quarantined := Refused}) ->
    [text("recycled: ~ts", [join([text("~b by ~ts", [N, Key])
                                  || {Key, N} <- lists:sort(maps:to_list(Recycled))])])
     || map_size(Recycled) > 0]
        ++ [text("refused: ~ts", [join([what(What) || {What, _} <- Refused])])
            || Refused =/= []].

join(Texts) ->
    lists:join(", ", Texts).

what({Module, Function, Arity}) -> text("~ts:~ts/~b", [Module, Function, Arity]);
what(Operation) -> text("~ts", [Operation]).

table(Workers) ->
    [[$\s | Line]
     || Line <- py_mem_figure:columns(
                  [[right, right, left, right, right, right, right, right, left, left],
                   ["id", "os pid", "state", "calls", "rss", "peak", "growth", "/min",
                    "limit", "mostly"]
                   | [row(Worker) || Worker <- Workers]])].

row(#{id := Id, state := State, calls := Calls} = Worker) ->
    [integer_to_list(Id), os_pid(Worker), atom_to_list(State), integer_to_list(Calls),
     known(rss, fun py_mem_figure:bytes/1, Worker),
     known(peak, fun py_mem_figure:bytes/1, Worker),
     known(growth, fun py_mem_figure:change/1, Worker),
     known(slope, fun(Bytes) -> py_mem_figure:change(60 * Bytes) end, Worker),
     py_mem_figure:nearest(Worker),
     known(diagnosis, fun atom_to_list/1, Worker)].

os_pid(#{os_pid := OsPid}) when is_integer(OsPid) -> integer_to_list(OsPid);
os_pid(_) -> "".

%% Those that will reach a limit, the first one first.
growing(Workers) ->
    Soon = lists:sort([{Left, Id} || #{id := Id, reaches_limit_in := Left} <- Workers]),
    [text(" worker ~b, if it goes on like this, reaches its limit rss in ~ts",
          [Id, py_mem_figure:duration(Left)])
     || {Left, Id} <- lists:sublist(Soon, ?MOST_GROWING)].

%% What the words in the table mean, each once.
meanings(Pools) ->
    Words = lists:usort([Word || #{workers := Workers} <- Pools, #{diagnosis := Word} <- Workers]),
    [Line || Words =/= [], Line <- ["" | [meaning(Word) || Word <- Words]]].

meaning(python_objects) -> "python_objects: what objects take; py_mem:growth/1 says which";
meaning(fragmentation) -> "fragmentation: free, but in pieces; only a fresh worker gives it back";
meaning(freed_not_returned) -> "freed_not_returned: free, and kept by malloc; py:trim/1 gives it back";
meaning(c_heap) -> "c_heap: what C libraries take; nothing in Python gives it back";
meaning(children) -> "children: other processes that the worker has started".

text(Format, Args) ->
    py_mem_figure:visible(py_mem_figure:text(Format, Args)).
