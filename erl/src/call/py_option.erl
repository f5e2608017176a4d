%% SPDX-License-Identifier: Apache-2.0
%%
%% Options as tables: a row says an option's name, what it may be, its default
%% and, in one line, what it does. py_options has the table of calls,
%% py_pool_options that of pools. What is given is checked by them here; README's
%% tables and the types of `py' are compared with them by
%% test/unit/options.escript, which also prints README's rows anew. Pure.
-module(py_option).

-export([check/3, defaults/1, map/1, text/1, shown/1, kind/1]).
-export_type([row/0, key/0, values/0, place/0, complaint/0]).

-include("py.hrl").

-type row() :: {Name :: atom(), values(), default(), Doc :: string()}.

%% A key of an option that is a map. Each may be there or not, so it has no default.
-type key() :: {Key :: atom(), values(), Doc :: string()}.

%% What it may be.
-type values() ::
    boolean
    | atom
    | target                % a pool, or workers of it (py_target)
    | context               % what py_context:open has returned, or its name
    | {one_of, [atom()]}
    | {integer, Least :: integer(), Most :: integer() | infinity}
    | {limit, Least :: integer()}   % an integer or infinity
    | share                 % bytes, a part of what there is, or infinity
    | time                  % milliseconds
    | timeout               % milliseconds or infinity
    | text
    | traceparent           % of W3C Trace Context, or undefined
    | directory
    | directories           % one or a list of them
    | patterns              % one or a list of texts with `*' and `?'
    | names                 % pids, all or a list of registered names
    | functions             % registered or a list of {Module, Function}
    | code                  % one text or a list of them
    | environment           % variables: a list, perhaps behind `clear', or a map
    | trims                 % never or a list of rules (py_pool_trim)
    | {map, Name :: atom(), [key()]}    % `py' has a type of that name
    | {switch, Name :: atom(), [key()]}.    % the same, or whether it is on

%% Where a wrong value is: the option, or in it, if it is a map, a key.
-type place() :: atom() | {atom(), place()}.

%% For people: what it may be and what was given, or which options there are.
-type complaint() :: binary().

%% The most characters of a value that an error shows.
-define(SHOWN, 60).

%% A default, perhaps with README's words for it.
-type default() :: {term(), Words :: string()} | term().

%% The value in the one form that everybody else relies on; `wrong' when the
%% option may not have it, or when there is no such option.
-spec check(atom(), term(), [row()] | [key()]) -> {ok, term()} | {wrong, place(), complaint()}.
check(Name, Value, Table) ->
    case lists:keyfind(Name, 1, Table) of
        false -> wrong(Name, "~tp is no option here; there are: ~ts", [Name, names(Table)]);
        Row -> check_value(Name, element(2, Row), Value)
    end.

check_value(Name, Values, Value) ->
    try
        {ok, value(Values, Value)}
    catch
        throw:{wrong, Key, Complaint} ->
            {wrong, {Name, Key}, Complaint};
        error:_ ->
            wrong(Name, "~tp must be ~ts, not ~ts", [Name, expected(Values), came(Values, Value)])
    end.

wrong(Name, Format, Args) ->
    {wrong, Name, unicode:characters_to_binary(io_lib:format(Format, Args))}.

%% What was given instead. Code and what is in the environment may be secret.
came(code, Value) -> ["this ", kind(Value)];
came(environment, Value) -> ["this ", kind(Value), culprit(Value)];
came(_, Value) -> shown(Value).

%% The variable that is wrong, if it has a name. What is behind an `=' is a value.
culprit(Env) when is_map(Env) ->
    culprit(maps:to_list(Env));
culprit([{Name, _} = Variable | Env]) ->
    try variable(Variable) of
        _ -> culprit(Env)
    catch
        error:_ -> named(Name)
    end;
culprit([clear | Env]) -> culprit(Env);
culprit(_) -> "".

named(Name) ->
    try string(Name) of
        Text -> [" (see ", io_lib:format("~0tp", [hd(string:split(Text, "="))]), ")"]
    catch
        error:_ -> ""
    end.

