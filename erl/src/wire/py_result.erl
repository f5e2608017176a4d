%% SPDX-License-Identifier: Apache-2.0
%%
%% What came back: from an answer to what a caller gets. Decoding happens in
%% the caller, never in a worker.
-module(py_result).

-export([result/1, decode/1]).
-export_type([answer/0, result/0]).

-type result() :: ok | {ok, term()} | {error, term()}
                | {ok, term(), binary()} | {error, term(), binary()}.
%% What a worker, or the pool, answers a request with.
-type answer() :: {reply, binary()} | {reply, binary(), Output :: binary()}
                | {opened, py_wire:id()} | {go, pid()} | again | {error, term()}.

-spec result({reply, binary()} | {reply, binary(), binary()} | {error, term()}) -> result().
result({reply, Frame}) -> decode(Frame);
result({reply, Frame, Output}) -> with_output(decode(Frame), Output);
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

%% With the option `capture' the text is the last element.
with_output(Result, Frame) ->
    {_Id, {output, Text}} = binary_to_term(Frame, [safe]),
    case Result of
        ok -> {ok, Text};
        {Tag, Value} -> {Tag, Value, Text}
    end.

final(ok) -> ok;
final({ok, _} = Ok) -> Ok;
final({chunk, Items}) -> {ok, Items};
final({error, Reason}) -> {error, py_exception:reason(Reason)}.
