%% SPDX-License-Identifier: Apache-2.0
%%
%% One pool's supervisor. It owns the pool's table (py_pool_board), so that the
%% table lives as long as any process of the pool.
-module(py_pool_sup).
-behaviour(supervisor).

-export([start_link/2, stop_children/1, init/1]).

-spec start_link(atom(), py_pool_options:hidden()) -> supervisor:startlink_ret().
start_link(Name, Options) ->
    supervisor:start_link(?MODULE, {Name, Options}).

%% Ends its children as its own end would. It may end meanwhile.
-spec stop_children(pid()) -> ok.
stop_children(Sup) ->
    try
        _ = supervisor:terminate_child(Sup, pool),
        _ = supervisor:terminate_child(Sup, workers),
        ok
    catch
        exit:_ -> ok
    end.

%% A worker belongs to the py_pool process that started it, and ends with it.
-spec init({atom(), py_pool_options:hidden()}) ->
          {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init({Name, Options}) ->
    Pool = py_pool_board:new(Name, Options),
    Workers = #{id => workers, type => supervisor,
                start => {py_worker_sup, start_link, [Pool]}},
    Manager = #{id => pool, start => {py_pool, start_link, [Pool, Options]}},
    Sampler = #{id => sampler, start => {py_pool_sampler, start_link, [Pool]}},
    {ok, {#{strategy => one_for_all, intensity => 5, period => 60},
          [Workers, Manager, Sampler]}}.
