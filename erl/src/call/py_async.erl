%% SPDX-License-Identifier: Apache-2.0
%%
%% Calls that their caller does not wait for, or not yet. Each is made by a
%% small process of its own that goes the same way as any caller. It watches
%% the process that it works for and ends with it, which cancels the request.
-module(py_async).

-export([spawn_call/2, await/2, cancel/1, cast/2]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

%% ---------------------------------------------------------------------------
%% One call, awaited later

-spec spawn_call(py_wire:op(), #opts{}) -> reference().
spawn_call(Op, #opts{wire = Wire} = Opts) ->
    Prepared = py_request:prepare(job, Op, Opts),
    {Pid, Ref} = start(Prepared),
    _ = put({?MODULE, Ref}, {Pid, pool(Prepared, Opts), Wire}),
    Ref.

pool({ok, Ticket}, _) -> (py_request:pool(Ticket))#pool.name;
pool({error, _}, #opts{pool = Target}) -> py_target:pool(Target).

%% Waits for the result. When it does not come in time the call is cancelled.
-spec await(reference(), timeout()) -> py_result:result().
await(Ref, Timeout) ->
    case erase({?MODULE, Ref}) of
        {Pid, Pool, Wire} ->
            py_result:result(told(wait(Ref, Pid, Timeout), Pool), Wire);
        undefined -> py_options:badarg(Ref, "there is no such call to wait for: only the process that began "
                                             "it can wait for it, and once")
    end.

wait(Ref, Pid, Timeout) ->
    case py_ask:await_until(Ref, py_time:deadline(Timeout)) of
        timeout -> exit(Pid, kill), {error, timeout};
        Outcome -> answer(Outcome)
    end.

answer({answer, Answer}) -> Answer;
answer({down, cancelled}) -> {error, cancelled};
answer({down, Reason}) -> {error, {worker_exit, Reason}}.

%% The helper's end cancels its request. What has its result already keeps it.
-spec cancel(reference()) -> ok.
cancel(Ref) ->
    case get({?MODULE, Ref}) of
        {Pid, _, _} -> exit(Pid, cancelled), ok;
        undefined -> ok
    end.

told(Answer, Pool) ->
    py_binding:told(Answer, Pool),
    Answer.

%% ---------------------------------------------------------------------------
%% The helper process

%% There is no answer only if somebody killed it. Decoding is left to whoever
%% wants the result.
start(Prepared) ->
    py_ask:spawn(fun(From, Watch) -> py_ask:answer(From, perform(Prepared, Watch)) end).

perform({ok, Ticket}, Watch) ->
    {_, Answer} = py_request:perform(Ticket, Watch),
    Answer;
perform({error, _} = Error, _) ->
    Error.

%% ---------------------------------------------------------------------------
%% Nobody waits

-spec cast(py_wire:op(), #opts{}) -> ok.
cast(Op, #opts{wire = Wire} = Opts) ->
    Prepared = unheard(py_request:prepare(job, Op, Opts)),
    What = py_wire:what(Op),
    _ = spawn(fun() -> report(What, py_result:result(perform(Prepared, none), Wire)) end),
    ok.

unheard({ok, Ticket}) -> {ok, py_request:unheard(Ticket)};
unheard({error, _} = Error) -> Error.

%% A cast's failure has no other place to go. Arguments are not for the log, nor what
%% an exception has made of them.
report({Module, Function, Arity}, {error, Reason}) ->
    ?LOG_NOTICE("a cast failed: ~ts:~ts/~b: ~ts", [Module, Function, Arity, why(Reason)],
                #{application => py});
report(_, _) ->
    ok.

why({_, _, #{formatted := Traceback}}) -> Traceback;
why(Reason) -> io_lib:format("~tp", [Reason]).
