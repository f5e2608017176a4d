%% SPDX-License-Identifier: Apache-2.0
%%
%% Messages to Python: the way of one from its sender to the box of a worker or of a
%% context (py_talk_inbox).
-module(py_message).

-export([send/2]).

-include("py.hrl").

%% How long to wait for a worker that is not live yet (ms).
-define(PAUSE, 1).

-spec send(term(), term()) -> ok | {error, term()}.
send(#py_context{pool = Pool, worker = Worker, id = Id}, Term) ->
    send(Pool, Worker, Id, Term);
send({Name, Id} = To, Term) when is_atom(Name), is_integer(Id), Id > 0 ->
    py_pool_board:with_pool(Name, fun(Pool) ->
        case py_pool_board:worker(Pool, Id) of
            [{_, Worker, _}] -> again(send(Pool, Worker, worker, Term), To, Term);
            [] -> {error, {no_worker, {Name, Id}}}
        end
    end);
send(Other, _) ->
    py_options:must_be(Other, "the receiver", "{Pool, Id} or a context").

%% One that was only just made known may not be live yet.
again(again, To, Term) -> timer:sleep(?PAUSE), send(To, Term);
again(Answer, _, _) -> Answer.

send(Pool, Worker, Box, Term) ->
    case py_ask:call(Worker, fun(From) -> py_worker:mail(Worker, {inbox, From, Box}) end) of
        {answer, {ok, Inbox}} -> sent(py_talk_inbox:send(Inbox, Box, Term), Pool, Worker);
        {answer, Refused} -> sent(Refused, Pool, Worker);
        {down, _} -> sent(down, Pool, Worker)
    end.

sent(down, Pool, Worker) -> {error, {worker_exit, py_pool_board:why_died(Pool, Worker)}};
sent(closed, _, _) -> {error, {badarg, <<"the context is closed">>}};
sent(Answer, _, _) -> Answer.
