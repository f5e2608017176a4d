%% SPDX-License-Identifier: Apache-2.0
%%
%% Many workers' results as one. Pure.
-module(py_mem_stats).

-export([memory/1, sum/1, all_ok/1]).

%% A pool's memory, of its workers' own maps: what their collectors did is
%% summed, the fullest counts are shown, the thresholds are the first one's;
%% traced bytes are there while somebody traces.
-spec memory([map()]) -> map().
memory(Workers) ->
    Answered = [Worker || #{gc_count := _} = Worker <- Workers],
    Base = #{gc_stats => generations([Stats || #{gc_stats := Stats} <- Answered]),
             gc_count => lists:max([{0, 0, 0} | values(gc_count, Answered)]),
             gc_threshold => first(values(gc_threshold, Answered)),
             workers => Workers},
    lists:foldl(fun(Key, Stats) -> traced(Key, values(Key, Answered), Stats) end,
                Base, [traced_memory_current, traced_memory_peak]).

values(Key, Maps) ->
    [Value || #{Key := Value} <- Maps].

first([Value | _]) -> Value;
first([]) -> {0, 0, 0}.

generations([]) ->
    lists:duplicate(3, maps:from_keys([<<"collected">>, <<"collections">>,
                                       <<"uncollectable">>], 0));
generations([First | Rest]) ->
    lists:foldl(fun(Stats, Sum) -> lists:zipwith(fun add/2, Stats, Sum) end, First, Rest).

add(A, B) ->
    maps:merge_with(fun(_, X, Y) -> X + Y end, A, B).

traced(_, [], Stats) -> Stats;
traced(Key, Values, Stats) -> Stats#{Key => lists:sum(Values)}.

%% The sum of {ok, N}s. A worker that ended has nothing to add.
-spec sum([py_result:result()]) -> {ok, integer()} | {error, term()}.
sum(Results) ->
    case all_ok(Results) of
        ok -> {ok, lists:sum([N || {ok, N} <- Results])};
        {error, _} = Error -> Error
    end.

%% ok when each is, leaving out workers that ended (their successors make up
%% for it) unless that is all of them; else the first error.
-spec all_ok([py_result:result()]) -> ok | {error, term()}.
all_ok(Results) ->
    {Exits, Others} = lists:partition(fun is_exit/1, Results),
    case {[Error || {error, _} = Error <- Others], Others, Exits} of
        {[Error | _], _, _} -> Error;
        {[], [], [Exit | _]} -> Exit;
        _ -> ok
    end.

is_exit({error, {worker_exit, _}}) -> true;
is_exit(_) -> false.
