%% SPDX-License-Identifier: Apache-2.0
%%
%% Terms in external format, looked at without decoding them. Pure, and total: bytes that
%% it does not understand end every search.
-module(py_external).

-export([skip/1, split/2, funs/2]).

-define(FLOAT, 70).
-define(SMALL_INTEGER, 97).
-define(INTEGER, 98).
-define(BINARY, 109).
-define(FUN, 112).
-define(EXPORT, 113).

%% What follows a tag: how many terms are inside, and the bytes where they (or
%% the next term) begin.
-spec skip(binary()) -> {non_neg_integer(), binary()} | not_understood.
skip(<<?SMALL_INTEGER, _, R/binary>>) -> {0, R};
skip(<<?INTEGER, _:32, R/binary>>) -> {0, R};
skip(<<?FLOAT, _:64, R/binary>>) -> {0, R};
skip(<<99, _:31/binary, R/binary>>) -> {0, R};
skip(<<119, Size, _:Size/binary, R/binary>>) -> {0, R};
skip(<<118, Size:16, _:Size/binary, R/binary>>) -> {0, R};
skip(<<115, Size, _:Size/binary, R/binary>>) -> {0, R};
skip(<<100, Size:16, _:Size/binary, R/binary>>) -> {0, R};
skip(<<106, R/binary>>) -> {0, R};
skip(<<107, Size:16, _:Size/binary, R/binary>>) -> {0, R};
skip(<<?BINARY, Size:32, _:Size/binary, R/binary>>) -> {0, R};
skip(<<77, Size:32, _, _:Size/binary, R/binary>>) -> {0, R};
skip(<<110, Size, _, _:Size/binary, R/binary>>) -> {0, R};
skip(<<111, Size:32, _, _:Size/binary, R/binary>>) -> {0, R};
skip(<<104, N, R/binary>>) -> {N, R};
skip(<<105, N:32, R/binary>>) -> {N, R};
skip(<<108, N:32, R/binary>>) -> {N + 1, R};
skip(<<116, N:32, R/binary>>) -> {2 * N, R};
skip(<<?EXPORT, R/binary>>) -> {3, R};
skip(<<?FUN, _:32, _, _:16/binary, _:32, Free:32, R/binary>>) -> {4 + Free, R};
skip(<<103, R/binary>>) -> after_node(R, 9);
skip(<<88, R/binary>>) -> after_node(R, 12);
skip(<<102, R/binary>>) -> after_node(R, 5);
skip(<<89, R/binary>>) -> after_node(R, 8);
skip(<<120, R/binary>>) -> after_node(R, 12);
skip(<<101, R/binary>>) -> after_node(R, 5);
skip(<<114, Words:16, R/binary>>) -> after_node(R, 1 + 4 * Words);
skip(<<90, Words:16, R/binary>>) -> after_node(R, 4 + 4 * Words);
skip(_) -> not_understood.

%% Pids, ports and references: a node's name and some bytes.
after_node(Bytes, Size) ->
    case skip(Bytes) of
        {0, <<_:Size/binary, R/binary>>} -> {0, R};
        _ -> not_understood
    end.

%% So many terms, one behind the other; those that are not understood are empty.
-spec split(Count :: non_neg_integer(), binary()) -> [binary()].
split(0, _) ->
    [];
split(Count, Terms) ->
    case behind(1, Terms) of
        not_understood -> lists:duplicate(Count, <<>>);
        Rest -> [binary:part(Terms, 0, byte_size(Terms) - byte_size(Rest)) | split(Count - 1, Rest)]
    end.

behind(0, Rest) -> Rest;
behind(Count, Bytes) ->
    case skip(Bytes) of
        {Inside, Rest} -> behind(Count - 1 + Inside, Rest);
        not_understood -> not_understood
    end.

%% The funs in so many terms, as the bytes of each; not those that are in a fun. The
%% terms are in these parts, one behind the other: what was encoded without a copy has
%% large binaries in parts of their own.
-spec funs(N :: non_neg_integer(), [binary()]) -> [iodata()].
funs(N, Parts) -> lists:reverse(funs(<<>>, N, Parts, [])).

%% Numbers are most of what is long.
funs(<<?SMALL_INTEGER, _, R/binary>>, N, Parts, Found) when N > 0 -> funs(R, N - 1, Parts, Found);
funs(<<?INTEGER, _:32, R/binary>>, N, Parts, Found) when N > 0 -> funs(R, N - 1, Parts, Found);
funs(<<?FLOAT, _:64, R/binary>>, N, Parts, Found) when N > 0 -> funs(R, N - 1, Parts, Found);
funs(_, 0, _, Found) -> Found;
funs(<<?BINARY, Size:32, R/binary>>, N, Parts, Found) ->
    {_, Rest, More} = take(Size, R, Parts),
    funs(Rest, N - 1, More, Found);
funs(<<?FUN, Size:32, _/binary>> = Bytes, N, Parts, Found) ->
    {Fun, Rest, More} = take(1 + Size, Bytes, Parts),
    funs(Rest, N - 1, More, [Fun | Found]);
funs(Bytes, N, Parts, Found) ->
    case next(Bytes) of
        {'fun', Fun, R} -> funs(R, N - 1, Parts, [Fun | Found]);
        {Inside, R} -> funs(R, N - 1 + Inside, Parts, Found);
        not_understood -> join(Bytes, N, Parts, Found)
    end.

%% An exported function: two atoms and an arity.
next(<<?EXPORT, Mfa/binary>> = Bytes) ->
    case skip_all(3, Mfa) of
        not_understood -> not_understood;
        R -> {'fun', binary:part(Bytes, 0, byte_size(Bytes) - byte_size(R)), R}
    end;
next(<<?FUN, _/binary>>) -> not_understood;
next(Bytes) -> skip(Bytes).

skip_all(0, Bytes) -> Bytes;
skip_all(N, Bytes) ->
    case skip(Bytes) of
        {0, R} -> skip_all(N - 1, R);
        _ -> not_understood
    end.

%% The term may go on in the next part.
join(_, _, [], Found) -> Found;
join(Bytes, N, [Part | Parts], Found) -> funs(<<Bytes/binary, Part/binary>>, N, Parts, Found).

%% So many bytes, and what is behind them.
take(Size, Bytes, Parts) when Size =< byte_size(Bytes) ->
    <<Taken:Size/binary, R/binary>> = Bytes,
    {[Taken], R, Parts};
take(Size, Bytes, [Part | Parts]) ->
    {Taken, R, More} = take(Size - byte_size(Bytes), Part, Parts),
    {[Bytes | Taken], R, More};
take(_, Bytes, []) ->
    {[Bytes], <<>>, []}.
