%% SPDX-License-Identifier: Apache-2.0
%%
%% Bindings: a process that has used `exec' stays with the worker that ran it,
%% one for each pool, because that worker's __main__ has its names. A binding
%% is in the process dictionary: it ends with its process, and no other process
%% sees it.
%%
%% It remembers the pool as it was then: a pool that was started later by the same
%% name knows nothing of this worker's end. And it remembers whether the process
%% has heard `timeout', after which the worker's end may be no news to it.
%%
%% A process that runs a function which Python calls (py_talk_call) is bound to the
%% worker that waits for it from its start to its end, whatever it does.
-module(py_binding).

-export([home/1, is_bound/3, bind/2, heard_timeout/1, heard_more/1, told/2, release/1, release_dead/1, waiting/0, inherit/1]).
-export_type([home/0, waiting/0]).

-include("py.hrl").

-type home() :: {Worker :: pid(), #pool{}, HeardTimeout :: boolean() | within()}.
-type within() :: {within, Call :: py_wire:id(), Depth :: pos_integer()}.
-type waiting() :: [{Key :: term(), home()}].

%% Where the calling process is at home in the pool of this name; or on this worker,
%% if that waits for it: there may be several of a pool.
-spec home(atom() | pid()) -> home() | undefined.
home(Where) ->
    erlang:get(?BINDING(Where)).

%% Whether another process is bound to this worker of the pool.
-spec is_bound(pid(), atom(), pid()) -> boolean().
is_bound(Pid, PoolName, Worker) ->
    case process_info(Pid, dictionary) of
        {_, Entries} -> lists:any(fun({?BINDING(Name), {Home, _, _}}) -> Name =:= PoolName andalso Home =:= Worker;
                                     (_) -> false
                                  end, Entries);
        undefined -> false
    end.

%% From now on the process is at home there, and nowhere else in the pool.
-spec bind(#pool{}, pid()) -> ok.
bind(#pool{name = Name} = Pool, Worker) ->
    case put(?BINDING(Name), {Worker, Pool, false}) of
        {_, _, {within, _, _}} = Before -> put(?BINDING(Name), Before), ok;
        {Before, _, _} when Before =/= Worker -> py_worker:let_go(Before, {home, self()});
        _ -> ok
    end.

%% A call of the process has ended with {error, timeout}, which it has heard.
-spec heard_timeout(atom()) -> ok.
heard_timeout(Name) ->
    case home(Name) of
        {Worker, Pool, false} -> put(?BINDING(Name), {Worker, Pool, true}), ok;
        _ -> ok
    end.

%% A later call was answered by the worker, so its end will be news.
-spec heard_more(atom()) -> ok.
heard_more(Name) ->
    case home(Name) of
        {Worker, Pool, true} -> bind(Pool, Worker);
        _ -> ok
    end.

%% The process has had this answer from somewhere: it may be bound to the worker that
%% has ended, or soon will have.
-spec told(py_result:answer(), atom()) -> ok.
told({error, {worker_exit, _}}, Name) -> release_dead(Name);
told({error, timeout}, Name) -> heard_timeout(Name);
told(_, _) -> ok.

%% The process does not need its worker any more.
-spec release(atom()) -> ok.
release(Name) ->
    case erase(?BINDING(Name)) of
        {_, _, {within, _, _}} = Home -> put(?BINDING(Name), Home), ok;
        {Worker, _, _} -> py_worker:let_go(Worker, {home, self()});
        undefined -> ok
    end.

%% Ends the binding if its worker is dead: the caller has learnt of that, but not
%% from the answer to its own call.
-spec release_dead(atom()) -> ok.
release_dead(Name) ->
    case home(Name) of
        {Worker, Pool, _} ->
            %% It writes down why before it tells anybody, unless it is killed.
            Dead = py_pool_board:has_died(Pool, Worker) orelse not is_process_alive(Worker),
            Dead andalso release(Name),
            ok;
        undefined ->
            ok
    end.

%% The workers that wait for the calling process.
-spec waiting() -> waiting().
waiting() -> [Binding || {?BINDING(_), {_, _, {within, _, _}}} = Binding <- get()].

%% The calling process works for one for which these wait: they wait for both.
-spec inherit(waiting()) -> ok.
inherit(Waiting) -> lists:foreach(fun({Key, Home}) -> put(Key, Home) end, Waiting).
