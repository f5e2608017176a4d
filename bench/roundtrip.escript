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
    [Floor, Py] = rounds:latency([fun() -> echo_server:echo(Echo, Op) end,
                                  fun() -> {ok, 3} = py:call(operator, add, [1, 2]) end],
                                 41, 2000),
    say("py:call(operator, add, [1, 2]), one caller, median of 41 rounds of 2,000", []),
    row("round trip", Floor, Py, "µs", Py / Floor),
    say("~-28ts~38ts~n", ["", io_lib:format("goal: at most ~.2f", [?GOAL])]).

throughput(Echoes) ->
    say("calls a second, median of 11 rounds", []),
    Op = op({call, operator, add, [1, 2], #{}}),
    Floor = fun(N) ->
        Echo = element(1 + N rem tuple_size(Echoes), Echoes),
        fun() -> echo_server:echo(Echo, Op) end
    end,
    Py = fun(_) -> fun() -> {ok, 3} = py:call(operator, add, [1, 2]) end end,
    [begin
         [F, P] = rounds:throughput([Floor, Py], Callers, 11, 20_000),
         row(io_lib:format("~b callers", [Callers]), F, P, "/s", F / P)
     end || Callers <- [1, 8, 64]],
    say("", []).

%% Large values: the whole way with encoding and decoding on both sides, beside
%% the echo of the same bytes.
large(Echo) ->
    say("large values both ways, one caller, median of 15 rounds of 20", []),
    Text = binary:copy(<<"0123456789abcdef">>, 65536),
    Values = [{"1 MB of text", Text}, {"1 MB of bytes", {bytes, Text}},
              {"a list of 100,000 integers", lists:seq(1, 100_000)},
              {"a map of 10,000 texts",
               maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 10_000)])}],
    [begin
         Op = op({eval, <<"x">>, #{x => Value}}),
         [Floor, Py] = rounds:latency([fun() -> echo_server:echo(Echo, Op) end,
                                       fun() -> {ok, _} = py:eval(<<"x">>, #{x => Value}) end],
                                      15, 20),
         row(What, Floor, Py, "µs", Py / Floor)
     end || {What, Value} <- Values].

op(Term) ->
    <<131, Op/binary>> = term_to_binary(Term),
    Op.

row(What, Floor, Py, Unit, Ratio) ->
    say("~-28ts floor ~9.1f ~ts   py ~9.1f ~ts   ratio ~.2f", [What, Floor, Unit, Py, Unit, Ratio]).

say(Format, Args) ->
    io:format(Format ++ "~n", Args).
