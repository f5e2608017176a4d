%% SPDX-License-Identifier: Apache-2.0
%%
%% What is kept of a pool until it is stopped, whichever of its processes dies:
%% the steps that every worker has to run (py_pool_steps), how many were recycled
%% and what is refused (py_pool_tend). The table belongs to the top supervisor. Contexts
%% that have a name (py_named) are forgotten with it.
-module(py_pool_kept).

-export([new/0, put_steps/2, steps/2, put/3, get/3, forget/1]).

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

%% Anything else that is kept has a name of its own.
-spec put(Pool :: atom(), atom(), term()) -> ok.
put(Name, Key, Value) ->
    true = ets:insert(?MODULE, {{Name, Key}, Value}),
    ok.

-spec get(Pool :: atom(), atom(), Default) -> Value :: term() | Default.
get(Name, Key, Default) ->
    case ets:lookup(?MODULE, {Name, Key}) of
        [{_, Value}] -> Value;
        [] -> Default
    end.

-spec forget(Pool :: atom()) -> ok.
forget(Name) ->
    true = ets:delete(?MODULE, Name),
    true = ets:match_delete(?MODULE, {{Name, '_'}, '_'}),
    py_named:forget(Name).
