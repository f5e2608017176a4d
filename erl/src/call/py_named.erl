%% SPDX-License-Identifier: Apache-2.0
%%
%% Contexts that have a name. Each has a keeper: the process that its worker knows as its
%% owner, and that knows how it was made. Whoever wants the context asks the keeper, one
%% after another. If the worker has ended, the keeper opens the context anew. It is ended
%% with the process that has opened the context first, when that is closed, or with its
%% pool: another process, its guard, sees to that, because the keeper may just be waiting
%% for a worker. The table of names belongs to the top supervisor, so whichever worker or
%% pool dies, they stay.
-module(py_named).
-behaviour(gen_server).

-export([new/0, open/3, find/3, current/1, close/1, forget/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([make/0]).

-include("py.hrl").

%% In a pool a name is given once.
-type key() :: {Pool :: atom(), Name :: atom()}.
%% Opens the context, for the calling process.
-type make() :: fun(() -> {ok, #py_context{}} | {error, term()}).

-record(state, {
    key :: key(),
    make :: make(),
    context = none :: none | #py_context{},     % as it was opened last
    ended = false :: boolean()                  % nobody has wanted it since its worker's end
}).

%% The table lives as long as the calling process.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {read_concurrency, true}]),
    ok.

%% Opens a context that has this name, for the calling process.
-spec open(Pool :: atom(), Name :: atom(), make()) -> {ok, #py_context{}} | {error, term()}.
open(Pool, Name, Make) ->
    Key = {Pool, Name},
    case gen_server:start(?MODULE, {Key, self(), Make}, []) of
        {ok, Keeper} -> unless_gone(ask(Keeper, find, infinity), Key);
        ignore -> taken(ask_named(Key, held, infinity), Key, Make)
    end.

taken({ok, Context}, _, _) -> {error, {already_open, Context}};
taken({error, {no_context, _}}, {Pool, Name}, Make) -> open(Pool, Name, Make);
taken({error, _} = Error, _, _) -> Error.

%% The context of this name, which may have to be opened anew.
-spec find(Pool :: atom(), Name :: atom(), timeout()) -> {ok, #py_context{}} | {error, term()}.
find(Pool, Name, Timeout) ->
    ask_named({Pool, Name}, find, Timeout).

%% The same context, as it is now.
-spec current(#py_context{}) -> {ok, #py_context{}} | {error, term()}.
current(#py_context{name = none} = Context) -> {ok, Context};
current(#py_context{owner = Keeper} = Context) -> unless_gone(ask(Keeper, find, infinity), key(Context)).

%% Ends its keeper, so that it is closed wherever it is.
-spec close(#py_context{}) -> ok.
close(#py_context{owner = Keeper} = Context) -> close(key(Context), Keeper).

%% The pool is stopped.
-spec forget(Pool :: atom()) -> ok.
forget(Pool) ->
    [close({Pool, Name}, Keeper) || [Name, Keeper] <- ets:match(?MODULE, {{Pool, '$1'}, '$2'})],
    ok.

key(#py_context{pool = #pool{name = Pool}, name = Name}) -> {Pool, Name}.

%% ---------------------------------------------------------------------------
%% The table

keeper(Key) ->
    py_table:access(fun() ->
        case ets:lookup(?MODULE, Key) of
            [{_, Keeper}] -> {ok, Keeper};
            [] -> no_context(Key)
        end
    end).

no_context({_, Name}) -> {error, {no_context, Name}}.

%% Another one may have the name of a keeper that is gone.
ask_named(Key, Question, Timeout) ->
    case keeper(Key) of
        {ok, Keeper} ->
            case ask(Keeper, Question, Timeout) of
                gone -> leave(Key, Keeper), ask_named(Key, Question, Timeout);
                Answer -> Answer
            end;
        {error, _} = Error ->
            Error
    end.

ask(Keeper, Question, Timeout) ->
    try
        gen_server:call(Keeper, Question, Timeout)
    catch
        exit:{timeout, _} -> {error, timeout};
        exit:_ -> gone
    end.

unless_gone(gone, Key) -> no_context(Key);
unless_gone(Answer, _) -> Answer.

%% What a caller says of it is not to be trusted.
close(Key, Keeper) ->
    case keeper(Key) of
        {ok, Keeper} -> finish(Key, Keeper);
        _ -> ok
    end.

finish(Key, Keeper) ->
    Monitor = monitor(process, Keeper),
    exit(Keeper, shutdown),
    receive {'DOWN', Monitor, process, _, _} -> leave(Key, Keeper) end.

leave(Key, Keeper) ->
    _ = py_table:access(fun() -> ets:delete_object(?MODULE, {Key, Keeper}) end),
    ok.

%% ---------------------------------------------------------------------------
%% The keeper

-spec init({key(), Owner :: pid(), make()}) -> {ok, #state{}} | ignore.
init({Key, Owner, Make}) ->
    case py_table:access(fun() -> ets:insert_new(?MODULE, {Key, self()}) end) of
        true ->
            Keeper = self(),
            _ = spawn(fun() -> guard([Owner, Keeper, py_sup], Key, Keeper) end),
            {ok, #state{key = Key, make = Make}};
        _ ->
            ignore
    end.

%% Whichever of these ends first, the context ends with it.
guard(Processes, Key, Keeper) ->
    [monitor(process, Process) || Process <- Processes],
    receive {'DOWN', _, process, _, _} -> finish(Key, Keeper) end.

-spec handle_call(find | held, gen_server:from(), #state{}) ->
          {reply, {ok, #py_context{}} | {error, term()}, #state{}, timeout()}
          | {stop, normal, gone | {error, term()}, #state{}}.
handle_call(held, _, #state{context = #py_context{} = Context} = S) ->
    case is_open(Context) of
        false -> {stop, normal, gone, S};
        _ -> found(Context, S)
    end;
handle_call(_, From, #state{context = none} = S) ->
    open_for(From, S);
handle_call(find, From, #state{context = Context} = S) ->
    case is_open(Context) of
        true -> found(Context, S);
        false -> {stop, normal, gone, S};
        ended -> open_for(From, S)
    end.

found(Context, S) ->
    {reply, {ok, Context}, S, patience(Context)}.

%% If a worker waits for whoever asks, it waits for this process, too.
open_for({Asker, _}, #state{key = {_, Name} = Key, make = Make, context = Before} = S) ->
    py_talk_call:inherit(Asker),
    Result = Make(),
    py_binding:forget(),
    case Result of
        {ok, Opened} ->
            Context = Opened#py_context{name = Name},
            found(Context, S#state{context = Context, ended = false});
        {error, _} = Error when Before =:= none ->
            leave(Key, self()),
            {stop, normal, Error, S};
        {error, _} = Error ->
            {reply, Error, S, patience(Before)}
    end.

%% Its worker knows, and says so at once.
is_open(#py_context{worker = Worker, id = Id, owner = Owner}) ->
    case py_ask:call(Worker, fun(From) -> py_worker:is_open(Worker, From, {Id, Owner}) end) of
        {answer, Answer} -> Answer;
        {down, _} -> ended
    end.

%% When to look whether it was closed because nobody has used it.
patience(#py_context{idle = infinity}) -> infinity;
patience(#py_context{idle = Idle}) -> min(2 * Idle, ?LONGEST).

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}, timeout()} | {stop, normal, #state{}}.
handle_info(_, #state{context = none} = S) ->
    {noreply, S, infinity};
handle_info(timeout, #state{context = Context, ended = Before} = S) ->
    case is_open(Context) of
        true -> {noreply, S, patience(Context)};
        ended when not Before -> {noreply, S#state{ended = true}, patience(Context)};
        _ -> {stop, normal, S}
    end;
handle_info(_, #state{context = Context} = S) ->
    {noreply, S, patience(Context)}.
