%% SPDX-License-Identifier: Apache-2.0
%%
%% Bindings: a process that has used `exec' stays with the worker that ran it,
%% one for each pool, because that worker's __main__ has its names. A binding
%% is in the process dictionary: it ends with its process, and no other sees it.
-module(py_binding).

-export([worker/1, bind/2, release/1, release_dead/1]).

-include("py.hrl").

-spec worker(#pool{}) -> pid() | undefined.
worker(#pool{name = Name}) ->
    erlang:get({py_binding, Name}).

-spec bind(#pool{}, pid()) -> ok.
bind(#pool{name = Name}, Worker) ->
    _ = put({py_binding, Name}, Worker),
    ok.

-spec release(#pool{}) -> ok.
release(#pool{name = Name}) ->
    _ = erase({py_binding, Name}),
    ok.

%% Ends the binding if its worker is dead: the caller has learnt of that by
%% something else than the answer to its own call.
-spec release_dead(#pool{}) -> ok.
release_dead(Pool) ->
    case worker(Pool) of
        Worker when is_pid(Worker) ->
            %% It writes down why before it tells anybody, unless it is killed.
            Dead = py_pool_board:has_died(Pool, Worker) orelse not is_process_alive(Worker),
            Dead andalso release(Pool),
            ok;
        undefined ->
            ok
    end.
