%% SPDX-License-Identifier: Apache-2.0
%%
%% The processes whose death a worker, or the pool's queue, wants to know of.
%% Starting and ending a monitor costs both sides more than a short call does, so it
%% stays when the request is done. When there are many, those of processes that
%% have nothing here any more are removed.
-module(py_watch).

-export([new/0, watch/4, gone/2]).
-export_type([callers/0]).

-define(MANY, 64).

-record(callers, {
    monitors = #{} :: #{pid() => reference()},
    limit = ?MANY :: pos_integer()
}).
-opaque callers() :: #callers{}.

-spec new() -> callers().
new() ->
    #callers{}.

%% Watches this process, too. `Busy' says of this term who has something here; it
%% is called only when it is time to sweep.
-spec watch(pid(), fun((Of) -> [pid()]), Of, callers()) -> callers().
watch(Pid, _, _, #callers{monitors = Monitors} = C) when is_map_key(Pid, Monitors) ->
    C;
watch(Pid, Busy, Of, #callers{monitors = Monitors, limit = Limit} = C)
  when map_size(Monitors) >= Limit ->
    add(Pid, sweep(Busy(Of), C));
watch(Pid, _, _, C) ->
    add(Pid, C).

add(Pid, #callers{monitors = Monitors} = C) ->
    C#callers{monitors = Monitors#{Pid => monitor(process, Pid)}}.

%% Keeps only these. The next sweep is due when there are twice as many.
sweep(Keep, #callers{monitors = Monitors}) ->
    Kept = maps:with(Keep, Monitors),
    Swept = maps:without(Keep, Monitors),
    [demonitor(Monitor, [flush]) || Monitor <- maps:values(Swept)],
    #callers{monitors = Kept, limit = max(?MANY, 2 * map_size(Kept))}.

%% A process is dead; `unknown' if it was not watched.
-spec gone(pid(), callers()) -> {gone, callers()} | unknown.
gone(Pid, #callers{monitors = Monitors} = C) ->
    case maps:take(Pid, Monitors) of
        {_, Rest} -> {gone, C#callers{monitors = Rest}};
        error -> unknown
    end.
