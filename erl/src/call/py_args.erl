%% SPDX-License-Identifier: Apache-2.0
%%
%% Requests as terms, made from what the user gave. What cannot be a request raises
%% error:badarg in the calling process. Pure.
-module(py_args).

-export([call/4, calls/1, eval/2, exec/1, exec/2, source/1, handle/1, name/1, gc/1, tracemalloc_start/1]).
-export([memory_stats/1, gc_threshold/1, history/1, what/1, pool/1, definition/1]).
-export([traced/1, profile/1, census/1, referrers/2, top/1, leak_test/1]).
-export([function_name/1, new_function_name/1, function/1, registration/1, channel/1]).

-import(py_options, [text/1, must_be/3, badarg/2]).

-include("py.hrl").

-spec call(term(), term(), term(), term()) -> py_wire:op().
call(#py_handle{} = Handle, Method, Args, Kwargs) ->
    {method, handle(Handle), name(Method), args(Args), names(Kwargs, "the keyword arguments")};
call(Module, Function, Args, Kwargs) ->
    {call, name(Module), name(Function), args(Args), names(Kwargs, "the keyword arguments")}.

%% A list of {M, F, Args} and {M, F, Args, Kwargs}.
-spec calls(term()) -> [py_wire:op()].
calls(Calls) ->
    lists:map(fun mfa/1, args(Calls)).

mfa({M, F, Args}) -> call(M, F, Args, #{});
mfa({M, F, Args, Kwargs}) -> call(M, F, Args, Kwargs);
mfa(Other) -> must_be(Other, "a call", "{Module, Function, Args} or {Module, Function, Args, Kwargs}").

-spec eval(term(), term()) -> py_wire:op().
eval(Code, Locals) ->
    {eval, text(Code), names(Locals, "the locals")}.

-spec exec(term()) -> py_wire:op().
exec(Code) ->
    {exec, text(Code)}.

-spec exec(term(), term()) -> py_wire:op().
exec(Code, Locals) ->
    case names(Locals, "the locals") of
        None when map_size(None) =:= 0 -> exec(Code);
        Names -> {exec, text(Code), Names}
    end.

%% Where a stream's items come from.
-spec source(term()) -> py_wire:op().
source(#py_handle{} = Handle) -> {stream, {value, handle(Handle)}};
source({eval, Code, Locals}) -> {stream, eval(Code, Locals)};
source({_, _, _} = Mfa) -> {stream, mfa(Mfa)};
source({_, _, _, _} = Mfa) -> {stream, mfa(Mfa)};
source(Code) -> {stream, eval(Code, #{})}.

%% An object that is kept in Python.
-spec handle(term()) -> #py_handle{}.
handle(Given) ->
    py_handles:is_handle(Given)
        orelse must_be(Given, "the handle", "what a call with return => handle has returned on this node"),
    Given.

%% What gc takes, a generation or options, as its options, complete.
-spec gc(term()) -> #{generation := 0..2, trim := boolean()}.
gc(Generation) when is_integer(Generation), Generation >= 0, Generation =< 2 ->
    gc(#{generation => Generation});
gc(Given) ->
    py_option:map(Given) =/= wrong
        orelse must_be(Given, "the argument", "a generation (0, 1 or 2) or a map of options"),
    options(Given, [{generation, {integer, 0, 2}, 2, "with the younger ones"},
                    {trim, boolean, false, "whether free memory is given back"}]).

%% What was asked for, as errors name it.
-spec what(term()) -> py_wire:what().
what({Module, Function, Arity}) when is_integer(Arity), Arity >= 0 ->
    {name(Module), name(Function), Arity};
what(Operation) when is_atom(Operation) ->
    Operation;
what(Other) ->
    must_be(Other, "the argument", "{Module, Function, Arity} or an operation").

-spec tracemalloc_start(term()) -> py_wire:op().
tracemalloc_start(NFrame) when is_integer(NFrame), NFrame > 0, NFrame =< 65535 ->
    {tracemalloc_start, NFrame};
tracemalloc_start(Other) ->
    must_be(Other, "the number of frames", "an integer from 1 to 65535").

-spec gc_threshold(term()) -> py_wire:op().
gc_threshold({N0, N1, N2} = Counts) ->
    lists:all(fun is_threshold/1, tuple_to_list(Counts))
        orelse no_threshold(Counts),
    {gc_threshold, N0, N1, N2};
gc_threshold(Other) ->
    no_threshold(Other).

is_threshold(N) -> is_integer(N) andalso N >= 0 andalso N < 1 bsl 31.

-spec no_threshold(term()) -> no_return().
no_threshold(Other) ->
    must_be(Other, "the thresholds", "{N0, N1, N2}, numbers of objects below 2 to the power of 31").

%% The options of memory_stats, complete.
-spec memory_stats(term()) -> #{detail := boolean()}.
memory_stats(Options) ->
    options(Options, [{detail, boolean, false, "whether there is what takes long"}]).

%% The options of py_mem:history, complete.
-spec history(term()) -> #{last := timeout()}.
history(Options) ->
    options(Options, [{last, timeout, infinity, "only samples that are not older"}]).

%% Where only a whole pool makes sense.
-spec pool(term()) -> atom().
pool(Name) when is_atom(Name) -> Name;
pool(Other) -> must_be(Other, "a pool's name", "an atom").

%% The id of a definition.
-spec definition(term()) -> pos_integer().
definition(Id) when is_integer(Id), Id > 0 -> Id;
definition(Other) -> must_be(Other, "the id of a definition", "a positive integer").

%% The options of py_mem:traced and diff, complete.
-spec traced(term()) -> py_mem_sites:options().
traced(Options) ->
    options(Options, [{by, {one_of, [line, file, traceback]}, line, "what is summed up"},
                      {top, {integer, 1, 100_000}, 10, "how many there are at most"},
                      {include, patterns, ["*"], "only files like these"},
                      {exclude, patterns, [], "no files like these"}]).

%% The options of py_profile:heap, complete.
-spec profile(term()) -> #{by := line | file | traceback, top := pos_integer(),
                           since := start | mark}.
profile(Options) ->
    options(Options, [{by, {one_of, [line, file, traceback]}, line, "what is summed up"},
                      {top, {integer, 1, 100_000}, 10, "how many there are at most"},
                      {since, {one_of, [start, mark]}, start, "what was allocated since then"}]).

%% The options of py_mem:objects, growth and top, complete.
-spec census(term()) -> #{top := pos_integer()}.
census(Options) ->
    options(Options, [{top, {integer, 1, 100_000}, 10, "how many there are at most"}]).

%% The options of py_mem:leak_test, complete.
-spec leak_test(term()) -> py_mem_leak:options().
leak_test(Options) ->
    options(Options, [{pool, atom, default, "whose workers its own is like"},
                      {runs, {integer, 8, 1_000_000}, 1000, "calls that are measured"},
                      {warmup, {integer, 0, 1_000_000}, 100, "calls before"}]).

%% By what py_mem:top orders.
-spec top(term()) -> memory | time | calls.
top(By) when By =:= memory; By =:= time; By =:= calls -> By;
top(Other) -> must_be(Other, "the order", "memory, time or calls").

%% What py_mem:referrers looks for.
-spec referrers(term(), term()) -> py_wire:op().
referrers(Type, Options) ->
    #{sample := N} = options(Options, [{sample, {integer, 1, 100}, 10, "how many are looked at"}]),
    {referrers, name(Type), N}.

%% The name of a function that Python may call.
-spec function_name(term()) -> py_talk_functions:name().
function_name(Name) when is_atom(Name) -> atom_to_binary(Name);
function_name(Name) -> text(Name).

%% The same for one that is to be registered.
-spec new_function_name(term()) -> py_talk_functions:name().
new_function_name(Given) ->
    Name = function_name(Given),
    case Name =:= <<>> orelse py_talk_functions:is_reserved(Name) of
        true -> badarg(Given, ["the package erlang has ", py_option:shown(Given), " itself, and all "
                               "names that begin with _"]);
        false -> Name
    end.

-spec function(term()) -> py_talk_functions:callable().
function(Fun) when is_function(Fun) -> Fun;
function({M, F}) when is_atom(M), is_atom(F) -> {M, F};
function(Other) -> must_be(Other, "the function", "a fun or {Module, Function}").

%% The options of register_function, complete.
-spec registration(term()) -> #{pool := atom(), timeout := timeout()}.
registration(Options) ->
    options(Options, [{pool, atom, undefined, "the only one whose workers may call it"},
                      {timeout, timeout, infinity, "how long a call may take"}]).

%% The options of py_channel:new, complete.
-spec channel(term()) -> #{size := pos_integer()}.
channel(Options) ->
    options(Options, [{size, {integer, 1, 1_000_000}, 100, "how many messages are ahead at most"}]).

%% ---------------------------------------------------------------------------

options(Given, Table) ->
    case py_option:map(Given) of
        {ok, Options} ->
            maps:map(fun(Name, Value) -> option(Name, Value, Options, Table) end,
                     maps:merge(py_option:defaults(Table), Options));
        wrong ->
            must_be(Given, "the options", "a map")
    end.

option(Name, Value, Options, Table) ->
    case py_option:check(Name, Value, Table) of
        {ok, Checked} -> Checked;
        {wrong, _, Complaint} -> badarg(Options, Complaint)
    end.

-spec name(term()) -> atom() | binary().
name(Name) when is_atom(Name) -> Name;
name(Name) -> text(Name).

args(Args) when length(Args) >= 0 -> Args;
args(Other) -> must_be(Other, "the arguments", "a proper list").

%% The program checks the names in it. A timeout here was meant to be the options.
names(Given, What) ->
    case py_option:map(Given) of
        {ok, Map} ->
            Map;
        wrong ->
            badarg(Given, [What, " must be a map or a list of pairs, not ", py_option:shown(Given),
                           "; options, or a timeout, are the argument after them"])
    end.
