#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Requests whose caller does not wait: spawn_call and await, cast.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import misbehave, raiser">>}, [
        {"spawn_call and await", fun spawn_await/0},
        {"spawn_call with keyword arguments, options", fun spawn_forms/0},
        {"spawn_call runs while the caller works", fun runs_meanwhile/0},
        {"answers are awaited in any order", fun any_order/0},
        {"await twice", fun await_twice/0},
        {"await of another's reference", fun await_of_another/0},
        {"await with a time limit", fun await_limit/0},
        {"an error is awaited as an error", fun await_error/0},
        {"who never awaits gets no message", fun never_awaited/0},
        {"the caller's death cancels its call", fun owner_dies/0},
        {"cast is answered at once", fun cast/0},
        {"a cast that fails troubles nobody", fun cast_fails/0}
    ])).

spawn_await() ->
    Ref = py:spawn_call(math, sqrt, [100]),
    ?assert(is_reference(Ref)),
    ?assertEqual({ok, 10.0}, py:await(Ref)).

spawn_forms() ->
    Kwargs = py:spawn_call(builtins, dict, [], #{a => 1}),
    Options = py:spawn_call(misbehave, sleep_then, [0, none], #{}, #{none => null}),
    Limit = py:spawn_call(misbehave, sleep, [30], #{}, 100),
    ?assertEqual({ok, #{<<"a">> => 1}}, py:await(Kwargs, 5000)),
    ?assertEqual({ok, null}, py:await(Options)),
    ?assertEqual({error, timeout}, py:await(Limit)).

runs_meanwhile() ->
    {_, Result} = figure:within(550, fun() ->
        {_, Ref} = figure:within(200, fun() -> py:spawn_call(misbehave, sleep, [0.3]) end),
        timer:sleep(300),
        py:await(Ref)
    end),
    ?assertEqual({ok, 0.3}, Result).

any_order() ->
    Refs = [{N, py:spawn_call(operator, add, [N, 0])} || N <- lists:seq(1, 50)],
    [?assertEqual({ok, N}, py:await(Ref)) || {N, Ref} <- lists:reverse(Refs)].

await_twice() ->
    Ref = py:spawn_call(math, sqrt, [4]),
    ?assertEqual({ok, 2.0}, py:await(Ref)),
    {_, Second} = figure:within(2000, fun() -> catch py:await(Ref, 200) end),
    ?assertNotMatch({ok, _}, Second).

await_of_another() ->
    Self = self(),
    spawn_link(fun() -> Self ! {ref, py:spawn_call(math, sqrt, [4])}, timer:sleep(1000) end),
    Ref = receive {ref, R} -> R end,
    ?assertNotMatch({ok, _}, catch py:await(Ref, 100)).

await_limit() ->
    Ref = py:spawn_call(misbehave, sleep, [0.5]),
    {_, Result} = figure:within(400, fun() -> py:await(Ref, 50) end),
    ?assertEqual({error, timeout}, Result),
    timer:sleep(700).

await_error() ->
    Ref = py:spawn_call(raiser, plain, []),
    ?assertEqual({error, {'ValueError', <<"plain trouble">>}}, py:await(Ref)).

%% The answer reaches the mailbox as what await looks for, and nothing else;
%% a process that does not want it lives on with at most that one message.
never_awaited() ->
    Ref = py:spawn_call(math, sqrt, [4]),
    timer:sleep(300),
    ?assertEqual({ok, 2.0}, py:await(Ref)),
    Late = py:spawn_call(misbehave, sleep, [0.2]),
    {error, timeout} = py:await(Late, 10),
    timer:sleep(500),
    ?assertEqual({message_queue_len, 0}, process_info(self(), message_queue_len)).

owner_dies() ->
    Marker = filename:join(fixture:tmpdir(), "marker"),
    {Pid, Monitor} = spawn_monitor(fun() ->
        _ = py:spawn_call(misbehave, sleep_then_write, [60, list_to_binary(Marker)]),
        fixture:wait_until(fun() -> not all_idle() end)
    end),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
    fixture:wait_until(fun all_idle/0),
    ?assertEqual({error, enoent}, file:read_file_info(Marker)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

all_idle() ->
    lists:all(fun(#{state := State}) -> State =:= idle end, fixture:workers()).

%% ---------------------------------------------------------------------------

cast() ->
    {_, ok} = figure:within(200, fun() -> py:cast(misbehave, sleep, [0.3]) end),
    ok = py:cast(erlang, send, [self(), 1]),
    ok = py:cast(builtins, 'dict', [], #{a => 1}),
    receive 1 -> ok after 30_000 -> error(nothing_came) end.

cast_fails() ->
    ok = py:cast(no_such_module, f, []),
    ok = py:cast(raiser, plain, []),
    ok = py:cast(math, sqrt, [<<"text">>]),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).
