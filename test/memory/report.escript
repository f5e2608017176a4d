#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem:report and overview: of pools that run, of one, of a worker, with workers that
%% are busy, stopped or starting; and no idle program is woken.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => <<"import wedge">>}, [
        {"a report of all pools", fun all/0},
        {"of one, and of one worker", fun one/0},
        {"what is wrong", fun wrong/0},
        {"what a worker runs", fun running/0},
        {"one that is stopped is there with what the kernel says", fun stopped/0},
        {"one that starts has no numbers yet", fun starting/0},
        {"no idle program is woken", fun asleep/0}
    ])).

%% The lines that the function prints.
printed(Fun) ->
    Self = self(),
    Leader = group_leader(),
    group_leader(spawn_link(fun() -> device(Self, Leader) end), self()),
    try Fun() after group_leader(Leader, self()) end,
    receive {printed, Text} -> string:split(string:trim(Text, trailing, "\n"), "\n", all)
    after 0 -> []
    end.

%% Takes what is printed; all that is printed at once.
device(Owner, Leader) ->
    receive
        {io_request, From, Ref, {put_chars, unicode, Text}} ->
            Owner ! {printed, unicode:characters_to_binary(Text)},
            From ! {io_reply, Ref, ok},
            device(Owner, Leader);
        Other ->
            Leader ! Other,
            device(Owner, Leader)
    end.

all() ->
    {ok, _} = py:start_pool(pdf, #{size => 1, memory => #{rss => 1_000_000_000}}),
    [<<"2 pools, 3 workers, ", _/binary>>, <<>>, <<"default: 2 workers", _/binary>> | Lines] =
        printed(fun() -> ok = py_mem:report() end),
    [<<"pdf: 1 worker, 0 busy", _/binary>>, <<>>, _, Worker | _] =
        lists:dropwhile(fun(Line) -> not fixture:contains(Line, "pdf:") end, Lines),
    [OsPid] = fixture:os_pids(pdf),
    {match, _} = re:run(Worker, ["^ +1 +", integer_to_list(OsPid), " +idle .* rss \\d+%"]).

one() ->
    [<<"1 pool, 1 worker, ", _/binary>> | Pdf] = printed(fun() -> ok = py_mem:report(pdf) end),
    ?assertEqual(length(Pdf) + 1, length(printed(fun() -> ok = py_mem:report({pdf, all}) end))),
    [<<"1 pool, 1 worker, ", _/binary>>, _, <<"default: 1 worker, ", _/binary>>, _, _,
     <<"  2 ", _/binary>> | _] = printed(fun() -> ok = py_mem:report({default, 2}) end),
    ok = py:stop_pool(pdf).

wrong() ->
    ?assertEqual([], printed(fun() -> {error, {no_pool, nobody}} = py_mem:report(nobody) end)),
    ?assertEqual({error, {no_worker, {default, 3}}}, py_mem:report({default, 3})),
    ?assertError(badarg, py_mem:report("default")).

worker(Id) ->
    [#{name := default, queue := #{waiting := 0}, workers := Workers}] = py_mem:overview(),
    lists:nth(Id, Workers).

running() ->
    ?assertMatch(#{state := idle, running := none}, worker(1)),
    Held = fixture:hold(#{pool => {default, 1}}),
    fixture:wait_until(fun() -> maps:get(busy, worker(1)) =:= false end),
    #{id := 1, state := busy, rss := Rss, running := {wedge, until, 1}} = worker(1),
    ?assert(Rss > 0),
    _ = fixture:release(Held).

stopped() ->
    #{os_pid := OsPid} = worker(1),
    ok = fixture:stop(OsPid),
    #{id := 1, busy := true, os_pid := OsPid, rss := _} = worker(1),
    _ = fixture:kill("CONT", OsPid).

%% The other one is there as ever.
starting() ->
    #{os_pid := OsPid} = worker(2),
    _ = fixture:kill("KILL", OsPid),
    fixture:wait_until(fun() -> not is_map_key(rss, worker(2)) end),
    ?assert(is_map_key(rss, worker(1))),
    fixture:wait_until(fun() -> is_map_key(rss, worker(2)) end).

%% The kernel counts how often a program has slept. Its pool trims it a second after it
%% has fallen idle.
asleep() ->
    [OsPid | _] = fixture:os_pids(),
    fixture:wait_until(fun() -> slept(OsPid) =:= begin timer:sleep(2000), slept(OsPid) end end),
    Before = slept(OsPid),
    [_ = py_mem:overview() || _ <- lists:seq(1, 20)],
    ?assertEqual(Before, slept(OsPid)).

slept(OsPid) ->
    Threads = filelib:wildcard("/proc/" ++ integer_to_list(OsPid) ++ "/task/*/status"),
    lists:sum([switches(File) || File <- Threads]).

switches(File) ->
    {ok, Status} = file:read_file(File),
    {match, [N]} = re:run(Status, "^voluntary_ctxt_switches:\\s+(\\d+)",
                          [multiline, {capture, all_but_first, list}]),
    list_to_integer(N).
