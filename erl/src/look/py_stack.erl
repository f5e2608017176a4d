%% SPDX-License-Identifier: Apache-2.0
%%
%% What a worker's Python is doing right now.
-module(py_stack).

-export([of_worker/1]).
-export_type([worker/0]).

%% As py:info/1 shows it: its pid, its id in the default pool, or its pool and id.
%% A pool means each of its workers.
-type worker() :: pid() | pos_integer() | py_target:target().

%% How long the answer may take (ms).
-define(LIMIT, 90).

-spec of_worker(worker()) ->
          {ok, [map()]} | {ok, [{pos_integer(), {ok, [map()]} | {error, term()}}]}
        | {error, term()}.
of_worker(Pid) when is_pid(Pid) ->
    case find(Pid) of
        [Row] -> [{_, Result}] = ask([Row]), Result;
        [] -> {error, {no_worker, Pid}}
    end;
of_worker(Id) when is_integer(Id), Id > 0 ->
    of_worker({default, Id});
of_worker(Name) when is_atom(Name) ->
    of_worker({Name, all});
of_worker({_, _} = Target) ->
    py_target:run(Target, fun(_, Workers) -> ask(Workers) end, fun(_, Results) -> Results end);
of_worker(Other) ->
    py_options:must_be(Other, "the worker", ["a pid, an id, " | py_target:expected()]).

ask(Workers) ->
    Results = py_fanout:ask(Workers, urgent, stack, py_time:deadline(?LIMIT)),
    [{Worker, result(Result)} || {Worker, Result} <- Results].

%% While C code keeps the GIL, nobody sees the stack.
result({error, timeout}) -> {error, busy};
result(Result) -> Result.

find(Pid) ->
    [Row || Name <- py_pool_board:names(), {ok, Pool} <- [py_pool_board:find(Name)],
            {_, P, _} = Row <- py_pool_board:workers(Pool), P =:= Pid].
