%% SPDX-License-Identifier: Apache-2.0
%%
%% What comes back: how a wait ended (py_ask), the answer, and the result that
%% the caller gets. Decoding happens in the caller, never in a worker.
-module(py_result).

-export([answer/1, result/1, result/2, results/1, decode/1]).
-export_type([answer/0, part/0, final/0, result/0]).

-include("py_protocol.hrl").

%% From this size on it matters that a binary is not copied.
-define(LARGE, (1 bsl 16)).

%% What a worker, or the pool, answers a request with; and a multicall before that.
-type answer() :: final() | {opened, py_wire:id()} | {sent, pid()} | again | aside | part().
-type part() :: {part, pos_integer(), binary()} | {again, pos_integer()}.
%% The answers that make a result.
-type final() :: {reply, binary()} | {reply, binary(), Ahead :: [binary()]} | {error, term()}.
-type result() :: ok | {ok, term()} | {error, term()}
                | {ok, term(), extra()} | {error, term(), extra()}
                | {ok, term(), binary(), map()} | {error, term(), binary(), map()}.
%% What a job has printed, or its bill.
-type extra() :: binary() | map().

%% A worker answers whatever it has accepted before it ends. If it ended in
%% order and without an answer, it never accepted the request.
-spec answer(py_ask:outcome()) -> answer().
answer({answer, Answer}) -> Answer;
answer({down, noproc}) -> again;
answer({down, normal}) -> again;
answer({down, shutdown}) -> again;
answer({down, {shutdown, _}}) -> again;
answer({down, Reason}) -> {error, {worker_exit, Reason}}.

-spec result(final()) -> result().
result({reply, Frame}) -> decode(Frame);
result({reply, Frame, Ahead}) -> extended(decode(Frame), [extra(Other) || Other <- Ahead]);
result({error, _} = Error) -> Error.

%% The same for a request with these options: whoever asked for what is printed
%% gets a text in any case, and whoever asked for the bill gets a map.
-spec result(final(), map()) -> result().
result({error, _} = Error, Options) ->
    extended(Error, [Empty || {Name, Empty} <- [{capture, <<>>}, {bill, #{}}],
                              maps:get(Name, Options, false)]);
result(Answer, _) ->
    result(Answer).

%% The results in a part of a multicall.
-spec results(binary()) -> [result()].
results(Frame) ->
    try binary_to_term(Frame, [safe]) of
        {_Id, {part, _From, Results}} -> [decoded(Result) || Result <- tuple_to_list(Results)]
    catch
        error:badarg -> [decode_bare(Bare) || Bare <- py_multicall:results(Frame)]
    end.

decode_bare(Bare) ->
    Term = <<?TERM_VERSION, Bare/binary>>,
    try
        decoded(binary_to_term(Term, [safe]))
    catch
        error:badarg -> {error, py_unknown_atom:explain(Term)}
    end.

%% Atoms that do not exist on this node are not made: an error names them.
%% A chunk of a stream decodes to {ok, Items}.
-spec decode(binary()) -> result().
decode(Frame) when byte_size(Frame) < ?LARGE ->
    decode_all(Frame);
decode(Frame) ->
    case py_wire:large(Frame) of
        {Small, Large} -> put_large(decode_all(Small), Large);
        none -> decode_all(Frame)
    end.

put_large({ok, {ndarray, Dtype, Shape, <<>>}}, Large) -> {ok, {ndarray, Dtype, Shape, Large}};
put_large({ok, <<>>}, Large) -> {ok, Large}.

decode_all(Frame) ->
    try binary_to_term(Frame, [safe]) of
        {_Id, Result} -> decoded(Result)
    catch
        error:badarg -> {error, py_unknown_atom:explain(Frame)}
    end.

decoded(ok) -> ok;
decoded({ok, _} = Ok) -> Ok;
decoded({chunk, Items}) -> {ok, Items};
decoded({error, Reason}) -> {error, py_exception:reason(Reason)}.

%% With the option `capture' a text comes after the result, and with `bill' a map.
extra(Frame) ->
    {_Id, {_Option, Extra}} = binary_to_term(Frame, [safe]),
    Extra.

extended(ok, Extras) -> list_to_tuple([ok | Extras]);
extended(Result, Extras) -> list_to_tuple(tuple_to_list(Result) ++ Extras).
