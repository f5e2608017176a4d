%% SPDX-License-Identifier: Apache-2.0
%%
%% A pool as its callers see it: who is there, without asking a process. How much
%% each has to do is py_pool_load's.
%%
%%   persistent_term {py, Name}   the #pool{} record, which never changes
%%   ets                          {Slot, Worker, OsPid} for each worker that is
%%                                ready, {pool, Pid}, {workers, Supervisor},
%%                                {sampler, Pid}, {supervisor, Whose, Pid},
%%                                {{program, Worker}, Slot, OsPid} for each
%%                                program from its start to its worker's end,
%%                                {version, Text}, {refused, Map}, {{said, What}},
%%                                {pace, what py_pool_load has seen},
%%                                {{memory, Slot}, what is known of it},
%%                                {{rest, Slot}, Worker, Calls} while this worker
%%                                has had nothing to do since that was known,
%%                                {{limits, Worker}, Map} from its start on,
%%                                {{dead, Worker}, Why, Culprit} for recent
%%                                deaths: whose call it was for which the program
%%                                had to be ended; {{told, Worker, Pid}, exit | timeout}
%%                                if this process heard of it by a message
-module(py_pool_board).

-export([new/2, publish/1, delete/1, find/1, open/1, refusal/1, names/0, with_pool/2, with_open/2]).
-export([set_supervisor/3, supervisor/1, set_process/3, pool/1, workers_sup/1, sampler/1, call/4]).
-export([join/4, leave/3, pick/1, workers/1, worker/2]).
-export([set_program/4, programs/1, forget_program/2]).
-export([set_refused/2, why_refused/2, is_first/2, forget_first/2]).
-export([set_version/2, version/1]).
-export([memory/2, update_memory/3, rest/4, rouse/2, resting/3]).
-export([set_limits/3, change_limits/3, limits/2]).
-export([died/3, died/4, forget_dead/2, has_died/2, may_be_worker/2, why_died/2, has_ended/3]).
-export([told/4, was_told/3]).
-export_type([worker/0]).

-include("py.hrl").

-type slot() :: pos_integer().
-type worker() :: {slot(), pid(), pos_integer() | undefined}.

%% ---------------------------------------------------------------------------
%% Pools

%% A pool that nobody knows yet. Its table belongs to the calling process.
-spec new(atom(), #{size := pos_integer(), timeout := timeout(), max_frame := pos_integer(),
                    interrupt_grace := non_neg_integer(), close_grace := non_neg_integer(),
                    drain := non_neg_integer(), max_queue := non_neg_integer(),
                    concurrency := pos_integer(), _ => _}) -> #pool{}.
new(Name, #{size := Size, timeout := Timeout, max_frame := MaxFrame, drain := Drain, max_queue := Max,
            concurrency := Concurrency, interrupt_grace := InterruptGrace, close_grace := CloseGrace} = Options) ->
    #pool{name = Name, size = Size, load = py_pool_load:new(Size), bills = bills(Options),
          table = ets:new(?MODULE, [public, {read_concurrency, true}]),
          timeout = Timeout, concurrency = Concurrency, max_frame = MaxFrame, drain = Drain,
          interrupt_grace = InterruptGrace, close_grace = CloseGrace,
          few = py_pool_load:few(Size), ahead = py_pool_load:ahead(Max), threads = maps:get(threads, Options, 1),
          refuses = maps:get(quarantine, Options, infinity) =/= infinity}.

