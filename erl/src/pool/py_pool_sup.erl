%% SPDX-License-Identifier: Apache-2.0
%%
%% One pool's supervisor. It owns the pool's table (py_pool_board), so that the
%% table lives as long as any process of the pool. Below it are the supervisor of
%% the processes that make up the pool, none of which goes on without the others, and
%% the process that drains the pool before they end.
%%
%% A pool of py:start_pool/2 is a child of py_sup; one of py:start_link/2 belongs to
%% whoever called it, and has to be given its name first.
-module(py_pool_sup).
-behaviour(supervisor).

-export([start_link/3, start_members/2, stop_children/1, options/2, init/1]).
-export_type([whose/0]).

-include("py.hrl").

-type whose() :: own | linked.

%% `ignore': the name was not given.
-spec start_link(whose(), atom(), py_pool_options:hidden()) -> supervisor:startlink_ret().
start_link(Whose, Name, Options) ->
    supervisor:start_link(?MODULE, {Whose, Name, Options}).

-spec start_members(#pool{}, py_pool_options:hidden()) -> supervisor:startlink_ret().
start_members(Pool, Options) ->
    supervisor:start_link(?MODULE, {members, Pool, Options}).

%% Ends its children as its own end would. It may end meanwhile.
-spec stop_children(pid()) -> ok.
stop_children(Sup) ->
    try
        _ = supervisor:terminate_child(Sup, members),
        ok
    catch
        exit:_ -> ok
    end.

%% What the pool was started with. It may end meanwhile.
-spec options(pid(), #pool{}) -> {ok, py_pool_options:hidden()} | {error, term()}.
options(Sup, Pool) ->
    try
        {ok, #{start := {_, _, [_, Options]}}} = supervisor:get_childspec(Sup, members),
        {ok, Options}
    catch
        exit:_ -> py_pool_board:refusal(Pool)
    end.

-spec init({whose(), atom(), py_pool_options:hidden()}
           | {members, #pool{}, py_pool_options:hidden()}) ->
          {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}} | ignore.
init({members, Pool, Options}) ->
    {ok, members(Pool, Options)};
init({Whose, Name, Options}) ->
    Pool = py_pool_board:new(Name, Options),
    py_pool_board:set_supervisor(Pool, Whose, self()),
    case publish(Whose, Pool) of
        true -> {ok, pool(Pool, Options)};
        false -> ignore
    end.

%% A linked pool is made known by the process that gives it its name, so that nobody
%% else gets the name meanwhile.
publish(own, Pool) -> py_pool_board:publish(Pool) =:= ok;
publish(linked, Pool) -> py_pools:claim(Pool).

pool(Pool, Options) ->
    Members = #{id => members, type => supervisor,
                start => {?MODULE, start_members, [Pool, Options]}},
    Drain = #{id => drain, start => {py_pool_drain, start_link, [Pool]}, shutdown => infinity},
    {#{strategy => one_for_all, intensity => 0}, [Members, Drain]}.

%% A worker belongs to the py_pool process that started it, and ends with it.
members(Pool, Options) ->
    Workers = #{id => workers, type => supervisor,
                start => {py_worker_sup, start_link, [Pool]}},
    Manager = #{id => pool, start => {py_pool, start_link, [Pool, Options]}},
    Sampler = #{id => sampler, start => {py_pool_sampler, start_link, [Pool]}},
    {#{strategy => one_for_all, intensity => 5, period => 60}, [Workers, Manager, Sampler]}.
