%% SPDX-License-Identifier: Apache-2.0
%%
%% The classes of Python's exceptions as atoms. The built-in ones exist from
%% the first hello on. Any other class comes as a binary and becomes an atom here,
%% and only here. What Python says is built-in can also be anything. So there is a
%% limit to each kind, for as long as the node lives, and
%% Python can never fill the atom table: 250 that a hello has named, and 1,000
%% others. Beyond that a class stays a binary.
-module(py_exception).

-export([start/0, learn/1, reason/1]).

%% Where the new atoms of each kind are counted, and how many there may be. All
%% Pythons together have fewer than 100 built-in exceptions.
-define(BUILTIN, {1, 250}).
-define(OTHER, {2, 1000}).

%% Call once before the first reply is decoded. The counts outlive the
%% application: they are the node's.
-spec start() -> ok.
start() ->
    case persistent_term:get(?MODULE, none) of
        none -> persistent_term:put(?MODULE, atomics:new(2, []));
        _ -> ok
    end.

%% Makes atoms of the names of the built-in classes.
-spec learn([binary()]) -> ok.
learn(Names) ->
    lists:foreach(fun(Name) -> class(Name, ?BUILTIN) end, Names).

%% An error's reason as the caller gets it.
-spec reason(term()) -> term().
reason({Class, Message}) when is_binary(Class) ->
    {class(Class, ?OTHER), Message};
reason({Class, Message, Trace}) when is_binary(Class) ->
    {class(Class, ?OTHER), Message, Trace};
reason(Reason) ->
    Reason.

class(Name, Limit) ->
    try
        binary_to_existing_atom(Name)
    catch
        error:_ -> new_class(Name, Limit)
    end.

new_class(Name, {Place, Most}) ->
    Counts = persistent_term:get(?MODULE),
    case atomics:add_get(Counts, Place, 1) of
        N when N =< Most ->
            to_atom(Name);
        _ ->
            atomics:sub(Counts, Place, 1),
            Name
    end.

%% A name that cannot be an atom (longer than 255 characters) stays as it is.
to_atom(Name) ->
    try
        binary_to_atom(Name)
    catch
        error:_ -> Name
    end.
