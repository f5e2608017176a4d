%% SPDX-License-Identifier: Apache-2.0
%%
%% What must not be printed: environment variables, code, arguments. Reports of
%% crashes and of supervisors print the states, messages and arguments of our
%% processes, but of a closure only its name. So these values are in closures
%% wherever a process keeps them. Pure.
-module(py_secret).

-export([hide/1, show/1]).
-export_type([secret/1]).

-type secret(Value) :: fun(() -> Value).

-spec hide(Value) -> secret(Value).
hide(Value) ->
    fun() -> Value end.

-spec show(secret(Value)) -> Value.
show(Secret) ->
    Secret().
