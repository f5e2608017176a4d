%% SPDX-License-Identifier: Apache-2.0
%%
%% The last argument of a call: a timeout or a map of options, checked and
%% brought to one form. Also the error for any argument that makes no sense. Pure.
-module(py_options).

-export([table/0, call/1, single/1, statement/1, uncaptured/1, opening/1, spread/1, plain/1]).
-export([context/1, timeout/1]).
-export([text/1, must_be/3, badarg/2, elsewhere/3, format_error/2]).

-include("py.hrl").
-include("py_protocol.hrl").

%% What a call's map may have. README's table is made of it (py_option).
-spec table() -> [py_option:row()].
table() ->
    calls() ++
    [{deliver, {one_of, [pull, message]}, pull,
      "for `stream_open`: whether its items come when `stream_next` asks for them, or "
      "[as messages](docs/operation.md#streams-that-push)"}].

%% What those of every function may have.
calls() ->
    code_and_values() ++ around().

code_and_values() ->
    [{timeout, timeout, {default, "the pool's"},
      "how long until `{error, timeout}`; for a stream: how long each wait for more items may be"},
     {pool, target, default,
      "where it runs: on a worker of this pool, [on that one or on each](docs/operation.md#targets)"},
     {traceback, boolean, false,
      "whether an exception comes with a map of [what Python knows of it]"
      "(docs/types.md#exceptions)"},
     {none, atom, none,
      "what Python's `None` becomes"},
     {binaries, {one_of, [str, bytes]}, str,
      "what a binary becomes in Python"},
     {arrays, {one_of, [list, binary]}, list,
      "what a numpy array becomes: nested lists, or `{ndarray, Dtype, Shape, Bytes}`"},
     {context, context, {undefined, "none"},
      "[a context](docs/contexts.md), or [the name](docs/contexts.md#names) that it has in the pool: where "
      "the code's names are, instead of its worker's `__main__`; it also says on which worker that is"},
     {filename, text, {undefined, "one of its own"},
      "what Python calls the code's file, in tracebacks for example; for `eval`, `exec` and streams"},
     {line, {integer, 1, ?MOST_LINE}, 1,
      "the line of that file at which the code begins"},
     {tags, {one_of, [false, in, true]}, in,
      "whether [tagged tuples](docs/types.md#tagged-tuples) stand for dates, arrays and their like: "
      "in arguments, and with `true` also in results, instead of text"},
     {frames, {one_of, [records, columns, arrays]}, records,
      "what a table of pandas or pyarrow becomes: maps for its rows, or a map of its columns, as "
      "lists or as `{ndarray, Dtype, Shape, Bytes}`"}].

around() ->
    [{capture, boolean, false,
      "whether [what it prints](docs/operation.md#logs) comes with the result; "
      "for `call`, `eval`, `exec` and `spawn_call`"},
     {bill, boolean, false,
      "whether [what it has cost](docs/memory.md#what-calls-cost) comes with the result; "
      "for `call`, `eval`, `exec` and `spawn_call`"},
     {return, {one_of, [value, handle]}, value,
      "whether its value comes, or [a handle](docs/handles.md) of an object that stays in Python"},
     {recycle, boolean, true,
      "whether it counts when the pool's workers are [recycled](docs/recycling.md); with `false` its "
      "worker's limits are not looked at while it runs"},
     {traceparent, traceparent, {undefined, "none"},
      "the trace that [spans](docs/watching.md#spans) in Python go on in, as in HTTP's header of that "
      "name; what is not valid is ignored"},
     {chunk, {integer, 1, ?MOST_CHUNK}, ?DEFAULT_CHUNK,
      "the most items that a stream sends at a time; of `parallel`: how many calls go to a worker "
      "[together](docs/operation.md#many-small-calls), 1 if it is not given"}].

%% ---------------------------------------------------------------------------

%% A timeout, a map or a list of pairs; anything else raises error:badarg.
-spec call(term()) -> #opts{}.
call(Given) ->
    options(Given, calls(), fun before/1).

options(Given, Table, Elsewhere) ->
    case py_option:map(Given) of
        {ok, Map} ->
            Add = fun(Name, Value, Opts) ->
                case py_option:check(Name, Value, Table) of
                    {ok, Checked} -> set(Name, Checked, Opts);
                    {wrong, _, Complaint} -> badarg(Map, [Complaint, Elsewhere(Name)])
                end
            end,
            Opts = maps:fold(Add, #opts{}, Map),
            case Map of
                #{context := Context} -> at(Context, Opts, Map);
                #{from := Context} -> at(Context, Opts, Map);
                #{} -> Opts
            end;
        wrong ->
            #opts{timeout = timeout(Given, "the options",
                                    "milliseconds, infinity, a map or a list of pairs")}
    end.

