%% SPDX-License-Identifier: Apache-2.0
%%
%% What came back: from an answer to what a caller gets. Decoding happens in
%% the caller, never in a worker.
-module(py_reply).

-export([result/1, decode/1]).
-export_type([answer/0, result/0]).

-type result() :: ok | {ok, term()} | {error, term()}.
%% What a worker, or the pool, answers a request with.
-type answer() :: {reply, binary()} | {opened, py_wire:id()} | {go, pid()}
                | again | {error, term()}.

-spec result({reply, binary()} | {error, term()}) -> result().
result({reply, Frame}) -> decode(Frame);
result({error, _} = Error) -> Error.

%% Atoms that do not exist on this node are not made: an error names them.
%% A chunk of a stream decodes to {ok, Items}.
-spec decode(binary()) -> result().
decode(Frame) ->
    try binary_to_term(Frame, [safe]) of
        {_Id, Result} -> final(Result)
    catch
        error:badarg -> {error, py_unknown_atom:explain(Frame)}
    end.

final(ok) -> ok;
final({ok, _} = Ok) -> Ok;
final({chunk, Items}) -> {ok, Items};
final({error, Reason}) -> {error, py_exception:reason(Reason)}.
