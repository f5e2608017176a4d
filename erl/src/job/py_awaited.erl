%% SPDX-License-Identifier: Apache-2.0
%%
%% The jobs of a worker whose results its program awaits: coroutines, and streams whose
%% items are awaited, before they are open and when they are to end. They run beside each
%% other and beside the job whose turn it is. Nothing waits behind them. Pure.
%%
%% One that is cancelled gets CancelledError as soon as the program's loop goes round,
%% and may take its time then. The program says when it is told, because a loop that
%% does not go round holds up all the others.
-module(py_awaited).

-export([new/0, add/3, put_back/3, count/1, load/4, find/2, all/1, take/2, ahead/3, told/2]).
-export([expire/2, leave/3, where/1]).
-export_type([awaited/0]).

-include("py.hrl").
-include("py_protocol.hrl").
-include("py_worker_jobs.hrl").

%% The deadline of one that is cancelled is when the loop should have gone round, and
%% then none.
-opaque awaited() :: #{py_wire:id() => #job{}}.

-spec new() -> awaited().
new() -> #{}.

%% The program has said that this one is awaited. What nobody waits for any more may
%% have been cancelled too early for the program, so it is cancelled again.
-spec add(#job{}, Now :: integer(), awaited()) -> {[effect()], awaited()}.
add(#job{id = Id, left = false, req = #req{aside = Aside}} = Job, _, A) ->
    {[{answer, Aside, aside} || Aside =/= none], A#{Id => Job#job{state = {started, loop}}}};
add(#job{id = Id} = Job, Now, A) ->
    {[{ended, Id}, cancel(Id)], A#{Id => cancelled(Job#job{state = {started, loop}}, Now)}}.

cancel(Id) -> {send, py_wire:cancel(Id)}.

%% A stream is to end: it is the program's until its last word. The loop should have gone
%% round by then.
-spec put_back(#job{}, py_time:deadline(), awaited()) -> awaited().
put_back(#job{id = Id} = Job, Deadline, A) -> A#{Id => Job#job{left = true, deadline = Deadline}}.

cancelled(Job, Now) -> Job#job{left = true, deadline = Now + ?TICK_MS}.

-spec count(awaited()) -> non_neg_integer().
count(A) -> map_size(A).

%% A worker's load with them, and so many streams that are awaited: they take no room from
%% others, but there may be no more than Most.
-spec load({N, Window}, Most :: pos_integer(), Streams :: non_neg_integer(), awaited()) -> {N, Window}
              when N :: non_neg_integer(), Window :: non_neg_integer().
load(Load, _, 0, A) when map_size(A) =:= 0 -> Load;
load({N, 0}, _, Streams, A) -> {N + map_size(A) + Streams, 0};
load({N, Window}, Most, Streams, A) ->
    Awaited = map_size(A) + Streams,
    {N + Awaited, min(Window + Awaited, Most)}.

-spec find(py_wire:id(), awaited()) -> #job{} | false.
find(Id, A) -> maps:get(Id, A, false).

-spec all(awaited()) -> [#job{}].
all(A) -> maps:values(A).

%% The program has answered it.
-spec take(py_wire:id(), awaited()) -> {#job{}, awaited()} | error.
take(Id, A) -> maps:take(Id, A).

%% A frame that comes ahead of the reply of one, and belongs to it.
-spec ahead(py_wire:id(), binary(), awaited()) -> awaited().
ahead(Id, Frame, A) ->
    case A of
        #{Id := #job{ahead = Ahead} = Job} -> A#{Id := Job#job{ahead = [Frame | Ahead]}};
        #{} -> A
    end.

%% The loop goes round, and has cancelled this one.
-spec told(py_wire:id(), awaited()) -> {[effect()], awaited()}.
told(Id, A) ->
    case A of
        #{Id := #job{left = true} = Job} -> {[{ended, Id}], A#{Id := Job#job{deadline = infinity}}};
        #{} -> {[], A}
    end.

%% Answers and cancels those whose deadline has passed. Of those that are cancelled and
%% should have heard of it, the ladder hears (py_worker_ladder).
-spec expire(Now :: integer(), awaited()) -> {[effect()], awaited()}.
expire(Now, A) ->
    maps:fold(fun(Id, #job{deadline = D} = Job, {Effects, Acc}) when D =< Now ->
                      {late(Job) ++ Effects, Acc#{Id := cancelled(Job, Now)}};
                 (_, _, Acc) -> Acc
              end, {[], A}, A).

late(#job{id = Id, left = false, req = #req{reply_to = From}}) ->
    [{answer, From, {error, timeout}}, cancel(Id)];
late(#job{id = Id}) ->
    [{unheard, Id}].

%% A caller is gone.
-spec leave(pid(), Now :: integer(), awaited()) -> {[effect()], awaited()}.
leave(Caller, Now, A) ->
    maps:fold(fun(Id, #job{left = false, req = #req{caller = Pid}} = Job, {Effects, Acc})
                    when Pid =:= Caller ->
                      {[cancel(Id) | Effects], Acc#{Id := cancelled(Job, Now)}};
                 (_, _, Acc) -> Acc
              end, {[], A}, A).

%% Where the loop is, by the stacks of the program's threads.
-spec where([#{atom() => _}]) -> binary() | unknown.
where(Stacks) ->
    case [lists:last(Frames) || #{thread := <<"asyncio">>, frames := [_ | _] = Frames} <- Stacks] of
        [#{file := File, line := Line, function := Function} | _] ->
            unicode:characters_to_binary(io_lib:format("~ts, line ~tp, in ~ts", [File, Line, Function]));
        [] ->
            unknown
    end.
