%% SPDX-License-Identifier: Apache-2.0
%%
%% Asking a process and answering it. Whoever asks monitors the process that is
%% to answer; the monitor's reference is also an alias that the answer is sent
%% to. It is gone once the answer, or the news of a death, has come or the wait
%% has ended: an answer that comes later reaches no mailbox.
%%
%%   {Ref, Answer}                          the answer
%%   {'DOWN', Ref, process, Pid, Reason}    there will be none
-module(py_ask).

-export([ask/2, await/1, await/2, await_until/2, spawn/1, answer/2]).
-export_type([from/0, watch/0]).

%% Where an answer goes.
-type from() :: reference().
%% The monitor of somebody whose death ends the wait, and the waiting process.
-type watch() :: reference() | none.

%% Asks this process. `Send' gives it the question and where to answer.
-spec ask(pid(), fun((from()) -> ok)) -> from().
ask(Pid, Send) ->
    Ref = monitor(process, Pid, [{alias, reply_demonitor}]),
    ok = Send(Ref),
    Ref.

%% Waits for the answer.
-spec await(from()) -> {answer, term()} | {down, term()}.
await(Ref) ->
    await(Ref, none).

%% The same in a process that works for another, which it watches.
-spec await(from(), watch()) -> {answer, term()} | {down, term()}.
await(Ref, none) ->
    receive
        {Ref, Answer} -> {answer, Answer};
        {'DOWN', Ref, process, _, Reason} -> {down, Reason}
    end;
await(Ref, Watch) ->
    receive
        {Ref, Answer} -> {answer, Answer};
        {'DOWN', Ref, process, _, Reason} -> {down, Reason};
        {'DOWN', Watch, process, _, _} -> exit(normal)
    end.

%% The same until then at the latest.
-spec await_until(from(), py_time:deadline()) ->
          {answer, term()} | {down, term()} | timeout.
await_until(Ref, Deadline) ->
    receive
        {Ref, Answer} -> {answer, Answer};
        {'DOWN', Ref, process, _, Reason} -> {down, Reason}
    after py_time:left(Deadline) ->
        give_up(Ref)
    end.

%% What has come in the last moment counts.
give_up(Ref) ->
    demonitor(Ref, [flush]),
    receive
        {Ref, Answer} -> {answer, Answer}
    after 0 ->
        timeout
    end.

%% Starts a process that is to answer the calling one, and watches it. `Work' is
%% given where to answer, and its watch.
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

-spec answer(from(), term()) -> ok.
answer(From, Answer) ->
    From ! {From, Answer},
    ok.
