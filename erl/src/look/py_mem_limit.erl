%% SPDX-License-Identifier: Apache-2.0
%%
%% The limits of workers: changing them while they run, and how far away they are.
-module(py_mem_limit).

-export([set/2, show/2]).

-include("py.hrl").

%% Sets some limits of the option `memory'; the others stay. A pool's name also
%% means its future workers. These get no limit that a worker has refused: they
%% could not start.
-spec set(py_target:target(), term()) -> py_target:answer().
set(Target, Limits) ->
    case py_pool_options:limits(Limits) of
        {ok, Checked} -> set_checked(Target, Checked);
        {error, Complaint} -> py_options:badarg(Limits, Complaint)
    end.

set_checked(Name, Limits) when is_atom(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) ->
        Workers = py_pool_board:workers(Pool),
        case py_fanout:all_ok(set_now(Pool, Workers, Limits)) of
            ok -> keep(Pool, Workers, Limits);
            {error, _} = Error -> Error
        end
    end);
set_checked(_, #{budget := _} = Limits) ->
    py_options:badarg(Limits, "budget is a pool's, not some workers': give the pool's name");
set_checked(Target, Limits) ->
    py_target:run(Target, fun(Pool, Workers) -> set_now(Pool, Workers, Limits) end,
                  fun(_, Results) -> py_fanout:all_ok(Results) end).

%% Some may have become live meanwhile.
keep(Pool, Done, Limits) ->
    case py_pool:set(Pool, {set_memory, Limits}) of
        {ok, Workers} -> py_fanout:all_ok(set_now(Pool, Workers -- Done, Limits));
        {error, _} = Error -> Error
    end.

%% Every worker's result, ok or an error.
set_now(Pool, Workers, Limits) ->
    case refused(Pool, Limits) of
        none -> [set_one(Pool, Limits, Result) || Result <- ask(Pool, Workers, Limits)];
        {error, _} = Error -> [{Worker, Error} || Worker <- Workers]
    end.

refused(Pool, Limits) ->
    case py_pool:info(Pool) of
        #{options := #{memory := Started}} -> why(py_os_limit:refused(Limits, Started));
        {error, _} = Error -> Error
    end.

why(none) -> none;
why(Why) -> {error, Why}.

ask(#pool{timeout = Timeout} = Pool, Workers, Limits) ->
    Deadline = py_time:deadline(Timeout),
    lists:foldl(fun(Op, Results) -> ask_next(Pool, Op, Deadline, Results) end,
                [{Worker, ok} || Worker <- Workers], py_os_limit:ops(Limits)).

%% Asks the workers that have done the previous part. One that has not answered in
%% time does it as soon as it can.
ask_next(Pool, {_, Part} = Op, Deadline, Results) ->
    {Fine, Failed} = lists:partition(fun({_, Result}) -> Result =:= ok end, Results),
    Next = py_fanout:ask([Worker || {Worker, ok} <- Fine], urgent, Op, Deadline),
    [py_pool_board:change_limits(Pool, Pid, Part) || {{_, Pid, _}, {error, timeout}} <- Next],
    lists:keysort(1, Next ++ Failed).

set_one(Pool, Limits, {{_, Pid, _}, ok} = Result) ->
    py_pool_board:change_limits(Pool, Pid, Limits),
    Result;
set_one(_, _, Result) ->
    Result.

%% ---------------------------------------------------------------------------
%% Distance

%% A worker's statistics with its limits, and what is left of those whose use is
%% known.
-spec show(py_os_limit:limits(), map()) -> map().
show(Limits, Stats) ->
    Used = maps:merge(maps:with([rss, address_space, data], Stats),
                      maps:merge(heap(Stats), py_os_cgroup:used(Limits))),
    (maps:without([address_space, data], Stats))#{limits => py_os_limit:shown(Limits),
                                                  left => py_os_limit:left(Used, Limits)}.

%% It is only there with details.
heap(#{heap := #{current := Bytes}}) -> #{heap => Bytes};
heap(_) -> #{}.
