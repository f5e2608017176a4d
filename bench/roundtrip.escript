#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa bench/lib
%%
%% What a call costs, beside a floor measured in the same run: a C program that
%% only echoes the same frames, behind the same kind of gen_server. Run it with
%% `make bench`; ECHO is the echo program.
-mode(compile).

-define(GOAL, 1.6).

main(_) ->
    io:setopts([{encoding, unicode}]),
    ok = logger:set_primary_config(level, warning),
    {ok, _} = application:ensure_all_started(py),
    Workers = length(maps:get(workers, py:info())),
    Echoes = [element(2, {ok, _} = echo_server:start_link(echo())) || _ <- lists:seq(1, Workers)],
    machine(Workers),
    round_trip(hd(Echoes)),
    throughput(list_to_tuple(Echoes)),
    large(hd(Echoes)),
    [echo_server:stop(Server) || Server <- Echoes],
    ok = application:stop(py).

echo() ->
    os:getenv("ECHO", filename:join([os:getenv("top_builddir", "."), "bench", "echo"])).

machine(Workers) ->
    {ok, Version} = py:version(),
    say("OTP ~s, Python ~ts, ~b schedulers, ~b workers, ~b echo programs~n",
        [erlang:system_info(otp_release), hd(string:split(Version, " ")),
         erlang:system_info(schedulers_online), Workers, Workers]).

%% The floor's frame is made beforehand and its reply is not decoded.
round_trip(Echo) ->
    Op = op({call, operator, add, [1, 2], #{}}),
    Result = rounds:latency(fun() -> echo_server:echo(Echo, Op) end,
                            fun() -> {ok, 3} = py:call(operator, add, [1, 2]) end, 301, 300),
    say("py:call(operator, add, [1, 2]), one caller, medians of 301 rounds of 300", []),
    row("round trip", "µs", Result),
    say("~-28ts~38ts~n", ["", io_lib:format("goal: at most ~.2f", [?GOAL])]).

throughput(Echoes) ->
    say("calls a second, medians of 15 rounds", []),
    Op = op({call, operator, add, [1, 2], #{}}),
    Floor = fun(N) ->
        Echo = element(1 + N rem tuple_size(Echoes), Echoes),
        fun() -> echo_server:echo(Echo, Op) end
    end,
    Py = fun(_) -> fun() -> {ok, 3} = py:call(operator, add, [1, 2]) end end,
    [row(io_lib:format("~b callers", [Callers]), "/s",
         rounds:throughput(Floor, Py, Callers, 15, 12_800)) || Callers <- [1, 8, 64]],
    say("", []).

%% Large values: the whole way with encoding and decoding on both sides, beside
%% the echo of the same bytes.
large(Echo) ->
    say("large values both ways, one caller, medians of 31 rounds of 5", []),
    Text = binary:copy(<<"0123456789abcdef">>, 65536),
    Values = [{"1 MB of text", Text}, {"1 MB of bytes", {bytes, Text}},
              {"a list of 100,000 integers", lists:seq(1, 100_000)},
              {"a map of 10,000 texts",
               maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 10_000)])}],
    [begin
         Op = op({eval, <<"x">>, #{x => Value}}),
         row(What, "µs",
             rounds:latency(fun() -> echo_server:echo(Echo, Op) end,
                            fun() -> {ok, _} = py:eval(<<"x">>, #{x => Value}) end, 31, 5))
     end || {What, Value} <- Values].

op(Term) ->
    <<131, Op/binary>> = term_to_binary(Term),
    Op.

row(What, Unit, {Floor, Py, Ratio}) ->
    say("~-28ts floor ~9.1f ~ts   py ~9.1f ~ts   ratio ~.2f", [What, Floor, Unit, Py, Unit, Ratio]).

say(Format, Args) ->
    io:format(Format ++ "~n", Args).