%% No part of the value.
-spec kind(term()) -> string().
kind(Value) when is_list(Value) -> "list";
kind(Value) when is_map(Value) -> "map";
kind(Value) when is_tuple(Value) -> "tuple";
kind(Value) when is_bitstring(Value) -> "binary";
kind(Value) when is_atom(Value) -> "atom";
kind(Value) when is_number(Value) -> "number";
kind(_) -> "term".

%% The beginning of a value, for errors.
-spec shown(term()) -> io_lib:chars().
shown(Value) ->
    io_lib:format("~0tp", [Value], [{chars_limit, ?SHOWN}]).

names(Table) ->
    listed([element(1, Row) || Row <- Table], ", ").

listed(Names, Between) ->
    lists:join(Between, [io_lib:format("~tp", [Name]) || Name <- Names]).

expected(boolean) -> "true or false";
expected(atom) -> "an atom";
expected(target) -> py_target:expected();
expected(context) -> "what py_context:open has returned on this node, or its name";
expected({one_of, Values}) ->
    {Others, [Last]} = lists:split(length(Values) - 1, Values),
    [listed(Others, ", "), " or ", listed([Last], "")];
expected({integer, Least, infinity}) -> io_lib:format("an integer of at least ~b", [Least]);
expected({integer, Least, Most}) -> io_lib:format("an integer from ~b to ~b", [Least, Most]);
expected({limit, Least}) -> [expected({integer, Least, infinity}), ", or infinity"];
expected(share) -> "bytes, {percent, 1..100} or infinity";
expected(time) -> "milliseconds";
expected(timeout) -> "milliseconds or infinity";
expected(text) -> "a text that is not empty and has no NUL (a binary or a string)";
expected(traceparent) -> "a text or undefined";
expected(directory) -> "a directory";
expected(directories) -> "a directory or a list of them";
expected(patterns) -> "a pattern or a list of them";
expected(names) -> "pids, all or a list of names";
expected(functions) -> "registered or a list of {Module, Function}";
expected(code) -> "a text or a list of them";
expected(environment) -> "a map or a list of pairs, which may begin with clear, of names without = and texts or false";
expected(trims) -> "never or a list of idle, {after_growth, Bytes}, {every, Ms}";
expected({switch, _, Keys}) -> ["true, false or a map (which may have ", names(Keys), ")"];
expected({map, _, Keys}) -> ["a map (which may have ", names(Keys), ")"].

%% Names with values, which may also be written as a list of pairs. Of two pairs
%% with the same name the first counts, as in proplists.
-spec map(term()) -> {ok, map()} | wrong.
map(Map) when is_map(Map) ->
    {ok, Map};
map(List) when length(List) >= 0 ->
    case lists:all(fun(Pair) -> is_tuple(Pair) andalso tuple_size(Pair) =:= 2 end, List) of
        true -> {ok, maps:from_list(lists:reverse(List))};
        false -> wrong
    end;
map(_) ->
    wrong.

-spec defaults([row()]) -> #{atom() => term()}.
defaults(Table) ->
    maps:from_list([{Name, default(Default)} || {Name, _, Default, _} <- Table]).

default({Default, _Words}) -> Default;
default(Default) -> Default.

%% ---------------------------------------------------------------------------
%% Values: one that is wrong is any error

