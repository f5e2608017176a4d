%% SPDX-License-Identifier: Apache-2.0
%%
%% A request's story, told from its caller: encode the term once, find a
%% worker (the one that it names or that the caller is bound to, else the idlest,
%% else wait in the pool's queue for one), hand it over, wait for the answer,
%% decode it.
%%
%% A request that a worker gives back was not started: the pool's queue, or
%% the caller (`again'), finds another worker. So no request is lost, and none
%% runs twice.
-module(py_request).

-export([run/2, exec/2]).
-export([prepare/3, feed/1, deadline/2, unbound/1, at/2, unheard/1, aside/2, opening/3, pool/1, go/1]).
-export([perform/2, perform_on/2]).
-export([blank/1, carry/3, is_allowed/2, place/2, arrived/2, send/3, anew/2]).
-export_type([ticket/0, outcome/0]).

-include("py.hrl").
-include("py_protocol.hrl").

%% Each call comes here.
-compile({inline, [where/3, encode/6]}).

%% A request that is ready to go, and where it has to.
-record(ticket, {
    pool :: #pool{},
    req :: #req{},
    home :: py_binding:home() | undefined,
    to = any :: any | pos_integer() | all   % the worker that it names …
              | home,                       % … or home, where its context or a handle is
    iterated = none :: none             % it has iterators, which are started when it goes
                     | py_secret:secret({py_wire:op(), map()})
}).
-opaque ticket() :: #ticket{}.

%% Who answered, and what.
-type outcome() :: {pid() | none, {reply, binary()} | {opened, py_wire:id()} | {error, term()}}.

%% ---------------------------------------------------------------------------
%% The whole story

-spec run(py_wire:op(), #opts{}) -> py_result:result().
run(Op, Opts) ->
    case prepare(job, Op, Opts) of
        {ok, #ticket{to = all} = Ticket} ->
            each(Ticket, Opts);
        {ok, Ticket} ->
            {_, Answer} = go(Ticket),
            result(Answer, Opts);
        {error, _} = Error ->
            result(Error, Opts)
    end.

result(Answer, #opts{wire = Wire}) -> py_result:result(Answer, Wire).

%% The same, and the caller stays with the worker that answered: code that
%% raised may have defined names before that.
-spec exec(py_wire:op(), #opts{}) -> py_result:result().
exec(Op, #opts{wire = Wire} = Opts) ->
    case prepare(job, Op, Opts) of
        {ok, #ticket{to = all} = Ticket} ->
            each(Ticket, Opts);
        {ok, Ticket} when is_map_key(context, Wire) ->
            {_, Answer} = go(Ticket),
            result(Answer, Opts);
        {ok, #ticket{pool = Pool, req = Req} = Ticket} ->
            {Worker, Answer} = go(Ticket#ticket{req = Req#req{binds = home}}),
            element(1, Answer) =:= reply andalso py_binding:bind(Pool, Worker),
            result(Answer, Opts);
        {error, _} = Error ->
            result(Error, Opts)
    end.

%% Every worker runs it, and nobody is bound by that. If a worker does not take it,
%% because it is just being replaced, its successor does.
each(#ticket{pool = Pool, req = #req{deadline = Deadline} = Unnamed}, Opts) ->
    Req = named(Unnamed),
    Answers = py_fanout:answers(py_fanout:send(py_pool_board:workers(Pool), Req), Deadline),
    py_target:each([{Row, result(of_slot(Row, Answer, Pool, Req), Opts)}
                    || {Row, Answer} <- Answers]).

of_slot({Id, _, _}, again, Pool, Req) ->
    {_, Answer} = py_place:at(Id, Pool, Req, none),
    Answer;
of_slot(_, Answer, _, _) -> Answer.

%% It runs on whichever worker has the slot, and on no other.
named(Req) -> Req#req{bound = true, named = true}.

%% Brings the request to a worker and waits for its answer, in the process
%% whose bindings count. A bound worker's death is reported once.
-spec go(ticket()) -> outcome().
go(#ticket{iterated = Iterated} = Ticket) when Iterated =/= none -> fed(fun go/1, Ticket);
go(#ticket{home = {_, _, {within, Call, Depth}}} = Ticket) -> go_within(Call, Depth, Ticket);
go(#ticket{to = Id} = Ticket) when is_integer(Id) -> perform(Ticket, none);
go(#ticket{pool = #pool{name = Name}, to = home} = Ticket) ->
    {_, Answer} = Outcome = perform(Ticket, none),
    py_binding:told(Answer, Name),
    Outcome;
go(#ticket{pool = #pool{name = Name}, home = Home} = Ticket) ->
    {Worker, Answer} = perform(Ticket, none),
    heard(Answer, Name),
    is_at_home(Home, Worker, Answer) orelse py_binding:release(Name),
    {Worker, Answer}.

%% The worker that the caller is bound to waits for the caller: what it asks runs within
%% that call, but not a stream, which would outlast it: others can take that.
go_within(_, Depth, #ticket{home = {Worker, _, _}}) when Depth > ?MOST_NESTED ->
    {Worker, {error, {too_deep, ?MOST_NESTED}}};
go_within(Call, _, #ticket{req = #req{kind = job} = Req, home = {Worker, _, _}} = Ticket) ->
    case py_place:ask(Worker, Req#req{bound = true, within = Call}, none) of
        again -> waits(Ticket);
        Answer -> {Worker, Answer}
    end;
go_within(_, _, Ticket) -> go_elsewhere(Ticket).

go_elsewhere(#ticket{home = {_, #pool{size = Size}, _}, to = any} = Ticket) when Size > 1 ->
    perform(Ticket#ticket{home = undefined}, none);
go_elsewhere(Ticket) -> waits(Ticket).

%% It is just starting, or ending, or it is asked for a stream.
waits(#ticket{home = {Worker, #pool{name = Name} = Pool, _}}) ->
    Slots = [{Name, Id} || {Id, Pid, _} <- py_pool_board:workers(Pool), Pid =:= Worker],
    {Worker, {error, {waits, hd(Slots ++ [Name])}}}.

heard({error, timeout}, Name) -> py_binding:heard_timeout(Name);
heard(Answer, Name) when element(1, Answer) =:= reply -> py_binding:heard_more(Name);
heard(_, _) -> ok.

%% Whether the caller is still bound as it was.
is_at_home(undefined, _, _) -> true;
is_at_home(_, _, {error, {worker_exit, _}}) -> false;
is_at_home({Home, _, _}, Worker, _) -> Worker =:= Home.

%% ---------------------------------------------------------------------------
%% Its parts

%% Encodes a request in the process that makes it.
-spec prepare(kind(), py_wire:op(), #opts{}) -> {ok, ticket()} | {error, term()}.
prepare(Kind, Op, #opts{keep = true} = Opts) ->
    ok = py_handles:expect(),
    keeps(prepare(Kind, {keep, Op}, Opts#opts{keep = false}));
prepare(Kind, Op, #opts{pool = {context, _, _}} = Opts) ->
    py_opening:placed(Opts, fun(Placed) -> prepare(Kind, Op, Placed) end);
prepare(Kind, Op, Asked) ->
    IsSmall = py_wire:is_small(Op),
    case where(IsSmall, Op, Asked) of
        #opts{pool = Target} = Opts ->
            What = py_wire:what(Op),
            case open(py_target:pool(Target), What) of
                {ok, Pool} -> encode(IsSmall, Kind, What, Op, Pool, Opts);
                {error, _} = Error -> Error
            end;
        {error, _} = Error -> Error
    end.

encode(IsSmall, Kind, What, Op, Pool, #opts{pool = Target, wire = Wire, recycle = Recycle} = Opts) ->
    Billed = py_worker_bill:asked(Pool, Op, Wire),
    case py_wire:body(IsSmall, Op, Billed) of
        {Arity, Body} ->
            Now = erlang:monotonic_time(microsecond),
            Req = #req{caller = self(), owner = self(), kind = Kind, what = What,
                       arrival = Now, recycle = Recycle, bill = maps:get(bill, Wire, false),
                       threaded = Pool#pool.threads > 1 andalso py_place:is_threaded(Kind, Op, Wire),
                       deadline = deadline(Opts, Pool, Now div 1000), arity = Arity,
                       size = iolist_size(Body), body = py_secret:hide(Body)},
            ticket(Target, Pool, Req);
        iterators -> iterated(Op, Billed, Target, prepare(Kind, py_iter:empty(Op), Opts))
    end.

keeps({ok, #ticket{req = #req{binds = Uses} = Req} = Ticket}) ->
    {ok, Ticket#ticket{req = Req#req{binds = {handle, Uses}}}};
keeps({error, _} = Error) -> Error.

%% An item is had once, so it is for one worker.
iterated(_, _, {_, all} = Target, _) ->
    py_options:badarg(Target, "an iterator is for one worker: pool must be a pool's name or {Pool, Id} here");
iterated(Op, Wire, _, {ok, Ticket}) ->
    {ok, Ticket#ticket{iterated = py_secret:hide({Op, Wire})}};
iterated(_, _, _, {error, _} = Error) -> Error.

%% Starts the iterators of a request, which end with the calling process at the latest:
%% it is the one that waits for the answer.
-spec feed(ticket()) -> {ok, ticket(), [pid()]} | {error, term()}.
feed(#ticket{iterated = none} = Ticket) ->
    {ok, Ticket, []};
feed(#ticket{iterated = Iterated} = Ticket) ->
    {Op, Wire} = py_secret:show(Iterated),
    {Fed, Iterators} = py_iter:start(Op),
    case fill(Fed, infinity, Ticket#ticket{iterated = none}, Wire) of
        {ok, Whole} -> {ok, Whole, Iterators};
        {error, _} = Error -> py_iter:stop(Iterators), Error
    end.

%% They are there until the answer is.
fed(Go, Ticket) ->
    case feed(Ticket) of
        {ok, Fed, Iterators} -> try Go(Fed) after py_iter:stop(Iterators) end;
        {error, _} = Error -> {none, Error}
    end.

%% What is small has no handle in it.
where(true, _, Opts) -> Opts;
where(false, Op, Opts) -> py_handles:place(Op, Opts).

open(Name, What) ->
    case py_pool_board:open(Name) of
        {ok, Pool} -> py_place:check(Pool, What);
        {error, _} = Error -> Error
    end.

%% When a request that is made now has to be answered.
-spec deadline(#opts{}, #pool{}) -> py_time:deadline().
deadline(Opts, Pool) -> deadline(Opts, Pool, py_time:now_ms()).

deadline(#opts{timeout = default}, #pool{timeout = Timeout}, Now) -> py_time:deadline(Timeout, Now);
deadline(#opts{timeout = Timeout}, _, Now) -> py_time:deadline(Timeout, Now).

%% What has no time left is not sent. The tuple and the Id around the body take eight
%% bytes.
ticket(_, _, #req{deadline = Deadline, arrival = Now}) when Deadline =< Now div 1000 ->
    {error, timeout};
ticket(_, #pool{max_frame = Max}, #req{size = Size}) when Size + 8 > Max ->
    too_large(Size, Max);
ticket(Target, #pool{name = Name} = Pool, Req) ->
    Ticket = to(Target, py_binding:home(Name), #ticket{pool = Pool, req = Req}),
    admit(Ticket, py_pool_load:memory_refusal(Pool)).

too_large(Size, Max) ->
    Text = io_lib:format("the request is larger than max_frame (~b > ~b bytes)", [Size + 8, Max]),
    {error, {badarg, iolist_to_binary(Text)}}.

%% When memory is short, a process that is bound to a worker is let through: it may
%% have to free something.
admit(#ticket{home = undefined}, #{} = Memory) -> {error, {overloaded, memory, Memory}};
admit(Ticket, _) -> {ok, Ticket}.

%% A context's or a handle's worker is its request's home, whatever the caller is bound
%% to. A caller that names the worker that it is bound to is at home there. What looks like
%% a handle may come from Python, and name any process: any worker says what is wrong.
to(#py_context{pool = Pool, worker = Worker} = Context, _, #ticket{req = Req} = Ticket) ->
    at_home(Worker, Pool, Ticket#ticket{req = Req#req{binds = uses(Context), context = Context#py_context.id}});
to(#py_handle{at = {Name, Worker}}, Home, #ticket{pool = Pool} = Ticket) ->
    case py_pool_board:may_be_worker(Pool, Worker) of
        true -> at_home(Worker, Pool, Ticket);
        false -> to(Name, Home, Ticket)
    end;
to({_, Id}, {_, _, _} = Home, #ticket{pool = Pool} = Ticket) when is_integer(Id) ->
    case py_pool_board:worker(Pool, Id) of
        [{_, Worker, _}] -> on(Worker, py_binding:home(Worker), Home, Ticket#ticket{to = Id});
        [] -> Ticket#ticket{to = Id}
    end;
to({_, To}, _, Ticket) -> Ticket#ticket{to = To};
to(_, undefined, Ticket) -> Ticket;
to(_, Home, Ticket) -> Ticket#ticket{home = Home}.

at_home(Worker, Pool, Ticket) ->
    Home = case py_binding:home(Worker) of undefined -> {Worker, Pool, false}; Waits -> Waits end,
    Ticket#ticket{to = home, home = Home}.

on(Worker, undefined, {Worker, _, _} = Home, Ticket) -> Ticket#ticket{home = Home, to = any};
on(_, Waits, _, Ticket) -> Ticket#ticket{home = Waits}.

%% Only where it matters.
uses(#py_context{idle = infinity}) -> false;
uses(#py_context{id = Id, owner = Owner}) -> {uses, Id, Owner}.

-spec pool(ticket()) -> #pool{}.
pool(#ticket{pool = Pool}) -> Pool.

%% For a request that any worker may run although its caller is bound, unless it has to
%% run where it is at home.
-spec unbound(ticket()) -> ticket().
unbound(#ticket{to = home} = Ticket) -> Ticket;
unbound(Ticket) -> Ticket#ticket{home = undefined}.

%% For one that is to run on the worker of this slot.
-spec at(pos_integer(), ticket()) -> ticket().
at(Slot, Ticket) -> Ticket#ticket{to = Slot}.

%% For a request whose end nobody hears of.
-spec unheard(ticket()) -> ticket().
unheard(#ticket{req = Req} = Ticket) -> Ticket#ticket{req = Req#req{owner = none}}.

%% For a request of which this place hears `aside' when it is beside others.
-spec aside(py_ask:from(), ticket()) -> ticket().
aside(From, #ticket{req = Req} = Ticket) -> Ticket#ticket{req = Req#req{aside = From}}.

%% For a request that opens a context, which belongs to the calling process then.
-spec opening(pos_integer(), Idle :: timeout(), ticket()) -> ticket().
opening(Id, Idle, #ticket{req = Req} = Ticket) -> Ticket#ticket{req = Req#req{binds = {context, Id, Idle}}}.

%% For one that any worker may run: it goes to this one, and perhaps from there elsewhere.
-spec perform_on(pid(), ticket()) -> outcome().
perform_on(Worker, #ticket{pool = Pool, req = Req}) ->
    py_place:go({go, Worker}, Pool, Req#req{caller = self()}, none).

%% The same in a helper process, whose own death cancels the request.
-spec perform(ticket(), py_ask:watch()) -> outcome().
perform(#ticket{iterated = Iterated} = Ticket, Watch) when Iterated =/= none ->
    fed(fun(Fed) -> perform(Fed, Watch) end, Ticket);
perform(#ticket{pool = Pool, req = Req, to = Id}, Watch) when is_integer(Id) ->
    py_place:at(Id, Pool, named(Req#req{caller = self()}), Watch);
perform(#ticket{home = {_, _, {within, _, _}}, to = home} = Ticket, _) ->
    waits(Ticket);
perform(#ticket{home = {_, _, {within, _, _}}} = Ticket, Watch) ->
    perform(Ticket#ticket{home = undefined}, Watch);
perform(#ticket{pool = Pool, req = Req, home = undefined}, Watch) ->
    py_place:anywhere(Pool, mine(Req), Watch);
perform(#ticket{req = Req, home = {Worker, Home, _}} = Ticket, Watch) ->
    case py_place:ask(Worker, Req#req{caller = self(), bound = true}, Watch) of
        again -> given_back(py_pool_board:why_died(Home, Worker), Ticket, Watch);
        {error, {worker_exit, Why}} -> homeless(Why, false, Ticket, Watch);
        Answer -> {Worker, Answer}
    end.

%% Mostly the process that has made a request also waits for its answer.
mine(#req{caller = Caller} = Req) when Caller =:= self() -> Req;
mine(Req) -> Req#req{caller = self()}.

%% The worker that the caller is bound to has not taken it: because the pool
%% stops, or because the worker has ended.
given_back(Why, #ticket{pool = Pool, home = {Worker, _, _}} = Ticket, Watch) ->
    IsStopping = py_pool_load:is_stopping(Pool),
    case lists:member(Why, [unknown, shutdown]) andalso IsStopping of
        true -> {Worker, py_pool_board:refusal(Pool)};
        false -> homeless(Why, is_told(Ticket), Ticket, Watch)
    end.

%% A stream may have sent its owner a message that says so. This call was not taken.
is_told(#ticket{to = any, req = #req{owner = Owner}, home = {Worker, Home, _}}) ->
    py_pool_board:was_told(Home, Worker, Owner);
is_told(_) -> false.

%% The worker has ended. If that was because of an earlier call of the same
%% process, which has already got `timeout' for it, it does not hear of it again. And
%% this call cannot have started, because that one was running until the end.
homeless(Why, IsTold, #ticket{pool = Pool, req = Req, home = {Worker, Home, HeardTimeout}}, Watch) ->
    case IsTold orelse HeardTimeout andalso py_pool_board:has_ended(Home, Worker, Req#req.owner) of
        true -> py_place:anywhere(Pool, Req#req{caller = self(), returned = true}, Watch);
        false -> {Worker, {error, {worker_exit, Why}}}
    end.

%% ---------------------------------------------------------------------------
%% Calls that any worker may run, alone or together (py_parallel)

%% A ticket for what is not known yet.
-spec blank(#opts{}) -> {ok, ticket()} | {error, term()}.
blank(Opts) ->
    case prepare(job, multicall, Opts) of
        {ok, Ticket} -> {ok, unbound(Ticket)};
        {error, _} = Error -> Error
    end.

%% One for this call, or for these, if they are not too large together. None of them has
%% an iterator, or names a handle.
-spec carry(py_wire:op() | [py_wire:op(), ...], ticket(), #opts{}) -> {ok, ticket()} | {error, term()}.
carry(Ops, #ticket{req = Req} = Ticket, Opts) when is_list(Ops) ->
    Calls = py_multicall:new(Ops),
    Several = Req#req{what = py_multicall:next(Calls), calls = Calls},
    carry(py_multicall:op(Ops), ?WINDOW_BYTES, Ticket#ticket{req = Several}, Opts);
carry(Op, #ticket{pool = Pool, req = Req} = Ticket, #opts{wire = Wire} = Opts) ->
    One = Req#req{what = py_wire:what(Op), threaded = Pool#pool.threads > 1 andalso py_place:is_threaded(job, Op, Wire)},
    carry(Op, infinity, Ticket#ticket{req = One}, Opts).

carry(Op, Most, #ticket{pool = Pool} = Ticket, #opts{wire = Wire}) ->
    fill(Op, Most, Ticket, py_worker_bill:asked(Pool, Op, Wire)).

%% The ticket for this request, if that has no more bytes than a frame and that many.
fill(Op, Most, #ticket{pool = #pool{max_frame = Max}, req = Req} = Ticket, Wire) ->
    {Arity, Body} = py_wire:body(Op, Wire),
    case iolist_size(Body) of
        Size when Size + 8 > Max; Size > Most -> too_large(Size, Max);
        Size -> {ok, Ticket#ticket{req = Req#req{arity = Arity, size = Size, body = py_secret:hide(Body)}}}
    end.

%% Whether it is not refused by now.
-spec is_allowed(py_wire:op(), ticket()) -> boolean().
is_allowed(_, #ticket{pool = #pool{refuses = false}}) -> true;
is_allowed(Op, #ticket{pool = Pool}) -> element(1, py_place:check(Pool, py_wire:what(Op))) =:= ok.

-spec place(ticket(), py_ask:watch()) -> py_place:place() | {error, term()}.
place(#ticket{pool = Pool, req = Req}, Watch) -> py_place:find(Pool, Req#req{caller = self()}, Watch).

%% The place is used, or will not be.
-spec arrived(py_place:place(), ticket()) -> ok.
arrived(Place, #ticket{pool = Pool}) -> py_place:arrived(Place, Pool).

%% What is given back comes here: a process can have one place in the queue.
-spec send(ticket(), pid(), py_ask:from()) -> ok.
send(#ticket{req = Req}, Worker, From) ->
    py_worker:request(Worker, Req#req{caller = self(), reply_to = From}).

%% For what was given back: it has its old place, and its whole time again.
-spec anew(ticket(), #opts{}) -> ticket().
anew(#ticket{pool = Pool, req = Req} = Ticket, Opts) ->
    Ticket#ticket{req = Req#req{returned = true, deadline = deadline(Opts, Pool)}}.
