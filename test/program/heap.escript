#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Python's heap, counted and limited: the program alone.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MIB, 1048576).
-define(LIMIT, (64 * ?MIB)).

main(_) ->
    tap:run([{"arenas are always counted", fun arenas/0},
             {"a heap is counted only if it is asked for", fun off/0}
             | [counted(Kind) || Kind <- kinds()]]
            ++ [
             {"a wrong limit", fun usage/0},
             {"a kind that cannot be counted", fun unknown_kind/0}
            ]).

%% What PYTHONMALLOC may say.
kinds() -> ["default", "debug", "malloc", "malloc_debug", "pymalloc", "pymalloc_debug"].

with_program(Args, Fun) ->
    Port = raw:open(Args),
    Result = Fun(Port),
    raw:close(Port),
    Result.

%% The variable is the program's only.
with_env(Name, Value, Fun) ->
    Before = os:getenv(Name),
    os:putenv(Name, Value),
    try Fun() after
        case Before of false -> os:unsetenv(Name); _ -> os:putenv(Name, Before) end
    end.

exec(Port, Code) -> raw:ask(Port, {exec, Code}).

detail(Port) ->
    {ok, Detail} = raw:ask(Port, memory_detail),
    Detail.

current(Port) ->
    #{heap := #{current := Current, peak := Peak}} = detail(Port),
    ?assert(Current =< Peak),
    Current.

arenas() ->
    with_env("PYTHONMALLOC", "pymalloc", fun() -> with_program([], fun(Port) ->
        #{arenas := #{count := Before, bytes := Bytes}} = detail(Port),
        ?assert(Before > 0 andalso Bytes >= Before * 4096),
        ok = exec(Port, <<"kept = [bytes(100) for _ in range(100000)]">>),
        #{arenas := #{count := More}} = detail(Port),
        ?assert(More - Before >= 10),
        ok = exec(Port, <<"kept.clear()">>),
        #{arenas := #{count := After}} = detail(Port),
        ?assert(After < Before + 10)
    end) end).

off() ->
    with_program([], fun(Port) -> ?assertNot(maps:is_key(heap, detail(Port))) end).

%% Whichever allocator is below, and whatever checks are above it.
counted(Kind) ->
    {["what is counted and what is freed is the same: ", Kind], fun() ->
        with_env("PYTHONMALLOC", Kind, fun() ->
            with_program(["--account"], fun same/1)
        end)
    end}.

same(Port) ->
    ok = exec(Port, <<"kept = []">>),
    ok = round(Port, <<"bytes(100) for _ in range(100000)">>),
    [?assertEqual(ok, round(Port, Items)) || Items <- items()].

items() ->
    [<<"bytes(100) for _ in range(100000)">>, <<"bytes(10000) for _ in range(1000)">>,
     <<"bytearray(2**26),">>, <<"{'a': n, 'b': str(n)} for n in range(50000)">>].

%% Grows by at least 8 MiB, and is back where it was within a few blocks.
round(Port, Items) ->
    Before = current(Port),
    ok = exec(Port, <<"kept.extend([", Items/binary, "])">>),
    ?assert(current(Port) - Before > 8 * ?MIB),
    ok = exec(Port, <<"kept.clear()">>),
    ?assert(abs(current(Port) - Before) < ?MIB div 16),
    ok.

usage() ->
    [begin
         #{code := 64, stderr := Text} = raw:run(["--heap", Value], <<>>),
         ?assert(fixture:contains(Text, "--heap"))
     end || Value <- ["0", "1000", "-1", "much"]].

%% Python itself refuses a word that it does not know.
unknown_kind() ->
    with_env("PYTHONMALLOC", "nonsense", fun() ->
        #{code := 70, replies := [{undefined, {error, {start_failed, Why}}}]} =
            raw:run(["--account"], raw:frame({1, version})),
        ?assert(fixture:contains(Why, "PYTHONMALLOC"))
    end).
