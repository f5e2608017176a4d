%% SPDX-License-Identifier: Apache-2.0
%%
%% What Python iterates over in Erlang: {iter, Fun | List | Pid} among the arguments of
%% a request. For a fun or a list there is a process, which ends with the one that has
%% started it, or earlier, when that one says so. It is asked as any Pid is, by a
%% gen_server call {py_next, N}, and answers {ok, Items}, `done' or an error.
%%
%% The user's funs are run by another process, the maker, ahead of Python. So what
%% there is can be had while a fun waits for more. All that comes into the maker's
%% mailbox belongs to the funs: it asks for room, by a call, and is told nothing else.
-module(py_iter).
-behaviour(gen_server).

-export([empty/1, start/1, stop/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2, format_status/1]).
-export_type([source/0]).

-messages([stop/1]).

%% Items, and perhaps a fun that gives the others.
-type source() :: [term()] | maybe_improper_list(term(), fun(() -> source()))
                | fun(() -> source()).

%% How much goes to Python at a time, and how much the maker makes before it asks for
%% room: in bytes, of which even the smallest item counts for some.
-define(BATCH, 32_768).
-define(ROOM, (?BATCH div 2)).
-define(LEAST, 64).

-record(state, {
    source :: py_secret:secret(source()),
    maker = none :: none | pid(),       % once somebody has asked
    stock = queue:new() :: queue:queue({[term(), ...], Cost :: pos_integer()}),
    stocked = 0 :: non_neg_integer(),   % what that costs
    full = none :: none | gen_server:from(),    % the maker, when it waits for room
    waiting = [] :: [gen_server:from()],
    final = none :: none | last()
}).

%% What comes behind all items.
-type last() :: done | {raised, error | exit | throw, term(), Stack :: list()}.

%% ---------------------------------------------------------------------------
%% The arguments of a request

%% The request as if its iterators had no items: for what can be known before they are
%% started. What cannot be one raises error:badarg.
-spec empty(py_wire:op()) -> py_wire:op().
empty(Op) ->
    {Empty, none} = over(fun(Arg, none) -> {emptied(Arg), none} end, none, Op),
    Empty.

emptied({iter, Source}) when is_list(Source); is_function(Source, 0) -> [];
emptied({iter, Fun}) when is_function(Fun) ->
    py_options:must_be(Fun, "the fun of an iterator", "one without arguments");
emptied(Arg) -> Arg.

%% Has processes of the calling one in the place of funs and lists.
-spec start(py_wire:op()) -> {py_wire:op(), [pid()]}.
start(Op) ->
    over(fun({iter, Source}, Pids) when is_list(Source); is_function(Source) ->
             {ok, Pid} = gen_server:start(?MODULE, {self(), py_secret:hide(Source)}, []),
             {{iter, Pid}, [Pid | Pids]};
            (Arg, Pids) ->
             {Arg, Pids}
         end, [], Op).

over(Fun, Acc, {Outer, Source}) ->
    {Op, Last} = over(Fun, Acc, Source),
    {{Outer, Op}, Last};
over(Fun, Acc, {Name, Of, Function, Args, Kwargs}) ->
    {Positional, Next} = lists:mapfoldl(Fun, Acc, Args),
    {Named, Last} = over_values(Fun, Next, Kwargs),
    {{Name, Of, Function, Positional, Named}, Last};
over(Fun, Acc, {Name, Code, Locals}) ->
    {Named, Last} = over_values(Fun, Acc, Locals),
    {{Name, Code, Named}, Last}.

over_values(Fun, Acc, Map) ->
    {Pairs, Last} = lists:mapfoldl(fun({Name, Value}, Before) ->
        {Next, After} = Fun(Value, Before),
        {{Name, Next}, After}
    end, Acc, maps:to_list(Map)),
    {maps:from_list(Pairs), Last}.

%% Nobody needs them any more.
-spec stop([pid()]) -> ok.
stop(Iterators) ->
    _ = [gen_server:cast(Pid, stop) || Pid <- Iterators],
    ok.

%% ---------------------------------------------------------------------------
%% The process of one

-spec init({pid(), py_secret:secret(source())}) -> {ok, #state{}}.
init({Owner, Source}) ->
    process_flag(trap_exit, true),
    _ = monitor(process, Owner),
    {ok, #state{source = Source}}.

-spec handle_call({py_next, pos_integer()} | room, gen_server:from(), #state{}) ->
          {noreply, #state{}}.
handle_call({py_next, _}, From, #state{waiting = Waiting} = S) ->
    {noreply, serve(begun(S#state{waiting = Waiting ++ [From]}))};
handle_call(room, From, S) ->
    {noreply, give_room(S#state{full = From})}.

-spec handle_cast({made, [term(), ...], pos_integer()} | {last, last()} | stop, #state{}) ->
          {noreply, #state{}} | {stop, normal, #state{}}.
handle_cast({made, Items, Cost}, #state{stock = Stock, stocked = Stocked} = S) ->
    {noreply, serve(S#state{stock = queue:in({Items, Cost}, Stock), stocked = Stocked + Cost})};
handle_cast({last, Last}, S) ->
    {noreply, serve(S#state{final = Last})};
handle_cast(stop, S) ->
    {stop, normal, S}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({'DOWN', _, process, _, _}, S) ->
    {stop, normal, S};
handle_info({'EXIT', Maker, Reason}, #state{maker = Maker, final = none} = S) ->
    {noreply, serve(S#state{final = {raised, exit, Reason, []}})};
handle_info(_, S) ->
    {noreply, S}.

-spec terminate(term(), #state{}) -> ok.
terminate(_, #state{maker = Maker}) ->
    is_pid(Maker) andalso exit(Maker, kill),
    ok.

%% What reports print: no items.
-spec format_status(gen_server:format_status()) -> gen_server:format_status().
format_status(Status) ->
    maps:map(fun(state, #state{stock = Stock}) -> {stock, queue:len(Stock)};
                (message, {'$gen_cast', {made, _, Cost}}) -> {made, Cost};
                (_, Term) -> Term
             end, Status).

begun(#state{maker = none, source = Source} = S) ->
    Home = self(),
    S#state{maker = spawn_link(fun() -> maker(py_secret:show(Source), Home) end),
            source = py_secret:hide([])};
begun(S) ->
    S.

%% Whoever waits gets what there is, at least an item.
serve(#state{waiting = []} = S) ->
    S;
serve(#state{waiting = [From | Waiting], stocked = 0, final = Final} = S) when Final =/= none ->
    gen_server:reply(From, Final),
    serve(S#state{waiting = Waiting});
serve(#state{stocked = 0} = S) ->
    S;
serve(#state{waiting = [From | Waiting], stock = Stock, stocked = Stocked} = S) ->
    {Groups, Cost, Rest} = batch(Stock, 0, []),
    gen_server:reply(From, {ok, lists:append(Groups)}),
    serve(give_room(S#state{waiting = Waiting, stock = Rest, stocked = Stocked - Cost})).

batch(Stock, Sum, Groups) ->
    case queue:peek(Stock) of
        {value, {Items, Cost}} when Sum =:= 0; Sum + Cost =< ?BATCH ->
            batch(queue:drop(Stock), Sum + Cost, [Items | Groups]);
        _ ->
            {lists:reverse(Groups), Sum, Stock}
    end.

give_room(#state{full = From, stocked = Stocked} = S) when From =/= none, Stocked =< ?ROOM ->
    gen_server:reply(From, ok),
    S#state{full = none};
give_room(S) ->
    S.

%% ---------------------------------------------------------------------------
%% The maker

maker(Source, Home) ->
    try
        make(Source, ?ROOM, Home)
    catch
        Class:Reason:Stack -> last({raised, Class, Reason, own(Stack)}, Home)
    end.

%% Without our own frames.
own(Stack) ->
    [Frame || Frame <- Stack, element(1, Frame) =/= ?MODULE].

make(Source, Room, Home) when Room =< 0 ->
    ok = gen_server:call(Home, room, infinity),
    make(Source, ?ROOM, Home);
make(Fun, Room, Home) when is_function(Fun, 0) ->
    make(Fun(), Room, Home);
make([Item | Rest], Room, Home) ->
    {Items, Cost, Later} = group(Rest, Room, [Item], cost(Item)),
    gen_server:cast(Home, {made, Items, Cost}),
    make(Later, Room - Cost, Home);
make([], _, Home) ->
    last(done, Home);
make(Other, _, _) ->
    error({bad_iterator, Other}).

last(Last, Home) ->
    gen_server:cast(Home, {last, Last}).

%% As many of the items as there is room for.
group([Item | Rest] = Items, Room, Taken, Sum) ->
    case Sum + cost(Item) of
        Cost when Cost =< Room -> group(Rest, Room, [Item | Taken], Cost);
        _ -> {lists:reverse(Taken), Sum, Items}
    end;
group(Rest, _, Taken, Sum) ->
    {lists:reverse(Taken), Sum, Rest}.

cost(Item) ->
    max(?LEAST, erlang:external_size(Item)).
