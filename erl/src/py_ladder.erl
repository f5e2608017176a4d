%% SPDX-License-Identifier: Apache-2.0
%%
%% The ladder: what is done, one rung after another, about a program that does
%% not answer when its time is up. Pure; the worker acts on each rung.
-module(py_ladder).

-export([new/0, climb/1]).
-export_type([ladder/0, rung/0]).

-type rung() :: interrupt   % {cancel, Id}: Python raises erlang.Cancelled
              | kill        % SIGKILL to the process group
              | abandon.    % close the port, the program is beyond reach
-opaque ladder() :: [{rung(), Wait :: non_neg_integer()}].

-define(INTERRUPT_GRACE, 500).
-define(KILL_GRACE, 2_000).

-spec new() -> ladder().
new() ->
    [{interrupt, ?INTERRUPT_GRACE}, {kill, ?KILL_GRACE}, {abandon, 0}].

%% The next rung, and how many milliseconds it has before the one after it.
-spec climb(ladder()) -> {rung(), non_neg_integer(), ladder()}.
climb([{Rung, Wait} | Rest]) ->
    {Rung, Wait, Rest}.
