%% SPDX-License-Identifier: Apache-2.0
%%
%% Definitions of a pool (py:exec_all): code that every worker has to run, one
%% definition after another, in the order in which they came. Each waits until a
%% worker is live, but not past its deadline. Pure: what is to be done is returned
%% as a list of effects, in order, and carried out by py_pool.
-module(py_pool_define).

-export([new/0, add/4, next/2, late/3, done/2, is_running/1]).
-export_type([definitions/0, effect/0]).

-type code() :: py_secret:secret(py_wire:op()).
-type definition() :: {From :: gen_server:from(), code(), py_time:deadline()}.

-record(definitions, {
    waiting = [] :: [definition()],         % oldest first
    running = none :: none | definition()
}).

-opaque definitions() :: #definitions{}.

-type effect() ::
    {reply, gen_server:from(), ok | {error, term()}}
    %% late/3 is to be called at this time.
    | {late_at, integer(), gen_server:from()}
    %% Every live worker is asked to run it; done/2 gets how that went.
    | {run, code(), py_time:deadline()}
    %% Every worker that starts later has to run it, too.
    | {append, code()}.

-spec new() -> definitions().
new() ->
    #definitions{}.

%% A caller wants this to be run in every worker.
-spec add(gen_server:from(), code(), py_time:deadline(), definitions()) ->
          {definitions(), [effect()]}.
add(From, Op, Deadline, #definitions{waiting = Waiting} = D) ->
    {D#definitions{waiting = Waiting ++ [{From, Op, Deadline}]},
     [{late_at, Deadline, From} || Deadline =/= infinity]}.

%% Begins the next one, when none is under way and there is a live worker.
-spec next(AnyLive :: boolean(), definitions()) -> {definitions(), [effect()]}.
next(true, #definitions{running = none, waiting = [{_, Op, Deadline} = First | Rest]}) ->
    {#definitions{running = First, waiting = Rest}, [{run, Op, Deadline}]};
next(_, D) ->
    {D, []}.

%% Time is up for one that still waits: there was no worker to run it.
-spec late(gen_server:from(), Why :: {error, term()}, definitions()) -> {definitions(), [effect()]}.
late(From, Why, #definitions{waiting = Waiting} = D) ->
    case lists:keytake(From, 1, Waiting) of
        {value, _, Rest} ->
            {D#definitions{waiting = Rest}, [{reply, From, Why}]};
        false ->
            {D, []}
    end.

%% The workers have run it. What failed is not kept for later workers. A worker
%% that died meanwhile is replaced by one that will run it.
-spec done(ok | {error, term()}, definitions()) -> {definitions(), [effect()]}.
done(Outcome, #definitions{running = {From, Op, _}} = D) ->
    {D#definitions{running = none},
     [{append, Op} || Outcome =:= ok] ++ [{reply, From, Outcome}]}.

%% While one is under way, it is not known whether new workers need it.
-spec is_running(definitions()) -> boolean().
is_running(#definitions{running = Running}) ->
    Running =/= none.
