%% SPDX-License-Identifier: Apache-2.0
%%
%% A request in the hands of a worker: who may run it, and what becomes of it. What its
%% program may have started is for py_turn. Pure.
-module(py_job).

-export([is_free/1, may_move/1, expire/3, is_late/2, too_late/1, cancel/1, given_up/3, calls/1, part/3]).

-include("py.hrl").
-include("py_worker_jobs.hrl").

%% ---------------------------------------------------------------------------
%% Who may run it, and what becomes of it

%% Whether any worker may run it.
-spec is_free(#job{}) -> boolean().
is_free(#job{req = #req{bound = Bound}}) -> not Bound.

%% Whether any worker may run it, or whichever has the slot.
-spec may_move(#job{}) -> boolean().
may_move(#job{req = #req{named = Named}} = Job) -> Named orelse is_free(Job).

%% Its deadline may have passed.
-spec expire(Now :: integer(), #job{}, [effect()]) -> {#job{}, [effect()]}.
expire(Now, #job{req = Req, left = Left, deadline = D} = Job, Effects) when D =< Now ->
    case is_put_off(Job) of
        true -> {Job#job{deadline = Now + Req#req.deadline - Req#req.arrival div 1000}, Effects};
        false when Left -> {Job, Effects};
        false -> {Job#job{left = true}, [too_late(Job) | [cancel(Job) || not py_turn:has_started(Job)]] ++ Effects}
    end;
expire(_, Job, Effects) -> {Job, Effects}.

%% What no process waits for (what the worker wants to be done, a message for a handler) has
%% its time for itself, not for what is before it.
is_put_off(#job{req = #req{reply_to = From, what = What}, state = State}) ->
    (From =:= undefined orelse What =:= message) andalso (State =:= waiting orelse State =:= sent).

%% Whether somebody waits for it in vain.
-spec is_late(Now :: integer(), #job{}) -> boolean().
is_late(Now, #job{left = Left, deadline = D} = Job) -> D =< Now andalso not Left andalso not is_put_off(Job).

-spec too_late(#job{}) -> effect().
too_late(#job{req = #req{reply_to = From}}) -> {answer, From, {error, timeout}}.

-spec cancel(#job{}) -> effect().
cancel(#job{id = Id}) -> {send, py_wire:cancel(Id)}.

%% The worker ends, and its program is dead, or will be.
-spec given_up(#job{}, dead | alive, py_result:answer()) -> py_result:answer().
given_up(Job, Program, Failed) ->
    case is_free(Job) andalso not py_turn:may_have_run(Program, Job) of true -> again; false -> Failed end.

%% ---------------------------------------------------------------------------
%% Several calls

%% How many calls have no answer.
-spec calls(#job{}) -> non_neg_integer().
calls(#job{req = #req{calls = Calls}}) -> py_multicall:count(Calls).

%% Calls of a multicall have their results, which are so many, or are given back; of those
%% that are left, only the first can have started.
-spec part(py_wire:part(), binary(), #job{}) -> {[effect()], non_neg_integer(), #job{}}.
part(Part, Frame, #job{req = #req{calls = Calls} = Req} = Job) ->
    {Answer, Left} = py_multicall:heard(Part, Frame, Calls),
    Next = Job#job{req = Req#req{calls = Left, what = py_multicall:next(Left)}},
    case Answer of
        {again, N} ->
            {[{given_back, Req#req{calls = py_multicall:only(N, Calls)}} | answers(Job, Answer)], 0, Next};
        {part, N, _} ->
            {answers(Job, Answer), N, Next};
        known ->
            {[], 0, Job}
    end.

answers(#job{left = false, req = #req{reply_to = From}}, Answer) -> [{answer, From, Answer}];
answers(#job{}, _) -> [].
