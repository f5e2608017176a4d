%% SPDX-License-Identifier: Apache-2.0
%%
%% Handles in requests: a request with one has to run where the handle's object is.
%% Arguments are looked through only on a node that has had a handle: nobody else pays
%% for it.
-module(py_handles).

-export([expect/0, forget/0, place/2, is_handle/1]).

-include("py.hrl").

-compile({inline, [are_expected/0]}).

%% From now on there may be handles.
-spec expect() -> ok.
expect() ->
    are_expected() orelse persistent_term:put(?MODULE, true),
    ok.

are_expected() ->
    persistent_term:get(?MODULE, false).

%% The application has stopped: there are none.
-spec forget() -> ok.
forget() ->
    _ = persistent_term:erase(?MODULE),
    ok.

%% The options of a request, to which the first handle in it says where it runs. If the
%% caller has said so, it has to agree.
-spec place(py_wire:op(), #opts{}) -> #opts{} | {error, {badarg, binary()}}.
place(Op, #opts{pool = Name, said = Said} = Opts) when is_atom(Name) ->
    case are_expected() andalso first(Op) of
        #py_handle{at = {Pool, _}} when Said, Name =/= Pool ->
            {error, {badarg, py_options:elsewhere("handle", Pool, Name)}};
        #py_handle{} = Handle ->
            Opts#opts{pool = Handle};
        _ ->
            Opts
    end;
place(_, Opts) ->
    Opts.

first(#py_handle{} = Term) ->
    case is_handle(Term) of
        true -> Term;
        false -> first(tuple_to_list(Term))
    end;
first([Head | Tail]) ->
    case first(Head) of
        none -> first(Tail);
        Handle -> Handle
    end;
first(Tuple) when is_tuple(Tuple) -> first(tuple_to_list(Tuple));
first(Map) when is_map(Map) -> first(maps:to_list(Map));
first(_) -> none.

%% Whether it may be one of this node's. What looks like it may come from Python.
-spec is_handle(term()) -> boolean().
is_handle(#py_handle{number = Number, at = {Pool, Worker}, owner = Owner}) ->
    is_integer(Number) andalso Number bsr 63 =:= 1 andalso is_atom(Pool) andalso is_pid(Owner)
        andalso is_pid(Worker) andalso node(Worker) =:= node();
is_handle(_) ->
    false.
