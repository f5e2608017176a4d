#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Every way to leave a stream: whoever wants no more of it, at whatever moment,
%% the generator is closed and its worker lives on with all that it has.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% Longer than a worker would have to end a stream, and be ended itself (ms):
%% 500, interrupt_grace, close_grace.
-define(LONG_ENOUGH, 2_500).

%% What is open in Python, by its name. `items' yields, `slow' waits before each.
-define(SETUP, <<"
import time
open_now, state = set(), 'kept'
def items(name, n, pause=0):
    open_now.add(name)
    try:
        for i in range(n):
            if pause and i: time.sleep(pause)
            yield i
    finally:
        open_now.discard(name)
def stalling(name):
    yield from items(name, 4)
    open_now.add(name)
    try: time.sleep(60)
    finally: open_now.discard(name)
def failing(name, n):
    yield from items(name, n)
    raise LookupError(name)
">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => ?SETUP}, [
        [{["left: ", Way, ", ", Kind], fun() -> left(Leave, Source, [Way, $ , Kind]) end}
         || {Way, Leave} <- ways(), {Kind, Source} <- sources()],
        {"a generator that raised, of which items are left", fun raised/0},
        {"no time for the next items", fun too_late/0},
        {"closed while it computes, with a call behind it", fun call_behind/0},
        {"the worker has lived all the while", fun kept/0}
    ])).

%% How many items there are: 4 are sent unasked. The last word has come after a
%% moment, or waits for credit, or there is none in sight.
sources() ->
    [{"empty", {items, [0]}},
     {"one item", {items, [1]}},
     {"at its end, unread", {items, [4]}},
     {"nearly at its end", {items, [5]}},
     {"a chunk", {items, [1000]}},
     {"parked", {items, [1_000_000]}},
     {"busy", {items, [1_000_000, 0.05]}}].

%% What is done with a stream that has just been opened.
ways() ->
    [{"closed at once", fun py:stream_close/1},
     {"closed after a moment", fun(S) -> timer:sleep(50), py:stream_close(S) end},
     {"closed twice", fun(S) -> ok = py:stream_close(S), py:stream_close(S) end},
     {"closed after the next items", fun(S) -> next(S), timer:sleep(50), py:stream_close(S) end},
     {"closed after three times the next items",
      fun(S) -> next(S), next(S), next(S), py:stream_close(S) end},
     {"closed by another process", fun(S) -> in_another(fun() -> py:stream_close(S) end) end},
     {"its owner ends", fun(_) -> ok end},
     {"its owner ends after the next items", fun(S) -> next(S), timer:sleep(50) end},
     {"its owner is killed", fun(_) -> timer:sleep(50), exit(self(), kill) end},
     {"its owner raises", fun(S) -> next(S), exit(raised) end}].

next(Stream) ->
    _ = py:stream_next(Stream).

in_another(Fun) ->
    {_, Monitor} = spawn_monitor(Fun),
    receive {'DOWN', Monitor, process, _, normal} -> ok end.

%% In a process of its own, which owns the stream and then ends.
left(Leave, {Function, Args}, Name) ->
    Text = unicode:characters_to_binary(Name),
    {_, Monitor} = spawn_monitor(fun() ->
        {ok, Stream} = py:stream_open({'__main__', Function, [Text | Args]}),
        Leave(Stream)
    end),
    receive {'DOWN', Monitor, process, _, Why} -> ?assert(lists:member(Why, [normal, killed, raised])) end,
    is_closed(Text).

is_closed(Name) ->
    fixture:wait_until(fun() -> py:eval(<<"n in open_now">>, #{n => Name}) =:= {ok, false} end).

raised() ->
    [begin
         {ok, Stream} = py:stream_open({'__main__', failing, [<<"failing">>, N]}),
         timer:sleep(50),
         ok = py:stream_close(Stream)
     end || N <- [1, 3, 4]],
    ?assertMatch({error, {'LookupError', _}}, py:stream('__main__', failing, [<<"failing">>, 3])),
    ?assertException(throw, enough, py:stream_fold(fun(_, _) -> throw(enough) end, 0,
                                                   {'__main__', failing, [<<"failing">>, 3]})),
    is_closed(<<"failing">>).

too_late() ->
    {ok, Stream} = py:stream_open({'__main__', stalling, [<<"late">>]}, #{timeout => 300}),
    {ok, [0, 1, 2, 3]} = py:stream_next(Stream),
    ?assertEqual({error, timeout}, py:stream_next(Stream)),
    ?assertEqual({error, closed}, py:stream_next(Stream)),
    ok = py:stream_close(Stream),
    is_closed(<<"late">>).

%% The call has not run out of time because of it.
call_behind() ->
    {ok, Stream} = py:stream_open({'__main__', stalling, [behind]}, #{chunk => 1}),
    [{ok, [N]} = py:stream_next(Stream) || N <- [0, 1, 2, 3]],
    timer:sleep(2),
    ok = py:stream_close(Stream),
    ?assertEqual({ok, 1}, py:call(builtins, abs, [-1], #{}, #{timeout => ?LONG_ENOUGH})).

kept() ->
    timer:sleep(?LONG_ENOUGH),
    ?assertMatch(#{workers := [#{restarts := 0, streams := 0, state := idle}]}, py:info()),
    ?assertEqual({ok, {<<"kept">>, 0}}, py:eval(<<"(state, len(open_now))">>)).
