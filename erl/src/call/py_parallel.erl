%% SPDX-License-Identifier: Apache-2.0
%%
%% Many calls at once, over all workers. Each chunk of them has a small process
%% of its own, which watches the one that it works for and ends with it, which
%% cancels what is under way.
%%
%% A chunk goes to one worker in one message, and from there each call is a request
%% like any other, with its own result and its own deadline. What the worker gives
%% back, because a call turns out to be long or the worker ends, was not started. It
%% goes on in smaller chunks, with its whole time: where all calls are long, each is
%% soon alone.
-module(py_parallel).

-export([run/2]).

-include("py.hrl").

-type numbered(What) :: [{pos_integer(), What}].

%% Chunks under way for each worker: one runs, one is ready.
-define(DEPTH, 2).
%% Into how many chunks what was given back is cut.
-define(PIECES, 4).

%% Runs all of them, and waits for all. Only a few chunks for each worker are under
%% way at a time, so that no worker has many while others have none.
-spec run([py_wire:op()], #opts{}) ->
          {ok, [term()]} | {error, [{ok, term()} | {error, term()}]}
        | {error, {no_pool | not_started, atom()}}.
run(Ops, #opts{pool = Target, wire = Wire} = Opts) ->
    py_pool_board:with_pool(py_target:pool(Target), fun(#pool{size = Size}) ->
        Chunks = chunks(Ops, maps:get(chunk, Wire, 1), Size * ?DEPTH),
        {Now, Later} = lists:split(min(Size * ?DEPTH, length(Chunks)), Chunks),
        Bare = Opts#opts{wire = maps:remove(chunk, Wire)},
        Running = lists:foldl(fun(Chunk, R) -> start(new, Chunk, Bare, R) end, #{}, Now),
        values(gather(Running, Later, Bare, []))
    end).

%% Of that many calls at most, and so that there is something for everybody.
chunks(Ops, Most, Lanes) ->
    Count = length(Ops),
    Fair = max(1, (Count + Lanes - 1) div Lanes),
    cut(lists:zip(lists:seq(1, Count), Ops), Count, min(Most, Fair)).

%% Pieces of a list with that many, which is not counted again for each.
cut(Numbered, Count, Most) when Count > Most ->
    {Chunk, Rest} = lists:split(Most, Numbered),
    [Chunk | cut(Rest, Count - Most, Most)];
cut([], 0, _) ->
    [];
cut(Numbered, _, _) ->
    [Numbered].

%% ---------------------------------------------------------------------------
%% The caller

%% What is wrong with a call before it is sent is its result.
start(Place, Chunk, Opts, Running) ->
    Prepared = [{N, prepare(Place, Op, Opts)} || {N, Op} <- Chunk],
    Tickets = [{N, Ticket} || {N, {ok, Ticket}} <- Prepared],
    Failed = [Failure || {_, {error, _}} = Failure <- Prepared],
    {_, Ref} = py_ask:spawn(fun(From, Watch) ->
        py_ask:answer(From, with(Failed, perform(Tickets, Opts, Watch)))
    end),
    Running#{Ref => Chunk}.

%% Whoever takes the place of one that is done is not refused in the queue.
prepare(Place, Op, Opts) ->
    case {Place, py_request:prepare(job, Op, Opts)} of
        {new, {ok, Ticket}} -> {ok, py_request:unbound(Ticket)};
        {taken_over, {ok, Ticket}} -> {ok, py_request:anew(py_request:unbound(Ticket), Opts)};
        {_, {error, _} = Error} -> Error
    end.

with(Failed, {done, Answers}) -> {done, Failed ++ Answers};
with(_, {full, _} = Full) -> Full.

gather(Running, [], _, Results) when map_size(Running) =:= 0 ->
    [Result || {_, Result} <- lists:keysort(1, Results)];
gather(Running, Later, Opts, Results) ->
    {Ref, Outcome} = py_ask:await_any(Running),
    {Chunk, Rest} = maps:take(Ref, Running),
    case Outcome of
        {answer, {full, _}} when map_size(Rest) > 0 ->
            gather(Rest, [Chunk | Later], Opts, Results);
        {answer, {full, Error}} ->
            gather(Rest, [], Opts, all(Error, lists:append([Chunk | Later])) ++ Results);
        _ ->
            {Started, Left} = start_next(Later, Opts, Rest),
            gather(Started, Left, Opts, results(answers(Outcome, Chunk), Opts, Results))
    end.

start_next([Chunk | Later], Opts, Running) -> {start(taken_over, Chunk, Opts, Running), Later};
start_next([], _, Running) -> {Running, []}.

answers({answer, {done, Answers}}, _) -> Answers;
answers({down, Reason}, Chunk) -> all({error, {worker_exit, Reason}}, Chunk).

results(Answers, #opts{wire = Wire}, Results) ->
    lists:foldl(fun({N, Answer}, Acc) -> [{N, py_result:result(Answer, Wire)} | Acc] end,
                Results, Answers).

values(Results) ->
    case [Value || {ok, Value} <- Results] of
        Values when length(Values) =:= length(Results) -> {ok, Values};
        _ -> {error, Results}
    end.

%% ---------------------------------------------------------------------------
%% The process of one chunk

%% `full' if the pool's queue was: then the chunk can wait until another one of the
%% same caller's is done.
-spec perform(numbered(py_request:ticket()), #opts{}, py_ask:watch()) ->
          {done, numbered(py_result:final())} | {full, {error, term()}}.
perform([], _, _) ->
    {done, []};
perform([{N, Ticket}], _, Watch) ->
    {_, Answer} = py_request:perform(Ticket, Watch),
    {done, [{N, Answer}]};
perform(Tickets, Opts, Watch) ->
    IsPlaced = fun({_, Ticket}) -> py_request:is_placed(Ticket) end,
    case py_handles:are_expected() andalso lists:partition(IsPlaced, Tickets) of
        {[_ | _] = Placed, Free} -> each(Placed, perform(Free, Opts, Watch), Opts, Watch);
        _ -> several(Tickets, Opts, Watch)
    end.

%% What has to run on one worker does not go together with others.
each(Placed, {done, Answers}, Opts, Watch) ->
    {done, lists:foldl(fun(One, Acc) ->
        {done, Answer} = perform([One], Opts, Watch),
        Answer ++ Acc
    end, Answers, Placed)};
each(_, {full, _} = Full, _, _) ->
    Full.

several([{_, First} | _] = Tickets, Opts, Watch) ->
    case py_request:place(First, Watch) of
        {error, {overloaded, _, _}} = Error -> {full, Error};
        {error, _} = Error -> {done, all(Error, Tickets)};
        Place -> {done, together(Place, py_request:pool(First), py_request:check(Tickets), Opts, Watch)}
    end.

all(Answer, Tickets) -> [{N, Answer} || {N, _} <- Tickets].

together({_, Worker} = Place, Pool, {Tickets, Refused}, Opts, Watch) ->
    Ref = py_ask:ask_several(Worker, fun(Ref) ->
        py_worker:request(Worker, [py_request:grouped(Ticket, {Ref, N}) || {N, Ticket} <- Tickets])
    end),
    ok = py_place:arrived(Place, Pool),
    Again = fun(Back) -> again(lists:keysort(1, Back), Opts, Watch) end,
    wait(Ref, Tickets, [], Again, Watch, Refused).

%% A worker mostly answers in order. What has been given back goes on as soon as
%% nothing else is to be read.
wait(_, [], Back, Again, _, Answers) ->
    Again(Back) ++ Answers;
wait(Ref, Left, Back, Again, Watch, Answers) ->
    case py_ask:await_next(Ref, Watch, case Back of [] -> infinity; _ -> 0 end) of
        {answer, N, again} ->
            {value, Call, Rest} = lists:keytake(N, 1, Left),
            wait(Ref, Rest, [Call | Back], Again, Watch, Answers);
        {answer, N, Answer} ->
            {value, _, Rest} = lists:keytake(N, 1, Left),
            wait(Ref, Rest, Back, Again, Watch, [{N, Answer} | Answers]);
        {down, _} = Down ->
            ended(py_result:answer(Down), Left, Back, Again) ++ Answers;
        timeout ->
            wait(Ref, Left, [], Again, Watch, Again(Back) ++ Answers)
    end.

ended(again, Left, Back, Again) -> Again(Left ++ Back);
ended(Answer, Left, Back, Again) -> all(Answer, Left) ++ Again(Back).

again(Back, Opts, Watch) ->
    Count = length(Back),
    lists:append([begin
                      Anew = [{N, py_request:anew(Ticket, Opts)} || {N, Ticket} <- Piece],
                      {done, Answers} = perform(Anew, Opts, Watch),
                      Answers
                  end || Piece <- cut(Back, Count, max(1, Count div ?PIECES))]).
