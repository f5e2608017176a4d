#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_os_limit: a worker's limits as arguments, in statistics, and which of them
%% can be changed.
-mode(compile).

main(_) ->
    tap:run([
        table:rows("args", fun py_os_limit:args/1, args()),
        table:rows("refused", fun py_os_limit:refused/2, refused()),
        table:rows("ops", fun py_os_limit:ops/1, ops()),
        table:rows("left", fun py_os_limit:left/2, left()),
        table:rows("remark", fun(L) -> iolist_to_binary(py_os_limit:remark(L)) end, remarks())
    ]).

args() ->
    [{"nothing", [#{}], []},
     {"numbers", [#{files => 9, core => 0}], ["--files", "9", "--core", "0"]},
     {"infinity", [#{data => infinity}], ["--data", "infinity"]},
     {"less than nothing", [#{oom_score_adj => -5}], ["--oom-score-adj", "-5"]},
     {"a control group", [#{cgroup => <<"/a">>, cgroup_max => 7}],
      ["--cgroup", <<"/a">>, "--cgroup-max", "7"]},
     {"a heap that is limited", [#{heap => 7, account => true}], ["--heap", "7"]},
     {"a heap that is counted", [#{account => true}], ["--account"]},
     {"a heap that may get a limit", [#{heap => infinity}], ["--heap", "infinity"]},
     {"what others watch", [#{rss => 7}], []}].

refused() ->
    [{"nothing", [#{}, #{}], none},
     {"what always can be changed", [#{address_space => 1, files => 1, rss => 1}, #{}], none},
     {"a heap that nobody counts", [#{heap => 1}, #{account => false}], {not_enabled, heap}},
     {"a heap that is counted", [#{heap => 1}, #{account => true}], none},
     {"a heap that is limited", [#{heap => 1}, #{heap => 2}], none},
     {"counting", [#{account => true}, #{account => true}], {not_while_running, account}},
     {"a control group", [#{cgroup => <<"/">>}, #{cgroup => <<"/">>}],
      {not_while_running, cgroup}},
     {"limits of a control group that there is not", [#{cgroup_max => 1}, #{}],
      {not_enabled, cgroup_max}},
     {"limits of a control group", [#{cgroup_max => 1}, #{cgroup => <<"/">>}], none}].

ops() ->
    [{"what the VM watches is not the program's", [#{rss => 1, group => 2}], []},
     {"nor is where its control group is", [#{cgroup => <<"/">>, cgroup_high => 5, files => 3}],
      [{set_limits, #{cgroup_high => 5, files => 3}}]},
     {"its heap is another matter", [#{heap => 1, data => infinity}],
      [{set_limits, #{data => infinity}}, {set_memory, #{heap => 1}}]}].

left() ->
    [{"no limit", [#{rss => 5}, #{}], #{}},
     {"a limit that is not met", [#{rss => 5, data => 7}, #{rss => 8}], #{rss => 3}},
     {"one that is", [#{rss => 9}, #{rss => 8}], #{rss => -1}},
     {"no number", [#{}, #{rss => 8}], #{}},
     {"infinity", [#{rss => 9}, #{rss => infinity}], #{}}].

remarks() ->
    [{"no limit", [#{}], <<>>},
     {"no limit that matters", [#{core => 0, oom_score_adj => 5}], <<>>},
     {"limits", [#{files => 3, address_space => 9}], <<" (limits: address_space 9, files 3)">>}].
