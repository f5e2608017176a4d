%% SPDX-License-Identifier: Apache-2.0
%%
%% How a context is opened, and on which worker: its number goes with the request, so
%% that the worker can close it whatever becomes of the answer. A name is given to it
%% when it is open, and stays with it: whoever wants it asks whether it is open still.
-module(py_opening).

-export([open/1, find/2]).

-include("py.hrl").

%% As these options say.
-spec open(term()) -> {ok, #py_context{}} | {error, term()}.
open(Options) ->
    {More, Opts} = py_options:context(Options),
    Id = erlang:unique_integer([positive]),
    case open(Id, maps:get(idle, More, infinity), Opts) of
        {ok, Context} -> named(maps:get(name, More, none), Context);
        {error, _} = Error -> Error
    end.

%% On the worker of the other one, as a copy, if one is given; else on the worker that is
%% named, or where there are fewest.
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

%% Where its process is bound does not matter, unless that worker waits for it.
ask(Place, Ticket) ->
    #pool{name = Name} = py_request:pool(Ticket),
    case py_binding:home(Name) of
        {_, _, {within, _, _}} -> py_request:go(Ticket);
        _ when is_record(Place, py_context) -> py_request:go(Ticket);
        _ when is_tuple(Place) -> py_request:perform(py_request:unbound(Ticket), none);
        _ -> among_fewest([], py_request:unbound(Ticket))
    end.

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

%% ---------------------------------------------------------------------------
%% Names

named(none, Context) -> {ok, Context};
named(Name, #py_context{pool = Pool} = Context) -> named(py_pool_board:context(Pool, Name), Name, Context).

named(Old, Name, #py_context{pool = Pool, worker = Worker, id = Id, owner = Owner} = Context) ->
    case Old =/= none andalso is_open(Old) of
        true ->
            py_worker:let_go(Worker, {context, Id, Owner}),
            {error, {already_open, Old}};
        false ->
            case py_pool_board:set_context(Pool, Name, Old, Context) of
                true -> {ok, Context};
                false -> named(Name, Context)
            end
    end.

%% The context of that name in a pool.
-spec find(atom(), atom()) -> {ok, #py_context{}} | {error, term()}.
find(PoolName, Name) ->
    py_pool_board:with_pool(PoolName, fun(Pool) ->
        Context = py_pool_board:context(Pool, Name),
        case Context =/= none andalso is_open(Context) of
            true -> {ok, Context};
            false -> {error, {no_context, Name}}
        end
    end).

%% Its worker knows. If that is busy, it has not said that it is not.
is_open(Context) ->
    Opts = #opts{pool = Context, wire = #{context => Context#py_context.id}},
    case py_request:run({eval, <<"None">>, #{}}, Opts) of
        {error, {badarg, _}} -> false;
        {error, {worker_exit, _}} -> false;
        _ -> true
    end.
