%% SPDX-License-Identifier: Apache-2.0
%%
%% The workers of one pool. They are temporary: the pool decides when another
%% worker is started.
-module(py_worker_sup).
-behaviour(supervisor).

-export([start_link/1, workers/1, init/1]).

-include("py.hrl").

%% A worker that ends gives its program some time, then kills it (py_os_port).
-define(SHUTDOWN, 10_000).

-spec start_link(#pool{}) -> supervisor:startlink_ret().
start_link(Pool) ->
    supervisor:start_link(?MODULE, Pool).

%% All workers that there are, whether or not they have a slot. The supervisor may end
%% meanwhile.
-spec workers(pid()) -> [pid()].
workers(Sup) ->
    try
        [Worker || {_, Worker, _, _} <- supervisor:which_children(Sup), is_pid(Worker)]
    catch
        exit:_ -> []
    end.

-spec init(#pool{}) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init(Pool) ->
    py_pool_board:set_process(Pool, workers, self()),
    Worker = #{id => worker, start => {py_worker, start_link, []},
               restart => temporary, shutdown => ?SHUTDOWN},
    {ok, {#{strategy => simple_one_for_one}, [Worker]}}.
