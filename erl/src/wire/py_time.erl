%% SPDX-License-Identifier: Apache-2.0
%%
%% Time as requests have it: monotonic, in milliseconds. A deadline is a moment,
%% a timeout is how long.
-module(py_time).

-export([now_ms/0, deadline/1, deadline/2, left/1, earliest/1]).
-export_type([deadline/0]).

-include("py.hrl").

-type deadline() :: integer() | infinity.

-spec now_ms() -> integer().
now_ms() ->
    erlang:monotonic_time(millisecond).

%% The moment at which a timeout that begins now ends.
-spec deadline(timeout()) -> deadline().
deadline(Timeout) ->
    deadline(Timeout, now_ms()).

%% The same for a timeout that begins then.
-spec deadline(timeout(), integer()) -> deadline().
deadline(infinity, _) -> infinity;
deadline(Timeout, Then) -> Then + Timeout.

%% How long it is until the deadline, as `receive' takes it.
-spec left(deadline()) -> timeout().
left(infinity) -> infinity;
left(Deadline) -> min(?LONGEST, max(0, Deadline - now_ms())).

-spec earliest([deadline()]) -> deadline().
earliest(Deadlines) ->
    lists:min([infinity | Deadlines]).