%% From now on the pool is known by its name.
-spec publish(#pool{}) -> ok.
publish(#pool{name = Name} = Pool) -> persistent_term:put({py, Name}, Pool).

bills(#{bill := true}) -> ets:new(py_worker_bill, [public, {write_concurrency, true}]);
bills(_) -> none.

%% From now on the pool is not there any more.
-spec delete(atom()) -> ok.
delete(Name) ->
    _ = persistent_term:erase({py, Name}),
    ok.

-spec find(atom()) -> {ok, #pool{}} | {error, {no_pool | not_started, atom()}}.
find(Name) ->
    case persistent_term:get({py, Name}, none) of
        none -> missing(Name);
        Pool -> {ok, Pool}
    end.

%% There is no pool of this name, or there cannot be any.
missing(Name) ->
    {error, case whereis(py_sup) of undefined -> {not_started, py}; _ -> {no_pool, Name} end}.

%% The pool, if it takes new requests.
-spec open(atom()) -> {ok, #pool{}} | {error, {no_pool | stopping | not_started, atom()}}.
open(Name) ->
    case find(Name) of
        {ok, Pool} -> open(py_pool_load:is_stopping(Pool), Pool);
        {error, _} = Error -> Error
    end.

open(true, Pool) -> refusal(Pool);
open(false, Pool) -> {ok, Pool}.

%% Why the pool did not take a request: it is stopping, or part of it is dead. This is
%% known even of a pool that is gone.
-spec refusal(#pool{}) -> {error, {no_pool | stopping | not_started, atom()}}.
refusal(#pool{name = Name} = Pool) ->
    case py_pool_load:is_stopping(Pool) of
        true -> {error, {stopping, Name}};
        false -> missing(Name)
    end.

-spec names() -> [atom()].
names() ->
    [Name || {{py, Name}, #pool{}} <- persistent_term:get()].

%% What the fun makes of the pool of this name, if there is one.
-spec with_pool(atom(), fun((#pool{}) -> Result)) -> Result | {error, {no_pool | not_started, atom()}}.
with_pool(Name, Fun) ->
    case find(Name) of
        {ok, Pool} -> Fun(Pool);
        {error, _} = Error -> Error
    end.

%% The same, if the pool takes new requests.
-spec with_open(atom(), fun((#pool{}) -> Result)) ->
          Result | {error, {no_pool | stopping | not_started, atom()}}.
with_open(Name, Fun) ->
    case open(Name) of
        {ok, Pool} -> Fun(Pool);
        {error, _} = Error -> Error
    end.

%% ---------------------------------------------------------------------------
%% Who is there

-spec set_supervisor(#pool{}, own | linked, pid()) -> ok.
set_supervisor(Pool, Whose, Pid) -> insert(Pool, {supervisor, Whose, Pid}).

%% The supervisor of the pool of this name, while it is alive, and whether it is a
%% child of py_sup or belongs to whoever has started it.
-spec supervisor(atom()) -> {own | linked, pid()} | none.
supervisor(Name) ->
    case with_pool(Name, fun(Pool) -> lookup(Pool, supervisor) end) of
        [{_, Whose, Pid}] -> {Whose, Pid};
        _ -> none
    end.

%% A process of the pool that others ask.
-spec set_process(#pool{}, pool | workers | sampler, pid()) -> ok.
set_process(Pool, What, Pid) -> insert(Pool, {What, Pid}).

-spec pool(#pool{}) -> {ok, pid()} | {error, {no_pool | stopping | not_started, atom()}}.
pool(Pool) -> pid(Pool, pool).

pid(Pool, Key) ->
    case lookup(Pool, Key) of
        [{_, Pid}] -> {ok, Pid};
        [] -> refusal(Pool)
    end.

%% Calls one of these processes. One that ends, or has ended, refuses as the pool does.
-spec call({ok, pid()} | {error, term()}, #pool{}, term(), timeout()) -> term().
call({ok, Pid}, Pool, Request, Timeout) ->
    try
        gen_server:call(Pid, Request, Timeout)
    catch
        exit:_ -> refusal(Pool)
    end;
call({error, _} = Error, _, _, _) ->
    Error.

-spec workers_sup(#pool{}) -> {ok, pid()} | {error, {no_pool | stopping | not_started, atom()}}.
workers_sup(Pool) -> pid(Pool, workers).

-spec sampler(#pool{}) -> {ok, pid()} | {error, {no_pool | stopping | not_started, atom()}}.
sampler(Pool) -> pid(Pool, sampler).

-spec join(#pool{}, slot(), pid(), pos_integer() | undefined) -> ok.
join(Pool, Slot, Worker, OsPid) -> insert(Pool, {Slot, Worker, OsPid}).

%% The worker of this slot takes no more requests.
-spec leave(#pool{}, slot(), pid()) -> ok.
leave(Pool, Slot, Worker) ->
    delete_row(Pool, {limits, Worker}),
    case lookup(Pool, Slot) of
        [{_, Worker, _} = Row] ->
            py_pool_load:set_absent(Pool, Slot),
            delete_object(Pool, Row);
        _ ->
            ok
    end.

%% The worker with the least to do; full when no worker has room.
-spec pick(#pool{}) -> {ok, pid()} | full.
pick(Pool) ->
    case py_pool_load:pick(Pool) of {ok, Slot} -> pick(Pool, Slot); full -> full end.

pick(Pool, Slot) ->
    case lookup(Pool, Slot) of
        [{_, Worker, _}] ->
            ok = py_pool_load:claim(Pool, Slot),
            {ok, Worker};
        [] ->
            full
    end.

%% What sys.version is in the pool's Python.
-spec set_version(#pool{}, binary()) -> ok.
set_version(Pool, Version) -> insert(Pool, {version, Version}).

-spec version(#pool{}) -> {ok, binary()} | {error, no_worker}.
version(Pool) ->
    case value(Pool, version) of none -> {error, no_worker}; Version -> {ok, Version} end.

%% The workers that are ready, in the order of their slots.
-spec workers(#pool{}) -> [worker()].
workers(#pool{size = Size} = Pool) ->
    [Row || Slot <- lists:seq(1, Size), Row <- lookup(Pool, Slot)].

%% The worker of this slot, if it is ready.
-spec worker(#pool{}, slot()) -> [worker()].
worker(Pool, Slot) -> lookup(Pool, Slot).

%% A worker has started its program.
-spec set_program(#pool{}, slot(), pid(), pos_integer() | undefined) -> ok.
set_program(_, _, _, undefined) ->
    ok;
set_program(Pool, Slot, Worker, OsPid) ->
    insert(Pool, {{program, Worker}, Slot, OsPid}).

%% All of them: of workers that start, are ready, or have been replaced.
-spec programs(#pool{}) -> [{slot(), pid(), pos_integer()}].
programs(#pool{table = Table}) ->
    Rows = [{{{program, '$1'}, '$2', '$3'}, [], [{{'$2', '$1', '$3'}}]}],
    in_table(fun() -> ets:select(Table, Rows) end, []).

-spec forget_program(#pool{}, pid()) -> ok.
forget_program(Pool, Worker) -> delete_row(Pool, {program, Worker}).

%% ---------------------------------------------------------------------------
%% What is said only once, what is refused

%% Whether nobody has asked this before.
-spec is_first(#pool{}, What :: atom()) -> boolean().
is_first(#pool{table = Table}, What) ->
    in_table(fun() -> ets:insert_new(Table, {{said, What}}) end, false).

%% Whether somebody has asked that; the next one who asks is the first again.
-spec forget_first(#pool{}, What :: atom()) -> boolean().
forget_first(#pool{table = Table}, What) ->
    in_table(fun() -> ets:take(Table, {said, What}) =/= [] end, false).

%% From now on these are refused, and no others.
-spec set_refused(#pool{}, [{py_wire:what(), Why :: term()}]) -> ok.
set_refused(Pool, Refused) ->
    insert(Pool, {refused, maps:from_list(Refused)}).

-spec why_refused(#pool{}, py_wire:what()) -> Why :: term() | none.
why_refused(Pool, What) ->
    case lookup(Pool, refused) of
        [{_, #{What := Why}}] -> Why;
        _ -> none
    end.

%% ---------------------------------------------------------------------------
%% Memory

%% What is known of the memory of a slot's workers (py_worker_memory).
-spec memory(#pool{}, slot()) -> term() | none.
memory(Pool, Slot) -> value(Pool, {memory, Slot}).

value(Pool, Key) ->
    case lookup(Pool, Key) of
        [{_, Value}] -> Value;
        [] -> none
    end.

%% Changes it. Many may do so at once, and nothing is lost: if another was faster,
%% the fun is applied to what that one has left.
-spec update_memory(#pool{}, slot(), fun((Known) -> Known)) -> ok.
update_memory(Pool, Slot, Change) -> update(Pool, {memory, Slot}, Change).

update(Pool, Key, Change) ->
    Old = value(Pool, Key),
    case Change(Old) of
        Old -> ok;
        New -> replace(Pool, Key, Old, New) orelse update(Pool, Key, Change)
    end,
    ok.

%% A worker has nothing to do, after this many calls, and what is known of it holds
%% until it has something to do.
-spec rest(#pool{}, slot(), pid(), Calls :: non_neg_integer()) -> ok.
rest(Pool, Slot, Worker, Calls) -> insert(Pool, {{rest, Slot}, Worker, Calls}).

%% It has got something to do.
-spec rouse(#pool{}, slot()) -> ok.
rouse(Pool, Slot) -> delete_row(Pool, {rest, Slot}).

%% Whether this worker is at rest, and after how many calls.
-spec resting(#pool{}, slot(), pid()) -> {true, non_neg_integer()} | false.
resting(Pool, Slot, Worker) ->
    case lookup(Pool, {rest, Slot}) of
        [{_, Worker, Calls}] -> {true, Calls};
        _ -> false
    end.

replace(#pool{table = Table}, Key, none, New) ->
    in_table(fun() -> ets:insert_new(Table, {Key, New}) end, true);
replace(#pool{table = Table}, Key, Old, New) ->
    Swap = [{{Key, Old}, [], [{const, {Key, New}}]}],
    in_table(fun() -> ets:select_replace(Table, Swap) =:= 1 end, true).

%% What a worker's memory is limited to, as its program was started.
-spec set_limits(#pool{}, pid(), map()) -> ok.
set_limits(Pool, Worker, Limits) -> insert(Pool, {{limits, Worker}, Limits}).

%% Some of its limits have changed. A worker that is gone has none.
-spec change_limits(#pool{}, pid(), map()) -> ok.
change_limits(Pool, Worker, Changed) ->
    update(Pool, {limits, Worker}, fun(none) -> none; (Limits) -> maps:merge(Limits, Changed) end).

-spec limits(#pool{}, pid()) -> map().
limits(Pool, Worker) ->
    case value(Pool, {limits, Worker}) of
        none -> #{};
        Limits -> Limits
    end.

%% ---------------------------------------------------------------------------
%% Recent deaths

-spec died(#pool{}, pid(), term()) -> ok.
died(Pool, Worker, Why) -> died(Pool, Worker, Why, none).

-spec died(#pool{}, pid(), term(), Culprit :: pid() | none) -> ok.
died(Pool, Worker, Why, Culprit) ->
    insert(Pool, {{dead, Worker}, Why, Culprit}).

-spec forget_dead(#pool{}, pid()) -> ok.
forget_dead(#pool{table = Table} = Pool, Worker) ->
    _ = in_table(fun() -> ets:match_delete(Table, {{told, Worker, '_'}, '_'}) end, false),
    delete_row(Pool, {dead, Worker}).

%% Whether a worker has written down why it ended.
-spec has_died(#pool{}, pid()) -> boolean().
has_died(Pool, Worker) -> lookup(Pool, {dead, Worker}) =/= [].

%% Whether this process may be a worker of the pool's, alive or dead.
-spec may_be_worker(#pool{}, pid()) -> boolean().
may_be_worker(Pool, Pid) ->
    lookup(Pool, {limits, Pid}) =/= [] orelse has_died(Pool, Pid) orelse not is_process_alive(Pid).

%% Why a worker ended, if that is still remembered. A pool that was stopped has
%% shut its workers down.
-spec why_died(#pool{}, pid()) -> term().
why_died(#pool{table = Table}, Worker) ->
    case in_table(fun() -> ets:lookup(Table, {dead, Worker}) end, stopped) of
        [{_, Why, _}] -> Why;
        [] -> unknown;
        stopped -> shutdown
    end.

%% Whether it was a call of this process for which the worker had to be ended.
-spec has_ended(#pool{}, pid(), Culprit :: pid() | none) -> boolean().
has_ended(Pool, Worker, Culprit) ->
    Culprit =/= none andalso lists:keymember(Culprit, 3, lookup(Pool, {dead, Worker})).

%% This process gets a message that its worker has ended, or that it took too long. A
%% worker may live on after that for longer than many who got one.
-spec told(#pool{}, pid(), pid(), exit | timeout) -> ok.
told(#pool{table = Table} = Pool, Worker, Pid, What) ->
    Told = in_table(fun() -> ets:match(Table, {{told, Worker, '$1'}, '_'}) end, []),
    [delete_row(Pool, {told, Worker, Other}) || [Other] <- Told, not is_process_alive(Other)],
    insert(Pool, {{told, Worker, Pid}, What}).

%% Whether the end of the worker is no news for this process.
-spec was_told(#pool{}, pid(), pid() | none) -> boolean().
was_told(Pool, Worker, Pid) ->
    case value(Pool, {told, Worker, Pid}) of
        timeout -> has_ended(Pool, Worker, Pid);
        What -> What =:= exit
    end.

%% ---------------------------------------------------------------------------

%% A pool that has just been stopped has no table any more. Each call looks a row up, so
%% this makes no fun.
lookup(#pool{table = Table}, Key) ->
    try ets:lookup(Table, Key) catch error:badarg -> [] end.

insert(#pool{table = Table}, Row) ->
    _ = in_table(fun() -> ets:insert(Table, Row) end, false),
    ok.

delete_row(#pool{table = Table}, Key) ->
    _ = in_table(fun() -> ets:delete(Table, Key) end, false),
    ok.

%% Does nothing if another row has the key by now.
delete_object(#pool{table = Table}, Row) ->
    _ = in_table(fun() -> ets:delete_object(Table, Row) end, false),
    ok.

in_table(Access, Otherwise) ->
    try Access() catch error:badarg -> Otherwise end.
