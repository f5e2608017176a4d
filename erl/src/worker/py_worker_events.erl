%% SPDX-License-Identifier: Apache-2.0
%%
%% What a program says without having been asked: {event, Name, Data}, and why
%% it cannot start. Messages go to their processes and lines of logs to the
%% logger. Its last words are kept for whoever asks how it ended.
%%
%% The program may send only a limited number of bytes of events ahead of their
%% acknowledgement (py_worker_log), so it cannot flood its worker.
-module(py_worker_events).

-export([new/1, window/0, handle/3, start_failure/1, explain/2]).
-export_type([events/0]).

%% Bytes of events that the program may have sent without an acknowledgement.
-define(UNACKED_MAX, (1 bsl 20)).

-record(events, {
    log :: py_worker_log:log(),
    failure = none :: none | binary(),  % why it cannot start
    crash = none :: none | binary()     % Python's stacks when it crashed
}).

-opaque events() :: #events{}.

%% For the calling worker, with the metadata of its lines.
-spec new(logger:metadata()) -> events().
new(About) ->
    #events{log = py_worker_log:start(About)}.

-spec window() -> pos_integer().
window() ->
    ?UNACKED_MAX.

%% Deals with a frame that is no reply.
-spec handle(binary(), port(), events()) -> events().
handle(Frame, Port, #events{log = Log} = E) ->
    Next = try binary_to_term(Frame, [safe]) of
               Term -> event(Term, E)
           catch
               error:badarg ->
                   py_worker_log:write(Log, warning, "what Python sent cannot be decoded: ~tp",
                                [py_unknown_atom:explain(Frame)], #{}),
                   E
           end,
    py_worker_log:acknowledge(Log, Port, byte_size(Frame)),
    Next.

event({event, send, {To, Term}}, E) ->
    send(To, Term, E),
    E;
event({event, log, #{level := Level, text := Text} = Line}, #events{log = Log} = E) ->
    py_worker_log:write(Log, Level, "~ts", [Text], where(Line)),
    E;
event({event, spoilt, Lock}, #events{log = Log} = E) ->
    py_worker_log:write(Log, warning, "an interrupt has left ~ts taken: the worker is replaced",
                        [Lock], #{}),
    py_worker:spoilt(self()),
    E;
event({event, crash, Text}, E) ->
    E#events{crash = Text};
event({undefined, {error, {start_failed, Text}}}, E) ->
    E#events{failure = Text};
event(Other, #events{log = Log} = E) ->
    py_worker_log:write(Log, debug, "pyport said what nobody asked for: ~tP", [Other, 20], #{}),
    E.

%% The name of Python's logger has a key of its own: Erlang's loggers have no
%% name.
where(Line) ->
    maps:fold(fun(logger, Name, Meta) -> Meta#{python_logger => Name};
                 (file, File, Meta) -> Meta#{file => unicode:characters_to_list(File)};
                 (Key, Value, Meta) -> Meta#{Key => Value}
              end, #{}, maps:with([source, logger, file, line], Line)).

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

%% ---------------------------------------------------------------------------
%% erlang.send(to, term) in Python. It is never an error, like `!'.

send(Pid, Term, _) when is_pid(Pid) ->
    deliver(Pid, Term);
send(Name, Term, E) when is_atom(Name) ->
    case whereis(Name) of
        undefined -> nobody(Name, E);
        _ -> deliver(Name, Term)
    end;
send(To, _, E) ->
    nobody(To, E).

nobody(To, #events{log = Log}) ->
    py_worker_log:write(Log, debug, "Python sent to ~tp, which is nobody here", [To], #{}).

%% The worker never waits, not even for a slow connection to another node. The
%% name may have been unregistered a moment ago: that is no error either.
deliver(To, Term) ->
    try erlang:send(To, Term, [nosuspend, noconnect]) of
        ok -> ok;
        _ -> _ = spawn(fun() -> erlang:send(To, Term) end), ok
    catch
        error:badarg -> ok
    end.
