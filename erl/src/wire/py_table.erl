%% SPDX-License-Identifier: Apache-2.0
%%
%% A named table that is there as long as the application.
-module(py_table).

-export([access/1]).

%% What this makes of it, unless there is none.
-spec access(fun(() -> Result)) -> Result | {error, {not_started, py}}.
access(Access) ->
    try
        Access()
    catch
        error:badarg -> {error, {not_started, py}}
    end.
