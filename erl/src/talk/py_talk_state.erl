%% SPDX-License-Identifier: Apache-2.0
%%
%% The state that workers and Erlang share (py_state): values by their keys. Whoever
%% reads looks into the table. Only this process writes, one change after the other:
%% so each is atomic, and the limits hold exactly. The table belongs to the top
%% supervisor: what is in it stays until it is deleted or the application stops,
%% whichever worker or pool dies, or this process.
%%
%% A value is kept as the bytes of its external form. So it is not copied on its way
%% to whoever reads, nor encoded for each worker, and this process has no large terms.
-module(py_talk_state).
-behaviour(gen_server).

-export([new/0, start_link/1]).
-export([find/1, size/0, used/0, rows/4, put/2, replace/3, compare_and_set/3, take/1, delete/1, add/2]).
-export([init/1, handle_call/3, handle_cast/2]).
-export_type([key/0, etf/0, version/0, prefix/0, place/0, limits/0, failure/0]).

-type key() :: term().
%% A term in its external form.
-type etf() :: binary().
%% Each value that is written has its own.
-type version() :: integer().
%% How keys begin that are texts.
-type prefix() :: binary() | all.
%% Where a key stands in the order of all: a term, and what tells it from those that
%% compare equal to it, as 1 and 1.0 do.
-type place() :: {key(), etf() | []}.
-type limits() :: #{keys := pos_integer() | infinity, bytes := pos_integer() | infinity}.
-type failure() :: {error, {overloaded, state_keys | state_bytes, pos_integer()}
                         | {badarg, binary()} | {not_started, py}}.

-record(state, {
    limits :: limits(),
    bytes :: non_neg_integer()  % of all keys and values
}).

%% Keys are compared again and again, so they have to be short.
-define(KEY_BYTES, 4096).

%% How the external forms of numbers begin: integers of each size, and floats.
-define(IS_NUMBER(Tag), (Tag =:= 97 orelse Tag =:= 98 orelse Tag =:= 110 orelse Tag =:= 111
                         orelse Tag =:= 70)).

%% The table lives as long as the calling process.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, ordered_set, {read_concurrency, true}]),
    ok.

-spec start_link(limits()) -> gen_server:start_ret().
start_link(Limits) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Limits, []).

%% ---------------------------------------------------------------------------
%% What is there

%% The value of a key, with its version.
-spec find(key()) -> {ok, etf(), version()} | none | failure().
find(Key) ->
    py_table:access(fun() ->
        case ets:lookup(?MODULE, place(Key)) of
            [{_, Version, Etf}] -> {ok, Etf, Version};
            [] -> none
        end
    end).

%% How many keys there are.
-spec size() -> non_neg_integer() | failure().
size() ->
    case ets:info(?MODULE, size) of
        undefined -> {error, {not_started, py}};
        Size -> Size
    end.

%% What there is, and what there may be.
-spec used() -> #{keys := non_neg_integer(), bytes := non_neg_integer(), limits := limits()}
              | failure().
used() ->
    ask(used).

%% Rows with this prefix, in the order of their places, behind this one: at most so many,
%% and as many as have room in so many bytes, but one if there is one. The second element says where to go on.
-spec rows(prefix(), start | place(), Most :: pos_integer(), Bytes :: pos_integer()) ->
          {[{key(), etf()}], place() | done} | failure().
rows(Prefix, After, Most, Bytes) ->
    py_table:access(fun() -> walk(Prefix, After, next(Prefix, After), Most, Bytes, []) end).

next(all, start) -> ets:first(?MODULE);
next(Prefix, start) -> ets:next(?MODULE, {Prefix, 0});
next(_, Place) -> ets:next(?MODULE, Place).

walk(Prefix, After, {Key, _} = Place, Most, Bytes, Rows) ->
    case begins(Prefix, Key) of
        true when Most > 0 ->
            add(row(ets:lookup(?MODULE, Place)), Prefix, After, Place, Most, Bytes, Rows);
        true ->
            {lists:reverse(Rows), After};
        false ->
            {lists:reverse(Rows), done}
    end;
walk(_, _, '$end_of_table', _, _, Rows) ->
    {lists:reverse(Rows), done}.

%% The first one has room in any case.
add({_, Size}, _, After, _, _, Bytes, [_ | _] = Rows) when Size > Bytes ->
    {lists:reverse(Rows), After};
add({Row, Size}, Prefix, _, Place, Most, Bytes, Rows) ->
    walk(Prefix, Place, ets:next(?MODULE, Place), Most - 1, Bytes - Size, Row ++ Rows).

%% It may have been deleted in the meantime.
row([{{Key, _} = Place, _, Etf}]) -> {[{Key, Etf}], bytes(Place, Etf)};
row([]) -> {[], 0}.

begins(all, _) ->
    true;
begins(Prefix, Key) when is_bitstring(Key) ->
    Size = byte_size(Prefix),
    case Key of
        <<Prefix:Size/binary, _/bitstring>> -> true;
        _ -> false
    end;
begins(_, _) ->
    false.

%% ---------------------------------------------------------------------------
%% Changes

-spec put(key(), etf()) -> ok | failure().
put(Key, Etf) ->
    change(Key, {put, Etf}).

%% If the key's value has this version, or there is none: whether it was so.
-spec replace(key(), version() | none, etf()) -> boolean() | failure().
replace(Key, Version, Etf) ->
    change(Key, {replace, Version, Etf}).

%% If it is this very value: whether it was. Another change may come in between.
-spec compare_and_set(key(), Old :: term(), etf()) -> boolean() | failure().
compare_and_set(Key, Old, Etf) ->
    compare_and_set(Key, Old, term_to_binary(Old), Etf).

