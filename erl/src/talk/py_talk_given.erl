%% SPDX-License-Identifier: Apache-2.0
%%
%% The funs that requests bring along. Python may call one while the request that brought
%% it is in hand, or while that request's context is open. The funs stay in this process:
%% what Python has is bytes, which only say which one is meant. They are never run.
%%
%% The worker starts it, and is linked to it, when its program says for the first time
%% that a request has brought funs. It is not the program that says when that is over.
-module(py_talk_given).
-behaviour(gen_server).

-export([give/4, over/2, closed/2, keeper/1, find/2]).
-export([init/1, handle_call/3, handle_cast/2]).
-export_type([given/0]).

-include("py.hrl").
-include("py_protocol.hrl").

%% How many funs are kept of a context: the last ones.
-define(MOST, 1_000).

%% What the worker has of it: where the funs are, and which requests have brought some.
-type given() :: none | {Keeper :: pid(), #{py_wire:id() => []}}.
%% Why a fun is kept.
-type reason() :: {request, py_wire:id()} | {context, pos_integer()}.

%% The funs that each reason keeps, for a context the last one first; and each fun once, with
%% how often it is in these lists.
-record(kept, {
    by = #{} :: #{reason() => [fun()]},
    funs = #{} :: #{fun() => {fun(), pos_integer()}}
}).

%% ---------------------------------------------------------------------------
%% For the worker

%% The program has this request, which brings funs. If it is in an open context, its
%% funs are kept for that, too.
-spec give(py_wire:id(), #req{}, Context :: pos_integer() | none, given()) -> given().
give(Id, #req{arity = Arity, body = Body}, Context, Given) ->
    {Keeper, Ids} = kept(Given),
    Reasons = [{request, Id} | [{context, Context} || Context =/= none]],
    gen_server:cast(Keeper, {give, Reasons, Arity - 1, Body}),
    {Keeper, Ids#{Id => []}}.

kept({Keeper, _} = Given) ->
    case is_process_alive(Keeper) of true -> Given; false -> kept(none) end;
kept(none) ->
    {ok, Keeper} = gen_server:start_link(?MODULE, [], []),
    {Keeper, #{}}.

%% Forgets what requests have brought that are not in hand any more.
-spec over(IsInHand :: fun((py_wire:id()) -> boolean()), given()) -> given().
over(IsInHand, {Keeper, Ids} = Given) when map_size(Ids) > 0 ->
    case lists:filter(fun(Id) -> not IsInHand(Id) end, maps:keys(Ids)) of
        [] -> Given;
        Over -> forget([{request, Id} || Id <- Over], Keeper), {Keeper, maps:without(Over, Ids)}
    end;
over(_, Given) ->
    Given.

%% These contexts are closed.
-spec closed([pos_integer()], given()) -> ok.
closed(_, none) -> ok;
closed(Contexts, {Keeper, _}) -> forget([{context, Id} || Id <- Contexts], Keeper).

forget(Reasons, Keeper) ->
    gen_server:cast(Keeper, {forget, Reasons}).

-spec keeper(given()) -> pid() | none.
keeper(none) -> none;
keeper({Keeper, _}) -> Keeper.

%% ---------------------------------------------------------------------------
%% For the process of a call

%% The fun that Python means, if it may call it.
-spec find(Keeper :: pid() | none, term()) -> {ok, fun()} | none.
find(Keeper, Fun) when is_pid(Keeper), is_function(Fun) ->
    try
        gen_server:call(Keeper, {find, Fun}, infinity)
    catch
        exit:_ -> none      % it has been killed
    end;
find(_, _) ->
    none.

%% ---------------------------------------------------------------------------

-spec init([]) -> {ok, #kept{}}.
init([]) ->
    {ok, #kept{}}.

-spec handle_call({find, fun()}, gen_server:from(), #kept{}) -> {reply, {ok, fun()} | none, #kept{}}.
handle_call({find, Fun}, _, #kept{funs = Funs} = Kept) ->
    {reply, case Funs of #{Fun := {Own, _}} -> {ok, Own}; #{} -> none end, Kept}.

-spec handle_cast({give, [reason()], non_neg_integer(), py_secret:secret(iodata())}
                  | {forget, [reason()]}, #kept{}) -> {noreply, #kept{}, hibernate}.
handle_cast({give, Reasons, Terms, Body}, Kept) ->
    Parts = erlang:iolist_to_iovec(py_secret:show(Body)),
    Funs = lists:reverse([decoded(Bytes) || Bytes <- py_external:funs(Terms, Parts)]),
    Give = fun(Reason, #kept{by = By} = Acc) ->
        keep(Reason, latest(Reason, Funs, maps:get(Reason, By, [])), Acc)
    end,
    {noreply, lists:foldl(Give, Kept, Reasons), hibernate};
handle_cast({forget, Reasons}, Kept) ->
    {noreply, lists:foldl(fun(Reason, Acc) -> keep(Reason, [], Acc) end, Kept, Reasons), hibernate}.

%% These bytes are our own: they have never left the node.
decoded(Bytes) ->
    binary_to_term(iolist_to_binary([<<?TERM_VERSION>>, Bytes])).

latest({request, _}, Funs, _) -> Funs;
latest({context, _}, Funs, Before) -> lists:sublist(Funs ++ (Before -- Funs), ?MOST).

%% For this reason, these are kept from now on, and no others.
keep(Reason, Kept, #kept{by = By, funs = Funs}) ->
    More = lists:foldl(fun more/2, Funs, Kept),
    #kept{by = case Kept of [] -> maps:remove(Reason, By); _ -> By#{Reason => Kept} end,
          funs = lists:foldl(fun less/2, More, maps:get(Reason, By, []))}.

more(Fun, Funs) ->
    case Funs of
        #{Fun := {Own, N}} -> Funs#{Fun := {Own, N + 1}};
        #{} -> Funs#{Fun => {Fun, 1}}
    end.

less(Fun, Funs) ->
    case Funs of
        #{Fun := {_, 1}} -> maps:remove(Fun, Funs);
        #{Fun := {Own, N}} -> Funs#{Fun := {Own, N - 1}}
    end.
