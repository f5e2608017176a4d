%% SPDX-License-Identifier: Apache-2.0
%%
%% A handler of the logger that keeps what is logged, of every level, for tests
%% to read. What is of no interest to a reader of the test's log stays out of it.
-module(logbook).

-export([kept/1, open/0, close/0, clear/0, all/0, find/1, await/1, await/2, text/1]).
-export([log/2]).

-define(LIMIT, 30_000).

%% These tests, with the book open.
-spec kept([tap:test() | list()]) -> [tap:test() | list()].
kept(Tests) ->
    [{must, "what is logged is kept", fun open/0}, Tests,
     {"the log is given back", fun close/0}].

-spec open() -> ok.
open() ->
    Self = self(),
    Keeper = spawn(fun() -> keep(Self) end),
    receive {Keeper, ready} -> ok end,
    ok = logger:set_primary_config(level, all),
    ok = logger:set_handler_config(default, level, emergency),
    ok = logger:add_handler(?MODULE, ?MODULE, #{level => all}).

-spec close() -> ok.
close() ->
    ok = logger:remove_handler(?MODULE),
    ok = logger:set_handler_config(default, level, all),
    ok = logger:set_primary_config(level, notice),
    true = ets:delete(?MODULE),
    exit(whereis(?MODULE), kill),
    ok.

%% The table outlives the test that opened the book.
keep(From) ->
    register(?MODULE, self()),
    ?MODULE = ets:new(?MODULE, [ordered_set, public, named_table]),
    From ! {self(), ready},
    receive after infinity -> ok end.

-spec log(logger:log_event(), logger:handler_config()) -> ok.
log(_Event, #{sleep := Ms}) ->
    timer:sleep(Ms);
log(Event, _Config) ->
    _ = try
            ets:insert(?MODULE, {erlang:unique_integer([monotonic]), Event})
        catch
            error:badarg -> closed
        end,
    ok.

-spec clear() -> ok.
clear() ->
    true = ets:delete_all_objects(?MODULE),
    ok.

%% All that was logged, the oldest first.
-spec all() -> [logger:log_event()].
all() ->
    [Event || {_, Event} <- ets:tab2list(?MODULE)].

-spec find(fun((logger:log_event()) -> boolean())) -> [logger:log_event()].
find(Predicate) ->
    lists:filter(Predicate, all()).

%% Waits for the first event of a kind.
-spec await(fun((logger:log_event()) -> boolean())) -> logger:log_event().
await(Predicate) ->
    hd(await(1, Predicate)).

%% Waits for so many.
-spec await(pos_integer(), fun((logger:log_event()) -> boolean())) -> [logger:log_event()].
await(N, Predicate) ->
    Enough = fun() -> length(find(Predicate)) >= N end,
    try
        fixture:wait_until(Enough, ?LIMIT)
    catch
        error:{never_came_true, _} -> error({not_logged, N, find(Predicate), all()})
    end,
    find(Predicate).

%% What a person would read.
-spec text(logger:log_event()) -> unicode:chardata().
text(#{msg := {string, Text}}) -> unicode:characters_to_binary(Text);
text(#{msg := {report, Report}}) -> text_of("~tp", [Report]);
text(#{msg := {Format, Args}}) -> text_of(Format, Args).

text_of(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).
