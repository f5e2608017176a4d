%% SPDX-License-Identifier: Apache-2.0
%%
%% What is known about the node that is watched, and what of that is shown: changed by
%% answers and by keys. Pure.
-module(py_top_state).

-export([new/1, key/2, questions/1, heard/4, failed/2, rows/1, chosen/1, pool/1, samples/2, rate/2]).
-export_type([state/0, key/0, row/0]).

-type key() :: char() | up | down | page_up | page_down | home | 'end' | enter | escape | quit | other.
-type view() :: workers | worker | functions | help.
-type sort() :: rss | growth | rate | limit | name.
-type worker_key() :: {Pool :: atom(), Id :: pos_integer()}.
%% A worker of an overview, with its pool.
-type row() :: #{pool := atom(), id := pos_integer(), state := atom(), calls := non_neg_integer(),
                 _ => _}.
-type state() :: #{node := node(), view := view(), sort := sort(), only := all | atom(),
                   chosen := none | worker_key(), by := memory | time | calls,
                   pools := [map()], samples := #{pos_integer() => [{integer(), pos_integer()}]},
                   rates := #{worker_key() => non_neg_integer()}, looked := none | integer(),
                   seeded := [atom()], stack := none | term(), details := none | map(),
                   functions := none | term(), trouble := none | string(), paused := boolean()}.

%% How far back samples go (ms), and how many rows a page has.
-define(LAST, 60_000).
-define(PAGE, 10).

-spec new(node()) -> state().
new(Node) ->
    #{node => Node, view => workers, sort => rss, only => all, chosen => none, by => memory,
      pools => [], samples => #{}, rates => #{}, looked => none, seeded => [],
      stack => none, details => none, functions => none, trouble => none, paused => false}.

%% ---------------------------------------------------------------------------
%% What is asked, and what was heard

