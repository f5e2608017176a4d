%% SPDX-License-Identifier: Apache-2.0
%%
%% The program `pyport' as an operating-system process: how it is started,
%% politely closed, and killed.
%%
%% The VM makes each port program the leader of a process group of its own, so
%% one kill ends it together with all that it started.
-module(py_os_port).

-export([open/1, send/2, closed/1, close/1, close/3, wait_gone/2, kill/1]).
-export_type([options/0]).

%% What a pool's options say of its programs. Directories are as the user gave
%% them, a variable that is to be unset is `false'.
-type options() :: #{cwd := binary() | undefined, venv := binary() | undefined,
                     python_path := [binary()], env := [clear | {string(), string() | false}],
                     max_frame := pos_integer(), memory := py_os_limit:limits(),
                     guard := atom(), profile := boolean() | map(),
                     interrupt_grace := non_neg_integer(), worker := pos_integer(),
                     concurrency := pos_integer(), threads := pos_integer(), _ => _}.

-include("py_protocol.hrl").

-define(POLL, 10).
%% How long killing may take.
-define(KILL_LIMIT, 2_000).

%% Starts the program. An error is a text for the user.
-spec open(options()) ->
          {ok, port(), pos_integer() | undefined} | {error, binary()}.
open(Options) ->
    case check_dirs(Options) of
        ok -> spawn_program(program(), Options);
        {error, _} = Error -> Error
    end.

program() ->
    case code:priv_dir(py) of
        {error, bad_name} -> "pyport";
        Dir -> filename:join(Dir, "pyport")
    end.

