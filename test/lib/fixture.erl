%% SPDX-License-Identifier: Apache-2.0
%%
%% The ground a test stands on: the application started with known settings,
%% the paths of this build, and the operating system's view of the workers.
-module(fixture).

-export([with_app/1, with_app/2, srcdir/0, python_path/0, program/0, python/0]).
-export([ordinary_python/1]).
-export([workers/0, workers/1, os_pids/0, os_pids/1, ports/0]).
-export([is_running/1, kill/2, stop/1, proc_kb/2, proc_number/2, descriptors/1]).
-export([unless_sanitized/0, without_stack/1]).
-export([start_p/1, slow_call/2, hold/1, release/1, memory_stats/1, memory_stats/2, stack/1]).
-export([wait_until/1, wait_until/2, tmpdir/0, count/2, contains/2, has_numpy/0, has_glibc/0]).

%% The tests, between "the application starts" and "nothing is left behind".
-spec with_app([tap:test() | list()]) -> [tap:test() | list()].
with_app(Tests) ->
    with_app(#{}, Tests).

%% The same with settings in the application's environment.
-spec with_app(map(), [tap:test() | list()]) -> [tap:test() | list()].
with_app(Settings, Tests) ->
    Env = maps:merge(#{size => 2, python_path => [python_path()]}, Settings),
    [{must, "the application starts", fun() -> start(Env) end},
     Tests,
     {"the application stops and leaves nothing behind", fun stop/0}].

start(Env) ->
    _ = application:load(py),
    [ok = application:set_env(py, Key, Value) || {Key, Value} <- maps:to_list(Env)],
    {ok, _} = application:ensure_all_started(py).

stop() ->
    Pids = os_pids(),
    ok = application:stop(py),
    wait_until(fun() -> not lists:any(fun is_running/1, Pids) end),
    wait_until(fun() -> ports() =:= [] end).

%% ---------------------------------------------------------------------------
%% This build

-spec srcdir() -> file:filename().
srcdir() ->
    case os:getenv("top_srcdir") of
        false -> filename:dirname(filename:dirname(filename:absname(escript:script_name())));
        Dir -> filename:absname(Dir)
    end.

%% Where the tests' own Python modules are.
-spec python_path() -> file:filename().
python_path() ->
    filename:join([srcdir(), "test", "py"]).

-spec program() -> file:filename().
program() ->
    case os:getenv("PYPORT") of
        false -> filename:join(code:priv_dir(py), "pyport");
        Program -> filename:absname(Program)
    end.

%% Skips a test of memory in a build with sanitizers: they keep what was freed.
-spec unless_sanitized() -> ok | no_return().
unless_sanitized() ->
    case os:getenv("PYPORT_SANITIZERS", "") of
        "" -> ok;
        Names -> tap:skip(["the program is built with sanitizers: ", Names])
    end.

%% The interpreter that configure chose.
-spec python() -> file:filename().
python() ->
    os:getenv("PYTHON", "python3").

%% The value, a text, of an expression about procs in a Python that is no worker.
-spec ordinary_python(iodata()) -> binary().
ordinary_python(Expression) ->
    Code = ["import procs; procs.ordinary(); print(", Expression, ", end='')"],
    Port = open_port({spawn_executable, os:find_executable(python())},
                     [{args, ["-c", lists:flatten(Code)]}, {env, [{"PYTHONPATH", python_path()}]},
                      binary, exit_status]),
    printed(Port, <<>>).

printed(Port, Text) ->
    receive
        {Port, {data, More}} -> printed(Port, <<Text/binary, More/binary>>);
        {Port, {exit_status, 0}} -> Text
    end.

%% ---------------------------------------------------------------------------
%% Workers, as the pool and as the kernel see them

-spec workers() -> [map()].
workers() ->
    maps:get(workers, py:info()).

-spec workers(atom()) -> [map()].
workers(Pool) ->
    maps:get(workers, py:info(Pool)).

-spec os_pids() -> [pos_integer()].
os_pids() ->
    [Pid || #{os_pid := Pid} <- workers(), is_integer(Pid)].

-spec os_pids(atom()) -> [pos_integer()].
os_pids(Pool) ->
    [Pid || #{os_pid := Pid} <- workers(Pool), is_integer(Pid)].

%% Ports of programs that are open now (the VM's own ports are not programs).
-spec ports() -> [port()].
ports() ->
    [Port || Port <- erlang:ports(),
             {os_pid, Pid} <- [erlang:port_info(Port, os_pid)], Pid =/= undefined,
             {name, Name} <- [erlang:port_info(Port, name)],
             string:find(Name, "pyport") =/= nomatch].

%% Whether the kernel still runs this process (one waiting to be reaped is gone).
-spec is_running(pos_integer()) -> boolean().
is_running(OsPid) ->
    case file:read_file(["/proc/", integer_to_list(OsPid), "/stat"]) of
        {ok, Stat} ->
            [_, After] = string:split(Stat, ") ", trailing),
            binary:first(After) =/= $Z;
        {error, _} ->
            false
    end.

%% Sends a signal, such as "KILL", to a process of the operating system.
-spec kill(string(), pos_integer()) -> string().
kill(Signal, OsPid) ->
    os:cmd("kill -" ++ Signal ++ " " ++ integer_to_list(OsPid)).

%% Stops a process (SIGSTOP), which has happened when this returns.
-spec stop(pos_integer()) -> ok.
stop(OsPid) ->
    _ = kill("STOP", OsPid),
    wait_until(fun() ->
        {ok, Status} = file:read_file(["/proc/", integer_to_list(OsPid), "/status"]),
        contains(Status, "\nState:\tT")
    end).

%% A "NAME: N kB" line of the kernel's status of a process.
-spec proc_kb(pos_integer(), string()) -> non_neg_integer().
proc_kb(OsPid, Name) ->
    {ok, Status} = file:read_file(["/proc/", integer_to_list(OsPid), "/status"]),
    {match, [Kb]} = re:run(Status, ["^", Name, ":\\s+(\\d+) kB"],
                           [multiline, {capture, all_but_first, list}]),
    list_to_integer(Kb).

%% Another number there: "NAME: N".
-spec proc_number(pos_integer(), string()) -> non_neg_integer().
proc_number(OsPid, Name) ->
    {ok, Status} = file:read_file(["/proc/", integer_to_list(OsPid), "/status"]),
    {match, [N]} = re:run(Status, ["^", Name, ":\\s+(\\d+)"],
                          [multiline, {capture, all_but_first, list}]),
    list_to_integer(N).

%% The reason of a worker's end, without the text that faulthandler left.
-spec without_stack(term()) -> term().
without_stack({signal, Name, Stack}) when is_binary(Stack) -> {signal, Name};
without_stack(Why) -> Why.

%% How many file descriptors a process has open.
-spec descriptors(pos_integer()) -> non_neg_integer().
descriptors(OsPid) ->
    {ok, Names} = file:list_dir(["/proc/", integer_to_list(OsPid), "/fd"]),
    length(Names).

%% Starts the pool `p', with these options; the test stops it, but for one that fails.
-spec start_p(map()) -> map().
start_p(Options) ->
    _ = py:stop_pool(p, 0),
    Base = #{size => 1, python_path => [python_path()],
             init => <<"import os, time, wedge">>},
    {ok, _} = py:start_pool(p, maps:merge(Base, Options)),
    #{pool => p}.

%% A call of some seconds that runs when this returns.
-spec slow_call(number(), map()) -> reference().
slow_call(Seconds, In) ->
    File = filename:join(tmpdir(), "how"),
    Ref = py:spawn_call(wedge, confess, [list_to_binary(File), Seconds], #{}, In),
    wait_until(fun() -> filelib:is_file(File ++ ".started") end),
    Ref.

%% Keeps a worker busy, which it is when this returns, until it is released:
%% nothing else has to be done in time. Its Python has imported wedge.
-spec hold(map()) -> {reference(), file:filename()}.
hold(In) ->
    File = filename:join(tmpdir(), "held"),
    Options = In#{timeout => infinity},
    Ref = py:spawn_call(wedge, until, [unicode:characters_to_binary(File)], #{}, Options),
    wait_until(fun() -> filelib:is_file(File ++ ".started") end),
    {Ref, File}.

%% The result of the call that kept it busy.
-spec release({reference(), file:filename()}) -> term().
release({Ref, File}) ->
    ok = file:write_file(File ++ ".go", <<>>),
    py:await(Ref).

%% Statistics for which every worker has answered: on a busy machine one may be
%% too late, and then it is shown with its last known numbers.
-spec memory_stats(py:target()) -> map().
memory_stats(Target) ->
    memory_stats(Target, #{}).

-spec memory_stats(py:target(), map()) -> map().
memory_stats(Target, Options) ->
    case py:memory_stats(Target, Options) of
        {ok, #{busy := false} = Stats} -> Stats;
        {ok, #{answered := N, asked := N} = Stats} -> Stats;
        {ok, #{}} -> timer:sleep(10), memory_stats(Target, Options)
    end.

%% A stack for which the worker has answered, in the same way.
-spec stack(py:target() | pid() | pos_integer()) -> {ok, list()} | {error, term()}.
stack(Target) ->
    Result = py:stack(Target),
    case is_late(Result) of
        true -> timer:sleep(10), stack(Target);
        false -> Result
    end.

is_late({error, busy}) -> true;
is_late({ok, Each}) -> lists:any(fun({_, One}) -> is_late(One); (_) -> false end, Each);
is_late(_) -> false.

%% ---------------------------------------------------------------------------
%% Small tools

%% Waits (30 s) until a condition holds; raises when it never does.
-spec wait_until(fun(() -> boolean())) -> ok.
wait_until(Condition) ->
    wait_until(Condition, 30_000).

-spec wait_until(fun(() -> boolean()), non_neg_integer()) -> ok.
wait_until(Condition, Ms) ->
    case Condition() of
        true -> ok;
        false when Ms =< 0 -> error({never_came_true, Condition});
        false -> timer:sleep(10), wait_until(Condition, Ms - 10)
    end.

%% A new empty directory.
-spec tmpdir() -> file:filename().
tmpdir() ->
    string:trim(os:cmd("mktemp -d")).

-spec count(fun((term()) -> boolean()), [term()]) -> non_neg_integer().
count(Predicate, List) ->
    length(lists:filter(Predicate, List)).

%% Whether a message, as in {error, {Class, Message}}, says this.
-spec contains(unicode:chardata(), unicode:chardata()) -> boolean().
contains(Message, Text) ->
    string:find(Message, Text) =/= nomatch.

%% Whether the workers' Python can import numpy.
-spec has_numpy() -> boolean().
has_numpy() ->
    {ok, Found} = py:eval(<<"__import__('importlib.util').util.find_spec('numpy') is not None">>),
    Found.

%% Whether the workers' C library is glibc.
-spec has_glibc() -> boolean().
has_glibc() ->
    {ok, Name} = py:eval(<<"__import__('platform').libc_ver()[0]">>),
    Name =:= <<"glibc">>.
