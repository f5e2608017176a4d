%% SPDX-License-Identifier: Apache-2.0
%%
%% What the samples of some workers come to: sums by line, file or traceback with
%% their errors. Pure.
-module(py_profile_sites).

-export([part/4, profile/2, stacks/1]).
-export_type([part/0, profile/0, row/0, options/0]).

%% What one worker has said. A site's numbers are estimates.
-type part() :: #{id := pos_integer(), os_pid := pos_integer() | undefined, frames := tuple(),
                  sites := [{Frames :: [non_neg_integer()], Bytes :: float(),
                             Variance :: float(), Count :: float()}],
                  rate := pos_integer(), samples := non_neg_integer(),
                  thinned := non_neg_integer(), missed := non_neg_integer(),
                  unnamed := non_neg_integer(), on := 0..1,
                  rest := non_neg_integer() | unknown, _ => _}.
-type options() :: #{by := line | file | traceback, top := pos_integer(), since := start | mark}.
-type row() :: #{bytes := non_neg_integer(), error := non_neg_integer(),
                 count := non_neg_integer(), workers := [pos_integer()], _ => _}.
-type profile() :: #{sites := [row()], bytes := non_neg_integer(), error := non_neg_integer(),
                     samples := non_neg_integer(), rate := pos_integer(),
                     thinned := non_neg_integer(), missed := non_neg_integer(),
                     unnamed := non_neg_integer(), on := non_neg_integer(),
                     rest => non_neg_integer(), stacks := py_mem_sites:snapshot()}.

%% What the program of one worker says, and how many bytes of malloc are in use.
-spec part(pos_integer(), pos_integer() | undefined, map(), Used :: non_neg_integer() | unknown) ->
          part().
part(Id, OsPid, #{frames := Frames, on := On, raw := Raw} = Profile, Used) ->
    Profile#{id => Id, os_pid => OsPid, frames := list_to_tuple(Frames), rest => rest(Used, Raw),
             on := case On of true -> 1; false -> 0 end}.

rest(unknown, _) -> unknown;
rest(Used, Raw) -> max(0, Used - Raw).

%% What some workers have together.
-spec profile([part()], options()) -> profile().
profile(Parts, Options) ->
    {Bytes, Variance, _, _} = total(Parts),
    known(rest, Parts,
          #{sites => rows(Parts, Options), bytes => round(Bytes), error => deviation(Variance),
            rate => lists:max([1 | values(rate, Parts)]), stacks => [stack(Part) || Part <- Parts],
            samples => sum(samples, Parts), thinned => sum(thinned, Parts),
            missed => sum(missed, Parts), unnamed => sum(unnamed, Parts), on => sum(on, Parts)}).

known(Key, Parts, Map) ->
    case lists:member(unknown, values(Key, Parts)) of
        true -> Map;
        false -> Map#{Key => sum(Key, Parts)}
    end.

values(Key, Parts) -> [maps:get(Key, Part) || Part <- Parts].

sum(Key, Parts) -> lists:sum(values(Key, Parts)).

deviation(Variance) -> round(math:sqrt(Variance)).

stack(#{id := Id, os_pid := OsPid, frames := Frames, sites := Sites}) ->
    #{id => Id, os_pid => OsPid, frames => Frames,
      sites => [{Indexes, round(Bytes), round(Count)} || {Indexes, Bytes, _, Count} <- Sites]}.

%% ---------------------------------------------------------------------------
%% Sums: {Bytes, Variance, Count, Workers' ids}

total(Parts) ->
    lists:foldl(fun add/2, nothing(), [numbers(Site, Id) || #{id := Id, sites := Sites} <- Parts,
                                                            Site <- Sites]).

nothing() -> {0.0, 0.0, 0.0, []}.

numbers({_, Bytes, Variance, Count}, Id) -> {Bytes, Variance, Count, [Id]}.

add({Bytes, Variance, Count, [Id]}, {SumBytes, SumVariance, SumCount, Ids}) ->
    {SumBytes + Bytes, SumVariance + Variance, SumCount + Count, [Id | Ids -- [Id]]}.

rows(Parts, #{by := By, top := Top}) ->
    Sums = lists:foldl(fun(Part, Sums) -> add_part(By, Part, Sums) end, #{}, Parts),
    [row(Key, Sum) || {Key, Sum} <- py_mem_sites:largest(Top, Sums)].

add_part(By, #{id := Id, frames := Frames, sites := Sites}, Sums) ->
    lists:foldl(fun(Site, Acc) ->
        Key = py_mem_sites:key(By, element(1, Site), Frames),
        Acc#{Key => add(numbers(Site, Id), maps:get(Key, Acc, nothing()))}
    end, Sums, Sites).

row(Key, {Bytes, Variance, Count, Ids}) ->
    Key#{bytes => round(Bytes), error => deviation(Variance), count => round(Count),
         workers => lists:sort(Ids)}.

%% ---------------------------------------------------------------------------

%% The stacks of a profile or of a snapshot, outermost frame first, with their bytes.
-spec stacks(profile() | py_mem_sites:snapshot()) ->
          [{Frames :: [#{file := binary(), line := integer(), function := binary()}],
            Bytes :: non_neg_integer()}].
stacks(#{stacks := Snapshot}) ->
    stacks(Snapshot);
stacks(Snapshot) ->
    py_mem_sites:is_snapshot(Snapshot)
        orelse py_options:must_be(Snapshot, "the argument", "a profile or a snapshot"),
    [{lists:reverse([element(Index + 1, Frames) || Index <- Indexes]), Bytes}
     || #{frames := Frames, sites := Sites} <- Snapshot, {Indexes, Bytes, _} <- Sites].
