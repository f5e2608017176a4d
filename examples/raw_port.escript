#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% The program without the py application: open_port, term_to_binary, and the
%% grammar of docs/protocol.md are all that is needed.
%%
%%     escript examples/raw_port.escript [/path/to/pyport]
%%
%% The path may also be in the environment as PYPORT; else the installed (or
%% staged, see ERL_LIBS) application is asked for it.

main(Args) ->
    Port = open_port({spawn_executable, program(Args)},
                     [{packet, 4}, binary, exit_status]),
    hello(Port),
    memory(Port),
    tracing(Port),
    values(Port),
    errors(Port),
    streaming(Port),
    close(Port).

program([Path]) ->
    Path;
program([]) ->
    case os:getenv("PYPORT") of
        false -> filename:join(code:priv_dir(py), "pyport");
        Path -> Path
    end.

%% A request is {Id, Op}; its reply has the same Id: any term will do.
request(Port, Op) ->
    Id = make_ref(),
    port_command(Port, term_to_binary({Id, Op})),
    receive
        {Port, {data, Frame}} ->
            {Id, Result} = binary_to_term(Frame),
            Result;
        {Port, {exit_status, Code}} ->
            error({pyport_ended, Code})
    after 30_000 ->
        error(no_reply)
    end.

show(Format, Args) ->
    io:format(Format ++ "~n", Args).

hello(Port) ->
    {ok, #{python := Python, os_pid := OsPid}} = request(Port, hello),
    show("Python ~ts runs as process ~b", [Python, OsPid]).

memory(Port) ->
    {ok, #{gc_count := Count, gc_threshold := Threshold, gc_stats := Generations}} =
        request(Port, memory_stats),
    show("objects by generation ~p, thresholds ~p", [Count, Threshold]),
    [show("    ~p", [Generation]) || Generation <- Generations],
    ok = request(Port, {exec, <<"for _ in range(100):\n    knot = []\n    knot.append(knot)\n">>}),
    {ok, Collected} = request(Port, gc),
    show("gc collected ~b objects that held each other", [Collected]).

tracing(Port) ->
    ok = request(Port, {tracemalloc_start, 5}),
    ok = request(Port, {exec, <<"squares = [n ** 2 for n in range(100_000)]">>}),
    {ok, #{traced_memory_current := Current, traced_memory_peak := Peak}} =
        request(Port, memory_stats),
    show("traced: ~b bytes now, ~b at the peak", [Current, Peak]),
    ok = request(Port, tracemalloc_stop).

values(Port) ->
    Locals = #{name => <<"Erlang">>, numbers => [1, 2.5, 1 bsl 70]},
    {ok, Value} = request(Port, {eval, <<"(f'Hello, {name}!', sum(numbers))">>, Locals}),
    show("eval with locals: ~p", [Value]),
    {ok, 3} = request(Port, {call, operator, add, [1, 2], #{}}),
    {ok, Json} = request(Port, {call, json, dumps, [#{answer => 42}], #{indent => 1}}),
    show("call with keyword arguments: ~ts", [Json]).

errors(Port) ->
    {error, {'ZeroDivisionError', Message}} = request(Port, {eval, <<"1/0">>, #{}}),
    show("an exception is a value: ~ts", [Message]),
    {error, {badarg, Why}} = request(Port, no_such_operation),
    show("so is a mistake of ours: ~ts", [Why]).

%% A stream sends as many items as there is credit for, in chunks.
streaming(Port) ->
    Source = {eval, <<"(n * n for n in range(10))">>, #{}},
    port_command(Port, term_to_binary({squares, {stream, Source}, #{chunk => 4, credit => 4}})),
    show("stream: ~w", [chunks(Port)]).

chunks(Port) ->
    receive
        {Port, {data, Frame}} ->
            case binary_to_term(Frame) of
                {squares, {chunk, Items}} ->
                    port_command(Port, term_to_binary({more, squares, length(Items)})),
                    [Items | chunks(Port)];
                {squares, ok} ->
                    []
            end
    after 30_000 ->
        error(no_chunk)
    end.

%% Closing the port ends the program's input, which ends the program.
close(Port) ->
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    true = port_close(Port),
    wait_for_end(OsPid, 100),
    show("closed; process ~b is gone", [OsPid]).

wait_for_end(OsPid, Tries) ->
    case filelib:is_dir("/proc/" ++ integer_to_list(OsPid)) of
        true when Tries > 0 -> timer:sleep(20), wait_for_end(OsPid, Tries - 1);
        true -> error({still_running, OsPid});
        false -> ok
    end.
