%% SPDX-License-Identifier: Apache-2.0
%%
%% What has to be run in every worker of a pool before it is ready: the init
%% code, then what exec_all defined, in order, and before them the settings that
%% differ from Python's own: tracing and the garbage collector. Pure.
%%
%% A worker's progress is compared with this until nothing is missing, so a
%% worker that starts while the list grows misses nothing. Each place in it has a
%% number, and later ones have larger numbers. A definition has an id as well: the
%% number of the place where it came first.
%%
%% The same code may be defined again and again, and its text is kept once. What
%% is repeated at once adds nothing. If other code came in between, two of its
%% places are kept, the first and the last: what followed the first one may need
%% its names, and the last one may have set right what others had changed. With
%% that a new worker ends up like the old ones, as long as the code defines names
%% and does not count how often it runs.
-module(py_pool_steps).

-export([new/1, append/2, forget/2, definitions/1, set/2, limits/1, none/0, missing/2, all/1]).
-export_type([steps/0, step/0, done/0, id/0, definition/0]).

%% The most characters of its text that a definition is shown with.
-define(BEGINNING, 60).

-record(place, {
    number :: pos_integer(),
    id :: id() | init,
    code :: code()
}).

-record(steps, {
    places = [] :: [#place{}],
    last = 0 :: non_neg_integer(),              % number
    settings = #{} :: settings()
}).

%% The operation that made each setting what it is.
-type settings() :: #{tracing | collecting | threshold | memory => py_wire:op()}.

-type code() :: py_secret:secret(py_wire:op()).
-type step() :: {code, from(), code()} | py_wire:op().
%% Where code is from: the N-th piece of `init', or what exec_all has defined.
-type from() :: {init, pos_integer()} | {definition, id()}.
-type id() :: pos_integer().
%% As users see one: how it begins, and how many bytes it has.
-type definition() :: #{id := id(), begins := binary(), size := non_neg_integer()}.
-opaque steps() :: #steps{}.
%% What one worker has run: the code up to which number, and which settings.
-opaque done() :: {non_neg_integer(), settings()}.

-spec new([binary()]) -> steps().
new(Init) ->
    lists:foldl(fun(Text, Steps) -> add(init, py_secret:hide({exec, Text}), Steps) end,
                #steps{}, Init).

add(Id, Code, #steps{places = Places, last = Last} = Steps) ->
    Place = #place{number = Last + 1, id = Id, code = Code},
    Steps#steps{places = Places ++ [Place], last = Last + 1}.

-spec append(code(), steps()) -> steps().
append(Code, #steps{places = Places, last = Last} = Steps) ->
    case lists:reverse([Place || Place <- Places, is_same(Code, Place)]) of
        [] -> add(Last + 1, Code, Steps);
        Same -> repeat(Same, lists:last(Places), Steps)
    end.

is_same(Code, #place{code = Known}) ->
    py_secret:show(Code) =:= py_secret:show(Known).

%% Its latest place first. The text is the one that is kept already.
repeat([Latest | _], Latest, Steps) ->
    Steps;
repeat([#place{id = Id, code = Code} = Latest, _ | _], _, #steps{places = Places} = Steps) ->
    add(id(Id, Steps), Code, Steps#steps{places = lists:delete(Latest, Places)});
repeat([#place{id = Id, code = Code}], _, Steps) ->
    add(id(Id, Steps), Code, Steps).

%% What init has as well is a definition of its own.
id(init, #steps{last = Last}) -> Last + 1;
id(Id, _) -> Id.

%% Later workers do not run this definition.
-spec forget(id(), steps()) -> {ok, steps()} | unknown.
forget(Id, #steps{places = Places} = Steps) when is_integer(Id) ->
    case [Place || #place{id = Other} = Place <- Places, Other =/= Id] of
        Places -> unknown;
        Rest -> {ok, Steps#steps{places = Rest}}
    end.

%% What exec_all has defined, in the order in which it came first.
-spec definitions(steps()) -> [definition()].
definitions(#steps{places = Places}) ->
    ById = maps:from_list([{Id, Code} || #place{id = Id, code = Code} <- Places, Id =/= init]),
    [definition(Id, py_secret:show(Code)) || {Id, Code} <- lists:sort(maps:to_list(ById))].

definition(Id, {exec, Text}) ->
    #{id => Id, begins => string:slice(Text, 0, ?BEGINNING), size => byte_size(Text)}.

%% From now on every worker has what this operation sets.
-spec set(py_wire:op(), steps()) -> steps().
set({set_memory, Limits}, #steps{settings = Settings} = Steps) ->
    Steps#steps{settings = Settings#{memory => {set_memory, maps:merge(limits(Steps), Limits)}}};
set(Op, #steps{settings = Settings} = Steps) ->
    Steps#steps{settings = Settings#{setting(Op) => Op}}.

setting(tracemalloc_stop) -> tracing;
setting({tracemalloc_start, _}) -> tracing;
setting(gc_enable) -> collecting;
setting(gc_disable) -> collecting;
setting({gc_threshold, _, _, _}) -> threshold.

%% The limits that were set since the pool was started.
-spec limits(steps()) -> py_os_limit:limits().
limits(#steps{settings = #{memory := {set_memory, Limits}}}) -> Limits;
limits(#steps{}) -> #{}.

%% The progress of a worker that has only just started.
-spec none() -> done().
none() ->
    {0, #{tracing => tracemalloc_stop, collecting => gc_enable}}.

%% The progress of one that has run everything.
-spec all(steps()) -> done().
all(#steps{last = Last, settings = Settings}) ->
    {_, Own} = none(),
    {Last, maps:merge(Own, Settings)}.

-spec missing(done(), steps()) -> [step()].
missing({Last, Has}, #steps{places = Places, settings = Settings}) ->
    lists:append([ops(Op) || {Setting, Op} <- lists:sort(maps:to_list(Settings)),
                             maps:get(Setting, Has, none) =/= Op])
        ++ [{code, from(Place), Code}
            || #place{number = N, code = Code} = Place <- Places, N > Last].

%% The pieces of `init' come first, and stay.
from(#place{number = N, id = init}) -> {init, N};
from(#place{id = Id}) -> {definition, Id}.

ops({set_memory, Limits}) -> py_os_limit:ops(Limits);
ops(Op) -> [Op].
