#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: pids in Python, and messages from it. The cases have the names that they have in
%% erlang_python's py_pid_send_SUITE.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Env = #{init => <<"import peer">>, send => [peer_name, peer_nobody]},
    tap:run(fixture:with_app(Env, [pids(), sends(), coroutines(), names()])).

pids() ->
    Self = self(),
    [{"pid_type_in_python, pid_isinstance_check",
      gives({<<"Pid">>, true}, "(type(p).__qualname__, isinstance(p, erlang.Pid))")},
     {"pid_round_trip", gives(Self, "p", Self)},
     {"pid_equality", gives(true, "p == q")},
     {"pid_hash", gives({true, 1}, "(hash(p) == hash(q), len({p, q}))")},
     {"pid_inequality", gives(true, "p != other")},
     {"pid_in_complex_structure", gives([Self, #{<<"pid">> => Self}], "[p, {'pid': p}]", Self)}].

gives(Value, Code) -> gives(Value, Code, self()).

gives(Value, Code, Pid) ->
    Locals = #{p => Pid, q => Pid, other => whereis(init)},
    fun() -> ?assertEqual({ok, Value}, py:eval(Code, Locals)) end.

sends() ->
    [{"send_simple_message", sent([<<"hello">>])},
     {"send_multiple_messages", sent([<<"one">>, <<"two">>, <<"three">>])},
     {"send_complex_term", sent([{<<"hello">>, 42, [1, 2, 3], #{<<"key">> => <<"value">>}, true}])},
     {"send_is_nonblocking", sent([{<<"msg">>, N} || N <- lists:seq(1, 1000)])},
     {"send_bad_pid_raises", fun send_bad_pid_raises/0},
     {"send_to_dead_process, send_dead_process_raises_process_error", fun send_to_dead_process/0},
     {"process_error_is_exception_subclass", gives(true, "issubclass(erlang.SendError, Exception)")},
     {"suspension_not_caught_by_except", fun suspension_not_caught_by_except/0}].

sent(Messages) ->
    fun() ->
        ?assertEqual({ok, length(Messages)}, py:call(peer, send_all, [self(), Messages])),
        came(Messages)
    end.

%% They are there when the call has returned, in this order.
came(Messages) ->
    ?assertEqual(Messages, [receive Next -> Next after 0 -> none end || _ <- Messages]).

coroutines() ->
    [{"send_from_coroutine", fun send_from_coroutine/0},
     {"send_multiple_from_coroutine, send_interleaved_with_async", fun send_interleaved_with_async/0}].

names() ->
    [{"whereis_registered_process", found("erlang.whereis('peer_name')")},
     {"whereis_with_atom", found("erlang.whereis(erlang.Atom('peer_name'))")},
     {"whereis_nonexistent", gives(none, "erlang.whereis('peer_nobody')")},
     {"whereis_with_bytes", fails('TypeError', "erlang.whereis(b'peer_name')")},
     {"whereis_invalid_type", fails('TypeError', "erlang.whereis(123)")},
     {"whereis_and_send", fun whereis_and_send/0}].

found(Code) ->
    fun() ->
        true = register(peer_name, self()),
        ?assertEqual({ok, self()}, py:eval(Code))
    end.

fails(Class, Code) -> fun() -> ?assertMatch({error, {Class, _}}, py:eval(Code)) end.

%% ---------------------------------------------------------------------------

%% A text is a name, and whether that may be sent to says the pool.
send_bad_pid_raises() ->
    ?assertEqual({ok, true}, py:call(peer, is_refused, [123, 'TypeError'])),
    ?assertEqual({ok, true}, py:call(peer, is_refused, [<<"not_a_pid">>, 'SendError'])).

send_to_dead_process() ->
    {Pid, Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Ref, process, Pid, normal} -> ok end,
    ?assertEqual({ok, true}, py:call(peer, is_refused, [Pid, 'SendError'])),
    ?assertEqual({error, {'erlang.SendError', <<"the process is dead">>}}, py:call(erlang, send, [Pid, 1])).

%% No exception is used to wait.
suspension_not_caught_by_except() ->
    ok = py:register_function(get_value, fun(X) -> X end),
    ?assertEqual({ok, 42}, py:call(peer, careful, [42])),
    ?assertEqual({ok, 42}, py:call(peer, very_careful, [42])),
    ?assertEqual({ok, false}, py:eval("hasattr(erlang, 'SuspensionRequired')")).

send_from_coroutine() ->
    ?assertEqual({ok, [0]}, py:call(peer, send_in_coroutine, [self(), [<<"async_hello">>]])),
    came([<<"async_hello">>]).

send_interleaved_with_async() ->
    Messages = [<<"interleaved_1">>, <<"interleaved_2">>, <<"interleaved_3">>],
    ?assertEqual({ok, [0, 1, 2]}, py:call(peer, send_in_coroutine, [self(), Messages])),
    came(Messages).

whereis_and_send() ->
    true = register(peer_name, self()),
    ?assertEqual({ok, none}, py:eval("erlang.send(erlang.whereis('peer_name'), ('hello', 42))")),
    ?assertEqual({ok, none}, py:eval("erlang.send('peer_name', 43)")),
    came([{<<"hello">>, 42}, 43]).
