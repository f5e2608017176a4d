%% SPDX-License-Identifier: Apache-2.0
%%
%% How long a worker serves: how many calls it takes, how many times a call may run
%% out of memory, who still needs it when another worker has its slot. Pure.
%%
%%   open ── spoilt, threads, calls, memory_errors, heap ──> closed ── retire ──> retiring
%%
%% A closed worker takes nothing from callers who may go elsewhere. `calls' is exact:
%% a call counts once it is taken, and no longer once it was given back.
-module(py_worker_tenure).

-export([new/3, jittered/3, is_open/1, holds/1, patience/4]).
-export([use/1, has_use/2, take/2, given_back/2, ran_out/4, spoil/1, stick/1]).
-export([binds/2, unwanted/2, bind/2, let_go/3, owners/1, contexts/1, open_context/2, is_context/2, is_context/3, handles/1, room/3]).
-export([retire/2, abandon/1, may_end/3]).
-export_type([tenure/0, effect/0, closing/0, bound/0, leaving/0, parting/0]).

-include("py.hrl").

%% The most by which limits are lowered (percent).
-define(JITTER, 10).

%% Contexts or handles that are closed by one request.
-define(TOGETHER, 1000).

-record(tenure, {
    calls = infinity :: pos_integer() | infinity,
    taken = 0 :: non_neg_integer(),     % of them, if there is a limit
    errors = limited :: pos_integer() | limited,  % the last of them closes it
    age = 0 :: non_neg_integer(),
    since :: integer(),
    near = false :: boolean(),          % its successor has been asked for
    closed = no :: no | closing(),
    retiring = no :: no | restarted | recycled,
    abandoned = false :: boolean(),
    held = false :: boolean(),          % has had a call with `recycle => false'
    homes = #{} :: #{pid() => []},      % the processes that are bound to it
    kept = #{} :: #{pid() => #{thing() => idle()}},     % what is open, by owner
    made = #{} :: #{pid() => {pos_integer(), pid()}},   % handles whose owner need not know of
                                        % them yet, by the process that was to tell it
    contexts = 0 :: non_neg_integer(),  % how many of these are contexts,
    handles = 0 :: non_neg_integer(),   % how many handles,
    most :: {pos_integer() | infinity, pos_integer() | infinity}    % and how many there may be
}).

-opaque tenure() :: #tenure{}.

-type context() :: pos_integer().
%% What the program keeps for a process: names, or an object.
-type thing() :: {context, context()} | {handle, pos_integer()}.
%% How long it may be without use (ms), and whether it was used since that began anew.
-type idle() :: infinity | {pos_integer(), WasUsed :: boolean()}.
%% What needs this very worker: a process, or a context or handle of a process.
-type bound() :: {home, pid()} | {context, context(), Owner :: pid(), Idle :: timeout()}
               | {handle, pos_integer(), Owner :: pid(), Caller :: pid()} | {uses, context(), Owner :: pid()}.
%% What does not any more: a process that was bound, a context or handle that is closed, or
%% a context that may have been without use for too long; or whatever belonged to a process
%% that is dead.
-type leaving() :: {home, pid()} | {dead, pid(), Why :: term()} | {context | handle | idle, pos_integer(), Owner :: pid()}.
%% What is to be done then.
-type parting() ::
    %% The program drops these contexts' names, or these objects.
    {close, {context_close | release, [pos_integer(), ...]}}
    %% So many milliseconds later, this may leave.
    | {later, pos_integer(), leaving()}.

%% Why the worker takes nothing more.
-type closing() :: spoilt | threads | calls | memory_errors | heap.

%% What the pool gets to hear.
-type effect() ::
    %% It will soon be closed: its successor should be ready by then.
    prepare
    %% It is closed.
    | {replace, closing()}.

%% Jitter lets workers that began together end apart.
-spec new(map(), Chance :: float(), Now :: integer()) -> tenure().
new(#{recycle := Recycle} = Options, Chance, Now) ->
    #tenure{calls = jittered(maps:get(calls, Recycle, infinity), Recycle, Chance),
            errors = maps:get(memory_errors, Recycle, limited), age = maps:get(age, Recycle, 0), since = Now,
            most = {maps:get(contexts, Options, infinity), maps:get(handles, Options, infinity)}}.

%% A limit, less that part of the jitter; Chance is random, below 1.0.
-spec jittered(pos_integer() | infinity, map(), Chance :: float()) -> pos_integer() | infinity.
jittered(infinity, _, _) -> infinity;
jittered(Limit, Recycle, Chance) ->
    Limit - trunc(Limit * Chance * maps:get(jitter, Recycle, ?JITTER) / 100).

