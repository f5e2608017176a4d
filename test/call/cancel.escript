#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Cancel: what runs is interrupted, what waits never starts, what is over is
%% not touched, and nobody else's request is ever hit. NUMTESTS is the number of
%% random cases.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% How long a cancelled call may take to be over (ms).
-define(SOON, 500).

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => <<"import os, time, wedge">>}, [
        {"cancel of what runs", fun running/0},
        {"cancel of what waits: it never starts", fun waiting/0},
        {"cancel of what is bound to a busy worker: it never starts", fun waiting_bound/0},
        {"cancel of what is over: the result stays", fun finished/0},
        {"cancel of what was awaited already", fun awaited/0},
        {"cancel twice", fun twice/0},
        {"cancel of what was never a call", fun unknown/0},
        {"cancel of another process' call", fun of_another/0},
        {"cancel while somebody else's call runs there", fun neighbours/0},
        {"code that swallows Cancelled goes on and answers", fun swallowed/0},
        {"no other thing is a reference", fun not_a_reference/0},
        {"a caller's death cancels what runs", fun caller_dies/0},
        {"a caller's death cancels what waits", fun waiting_caller_dies/0},
        {"the death of who spawned a call cancels it", fun owner_dies/0},
        {"the death of a stream's owner closes the generator", fun stream_owner_dies/0},
        {"cancel costs no worker", fun same_workers/0},
        {"every result belongs to its request, whatever is cancelled", 240_000, fun random/0}
    ])).

file() ->
    filename:join(fixture:tmpdir(), "how").

confess(File) ->
    py:spawn_call(wedge, confess, [list_to_binary(File), 30]).

%% Waits until the call has started.
started(File) ->
    fixture:wait_until(fun() -> filelib:is_file(File ++ ".started") end).

%% Python's own word of how the call ended.
how(File) ->
    fixture:wait_until(fun() -> filelib:file_size(File) > 0 end),
    element(2, {ok, _} = file:read_file(File)).

never_started(File) ->
    timer:sleep(100),
    ?assertNot(filelib:is_file(File ++ ".started")).

%% Both workers are busy while the fun runs.
with_busy_pool(Fun) ->
    Files = [file(), file()],
    Refs = [confess(File) || File <- Files],
    [started(File) || File <- Files],
    Result = Fun(),
    [ok = py:cancel(Ref) || Ref <- Refs],
    [?assertEqual({error, cancelled}, py:await(Ref)) || Ref <- Refs],
    Result.

%% ---------------------------------------------------------------------------

running() ->
    File = file(),
    Ref = confess(File),
    started(File),
    {Ms, Result} = figure:within(?SOON, fun() -> ok = py:cancel(Ref), py:await(Ref) end),
    tap:note("over after ~.1f ms", [Ms]),
    ?assertEqual({error, cancelled}, Result),
    ?assertEqual(<<"Cancelled">>, how(File)).

waiting() ->
    File = file(),
    with_busy_pool(fun() ->
        Ref = confess(File),
        timer:sleep(50),
        {_, Result} = figure:within(?SOON, fun() -> ok = py:cancel(Ref), py:await(Ref) end),
        ?assertEqual({error, cancelled}, Result)
    end),
    never_started(File).

waiting_bound() ->
    ok = py:exec(<<"mine = 1">>),
    [First, Second] = [file(), file()],
    [Ref1, Ref2] = [confess(File) || File <- [First, Second]],
    started(First),
    timer:sleep(50),
    ok = py:cancel(Ref2),
    ?assertEqual({error, cancelled}, py:await(Ref2)),
    ok = py:cancel(Ref1),
    ?assertEqual({error, cancelled}, py:await(Ref1)),
    never_started(Second).

finished() ->
    Ref = py:spawn_call(math, sqrt, [4]),
    timer:sleep(200),
    ok = py:cancel(Ref),
    ?assertEqual({ok, 2.0}, py:await(Ref)).

awaited() ->
    Ref = py:spawn_call(math, sqrt, [4]),
    ?assertEqual({ok, 2.0}, py:await(Ref)),
    ?assertEqual(ok, py:cancel(Ref)).

twice() ->
    File = file(),
    Ref = confess(File),
    started(File),
    ok = py:cancel(Ref),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    ?assertEqual(ok, py:cancel(Ref)).

unknown() ->
    ?assertEqual(ok, py:cancel(make_ref())),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

%% Another's call is not ours to cancel.
of_another() ->
    Self = self(),
    Owner = spawn_link(fun() ->
        Ref = py:spawn_call(wedge, late, [mine, 0.3]),
        Self ! {ref, Ref},
        Self ! {result, py:await(Ref)}
    end),
    Ref = receive {ref, R} -> R end,
    ?assertEqual(ok, py:cancel(Ref)),
    ?assertEqual({ok, mine}, receive {result, Result} -> Result end),
    unlink(Owner).

