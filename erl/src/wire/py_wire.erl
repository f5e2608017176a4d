%% SPDX-License-Identifier: Apache-2.0
%%
%% Frames: the few bytes around a term that a worker writes and reads without
%% encoding or decoding anything. Pure.
%%
%% An Id is always INTEGER_EXT, 98 and four bytes, which the program echoes as
%% they are; so a reply is matched to its request by its first eight bytes.
-module(py_wire).

-export([what/1, named/1, body/2, body/3, is_small/1, request/3, batch/1, batch_head/0]).
-export([part_size/1, controls/1, iterates/2]).
-export([cancel/1, take_back/1, more/2, stop/1, ack/1, answer/2, answer_list/2]).
-export([within/3, resume/0, quit/0]).
-export([place/1, place/2, large/1]).
-export([reply_id/1, is_ok/1, kept/3, handle_number/1, is_not_started/1, chunk_items/1]).
-export([ahead/1, event/1, is_about_state/1, message_id/1, receiver_name/1, atoms/0]).
-export_type([id/0, op/0, what/0, part/0]).

-include("py_protocol.hrl").

%% Calls are counted: these are for the eye.
-compile({inline, [whole/2, single/1, parts/1, has_source/1]}).

-type id() :: 0..16#7fffffff.
%% A request as docs/protocol.md has it.
-type op() :: atom() | tuple().
%% What it does, without arguments or code: those may be secret.
-type what() :: {Module :: atom() | binary(), Function :: atom() | binary(), arity()} | atom().

%% Results of N calls of a multicall, from this one on; or the last N are given back.
-type part() :: {part, From :: non_neg_integer(), N :: pos_integer()} | {not_started, pos_integer()}.

-define(TUPLE, 104).
-define(LARGE_TUPLE, 105).
-define(SMALL_INTEGER, 97).
-define(INTEGER, 98).
-define(ATOM, 119).
-define(LONG_ATOM, 118).
-define(BIG, 110).
-define(BINARY, 109).
-define(LIST, 108).
-define(NIL, 106).
%% The beginning of a part, up to its first number.
-define(PART, ?TUPLE, 3, ?ATOM, 4, "part", ?INTEGER).
%% Bytes in front of a request's body, and of a binary's.
-define(REQUEST_HEAD, 8).
-define(PART_HEAD, 5).
%% A version, a list's tag and length, and its end.
-define(BATCH_HEAD, 7).

%% What a request is called where its arguments must not be seen.
-spec what(op()) -> what().
what({call, Module, Function, Args, Kwargs}) ->
    {Module, Function, length(Args) + map_size(Kwargs)};
what({method, _, Name, Args, Kwargs}) ->
    {handle, Name, length(Args) + map_size(Kwargs)};
what({Outer, Source}) when Outer =:= stream; Outer =:= keep -> what(Source);
what(Op) when is_tuple(Op) -> element(1, Op);
what(Op) -> Op.

%% The same for names that are atoms and for those that are texts.
-spec named(what()) -> what().
named({Module, Function, Arity}) -> {text(Module), text(Function), Arity};
named(Operation) -> Operation.

text(Name) when is_atom(Name) -> atom_to_binary(Name);
text(Name) -> Name.

%% The part of a request that is the same whoever runs it: Op and, where
%% there are any, Opts, without a version byte; and the whole tuple's arity; or that
%% something in Op has to be replaced first.
-spec body(op(), map()) -> {2 | 3, iodata()} | iterators.
body(Op, Opts) -> body(is_small(Op), Op, Opts).

%% The same where it is known whether it is small.
-spec body(boolean(), op(), map()) -> {2 | 3, iodata()} | iterators.
body(true, Op, Opts) ->
    whole(single(Op), Opts);
body(false, Op, Opts) ->
    case iterates(Op, Opts) of
        false -> whole(parts(Op), Opts);
        true -> iterators
    end.

whole(Op, Opts) when map_size(Opts) =:= 0 -> {2, Op};
whole(Op, Opts) -> {3, [Op, bare(Opts)]}.

%% Whether an argument has to be replaced before the others are encoded (py_iter).
-spec iterates(op(), map()) -> boolean().
iterates(Op, Opts) -> iterates(Op) andalso maps:get(tags, Opts, in) =/= false.

