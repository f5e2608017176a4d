%% SPDX-License-Identifier: Apache-2.0
%%
%% How much memory there is where a process runs, and how much of it is left: the
%% machine, and each cgroup that the process is in (v1 and v2) and that has a
%% limit. The cache of files is not in use: the kernel takes it when it needs it.
-module(py_os_room).

-export([places/1, places/2, stalled/1, stalled/2]).
-export_type([place/0, who/0, roots/0]).

-type place() :: #{size := non_neg_integer(), left := integer()}.   % bytes
%% `child': a process that has a cgroup of its own, which is not looked at; only
%% those around it are.
-type who() :: self | {member | child, OsPid :: pos_integer()}.
-type roots() :: #{proc := file:filename(), cgroup := file:filename()}.

%% A cgroup of version 1 without a limit has one that is larger than any memory.
-define(NO_LIMIT, (1 bsl 60)).

-spec places(who()) -> [place()].
places(Who) ->
    places(Who, roots()).

%% The same with these file systems, for tests.
-spec places(who(), roots()) -> [place()].
places(Who, #{proc := Proc} = Roots) ->
    machine(read([Proc, "meminfo"]))
        ++ [Place || {Version, Dir} <- cgroups(Who, Roots), Place <- cgroup(Version, Dir)].

roots() ->
    #{proc => "/proc", cgroup => "/sys/fs/cgroup"}.

machine(Text) ->
    [#{size => 1024 * Size, left => 1024 * Left}
     || Size <- number("MemTotal:", Text), Left <- number("MemAvailable:", Text)].

%% The process's cgroups, from the innermost to the root of their hierarchy. In a
%% container that sees only a part of the hierarchy, some of them are not there.
cgroups(Who, #{proc := Proc, cgroup := Root}) ->
    Lines = binary:split(read([Proc, name(Who), "cgroup"]), <<"\n">>, [global]),
    [{Version, Dir} || Line <- Lines, {Version, Path} <- hierarchy(binary:split(Line, <<":">>, [global])),
                       Dir <- around(Who, Version, upwards(mount(Version, Root), filename:split(Path)))].

name(self) -> "self";
name({_, OsPid}) -> integer_to_list(OsPid).

around({child, _}, v2, [_Own | Dirs]) -> Dirs;
around(_, _, Dirs) -> Dirs.

%% A path may have colons.
hierarchy([<<"0">>, <<>> | Path]) -> [{v2, path(Path)}];
hierarchy([_, Controllers | Path]) ->
    [{v1, path(Path)} || lists:member(<<"memory">>, binary:split(Controllers, <<",">>, [global]))];
hierarchy(_) -> [].

path(Parts) ->
    iolist_to_binary(lists:join(":", Parts)).

%% Version 2 is a directory beside those of version 1, if there are both.
mount(v1, Root) -> filename:join(Root, "memory");
mount(v2, Root) ->
    case prim_file:read_file_info(filename:join(Root, "cgroup.controllers")) of
        {ok, _} -> Root;
        {error, _} -> filename:join(Root, "unified")
    end.

upwards(Mount, [<<"/">> | Names]) ->
    case lists:member(<<"..">>, Names) of
        true -> [Mount];    % outside of what this container sees
        false -> [filename:join([Mount | lists:sublist(Names, N)])
                  || N <- lists:seq(length(Names), 0, -1)]
    end;
upwards(Mount, _) ->
    [Mount].

cgroup(v2, Dir) ->
    Limits = [Limit || File <- ["memory.max", "memory.high"], Limit <- number(read([Dir, File]))],
    place(Limits, number(read([Dir, "memory.current"])),
          cache(["inactive_file ", "active_file "], read([Dir, "memory.stat"])));
cgroup(v1, Dir) ->
    Limits = [Limit || Limit <- number(read([Dir, "memory.limit_in_bytes"])), Limit < ?NO_LIMIT],
    place(Limits, number(read([Dir, "memory.usage_in_bytes"])),
          cache(["total_inactive_file ", "total_active_file "], read([Dir, "memory.stat"]))).

place([], _, _) -> [];
place(Limits, [Usage], Cache) ->
    Size = lists:min(Limits),
    [#{size => Size, left => Size - max(0, Usage - Cache)}];
place(_, [], _) -> [].

cache(Names, Stat) ->
    lists:sum([Bytes || Name <- Names, Bytes <- number(Name, Stat)]).

%% ---------------------------------------------------------------------------
%% Pressure

%% The share of the last ten seconds, in percent, in which processes waited for
%% memory: in the innermost cgroup for which the kernel says it, else in the
%% machine (PSI).
-spec stalled(who()) -> {ok, float()} | unknown.
stalled(Who) ->
    stalled(Who, roots()).

-spec stalled(who(), roots()) -> {ok, float()} | unknown.
stalled(Who, #{proc := Proc} = Roots) ->
    Files = [[Dir, "memory.pressure"] || {v2, Dir} <- cgroups(Who, Roots)]
        ++ [[Proc, "pressure", "memory"]],
    first(Files).

first([]) -> unknown;
first([File | Rest]) ->
    case re:run(read(File), "^some avg10=(\\d+\\.\\d+) ", [{capture, all_but_first, list}]) of
        {match, [Share]} -> {ok, list_to_float(Share)};
        nomatch -> first(Rest)
    end.

%% ---------------------------------------------------------------------------

read(Names) ->
    case prim_file:read_file(filename:join(Names)) of
        {ok, Text} -> Text;
        {error, _} -> <<>>
    end.

%% The number in a file; `max' is not a number.
number(Text) ->
    case string:to_integer(Text) of
        {N, _} when is_integer(N) -> [N];
        _ -> []
    end.

%% The number of the line that begins with Name.
number(Name, Text) ->
    case re:run(Text, ["^", Name, "\\s*(\\d+)"], [multiline, {capture, all_but_first, binary}]) of
        {match, [Digits]} -> [binary_to_integer(Digits)];
        nomatch -> []
    end.