%% Many short calls around one that is cancelled again and again.
neighbours() ->
    Others = [py:spawn_call(wedge, late, [N, 0.02]) || N <- lists:seq(1, 30)],
    [begin
         Ref = py:spawn_call(wedge, sleep, []),
         timer:sleep(rand:uniform(30)),
         ok = py:cancel(Ref),
         ?assertEqual({error, cancelled}, py:await(Ref))
     end || _ <- lists:seq(1, 10)],
    ?assertEqual([{ok, N} || N <- lists:seq(1, 30)], [py:await(Ref) || Ref <- Others]).

%% Whoever cancelled has given up on the call; its worker goes on.
swallowed() ->
    Ref = py:spawn_call(wedge, tolerate, [0.2]),
    timer:sleep(50),
    ok = py:cancel(Ref),
    Result = py:await(Ref),
    ?assert(Result =:= {error, cancelled} orelse Result =:= {ok, true}).

not_a_reference() ->
    [?assertError(badarg, py:cancel(What)) || What <- [1, atom, self(), <<"ref">>]].

%% ---------------------------------------------------------------------------

caller_dies() ->
    File = file(),
    Caller = spawn(fun() -> py:call(wedge, confess, [list_to_binary(File), 30]) end),
    started(File),
    exit(Caller, kill),
    ?assertEqual(<<"Cancelled">>, how(File)).

waiting_caller_dies() ->
    File = file(),
    with_busy_pool(fun() ->
        Caller = spawn(fun() -> py:call(wedge, confess, [list_to_binary(File), 30]) end),
        timer:sleep(50),
        exit(Caller, kill)
    end),
    never_started(File).

owner_dies() ->
    File = file(),
    Owner = spawn(fun() -> confess(File), receive after infinity -> ok end end),
    started(File),
    exit(Owner, kill),
    ?assertEqual(<<"Cancelled">>, how(File)).

stream_owner_dies() ->
    Self = self(),
    Owner = spawn(fun() ->
        {ok, Stream} = py:stream_open({wedge, counting, [Self, 1_000_000]}),
        {ok, _} = py:stream_next(Stream),
        Self ! pulled,
        receive after infinity -> ok end
    end),
    receive pulled -> ok end,
    exit(Owner, kill),
    receive closed -> ok after 30_000 -> error(not_closed) end.

same_workers() ->
    ?assertEqual([0, 0], [Restarts || #{restarts := Restarts} <- fixture:workers()]).

%% ---------------------------------------------------------------------------
%% Calls of some milliseconds each from a few processes, any of which may be
%% cancelled at any time: who was cancelled has its own result or was cancelled,
%% everybody else has its own result.

random() ->
    case code:lib_dir(proper) of
        {error, _} -> tap:skip("PropEr is not installed (Debian: erlang-proper)");
        _ -> hold(generate:forall(cases(), {fun holds/1, fun explain/1}))
    end.

hold(Property) ->
    NumTests = list_to_integer(os:getenv("NUMTESTS", "100")),
    Options = [{numtests, max(1, NumTests div 3)}, {max_size, 30}, quiet, long_result],
    case proper:quickcheck(Property, Options) of
        true -> ok;
        Counterexample -> error({does_not_hold, Counterexample})
    end.

%% A case: for each process, for each of its calls, how long it takes and after
%% how long it is cancelled (ms).
cases() ->
    Call = {proper_types:range(0, 15),
            generate:weighted([{2, never}, {1, proper_types:range(0, 20)}])},
    generate:some(6, generate:some(12, Call)).

holds(Case) ->
    lists:all(fun is_right/1, results(Case)).

explain(Case) ->
    tap:note("wrong: ~0tp", [[R || R <- results(Case), not is_right(R)]]).

results(Case) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), run(Calls)} end) || Calls <- Case],
    lists:append([receive {Pid, Results} -> Results end || Pid <- Pids]).

run(Calls) ->
    Started = [start(Call) || Call <- Calls],
    [cancel_later(Begun) || Begun <- lists:keysort(3, Started)],
    [{Token, After, py:await(Ref)} || {Ref, Token, After} <- Started].

start({Ms, After}) ->
    Token = erlang:unique_integer(),
    {py:spawn_call(wedge, late, [Token, Ms / 1000]), Token, After}.

cancel_later({_, _, never}) -> ok;
cancel_later({Ref, _, After}) -> timer:sleep(After div 4), py:cancel(Ref).

is_right({Token, _, {ok, Token}}) -> true;
is_right({_, After, {error, cancelled}}) -> After =/= never;
is_right(_) -> false.