iterates({_, _, _, Args, Kwargs}) when map_size(Kwargs) =:= 0 -> has_source(Args);
iterates({_, _, _, Args, Kwargs}) when is_map(Kwargs) ->
    has_source(Args) orelse has_source(maps:values(Kwargs));
iterates({Outer, Op}) when Outer =:= stream; Outer =:= keep -> iterates(Op);
iterates({_, _, Locals}) when map_size(Locals) > 0 -> has_source(maps:values(Locals));
iterates(_) -> false.

has_source(Args) ->
    lists:keymember(iter, 1, Args) andalso lists:any(fun is_source/1, Args).

is_source({iter, Source}) -> is_list(Source) orelse is_function(Source);
is_source(_) -> false.

%% Large binaries in the term stay where they are: nothing is copied. Where
%% there can be none, a single binary is made faster.
bare(Term) ->
    case is_small(Term) of
        true -> single(Term);
        false -> parts(Term)
    end.

single(Term) ->
    <<?TERM_VERSION, Bare/binary>> = term_to_binary(Term),
    Bare.

parts(Term) ->
    [<<?TERM_VERSION, First/binary>> | Rest] = erlang:term_to_iovec(Term),
    [First | Rest].

%% Whether it is made of a few numbers, atoms and short texts.
-spec is_small(term()) -> boolean().
is_small({call, _, _, Args, Kwargs}) -> map_size(Kwargs) =:= 0 andalso are_flat(Args, 8);
is_small({_, Code, Locals}) when is_map(Locals) -> map_size(Locals) =:= 0 andalso is_flat(Code);
is_small({ok, Value}) -> is_flat(Value);
is_small(Term) -> is_atom(Term).

are_flat([], _) -> true;
are_flat([Arg | Args], N) when N > 0 -> is_flat(Arg) andalso are_flat(Args, N - 1);
are_flat(_, _) -> false.

is_flat(Term) when is_binary(Term) -> byte_size(Term) < 1024;
is_flat(Term) -> is_number(Term) orelse is_atom(Term).

-spec request(id(), 2 | 3, iodata()) -> iodata().
request(Id, Arity, Body) ->
    [<<?TERM_VERSION, ?TUPLE, Arity, ?INTEGER, Id:32>>, Body].

%% Several requests in one frame, each with the size of its body. A request in it
%% takes part_size/1 bytes, and all that is around them batch_head/0.
-spec batch([{id(), 2 | 3, iodata(), non_neg_integer()}, ...]) -> iodata().
batch(Requests) ->
    list([[<<?BINARY, (Size + ?REQUEST_HEAD):32, ?TERM_VERSION, ?TUPLE, Arity, ?INTEGER, Id:32>>
           | Body] || {Id, Arity, Body, Size} <- Requests]).

list(Parts) ->
    [<<?TERM_VERSION, ?LIST, (length(Parts)):32>>, Parts, ?NIL].

%% Several pieces of control in one frame.
-spec controls([binary(), ...]) -> iodata().
controls(Controls) ->
    list([[<<?BINARY, (byte_size(Control)):32>>, Control] || Control <- Controls]).

-spec batch_head() -> pos_integer().
batch_head() -> ?BATCH_HEAD.

-spec part_size(non_neg_integer()) -> pos_integer().
part_size(Size) -> ?PART_HEAD + ?REQUEST_HEAD + Size.

-spec cancel(id()) -> binary().
cancel(Id) ->
    <<?TERM_VERSION, ?TUPLE, 2, ?ATOM, 6, "cancel", ?INTEGER, Id:32>>.

-spec take_back(id()) -> binary().
take_back(Id) ->
    <<?TERM_VERSION, ?TUPLE, 2, ?ATOM, 9, "take_back", ?INTEGER, Id:32>>.

-spec more(id(), pos_integer()) -> binary().
more(Id, N) ->
    <<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 4, "more", ?INTEGER, Id:32, ?INTEGER, N:32>>.

-spec stop(id()) -> binary().
stop(Id) ->
    <<?TERM_VERSION, ?TUPLE, 2, ?ATOM, 4, "stop", ?INTEGER, Id:32>>.

-spec ack(pos_integer()) -> binary().
ack(N) ->
    <<?TERM_VERSION, ?TUPLE, 2, ?ATOM, 3, "ack", ?INTEGER, N:32>>.

%% The answer to what Python waits for.
-spec answer(id(), ok | {ok, term()} | {error, term()}) -> iodata().
answer(Id, Result) ->
    [<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "reply", ?INTEGER, Id:32>>, bare(Result)].

