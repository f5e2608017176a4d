%% SPDX-License-Identifier: Apache-2.0
%%
%% What a program says without having been asked: {event, Name, Data}.
-module(py_event).

-export([handle/1]).

-include_lib("kernel/include/logger.hrl").

-define(META, #{domain => [py]}).

-spec handle(binary()) -> ok.
handle(Frame) ->
    try binary_to_term(Frame, [safe]) of
        {event, send, {To, Term}} ->
            send(To, Term);
        Other ->
            ?LOG_DEBUG("pyport said what nobody asked for: ~tP", [Other, 20], ?META)
    catch
        error:badarg ->
            ?LOG_WARNING("what Python sent cannot be decoded: ~tp",
                         [py_unknown_atom:explain(Frame)], ?META)
    end.

%% erlang.send(to, term) in Python. It is never an error, like `!'.
send(Pid, Term) when is_pid(Pid) ->
    deliver(Pid, Term);
send(Name, Term) when is_atom(Name) ->
    case whereis(Name) of
        undefined -> nobody(Name);
        _ -> deliver(Name, Term)
    end;
send(Name, Term) when is_binary(Name) ->
    try binary_to_existing_atom(Name) of
        Atom -> send(Atom, Term)
    catch
        error:_ -> nobody(Name)
    end;
send(To, _) ->
    nobody(To).

nobody(To) ->
    ?LOG_DEBUG("Python sent to ~tp, which is nobody here", [To], ?META).

%% The worker never waits, not even for a slow connection to another node.
deliver(To, Term) ->
    case catch_badarg(fun() -> erlang:send(To, Term, [nosuspend, noconnect]) end) of
        ok -> ok;
        _ -> _ = spawn(fun() -> To ! Term end), ok
    end.

%% The name may have been unregistered a moment ago.
catch_badarg(Fun) ->
    try Fun() catch error:badarg -> ok end.
