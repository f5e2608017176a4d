%% SPDX-License-Identifier: Apache-2.0
%%
%% Findings as pictures, drawn by gnuplot: calls a second and times of calls over callers,
%% and times over bytes.
-module(bench_plots).

-export([draw/2, scripts/1]).

%% The names of the pictures that are now in this folder. Their scripts stand beside them.
-spec draw(file:filename(), [bench_run:finding()]) -> {ok, [string()]} | {error, string()}.
draw(Folder, Findings) ->
    Scripts = [{filename:join(Folder, Name), Script} || {Name, Script} <- scripts(Findings)],
    [ok = file:write_file(Name ++ ".gnuplot", script(Name, Script)) || {Name, Script} <- Scripts],
    case os:find_executable("gnuplot") of
        false ->
            {error, "there is no gnuplot (Debian: gnuplot-nox)"};
        Gnuplot ->
            {ok, [drawn(Gnuplot, Name) || {Name, _} <- Scripts]}
    end.

drawn(Gnuplot, Name) ->
    _ = bench_program:output(Gnuplot, [Name ++ ".gnuplot"]),
    Name ++ ".svg".

script(Name, Script) ->
    unicode:characters_to_binary(
        ["set terminal svg size 900,520 background 'white'\nset encoding utf8\n"
         "set output '", Name, ".svg'\n", Script]).

%% Those for which there are at least two points.
-spec scripts([bench_run:finding()]) -> [{string(), unicode:chardata()}].
scripts(Findings) ->
    Pictures = [{"throughput", [callers_axis(), "set yrange [0:*]\nset format y '%.0s %c/s'\n"],
                 lines(Findings, callers, rates())},
                {"latency", [callers_axis(), seconds_axis()], lines(Findings, callers, times())},
                {"size", ["set logscale x 2\nset format x '%.0b %BB'\n", seconds_axis()],
                 lines(Findings, bytes, times())}],
    [{Name, picture(Axes, Lines)} || {Name, Axes, Lines} <- Pictures, Lines =/= []].

callers_axis() -> "set xlabel 'callers'\nset logscale x\n".
seconds_axis() -> "set logscale y\nset format y '%.0s %cs'\n".

%% What a point's height is: of a row and of what one side has shown.
rates() -> [{"", fun rate/2}].
times() -> [{"", fun(_, #{call := Us}) -> Us / 1.0e6 end},
            {", p99", fun(_, #{p99 := Us}) -> Us / 1.0e6 end}].

%% One caller's rate follows from the time of its calls.
rate(#{figure := rate}, #{figure := #{median := Rate}}) -> Rate;
rate(_, #{call := Us}) -> 1.0e6 / Us.

lines(Findings, Axis, Heights) ->
    All = [{title(Side, Setting, What), points(Findings, Axis, Side, Setting, Height)}
           || Side <- bench_sides:names(), Setting <- bench_rows:settings(),
              {What, Height} <- Heights],
    [Line || {_, [_, _ | _]} = Line <- All].

title(Side, Setting, What) ->
    [atom_to_list(Side), ", ", atom_to_list(Setting), What].

points(Findings, Axis, Side, Setting, Height) ->
    lists:sort([{X, Height(Row, Summary)}
                || #{row := #{plot := {Of, X}} = Row, setting := In,
                     outcome := {ok, #{sides := #{Side := Summary}}}} <- Findings,
                   Of =:= Axis, In =:= Setting]).

picture(Axes, Lines) ->
    Numbered = lists:zip(lists:seq(1, length(Lines)), Lines),
    ["set autoscale xfix\nset grid\nset key outside\n", Axes,
     [data(N, Points) || {N, {_, Points}} <- Numbered],
     "plot ", lists:join(", ", [line(N, Title) || {N, {Title, _}} <- Numbered]), "\n"].

data(N, Points) ->
    [io_lib:format("$line~b << EOD~n", [N]),
     [io_lib:format("~b ~.3e~n", [X, float(Y)]) || {X, Y} <- Points], "EOD\n"].

line(N, Title) ->
    io_lib:format("$line~b with linespoints title '~ts' noenhanced", [N, Title]).
