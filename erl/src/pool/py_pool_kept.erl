%% SPDX-License-Identifier: Apache-2.0
%%
%% What is kept of a pool until it is stopped, whichever of its processes dies:
%% the steps that every worker has to run (py_pool_steps). The table belongs to
%% the top supervisor.
-module(py_pool_kept).

-export([new/0, put_steps/2, steps/2, forget/1]).

%% The table lives as long as the calling process.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public]),
    ok.

-spec put_steps(Pool :: atom(), py_pool_steps:steps()) -> ok.
put_steps(Name, Steps) ->
    true = ets:insert(?MODULE, {Name, Steps}),
    ok.

%% The default until they are put.
-spec steps(Pool :: atom(), Default :: py_pool_steps:steps()) -> py_pool_steps:steps().
steps(Name, Default) ->
    case ets:lookup(?MODULE, Name) of
        [{_, Steps}] -> Steps;
        [] -> Default
    end.

-spec forget(Pool :: atom()) -> ok.
forget(Name) ->
    true = ets:delete(?MODULE, Name),
    ok.
