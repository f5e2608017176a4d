%% SPDX-License-Identifier: Apache-2.0
%%
%% What Python asks of the state that workers and Erlang share (erlang.state, in
%% port/python/erlang/_state.py), and how it is answered: by a list of terms in their
%% external form, so that values pass as they are kept. No answer takes long: what
%% there is much of comes in pages.
-module(py_talk_question).

-export([answer/3]).
-export_type([allowed/0]).

%% What the pool's option `state' allows.
-type allowed() :: none | read | write.

%% The most rows of a page, and their bytes, if a frame has room for so many.
-define(PAGE_ROWS, 1000).
-define(PAGE_BYTES, (1 bsl 20)).

-spec answer(Op :: term(), Args :: term(),
             #{state := allowed(), max_frame := pos_integer(), _ => _}) ->
          {list, [py_talk_state:etf()]} | {error, term()}.
answer(Op, Args, #{state := Allowed, max_frame := MaxFrame}) ->
    case is_allowed(Op, Allowed) of
        true -> ask_safely(Op, Args, min(?PAGE_BYTES, MaxFrame div 2));
        false -> {error, {not_allowed, state}}
    end.

is_allowed(_, write) -> true;
is_allowed(_, none) -> false;
is_allowed(Op, read) -> lists:member(Op, [<<"get">>, <<"has">>, <<"size">>, <<"keys">>, <<"items">>]).

%% User code can ask for anything.
ask_safely(Op, Args, Bytes) ->
    try
        ask(Op, Args, Bytes)
    catch
        error:_ -> {error, badarg}
    end.

ask(<<"get">>, [Key], _) -> found(py_talk_state:find(Key));
ask(<<"has">>, [Key], _) -> is_found(py_talk_state:find(Key));
ask(<<"put">>, [Key, Value], _) -> plain(py_talk_state:put(Key, etf(Value)));
ask(<<"replace">>, [Key, Version, Value], _) ->
    plain(py_talk_state:replace(Key, Version, etf(Value)));
ask(<<"compare_and_set">>, [Key, Old, New], _) ->
    plain(py_talk_state:compare_and_set(Key, Old, etf(New)));
ask(<<"take">>, [Key], _) -> found(py_talk_state:take(Key));
ask(<<"add">>, [Key, N], _) when is_number(N) -> plain(py_talk_state:add(Key, N));
ask(<<"size">>, [], _) -> plain(py_talk_state:size());
ask(<<"keys">>, [Prefix, From], Bytes) ->
    page(Prefix, From, Bytes, fun(Rows) -> [etf(Key) || {Key, _} <- Rows] end);
ask(<<"items">>, [Prefix, From], Bytes) ->
    page(Prefix, From, Bytes, fun(Rows) -> lists:append([[etf(Key), Etf] || {Key, Etf} <- Rows]) end);
ask(<<"clear">>, [Prefix, From], Bytes) ->
    page(Prefix, From, Bytes, fun(Rows) -> [etf(py_talk_state:delete([Key || {Key, _} <- Rows]))] end).

found({ok, Etf, Version}) -> {list, [Etf, etf(Version)]};
found({ok, Etf}) -> {list, [Etf]};
found(none) -> {list, []};
found(Error) -> Error.

is_found({ok, _, _}) -> plain(true);
is_found(none) -> plain(false);
is_found(Error) -> Error.

plain({error, _} = Error) -> Error;
plain({ok, Value}) -> {list, [etf(Value)]};
plain(Value) -> {list, [etf(Value)]}.

%% The first element says where to go on, in a form that Python gives back as it is.
page(Prefix, From, Bytes, Show) ->
    case py_talk_state:rows(prefix(Prefix), place(From), ?PAGE_ROWS, Bytes) of
        {error, _} = Error -> Error;
        {Rows, done} -> {list, [etf(none) | Show(Rows)]};
        {Rows, Place} -> {list, [etf({bytes, term_to_binary(Place)}) | Show(Rows)]}
    end.

prefix(none) -> all;
prefix(Prefix) when is_binary(Prefix) -> Prefix.

%% The program may have made it up: what is compressed (80) may be far larger than its frame.
place(none) -> start;
place({bytes, <<131, Tag, _/binary>> = Place}) when Tag =/= 80 -> binary_to_term(Place, [safe]).

etf(Term) ->
    term_to_binary(Term).