%% The same for a list of terms in their external form.
-spec answer_list(id(), [binary()]) -> iodata().
answer_list(Id, Terms) ->
    [<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "reply", ?INTEGER, Id:32, ?TUPLE, 2, ?ATOM, 2, "ok">>,
     bare_list([Bare || <<?TERM_VERSION, Bare/binary>> <- Terms])].

bare_list([]) -> <<?NIL>>;
bare_list(Terms) -> [<<?LIST, (length(Terms)):32>>, Terms, ?NIL].

%% A request that is to run within a call from Python, with the size of its body.
-spec within(Call :: id(), iodata(), Size :: non_neg_integer()) -> iodata().
within(Call, Request, Size) ->
    [<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 6, "within", ?INTEGER, Call:32,
       ?BINARY, (Size + ?REQUEST_HEAD):32>>, Request].

-spec resume() -> binary().
resume() ->
    <<?TERM_VERSION, ?ATOM, 6, "resume">>.

-spec quit() -> binary().
quit() ->
    <<?TERM_VERSION, ?ATOM, 4, "quit">>.

%% Stands for a frame of so many bytes that is in the lane (py_os_lane).
-spec place(id(), non_neg_integer()) -> binary().
place(Serial, Size) ->
    <<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 4, "lane", ?INTEGER, Serial:32, ?INTEGER, Size:32>>.

%% What a frame stands for, if it is such a place.
-spec place(binary()) -> {id(), non_neg_integer()} | none.
place(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 4, "lane", ?INTEGER, Serial:32, ?INTEGER, Size:32>>) ->
    {Serial, Size};
place(_) ->
    none.

%% The Id of a reply; none for an event and whatever else comes.
-spec reply_id(binary()) -> id() | none.
reply_id(<<?TERM_VERSION, ?TUPLE, 2, ?INTEGER, Id:32, _/binary>>) -> Id;
reply_id(_) -> none.

%% Whether a reply is {Id, ok}.
-spec is_ok(binary()) -> boolean().
is_ok(<<_:8/binary, ?ATOM, 2, "ok">>) -> true;
is_ok(_) -> false.

%% Whether a reply is {Id, {error, not_started}}, the answer to take_back/1.
%% Nothing that user code returns looks like that: its errors have a class.
-spec is_not_started(binary()) -> boolean().
is_not_started(Frame) when byte_size(Frame) < 64 ->
    try binary_to_term(Frame, [safe]) of
        {_, {error, not_started}} -> true;
        _ -> false
    catch
        error:badarg -> false
    end;
is_not_started(_) ->
    false.

%% A reply {Id, {kept, Number}}: the number, and what the caller gets in its stead, the
%% handle.
-spec kept(binary(), At :: {atom(), pid()}, Owner :: pid()) -> {pos_integer(), binary()}.
kept(<<Head:8/binary, ?TUPLE, 2, ?ATOM, 4, "kept", ?BIG, 8, 0, Number:64/little>>, At, Owner) ->
    {Number, <<Head/binary, ?TUPLE, 2, ?ATOM, 2, "ok", ?TUPLE, 4, ?ATOM, 9, "py_handle",
               ?BIG, 8, 0, Number:64/little, (term(At))/binary, (term(Owner))/binary>>}.

term(Term) ->
    <<?TERM_VERSION, Bare/binary>> = term_to_binary(Term),
    Bare.

%% The number of the handle in such a reply.
-spec handle_number(binary()) -> {ok, pos_integer()} | none.
handle_number(<<_:8/binary, ?TUPLE, 2, ?ATOM, 2, "ok", ?TUPLE, 4, ?ATOM, 9, "py_handle",
                ?BIG, 8, 0, Number:64/little, _/binary>>) -> {ok, Number};
handle_number(_) -> none.

%% A reply whose value is a large binary, or the array that ends in one: the binary, a
%% part of the frame, and the reply with an empty one in its stead. What binary_to_term
%% makes of it would be a copy.
-spec large(binary()) -> {Small :: binary(), Large :: binary()} | none.
large(<<Head:8/binary, ?TUPLE, 2, ?ATOM, 2, "ok", ?BINARY, Size:32, Large:Size/binary>>) ->
    {<<Head/binary, ?TUPLE, 2, ?ATOM, 2, "ok", ?BINARY, 0:32>>, Large};
