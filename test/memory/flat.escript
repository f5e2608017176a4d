#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Nothing grows: 100,000 calls of each operation (FLAT_CALLS of them) leave
%% the worker's descriptors and memory, and the VM's memory, processes, ports
%% and atoms, where they were after a first tenth.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% Less than one leaked object of the smallest size (16 bytes in Python, two
%% words in Erlang) for each of 100,000 calls.
-define(WORKERS_KB, 1_000).
-define(VM_BYTES, 1_600_000).
%% An allocator may take one more arena (1 MB) at any time. What leaks grows
%% each time.
-define(ROUNDS, 4).

main(_) ->
    Init = <<"import misbehave, raiser, samples\nshared = [1, 'two', (3.0, None)]">>,
    tap:run(fixture:with_app(#{size => 2, init => Init}, [
        {["flat: ", What], 300_000, fun() -> flat(Operation) end}
        || {What, Operation} <- operations()
    ])).

operations() ->
    Term = #{<<"k">> => [1, 2.5, <<"text">>, {a, none}], deep => [[[[1 bsl 70]]]]},
    [{"call", fun(N) -> {ok, N} = py:call(operator, sub, [N + 1, 1]) end},
     {"call with keyword arguments",
      fun(N) -> {ok, #{}} = py:call(builtins, dict, [], #{a => N}) end},
     {"eval", fun(_) -> {ok, [1 | _]} = py:eval(<<"shared">>) end},
     {"eval with locals", fun(_) -> {ok, Term} = py:eval(<<"x">>, #{x => Term}) end},
     {"eval of code that is new each time",
      fun(N) -> {ok, N} = py:eval([integer_to_binary(N), <<" + 0">>]) end},
     {"opaque terms",
      fun(_) -> {ok, [_, _]} = py:eval(<<"x">>, #{x => [self(), make_ref()]}) end},
     {"exec", fun(_) -> ok = py:exec(<<"a = [1, 2, 3]">>) end},
     {"stream", fun(N) -> {ok, [_ | _]} = py:stream(builtins, range, [N, N + 3]) end},
     {"errors", fun(_) -> {error, {'ZeroDivisionError', _}} = py:eval(<<"1/0">>) end},
     {"errors with a traceback",
      fun(_) -> {error, {_, _, #{}}} = py:call(raiser, caused, [], #{}, #{traceback => true}) end},
     {"errors of the encoder",
      fun(_) -> {error, {'TypeError', _}} = py:eval(<<"[shared, {'k': object()}]">>) end},
     {"errors of the decoder",
      fun(_) -> {error, {badarg, _}} = py:eval(<<"x">>, #{x => [Term, <<255>>]}) end},
     {"encoders and dataclasses",
      fun(_) -> {ok, [_, _]} = py:eval(<<"[samples.Celsius(1.0), samples.Slotted(3)]">>) end},
     {"spawn_call and await",
      fun(N) -> {ok, N} = py:await(py:spawn_call(operator, sub, [N + 1, 1])) end},
     {"events", fun(N) -> {ok, _} = py:call(erlang, send, [self(), N]), receive N -> ok end end},
     {"version", fun(_) -> {ok, <<_/binary>>} = py:version() end},
     {"gc", fun(_) -> {ok, _} = py:gc(0) end},
     {"trim", fun(_) -> {ok, _} = py:trim() end},
     {"memory_stats", fun(_) -> {ok, #{}} = py:memory_stats() end}].

flat(Operation) ->
    fixture:unless_sanitized(),
    Calls = list_to_integer(os:getenv("FLAT_CALLS", "100000")),
    repeat(Calls div 10, Operation),
    load_all(),
    flat(Operation, Calls, ?ROUNDS).

%% What is needed for the first time would be loaded, and has atoms.
load_all() ->
    {ok, Modules} = application:get_key(py, modules),
    ok = code:ensure_modules_loaded(Modules),
    measure().

flat(Operation, Calls, Rounds) ->
    Before = measure(),
    {Us, _} = timer:tc(fun() -> repeat(Calls, Operation) end),
    After = measure(),
    Grown = maps:map(fun(Key, Value) -> Value - maps:get(Key, Before) end, After),
    tap:note("~b calls in ~b ms; grown: ~0tp", [Calls, Us div 1000, Grown]),
    #{descriptors := Descriptors, ports := Ports, atoms := Atoms} = Grown,
    ?assertEqual({0, 0, 0}, {Descriptors, Ports, Atoms}),
    case Grown of
        #{rss_kb := Rss, vm := Vm, processes := Processes}
          when Rss < ?WORKERS_KB, Vm < ?VM_BYTES, Processes =< 0 -> ok;
        _ when Rounds > 1 -> flat(Operation, Calls, Rounds - 1);
        _ -> error({grows, Grown})
    end.

%% From 16 processes at once, so that workers always have something to do.
repeat(Calls, Operation) ->
    Share = Calls div 16,
    Pids = [spawn_monitor(fun() -> [Operation(N) || N <- lists:seq(1, Share)] end)
            || _ <- lists:seq(1, 16)],
    [receive {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason end
     || {Pid, Monitor} <- Pids].

measure() ->
    {ok, _} = py:gc(),
    timer:sleep(50),
    [erlang:garbage_collect(Pid) || Pid <- processes()],
    OsPids = fixture:os_pids(),
    #{descriptors => lists:sum([fixture:descriptors(OsPid) || OsPid <- OsPids]),
      rss_kb => lists:sum([fixture:proc_kb(OsPid, "VmRSS") || OsPid <- OsPids]),
      vm => erlang:memory(total), processes => erlang:system_info(process_count),
      ports => length(fixture:ports()), atoms => erlang:system_info(atom_count)}.