value(boolean, Value) when is_boolean(Value) -> Value;
value(atom, Value) when is_atom(Value) -> Value;
value(context, Name) when is_atom(Name) -> Name;
value(context, #py_context{worker = Worker} = Value) when node(Worker) =:= node() -> Value;
value(target, Value) -> true = py_target:is_target(Value), Value;
value({one_of, Values}, Value) -> true = lists:member(Value, Values), Value;
value({integer, Least, Most}, N) when is_integer(N), N >= Least, N =< Most -> N;
value({limit, _}, infinity) -> infinity;
value({limit, Least}, N) -> value({integer, Least, infinity}, N);
value(share, {percent, P}) -> {percent, value({integer, 1, 100}, P)};
value(share, Bytes) -> value({limit, 1}, Bytes);
value(trims, never) -> never;
value(trims, Rules) -> [trim_rule(Rule) || Rule <- Rules];
value(time, N) -> value({integer, 0, ?LONGEST}, N);
value(timeout, infinity) -> infinity;
value(timeout, N) -> value(time, N);
value(text, Text) -> <<_, _/binary>> = system_text(Text);
value(traceparent, undefined) -> undefined;
value(traceparent, Text) -> traceparent(utf8(Text));
value(directory, Dir) -> system_text(Dir);
value(directories, Dirs) -> [system_text(Dir) || Dir <- texts(Dirs)];
value(patterns, Patterns) -> [utf8(Pattern) || Pattern <- texts(Patterns)];
value(names, Names) when Names =:= pids; Names =:= all -> Names;
value(names, Names) -> [Name || Name <- Names, true = is_atom(Name)];
value(functions, registered) -> registered;
value(functions, Functions) -> [function(Function) || Function <- Functions];
value(code, Code) -> [utf8(Part) || Part <- texts(Code)];
value(environment, Env) when is_map(Env) -> value(environment, maps:to_list(Env));
value(environment, [clear | Env]) -> [clear | value(environment, Env)];
value(environment, Env) -> [variable(Variable) || Variable <- Env];
value({switch, _, _}, On) when is_boolean(On) -> On;
value({switch, Name, Keys}, Given) -> value({map, Name, Keys}, Given);
value({map, _, Keys}, Given) ->
    {ok, Map} = map(Given),
    maps:map(fun(Key, Value) -> key(Key, Value, Keys) end, Map).

key(Key, Value, Keys) ->
    case check(Key, Value, Keys) of
        {ok, Checked} -> Checked;
        {wrong, _, _} = Wrong -> throw(Wrong)
    end.

%% One text, or a list of them. A list with a character in it is one text.
texts([]) -> [];
texts(Text) when is_binary(Text) -> [Text];
texts(List) when is_list(List) ->
    case lists:any(fun is_integer/1, List) of
        true -> [List];
        false -> List
    end.

function({M, F}) when is_atom(M), is_atom(F) -> {M, F}.

%% In the form of its first version. One that is not valid comes from somebody else, and
%% is to be ignored.
traceparent(<<Version:2/binary, $-, Trace:32/binary, $-, Span:16/binary, $-, Flags:2/binary,
              More/binary>>) ->
    IsValid = lists:all(fun is_hex/1, [Version, Trace, Span, Flags])
        andalso Version =/= <<"ff">> andalso not is_zero(Trace) andalso not is_zero(Span)
        andalso (More =:= <<>> orelse Version =/= <<"00">> andalso binary:first(More) =:= $-),
    case IsValid of
        true -> <<"00-", Trace/binary, $-, Span/binary, $-, Flags/binary>>;
        false -> undefined
    end;
traceparent(_) ->
    undefined.

is_hex(Text) ->
    lists:all(fun(C) -> C >= $0 andalso C =< $9 orelse C >= $a andalso C =< $f end,
              binary_to_list(Text)).

is_zero(Text) ->
    binary_to_integer(Text, 16) =:= 0.

trim_rule(idle) -> idle;
trim_rule({after_growth, Bytes}) -> {after_growth, value({integer, 1, infinity}, Bytes)};
trim_rule({every, Ms}) -> {every, value({integer, 1, ?LONGEST}, Ms)}.

variable({Name, false}) -> {variable_name(Name), false};
variable({Name, Value}) -> {variable_name(Name), string(Value)}.

%% The system would take only what is before the `='.
variable_name(Name) ->
    [_ | _] = String = string(Name),
    false = lists:member($=, String),
    String.

string(Name) when is_atom(Name) -> string(atom_to_binary(Name));
string(Text) -> unicode:characters_to_list(system_text(Text)).

%% A text for the operating system, for which a NUL is its end.
system_text(Chardata) ->
    Text = utf8(Chardata),
    nomatch = binary:match(Text, <<0>>),
    Text.

utf8(Chardata) ->
    {ok, Text} = text(Chardata),
    Text.

%% Any chardata as UTF-8.
-spec text(term()) -> {ok, binary()} | wrong.
text(Chardata) ->
    try unicode:characters_to_binary(Chardata) of
        Text when is_binary(Text) -> {ok, Text};
        _ -> wrong
    catch
        error:badarg -> wrong
    end.
