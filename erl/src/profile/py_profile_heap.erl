%% SPDX-License-Identifier: Apache-2.0
%%
%% The heap's samples, asked of workers.
-module(py_profile_heap).

-export([heap/2, set/2]).

-include("py.hrl").

-spec heap(py_target:target(), py_profile_sites:options()) -> py_target:answer().
heap({_, all} = Target, Options) ->
    case ask(Target, Options) of
        {ok, Each} -> {ok, [{Id, made(Answer, Options)} || {Id, Answer} <- Each]};
        {error, _} = Error -> Error
    end;
heap(Target, Options) ->
    made(ask(Target, Options), Options).

made({ok, Parts}, Options) -> {ok, py_profile_sites:profile(Parts, Options)};
made({error, _} = Error, _) -> Error.

ask(Target, #{since := Since}) ->
    py_target:run(Target, fun(Pool, Workers) -> ask(Pool, Workers, Since =:= mark) end,
                  fun together/2).

%% Malloc is asked for its numbers at the same time; if that takes too long, they are
%% missing.
ask(#pool{timeout = Timeout}, Workers, SinceMark) ->
    Deadline = py_time:deadline(Timeout),
    Detail = py_fanout:send(Workers, urgent, memory_detail, Deadline),
    Profiles = py_fanout:ask(Workers, urgent, {heap_profile, SinceMark}, Deadline),
    lists:zipwith(fun part/2, Profiles, py_fanout:collect(Detail, Deadline)).

part({{Id, _, OsPid} = Worker, {ok, Profile}}, {_, Detail}) when is_map(Profile) ->
    {Worker, {ok, [py_profile_sites:part(Id, OsPid, Profile, malloc(Detail))]}};
part({Worker, Result}, _) ->
    {Worker, refused(Result)}.

malloc({ok, #{malloc := #{used := Used}}}) -> Used;
malloc(_) -> unknown.

refused({ok, none}) -> {error, {not_enabled, profile}};
refused({ok, true}) -> ok;
refused({error, _} = Error) -> Error.

together(_, Results) ->
    case py_fanout:all_ok(Results) of
        ok -> {ok, lists:append([Parts || {_, {ok, Parts}} <- Results])};
        {error, _} = Error -> Error
    end.

%% Makes the workers that are there now do this.
-spec set(py_target:target(), py_wire:op()) -> py_target:answer().
set(Target, Op) ->
    py_target:run(Target, fun(#pool{timeout = Timeout}, Workers) ->
        [{Worker, refused(Result)}
         || {Worker, Result} <- py_fanout:ask(Workers, urgent, Op, py_time:deadline(Timeout))]
    end, fun(_, Results) -> py_fanout:all_ok(Results) end).