%% A context has its own worker, so what `pool' says has to agree, or else says where the
%% context of a name is.
at(#py_context{pool = #pool{name = Own}}, #opts{pool = Other, said = true}, Map) when Other =/= Own ->
    badarg(Map, elsewhere("context", Own, Other));
at(#py_context{} = Context, Opts, _) ->
    Opts#opts{pool = Context};
at(Name, #opts{pool = Pool} = Opts, _) when is_atom(Pool) ->
    Opts#opts{pool = {context, Pool, Name}};
at(_, _, Map) ->
    badarg(Map, "beside the name of a context, pool must be a pool's name").

%% Why that cannot be used where the caller wants the request to run.
-spec elsewhere(What :: string(), Own :: atom(), Said :: py_target:target()) -> binary().
elsewhere(What, Own, Said) ->
    unicode:characters_to_binary(io_lib:format("the ~s is in the pool ~tp, but pool is ~tp", [What, Own, Said])).

%% Where a name may belong that is no option of any call.
before(Name) ->
    case lists:keymember(Name, 1, table()) of
        true -> "";
        false -> "; locals and keyword arguments come before the options"
    end.

%% The program itself understands all others.
set(return, What, Opts) -> Opts#opts{keep = What =:= handle};
set(timeout, Timeout, Opts) -> Opts#opts{timeout = Timeout};
set(pool, Target, Opts) -> Opts#opts{pool = Target, said = true};
set(context, #py_context{id = Id}, #opts{wire = Wire} = Opts) -> Opts#opts{wire = Wire#{context => Id}};
set(from, _, Opts) -> Opts;
set(recycle, Counts, Opts) -> Opts#opts{recycle = Counts};
set(traceparent, undefined, Opts) -> Opts;
set(Name, Value, #opts{wire = Wire} = Opts) -> Opts#opts{wire = Wire#{Name => Value}}.

%% The options of a function that has one result.
-spec single(term()) -> #opts{}.
single(Options) ->
    one(call(Options), Options).

%% The options of a function that has no value.
-spec statement(term()) -> #opts{}.
statement(Options) ->
    without([return], calls(), Options).

%% The same for one that can return neither what Python prints nor a bill.
-spec uncaptured(term()) -> #opts{}.
uncaptured(Options) ->
    one(without([capture, bill, return], calls(), Options), Options).

%% The same for one that opens a stream; and how its items come.
-spec opening(term()) -> {pull | message, #opts{}}.
opening(Options) ->
    #opts{wire = Wire} = Opts =
        one(without([capture, bill, return], table(), Options), Options),
    {maps:get(deliver, Wire, pull), Opts#opts{wire = maps:remove(deliver, Wire)}}.

%% The options of a function that uses all workers of a pool.
-spec spread(term()) -> #opts{}.
spread(Options) ->
    whole(one(without([capture, bill], calls(), Options), Options), Options).

without(Names, Table, Options) ->
    Rows = [Row || {Name, _, _, _} = Row <- Table, not lists:member(Name, Names)],
    options(Options, Rows, fun before/1).

%% The options of a function that runs in every worker.
-spec plain(term()) -> #opts{}.
plain(Options) ->
    whole(options(Options, places(), fun(_) -> "" end), Options).

%% The options of a function that opens a context: where, and what else is said of it. A
%% context that is copied says where.
-spec context(term()) -> {#{idle => pos_integer(), name => atom(), init => [binary()]}, #opts{}}.
context(Options) ->
    Table = [{from, context, undefined, "a context whose names it has"},
             {idle, {integer, 1, ?LONGEST}, infinity, "how long it may be without use"},
             {name, atom, none, "by which others find it"},
             {init, code, [], "what is run in it first"} | places()],
    #opts{wire = Wire} = Opts = one(options(Options, Table, fun(_) -> "" end), Options),
    {Wire, Opts#opts{wire = #{}}}.

%% Where it runs, and for how long.
places() ->
    [Row || {Name, _, _, _} = Row <- calls(), Name =:= timeout orelse Name =:= pool].

one(#opts{pool = {_, all}}, Options) -> badarg(Options, "pool must be a pool's name or {Pool, Id} here");
one(Opts, _) -> Opts.

whole(#opts{wire = #{context := _}}, Options) ->
    badarg(Options, "context has no meaning here: this is for all workers");
whole(#opts{pool = Name} = Opts, _) when is_atom(Name) -> Opts;
whole(_, Options) -> badarg(Options, "pool must be a pool's name here").

%% A timeout and nothing else.
-spec timeout(term()) -> timeout().
timeout(Value) ->
    timeout(Value, "a timeout", "milliseconds or infinity").

timeout(Value, What, Expected) ->
    case py_option:check(timeout, Value, calls()) of
        {ok, Timeout} -> Timeout;
        {wrong, _, _} -> must_be(Value, What, Expected)
    end.

%% ---------------------------------------------------------------------------
%% Texts and misuse

%% Any chardata as UTF-8; anything else raises error:badarg.
-spec text(unicode:chardata()) -> binary().
text(Chardata) when is_binary(Chardata); is_list(Chardata) ->
    case py_option:text(Chardata) of
        {ok, Text} -> Text;
        wrong -> badarg(Chardata, "a text must be UTF-8, or a list of code points")
    end;
text(Other) ->
    must_be(Other, "a text", "a binary or a string").

%% Raises the error for an argument that is not what it has to be.
-spec must_be(term(), What :: string(), Expected :: unicode:chardata()) -> no_return().
must_be(Value, What, Expected) ->
    badarg(Value, [What, " must be ", Expected, ", not ", py_option:shown(Value)]).

%% Raises the error for an argument that makes no sense; the text says why.
-spec badarg(term(), unicode:chardata()) -> no_return().
badarg(Value, Text) ->
    Cause = unicode:characters_to_binary(Text),
    erlang:error(badarg, [Value, Cause], [{error_info, #{cause => Cause}}]).

%% What the shell shows below a badarg (EEP 54).
-spec format_error(term(), [tuple()]) -> #{general => binary()}.
format_error(_Reason, [{_, _, _, Info} | _]) ->
    case proplists:get_value(error_info, Info, #{}) of
        #{cause := Text} -> #{general => Text};
        _ -> #{}
    end.
