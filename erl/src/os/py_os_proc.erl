%% SPDX-License-Identifier: Apache-2.0
%%
%% What /proc knows of a process and gives access to. It needs nothing from the
%% process itself. Where there is no /proc, and for a process that is gone, there
%% is nothing.
-module(py_os_proc).

-export([memory/1, oom_kills/0, hold_input/1]).
-export_type([memory/0]).

-type memory() :: #{rss => non_neg_integer(),   % resident now
                    pss => non_neg_integer(),   % the same, shared pages divided
                    peak => non_neg_integer(),  % most that was resident
                    swap => non_neg_integer()}. % swapped out

%% What the kernel says of its memory, in bytes.
-spec memory(pos_integer() | undefined) -> memory().
memory(undefined) ->
    #{};
memory(OsPid) ->
    Dir = ["/proc/", integer_to_list(OsPid), "/"],
    Status = read([Dir, "status"]),
    Rollup = read([Dir, "smaps_rollup"]),
    maps:from_list(
      [{Key, 1024 * Kb} || {Key, Name, Text} <- [{rss, "VmRSS", Status},
                                                 {peak, "VmHWM", Status},
                                                 {swap, "VmSwap", Status},
                                                 {pss, "Pss", Rollup}],
                           {ok, Kb} <- [line(Name, Text)]]).

%% How many processes the kernel has killed for want of memory since it was
%% started; 0 if it does not say.
-spec oom_kills() -> non_neg_integer().
oom_kills() ->
    case re:run(read("/proc/vmstat"), "^oom_kill (\\d+)$",
                [multiline, {capture, all_but_first, binary}]) of
        {match, [N]} -> binary_to_integer(N);
        nomatch -> 0
    end.

%% Not through the file server, which may be waiting for a slow disk.
read(Path) ->
    case file:open(Path, [read, raw, binary]) of
        {ok, File} ->
            Result = file:read(File, 65536),
            _ = file:close(File),
            case Result of
                {ok, Text} -> Text;
                _ -> <<>>
            end;
        {error, _} ->
            <<>>
    end.

%% The number of the line "NAME:   NUMBER kB".
line(Name, Text) ->
    Pattern = ["^", Name, ":\\s+(\\d+) kB$"],
    case re:run(Text, Pattern, [multiline, {capture, all_but_first, binary}]) of
        {match, [Kb]} -> {ok, binary_to_integer(Kb)};
        nomatch -> none
    end.

%% ---------------------------------------------------------------------------
%% Input

%% Keeps the reading end of a program's input open in the VM as well, until the
%% calling process ends. Without it, a frame that is written just after the
%% program has died closes the port (EPIPE), and nobody learns how the program
%% ended. For the program nothing changes: its input ends when the writing end
%% is closed. Where there is no /proc, such a death is called `closed'.
-spec hold_input(pos_integer() | undefined) -> ok.
hold_input(undefined) ->
    ok;
hold_input(OsPid) ->
    Proc = "/proc/" ++ integer_to_list(OsPid),
    case file:list_dir(Proc ++ "/fd") of
        {ok, Fds} -> lists:foreach(fun(Fd) -> hold(Proc, Fd) end, Fds);
        {error, _} -> ok
    end.

hold(Proc, Fd) ->
    Path = Proc ++ "/fd/" ++ Fd,
    case is_pipe(Path) andalso is_read_only(Proc ++ "/fdinfo/" ++ Fd) of
        true -> _ = file:open(Path, [read, raw, binary]), ok;
        false -> ok
    end.

is_pipe(Path) ->
    case file:read_link(Path) of
        {ok, Target} -> lists:prefix("pipe:", Target);
        {error, _} -> false
    end.

%% The last octal digit of the flags is the access mode: 0 is O_RDONLY.
is_read_only(Path) ->
    case file:read_file(Path) of
        {ok, Info} -> re:run(Info, "^flags:\\s*[0-7]*0$", [multiline]) =/= nomatch;
        {error, _} -> false
    end.
