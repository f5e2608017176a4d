%% SPDX-License-Identifier: Apache-2.0
%%
%% A worker's urgent requests, which the program answers even while it runs a
%% job. Only a few are sent at a time, the others wait. One that was sent and is
%% out of time keeps its place until the program has answered it: otherwise they
%% would pile up in a program that cannot answer. Pure.
-module(py_worker_urgent).

-export([new/0, push/4, reply/3, expire/2, soonest/1, count/1, give_up/2]).
-export_type([urgent/0]).

-include("py.hrl").
-include("py_worker_jobs.hrl").

%% How many the program may have.
-define(MOST, 16).

-record(urgent, {
    sent = #{} :: #{py_wire:id() => #req{} | late},
    waiting = queue:new() :: queue:queue({py_wire:id(), #req{}}),
    soonest = infinity :: py_time:deadline()
}).

-opaque urgent() :: #urgent{}.

-spec new() -> urgent().
new() ->
    #urgent{}.

%% Accepts a request, unless more than Max would wait.
-spec push(py_wire:id(), #req{}, Max :: non_neg_integer(), urgent()) -> {[effect()], urgent()}.
push(Id, #req{reply_to = From, deadline = Deadline} = Req, Max,
     #urgent{sent = Sent, waiting = Waiting} = U) ->
    case map_size(Sent) + queue:len(Waiting) of
        N when N >= ?MOST + Max ->
            {[{answer, From, {error, {overloaded, N - ?MOST, Max}}}], U};
        _ ->
            next(U#urgent{waiting = queue:in({Id, Req}, Waiting),
                          soonest = min(Deadline, U#urgent.soonest)})
    end.

%% Sends the next one if it may be sent.
next(#urgent{sent = Sent} = U) when map_size(Sent) >= ?MOST ->
    {[], U};
next(#urgent{sent = Sent, waiting = Waiting} = U) ->
    case queue:out(Waiting) of
        {{value, {Id, #req{arity = Arity, body = Body} = Req}}, Rest} ->
            {[{send, py_wire:request(Id, Arity, py_secret:show(Body))}],
             U#urgent{sent = Sent#{Id => Req#req{body = []}}, waiting = Rest}};
        {empty, _} ->
            {[], U}
    end.

%% The program has answered this one, whether or not somebody still waits.
-spec reply(py_wire:id(), binary(), urgent()) -> {[effect()], urgent()} | unknown.
reply(Id, Frame, #urgent{sent = Sent} = U) ->
    case maps:take(Id, Sent) of
        {Req, Rest} ->
            {Effects, Next} = next(U#urgent{sent = Rest}),
            {answers(Req, {reply, Frame}) ++ Effects, Next};
        error ->
            unknown
    end.

answers(#req{reply_to = From}, Answer) -> [{answer, From, Answer}];
answers(late, _) -> [].

%% Answers those whose deadline has passed.
-spec expire(Now :: integer(), urgent()) -> {[effect()], urgent()}.
expire(Now, #urgent{soonest = Soonest} = U) when Now < Soonest ->
    {[], U};
expire(Now, #urgent{sent = Sent, waiting = Waiting} = U) ->
    IsLate = fun(#req{deadline = D}) -> D =< Now end,
    Late = lists:filter(IsLate, requests(U)),
    Marked = maps:map(fun(_, #req{deadline = D}) when D =< Now -> late;
                         (_, Other) -> Other
                      end, Sent),
    Kept = queue:filter(fun({_, Req}) -> not IsLate(Req) end, Waiting),
    Next = U#urgent{sent = Marked, waiting = Kept},
    {lists:append([answers(Req, {error, timeout}) || Req <- Late]),
     Next#urgent{soonest = py_time:earliest([D || #req{deadline = D} <- requests(Next)])}}.

%% No deadline is earlier, except for those that expire/2 has handled.
-spec soonest(urgent()) -> py_time:deadline().
soonest(#urgent{soonest = Soonest}) ->
    Soonest.

%% How many of them somebody waits for.
-spec count(urgent()) -> non_neg_integer().
count(U) ->
    length(requests(U)).

%% The worker ends: everybody who waits gets this answer.
-spec give_up(py_result:answer(), urgent()) -> [effect()].
give_up(Failed, U) ->
    lists:append([answers(Req, Failed) || Req <- requests(U)]).

requests(#urgent{sent = Sent, waiting = Waiting}) ->
    [Req || #req{} = Req <- maps:values(Sent)] ++ [Req || {_, Req} <- queue:to_list(Waiting)].