-spec is_open(tenure()) -> boolean().
is_open(#tenure{closed = Closed}) -> Closed =:= no.

%% Whether it may have a call with `recycle => false' in hand.
-spec holds(tenure()) -> boolean().
holds(#tenure{held = Held}) -> Held.

%% ---------------------------------------------------------------------------
%% Calls

%% Whether it may have as many calls more as this multicall has.
-spec has_use(#req{}, tenure()) -> boolean().
has_use(#req{recycle = false}, _) -> true;
has_use(#req{calls = Calls}, #tenure{calls = Most, taken = N}) -> N + py_multicall:count(Calls) =< Most.

%% It has accepted this one.
-spec take(#req{}, tenure()) -> {[effect()], tenure()}.
take(#req{recycle = false}, T) ->
    {[], T#tenure{held = true}};
take(_, #tenure{calls = infinity} = T) ->
    {[], T};
take(#req{calls = none}, #tenure{taken = N} = T) ->
    use(T#tenure{taken = N + 1});
take(#req{calls = Calls}, #tenure{taken = N} = T) ->
    use(T#tenure{taken = N + py_multicall:count(Calls)}).

%% What its use so far calls for, which may be something even before the first call.
-spec use(tenure()) -> {[effect()], tenure()}.
use(#tenure{calls = Calls, taken = N, closed = no} = T) when N >= Calls ->
    {[{replace, calls}], T#tenure{closed = calls, near = true}};
use(#tenure{calls = Calls, taken = N, near = false} = T)
  when is_integer(Calls), N >= Calls - Calls div 10 - 1 ->
    {[prepare], T#tenure{near = true}};
use(T) ->
    {[], T}.

%% It has given this one back, which another worker runs.
-spec given_back(#req{}, tenure()) -> tenure().
given_back(#req{recycle = false}, T) -> T;
given_back(_, #tenure{calls = infinity} = T) -> T;
given_back(#req{calls = Calls}, #tenure{taken = N} = T) ->
    T#tenure{taken = N - py_multicall:count(Calls)}.

%% The program has paused: a job has run into MemoryError, or its heap is nearly full.
%% If the option gives no number, a worker with a limit that Python can run into is
%% replaced after the first, whoever has set the limit.
-spec ran_out(memory_error | heap, IsLimited :: boolean(), #req{} | none, tenure()) ->
          {[effect()], tenure()}.
ran_out(_, _, #req{recycle = false}, T) -> {[], T};
ran_out(heap, _, _, T) -> close(heap, T);
ran_out(memory_error, true, _, #tenure{errors = limited} = T) -> close(memory_errors, T);
ran_out(memory_error, false, _, #tenure{errors = limited} = T) -> {[], T};
ran_out(memory_error, _, _, #tenure{errors = 1} = T) -> close(memory_errors, T);
ran_out(memory_error, _, _, #tenure{errors = N} = T) -> {[], T#tenure{errors = N - 1}}.

%% Its program should not run anything new.
-spec spoil(tenure()) -> {[effect()], tenure()}.
spoil(T) ->
    close(spoilt, T).

%% Its program has threads that do not stop.
-spec stick(tenure()) -> {[effect()], tenure()}.
stick(T) ->
    close(threads, T).

%% A worker that is only used up becomes one that must not run what it has.
close(Why, #tenure{closed = Closed} = T) when Closed =:= no; Closed =:= calls ->
    {[{replace, Why}], T#tenure{closed = Why, near = true}};
close(_, T) ->
    {[], T}.

%% ---------------------------------------------------------------------------
%% Those who need this very worker, and its end

%% What a request binds, now that the program says this. Code that raised may have
%% defined names before that; a context is open or is not.
-spec binds(#req{}, Frame :: binary()) -> [{bind, bound()}].
binds(#req{binds = false}, _) -> [];
binds(#req{binds = {handle, Uses}} = Req, Frame) -> binds(Req#req{binds = Uses}, Frame);
binds(#req{binds = home, owner = Owner}, _) -> [{bind, {home, Owner}}];
binds(#req{binds = {uses, _, _} = Uses}, _) -> [{bind, Uses}];
binds(#req{binds = {context, Id, Idle}, owner = Owner}, Frame) ->
    [{bind, {context, Id, Owner, Idle}} || py_wire:is_ok(Frame)].

%% The same if nobody waits for it any more.
-spec unwanted(#req{}, Frame :: binary()) -> [{bind, bound()} | {let_go, leaving()}].
unwanted(#req{binds = {context, Id, _}, owner = Owner}, _) -> [{let_go, {context, Id, Owner}}];
unwanted(#req{binds = {handle, Uses}} = Req, Frame) -> unwanted(Req#req{binds = Uses}, Frame);
unwanted(#req{binds = Binds, owner = Owner}, Frame) ->
    [{bind, Binds} || is_tuple(Binds)]
        ++ [{let_go, {handle, N, Owner}} || {ok, N} <- [py_wire:handle_number(Frame)]].

-spec bind(bound(), tenure()) -> {[parting()], tenure()}.
bind({home, Pid}, #tenure{homes = Homes} = T) ->
    {[], T#tenure{homes = Homes#{Pid => []}}};
bind({context, Id, Owner, infinity}, T) ->
    {[], opened({context, Id}, Owner, infinity, T)};
bind({context, Id, Owner, Idle}, T) ->
    {[{later, Idle, {idle, Id, Owner}}], opened({context, Id}, Owner, {Idle, false}, T)};
bind({handle, N, Owner, Owner}, T) ->
    {[], opened({handle, N}, Owner, infinity, T)};
bind({handle, N, Owner, Caller}, #tenure{made = Made} = T) ->
    {[], opened({handle, N}, Owner, infinity, T#tenure{made = Made#{Caller => {N, Owner}}})};
bind({uses, Id, Owner}, #tenure{kept = Kept} = T) ->
    Context = {context, Id},
    {[], case Kept of
             #{Owner := #{Context := {Idle, _}} = Own} ->
                 T#tenure{kept = Kept#{Owner := Own#{Context := {Idle, true}}}};
             #{} ->
                 T
         end}.

opened(Thing, Owner, Idle, #tenure{kept = Kept} = T) ->
    Own = maps:get(Owner, Kept, #{}),
    counted(Thing, 1, T#tenure{kept = Kept#{Owner => Own#{Thing => Idle}}}).

counted({context, _}, By, #tenure{contexts = N} = T) -> T#tenure{contexts = N + By};
counted({handle, _}, By, #tenure{handles = N} = T) -> T#tenure{handles = N + By}.

%% The program drops it even if it is not known here that it is open: a context may have
%% been opened for somebody who did not wait. `Uses' says whether something in hand uses a
%% context.
-spec let_go(leaving(), Uses :: fun((context()) -> boolean()), tenure()) ->
          {[parting()], tenure()}.
let_go({home, Pid}, _, #tenure{homes = Homes} = T) ->
    {[], T#tenure{homes = maps:remove(Pid, Homes)}};
let_go({dead, Pid, Why} = Dead, Uses, #tenure{made = Made} = T) when is_map_key(Pid, Made) ->
    {{N, Owner}, Left} = maps:take(Pid, Made),
    {Unheard, Next} = case Why of
                          normal -> {[], T#tenure{made = Left}};
                          _ -> let_go({handle, N, Owner}, Uses, T)
                      end,
    {Partings, Last} = let_go(Dead, Uses, Next),
    {Unheard ++ Partings, Last};
let_go({dead, Pid, _}, _, #tenure{homes = Homes, kept = Kept} = T) ->
    Own = maps:get(Pid, Kept, #{}),
    {together(context_close, [Id || {context, Id} <- maps:keys(Own)])
         ++ together(release, [N || {handle, N} <- maps:keys(Own)]),
     own(Pid, Own, #{}, T#tenure{homes = maps:remove(Pid, Homes)})};
let_go({idle, Id, Owner} = Idle, Uses, #tenure{kept = Kept} = T) ->
    Context = {context, Id},
    case Kept of
        #{Owner := #{Context := {Ms, WasUsed}} = Own} ->
            IsUsed = Uses(Id),
            case IsUsed orelse WasUsed of
                true ->
                    Next = Kept#{Owner := Own#{Context := {Ms, IsUsed}}},
                    {[{later, Ms, Idle}], T#tenure{kept = Next}};
                false ->
                    let_go({context, Id, Owner}, Uses, T)
            end;
        #{} ->
            {[], T}
    end;
let_go({Kind, Id, Owner}, _, #tenure{kept = Kept} = T) ->
    Own = maps:get(Owner, Kept, #{}),
    Closing = case Kind of context -> context_close; handle -> release end,
    Lost = maps:with([{Kind, Id}], Own),
    {[{close, {Closing, [Id]}}], own(Owner, Lost, maps:remove({Kind, Id}, Own), heard_of(Kind, Id, T))}.

%% Nobody has to be told of it any more.
heard_of(handle, N, #tenure{made = Made} = T) when map_size(Made) > 0 ->
    T#tenure{made = maps:filter(fun(_, {Number, _}) -> Number =/= N end, Made)};
heard_of(_, _, T) ->
    T.

%% So many go in one request that others have not to wait for room, but not more than fit
%% into any frame.
together(_, []) -> [];
together(Closing, Ids) when length(Ids) =< ?TOGETHER -> [{close, {Closing, Ids}}];
together(Closing, Ids) ->
    {Some, Rest} = lists:split(?TOGETHER, Ids),
    [{close, {Closing, Some}} | together(Closing, Rest)].

%% The owner has lost these things, and these are left.
own(Owner, Lost, Left, #tenure{kept = Kept} = T) ->
    Next = case map_size(Left) of
               0 -> maps:remove(Owner, Kept);
               _ -> Kept#{Owner => Left}
           end,
    maps:fold(fun(Thing, _, Acc) -> counted(Thing, -1, Acc) end, T#tenure{kept = Next}, Lost).

%% How many contexts are open.
-spec contexts(tenure()) -> non_neg_integer().
contexts(#tenure{contexts = N}) -> N.

%% How many objects have a handle.
-spec handles(tenure()) -> non_neg_integer().
handles(#tenure{handles = N}) -> N.

%% The context that this request uses, if it uses one that is not closed by now.
-spec open_context(#req{}, tenure()) -> context() | none.
open_context(#req{context = none}, _) -> none;
open_context(#req{context = Id}, T) ->
    case is_context(Id, T) of true -> Id; false -> none end.

%% Whether this context is open.
-spec is_context(context(), tenure()) -> boolean().
is_context(Id, #tenure{kept = Kept}) ->
    lists:any(fun(Own) -> is_map_key({context, Id}, Own) end, maps:values(Kept)).

%% Whether it is, and belongs to this process.
-spec is_context(context(), Owner :: pid(), tenure()) -> boolean().
is_context(Id, Owner, #tenure{kept = Kept}) ->
    is_map_key({context, Id}, maps:get(Owner, Kept, #{})).

%% Whether there may be one more; `Coming' says how many are on their way.
-spec room(context | handle, Coming :: fun(() -> non_neg_integer()), tenure()) ->
          true | {full, contexts | handles, pos_integer()}.
room(context, Coming, #tenure{contexts = N, most = {Most, _}}) -> room(contexts, N, Coming, Most);
room(handle, Coming, #tenure{handles = N, most = {_, Most}}) -> room(handles, N, Coming, Most).

room(_, _, _, infinity) -> true;
room(What, N, Coming, Most) -> N + Coming() < Most orelse {full, What, Most}.

%% The processes whose death matters here.
-spec owners(tenure()) -> [pid()].
owners(#tenure{homes = Homes, kept = Kept, made = Made}) ->
    maps:keys(Homes) ++ maps:keys(Kept) ++ maps:keys(Made).

%% How many milliseconds callers that need it have when another worker gets its slot:
%% the pool's `drain'; if it is recycled, at least until it is as old as it may be.
-spec patience(restarted | recycled, non_neg_integer(), Now :: integer(), tenure()) ->
          non_neg_integer().
patience(restarted, Drain, _, _) ->
    Drain;
patience(recycled, Drain, Now, #tenure{since = Since, age = Age}) ->
    max(Drain, Since + Age - Now).

%% Another worker has its slot.
-spec retire(restarted | recycled, tenure()) -> tenure().
retire(Why, #tenure{retiring = no} = T) -> T#tenure{retiring = Why};
retire(_, T) -> T.

%% The time is up for callers that need it.
-spec abandon(tenure()) -> tenure().
abandon(T) ->
    T#tenure{abandoned = true}.

%% Whether it may end, and what callers hear who still have something here. `Done':
%% it has nothing in hand; `Free': nothing that any worker might have run. Such a
%% call has a time limit of its own, which a worker that is recycled respects.
-spec may_end(Done :: boolean(), Free :: boolean(), tenure()) ->
          {true, restarted | recycled} | false.
may_end(_, _, #tenure{retiring = no}) -> false;
may_end(_, _, #tenure{retiring = restarted, abandoned = true}) -> {true, restarted};
may_end(Done, _, #tenure{retiring = restarted}) -> Done andalso {true, restarted};
may_end(_, Free, #tenure{retiring = recycled, abandoned = true}) -> Free andalso {true, recycled};
may_end(Done, _, #tenure{retiring = recycled, homes = Homes, kept = Kept}) ->
    Done andalso map_size(Homes) + map_size(Kept) =:= 0 andalso {true, recycled}.
