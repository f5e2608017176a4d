%% SPDX-License-Identifier: Apache-2.0
%%
%% Options: what a call's last argument and a pool's map may have, checked and
%% brought to one form. Pure. One row or clause an option.
-module(py_options).

-export([call/1, uncaptured/1, plain/1, timeout/1, pool/1, environment/1]).
-export([text/1, badarg/2, format_error/2]).
-export_type([pool/0]).

-include("py.hrl").

-define(DEFAULT_TIMEOUT, 30_000).
-define(DEFAULT_MAX_QUEUE, 10_000).
-define(DEFAULT_MAX_FRAME, (256 * 1024 * 1024)).
-define(DEFAULT_INTERRUPT_GRACE, 500).
-define(DEFAULT_CLOSE_GRACE, 1_000).
-define(DEFAULT_DRAIN, 1_000).
-define(DEFAULT_START_TIMEOUT, 60_000).
-define(MOST_WORKERS, 10_000).
%% What the program accepts (port/wire/protocol.h).
-define(LEAST_MAX_FRAME, 1024).
-define(FRAME_LIMIT, 16#7fffffff).

%% A pool's options, complete and checked.
-type pool() :: #{
    size := pos_integer(),
    timeout := timeout(),
    max_queue := non_neg_integer(),
    queue_timeout := timeout(),
    max_frame := pos_integer(),
    python_path := [binary()],
    venv := binary() | undefined,
    env := [{string(), string() | false}],
    cwd := binary() | undefined,
    init := [binary()],
    logs := boolean(),
    interrupt_grace := non_neg_integer(),   % ms
    close_grace := non_neg_integer(),       % ms
    drain := non_neg_integer(),             % ms
    start_timeout := non_neg_integer()      % ms
}.

%% ---------------------------------------------------------------------------
%% Calls

