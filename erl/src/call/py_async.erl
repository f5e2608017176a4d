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

%% What is known of it: who waits for the worker, or how that has ended.
-type known() :: {pid() | py_ask:outcome(), Pool :: atom(), #opts{}}.

-spec spawn_call(py_wire:op(), #opts{}) -> reference().
spawn_call(Op, Opts) ->
    Prepared = py_request:prepare(job, Op, Opts),
    {Pid, Ref} = start(Prepared),
    know(Ref, {Pid, pool(Prepared, Opts), Opts}),
    Ref.

-spec know(reference(), known()) -> ok.
know(Ref, Known) ->
    _ = put({?MODULE, Ref}, Known),
    ok.

pool({ok, Ticket}, _) -> (py_request:pool(Ticket))#pool.name;
pool({error, _}, #opts{pool = Target}) -> py_target:pool(Target).

%% Waits for the result. When it does not come in time the call is cancelled.
-spec await(reference(), timeout()) -> py_result:result().
await(Ref, Timeout) ->
    case erase({?MODULE, Ref}) of
        {Pid, Pool, #opts{wire = Wire} = Opts} ->
            py_result:result(told(wait(Ref, Pid, Timeout, Opts), Pool), Wire);
        undefined -> py_options:badarg(Ref, "there is no such call to wait for: only the process that began "
                                             "it can wait for it, and once")
    end.

wait(Ref, Pid, Timeout, Opts) when is_pid(Pid) ->
    case await_or_end(Ref, Pid, kill, py_time:deadline(Timeout), Opts) of
        late -> {error, timeout};
        Outcome -> answer(Outcome)
    end;
wait(_, Outcome, _, _) ->
    answer(Outcome).

%% Nobody will hear of a handle that is late: it is released. One that the helper has not
%% passed on is released by its worker.
await_or_end(Ref, Pid, Reason, Deadline, #opts{keep = Keep, wire = Wire}) ->
    case py_ask:await_or_end(Pid, Ref, Reason, Deadline) of
        {late, Answer} when Keep, Answer =/= none -> release(py_result:result(Answer, Wire)), late;
        {late, _} -> late;
        Outcome -> Outcome
    end.

release(Result) when is_record(element(2, Result), py_handle) ->
    #py_handle{number = Number, at = {_, Worker}, owner = Owner} = element(2, Result),
    py_worker:let_go(Worker, {handle, Number, Owner});
release(_) ->
    ok.

answer({answer, Answer}) -> Answer;
answer({down, cancelled}) -> {error, cancelled};
answer({down, Reason}) -> {error, {worker_exit, Reason}}.

%% The helper's end cancels its request. What has its result already keeps it.
-spec cancel(reference()) -> ok.
cancel(Ref) ->
    case get({?MODULE, Ref}) of
        {Pid, Pool, #opts{keep = true} = Opts} when is_pid(Pid) ->
            know(Ref, {cancelled(Ref, Pid, Opts), Pool, Opts});
        {Pid, _, _} when is_pid(Pid) ->
            exit(Pid, cancelled),
            ok;
        _ ->
            ok
    end.

cancelled(Ref, Pid, Opts) ->
    case await_or_end(Ref, Pid, cancelled, py_time:now_ms(), Opts) of
        late -> {down, cancelled};
        Outcome -> Outcome
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
