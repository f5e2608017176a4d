%% SPDX-License-Identifier: Apache-2.0
%%
%% The top supervisor: of the process that starts and stops pools, and of one
%% py_pool_sup for each pool. It owns the table of what is kept of a pool until it
%% is stopped, and that of the functions that Python may call.
-module(py_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = py_pool_kept:new(),
    ok = py_talk_functions:new(),
    Pools = #{id => pools, start => {py_pools, start_link, []}},
    {ok, {#{strategy => one_for_one, intensity => 5, period => 60}, [Pools]}}.
