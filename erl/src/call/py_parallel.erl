%% SPDX-License-Identifier: Apache-2.0
%%
%% Many calls at once, over all workers. Each chunk of them has a small process
%% of its own, which watches the one that it works for and ends with it, which
%% cancels what is under way.
%%
%% A call that turns out to be awaited keeps no other from its worker: the next one
%% starts at once. How many are awaited is for their workers to say; but one that has to
%% run them, because it has their object, takes any number. So no more than all workers
%% await are under way.
%%
%% A chunk is one request, whose results come in parts. What the worker gives back,
%% because a call turns out to be long or the worker ends, was not started, and neither
%% was what the program refuses as a whole. It goes on in smaller chunks, with its whole
%% time: where all calls are long, each is soon alone, and what is wrong with one is the
%% result of that one.
-module(py_parallel).

-export([run/2]).

-include("py.hrl").

%% Some of the calls, which are neighbours, and the number of the first.
-type chunk() :: {pos_integer(), [py_wire:op()]}.
%% The answer to so many of them, from this one on.
-type answer() :: {pos_integer(), pos_integer(), {part, binary()} | py_result:final()}.

%% What the process of a chunk needs: a ticket without a request, the options, and
%% whom it works for.
-record(work, {ticket :: py_request:ticket(), opts :: #opts{}, watch :: py_ask:watch()}).

%% What the caller has under way, and what it has heard.
-record(run, {
    asked = #{} :: #{py_ask:from() => {chunk(), Aside :: py_ask:from()} | aside},
    n = 0 :: non_neg_integer(),         % chunks under way
    awaited = 0 :: non_neg_integer(),   % those of them that are
    most :: {InTurn :: pos_integer(), pos_integer()},
    places = 0 :: non_neg_integer(),    % of chunks that are over, for others to take
    later :: [chunk()],
    results = [] :: [{pos_integer(), [py_result:result()]}],
    opts :: #opts{}
}).

%% Chunks under way for each worker: one runs, one is ready.
-define(DEPTH, 2).
%% Into how many chunks what was given back is cut.
-define(PIECES, 4).

%% Runs all of them, and waits for all. Only a few chunks for each worker are under way at
%% a time, but for what is awaited, so that no worker has many while others have none.
%% Before the first is started, what cannot be an iterator raises error:badarg.
-spec run([py_wire:op()], #opts{}) ->
          {ok, [term()]} | {error, [{ok, term()} | {error, term()}]}
        | {error, {no_pool | not_started, atom()}}.
run(Ops, #opts{pool = Target, wire = Wire} = Opts) ->
    py_pool_board:with_pool(py_target:pool(Target), fun(#pool{size = Size} = Pool) ->
        Bare = Opts#opts{wire = maps:remove(chunk, Wire)},
        Chunks = lists:append([apart(fun(Op) -> goes_alone(Op, Bare) end, Chunk)
                               || Chunk <- chunks(Ops, maps:get(chunk, Wire, 1), Size * ?DEPTH)]),
        _ = [py_iter:empty(Op) || {_, [Op]} <- Chunks, py_wire:iterates(Op, Wire)],
        values(gather(go_on(#run{most = most(Pool), later = Chunks, opts = Bare})))
    end).

%% How many chunks are under way: those that have their turn, and with those beside them.
most(#pool{size = Size, concurrency = Coroutines, threads = Threads}) ->
    {Size * ?DEPTH, Size * (?DEPTH + Coroutines + Threads)}.

%% Of that many calls at most, and so that there is something for everybody.
chunks(Ops, Most, Lanes) ->
    Count = length(Ops),
    Fair = max(1, (Count + Lanes - 1) div Lanes),
    cut({1, Ops}, Count, min(Most, Fair)).

%% Pieces of a chunk that has that many calls, which are not counted again for each.
cut({_, []}, 0, _) ->
    [];
cut({First, Ops}, Count, Most) when Count > Most ->
    {Piece, Rest} = lists:split(Most, Ops),
    [{First, Piece} | cut({First + Most, Rest}, Count - Most, Most)];
cut(Chunk, _, _) ->
    [Chunk].

%% Whether a call is more than a call of a function with values that any worker may run.
goes_alone(Op, #opts{keep = Keep, pool = Target, wire = Wire} = Opts) ->
    Keep orelse element(1, Op) =/= call orelse py_wire:iterates(Op, Wire)
        orelse (py_handles:place(Op, Opts))#opts.pool =/= Target.

%% The chunk in pieces, so that each such call is alone.
apart(_, {_, []}) ->
    [];
apart(IsAlone, {First, Ops} = Chunk) ->
    case lists:splitwith(fun(Op) -> not IsAlone(Op) end, Ops) of
        {_, []} ->
            [Chunk];
        {Before, [Op | Behind]} ->
            Next = First + length(Before),
            [{First, Before} || Before =/= []] ++ [{Next, [Op]} | apart(IsAlone, {Next + 1, Behind})]
    end.

%% ---------------------------------------------------------------------------
%% The caller

%% Starts as many as there may be.
go_on(#run{n = N, awaited = Awaited, most = {InTurn, Most}, later = [Chunk | Later]} = R)
  when N - Awaited < InTurn, N < Most ->
    go_on(start(Chunk, R#run{later = Later}));
go_on(R) ->
    R.

%% What keeps a chunk from being sent is the result of each of its calls.
start(Chunk, #run{asked = Asked, n = N, places = Places, opts = Opts} = R) ->
    Aside = alias([reply]),
    Ticket = ticket(Places, prepare(Chunk, Aside, Opts), Opts),
    {_, Ref} = py_ask:spawn(fun(From, Watch) -> py_ask:answer(From, try_it(Ticket, Chunk, Opts, Watch)) end),
    R#run{asked = Asked#{Ref => {Chunk, Aside}, Aside => aside}, n = N + 1, places = max(0, Places - 1)}.

%% Several calls are encoded in the process of the chunk.
prepare({_, [Op]}, Aside, Opts) ->
    case py_request:prepare(job, Op, Opts) of
        {ok, Ticket} -> {ok, py_request:aside(Aside, py_request:unbound(Ticket))};
        {error, _} = Error -> Error
    end;
prepare(_, _, Opts) ->
    py_request:blank(Opts).

%% Whoever takes the place of one that is done is not refused in the queue.
ticket(Places, {ok, Ticket}, Opts) when Places > 0 -> {ok, py_request:anew(Ticket, Opts)};
ticket(_, Opened, _) -> Opened.

try_it({ok, Ticket}, {_, [_]} = Chunk, _, Watch) ->
    alone(py_request:perform(Ticket, Watch), Chunk);
try_it({ok, Ticket}, Chunk, Opts, Watch) ->
    perform(Chunk, #work{ticket = Ticket, opts = Opts, watch = Watch});
try_it({error, _} = Error, Chunk, _, _) ->
    {done, all(Error, Chunk)}.

%% What has become of one call that went its own way.
alone({_, {error, {overloaded, N, _}} = Full}, _) when is_integer(N) -> {full, Full};
alone({_, Answer}, Chunk) -> {done, all(Answer, Chunk)}.

-spec all(py_result:final(), chunk()) -> [answer()].
all(_, {_, []}) -> [];
all(Answer, {First, Ops}) -> [{First, length(Ops), Answer}].

gather(#run{n = 0, later = [], results = Results}) ->
    lists:append([Some || {_, Some} <- lists:keysort(1, Results)]);
gather(#run{asked = Asked} = R) ->
    {Ref, Outcome} = py_ask:await_any(Asked),
    gather(heard(maps:get(Ref, Asked), Outcome, forget(Ref, R))).

%% What says that a chunk is awaited is sent before its answer, and does not come later.
forget(Ref, #run{asked = Asked, n = N, awaited = Awaited} = R) ->
    case maps:take(Ref, Asked) of
        {aside, Rest} ->
            R#run{asked = Rest, awaited = Awaited + 1};
        {{_, Aside}, Rest} when is_map_key(Aside, Rest) ->
            _ = unalias(Aside),
            R#run{asked = maps:remove(Aside, Rest), n = N - 1};
        {{_, _}, Rest} ->
            R#run{asked = Rest, n = N - 1, awaited = Awaited - 1}
    end.

%% One that was refused has the place of one that was over meanwhile, or waits for one.
heard(aside, _, R) ->
    go_on(R);
heard({Chunk, _}, {answer, {full, _}}, #run{places = Places, later = Later} = R) when Places > 0 ->
    go_on(R#run{later = [Chunk | Later]});
heard({Chunk, _}, {answer, {full, _}}, #run{n = N, later = Later} = R) when N > 0 ->
    R#run{later = [Chunk | Later]};
heard({Chunk, _}, {answer, {full, Error}}, #run{later = Later} = R) ->
    Refused = lists:append([all(Error, Each) || Each <- [Chunk | Later]]),
    add(Refused, R#run{later = []});
heard({Chunk, _}, Outcome, #run{places = Places} = R) ->
    go_on(add(answers(Outcome, Chunk), R#run{places = Places + 1})).

add(Answers, #run{results = Results, opts = Opts} = R) -> R#run{results = results(Answers, Opts) ++ Results}.

answers({answer, {done, Answers}}, _) -> Answers;
answers({down, Reason}, Chunk) -> all({error, {worker_exit, Reason}}, Chunk).

results(Answers, Opts) ->
    [{First, results(Count, Answer, Opts)} || {First, Count, Answer} <- Answers].

results(_, {part, Frame}, _) -> py_result:results(Frame);
results(Count, Answer, #opts{wire = Wire}) -> lists:duplicate(Count, py_result:result(Answer, Wire)).

values(Results) ->
    case [Value || {ok, Value} <- Results] of
        Values when length(Values) =:= length(Results) -> {ok, Values};
        _ -> {error, Results}
    end.

%% ---------------------------------------------------------------------------
%% The process of one chunk

%% `full' if the pool's queue was: then the chunk can wait until another one of the
%% same caller's is done.
-spec perform(chunk(), #work{}) -> {done, [answer()]} | {full, {error, term()}}.
perform({_, [Op]} = Chunk, #work{ticket = Ticket, opts = Opts, watch = Watch}) ->
    case py_request:carry(Op, Ticket, Opts) of
        {ok, Carries} ->
            alone(py_request:perform(Carries, Watch), Chunk);
        {error, _} = Error ->
            {done, all(Error, Chunk)}
    end;
perform({_, Ops} = Chunk, #work{ticket = Ticket, opts = Opts} = Work) ->
    case py_request:carry(Ops, Ticket, Opts) of
        {ok, Carries} -> send(Carries, Chunk, Work);
        {error, _} -> pieces(smaller(Chunk), Work)
    end.

smaller({_, Ops} = Chunk) ->
    Count = length(Ops),
    cut(Chunk, Count, max(1, Count div ?PIECES)).

%% One after the other. The first may find the queue full, those behind it have its place.
pieces([Piece | Pieces], Work) ->
    case perform(Piece, Work) of
        {done, Answers} -> {done, lists:append([Answers | [again(Each, Work) || Each <- Pieces]])};
        {full, _} = Full -> Full
    end.

again(Chunk, #work{ticket = Ticket, opts = Opts} = Work) ->
    case perform(Chunk, Work#work{ticket = py_request:anew(Ticket, Opts)}) of
        {done, Answers} -> Answers;
        {full, Error} -> all(Error, Chunk)
    end.

send(Ticket, Chunk, #work{watch = Watch} = Work) ->
    case py_request:place(Ticket, Watch) of
        {error, {overloaded, _, _}} = Error -> {full, Error};
        {error, _} = Error -> {done, all(Error, Chunk)};
        Place -> bring(Place, Ticket, allowed(Ticket, Chunk), Work)
    end.

%% A function may be refused since its caller began to wait: its call goes alone.
allowed(Ticket, Chunk) ->
    case apart(fun(Op) -> not py_request:is_allowed(Op, Ticket) end, Chunk) of
        [Chunk] -> {all, Chunk};
        Pieces -> {pieces, Pieces}
    end.

bring({_, Worker} = Place, Ticket, {all, Chunk}, #work{watch = Watch} = Work) ->
    Ref = py_ask:ask_several(Worker, fun(Ref) -> py_request:send(Ticket, Worker, Ref) end),
    py_request:arrived(Place, Ticket),
    {done, collect(py_ask:await_next(Ref, Watch), Ref, Chunk, Work)};
bring({_, Worker} = Place, Ticket, {pieces, Pieces}, Work) ->
    py_request:arrived(Place, Ticket),
    py_worker:report(Worker),
    {done, lists:append([again(Piece, Work) || Piece <- Pieces])}.

%% Until the last word, whose calls are those that are left. A program that refuses them
%% as a whole has started none.
-spec collect(py_ask:outcome(), reference(), chunk(), #work{}) -> [answer()].
collect({answer, {part, Count, Frame}}, Ref, {First, Ops}, #work{watch = Watch} = Work) ->
    Left = {First + Count, lists:nthtail(Count, Ops)},
    [{First, Count, {part, Frame}} | collect(py_ask:await_next(Ref, Watch), Ref, Left, Work)];
collect({answer, {again, Count}}, Ref, {First, Ops}, #work{watch = Watch} = Work) ->
    Kept = length(Ops) - Count,
    {Left, Back} = lists:split(Kept, Ops),
    Answers = back({First + Kept, Back}, Work),
    Answers ++ collect(py_ask:await_next(Ref, Watch), Ref, {First, Left}, Work);
collect(Outcome, _, Left, Work) ->
    case py_result:answer(Outcome) of
        {error, _} = Error -> all(Error, Left);
        _ -> back(Left, Work)
    end.

back({_, []}, _) -> [];
back(Chunk, Work) -> lists:append([again(Piece, Work) || Piece <- smaller(Chunk)]).