compare_and_set(Key, Old, OldEtf, Etf) ->
    case find(Key) of
        {ok, Found, Version} ->
            is_same(Found, OldEtf, Old) andalso set(Key, Version, Old, OldEtf, Etf);
        none ->
            false;
        {error, _} = Error ->
            Error
    end.

%% Of the same term, all external forms are as long, though a map may be in another
%% order. So nothing is decoded that is larger than what it is compared with.
is_same(Found, Found, _) -> true;
is_same(Found, OldEtf, Old) ->
    byte_size(Found) =:= byte_size(OldEtf) andalso binary_to_term(Found) =:= Old.

set(Key, Version, Old, OldEtf, Etf) ->
    case replace(Key, Version, Etf) of
        false -> compare_and_set(Key, Old, OldEtf, Etf);
        Done -> Done
    end.

%% Deletes it, and returns the value that it had.
-spec take(key()) -> {ok, etf()} | none | failure().
take(Key) ->
    change(Key, take).

%% How many of these there were.
-spec delete([key()]) -> non_neg_integer() | failure().
delete(Keys) ->
    ask({delete, [place(Key) || Key <- Keys]}).

%% The number that is there, or 0, with this one added.
-spec add(key(), number()) -> {ok, number()} | failure().
add(Key, N) ->
    change(Key, {add, N}).

change(Key, What) ->
    case erlang:external_size(Key) > ?KEY_BYTES of
        true -> badarg("a key has at most ~b bytes", [?KEY_BYTES]);
        false -> ask({place(Key), What})
    end.

ask(Question) ->
    try
        gen_server:call(?MODULE, Question, infinity)
    catch
        exit:_ -> {error, {not_started, py}}
    end.

badarg(Format, Args) ->
    {error, {badarg, unicode:characters_to_binary(io_lib:format(Format, Args))}}.

place(Key) when is_binary(Key); is_atom(Key); is_integer(Key) -> {Key, []};
place(Key) -> {Key, term_to_binary(Key, [deterministic])}.

bytes({Key, _}, Etf) ->
    erlang:external_size(Key) + byte_size(Etf).

%% ---------------------------------------------------------------------------

-spec init(limits()) -> {ok, #state{}}.
init(Limits) ->
    Bytes = ets:foldl(fun({Place, _, Etf}, Sum) -> Sum + bytes(Place, Etf) end, 0, ?MODULE),
    {ok, #state{limits = Limits, bytes = Bytes}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(used, _, #state{limits = Limits, bytes = Bytes} = S) ->
    {reply, #{keys => ets:info(?MODULE, size), bytes => Bytes, limits => Limits}, S};
handle_call({delete, Places}, _, S) ->
    Rows = lists:flatmap(fun(Place) -> ets:take(?MODULE, Place) end, Places),
    {reply, length(Rows), lists:foldl(fun gone/2, S, Rows)};
handle_call({{_, _} = Place, take}, _, S) ->
    case ets:take(?MODULE, Place) of
        [{_, _, Etf} = Row] -> {reply, {ok, Etf}, gone(Row, S)};
        [] -> {reply, none, S}
    end;
handle_call({{_, _} = Place, What}, _, S) ->
    Before = ets:lookup(?MODULE, Place),
    case changed(What, Before) of
        {write, Etf, Reply} -> write(Place, Etf, Before, Reply, S);
        {answer, Reply} -> {reply, Reply, S}
    end;
handle_call(_, _, S) ->
    {reply, {error, badarg}, S}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

%% What is to be written, if anything, and what the answer is.
changed({put, Etf}, _) -> {write, Etf, ok};
changed({replace, none, Etf}, []) -> {write, Etf, true};
changed({replace, Version, Etf}, [{_, Version, _}]) -> {write, Etf, true};
changed({replace, _, _}, _) -> {answer, false};
changed({add, N}, []) -> sum(0, N);
changed({add, N}, [{_, _, <<_, Tag, _/binary>> = Etf}]) when ?IS_NUMBER(Tag) ->
    sum(binary_to_term(Etf), N);
changed({add, _}, _) -> {answer, badarg("the value of this key is no number", [])}.

sum(Before, N) ->
    try Before + N of
        Sum -> {write, term_to_binary(Sum), {ok, Sum}}
    catch
        error:_ -> {answer, badarg("the sum is too large", [])}
    end.

write(Place, Etf, Before, Reply, #state{bytes = Bytes} = S) ->
    Less = lists:sum([bytes(Place, Old) || {_, _, Old} <- Before]),
    More = bytes(Place, Etf) - Less,
    case excess(Before =:= [], More, S) of
        none ->
            Row = {kept(Place, Before), erlang:unique_integer([monotonic]), Etf},
            true = ets:insert(?MODULE, Row),
            {reply, Reply, S#state{bytes = Bytes + More}};
        Excess ->
            {reply, {error, Excess}, S}
    end.

%% A key that is part of a larger binary would keep all of it.
kept(Place, []) -> binary_to_term(term_to_binary(Place));
kept(_, [{Place, _, _}]) -> Place.

%% Whatever there is may become smaller.
excess(IsNew, More, #state{bytes = Bytes, limits = #{keys := MostKeys, bytes := MostBytes}}) ->
    case IsNew andalso ets:info(?MODULE, size) >= MostKeys of
        true -> {overloaded, state_keys, MostKeys};
        false when More > 0, Bytes + More > MostBytes -> {overloaded, state_bytes, MostBytes};
        false -> none
    end.

gone({Place, _, Etf}, #state{bytes = Bytes} = S) ->
    S#state{bytes = Bytes - bytes(Place, Etf)}.
