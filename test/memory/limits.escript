#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pool option `memory': limits that the kernel holds.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"the kernel takes a worker before the VM", fun oom_score/0},
        {"how much sooner is a limit", fun oom_score_adj/0},
        {"a worker's children are taken as soon", fun oom_score_of_child/0}
    ])).

%% What the fun makes of a pool with these limits.
with_limits(Limits, Fun) ->
    {ok, _} = py:start_pool(limited, #{size => 1, memory => Limits,
                                       python_path => [fixture:python_path()]}),
    try Fun() after ok = py:stop_pool(limited) end.

eval(Code) ->
    py:eval(Code, #{}, #{pool => limited}).

%% ---------------------------------------------------------------------------

oom_score() ->
    [OsPid] = fixture:os_pids(),
    ?assertEqual(1000, oom_score_adj(integer_to_list(OsPid))),
    ?assert(oom_score_adj("self") < 1000).

oom_score_adj() ->
    Own = oom_score_adj("self"),
    [with_limits(#{oom_score_adj => N}, fun() ->
         ?assertEqual([N], [oom_score_adj(integer_to_list(OsPid))
                            || OsPid <- fixture:os_pids(limited)])
     end) || N <- [Own, 300, 1000]].

oom_score_of_child() ->
    with_limits(#{oom_score_adj => 777}, fun() ->
        ?assertEqual({ok, <<"777\n">>},
                     eval("__import__('subprocess').check_output("
                          "['cat', '/proc/self/oom_score_adj'], text=True)"))
    end).

oom_score_adj(Process) ->
    {ok, Text} = file:read_file(["/proc/", Process, "/oom_score_adj"]),
    binary_to_integer(string:trim(Text)).