large(<<_:8/binary, ?TUPLE, 2, ?ATOM, 2, "ok", ?TUPLE, 4, ?ATOM, 7, "ndarray",
        ?BINARY, Size:32, _:Size/binary, ?TUPLE, N, Shape/binary>> = Frame) ->
    last(N, Shape, Frame);
large(_) ->
    none.

%% Behind so many lengths. If it is the smaller part, it would keep the whole frame.
last(0, <<?BINARY, Size:32, Large:Size/binary>>, Frame) when 2 * Size > byte_size(Frame) ->
    {<<(binary:part(Frame, 0, byte_size(Frame) - Size - 4))/binary, 0:32>>, Large};
last(N, <<?SMALL_INTEGER, _, Rest/binary>>, Frame) when N > 0 ->
    last(N - 1, Rest, Frame);
last(N, <<?INTEGER, _:4/binary, Rest/binary>>, Frame) when N > 0 ->
    last(N - 1, Rest, Frame);
last(_, _, _) ->
    none.

%% How many items a stream's chunk {Id, {chunk, Items}} has; `final' when the
%% reply is not a chunk but the stream's last word.
-spec chunk_items(binary()) -> non_neg_integer() | final.
chunk_items(<<_:8/binary, ?TUPLE, 2, Result/binary>>) -> items(Result);
chunk_items(_) -> final.

%% The four ways in which an atom may be written.
items(<<119, 5, "chunk", List/binary>>) -> list_length(List);
items(<<115, 5, "chunk", List/binary>>) -> list_length(List);
items(<<118, 5:16, "chunk", List/binary>>) -> list_length(List);
items(<<100, 5:16, "chunk", List/binary>>) -> list_length(List);
items(_) -> final.

list_length(<<108, N:32, _/binary>>) -> N;
list_length(<<106>>) -> 0.

%% Whether a frame is {Id, {output, Text}}, what a job has printed, {Id, {bill, Map}},
%% what it has cost, {Id, {given, funs}}, that it brings some, or {Id, awaiting} or
%% {Id, threaded}, that it is beside others: the reply is still to come, as behind {Id, {part, From, Results}} and
%% {Id, {not_started, N}} of a multicall; or {Id, {kept, _}}, a reply whose value stays in
%% Python.
-spec ahead(binary()) -> output | bill | given | kept | {aside, loop | thread} | part() | none.
ahead(<<_:8/binary, ?TUPLE, 2, ?ATOM, 4, "kept", _/binary>>) -> kept;
ahead(<<_:8/binary, ?TUPLE, 2, ?ATOM, 6, "output", _/binary>>) -> output;
ahead(<<_:8/binary, ?TUPLE, 2, ?ATOM, 4, "bill", _/binary>>) -> bill;
ahead(<<_:8/binary, ?TUPLE, 2, ?ATOM, 5, "given", _/binary>>) -> given;
ahead(<<_:8/binary, ?ATOM, 8, "awaiting">>) -> {aside, loop};
ahead(<<_:8/binary, ?ATOM, 8, "threaded">>) -> {aside, thread};
ahead(<<_:8/binary, ?PART, From:32, ?LARGE_TUPLE, N:32, _/binary>>) -> {part, From, N};
ahead(<<_:8/binary, ?TUPLE, 2, ?ATOM, 11, "not_started", ?INTEGER, N:32>>) -> {not_started, N};
ahead(_) -> none.

%% What a frame without an Id is: a message (or the question who has a name); a call of a
%% function or of a fun, or another question to the node, or the wish for a message, with
%% the Id of what has called; its sender's change of mind; what is to be called
%% with messages; the program's last words; or something else, which is not looked into.
-spec event(binary()) -> message | {call | apply | take, id(), id() | none} | {withdraw, id()}
                       | {on_message, id() | none} | {paused, memory_error | heap | {memory_error, id() | none}}
                       | {spoilt | crash | start_failed, binary()} | other.
event(<<?TERM_VERSION, ?TUPLE, 4, ?ATOM, 4, "send", ?INTEGER, _:32, _/binary>>) ->
    message;
event(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 4, "send", _/binary>>) ->
    message;
event(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 7, "whereis", ?INTEGER, _:32, _/binary>>) ->
    message;
