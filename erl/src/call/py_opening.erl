%% SPDX-License-Identifier: Apache-2.0
%%
%% How a context is opened, and on which worker: its number goes with the request, so
%% that the worker can close it whatever becomes of the answer.
-module(py_opening).

-export([open/3]).

-include("py.hrl").

%% Opens one of this number: a copy on the worker of the other one, if one is given, else
%% on the worker that is named, or where there are fewest.
-spec open(pos_integer(), Idle :: timeout(), #opts{}) -> {ok, #py_context{}} | {error, term()}.
open(Id, Idle, #opts{pool = Place} = Opts) ->
    case py_request:prepare(job, op(Id, Place), Opts) of
        {ok, Ticket} ->
            {Worker, Answer} = ask(Place, py_request:opening(Id, Idle, Ticket)),
            case py_result:result(Answer) of
                ok -> {ok, #py_context{pool = py_request:pool(Ticket), worker = Worker, id = Id,
                                       owner = self(), idle = Idle}};
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

op(Id, #py_context{id = From}) -> {context_open, Id, From};
op(Id, _) -> {context_open, Id}.

ask(#py_context{}, Ticket) -> py_request:go(Ticket);
ask({_, _}, Ticket) -> py_request:perform(py_request:unbound(Ticket), none);
ask(_, Ticket) -> among_fewest([], py_request:unbound(Ticket)).

%% A worker that is full is not the last one to be asked: another may just have closed
%% one.
among_fewest(Full, Ticket) ->
    case fewest(Full, py_request:pool(Ticket)) of
        {Slot, Worker, _} ->
            case py_request:perform_on(Worker, Ticket) of
                {_, {error, {overloaded, contexts, _}}} -> among_fewest([Slot | Full], Ticket);
                Outcome -> Outcome
            end;
        none ->
            py_request:perform(Ticket, none)
    end.

%% Nobody overtakes those who wait in the queue.
fewest(Full, Pool) ->
    case py_pool_load:has_waiting(Pool) orelse py_pool_load:claim_context(Pool, Full) of
        {ok, Slot} -> hd(py_pool_board:worker(Pool, Slot) ++ [none]);
        _ -> none
    end.