%% What to ask now: one thing a second; while the user looks into a busy worker, also
%% its stack. New pools are asked once for their last minute.
-spec questions(state()) -> [{Tag :: term(), py_top_node:question()}].
questions(#{paused := true}) -> [];
questions(#{view := functions, by := By} = S) ->
    [{functions, {py_mem, top, [pool(S), By, #{top => 100}]}}];
questions(#{pools := Pools, seeded := Seeded} = S) ->
    [{overview, {py_mem, overview, []}}]
        ++ [{{history, Name}, {py_mem, history, [Name, #{last => ?LAST}]}}
            || #{name := Name} <- Pools, not lists:member(Name, Seeded)]
        ++ stack(S, chosen(S)).

stack(#{view := worker}, {ok, #{pool := Pool, id := Id, state := busy}}) ->
    [{stack, {py, stack, [{Pool, Id}]}}];
stack(_, _) ->
    [].

%% The pool whose functions are shown.
-spec pool(state()) -> atom().
pool(#{only := all} = S) ->
    case chosen(S) of
        {ok, #{pool := Pool}} -> Pool;
        none -> default
    end;
pool(#{only := Only}) -> Only.

%% An answer, at a time (ms).
-spec heard(Tag :: term(), Answer :: term(), integer(), state()) -> state().
heard(overview, Pools, Now, S) ->
    add_samples(Now, rates(Now, Pools, S#{trouble => none, stack => none}));
heard({history, Name}, {ok, #{workers := Workers}}, Now, #{seeded := Seeded} = S) ->
    lists:foldl(fun(History, T) -> seed(History, Now, T) end, S#{seeded => [Name | Seeded]}, Workers);
heard({history, Name}, _, _, #{seeded := Seeded} = S) ->
    S#{seeded => [Name | Seeded]};
heard(stack, Answer, _, S) ->
    S#{stack => Answer};
heard(functions, Answer, _, S) ->
    S#{functions => Answer, trouble => none};
heard(details, {ok, Details}, _, S) ->
    S#{details => Details};
heard(details, _, _, S) ->
    S.

%% There was no answer.
-spec failed(string(), state()) -> state().
failed(Why, S) ->
    S#{trouble => Why}.

rates(Now, Pools, #{looked := Before, pools := Old} = S) ->
    Calls = maps:from_list([{who(Row), maps:get(calls, Row)} || Row <- rows_of(Old)]),
    S#{pools => Pools, looked => Now,
       rates => maps:from_list([{key_of(Row), per_second(Row, Calls, Before, Now)}
                                || Row <- rows_of(Pools)])}.

%% This very program: its successor has the same number and begins anew.
who(#{os_pid := OsPid} = Row) -> {key_of(Row), OsPid};
who(Row) -> {key_of(Row), none}.

key_of(#{pool := Pool, id := Id}) -> {Pool, Id}.

per_second(_, _, none, _) -> 0;
per_second(#{calls := Calls} = Row, Old, Before, Now) ->
    max(0, (Calls - maps:get(who(Row), Old, Calls)) * 1000 div max(1, Now - Before)).

add_samples(Now, #{pools := Pools, samples := Old} = S) ->
    S#{samples => maps:from_list(
                    [{OsPid, [{Now, Rss} | recent(Now, maps:get(OsPid, Old, []))]}
                     || #{os_pid := OsPid, rss := Rss} <- rows_of(Pools)])}.

recent(Now, Samples) ->
    lists:takewhile(fun({At, _}) -> Now - At =< ?LAST end, Samples).

%% The samples that we have are newer.
seed(#{os_pid := OsPid, samples := Seen}, Now, #{samples := Samples} = S) ->
    Own = maps:get(OsPid, Samples, []),
    Older = [{Now - Ago, Rss} || {Ago, Rss} <- lists:reverse(Seen), Own =:= [] orelse
                                     Now - Ago < element(1, lists:last(Own))],
    S#{samples => Samples#{OsPid => Own ++ Older}}.

%% ---------------------------------------------------------------------------
%% What is shown

%% The workers in their order.
-spec rows(state()) -> [row()].
rows(#{pools := Pools, only := Only, sort := Sort} = S) ->
    Rows = [Row || #{pool := Pool} = Row <- rows_of(Pools), Only =:= all orelse Only =:= Pool],
    Keyed = lists:sort([{order(Sort, Row, S), key_of(Row), Row} || Row <- Rows]),
    [Row || {_, _, Row} <- Keyed].

rows_of(Pools) ->
    [Worker#{pool => Name} || #{name := Name, workers := Workers} <- Pools, Worker <- Workers].

order(name, _, _) -> 0;
order(rate, Row, S) -> -rate(Row, S);
order(limit, Row, _) ->
    case py_mem_figure:used(Row) of
        {Thousandths, _} -> -Thousandths;
        none -> 0
    end;
order(Key, Row, _) -> -maps:get(Key, Row, 0).

%% The worker that was chosen, or the first one.
-spec chosen(state()) -> {ok, row()} | none.
chosen(#{chosen := Chosen} = S) ->
    Rows = rows(S),
    case {[Row || Row <- Rows, key_of(Row) =:= Chosen], Rows} of
        {[Row], _} -> {ok, Row};
        {[], [First | _]} -> {ok, First};
        {[], []} -> none
    end.

%% Its memory in the last minute, the newest first.
-spec samples(row(), state()) -> [{At :: integer(), Rss :: pos_integer()}].
samples(#{os_pid := OsPid}, #{samples := Samples}) -> maps:get(OsPid, Samples, []);
samples(_, _) -> [].

%% Its calls in a second.
-spec rate(row(), state()) -> non_neg_integer().
rate(Row, #{rates := Rates}) ->
    maps:get(key_of(Row), Rates, 0).

%% ---------------------------------------------------------------------------
%% Keys

-spec key(key(), state()) -> {ok, state()} | {ask, Tag :: term(), py_top_node:question(), state()} | quit.
key(quit, _) -> quit;
key($q, #{view := workers}) -> quit;
key(Key, #{view := help} = S) when Key =:= $q; Key =:= escape; Key =:= $h; Key =:= $? ->
    {ok, S#{view => workers}};
key(Key, S) when Key =:= $q; Key =:= escape -> {ok, S#{view => workers, details => none}};
key(Key, S) when Key =:= $h; Key =:= $? -> {ok, S#{view => help}};
key($p, #{paused := Paused} = S) -> {ok, S#{paused => not Paused}};
key($\t, #{only := Only, pools := Pools} = S) ->
    {ok, S#{only => next(Only, [all | [Name || #{name := Name} <- Pools]]), functions => none}};
key($f, #{view := functions, by := By} = S) ->
    {ok, S#{by => next(By, [memory, time, calls]), functions => none}};
key($f, S) -> {ok, S#{view => functions, functions => none}};
key($d, #{view := worker} = S) -> details(chosen(S), S);
key(enter, #{view := workers} = S) -> look_into(chosen(S), S);
key(Key, #{view := View} = S) when View =:= workers; View =:= worker ->
    {ok, choose(Key, sort(Key, S))};
key(_, S) -> {ok, S}.

next(One, All) ->
    case lists:dropwhile(fun(Other) -> Other =/= One end, All) of
        [_, Next | _] -> Next;
        _ -> hd(All)
    end.

look_into({ok, Row}, S) -> {ok, S#{view => worker, chosen => key_of(Row), details => none}};
look_into(none, S) -> {ok, S}.

details({ok, Row}, S) ->
    {ask, details, {py, memory_stats, [key_of(Row), #{detail => true}]}, S};
details(none, S) -> {ok, S}.

sort($m, S) -> S#{sort => rss};
sort($g, S) -> S#{sort => growth};
sort($c, S) -> S#{sort => rate};
sort($l, S) -> S#{sort => limit};
sort($n, S) -> S#{sort => name};
sort(_, S) -> S.

choose(Key, S) ->
    case moved(Key) of
        none -> S;
        By -> choose_by(By, rows(S), S)
    end.

moved(Key) when Key =:= up; Key =:= $k -> -1;
moved(Key) when Key =:= down; Key =:= $j -> 1;
moved(page_up) -> -?PAGE;
moved(page_down) -> ?PAGE;
moved(home) -> -1_000_000;
moved('end') -> 1_000_000;
moved(_) -> none.

choose_by(_, [], S) ->
    S;
choose_by(By, Rows, S) ->
    {ok, Now} = chosen(S),
    Before = length(lists:takewhile(fun(Row) -> key_of(Row) =/= key_of(Now) end, Rows)),
    N = max(0, min(length(Rows) - 1, Before + By)),
    S#{chosen => key_of(lists:nth(N + 1, Rows)), details => none, stack => none}.
