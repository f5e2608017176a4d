%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc Contexts: names of one's own.
%%
%% A context is a namespace on one worker, beside the worker's `__main__'. Code that
%% runs there, with the option `context', defines its names there and sees no others:
%% ```
%% {ok, C} = py_context:open(),
%% ok = py:exec(<<"total = 0">>, #{context => C}),
%% ok = py:exec(<<"total += 5">>, #{context => C}),
%% {ok, 5} = py:eval(<<"total">>, #{}, #{context => C}),
%% ok = py_context:close(C).
%% '''
%%
%% It belongs to the process that has opened it. When that process ends, or closes
%% the context, the names are dropped. Any process may use it until then. Contexts of one
%% worker share its modules, its memory and its time: they keep names apart, not people.
%%
%% If the worker ends, so do its contexts: `{error, {worker_exit, Why}}'. What uses a
%% context that was closed has the result `{error, {badarg, Text}}'. If the workers have
%% as many contexts as they may, {@link open/1} returns `{error, {overloaded, contexts,
%% Max}}'.
%%
%% A context with a `name' is opened anew when somebody asks for it by that after its worker
%% has ended, with the code of its option `init'.
%% `docs/contexts.md' has more.
-module(py_context).

-export([open/0, open/1, find/1, find/2, close/1, with/1, with/2, vars/1, vars/2]).
-export_type([context/0, options/0]).

-include("py.hrl").

-opaque context() :: #py_context{}.
%% What {@link open/1} returns.
-type options() :: timeout()
                 | #{timeout => timeout(), pool => py:target(), from => context() | atom(),
                     idle => pos_integer(), name => atom(), init => py:code() | [py:code()]}
                 | py:keywords().
%% How long to wait for a worker, and on which one the context is to be: any of the pool
%% `default', of another pool, or `{Pool, Id}'. Or another context, whose names it has,
%% on the same worker: for the same objects, except that its functions see the new
%% context's names. With `idle' the context is closed when it was not used for so many
%% milliseconds, at the latest after twice that time. The code of `init' runs in it before
%% anybody has it; if that fails, there is no context: `{error, {init, N, Reason}}', for the
%% N-th piece. By its `name' others find it ({@link find/1}, and the option `context' of
%% calls); while one of that name is open in the pool, there is no other: `{error,
%% {already_open, Context}}'. `from' may be such a name, too.

%% @equiv open(#{})
-spec open() -> {ok, context()} | {error, term()}.
open() ->
    open(#{}).

%% @doc Opens a context, which belongs to the calling process. It is on the worker that
%% has the fewest contexts, of those that take calls now, and stays there.
-spec open(options()) -> {ok, context()} | {error, term()}.
open(Options) ->
    py_opening:open(Options).

%% @equiv find(default, Name)
-spec find(atom()) -> {ok, context()} | {error, term()}.
find(Name) ->
    find(default, Name).

%% @doc The context that was opened in this pool with the option `name', if it is open:
%% ``{ok, C} = py_context:find(carts)''; else `{error, {no_context, Name}}'. It belongs to
%% whoever has opened it. This does not wait for Python, unless the context's worker has
%% ended: then it is opened anew, and if that cannot be, the error says why.
-spec find(atom(), atom()) -> {ok, context()} | {error, term()}.
find(Pool, Name) when is_atom(Name) ->
    py_opening:find(py_args:pool(Pool), Name);
find(_, Other) ->
    py_options:must_be(Other, "the name", "an atom").

%% @doc Closes a context, whoever has opened it. Its names are dropped once its worker has
%% done what it had to do before. One that has a name is closed even if it was opened anew
%% since. This is harmless if the context is closed already, or
%% its worker gone.
-spec close(context()) -> ok.
close(#py_context{} = Context) ->
    py_opening:close(Context);
close(Other) ->
    not_a_context(Other).

%% @equiv with(#{}, Fun)
-spec with(fun((context()) -> Result)) -> Result | {error, term()}.
with(Fun) ->
    with(#{}, Fun).

%% @doc Opens a context for this function, and closes it however that ends: ``{ok, 3} =
%% py_context:with(fun(C) -> py:eval(<<"1 + 2">>, #{}, #{context => C}) end)''. The result
%% is the function's, or the error because of which there is no context.
-spec with(options(), fun((context()) -> Result)) -> Result | {error, term()}.
with(Options, Fun) when is_function(Fun, 1) ->
    case open(Options) of
        {ok, Context} ->
            try
                Fun(Context)
            after
                close(Context)
            end;
        {error, _} = Error ->
            Error
    end;
with(_, Other) ->
    py_options:must_be(Other, "the function", "a fun with one argument").

%% @equiv vars(Context, infinity)
-spec vars(context()) -> {ok, [map()]} | {error, term()}.
vars(Context) ->
    vars(Context, infinity).

%% @doc The names that code has defined in a context, and how large their objects are,
%% the largest first: ``{ok, [#{name => <<"rows">>, type => <<"list">>, bytes => 4472}]}''.
%% What is in a list, tuple, set or dict counts, up to 100,000 objects for a name; what
%% other objects keep does not, and what two names have in common counts for both.
-spec vars(context(), timeout()) -> {ok, [map()]} | {error, term()}.
vars(#py_context{id = Id} = Context, Timeout) ->
    Opts = #opts{pool = Context, timeout = py_options:timeout(Timeout)},
    case py_request:run({context_vars, Id}, Opts) of
        {ok, Rows} ->
            {ok, [#{name => Name, type => Type, bytes => Bytes}
                  || {Name, Type, Bytes} <- lists:reverse(lists:keysort(3, Rows))]};
        {error, _} = Error ->
            Error
    end;
vars(Other, _) ->
    not_a_context(Other).

-spec not_a_context(term()) -> no_return().
not_a_context(Other) ->
    py_options:must_be(Other, "the context", "what py_context:open has returned").
