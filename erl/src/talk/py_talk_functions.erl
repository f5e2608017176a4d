%% SPDX-License-Identifier: Apache-2.0
%%
%% The functions that Python may call by name (py:register_function): for every
%% pool, or for one, whose own go before. The table belongs to the top supervisor:
%% they are there until they are unregistered or the application stops, whichever
%% worker or pool dies.
-module(py_talk_functions).

-export([new/0, put/4, remove/1, find/3, is_reserved/1, reserved/0]).
-export_type([name/0, callable/0, allowed/0, found/0]).

-type name() :: binary().
-type callable() :: fun() | {module(), atom()}.
%% The pool's option `functions': those that are registered, or these and no others,
%% whose names are 'module:function'.
-type allowed() :: registered | [{module(), atom()}].
-type found() :: {callable(), timeout()}.

%% The table lives as long as the calling process.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {read_concurrency, true}]),
    ok.

%% Registers it for this pool, or for all (undefined), in place of what has the name
%% there.
-spec put(name(), Pool :: atom(), callable(), timeout()) -> ok | {error, {not_started, py}}.
put(Name, Pool, Function, Timeout) ->
    py_table:access(fun() ->
        true = ets:insert(?MODULE, {{Name, Pool}, Function, Timeout}),
        ok
    end).

%% Removes it wherever it is registered.
-spec remove(name()) -> ok | {error, {no_function, name()} | {not_started, py}}.
remove(Name) ->
    py_table:access(fun() ->
        case ets:select_delete(?MODULE, [{{{Name, '_'}, '_', '_'}, [], [true]}]) of
            0 -> {error, {no_function, Name}};
            _ -> ok
        end
    end).

%% What this pool's Python calls by this name.
-spec find(name(), Pool :: atom(), allowed()) -> {ok, found()} | none.
find(Name, Pool, registered) ->
    case registered(Name, Pool) of
        none -> registered(Name, undefined);
        Found -> Found
    end;
find(Name, _, Allowed) ->
    case [MF || {M, F} = MF <- Allowed, Name =:= full_name(M, F)] of
        [MF | _] -> {ok, {MF, infinity}};
        [] -> none
    end.

registered(Name, Pool) ->
    case py_table:access(fun() -> ets:lookup(?MODULE, {Name, Pool}) end) of
        [{_, Function, Timeout}] -> {ok, {Function, Timeout}};
        _ -> none
    end.

full_name(M, F) ->
    <<(atom_to_binary(M))/binary, ":", (atom_to_binary(F))/binary>>.

%% Whether the package `erlang' has that name itself.
-spec is_reserved(name()) -> boolean().
is_reserved(<<"_", _/binary>>) -> true;
is_reserved(Name) -> lists:member(Name, reserved()).

%% test/talk/functions.escript compares them with the package.
-spec reserved() -> [name()].
reserved() ->
    [<<"Atom">>, <<"BadArg">>, <<"BitString">>, <<"Cancelled">>, <<"Channel">>, <<"Error">>, <<"Fun">>,
     <<"ImproperList">>, <<"LogHandler">>, <<"Pid">>, <<"Port">>, <<"Reference">>,
     <<"SendError">>, <<"call">>, <<"call_async">>, <<"decoder">>, <<"encoder">>, <<"make_ref">>, <<"on_message">>,
     <<"receive">>, <<"self">>, <<"send">>, <<"span">>, <<"state">>, <<"traceparent">>, <<"whereis">>,
     <<"worker">>].
