%% SPDX-License-Identifier: Apache-2.0
%%
%% Which workers are meant: those of a pool together, one of them, or each of
%% them by itself.
-module(py_target).

-export([run/3, is_target/1, check/1, expected/0, pool/1, each/1]).
-export_type([target/0, answer/0]).

-include("py.hrl").

-type target() :: (Pool :: atom())
                | {Pool :: atom(), Id :: pos_integer()}
                | {Pool :: atom(), all}.
%% What is said about one worker, about a pool, or about each worker.
-type answer() :: term().

-spec is_target(term()) -> boolean().
is_target({Name, all}) -> is_atom(Name);
is_target({Name, Id}) -> is_atom(Name) andalso is_integer(Id) andalso Id > 0;
is_target(Name) -> is_atom(Name).

%% Raises error:badarg if it is not a target.
-spec check(term()) -> true.
check(Target) ->
    is_target(Target) orelse py_options:must_be(Target, "the target", expected()).

%% What it may be, for errors.
-spec expected() -> string().
expected() ->
    "a pool's name, {Pool, Id} or {Pool, all}".

%% The pool whose workers these are.
-spec pool(target() | #py_context{} | #py_handle{} | {context, Pool :: atom(), Name :: atom()}) -> atom().
pool(#py_context{pool = #pool{name = Name}}) -> Name;
pool(#py_handle{at = {Name, _}}) -> Name;
pool({context, Name, _}) -> Name;
pool({Name, _}) -> Name;
pool(Name) -> Name.

%% Asks the workers that are meant. A pool's answer is made of all their results;
%% one worker's is its result; each worker's comes with its id.
-spec run(target(),
          Ask :: fun((#pool{}, [py_pool_board:worker()]) -> py_fanout:results()),
          Together :: fun((#pool{}, py_fanout:results()) -> answer())) ->
          answer() | {error, {no_pool | not_started, atom()} | {no_worker, {atom(), pos_integer()}}}.
run(Target, Ask, Together) ->
    check(Target),
    py_pool_board:with_pool(pool(Target), fun(Pool) -> run(Target, Pool, Ask, Together) end).

run({_, all}, Pool, Ask, _) -> each(Ask(Pool, py_pool_board:workers(Pool)));
run({_, Id}, Pool, Ask, _) -> one(Ask, Pool, py_pool_board:worker(Pool, Id), Id);
run(_, Pool, Ask, Together) -> Together(Pool, Ask(Pool, py_pool_board:workers(Pool))).

%% What each worker says by itself.
-spec each(py_fanout:results()) -> {ok, [{pos_integer(), py_result:result()}]}.
each(Results) ->
    {ok, [{Id, Result} || {{Id, _, _}, Result} <- Results]}.

one(Ask, Pool, [Worker], _) ->
    [{_, Result}] = Ask(Pool, [Worker]),
    Result;
one(_, #pool{name = Name}, [], Id) ->
    {error, {no_worker, {Name, Id}}}.
