%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc Channels: Erlang and Python code that runs talk to each other.
%%
%% A channel is an argument like any other. While the call goes on, both sides send and
%% receive, each in its own time:
%% ```
%% {ok, C} = py_channel:new(),
%% Ref = py:spawn_call('__main__', upper, [C]),   % for text in c: c.send(text.upper())
%% ok = py_channel:send(C, <<"a">>),
%% {ok, <<"A">>} = py_channel:recv(C),
%% ok = py_channel:close(C),
%% {ok, none} = py:await(Ref).
%% '''
%% Each side may be so many messages ahead of the other (100) and then waits. Any process
%% may use a channel. It ends with the process that has made it. It is for one worker,
%% the first one whose Python uses it, and ends with that, too: `{error, {worker_exit,
%% Why}}'.
%%
%% `docs/python.md' says how Python uses it.
-module(py_channel).

-export([new/0, new/1, send/2, send/3, recv/1, recv/2, close/1]).
-export_type([channel/0, options/0, reason/0]).

-opaque channel() :: py_channel_server:channel().
%% What {@link new/1} returns.
-type options() :: #{size => pos_integer()} | py:keywords().
%% How many messages either side may be ahead of the other (100).
-type reason() :: closed | timeout | {worker_exit, term()}.
%% Nobody sends any more; it took too long; the worker whose Python used it has ended.

%% @equiv new(#{})
-spec new() -> {ok, channel()}.
new() ->
    new(#{}).

%% @doc Makes a channel, which belongs to the calling process:
%% ``{ok, C} = py_channel:new(#{size => 10})''.
-spec new(options()) -> {ok, channel()}.
new(Options) ->
    {ok, py_channel_server:start(py_args:channel(Options))}.

%% @equiv send(Channel, Term, infinity)
-spec send(channel(), term()) -> ok | {error, reason()}.
send(Channel, Term) ->
    send(Channel, Term, infinity).

%% @doc Sends a term to Python: ``ok = py_channel:send(C, 1, 1000)''. If as many as may be
%% are ahead, it waits, for so many milliseconds at most.
-spec send(channel(), term(), timeout()) -> ok | {error, reason()}.
send(Channel, Term, Timeout) ->
    py_channel_server:send(Channel, Term, py_options:timeout(Timeout)).

%% @equiv recv(Channel, infinity)
-spec recv(channel()) -> {ok, term()} | {error, reason()}.
recv(Channel) ->
    recv(Channel, infinity).

%% @doc The next term that Python has sent: ``{ok, Term} = py_channel:recv(C, 1000)''.
%% It waits for that, for so many milliseconds at most.
-spec recv(channel(), timeout()) -> {ok, term()} | {error, reason()}.
recv(Channel, Timeout) ->
    py_channel_server:recv(Channel, py_options:timeout(Timeout)).

%% @doc Nobody sends any more: ``ok = py_channel:close(C)''. What was sent before can
%% still be received.
-spec close(channel()) -> ok.
close(Channel) ->
    py_channel_server:close(Channel).
