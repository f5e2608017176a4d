#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pages name what there is: docs/architecture.md each module, docs/messages.md each
%% function that sends a message.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    _ = application:load(py),
    tap:run([
        {"architecture.md has every module", fun modules/0},
        {"architecture.md has no module that is gone", fun gone/0},
        {"messages.md has every message", fun messages/0},
        {"messages.md has no message that is gone", fun unknown/0}
    ]).

all_modules() ->
    {ok, Modules} = application:get_key(py, modules),
    Modules.

page(Name) ->
    {ok, Text} = file:read_file(filename:join([fixture:srcdir(), "docs", Name])),
    Text.

%% What stands in backquotes and looks like this.
quoted(Regex, Name) ->
    case re:run(page(Name), ["`", Regex], [global, {capture, all_but_first, list}]) of
        {match, Found} -> Found;
        nomatch -> []
    end.

named() ->
    lists:usort([list_to_atom(Name) || [Name] <- quoted("(py(?:_[a-z_]+)?)`", "architecture.md")]).

modules() ->
    ?assertEqual([], all_modules() -- named()).

gone() ->
    ?assertEqual([], named() -- all_modules()).

%% A row may have several functions of one module, or several arities of one.
messages() ->
    Page = page("messages.md"),
    ?assertEqual([], [Call || Module <- all_modules(), {Function, _} <- sent(Module),
                              Call <- [lists:concat([Module, ":", Function, "/"])],
                              string:find(Page, Call) =:= nomatch]).

%% The functions that only send.
sent(Module) ->
    lists:append([List || {messages, List} <- Module:module_info(attributes)]).

unknown() ->
    Calls = [{list_to_atom(Module), list_to_atom(Function), list_to_integer(Arity)}
             || [Module, Function, Arity] <- quoted("([a-z_]+):([a-z_]+)/([0-9])", "messages.md")],
    ?assert(length(Calls) > 10),
    ?assertEqual([], [Call || {Module, Function, Arity} = Call <- Calls,
                              not lists:member({Function, Arity}, Module:module_info(exports))]).
