%% SPDX-License-Identifier: Apache-2.0
%%
%% What allocated the memory that is in use, as tables for people to read: summed up by
%% line, file or traceback, filtered, merged over workers, compared. Pure.
-module(py_mem_sites).

-export([snapshot/3, is_snapshot/1, rows/2, diff/3, key/3, largest/2]).
-export_type([snapshot/0, options/0, row/0]).

%% What was in use then, in each worker. A site's frames are places in the tuple
%% `frames', the innermost one first, so that the term stays small wherever it goes.
-type snapshot() :: [#{id := pos_integer(), os_pid := pos_integer() | undefined,
                       frames := tuple(), sites := [site()]}].
-type site() :: {Frames :: [non_neg_integer()], Bytes :: non_neg_integer(),
                 Count :: non_neg_integer()}.
-type options() :: #{by := line | file | traceback, top := pos_integer(),
                     include := [binary()], exclude := [binary()]}.
-type row() :: #{bytes := integer(), count := integer(), workers := [pos_integer()], _ => _}.

%% What the program of one worker says.
-spec snapshot(pos_integer(), pos_integer() | undefined, map()) -> snapshot().
snapshot(Id, OsPid, #{frames := Frames, sites := Sites}) ->
    [#{id => Id, os_pid => OsPid, frames => list_to_tuple(Frames), sites => Sites}].

-spec is_snapshot(term()) -> boolean().
is_snapshot(Workers) when is_list(Workers) -> lists:all(fun is_worker/1, Workers);
is_snapshot(_) -> false.

is_worker(#{id := _, os_pid := _, frames := Frames, sites := Sites}) ->
    is_tuple(Frames) andalso is_list(Sites);
is_worker(_) ->
    false.

%% The largest first.
-spec rows(snapshot(), options()) -> [row()].
rows(Snapshot, #{top := Top} = Options) ->
    [row(Key, Sum) || {Key, Sum} <- largest(Top, sums(Snapshot, Options))].

%% What has grown most first; a worker that was replaced meanwhile does not count.
-spec diff(Before :: snapshot(), After :: snapshot(), options()) ->
          {ok, [row()]} | {error, no_worker_in_both}.
diff(Before, After, #{top := Top} = Options) ->
    case {both(Before, After), both(After, Before)} of
        {[], _} ->
            {error, no_worker_in_both};
        {Then, Now} ->
            Rows = changes(sums(Then, Options), sums(Now, Options)),
            {ok, [Row || {_, Row} <- lists:sublist(lists:reverse(lists:keysort(1, Rows)), Top)]}
    end.

both(Snapshot, Other) ->
    Known = [{Id, OsPid} || #{id := Id, os_pid := OsPid} <- Other],
    [Worker || #{id := Id, os_pid := OsPid} = Worker <- Snapshot,
               lists:member({Id, OsPid}, Known)].

changes(Then, Now) ->
    None = {0, 0, []},
    [{{Bytes - Had, Count - Were},
      (row(Key, Sum))#{bytes_diff => Bytes - Had, count_diff => Count - Were}}
     || Key <- maps:keys(maps:merge(Then, Now)),
        {Bytes, Count, _} = Sum <- [maps:get(Key, Now, None)],
        {Had, Were, _} <- [maps:get(Key, Then, None)],
        {Bytes, Count} =/= {Had, Were}].

%% ---------------------------------------------------------------------------

%% {Bytes, Count, Workers' ids} by what the options say.
sums(Snapshot, Options) ->
    Files = files(Options),
    lists:foldl(fun(Worker, Sums) -> add_worker(Worker, Options, Files, Sums) end, #{}, Snapshot).

add_worker(#{id := Id, frames := Frames, sites := Sites}, #{by := By}, Files, Sums) ->
    lists:foldl(fun({[Innermost | _] = Indexes, Bytes, Count}, Acc) ->
        case counts(element(Innermost + 1, Frames), Files) of
            true -> add(key(By, Indexes, Frames), Bytes, Count, Id, Acc);
            false -> Acc
        end
    end, Sums, Sites).

add(Key, Bytes, Count, Id, Sums) ->
    {SoFar, N, Ids} = maps:get(Key, Sums, {0, 0, []}),
    Sums#{Key => {SoFar + Bytes, N + Count, [Id | Ids -- [Id]]}}.

%% The N largest sums. A sum is a tuple that begins with bytes.
-spec largest(pos_integer(), #{Key => Sum}) -> [{Key, Sum}].
largest(Top, Sums) ->
    lists:sublist(lists:sort(fun({_, A}, {_, B}) -> A >= B end, maps:to_list(Sums)), Top).

%% What a site is summed up by: the beginning of a row.
-spec key(line | file | traceback, Indexes :: [non_neg_integer()], Frames :: tuple()) -> map().
key(line, [Index | _], Frames) -> element(Index + 1, Frames);
key(file, [Index | _], Frames) -> maps:with([file], element(Index + 1, Frames));
key(traceback, Indexes, Frames) ->
    #{frames => lists:reverse([element(Index + 1, Frames) || Index <- Indexes])}.

row(Key, {Bytes, Count, Ids}) ->
    Key#{bytes => Bytes, count => Count, workers => lists:sort(Ids)}.

%% ---------------------------------------------------------------------------
%% Files by patterns

files(#{include := Include, exclude := Exclude}) ->
    {[pattern(Text) || Text <- Include], [pattern(Text) || Text <- Exclude]}.

counts(#{file := File}, {Include, Exclude}) ->
    is_like(File, Include) andalso not is_like(File, Exclude).

is_like(File, Patterns) ->
    lists:any(fun(Pattern) -> re:run(File, Pattern, [{capture, none}]) =:= match end, Patterns).

%% Everything but `*' and `?' stands for itself.
pattern(Text) ->
    Quoted = re:replace(Text, "[^*?[:alnum:]_]", "\\\\&", [global, unicode, {return, binary}]),
    Any = binary:replace(Quoted, <<"*">>, <<".*">>, [global]),
    One = binary:replace(Any, <<"?">>, <<".">>, [global]),
    {ok, Compiled} = re:compile(["^", One, "$"], [unicode, dotall, dollar_endonly]),
    Compiled.
