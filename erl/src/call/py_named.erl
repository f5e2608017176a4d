%% SPDX-License-Identifier: Apache-2.0
%%
%% Contexts that have a name. Each has a keeper, which knows how the context was made, and
%% whom whoever wants it asks. It is opened, the first time and after each end of its
%% worker, by an opener: a process that its worker knows as its owner, and that is linked
%% to the keeper. So the keeper never waits for Python, and many who ask wait for the same
%% opener. But if a worker waits for one who asks (py_talk_call), that might be the one for
%% which the opener waits: it gets an opener that runs within its call. The first that has
%% opened the context ends the others.
%%
%% A keeper is ended with the process that has opened the context first, when that is
%% closed, or with its pool: another process, its guard, sees to that. The table of names
%% belongs to the top supervisor, so whichever worker or pool dies, they stay.
-module(py_named).
-behaviour(gen_server).

-export([new/0, open/4, find/3, current/2, close/1, forget/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([make/0]).

-include("py.hrl").

%% In a pool a name is given once.
-type key() :: {Pool :: atom(), Name :: atom()}.
%% Opens the context in so many milliseconds, for the calling process.
-type make() :: fun((timeout()) -> {ok, #py_context{}} | {error, term()}).

%% Who asks for it: for the context as it is open; or whoever would have its name, too.
%% Which workers wait for that, and for which other contexts it is needed.
-type question() :: {find | held, py_binding:waiting(), [key()]}.

-record(state, {
    key :: key(),
    timeout :: timeout(),
    make :: make(),
    context = none :: none | #py_context{},     % as it was opened last
    ended = false :: boolean(),                 % nobody has wanted it since its worker's end
    openers = #{} :: #{pid() => {py_binding:waiting(), [asker()]}}     % those that are at it
}).
-type asker() :: {find | held, gen_server:from()}.

%% The table lives as long as the calling process.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {read_concurrency, true}]),
    ok.

%% Opens a context that has this name, for the calling process, in that time.
-spec open(Pool :: atom(), Name :: atom(), timeout(), make()) -> {ok, #py_context{}} | {error, term()}.
open(Pool, Name, Timeout, Make) ->
    Key = {Pool, Name},
    Deadline = py_time:deadline(Timeout),
    case gen_server:start(?MODULE, {Key, self(), Timeout, Make}, []) of
        {ok, Keeper} -> unless_gone(ask(Keeper, find, infinity), Key);
        ignore -> taken(ask_named(Key, held, Timeout), Key, Deadline, Make)
    end.

taken({ok, Context}, _, _, _) ->
    {error, {already_open, Context}};
taken({error, {no_context, _}}, {Pool, Name}, Deadline, Make) ->
    open(Pool, Name, py_time:left(Deadline), Make);
taken({error, _} = Error, _, _, _) ->
    Error.

%% The context of this name, which may have to be opened anew.
-spec find(Pool :: atom(), Name :: atom(), timeout()) -> {ok, #py_context{}} | {error, term()}.
find(Pool, Name, Timeout) ->
    ask_named({Pool, Name}, find, Timeout).

%% The same context, as it is now.
-spec current(#py_context{}, timeout()) -> {ok, #py_context{}} | {error, term()}.
current(#py_context{name = none} = Context, _) ->
    {ok, Context};
current(#py_context{name = {_, Keeper}} = Context, Timeout) ->
    unless_gone(ask(Keeper, find, Timeout), key(Context)).

%% Ends its keeper, so that it is closed wherever it is.
-spec close(#py_context{}) -> ok.
close(#py_context{name = {_, Keeper}} = Context) -> close(key(Context), Keeper).

%% The pool is stopped.
-spec forget(Pool :: atom()) -> ok.
forget(Pool) ->
    [close({Pool, Name}, Keeper) || [Name, Keeper] <- ets:match(?MODULE, {{Pool, '$1'}, '$2'})],
    ok.

key(#py_context{pool = #pool{name = Pool}, name = {Name, _}}) -> {Pool, Name}.

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
ask_named(Key, What, Timeout) ->
    case keeper(Key) of
        {ok, Keeper} ->
            case ask(Keeper, What, Timeout) of
                gone -> leave(Key, Keeper), ask_named(Key, What, Timeout);
                Answer -> Answer
            end;
        {error, _} = Error ->
            Error
    end.

ask(Keeper, What, Timeout) ->
    try
        gen_server:call(Keeper, {What, py_binding:waiting(), needed_for()}, Timeout)
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

-spec init({key(), Owner :: pid(), timeout(), make()}) -> {ok, #state{}} | ignore.
init({Key, Owner, Timeout, Make}) ->
    case py_table:access(fun() -> ets:insert_new(?MODULE, {Key, self()}) end) of
        true ->
            Keeper = self(),
            _ = spawn(fun() -> guard([Owner, Keeper, py_sup], Key, Keeper) end),
            {ok, #state{key = Key, timeout = Timeout, make = Make}};
        _ ->
            ignore
    end.

%% Whichever of these ends first, the context ends with it.
guard(Processes, Key, Keeper) ->
    [monitor(process, Process) || Process <- Processes],
    receive {'DOWN', _, process, _, _} -> finish(Key, Keeper) end.

-spec handle_call(question(), gen_server:from(), #state{}) ->
          {reply, {ok, #py_context{}} | {error, term()}, #state{}, timeout()} | {noreply, #state{}, timeout()}
          | {stop, shutdown, gone, #state{}}.
handle_call({What, Waiting, NeededFor}, From, #state{key = Key, context = Context} = S) ->
    case is_open(S) of
        true -> {reply, {ok, Context}, S, patience(S)};
        ended when What =:= held, Context =/= none -> {reply, {ok, Context}, S, patience(S)};
        ended -> case lists:member(Key, NeededFor) of
                     true -> {reply, no_context(Key), S, patience(S)};
                     false -> noreply(wait({What, From}, Waiting, NeededFor, S))
                 end;
        false -> {stop, shutdown, gone, S}
    end.

noreply(S) -> {noreply, S, patience(S)}.

%% Its worker knows, and says so at once.
is_open(#state{context = #py_context{worker = Worker, id = Id, owner = Owner}, openers = Openers})
  when Openers =:= #{} ->
    case py_ask:call(Worker, fun(From) -> py_worker:is_open(Worker, From, {Id, Owner}) end) of
        {answer, Answer} -> Answer;
        {down, _} -> ended
    end;
is_open(_) ->
    ended.

%% For an opener that waits for no worker that waits for whoever asks.
wait(Asker, Waiting, NeededFor, #state{openers = Openers} = S) ->
    {Opener, Askers} = case [{Pid, All} || {Pid, {Same, All}} <- maps:to_list(Openers), Same =:= Waiting] of
                           [Found] -> Found;
                           [] -> {start_opener(Waiting, NeededFor, S), []}
                       end,
    S#state{openers = Openers#{Opener => {Waiting, [Asker | Askers]}}}.

%% When to look whether it was closed because nobody has used it.
patience(#state{context = #py_context{idle = Idle}, openers = Openers})
  when is_integer(Idle), Openers =:= #{} -> min(2 * Idle, ?LONGEST);
patience(_) -> infinity.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}, timeout()}.
handle_cast(_, S) ->
    noreply(S).

-spec handle_info(term(), #state{}) -> {noreply, #state{}, timeout()} | {stop, shutdown, #state{}}.
handle_info({?MODULE, Opener, Result}, #state{openers = Openers} = S) when is_map_key(Opener, Openers) ->
    {{_, Askers}, Others} = maps:take(Opener, Openers),
    tried(Result, Askers, S#state{openers = Others});
handle_info(timeout, #state{context = #py_context{}, ended = Before} = S) ->
    case is_open(S) of
        true -> noreply(S);
        ended when not Before -> noreply(S#state{ended = true});
        _ -> {stop, shutdown, S}
    end;
handle_info(_, S) ->
    noreply(S).

tried({ok, Opened}, Askers, #state{key = {_, Name}, context = Before, openers = Others} = S) ->
    Context = Opened#py_context{name = {Name, self()}},
    answer({ok, Context}, Askers ++ lists:append([More || {_, More} <- maps:values(Others)])),
    lists:foreach(fun dismiss/1, [Owner || #py_context{owner = Owner} <- [Before]] ++ maps:keys(Others)),
    noreply(S#state{context = Context, ended = false, openers = #{}});
tried({error, _} = Error, Askers, #state{key = Key, context = none, openers = Others} = S) when Others =:= #{} ->
    leave(Key, self()),
    answer(Error, Askers),
    {stop, shutdown, S};
tried({error, _} = Error, Askers, S) ->
    answer(Error, Askers),
    noreply(S).

%% Why another one could not open it does not matter to who would have the name.
answer(Answer, Askers) ->
    [gen_server:reply(From, case Answer of {error, _} when What =:= held -> gone; _ -> Answer end)
     || {What, From} <- lists:reverse(Askers)],
    ok.

%% ---------------------------------------------------------------------------
%% Its openers

%% It knows for which contexts: a copy of a copy may be one of itself.
start_opener(Waiting, NeededFor, #state{key = Key, timeout = Timeout, make = Make}) ->
    Keeper = self(),
    spawn_link(fun() ->
        _ = put(?MODULE, [Key | NeededFor]),
        run_opener(Keeper, Waiting, Timeout, Make)
    end).

needed_for() ->
    case get(?MODULE) of undefined -> []; Keys -> Keys end.

%% What it has opened is its own, as long as it lives.
run_opener(Keeper, Waiting, Timeout, Make) ->
    py_binding:inherit(Waiting),
    Result = Make(Timeout),
    Keeper ! {?MODULE, self(), Result},
    case Result of
        {ok, _} -> receive after infinity -> ok end;
        {error, _} -> ok
    end.

dismiss(Opener) ->
    unlink(Opener),
    exit(Opener, shutdown).
