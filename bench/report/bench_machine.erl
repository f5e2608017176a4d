%% SPDX-License-Identifier: Apache-2.0
%%
%% What was measured, on what.
-module(bench_machine).

-export([facts/0]).
-export_type([facts/0]).

%% The load is that of the minute before.
-type facts() :: #{pyport := binary(), otp := binary(), python := binary(), cpus := pos_integer(),
                   model := binary(), kernel := binary(), load := binary(), date := binary()}.

%% The application runs.
-spec facts() -> facts().
facts() ->
    {ok, Version} = application:get_key(py, vsn),
    {ok, Python} = py:version(),
    #{pyport => list_to_binary(Version), otp => list_to_binary(erlang:system_info(otp_release)),
      python => first_word(Python), cpus => erlang:system_info(logical_processors_available),
      model => model(), kernel => first_word(read("/proc/sys/kernel/osrelease")),
      load => first_word(read("/proc/loadavg")),
      date => list_to_binary(calendar:system_time_to_rfc3339(os:system_time(second)))}.

%% Not every architecture tells it.
model() ->
    case re:run(read("/proc/cpuinfo"), "^model name\\s*: (.*)$",
                [multiline, {capture, [1], binary}]) of
        {match, [Model]} -> Model;
        nomatch -> list_to_binary(erlang:system_info(system_architecture))
    end.

first_word(Text) ->
    hd(string:lexemes(Text, " \n")).

read(File) ->
    {ok, Text} = file:read_file(File),
    Text.
