%% SPDX-License-Identifier: Apache-2.0
%%
%% How the memory of workers has changed since they were started, and what may
%% come of it.
-module(py_mem_history).

-export([history/2, of_worker/4]).

-include("py.hrl").

%% From samples that are at most Last milliseconds old.
-spec history(py_target:target(), Last :: timeout()) -> py_target:answer().
history(Target, Last) ->
    py_target:run(Target, fun(Pool, Workers) -> ask(Pool, Workers, Last) end, fun together/2).

ask(Pool, Workers, Last) ->
    case py_pool_sampler:histories(Pool, [Pid || {_, Pid, _} <- Workers]) of
        {ok, Histories} ->
            Now = py_time:now_ms(),
            [{Worker, {ok, (of_worker(maps:get(Pid, Histories, []), py_pool_board:limits(Pool, Pid),
                                      Last, Now))#{id => Id, os_pid => OsPid}}}
             || {Id, Pid, OsPid} = Worker <- Workers];
        {error, _} = Error ->
            [{Worker, Error} || Worker <- Workers]
    end.

together(_, Results) ->
    case py_fanout:all_ok(Results) of
        ok ->
            Workers = [Worker || {_, {ok, Worker}} <- Results],
            {ok, #{workers => Workers, slope => lists:sum([N || #{slope := N} <- Workers])}};
        {error, _} = Error ->
            Error
    end.

%% What a worker's samples say now. Pure.
-spec of_worker([py_pool_history:sample()], py_pool_limit:limits(), Last :: timeout(),
                Now :: integer()) -> map().
of_worker(Samples, Limits, Last, Now) ->
    %% An atom (infinity) is greater than any number.
    Recent = [Sample || {At, _} = Sample <- Samples, Now - At =< Last],
    Seen = #{samples => [{Now - At, Rss} || {At, Rss} <- Recent]},
    case py_pool_history:slope(Recent) of
        {ok, Slope} -> reaches(Limits, lists:last(Recent), Now, Seen#{slope => Slope});
        unknown -> Seen
    end.

reaches(#{rss := Limit}, {At, Rss}, Now, #{slope := Slope} = Seen)
  when is_integer(Limit), Slope > 0 ->
    Left = 1000 * (Limit - Rss) div Slope - (Now - At),
    Seen#{limit => Limit, reaches_limit_in => max(0, Left)};
reaches(#{rss := Limit}, _, _, Seen) when is_integer(Limit) ->
    Seen#{limit => Limit};
reaches(_, _, _, Seen) ->
    Seen.