event(<<?TERM_VERSION, ?TUPLE, 7, ?ATOM, 4, "call", ?INTEGER, Id:32, Job/binary>>) ->
    {call, Id, job(Job)};
event(<<?TERM_VERSION, ?TUPLE, 7, ?ATOM, 5, "apply", ?INTEGER, Id:32, Job/binary>>) ->
    {apply, Id, job(Job)};
event(<<?TERM_VERSION, ?TUPLE, 4, ?ATOM, 4, "take", ?INTEGER, Id:32, Job/binary>>) ->
    {take, Id, job(Job)};
event(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 4, "self", ?INTEGER, Id:32, Job/binary>>) ->
    {call, Id, job(Job)};
event(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 6, "lookup", ?INTEGER, Id:32, _/binary>>) ->
    {call, Id, none};
event(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 4, "pull", ?INTEGER, Id:32, _/binary>>) ->
    {call, Id, none};
event(<<?TERM_VERSION, ?TUPLE, 4, ?ATOM, 5, "state", ?INTEGER, Id:32, _/binary>>) ->
    {call, Id, none};
event(<<?TERM_VERSION, ?TUPLE, 2, ?ATOM, 8, "make_ref", ?INTEGER, Id:32>>) ->
    {call, Id, none};
event(<<?TERM_VERSION, ?TUPLE, 4, ?ATOM, 7, "channel", ?INTEGER, Id:32, _/binary>>) ->
    {call, Id, none};
event(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 8, "withdraw", ?INTEGER, Id:32>>) ->
    {withdraw, Id};
event(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 10, "on_message", ?TUPLE, 2, Job/binary>>) ->
    {on_message, job(Job)};
event(Frame) ->
    said(Frame).

%% What needs no answer.
said(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 6, "paused", ?ATOM, 12, "memory_error">>) ->
    {paused, memory_error};
said(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 6, "paused", ?TUPLE, 2, ?ATOM, 12, "memory_error", Job/binary>>) ->
    {paused, {memory_error, job(Job)}};
said(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 6, "paused", ?ATOM, 4, "heap">>) ->
    {paused, heap};
said(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 6, "spoilt", ?BINARY, Size:32, Text:Size/binary>>) ->
    {spoilt, Text};
said(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 5, "crash", ?BINARY, Size:32, Text:Size/binary>>) ->
    {crash, Text};
said(<<?TERM_VERSION, ?TUPLE, 2, ?ATOM, 9, "undefined", ?TUPLE, 2, ?ATOM, 5, "error",
        ?TUPLE, 2, ?ATOM, 12, "start_failed", ?BINARY, Size:32, Text:Size/binary>>) ->
    {start_failed, Text};
said(_) ->
    other.

job(<<?INTEGER, Id:32, _/binary>>) -> Id;
job(_) -> none.

%% Whether what Python waits for is something of the shared state.
-spec is_about_state(binary()) -> boolean().
is_about_state(<<?TERM_VERSION, ?TUPLE, 4, ?ATOM, 5, "state", _/binary>>) -> true;
is_about_state(_) -> false.

%% The Id by which a message is answered; none if nobody waits.
-spec message_id(binary()) -> id() | none.
message_id(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 7, "whereis", ?INTEGER, Id:32, _/binary>>) -> Id;
message_id(<<?TERM_VERSION, ?TUPLE, 4, ?ATOM, 4, "send", ?INTEGER, Id:32, _/binary>>) -> Id;
message_id(_) -> none.

%% The name that a message is for, which need not be an atom of this node; none if it
%% is for a process.
-spec receiver_name(binary()) -> binary() | none.
receiver_name(<<?TERM_VERSION, ?TUPLE, 4, ?ATOM, 4, "send", ?INTEGER, _:32, To/binary>>) ->
    name(To);
receiver_name(<<?TERM_VERSION, ?TUPLE, 3, ?ATOM, 5, "event", ?ATOM, 4, "send", ?TUPLE, 2, To/binary>>) ->
    name(To);
receiver_name(_) ->
    none.

name(<<?ATOM, Size, Name:Size/binary, _/binary>>) -> Name;
name(<<?LONG_ATOM, Size:16, Name:Size/binary, _/binary>>) -> Name;
name(_) -> none.

%% Atoms that replies and events may have. Because this module is loaded, they exist,
%% which decoding with `safe' requires.
-spec atoms() -> [atom()].
atoms() -> ?PROTOCOL_ATOMS.
