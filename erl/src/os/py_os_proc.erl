%% SPDX-License-Identifier: Apache-2.0
%%
%% What the kernel says of a process' memory, in bytes. It needs nothing from
%% the process itself. Where there is no /proc, and for a process that is gone,
%% the map is empty.
-module(py_os_proc).

-export([memory/1, oom_kills/0]).
-export_type([memory/0]).

-type memory() :: #{rss => non_neg_integer(),   % resident now
                    pss => non_neg_integer(),   % the same, shared pages divided
                    peak => non_neg_integer(),  % most that was resident
                    swap => non_neg_integer()}. % swapped out

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

%% How many processes the kernel has killed for want of memory, since it was
%% started. Where it does not say, none.
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
