%% SPDX-License-Identifier: Apache-2.0
%%
%% How an operating-system process ended, for programs and for people. Pure.
-module(py_os_exit).

-export([reason/1, start_failure/1]).
-export_type([reason/0]).

-include("py_protocol.hrl").

-type reason() :: {signal, atom() | pos_integer()}
                | {signal, atom() | pos_integer(), Stacks :: binary()}
                | {status, 0..255} | oom | timeout | {memory, map()}.

%% The VM reports the end by signal N as status 128 + N. There are 64 signals.
-spec reason(non_neg_integer()) -> reason().
reason(Status) when Status > 128, Status =< 192 -> {signal, signal(Status - 128)};
reason(Status) -> {status, Status}.

signal(1) -> sighup;
signal(2) -> sigint;
signal(3) -> sigquit;
signal(4) -> sigill;
signal(5) -> sigtrap;
signal(6) -> sigabrt;
signal(8) -> sigfpe;
signal(9) -> sigkill;
signal(11) -> sigsegv;
signal(13) -> sigpipe;
signal(14) -> sigalrm;
signal(15) -> sigterm;
signal(N) -> signal_here(os:type(), N).

%% Numbers that differ between systems.
signal_here({unix, linux}, 7) -> sigbus;
signal_here({unix, linux}, 10) -> sigusr1;
signal_here({unix, linux}, 12) -> sigusr2;
signal_here({unix, linux}, 31) -> sigsys;
signal_here({unix, _}, 10) -> sigbus;
signal_here({unix, _}, 12) -> sigsys;
signal_here(_, 24) -> sigxcpu;
signal_here(_, 25) -> sigxfsz;
signal_here(_, N) -> N.

%% Why a program that ended before it was ready did not start.
-spec start_failure(non_neg_integer()) -> binary().
start_failure(Status) ->
    iolist_to_binary(["the program ended: ", failure(Status)]).

failure(?EXIT_USAGE) -> "it did not understand its command line";
failure(?EXIT_PROTOCOL) -> "it lost step with the VM";
failure(?EXIT_PYTHON) -> "Python could not start (its error output says why)";
failure(?EXIT_SYSTEM) -> "no memory, file descriptor or thread was left";
failure(?EXIT_IO) -> "it could not talk to the VM";
failure(126) -> "it is not executable";
failure(127) -> "a shared library is missing (its error output says which)";
failure(Status) -> ended(reason(Status)).

ended({signal, Name}) -> io_lib:format("signal ~p", [Name]);
ended({status, Status}) -> io_lib:format("exit status ~b", [Status]).
