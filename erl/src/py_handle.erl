%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc Handles: objects that stay in Python.
%%
%% With the option `return => handle' a call's value does not come: it stays in its
%% worker, and what comes stands for it. Calls of it go to that worker by themselves:
%% ```
%% {ok, Rows} = py:call(collections, deque, [[1, 2]], #{}, #{return => handle}),
%% {ok, none} = py:call(Rows, append, [3]),
%% {ok, 3} = py:call(builtins, len, [Rows]),
%% {ok, [1, 2, 3]} = py_handle:value(Rows),
%% ok = py_handle:release(Rows).
%% '''
%% In the place of a module, a handle stands for the object whose method is called
%% ({@link py:call/5}); {@link py:call/2} calls the object itself. Among arguments, also
%% inside of other terms, it arrives in Python as the object; the first one says where
%% a request runs that names no worker.
%%
%% It belongs to the process that has got it. When that process ends, or releases
%% it, Python forgets the object. Any process of this node may use it until then.
%%
%% If the worker ends, so do its handles: `{error, {worker_exit, Why}}'. What uses one that
%% was released, or one of another worker than where the request runs, has the result
%% `{error, {badarg, Text}}'. `docs/handles.md' has more.
-module(py_handle).

-export([value/1, value/2, get/2, get/3, set/3, set/4, item/2, item/3, set_item/3, set_item/4]).
-export([len/1, repr/1, copy/2, info/1, types/0, types/1, release/1]).
-export_type([handle/0]).

-include("py.hrl").

-opaque handle() :: #py_handle{}.
%% What a call with the option `return => handle' returns.

%% The newest format that all Pythons have.
-define(PICKLE, 5).

%% @equiv value(Handle, #{})
-spec value(handle()) -> py:result().
value(Handle) ->
    value(Handle, #{}).

%% @doc The object as a term, as any other result: ``{ok, #{<<"a">> := 1}} =
%% py_handle:value(Dict)''.
-spec value(handle(), py:options()) -> py:result().
value(Handle, Options) ->
    py_request:run({value, py_args:handle(Handle)}, py_options:single(Options)).

%% @equiv get(Handle, Name, #{})
-spec get(handle(), py:name()) -> py:result().
get(Handle, Name) ->
    get(Handle, Name, #{}).

%% @doc An attribute: ``{ok, [2, 3]} = py_handle:get(Array, shape)''. A dotted path is
%% followed.
-spec get(handle(), py:name(), py:options()) -> py:result().
get(Handle, Name, Options) ->
    py_request:run({attribute, py_args:handle(Handle), py_args:name(Name)},
                   py_options:single(Options)).

%% @equiv set(Handle, Name, Value, #{})
-spec set(handle(), py:name(), term()) -> ok | {error, term()}.
set(Handle, Name, Value) ->
    set(Handle, Name, Value, #{}).

%% @doc Sets an attribute: ``ok = py_handle:set(Model, 'optimizer.rate', 0.1)''.
-spec set(handle(), py:name(), term(), py:options()) -> ok | {error, term()}.
set(Handle, Name, Value, Options) ->
    py_request:run({set_attribute, py_args:handle(Handle), py_args:name(Name), Value},
                   py_options:statement(Options)).

%% @equiv item(Handle, Key, #{})
-spec item(handle(), term()) -> py:result().
item(Handle, Key) ->
    item(Handle, Key, #{}).

%% @doc An item, by its key or index: ``{ok, 3} = py_handle:item(List, -1)''.
-spec item(handle(), term(), py:options()) -> py:result().
item(Handle, Key, Options) ->
    run(operator, getitem, [Handle, Key], py_options:single(Options)).

%% @equiv set_item(Handle, Key, Value, #{})
-spec set_item(handle(), term(), term()) -> ok | {error, term()}.
set_item(Handle, Key, Value) ->
    set_item(Handle, Key, Value, #{}).

%% @doc Sets an item: ``ok = py_handle:set_item(Dict, <<"a">>, 1)''.
-spec set_item(handle(), term(), term(), py:options()) -> ok | {error, term()}.
set_item(Handle, Key, Value, Options) ->
    case run(operator, setitem, [Handle, Key, Value], py_options:statement(Options)) of
        {ok, _} -> ok;
        {error, _} = Error -> Error
    end.

%% @doc How many items it has: ``{ok, 3} = py_handle:len(List)''.
-spec len(handle()) -> {ok, non_neg_integer()} | {error, term()}.
len(Handle) ->
    run(builtins, len, [Handle], #opts{}).

%% @doc How Python shows it: ``{ok, <<"deque([1, 2])">>} = py_handle:repr(Rows)''.
-spec repr(handle()) -> {ok, binary()} | {error, term()}.
repr(Handle) ->
    run(builtins, repr, [Handle], #opts{}).

%% The first argument says where.
run(Module, Function, [Handle | Args], Opts) ->
    py_request:run(py_args:call(Module, Function, [py_args:handle(Handle) | Args], #{}), Opts).

%% @doc A copy of the object on another worker, made by `pickle': ``{ok, Other} =
%% py_handle:copy(Model, {default, 2})''. A pool's name means any of its workers. The copy
%% belongs to the calling process, too.
-spec copy(handle(), py:target()) -> {ok, handle()} | {error, term()} | py:each().
copy(Handle, Target) ->
    py_target:check(Target),
    case run(pickle, dumps, [Handle, ?PICKLE], #opts{}) of
        {ok, Pickled} ->
            py_request:run(py_args:call(pickle, loads, [{bytes, Pickled}], #{}),
                           #opts{pool = Target, keep = true});
        {error, _} = Error ->
            Error
    end.

%% @doc The object's type, and how large it is: ``{ok, #{type := <<"list">>, bytes := 88}} =
%% py_handle:info(List)''. What is in a list, tuple, set or dict counts, up to 100,000
%% objects; what other objects keep does not.
-spec info(handle()) -> {ok, #{type := binary(), bytes := non_neg_integer()}} | {error, term()}.
info(Handle) ->
    py_request:run({describe, py_args:handle(Handle)}, #opts{}).

%% @equiv types(default)
-spec types() -> {ok, [map()]} | {error, term()}.
types() ->
    types(default).

%% @doc What the handles of a pool, or of some of its workers, stand for, by type, those with
%% most bytes first: ``{ok, [#{type := <<"list">>, count := 2, bytes := 176, oldest := 60000}]} =
%% py_handle:types(science)''. The oldest has been kept for so many milliseconds. Each worker is asked in its turn, behind its calls.
-spec types(py:target()) -> {ok, [map()]} | {error, term()} | py:each().
types(Target) ->
    py_mem_census:kept(Target).

%% @doc Lets go of the object, whoever has got the handle. Its worker forgets it once it has
%% done what it had to do before. This is harmless if the handle is released already,
%% or its worker gone.
-spec release(handle()) -> ok.
release(Handle) ->
    #py_handle{number = Number, at = {Name, Worker}, owner = Owner} = py_args:handle(Handle),
    _ = py_pool_board:with_pool(Name, fun(Pool) ->
        py_pool_board:may_be_worker(Pool, Worker) andalso py_worker:let_go(Worker, {handle, Number, Owner})
    end),
    ok.
