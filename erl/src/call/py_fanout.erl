%% SPDX-License-Identifier: Apache-2.0
%%
%% One request to many workers of a pool at the same time.
-module(py_fanout).

-export([send/2, send/4, answers/2, collect/2, ask/4, ask_and_exit/4, all_ok/1, sum/1]).
-export_type([sent/0, results/0]).

-include("py.hrl").

-opaque sent() :: [{reference(), py_pool_board:worker()}].
-type results() :: [{py_pool_board:worker(), py_result:result()}].

%% How long after the deadline to wait for what the worker itself says (ms).
-define(MARGIN, 5).

%% Sends the request to these workers; each has to run it itself.
-spec send([py_pool_board:worker()], job | urgent, py_wire:op(), py_time:deadline()) ->
          sent().
send(Workers, Kind, Op, Deadline) ->
    {Arity, Body} = py_wire:body(Op, #{}),
    Req = #req{caller = self(), kind = Kind, what = py_wire:what(Op), recycle = false,
               arrival = erlang:monotonic_time(microsecond), deadline = Deadline,
               arity = Arity, size = iolist_size(Body), body = py_secret:hide(Body)},
    send(Workers, Req).

-spec send([py_pool_board:worker()], #req{}) -> sent().
send(Workers, Req) ->
    [{send_one(Worker, Req#req{bound = true}), Row} || {_, Worker, _} = Row <- Workers].

send_one(Worker, Req) ->
    py_ask:ask(Worker, fun(From) -> py_worker:request(Worker, Req#req{reply_to = From}) end).

%% Every worker's result, in the order in which they were given.
-spec collect(sent(), py_time:deadline()) -> results().
collect(Sent, Deadline) ->
    [{Row, py_result:result(told(Answer))} || {Row, Answer} <- answers(Sent, Deadline)].

told(again) -> {error, {worker_exit, shutdown}};
told(Answer) -> Answer.

%% What every worker has answered; `again' if it has not taken the request.
-spec answers(sent(), py_time:deadline()) -> [{py_pool_board:worker(), py_result:answer()}].
answers(Sent, Deadline) ->
    [{Row, answer(py_ask:await_until(ReplyTo, later(Deadline)))} || {ReplyTo, Row} <- Sent].

answer(timeout) -> {error, timeout};
answer(Outcome) -> py_result:answer(Outcome).

later(infinity) -> infinity;
later(Deadline) -> Deadline + ?MARGIN.

%% Sends the request and collects the results.
-spec ask([py_pool_board:worker()], job | urgent, py_wire:op(), py_time:deadline()) ->
          results().
ask(Workers, Kind, Op, Deadline) ->
    collect(send(Workers, Kind, Op, Deadline), Deadline).

%% The same for a process of its own, which ends with {asked, Results}.
-spec ask_and_exit([py_pool_board:worker()], job | urgent, py_secret:secret(py_wire:op()),
                   py_time:deadline()) -> no_return().
ask_and_exit(Workers, Kind, Secret, Deadline) ->
    exit({asked, ask(Workers, Kind, py_secret:show(Secret), Deadline)}).

%% ok when each is, leaving out workers that ended (their successors make up
%% for it) unless that is all of them; else the first error.
-spec all_ok(results()) -> ok | {error, term()}.
all_ok(Results) ->
    {Exits, Others} = lists:partition(fun is_exit/1, [Result || {_, Result} <- Results]),
    case {[Error || {error, _} = Error <- Others], Others, Exits} of
        {[Error | _], _, _} -> Error;
        {[], [], [Exit | _]} -> Exit;
        _ -> ok
    end.

is_exit({error, {worker_exit, _}}) -> true;
is_exit(_) -> false.

%% The sum of {ok, N}s. A worker that ended has nothing to add.
-spec sum(results()) -> {ok, integer()} | {error, term()}.
sum(Results) ->
    case all_ok(Results) of
        ok -> {ok, lists:sum([N || {_, {ok, N}} <- Results])};
        {error, _} = Error -> Error
    end.
