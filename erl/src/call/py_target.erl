%% SPDX-License-Identifier: Apache-2.0
%%
%% Which workers are meant: those of a pool together, one of them, or each of
%% them by itself.
-module(py_target).

-export([run/3]).
-export_type([target/0, answer/0]).

-include("py.hrl").

-type target() :: (Pool :: atom())
                | {Pool :: atom(), Id :: pos_integer()}
                | {Pool :: atom(), all}.
%% What is said of one worker, of a pool, or of each worker.
-type answer() :: term().

%% Asks the workers that are meant. A pool's answer is made of all their results;
%% one worker's is its result; each worker's comes with its id.
-spec run(target(),
          Ask :: fun((#pool{}, [py_pool_board:worker()]) -> py_fanout:results()),
          Together :: fun((#pool{}, py_fanout:results()) -> answer())) ->
          answer() | {error, {no_pool, atom()} | {no_worker, {atom(), pos_integer()}}}.
run({Name, all}, Ask, _) when is_atom(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) ->
        Results = Ask(Pool, py_pool_board:workers(Pool)),
        {ok, [{Id, Result} || {{Id, _, _}, Result} <- Results]}
    end);
run({Name, Id}, Ask, _) when is_atom(Name), is_integer(Id), Id > 0 ->
    py_pool_board:with_pool(Name, fun(Pool) ->
        one(Ask, Pool, [Worker || {N, _, _} = Worker <- py_pool_board:workers(Pool), N =:= Id], Id)
    end);
run(Name, Ask, Together) when is_atom(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) ->
        Together(Pool, Ask(Pool, py_pool_board:workers(Pool)))
    end);
run(Other, _, _) ->
    py_options:badarg(Other, "not a pool's name, {Pool, Id} or {Pool, all}").

one(Ask, Pool, [Worker], _) ->
    [{_, Result}] = Ask(Pool, [Worker]),
    Result;
one(_, #pool{name = Name}, [], Id) ->
    {error, {no_worker, {Name, Id}}}.