%% A timeout or a map; anything else is error:badarg.
-spec call(term()) -> #opts{}.
call(Map) when is_map(Map) ->
    maps:fold(fun(Key, Value, Opts) -> call_option(Key, Value, Opts, Map) end,
              #opts{}, Map);
call(Timeout) ->
    is_timeout(Timeout) orelse badarg(Timeout, "neither a timeout nor a map of options"),
    #opts{timeout = Timeout}.

%% The options of a function that has no place for what is printed.
-spec uncaptured(term()) -> #opts{}.
uncaptured(Options) ->
    not_here(call(Options), [capture], Options).

%% The options of a function whose result is not one worker's.
-spec plain(term()) -> #opts{}.
plain(Options) ->
    #opts{wire = Wire} = Opts = call(Options),
    not_here(Opts, maps:keys(Wire), Options).

not_here(#opts{wire = Wire} = Opts, Keys, Options) ->
    case [Key || Key <- Keys, is_map_key(Key, Wire)] of
        [] -> Opts;
        [Key | _] -> badarg(Options, io_lib:format("~tp: not an option here", [Key]))
    end.

call_option(timeout, Value, Opts, Map) ->
    is_timeout(Value) orelse badarg(Map, "timeout: not milliseconds or infinity"),
    Opts#opts{timeout = Value};
call_option(pool, Value, Opts, Map) ->
    is_atom(Value) orelse badarg(Map, "pool: not an atom"),
    Opts#opts{pool = Value};
call_option(Key, Value, #opts{wire = Wire} = Opts, Map) ->
    is_wire_option(Key, Value)
        orelse badarg(Map, io_lib:format("~tp: no such option, or a wrong value", [Key])),
    Opts#opts{wire = Wire#{Key => Value}}.

%% Options that the program itself understands.
is_wire_option(traceback, Value) -> is_boolean(Value);
is_wire_option(capture, Value) -> is_boolean(Value);
is_wire_option(none, Value) -> is_atom(Value);
is_wire_option(binaries, Value) -> Value =:= str orelse Value =:= bytes;
is_wire_option(arrays, Value) -> Value =:= list orelse Value =:= binary;
is_wire_option(chunk, Value) ->
    is_integer(Value) andalso Value > 0 andalso Value =< 1_000_000;
is_wire_option(_, _) -> false.

%% A timeout and nothing else.
-spec timeout(term()) -> timeout().
timeout(Value) ->
    is_timeout(Value) orelse badarg(Value, "not milliseconds or infinity"),
    Value.

is_timeout(infinity) -> true;
is_timeout(Value) -> is_time(Value).

is_time(Value) -> is_integer(Value) andalso Value >= 0 andalso Value =< ?LONGEST.

%% ---------------------------------------------------------------------------
%% Pools

-spec pool(term()) -> {ok, pool()} | {error, {badarg, term()}}.
pool(Map) when is_map(Map) ->
    try
        {ok, maps:fold(fun pool_option/3, defaults(), Map)}
    catch
        throw:{option, _} = What -> {error, {badarg, What}}
    end;
pool(_) ->
    {error, {badarg, options}}.

%% The application's environment: the default pool's options, and the options
%% of the pools under the key `pools'.
-spec environment([{atom(), term()}]) ->
          {ok, #{atom() => pool()}} | {error, {badarg, term()}}.
environment(Env) ->
    Own = maps:without([pools, included_applications], maps:from_list(Env)),
    case proplists:get_value(pools, Env, #{}) of
        #{default := _} -> {error, {badarg, {pool, default}}};
        Pools when is_map(Pools) -> pools(maps:to_list(Pools#{default => Own}), #{});
        _ -> {error, {badarg, {option, pools}}}
    end.

pools([], Checked) ->
    {ok, Checked};
pools([{Name, Options} | Rest], Checked) when is_atom(Name) ->
    case pool(Options) of
        {ok, Pool} -> pools(Rest, Checked#{Name => Pool});
        {error, {badarg, What}} when Name =:= default -> {error, {badarg, What}};
        {error, {badarg, What}} -> {error, {badarg, {pool, Name, What}}}
    end;
pools([{Name, _} | _], _) ->
    {error, {badarg, {pool, Name}}}.

defaults() ->
    #{size => erlang:system_info(schedulers_online),
      timeout => ?DEFAULT_TIMEOUT,
      max_queue => ?DEFAULT_MAX_QUEUE,
      queue_timeout => infinity,
      max_frame => ?DEFAULT_MAX_FRAME,
      python_path => [],
      venv => undefined,
      env => [],
      cwd => undefined,
      init => [],
      logs => true,
      interrupt_grace => ?DEFAULT_INTERRUPT_GRACE,
      close_grace => ?DEFAULT_CLOSE_GRACE,
      drain => ?DEFAULT_DRAIN,
      start_timeout => ?DEFAULT_START_TIMEOUT}.

pool_option(Key, Value, Pool) ->
    try pool_value(Key, Value) of
        {ok, Checked} -> Pool#{Key => Checked};
        wrong -> throw({option, Key})
    catch
        error:_ -> throw({option, Key})
    end.

pool_value(size, N) -> check(is_integer(N) andalso N > 0 andalso N =< ?MOST_WORKERS, N);
pool_value(timeout, T) -> check(is_timeout(T), T);
pool_value(max_queue, N) -> check(is_integer(N) andalso N >= 0, N);
pool_value(queue_timeout, T) -> check(is_timeout(T), T);
pool_value(logs, Logs) -> check(is_boolean(Logs), Logs);
pool_value(Time, N) when Time =:= interrupt_grace; Time =:= close_grace; Time =:= drain;
                         Time =:= start_timeout ->
    check(is_time(N), N);
pool_value(max_frame, N) ->
    check(is_integer(N) andalso N >= ?LEAST_MAX_FRAME andalso N =< ?FRAME_LIMIT, N);
pool_value(python_path, Dirs) -> {ok, [system_text(Dir) || Dir <- texts(Dirs)]};
pool_value(venv, Dir) -> {ok, system_text(Dir)};
pool_value(cwd, Dir) -> {ok, system_text(Dir)};
pool_value(init, Code) -> {ok, [text(Part) || Part <- texts(Code)]};
pool_value(env, Env) when is_map(Env) -> pool_value(env, maps:to_list(Env));
pool_value(env, Env) when is_list(Env) -> {ok, [variable(V) || V <- Env]};
pool_value(_, _) -> wrong.

check(true, Value) -> {ok, Value};
check(false, _) -> wrong.

%% One text, or a list of them. A list with a character in it is one text.
texts([]) -> [];
texts(Text) when is_binary(Text) -> [Text];
texts(List) when is_list(List) ->
    case lists:any(fun is_integer/1, List) of
        true -> [List];
        false -> List
    end.

variable({Name, false}) -> {name(Name), false};
variable({Name, Value}) -> {name(Name), string(Value)}.

%% A variable's name: the system would take what is before the `='.
name(Name) ->
    [_ | _] = String = string(Name),
    false = lists:member($=, String),
    String.

string(Name) when is_atom(Name) -> string(atom_to_binary(Name));
string(Text) -> unicode:characters_to_list(system_text(Text)).

%% A text for the operating system, for which a NUL is its end.
system_text(Chardata) ->
    Text = text(Chardata),
    nomatch = binary:match(Text, <<0>>),
    Text.

%% ---------------------------------------------------------------------------
%% Texts and misuse

%% Any chardata as UTF-8; anything else is error:badarg.
-spec text(unicode:chardata()) -> binary().
text(Chardata) when is_binary(Chardata); is_list(Chardata) ->
    try unicode:characters_to_binary(Chardata) of
        Text when is_binary(Text) -> Text;
        _ -> badarg(Chardata, "not text: neither UTF-8 nor code points")
    catch
        error:badarg -> badarg(Chardata, "not text: neither UTF-8 nor code points")
    end;
text(Other) ->
    badarg(Other, "not text: neither a binary nor a string").

%% The error of a call that no argument of this kind could make sense of.
-spec badarg(term(), io_lib:chars()) -> no_return().
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
