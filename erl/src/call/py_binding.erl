%% SPDX-License-Identifier: Apache-2.0
%%
%% Bindings: a process that has used `exec' stays with the worker that ran it,
%% one for each pool, because that worker's __main__ has its names. Kept in
%% the process dictionary, so it ends with the process and is seen by no other.
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

%% The caller has been told of its worker's death in another way than by the
%% answer to a call of its own.
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
