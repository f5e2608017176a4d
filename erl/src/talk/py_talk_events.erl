%% SPDX-License-Identifier: Apache-2.0
%%
%% What a program says without having been asked, and why it cannot start. The
%% worker decodes none of it, because that may take long: messages go to
%% py_talk_sender, calls to py_talk_calls, everything else to py_talk_log. The
%% program's last words are kept for whoever asks how it ended.
%%
%% The program may send only a limited number of bytes ahead of what the sender
%% and the log have handled, and each of its threads waits for its call: so it
%% cannot flood its worker.
-module(py_talk_events).

-export([new/3, is_helper/2, window/0, handle/4, start_failure/1, explain/2]).
-export_type([events/0, done/0, shortage/0]).

%% The most bytes that the program may send before they are handled, of messages
%% and of other events each.
-define(UNACKED_MAX, (1 bsl 20)).

-record(events, {
    log :: py_talk_log:log(),
    sender :: pid(),
    calls :: pid() | py_talk_calls:args(),  % from the first call on there is one
    failure = none :: none | binary(),  % why it cannot start
    crash = none :: none | binary()     % Python's stacks when it crashed
}).

-opaque events() :: #events{}.
%% What code has just done: it has set a handler of messages, or has run out of memory.
-type done() :: {mail, py_talk_inbox:mail()} | {ran_out, shortage()}.
%% This job is about to fail for want of memory. Or what the program's main thread has
%% answered last has had too little, or has left the heap nearly full.
-type shortage() :: memory_error | heap | {memory_error, py_wire:id() | none}.

%% For the calling worker, with the metadata of its lines and its pool's options.
-spec new(logger:metadata(), port(), py_worker:options()) -> events().
new(#{pool := Pool} = About, Port,
    #{logs := Logs, functions := Functions, state := State, max_frame := Max} = Options) ->
    Log = py_talk_log:start(About, Logs),
    #events{log = Log, sender = py_talk_sender:start(Options#{port => Port, log => Log}),
            calls = #{port => Port, pool => Pool, functions => Functions, state => State,
                      max_frame => Max}}.

%% Whether it is one of the processes without which the worker does not go on.
-spec is_helper(pid(), events()) -> boolean().
is_helper(Pid, #events{log = Log, sender = Sender, calls = Calls}) ->
    Pid =:= Sender orelse Pid =:= Calls orelse py_talk_log:is_log(Pid, Log).

-spec window() -> pos_integer().
window() ->
    ?UNACKED_MAX.

%% Handles a frame that is not a reply. `Who' says who waits for a request, which messages
%% are for its code, and who keeps the funs that requests have brought. What comes back the
%% worker has to do at once, before it hears more.
-spec handle(binary(), Who :: fun(({caller | box, py_wire:id() | none} | keeper) ->
                                       pid() | none | py_talk_inbox:box() | closed),
             port(), events()) -> {[done()], events()}.
handle(Frame, Who, Port, E) ->
    case py_wire:event(Frame) of
        {on_message, Job} -> {[{mail, {on_message, Who({box, Job}), Frame}}], E};
        {paused, Why} -> {[{ran_out, Why}], E};
        Event -> {[], handle(Event, Frame, Who, Port, E)}
    end.

handle(Event, Frame, Who, Port, #events{log = Log, sender = Sender} = E) ->
    case Event of
        message ->
            py_talk_sender:message(Sender, byte_size(Frame), py_secret:hide(Frame)),
            E;
        {call, Id, Job} ->
            call(Id, {Who({caller, Job}), none}, Frame, E);
        {apply, Id, Job} ->
            call(Id, {Who({caller, Job}), Who(keeper)}, Frame, E);
        {take, Id, Job} ->
            py_worker:mail(self(), {take, Id, Job, Frame}),
            E;
        {withdraw, Id} ->
            withdraw(Id, E),
            E;
        {spoilt, Lock} ->
            py_talk_log:acknowledge(Log, Port, byte_size(Frame)),
            spoilt(py_talk_line:text(Lock), Log),
            E;
        {crash, Text} ->
            py_talk_log:acknowledge(Log, Port, byte_size(Frame)),
            E#events{crash = readable(Text, E#events.crash)};
        {start_failed, Text} ->
            E#events{failure = readable(Text, E#events.failure)};
        other ->
            py_talk_log:event(Log, Port, Frame),
            E
    end.

call(Id, Who, Frame, #events{calls = Calls} = E) when is_pid(Calls) ->
    py_talk_calls:call(Calls, Id, Who, py_secret:hide(Frame)),
    E;
call(Id, Who, Frame, #events{calls = Args} = E) ->
    call(Id, Who, Frame, E#events{calls = py_talk_calls:start(Args)}).

%% It is either a message or a call, or wants a message.
withdraw(Id, #events{sender = Sender, calls = Calls}) ->
    py_worker:mail(self(), {withdraw, Id}),
    py_talk_sender:withdraw(Sender, Id),
    is_pid(Calls) andalso py_talk_calls:withdraw(Calls, Id).

%% User code could say so, too: it gets a new worker then.
spoilt(none, _) ->
    ok;
spoilt(Lock, Log) ->
    py_talk_log:write(Log, warning, "an interrupt has left ~ts taken: the worker is replaced",
                        [Lock], #{}),
    py_worker:spoilt(self()).

readable(Text, Before) ->
    case py_talk_line:text(Text) of
        none -> Before;
        Readable -> Readable
    end.

%% ---------------------------------------------------------------------------
%% Last words

%% Why Python could not start, if the program has said so.
-spec start_failure(events()) -> none | binary().
start_failure(#events{failure = Failure}) ->
    Failure.

%% How the program ended, with Python's stacks if it has sent them.
-spec explain(py_os_exit:reason() | closed, events()) -> py_os_exit:reason() | closed.
explain({signal, Name}, #events{crash = Text}) when is_binary(Text) ->
    {signal, Name, Text};
explain(Reason, _) ->
    Reason.
