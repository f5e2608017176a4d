%% SPDX-License-Identifier: Apache-2.0
%%
%% How a context is opened, and on which worker: its number goes with the request, so
%% that the worker can close it whatever becomes of the answer. Then the code of its
%% option `init' runs in it, before anybody else has it.
-module(py_opening).

-export([open/1, find/2, close/1, placed/2]).

-include("py.hrl").

%% As these options say.
-spec open(term()) -> {ok, #py_context{}} | {error, term()}.
open(Options) ->
    {More, #opts{pool = Place} = Opts} = py_options:context(Options),
    py_pool_board:with_open(py_target:pool(Place), fun(#pool{name = PoolName} = Pool) ->
        Timeout = py_time:left(py_request:deadline(Opts, Pool)),
        Make = fun(Ms) -> make(More, Opts#opts{timeout = Ms}) end,
        case maps:get(name, More, none) of
            none -> Make(Timeout);
            Name -> py_named:open(PoolName, Name, Timeout, Make)
        end
    end).

%% What is copied may have been opened anew meanwhile.
make(More, #opts{pool = {context, _, _}} = Opts) ->
    placed(Opts, fun(Placed) -> make_there(More, Placed#opts{wire = #{}}) end);
make(More, #opts{pool = #py_context{} = From, timeout = Timeout} = Opts) ->
    Deadline = py_time:deadline(Timeout),
    case py_named:current(From, Timeout) of
        {ok, Current} -> make_there(More, Opts#opts{pool = Current, timeout = py_time:left(Deadline)});
        {error, _} = Error -> Error
    end;
make(More, Opts) ->
    make_there(More, Opts).

make_there(More, #opts{timeout = Timeout} = Opts) ->
    Deadline = py_time:deadline(Timeout),
    Id = erlang:unique_integer([positive]),
    case open(Id, maps:get(idle, More, infinity), Opts) of
        {ok, Context} -> start(lists:enumerate(maps:get(init, More, [])), Context, Deadline);
        {error, _} = Error -> Error
    end.

start([], Context, _) ->
    {ok, Context};
start([{N, Code} | Rest], #py_context{id = Id} = Context, Deadline) ->
    File = <<"<init ", (integer_to_binary(N))/binary, ">">>,
    Wire = #{context => Id, traceback => true, filename => File},
    case py_request:run({exec, Code}, #opts{pool = Context, timeout = py_time:left(Deadline), wire = Wire}) of
        ok -> start(Rest, Context, Deadline);
        {error, Reason} -> close(Context), {error, {init, N, Reason}}
    end.

%% ---------------------------------------------------------------------------
%% Where it is

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
        _ -> among_fewest([], none, py_request:unbound(Ticket))
    end.

%% Where there are fewest, of those that take calls now. Only when all of these are full,
%% one that is busy is waited for.
among_fewest(Full, Last, Ticket) ->
    Pool = py_request:pool(Ticket),
    case fewest(Full, Pool) of
        {_, Worker, _} -> unless_full(py_request:perform_on(Worker, Ticket), Full, Ticket);
        none when Full =:= [] -> unless_full(py_request:perform(Ticket, none), Full, Ticket);
        none -> behind([Slot || {Slot, _, _} <- py_pool_board:workers(Pool)] -- Full, Full, Last, Ticket)
    end.

%% A worker that is full is not the last one to be asked. It may be another one than the
%% first, if that has become busy.
unless_full({Worker, {error, {overloaded, contexts, _}}} = Outcome, Full, Ticket) ->
    case [Slot || {Slot, Pid, _} <- py_pool_board:workers(py_request:pool(Ticket)), Pid =:= Worker] of
        [Slot] -> among_fewest([Slot | Full], Outcome, Ticket);
        [] -> Outcome
    end;
unless_full(Outcome, _, _) ->
    Outcome.

behind([], _, Last, _) ->
    Last;
behind([Slot | _], Full, Last, Ticket) ->
    case py_request:perform(py_request:at(Slot, Ticket), none) of
        {none, {error, {no_worker, _}}} -> Last;
        Outcome -> unless_full(Outcome, Full, Ticket)
    end.

%% Nobody overtakes those who wait in the queue.
fewest(Full, Pool) ->
    case py_pool_load:has_waiting(Pool) orelse py_pool_load:claim_context(Pool, Full) of
        {ok, Slot} -> hd(py_pool_board:worker(Pool, Slot) ++ [none]);
        _ -> none
    end.

%% ---------------------------------------------------------------------------
%% By its name

%% The context of that name in a pool.
-spec find(atom(), atom()) -> {ok, #py_context{}} | {error, term()}.
find(PoolName, Name) ->
    py_pool_board:with_pool(PoolName, fun(_) -> py_named:find(PoolName, Name, infinity) end).

%% What becomes of a request that names its context: that is found, or opened anew, in the
%% request's own time.
-spec placed(#opts{}, fun((#opts{}) -> Result)) -> Result | {error, term()}.
placed(#opts{pool = {context, PoolName, Name}, wire = Wire} = Opts, Fun) ->
    py_pool_board:with_open(PoolName, fun(Pool) ->
        Deadline = py_request:deadline(Opts, Pool),
        case py_named:find(PoolName, Name, py_time:left(Deadline)) of
            {ok, #py_context{id = Id} = Context} ->
                Fun(Opts#opts{pool = Context, timeout = py_time:left(Deadline),
                              wire = Wire#{context => Id}});
            {error, _} = Error ->
                Error
        end
    end).

%% Its worker drops its names, when it has done what it has by now.
-spec close(#py_context{}) -> ok.
close(#py_context{worker = Worker, id = Id, owner = Owner, name = Name} = Context) ->
    ok = py_worker:let_go(Worker, {context, Id, Owner}),
    Name =:= none orelse py_named:close(Context),
    ok.