%% To the VM, a wrong directory looks like a program that ends at once; and Python
%% does not mind one in sys.path that is not there, nor does it say so.
check_dirs(#{cwd := Cwd, venv := Venv, python_path := Path}) ->
    Wrong = [["cwd is not a directory: ", shown(Cwd)] || not is_dir(Cwd)]
        ++ [["venv is not a directory: ", shown(Venv)] || not is_dir(Venv)]
        ++ [["python_path names what is not there: ", shown(Dir)]
            || Dir <- Path, not filelib:is_file(Dir)]
        ++ [["python_path names a module instead of its directory: ", shown(File)]
            || File <- Path, filename:extension(File) =:= <<".py">>, filelib:is_regular(File)],
    case Wrong of
        [] -> ok;
        [First | _] -> failed(First)
    end.

is_dir(undefined) -> true;
is_dir(Dir) -> filelib:is_dir(Dir).

shown(Dir) ->
    case filename:pathtype(Dir) of
        absolute -> Dir;
        _ -> [filename:absname(Dir), " (", Dir, " is relative to the VM's directory)"]
    end.

spawn_program(Program, Options) ->
    try open_port({spawn_executable, Program}, port_options(Options)) of
        Port -> {ok, Port, os_pid(Port)}
    catch
        error:Reason ->
            failed(["cannot run ", Program, ": ", file:format_error(Reason)])
    end.

failed(Text) ->
    {error, unicode:characters_to_binary(Text)}.

%% Without busy limits no write ever blocks the worker. What waits in the port
%% is limited by the worker's window.
port_options(#{env := Env, cwd := Cwd} = Options) ->
    [{packet, 4}, binary, exit_status, use_stdio, hide,
     {busy_limits_port, disabled}, {busy_limits_msgq, disabled},
     {args, args(Options)}, {env, native(variables(Env))} | [{cd, Cwd} || Cwd =/= undefined]].

%% With `clear', the program gets none of the VM's.
variables([clear | Env]) ->
    Given = variables(Env),
    [{Name, false} || {Name, _} <- os:env(), not lists:keymember(Name, 1, Given)] ++ Given;
variables(Env) ->
    Env.

%% Characters as the VM writes them to the system. Where it takes them for bytes,
%% they have to be UTF-8 already.
native(Env) ->
    case file:native_name_encoding() of
        utf8 -> Env;
        latin1 -> [{bytes(Name), Value =/= false andalso bytes(Value)} || {Name, Value} <- Env]
    end.

bytes(String) ->
    binary_to_list(unicode:characters_to_binary(String)).

%% Relative directories start from the VM's, wherever the program runs.
args(#{venv := Venv, python_path := Path, max_frame := MaxFrame, memory := Memory,
       guard := Guard, interrupt_grace := Grace, worker := Worker, profile := Profile,
       concurrency := Concurrency, threads := Threads}) ->
    lists:append([["--venv", filename:absname(Venv)] || Venv =/= undefined])
        ++ lists:append([["--path", filename:absname(Dir)] || Dir <- Path])
        ++ ["--pause", "--max-frame", integer_to_list(MaxFrame), "--guard", atom_to_list(Guard),
            "--interrupt-grace", integer_to_list(Grace), "--worker", integer_to_list(Worker),
            "--concurrency", integer_to_list(Concurrency), "--threads", integer_to_list(Threads)
            | py_os_limit:args(Memory)]
        ++ profile(Profile).

profile(false) -> [];
profile(true) -> profile(#{});
profile(Given) ->
    Numbers = [maps:get(Key, Given, Default)
               || {Key, Default} <- [{rate, ?DEFAULT_PROFILE_RATE},
                                     {samples, ?DEFAULT_PROFILE_SAMPLES},
                                     {per_second, ?DEFAULT_PROFILE_PER_SECOND}]],
    ["--profile", lists:append(lists:join(",", [integer_to_list(N) || N <- Numbers]))].

os_pid(Port) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, OsPid} -> OsPid;
        undefined -> undefined
    end.

%% Writes a frame. False if the port is closed: then its exit message is on the
%% way to its owner.
-spec send(port(), iodata()) -> boolean().
send(Port, Frame) ->
    try
        port_command(Port, Frame)
    catch
        error:badarg -> false
    end.

%% ---------------------------------------------------------------------------
%% The end

%% Why its port is closed, if not by its own end.
-spec closed(ExitReason :: term()) -> closed | py_os_lane:broken().
closed({lane, _} = Why) -> Why;
closed(_) -> closed.

%% Closes the program's input; the program may be gone already.
-spec close(port()) -> ok.
close(Port) ->
    try
        true = port_close(Port),
        ok
    catch
        error:badarg -> ok
    end.

%% The same; waits until the program is gone, for Grace milliseconds at most, and
%% kills what is left of it and of its group.
-spec close(port(), pos_integer() | undefined, Grace :: non_neg_integer()) -> ok.
close(Port, OsPid, Grace) ->
    close(Port),
    _ = wait_gone(OsPid, Grace),
    kill(OsPid),
    _ = wait_gone(OsPid, ?KILL_LIMIT),
    ok.

%% Waits until the program is gone, for Limit milliseconds at most.
-spec wait_gone(pos_integer() | undefined, non_neg_integer()) -> gone | running.
wait_gone(OsPid, Limit) ->
    wait_until_gone(OsPid, py_time:deadline(Limit)).

wait_until_gone(OsPid, Deadline) ->
    Left = py_time:left(Deadline),
    case is_running(OsPid) of
        false -> gone;
        true when Left =:= 0 -> running;
        true -> timer:sleep(min(?POLL, Left)), wait_until_gone(OsPid, Deadline)
    end.

is_running(undefined) ->
    false;
is_running(OsPid) ->
    case os:type() of
        {unix, linux} ->
            Proc = "/proc/" ++ integer_to_list(OsPid),
            element(1, file:read_file_info(Proc, [raw])) =:= ok;
        _ ->
            signal_group("0", OsPid) =:= 0
    end.

%% Kills the program's whole group; does nothing if it is gone already.
-spec kill(pos_integer() | undefined) -> ok.
kill(undefined) ->
    ok;
kill(OsPid) ->
    _ = signal_group("KILL", OsPid),
    ok.

%% By the shell's own kill, which every system has; not every system has a program
%% of that name.
signal_group(Signal, OsPid) ->
    Command = ["-c", "kill -s \"$0\" -- \"-$1\" 2>/dev/null", Signal,
               integer_to_list(OsPid)],
    try open_port({spawn_executable, "/bin/sh"}, [{args, Command}, exit_status]) of
        Port -> await_exit(Port)
    catch
        error:Reason -> Reason
    end.

await_exit(Port) ->
    receive
        {Port, {exit_status, Status}} -> Status
    after ?KILL_LIMIT ->
        _ = port_close(Port),
        timeout
    end.
