%% SPDX-License-Identifier: Apache-2.0
%%
%% Asking a process and answering it. Whoever asks monitors the process that is
%% to answer. The monitor's reference is also an alias, to which the answer is
%% sent; it ends with the answer, with the death of the other process, or when
%% the wait is given up. An answer that comes later reaches no mailbox.
%%
%%   {Ref, Answer}                          the answer
%%   {'DOWN', Ref, process, Pid, Reason}    there will be no answer
%%
%% A process may have a hundred thousand messages before it asks. If a question and
%% the wait for its answer are in one function, the wait looks only at what has come
%% since (erlc's +recv_opt_info says so).
-module(py_ask).

-export([call/2, call/3, ask/2, await_until/2, await_any/1, spawn/1, await_or_end/4, answer/2]).
-export([ask_several/2, await_next/2]).
-export_type([from/0, watch/0, outcome/0]).

%% Where an answer goes.
-type from() :: reference().
%% The monitor of somebody whose death ends the wait, and the waiting process.
-type watch() :: reference() | none.
%% How a wait ends.
-type outcome() :: {answer, term()} | {down, Reason :: term()}.

%% Asks this process. `Send' gets the place to answer to, and sends the question.
-spec ask(pid(), fun((from()) -> ok)) -> from().
ask(Pid, Send) ->
    Ref = monitor(process, Pid, [{alias, reply_demonitor}]),
    ok = Send(Ref),
    Ref.

%% Asks this process and waits for the answer.
-spec call(pid(), fun((from()) -> ok)) -> outcome().
call(Pid, Send) ->
    Ref = monitor(process, Pid, [{alias, reply_demonitor}]),
    ok = Send(Ref),
    receive
        {Ref, Answer} -> {answer, Answer};
        {'DOWN', Ref, process, _, Reason} -> {down, Reason}
    end.

%% The same in a process that works for another, which it watches.
-spec call(pid(), fun((from()) -> ok), watch()) -> outcome().
call(Pid, Send, none) ->
    call(Pid, Send);
call(Pid, Send, Watch) ->
    Ref = ask(Pid, Send),
    receive
        {Ref, Answer} -> {answer, Answer};
        {'DOWN', Ref, process, _, Reason} -> {down, Reason};
        {'DOWN', Watch, process, _, _} -> exit(normal)
    end.

%% Waits for the answer until the deadline.
-spec await_until(from(), py_time:deadline()) -> outcome() | timeout.
await_until(Ref, Deadline) ->
    receive
        {Ref, Answer} -> {answer, Answer};
        {'DOWN', Ref, process, _, Reason} -> {down, Reason}
    after py_time:left(Deadline) ->
        give_up(Ref)
    end.

%% What has come at the last moment counts.
give_up(Ref) ->
    demonitor(Ref, [flush]),
    receive
        {Ref, Answer} -> {answer, Answer}
    after 0 ->
        timeout
    end.

%% Asks this process what has several answers. The alias ends with the process that asks.
-spec ask_several(pid(), fun((from()) -> ok)) -> from().
ask_several(Pid, Send) ->
    Ref = monitor(process, Pid, [{alias, explicit_unalias}]),
    ok = Send(Ref),
    Ref.

%% Waits for the next of them, in a process that works for another.
-spec await_next(from(), watch()) -> outcome().
await_next(Ref, Watch) ->
    receive
        {Ref, Answer} -> {answer, Answer};
        {'DOWN', Ref, process, _, Reason} -> {down, Reason};
        {'DOWN', Watch, process, _, _} -> exit(normal)
    end.

%% Waits for the first answer to any of the questions that are keys here.
-spec await_any(#{from() => term()}) -> {from(), outcome()}.
await_any(Asked) ->
    receive
        {Ref, Answer} when is_map_key(Ref, Asked) -> {Ref, {answer, Answer}};
        {'DOWN', Ref, process, _, Reason} when is_map_key(Ref, Asked) -> {Ref, {down, Reason}}
    end.

%% Starts a process that is to answer the calling one, and watches it. `Work'
%% gets the place to answer to, and its watch.
-spec spawn(fun((from(), watch()) -> ok)) -> {pid(), from()}.
spawn(Work) ->
    Asker = self(),
    {Pid, Ref} = spawn_opt(fun() -> work(Asker, Work) end,
                           [{monitor, [{alias, reply_demonitor}]}]),
    Pid ! {?MODULE, Ref},
    {Pid, Ref}.

work(Asker, Work) ->
    Watch = monitor(process, Asker),
    receive
        {?MODULE, From} -> Work(From, Watch);
        {'DOWN', Watch, process, _, _} -> ok
    end.

%% Waits for such a process until the deadline, then ends it. What it answers while it is
%% told to end is late.
-spec await_or_end(pid(), from(), Reason :: term(), py_time:deadline()) ->
          outcome() | {late, term() | none}.
await_or_end(Pid, Ref, Reason, Deadline) ->
    receive
        {Ref, Answer} -> {answer, Answer};
        {'DOWN', Ref, process, _, Why} -> {down, Why}
    after py_time:left(Deadline) ->
        exit(Pid, Reason),
        receive
            {Ref, Answer} -> {late, Answer};
            {'DOWN', Ref, process, _, _} -> {late, none}
        end
    end.

-spec answer(from(), term()) -> ok.
answer(Ref, Answer) ->
    Ref ! {Ref, Answer},
    ok.
