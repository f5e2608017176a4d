%% SPDX-License-Identifier: Apache-2.0
%%
%% What has to be run in every worker of a pool before it is ready: the init
%% code, then what exec_all defined, in order, and before them the settings that
%% differ from Python's own: tracing and the garbage collector. Pure.
%%
%% The code of init_once comes before all that, in one worker. While it has to be run
%% there is nothing else to run, and once it has been run it is not here any more.
%%
%% A worker's progress is compared with this until nothing is missing, so a
%% worker that starts while the list grows misses nothing. Each place in it has a
%% number, and later ones have larger numbers. A definition has an id as well: the
%% number of the place where it came first.
%%
%% The same code may be defined again and again, and its text is kept once. If it
%% comes twice in a row, the second adds nothing. If other code came in between, two
%% of its places are kept, the first and the last: what followed the first one may need
%% its names, and the last one may have set right what others had changed. With
%% that a new worker ends up like the old ones, as long as the code defines names
%% and does not count how often it runs.
-module(py_pool_steps).

-export([new/1, new/2, is_once_due/1, ran_once/1]).
-export([append/2, forget/2, definitions/1, code/1, set/2, limits/1, none/0, missing/2, all/1]).
-export_type([steps/0, step/0, done/0, id/0, definition/0]).

%% The most characters of its text that a definition is shown with.
-define(BEGINNING, 60).

-record(place, {
    number :: pos_integer(),
    id :: id() | piece(),
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
%% Where code comes from: the N-th piece of an option, or what exec_all has defined.
-type from() :: piece() | {definition, id()}.
-type piece() :: {init_once | init, pos_integer()}.
-type id() :: pos_integer().
%% A definition as users see it: how it begins, and how many bytes it has.
-type definition() :: #{id := id(), begins := binary(), size := non_neg_integer()}.
-opaque steps() :: #steps{}.
%% What one worker has run: the code up to which number, and which settings.
-opaque done() :: {non_neg_integer(), settings()}.

-spec new([binary()]) -> steps().
new(Init) ->
    new([], Init).

-spec new(Once :: [binary()], Init :: [binary()]) -> steps().
new(Once, Init) ->
    lists:foldl(fun({Id, Text}, Steps) -> add(Id, py_secret:hide({exec, Text}), Steps) end,
                #steps{}, pieces(init_once, Once) ++ pieces(init, Init)).

pieces(Option, Texts) ->
    [{{Option, N}, Text} || {N, Text} <- lists:enumerate(Texts)].

%% Whether init_once has still to be run.
-spec is_once_due(steps()) -> boolean().
is_once_due(#steps{places = Places}) ->
    lists:any(fun is_once/1, Places).

is_once(#place{id = {init_once, _}}) -> true;
is_once(#place{}) -> false.

-spec ran_once(steps()) -> steps().
ran_once(#steps{places = Places} = Steps) ->
    Steps#steps{places = [Place || Place <- Places, not is_once(Place)]}.

add(Id, Code, #steps{places = Places, last = Last} = Steps) ->
    Place = #place{number = Last + 1, id = Id, code = Code},
    Steps#steps{places = Places ++ [Place], last = Last + 1}.

-spec append(code(), steps()) -> steps().
append(Code, #steps{places = Places, last = Last} = Steps) ->
    case lists:reverse([Place || Place <- Places, is_same(Code, Place)]) of
        [] -> add(Last + 1, Code, Steps);
        Same -> repeat(Same, lists:last(Places), Steps)
    end.

is_same(Code, #place{code = Known} = Place) ->
    not is_once(Place) andalso py_secret:show(Code) =:= py_secret:show(Known).

%% Its latest place first. The text is the one that is kept already.
repeat([Latest | _], Latest, Steps) ->
    Steps;
repeat([#place{id = Id, code = Code} = Latest, _ | _], _, #steps{places = Places} = Steps) ->
    add(id(Id, Steps), Code, Steps#steps{places = lists:delete(Latest, Places)});
repeat([#place{id = Id, code = Code}], _, Steps) ->
    add(id(Id, Steps), Code, Steps).

%% If init has the same text, this is still a definition of its own.
id({init, _}, #steps{last = Last}) -> Last + 1;
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
    ById = maps:from_list([{Id, Code} || #place{id = Id, code = Code} <- Places, is_integer(Id)]),
    [definition(Id, py_secret:show(Code)) || {Id, Code} <- lists:sort(maps:to_list(ById))].

definition(Id, {exec, Text}) ->
    #{id => Id, begins => string:slice(Text, 0, ?BEGINNING), size => byte_size(Text)}.

%% All code that a new worker runs, in order.
-spec code(steps()) -> [binary()].
code(#steps{places = Places}) ->
    [Text || #place{code = Code} <- Places, {exec, Text} <- [py_secret:show(Code)]].

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

%% The progress of one that has run everything that there is to run now.
-spec all(steps()) -> done().
all(#steps{settings = Settings} = Steps) ->
    {_, Own} = none(),
    {last(Steps), maps:merge(Own, Settings)}.

%% Those of init_once have the smallest numbers.
last(#steps{last = Last} = Steps) ->
    case is_once_due(Steps) of
        true -> length(due(Steps));
        false -> Last
    end.

due(#steps{places = Places} = Steps) ->
    case is_once_due(Steps) of
        true -> lists:filter(fun is_once/1, Places);
        false -> Places
    end.

-spec missing(done(), steps()) -> [step()].
missing({Last, Has}, #steps{settings = Settings} = Steps) ->
    lists:append([ops(Op) || {Setting, Op} <- lists:sort(maps:to_list(Settings)),
                             maps:get(Setting, Has, none) =/= Op])
        ++ [{code, from(Place), Code}
            || #place{number = N, code = Code} = Place <- due(Steps), N > Last].

from(#place{id = Id}) when is_integer(Id) -> {definition, Id};
from(#place{id = Piece}) -> Piece.

ops({set_memory, Limits}) -> py_os_limit:ops(Limits);
ops(Op) -> [Op].
