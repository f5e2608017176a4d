%% SPDX-License-Identifier: Apache-2.0
%%
%% The classes of Python's exceptions as atoms. The built-in ones exist from
%% the first hello on. The class of a program's own comes as a binary and
%% becomes an atom here, and only here: at most 1,000 new ones a node, so that
%% Python can never fill the atom table. Beyond that it stays a binary.
-module(py_exception).

-export([start/0, learn/1, reason/1]).

-define(MOST_NEW, 1000).
%% More names than any Python has built-in exceptions.
-define(MOST_BUILTIN, 250).

%% Call once before the first reply is decoded. The count outlives the
%% application: it is the node's.
-spec start() -> ok.
start() ->
    case persistent_term:get(?MODULE, none) of
        none -> persistent_term:put(?MODULE, atomics:new(1, []));
        _ -> ok
    end.

%% Makes atoms of the names of the built-in classes.
-spec learn([binary()]) -> ok.
learn(Names) ->
    lists:foreach(fun to_atom/1, lists:sublist(Names, ?MOST_BUILTIN)).

%% An error's reason as the caller shall have it.
-spec reason(term()) -> term().
reason({Class, Message}) when is_binary(Class) ->
    {class(Class), Message};
reason({Class, Message, Trace}) when is_binary(Class) ->
    {class(Class), Message, Trace};
reason(Reason) ->
    Reason.

class(Name) ->
    try
        binary_to_existing_atom(Name)
    catch
        error:_ -> new_class(Name)
    end.

new_class(Name) ->
    Count = persistent_term:get(?MODULE),
    case atomics:add_get(Count, 1, 1) of
        N when N =< ?MOST_NEW ->
            to_atom(Name);
        _ ->
            atomics:sub(Count, 1, 1),
            Name
    end.

%% A name that is no atom's (longer than 255 characters) stays as it is.
to_atom(Name) ->
    try
        binary_to_atom(Name)
    catch
        error:_ -> Name
    end.
