%% SPDX-License-Identifier: Apache-2.0
%%
%% A worker's urgent requests: the program answers them also while it runs a
%% job. Only so many are sent at a time, the others wait. What is out of time
%% and was sent keeps its place until the program has answered it: else they
%% would pile up in a program that cannot answer. Pure.
-module(py_worker_urgent).

-export([new/0, push/4, next/1, finish/2, expire/2, earliest/1, empty/1]).
-export_type([urgent/0]).

-include("py.hrl").

%% How many the program may have.
-define(MOST, 16).

-record(urgent, {
    sent = #{} :: #{py_wire:id() => #req{} | late},
    waiting = queue:new() :: queue:queue({py_wire:id(), #req{}})
}).

-opaque urgent() :: #urgent{}.

-spec new() -> urgent().
new() ->
    #urgent{}.

%% Accepts a request, unless more than Max would wait. It is to be sent when
%% next/1 says so.
-spec push(py_wire:id(), #req{}, Max :: non_neg_integer(), urgent()) ->
          {ok, urgent()} | {full, Waiting :: non_neg_integer()}.
push(Id, Req, Max, #urgent{sent = Sent, waiting = Waiting} = U) ->
    case map_size(Sent) + queue:len(Waiting) of
        N when N >= ?MOST + Max -> {full, N - ?MOST};
        _ -> {ok, U#urgent{waiting = queue:in({Id, Req}, Waiting)}}
    end.

-spec next(urgent()) -> {py_wire:id(), #req{}, urgent()} | none.
next(#urgent{sent = Sent}) when map_size(Sent) >= ?MOST ->
    none;
next(#urgent{sent = Sent, waiting = Waiting} = U) ->
    case queue:out(Waiting) of
        {{value, {Id, Req}}, Rest} ->
            {Id, Req, U#urgent{sent = Sent#{Id => Req#req{body = []}}, waiting = Rest}};
        {empty, _} ->
            none
    end.

%% The program has answered this one, for which somebody waits or not.
-spec finish(py_wire:id(), urgent()) -> {#req{} | late, urgent()} | unknown.
finish(Id, #urgent{sent = Sent} = U) ->
    case maps:take(Id, Sent) of
        {Req, Rest} -> {Req, U#urgent{sent = Rest}};
        error -> unknown
    end.

%% Those whose time is up.
-spec expire(integer(), urgent()) -> {[#req{}], urgent()}.
expire(Now, #urgent{sent = Sent, waiting = Waiting} = U) ->
    IsLate = fun(#req{deadline = D}) -> D =< Now end,
    Late = lists:filter(IsLate, requests(U)),
    Marked = maps:map(fun(_, #req{deadline = D}) when D =< Now -> late;
                         (_, Other) -> Other
                      end, Sent),
    Kept = queue:filter(fun({_, Req}) -> not IsLate(Req) end, Waiting),
    {Late, U#urgent{sent = Marked, waiting = Kept}}.

-spec earliest(urgent()) -> integer() | infinity.
earliest(U) ->
    lists:min([infinity | [D || #req{deadline = D} <- requests(U)]]).

%% All that somebody waits for.
-spec empty(urgent()) -> [#req{}].
empty(U) ->
    requests(U).

requests(#urgent{sent = Sent, waiting = Waiting}) ->
    [Req || #req{} = Req <- maps:values(Sent)] ++ [Req || {_, Req} <- queue:to_list(Waiting)].
