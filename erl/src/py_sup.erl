%% SPDX-License-Identifier: Apache-2.0
%%
%% The top supervisor: of the process that starts and stops pools, of the one that writes
%% the state which workers share, and of one py_pool_sup for each pool. It owns
%% the table of what is kept of a pool until it is stopped, that of the functions that
%% Python may call, that of contexts' names, and that of the shared state.
-module(py_sup).
-behaviour(supervisor).

-export([start_link/1, init/1]).

-spec start_link(py_talk_state:limits()) -> supervisor:startlink_ret().
start_link(StateLimits) ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, StateLimits).

-spec init(py_talk_state:limits()) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init(StateLimits) ->
    ok = py_pool_kept:new(),
    ok = py_talk_functions:new(),
    ok = py_named:new(),
    ok = py_talk_state:new(),
    State = #{id => state, start => {py_talk_state, start_link, [StateLimits]}},
    Pools = #{id => pools, start => {py_pools, start_link, []}},
    {ok, {#{strategy => one_for_one, intensity => 5, period => 60}, [State, Pools]}}.
