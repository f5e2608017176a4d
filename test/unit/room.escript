#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_os_room: memory that there is and that is left, from file systems made up for
%% it.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        [{Name, fun() -> ?assertEqual(Places, with(Files, fun py_os_room:places/2)) end}
         || {Name, Files, Places} <- places()],
        [{Name, fun() -> ?assertEqual(Stalled, with(Files, fun py_os_room:stalled/2)) end}
         || {Name, Files, Stalled} <- stalls()],
        {"a process in a group of its own", fun child/0},
        {"here", fun here/0}
    ]).

%% What the fun says of a process in a world that has these files.
with(Files, Fun) ->
    with(Files, self, Fun).

with(Files, Who, Fun) ->
    Root = fixture:tmpdir(),
    maps:foreach(fun(Name, Text) ->
                     Path = filename:join(Root, Name),
                     ok = filelib:ensure_dir(Path),
                     ok = file:write_file(Path, Text)
                 end, Files),
    Result = Fun(Who, #{proc => filename:join(Root, "proc"), cgroup => filename:join(Root, "cg")}),
    ok = file:del_dir_r(Root),
    Result.

meminfo() ->
    #{"proc/meminfo" => "MemTotal:       1000 kB\nMemFree:   1 kB\nMemAvailable:    600 kB\n"}.

v2(Path) ->
    #{"proc/self/cgroup" => ["0::", Path, "\n"], "cg/cgroup.controllers" => "memory\n"}.

v1(Path) ->
    #{"proc/self/cgroup" => ["9:name=systemd:/x\n4:cpu,memory:", Path, "\n0::/\n"]}.

group2(Dir, Max, Current, Stat) ->
    #{"cg" ++ Dir ++ "/memory.max" => [Max, "\n"], "cg" ++ Dir ++ "/memory.current" => [Current, "\n"],
      "cg" ++ Dir ++ "/memory.stat" => Stat}.

group1(Dir, Limit, Usage, Stat) ->
    #{"cg/memory" ++ Dir ++ "/memory.limit_in_bytes" => [Limit, "\n"],
      "cg/memory" ++ Dir ++ "/memory.usage_in_bytes" => [Usage, "\n"],
      "cg/memory" ++ Dir ++ "/memory.stat" => Stat}.

all(Maps) ->
    lists:foldl(fun maps:merge/2, #{}, Maps).

places() ->
    Stat2 = "anon 100\nfile 300\ninactive_file 200\nactive_file 50\n",
    Stat1 = "inactive_file 1\ntotal_inactive_file 200\ntotal_active_file 50\n",
    Machine = #{size => 1024_000, left => 614_400},
    [{"nothing at all", #{}, []},
     {"a machine", meminfo(), [Machine]},
     {"an old kernel that does not say what is available",
      #{"proc/meminfo" => "MemTotal:       1000 kB\n"}, []},
     {"v2: without the cache of files",
      all([meminfo(), v2("/a"), group2("/a", "1000", "700", Stat2)]),
      [Machine, #{size => 1000, left => 550}]},
     {"v2: every level counts",
      all([v2("/a/b"), group2("/a/b", "max", "5", ""), group2("/a", "1000", "700", Stat2),
           group2("", "2000", "900", "")]),
      [#{size => 1000, left => 550}, #{size => 2000, left => 1100}]},
     {"v2: the lower of max and high",
      all([v2("/a"), group2("/a", "1000", "700", ""), #{"cg/a/memory.high" => "800\n"}]),
      [#{size => 800, left => 100}]},
     {"v2: more in use than allowed",
      all([v2("/a"), group2("/a", "1000", "1200", "")]), [#{size => 1000, left => -200}]},
     {"v2: a container, which sees its own group as the root",
      all([v2("/"), group2("", "1000", "700", "")]), [#{size => 1000, left => 300}]},
     {"v2: a group outside of what is seen",
      all([v2("/../other"), group2("", "1000", "700", "")]), [#{size => 1000, left => 300}]},
     {"v2: a path with a colon",
      all([v2("/a:b"), group2("/a:b", "1000", "700", "")]), [#{size => 1000, left => 300}]},
     {"v2: a path that is no text",
      all([v2(<<"/a", 255>>), #{<<"cg/a", 255, "/memory.max">> => "1000",
                                <<"cg/a", 255, "/memory.current">> => "700"}]),
      [#{size => 1000, left => 300}]},
     {"v1: without the cache of files, and of all below it",
      all([v1("/a"), group1("/a", "1000", "700", Stat1)]), [#{size => 1000, left => 550}]},
     {"v1: no limit is a very large one",
      all([v1("/a"), group1("/a", "9223372036854771712", "700", "")]), []},
     {"v1: a container whose path is not there",
      all([v1("/docker/1"), group1("", "1000", "700", "")]), [#{size => 1000, left => 300}]},
     {"both: v2 beside v1",
      #{"proc/self/cgroup" => "0::/a\n", "cg/unified/a/memory.max" => "1000",
        "cg/unified/a/memory.current" => "700"}, [#{size => 1000, left => 300}]}].

stalls() ->
    Psi = fun(Share) -> ["some avg10=", Share, " avg60=0.00 avg300=0.00 total=1\n"
                         "full avg10=99.00 avg60=0.00 avg300=0.00 total=1\n"] end,
    System = #{"proc/pressure/memory" => Psi("1.50")},
    [{"pressure: unknown", #{}, unknown},
     {"pressure: of the machine", System, {ok, 1.5}},
     {"pressure: of the innermost cgroup",
      all([System, v2("/a/b"), #{"cg/a/memory.pressure" => Psi("7.25"),
                                 "cg/memory.pressure" => Psi("9.00")}]), {ok, 7.25}},
     {"pressure: a kernel that has it switched off",
      #{"proc/pressure/memory" => ""}, unknown}].

%% Only what is around it counts.
child() ->
    Files = all([group2("/a/b", "500", "300", ""), group2("/a", "1000", "700", ""),
                 #{"proc/7/cgroup" => "0::/a/b\n", "cg/cgroup.controllers" => "",
                   "cg/a/b/memory.pressure" => "some avg10=9.00 avg60=0.00\n",
                   "cg/a/memory.pressure" => "some avg10=1.00 avg60=0.00\n"}]),
    Places = fun(Who) -> with(Files, Who, fun py_os_room:places/2) end,
    ?assertEqual([#{size => 500, left => 200}, #{size => 1000, left => 300}], Places({member, 7})),
    ?assertEqual([#{size => 1000, left => 300}], Places({child, 7})),
    ?assertEqual({ok, 1.0}, with(Files, {child, 7}, fun py_os_room:stalled/2)).

%% This machine's own numbers, in any process.
here() ->
    [#{size := Size, left := Left} | _] = py_os_room:places(self),
    ?assert(Left > 0 andalso Left =< Size),
    ?assertEqual(length(py_os_room:places(self)), length(py_os_room:places({member, list_to_integer(os:getpid())}))),
    _ = py_os_room:stalled(self).
