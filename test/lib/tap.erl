%% SPDX-License-Identifier: Apache-2.0
%%
%% A test script: named tests, run one after another, reported in the Test
%% Anything Protocol that automake's driver reads.
%%
%% Each test is a fun and runs in a process of its own, so that nothing one
%% test leaves in its process (a mailbox, a bound Python worker) reaches the
%% next. A test passes when its fun returns; it fails when the fun raises,
%% overruns its time, or leaves a message in its mailbox.
%%
%%   main(_) -> tap:run([{"one and one", fun() -> 2 = 1 + 1 end}]).
-module(tap).

-export([run/1, skip/1, skip_all/1, note/2]).
-export_type([test/0]).

-type test() ::
    %% An ordinary test.
    {Name :: unicode:chardata(), Body :: fun(() -> term())}
    %% One with its own time limit in milliseconds.
    | {Name :: unicode:chardata(), Limit :: timeout(), Body :: fun(() -> term())}
    %% One without which the others make no sense: its failure ends the script.
    | {must, Name :: unicode:chardata(), Body :: fun(() -> term())}
    | {must, Name :: unicode:chardata(), Limit :: timeout(), Body :: fun(() -> term())}.

-define(LIMIT, 120_000).

%% Runs the tests (a list, nested as deep as is handy) and ends the VM with
%% the exit code: 0 when at least one ran and none failed, else 1.
-spec run([test() | list()]) -> no_return().
run(Nested) ->
    Tests = lists:flatten(Nested),
    io:setopts([{encoding, unicode}]),
    quiet_logger(),
    io:format("1..~b~n", [length(Tests)]),
    Numbered = lists:zip(lists:seq(1, length(Tests)), Tests),
    Results = [run_one(N, normal(Test)) || {N, Test} <- Numbered],
    finish(Results).

%% Ends the running test as skipped, saying why.
-spec skip(unicode:chardata()) -> no_return().
skip(Reason) ->
    throw({tap_skip, Reason}).

%% Ends the whole script as skipped: what it tests is not on this machine.
-spec skip_all(unicode:chardata()) -> no_return().
skip_all(Reason) ->
    io:format("1..0 # SKIP ~ts~n", [Reason]),
    halt(0).

%% A line for people in the test's log.
-spec note(io:format(), [term()]) -> ok.
note(Format, Args) ->
    Text = io_lib:format(Format, Args),
    [io:format("# ~ts~n", [Line]) || Line <- lines(Text)],
    ok.

%% ---------------------------------------------------------------------------

normal({must, Name, Limit, Body}) -> {must, Name, Limit, Body};
normal({must, Name, Body}) -> {must, Name, ?LIMIT, Body};
normal({Name, Body}) -> {may, Name, ?LIMIT, Body};
normal({Name, Limit, Body}) -> {may, Name, Limit, Body}.

%% What the VM logs belongs to the log, not between the lines of TAP.
quiet_logger() ->
    _ = logger:remove_handler(default),
    ok = logger:add_handler(default, logger_std_h,
                            #{config => #{type => standard_error}}).

run_one(N, {Need, Name, Limit, Body}) ->
    Start = erlang:monotonic_time(millisecond),
    Result = in_process(Limit, Body),
    report(N, Name, Result),
    Took = erlang:monotonic_time(millisecond) - Start,
    Took > 1000 andalso note("took ~b ms", [Took]),
    is_tuple(Result) andalso element(1, Result) =:= failed
        andalso Need =:= must andalso bail_out(Name),
    Result.

in_process(Limit, Body) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({tap_result, attempt(Body)}) end),
    receive
        {'DOWN', Monitor, process, Pid, {tap_result, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> {failed, {died, Reason}}
    after Limit ->
        Where = process_info(Pid, current_stacktrace),
        erlang:demonitor(Monitor, [flush]),
        exit(Pid, kill),
        {failed, {still_running_after_ms, Limit, Where}}
    end.

attempt(Body) ->
    try Body() of
        _ -> check_mailbox()
    catch
        throw:{tap_skip, Reason} -> {skipped, Reason};
        Class:Reason:Stack -> {failed, {Class, Reason, Stack}}
    end.

check_mailbox() ->
    case process_info(self(), messages) of
        {messages, []} -> passed;
        {messages, Left} -> {failed, {left_in_mailbox, Left}}
    end.

report(N, Name, passed) ->
    io:format("ok ~b - ~ts~n", [N, Name]);
report(N, Name, {skipped, Reason}) ->
    io:format("ok ~b - ~ts # SKIP ~ts~n", [N, Name, Reason]);
report(N, Name, {failed, Why}) ->
    io:format("not ok ~b - ~ts~n", [N, Name]),
    note("~ts", [describe(Why)]).

describe({error, {Assertion, Info}, Stack}) when is_list(Info) ->
    io_lib:format("~p~n~tp~nat ~tp", [Assertion, Info, Stack]);
describe({Class, Reason, Stack}) when is_list(Stack) ->
    io_lib:format("~p~n~tP~nat ~tp", [Class, Reason, 60, Stack]);
describe(Why) ->
    io_lib:format("~tP", [Why, 60]).

lines(Text) ->
    string:split(string:trim(unicode:characters_to_list(Text), trailing),
                 "\n", all).

-spec bail_out(unicode:chardata()) -> no_return().
bail_out(Name) ->
    io:format("Bail out! cannot go on without: ~ts~n", [Name]),
    stop(1).

finish([]) ->
    note("a test script that runs nothing is a failure", []),
    stop(1);
finish(Results) ->
    Failed = length([R || R = {failed, _} <- Results]),
    Failed > 0 andalso note("~b of ~b failed", [Failed, length(Results)]),
    stop(min(Failed, 1)).

%% Stops the applications first, so that no Python outlives its test.
-spec stop(0 | 1) -> no_return().
stop(Code) ->
    _ = application:stop(py),
    halt(Code).
