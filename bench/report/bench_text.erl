%% SPDX-License-Identifier: Apache-2.0
%%
%% Pure. Findings as lines that a person reads: the ratio first.
-module(bench_text).

-export([head/0, line/1, machine/1, failures/1]).

-define(COLUMNS, "~-5ts~6ts  ~-16ts~-18ts~-18ts~-40ts~ts").

-spec head() -> unicode:chardata().
head() ->
    format(?COLUMNS, ["CPU", "ratio", "quartiles", "goal", "row", "", "medians"]).

-spec line(bench_run:finding()) -> unicode:chardata().
line(#{row := #{name := Name, title := Title}, setting := Setting, outcome := Outcome} = Finding) ->
    {Ratio, Quartiles} = ratio(Outcome),
    format(?COLUMNS, [Setting, Ratio, Quartiles, goal(Finding), Name, Title, medians(Finding)]).

ratio({ok, #{sides := #{pyport := #{ratio := #{} = Spread}}}}) ->
    #{low := Low, median := Median, high := High} = Spread,
    {two(Median), [two(Low), "..", two(High)]};
ratio(_) ->
    {"-", ""}.

goal(#{goal := none}) ->
    "";
goal(#{goal := Goal, row := #{unit := Unit}, verdict := Verdict}) ->
    [bench_goal:text(Goal, fun(N) -> amount(Unit, N) end), " ", mark(Verdict)].

mark(met) -> "met";
mark(missed) -> "missed".

medians(#{outcome := {error, Why}}) when is_list(Why) ->
    ["not measured: ", Why];
medians(#{outcome := {error, Why}}) ->
    ["not measured: ", io_lib:format("~0tP", [Why, 20])];
medians(#{outcome := {ok, #{sides := Sides}}, row := Row}) ->
    lists:join("; ", [side(Side, maps:get(Side, Sides), Row)
                      || Side <- [pyport, floor | bench_peers:names()], is_map_key(Side, Sides)]).

side(Side, #{figure := #{median := Median}} = Summary, #{unit := Unit, figure := Figure}) ->
    [atom_to_list(Side), " ", amount(Unit, Median), peer_ratio(Side, Summary),
     p99(Figure, Summary)].

peer_ratio(Side, #{ratio := #{median := Ratio}}) when Side =/= floor, Side =/= pyport ->
    [" = ", two(Ratio), " ×"];
peer_ratio(_, _) ->
    "".

p99(Figure, #{p99 := Us}) when Figure =:= latency; Figure =:= rate ->
    [" (p99 ", amount(time, Us), ")"];
p99(_, _) ->
    "".

%% Of times that are microseconds, rates a second, and MB.
amount(time, Us) -> scaled(Us, [{1.0e6, "s"}, {1.0e3, "ms"}, {1, "µs"}]);
amount(rate, N) -> scaled(N, [{1.0e6, "M/s"}, {1.0e3, "k/s"}, {1, "/s"}]);
amount(memory, Mb) -> scaled(Mb, [{1, "MB"}]).

scaled(Number, [{Unit, Name} | Smaller]) when Number >= Unit; Smaller =:= [] ->
    [three(Number / Unit), " ", Name];
scaled(Number, [_ | Smaller]) ->
    scaled(Number, Smaller).

%% Three digits that count.
three(N) when N >= 100 -> io_lib:format("~b", [round(N)]);
three(N) when N >= 10 -> io_lib:format("~.1f", [N]);
three(N) -> two(N).

two(N) -> io_lib:format("~.2f", [float(N)]).

-spec machine(bench_machine:facts()) -> unicode:chardata().
machine(#{pyport := Pyport, otp := Otp, python := Python, cpus := Cpus, model := Model,
          kernel := Kernel, load := Load}) ->
    format("pyport ~ts, OTP ~ts, Python ~ts; ~b × ~ts, Linux ~ts, load ~ts",
           [Pyport, Otp, Python, Cpus, Model, Kernel, Load]).

%% The last words: what was missed.
-spec failures([bench_run:finding()]) -> unicode:chardata().
failures(Findings) ->
    Goals = [Finding || #{goal := Goal} = Finding <- Findings, Goal =/= none],
    Missed = [[atom_to_list(Name), " (", atom_to_list(Setting), ")"]
              || #{verdict := missed, row := #{name := Name}, setting := Setting} <- Goals],
    format("~b of ~b goals missed~ts", [length(Missed), length(Goals), listed(Missed)]).

listed([]) -> "";
listed(Missed) -> [": ", lists:join(", ", Missed)].

format(Format, Args) ->
    [string:trim(io_lib:format(Format, Args), trailing), $\n].
