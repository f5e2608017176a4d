%% SPDX-License-Identifier: Apache-2.0
%%
%% What a worker's Python is doing right now.
-module(py_stack).

-export([of_worker/1]).
-export_type([worker/0]).

%% As py:info/1 shows it: its pid, or its id (in the default pool).
-type worker() :: pid() | pos_integer() | {Pool :: atom(), pos_integer()}.

%% How long the answer may take (ms).
-define(LIMIT, 90).

-spec of_worker(worker()) -> {ok, [map()]} | {error, term()}.
of_worker(Worker) ->
    case find(Worker) of
        {ok, Row} ->
            Deadline = py_time:deadline(?LIMIT),
            [{_, Result}] = py_fanout:ask([Row], urgent, stack, Deadline),
            result(Result);
        none ->
            {error, no_worker}
    end.

%% C code that keeps the GIL keeps its stack to itself.
result({error, timeout}) -> {error, busy};
result(Result) -> Result.

find(Pid) when is_pid(Pid) ->
    first([Row || Name <- py_pool_board:names(), {_, P, _} = Row <- rows(Name), P =:= Pid]);
find(Id) when is_integer(Id), Id > 0 ->
    find({default, Id});
find({Name, Id}) when is_atom(Name), is_integer(Id), Id > 0 ->
    first([Row || {Slot, _, _} = Row <- rows(Name), Slot =:= Id]);
find(Other) ->
    py_options:badarg(Other, "neither a worker's pid nor its id").

rows(Name) ->
    case py_pool_board:with_pool(Name, fun py_pool_board:workers/1) of
        {error, _} -> [];
        Workers -> Workers
    end.

first([Row | _]) -> {ok, Row};
first([]) -> none.
