#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The state that workers and Erlang share: from both sides, what is atomic in it, how
%% much there may be, who may use it, and what outlives what.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(WRITERS, #{pool => writers}).

main(_) ->
    Env = #{size => 1, init => <<"import shared">>, state_limits => #{bytes => 50_000_000},
            pools => #{writers => #{size => 2, state => write, send => [test], init => <<"import shared">>,
                                    python_path => [fixture:python_path()]},
                       readers => #{size => 1, state => read}}},
    tap:run(logbook:kept(fixture:with_app(Env, [
        {"put, get, delete", fun basics/0},
        {"what is no text, function or number is badarg", fun wrong/0},
        {"keys are terms, and the same if they are the same term", fun keys/0},
        {"keys with a prefix, in order", fun prefixes/0},
        {"any term is a value", fun values/0},
        {"a new value", fun put_new/0},
        {"take", fun take/0},
        {"compare and set", fun compare/0},
        {"update", fun update/0},
        {"updates of many processes all count", fun updates/0},
        {"compare_and_set decodes nothing that is larger", fun compare_large/0},
        {"increments of many processes all count", fun increments/0},
        {"what is no number cannot be incremented", fun no_number/0},
        {"a key has to be short", fun long_key/0},
        {"a key keeps nothing else", fun part/0},
        {"limits", fun limits/0},
        {"bytes are counted", fun bytes/0},
        {"Python: it is like a dict", fun like_a_dict/0},
        {"Python: values come back as what they were", fun come_back/0},
        {"Python: arrays come back, too", fun arrays/0},
        {"Python: what Erlang has put, and what Python has", fun both/0},
        {"Python: what it has no value for", fun no_value/0},
        {"Python: compare_and_set and put_new", fun python_compare/0},
        {"Python: change is done again if another one came in between", fun change/0},
        {"Python: changes of two workers and of Erlang all count", fun changes/0},
        {"Python: more keys than fit into an answer", fun pages/0},
        {"Python: large values", fun large/0},
        {"Python: an answer that is too large for a frame", fun too_large/0},
        {"Python: errors", fun errors/0},
        {"Python: the pool's option state", fun allowed/0},
        {"Python: anything may be asked for", fun nonsense/0},
        {"Python: from threads", fun threads/0},
        {"Python: in a forked child", fun in_child/0},
        {"Python: a call out of time waits no longer", fun out_of_time/0},
        {"Python: in a function of Erlang's that Python has called", fun nested/0},
        {"it outlives workers, pools, and the process that writes it", fun outlives/0}
    ])) ++ [
        {"without the application", fun not_started/0},
        {"it ends with the application", fun ends/0},
        {"limits that are wrong", fun wrong_limits/0}
    ]).

python(Code) -> python(Code, #{}).
python(Code, Names) -> py:eval(Code, Names, ?WRITERS).

call(Function, Args) -> py:call(shared, Function, Args, #{}, ?WRITERS).

%% ---------------------------------------------------------------------------
%% From Erlang

basics() ->
    ?assertEqual({error, {no_key, a}}, py_state:get(a)),
    ?assertEqual(ok, py_state:put(a, 1)),
    ?assertEqual({ok, 1}, py_state:get(a)),
    ?assertEqual(ok, py_state:put(a, [])),
    ?assertEqual({ok, []}, py_state:get(a)),
    ?assertEqual(ok, py_state:delete(a)),
    ?assertEqual(ok, py_state:delete(a)),
    ?assertEqual({error, {no_key, a}}, py_state:get(a)).

wrong() ->
    [?assertError(badarg, Wrong())
     || Wrong <- [fun() -> py_state:keys(1) end, fun() -> py_state:to_list({}) end,
                  fun() -> py_state:clear([x]) end, fun() -> py_state:update(a, fun() -> 1 end) end,
                  fun() -> py_state:update(a, none, 1) end, fun() -> py_state:increment(a, b) end]].

keys() ->
    Keys = [1, 1.0, true, <<"true">>, "true", {1}, {1.0}, #{1 => a}, #{1.0 => a}, [], <<>>, <<5:3>>,
            self(), '_', '$1', {'_', '$1'}, #{}, 0.0],
    [ok = py_state:put(Key, {Key}) || Key <- Keys],
    [?assertEqual({ok, {Key}}, py_state:get(Key)) || Key <- Keys],
    {ok, Found} = py_state:keys(),
    ?assertEqual([], (Keys -- Found) ++ (Found -- Keys)),
    ?assertEqual({ok, length(Keys)}, py_state:clear()),
    ?assertEqual({ok, []}, py_state:keys()).

prefixes() ->
    Keys = [<<"a">>, <<"ab">>, <<"ab:1">>, <<"ab:2">>, <<"abc">>, <<"b">>, "ab", ab, {<<"ab">>}, <<"ab", 1:3>>],
    [ok = py_state:put(Key, Key) || Key <- Keys],
    ?assertEqual({ok, [<<"ab:1">>, <<"ab:2">>]}, py_state:keys("ab:")),
    ?assertEqual({ok, [{<<"ab:1">>, <<"ab:1">>}, {<<"ab:2">>, <<"ab:2">>}]}, py_state:to_list(<<"ab:">>)),
    ?assertEqual({ok, [<<"ab">>, <<"ab", 1:3>>, <<"ab:1">>, <<"ab:2">>, <<"abc">>]}, py_state:keys(<<"ab">>)),
    ?assertEqual({ok, []}, py_state:keys(<<"c">>)),
    ?assertEqual({ok, 5}, py_state:clear(<<"ab">>)),
    ?assertEqual({ok, [ab, {<<"ab">>}, "ab", <<"a">>, <<"b">>]}, py_state:keys()),
    {ok, 5} = py_state:clear().

values() ->
    Values = [1.5, none, undefined, fun lists:sum/1, self(), make_ref(), #{a => [1 | b]}, <<255>>, <<1:1>>,
              binary:copy(<<"x">>, 1_000_000), lists:seq(1, 10_000)],
    [begin
         ok = py_state:put(value, Value),
         ?assertEqual({ok, Value}, py_state:get(value))
     end || Value <- Values],
    ok = py_state:delete(value).

put_new() ->
    ?assertEqual(true, py_state:put_new(lock, 1)),
    ?assertEqual(false, py_state:put_new(lock, 2)),
    ?assertEqual({ok, 1}, py_state:get(lock)),
    ok = py_state:delete(lock),
    Winners = [Pid || {Pid, true} <- at_once(20, fun(_) -> py_state:put_new(lock, self()) end)],
    ?assertMatch([_], Winners),
    ?assertEqual({ok, hd(Winners)}, py_state:take(lock)).

take() ->
    ok = py_state:put(one, 1),
    ?assertMatch([{_, {ok, 1}}], [Taken || {_, {ok, _}} = Taken <- at_once(20, fun(_) -> py_state:take(one) end)]),
    ?assertEqual({error, {no_key, one}}, py_state:take(one)).

compare() ->
    ?assertEqual(false, py_state:compare_and_set(x, 1, 2)),
    ok = py_state:put(x, 1),
    ?assertEqual(false, py_state:compare_and_set(x, 1.0, 2)),
    ?assertEqual(true, py_state:compare_and_set(x, 1, #{a => 1, b => 2})),
    ?assertEqual(true, py_state:compare_and_set(x, #{b => 2, a => 1}, 3)),
    ?assertEqual(1, length([won || {_, true} <- at_once(20, fun(N) -> py_state:compare_and_set(x, 3, {N}) end)])),
    {ok, {_}} = py_state:take(x).

%% A process that did has no room for that.
compare_large() ->
    ok = py_state:put(x, lists:seq(1, 1_000_000)),
    {_, Monitor} = spawn_opt(fun() -> exit({is, py_state:compare_and_set(x, [1, 2, 3], 4)}) end,
                             [monitor, {max_heap_size, #{size => 100_000, error_logger => false}}]),
    receive {'DOWN', Monitor, process, _, Why} -> ?assertEqual({is, false}, Why) end,
    %% Of the same size, in another order, and equal or not.
    Many = maps:from_list([{N, N} || N <- lists:seq(1, 100)]),
    ok = py_state:put(x, Many),
    ?assertEqual(false, py_state:compare_and_set(x, Many#{100 := 99}, 1)),
    ?assertEqual(true, py_state:compare_and_set(x, maps:from_list([{N, N} || N <- lists:seq(100, 1, -1)]), 1)),
    {ok, 1} = py_state:take(x).

update() ->
    ?assertEqual({error, {no_key, n}}, py_state:update(n, fun(N) -> N + 1 end)),
    ?assertEqual({ok, 6}, py_state:update(n, fun(N) -> N + 1 end, 5)),
    ?assertEqual({ok, 7}, py_state:update(n, fun(N) -> N + 1 end)),
    ?assertError(up, py_state:update(n, fun(_) -> error(up) end)),
    ?assertEqual({ok, 7}, py_state:take(n)).

updates() ->
    Add = fun(N) -> [{ok, _} = py_state:update(list, fun(List) -> [{N, M} | List] end, []) || M <- lists:seq(1, 20)] end,
    _ = at_once(10, Add),
    {ok, List} = py_state:take(list),
    ?assertEqual([{N, M} || N <- lists:seq(1, 10), M <- lists:seq(1, 20)], lists:sort(List)).

increments() ->
    ?assertEqual({ok, 1}, py_state:increment(hits)),
    ?assertEqual({ok, 3}, py_state:increment(hits, 2)),
    ?assertEqual({ok, 3.5}, py_state:increment(hits, 0.5)),
    ok = py_state:put(hits, 1 bsl 64),
    _ = at_once(10, fun(_) -> [{ok, _} = py_state:increment(hits) || _ <- lists:seq(1, 100)] end),
    ?assertEqual({ok, (1 bsl 64) + 1000}, py_state:take(hits)).

no_number() ->
    [begin
         ok = py_state:put(text, Value),
         ?assertMatch({error, {badarg, <<"the value of this key is no number">>}}, py_state:increment(text))
     end || Value <- [<<"1">>, none, [1], #{}, "1"]],
    ok = py_state:put(text, 1.0e308),
    ?assertEqual({error, {badarg, <<"the sum is too large">>}}, py_state:increment(text, 1.0e308)),
    ?assertEqual({ok, 1.0e308}, py_state:take(text)),
    %% The largest integers, too, and the process that adds them lives on.
    Writer = whereis(py_talk_state),
    Largest = largest(1, 1 bsl 40),
    ok = py_state:put(text, Largest),
    ?assertEqual({error, {badarg, <<"the sum is too large">>}}, py_state:increment(text, Largest)),
    ?assertEqual({Writer, ok}, {whereis(py_talk_state), py_state:delete(text)}).

%% The largest power of two that Erlang has, which is between these.
largest(Low, High) when Low + 1 =:= High ->
    1 bsl Low;
largest(Low, High) ->
    Middle = (Low + High) div 2,
    try 1 bsl Middle of
        _ -> largest(Middle, High)
    catch
        error:system_limit -> largest(Low, Middle)
    end.

%% Whether it is new or there already, and whatever it is part of.
part() ->
    Part = binary:part(binary:copy(<<"k">>, 100_000), 0, 100),
    [begin
         [ok = py_state:put(Key, Value) || Value <- [1, 2]],
         {ok, [{Kept, 2}]} = py_state:to_list(),
         ?assertEqual(Key, Kept),
         ?assertEqual(100, binary:referenced_byte_size(if is_tuple(Kept) -> element(1, Kept); true -> Kept end)),
         ok = py_state:delete(Key)
     end || Key <- [Part, {Part, 1}]].

long_key() ->
    Long = binary:copy(<<"k">>, 4096),
    [?assertEqual({error, {badarg, <<"a key has at most 4096 bytes">>}}, Change(Long))
     || Change <- [fun(K) -> py_state:put(K, 1) end, fun(K) -> py_state:put_new(K, 1) end,
                   fun(K) -> py_state:update(K, fun(V) -> V end, 1) end, fun py_state:increment/1]],
    ?assertEqual({error, {no_key, Long}}, py_state:get(Long)),
    ?assertEqual(false, py_state:compare_and_set(Long, 1, 1)),
    ok = py_state:delete(Long).

limits() ->
    Whole = binary:copy(<<"x">>, 49_000_000),
    ok = py_state:put(whole, Whole),
    ?assertEqual({error, {overloaded, state_bytes, 50_000_000}}, py_state:put(more, Whole)),
    ?assertEqual({error, {no_key, more}}, py_state:get(more)),
    ?assertEqual({error, {overloaded, state_bytes, 50_000_000}}, py_state:put(whole, <<Whole/binary, Whole/binary>>)),
    ?assertEqual({ok, Whole}, py_state:get(whole)),
    ok = py_state:put(whole, <<>>),
    ok = py_state:delete(whole),
    with_limits(#{keys => 2, bytes => infinity}, fun() ->
        ok = py_state:put(a, 1),
        ok = py_state:put(b, 1),
        [?assertEqual({error, {overloaded, state_keys, 2}}, More)
         || More <- [py_state:put(c, 1), py_state:put_new(c, 1), py_state:increment(c),
                     py_state:update(c, fun(V) -> V end, 1)]],
        ok = py_state:put(b, 2),
        {ok, 3} = py_state:increment(b),
        ok = py_state:delete(a),
        ok = py_state:put(c, 1),
        {ok, 2} = py_state:clear()
    end).

%% The process that writes begins anew, as if it had been started with these.
with_limits(Limits, Fun) ->
    #{limits := Before} = py_state:info(),
    set_limits(Limits),
    try Fun() after set_limits(Before) end.

set_limits(Limits) ->
    sys:replace_state(py_talk_state, fun(State) -> setelement(2, State, Limits) end).

bytes() ->
    ?assertMatch(#{keys := 0, bytes := 0, limits := #{keys := 100_000}}, py_state:info()),
    ok = py_state:put(<<"k">>, binary:copy(<<"x">>, 1000)),
    #{keys := 1, bytes := Bytes} = py_state:info(),
    ?assert(Bytes > 1000 andalso Bytes < 1050),
    ok = py_state:put(<<"k">>, 1),
    {ok, 2} = py_state:increment(<<"k">>),
    true = py_state:compare_and_set(<<"k">>, 2, <<"three">>),
    {ok, _} = py_state:update(<<"k">>, fun(V) -> [V] end),
    {ok, _} = py_state:take(<<"k">>),
    ?assertMatch(#{keys := 0, bytes := 0}, py_state:info()).

%% Each of these processes, with what the function has returned there.
at_once(Count, Fun) ->
    Self = self(),
    Pids = [spawn_link(fun() -> receive go -> Self ! {self(), Fun(N)} end end) || N <- lists:seq(1, Count)],
    [Pid ! go || Pid <- Pids],
    [receive {Pid, _} = Result -> Result end || Pid <- Pids].

%% ---------------------------------------------------------------------------
%% From Python

like_a_dict() ->
    ?assertEqual({ok, true}, call(like_a_dict, [])),
    ?assertEqual({ok, {true, <<"<erlang.state>">>}},
                 python("(isinstance(erlang.state, __import__('collections').abc.MutableMapping), repr(erlang.state))")).

come_back() ->
    ?assertEqual({ok, []}, call(come_back, [])),
    ?assertEqual({ok, {<<"ab">>, true}}, call(a_view, [])).

arrays() ->
    fixture:has_numpy() orelse tap:skip("numpy is not there"),
    ?assertEqual({ok, none}, call(an_array, [])).

both() ->
    ok = py_state:put(<<"from">>, #{erlang => [1, {bytes, <<255>>}, {date, {2026, 2, 28}}]}),
    ?assertEqual({ok, [<<"[1, b'\\xff', datetime.date(2026, 2, 28)]">>, true]},
                 python("[repr(erlang.state['from']['erlang']), erlang.state['from'].keys() == {'erlang'}]")),
    ok = py:exec("erlang.state[('user', 1)] = {'seen': b'\\xff', 'at': (1, None, 1.5)}", #{}, ?WRITERS),
    ?assertEqual({ok, #{<<"seen">> => {bytes, <<255>>}, <<"at">> => {1, none, 1.5}}},
                 py_state:get({<<"user">>, 1})),
    ?assertEqual({ok, {[[1], [1.0]], true, true}},
                 python("(erlang.state.update([(1, [1]), (1.0, [1.0]), (erlang.Atom('a'), 2), ('a', 3)]), "
                        "[erlang.state[1], erlang.state[1.0]], erlang.state[erlang.Atom('a')] == 2, "
                        "erlang.state['a'] == 3)[1:]")),
    {ok, 6} = py_state:clear().

%% A value of Erlang's that has no form in Python, and a key that has two there.
no_value() ->
    ok = py_state:put(<<"bad">>, [<<255>>]),
    {error, {badarg, <<"answer[0][0]: binary is not UTF-8", _/binary>>}} = python("erlang.state['bad']"),
    {error, {badarg, <<"answer[", _/binary>>}} = python("list(erlang.state.items())"),
    ?assertEqual({ok, [<<"bad">>]}, python("list(erlang.state)")),
    [ok = py_state:put(Key, Key) || Key <- [undefined, none, nil]],
    ?assertEqual({ok, 4}, python("len(list(erlang.state))")),
    ?assertEqual({ok, {true, 4}}, python("(erlang.state.clear() is None, len(erlang.state) + 4)")).

python_compare() ->
    ?assertEqual({ok, [true, false, false, true, false, <<"c">>]},
                 python("[erlang.state.put_new('k', 'a'), erlang.state.put_new('k', 'b'), "
                        "erlang.state.compare_and_set('k', 'b', 'c'), erlang.state.compare_and_set('k', 'a', 'c'), "
                        "erlang.state.compare_and_set('none', 'a', 'c'), erlang.state.pop('k')]")).

change() ->
    ?assertEqual({ok, {11, [1, 10]}}, call(changed_meanwhile, [])),
    {error, {'KeyError', _}} = python("erlang.state.change('nothing', str)"),
    %% What Python takes for None may be another atom: the version tells that it is the same.
    ok = py_state:put(<<"n">>, undefined),
    ?assertEqual({ok, true}, python("erlang.state.change('n', lambda value: value is None)")),
    ok = py_state:delete(<<"n">>).

changes() ->
    Calls = [{shared, Function, Args} || Function <- [increment, append],
                                         Args <- [case Function of
                                                      increment -> [<<"count">>, 100];
                                                      append -> [<<"list">>, N, 25]
                                                  end || N <- lists:seq(1, 4)]],
    Refs = [py:spawn_call(M, F, Args, #{}, ?WRITERS#{timeout => 60_000}) || {M, F, Args} <- Calls],
    [{ok, _} = py_state:increment(<<"count">>) || _ <- lists:seq(1, 100)],
    [{ok, _} = py_state:update(<<"list">>, fun(List) -> [{0, N} | List] end, []) || N <- lists:seq(1, 25)],
    [?assertEqual({ok, none}, py:await(Ref)) || Ref <- Refs],
    ?assertEqual({ok, 500}, py_state:take(<<"count">>)),
    {ok, List} = py_state:take(<<"list">>),
    ?assertEqual({125, 125}, {length(List), length(lists:usort(List))}).

pages() ->
    {ok, none} = call(fill, [<<"p:">>, 2500]),
    {ok, none} = call(fill, [<<"q:">>, 10]),
    {ok, Keys} = python("list(erlang.state.keys('p:'))"),
    ?assertEqual({ok, Keys}, py_state:keys(<<"p:">>)),
    ?assertEqual({2500, 2510}, {length(Keys), maps:get(keys, py_state:info())}),
    ?assertEqual({ok, [true, 3123750, 10, 2510]},
                 python("[dict(erlang.state.items('p:')) == {k: int(k[2:]) for k in erlang.state.keys('p:')}, "
                        "sum(erlang.state.values('p:')), len(list(erlang.state.values('q:'))), len(erlang.state)]")),
    {ok, [none, 10]} = python("[erlang.state.clear('p:'), len(erlang.state)]"),
    {ok, 10} = py_state:clear(),
    {error, {'TypeError', <<"a prefix is a str, not int">>}} = python("list(erlang.state.keys(1))").

large() ->
    Size = 8_000_000,
    {ok, Size} = python("(erlang.state.update(large='x' * n), len(erlang.state['large']))[1]", #{n => Size}),
    {ok, Large} = py_state:get(<<"large">>),
    ?assertEqual(Size, byte_size(Large)),
    {ok, [Size, Size]} = python("[len(value) for value in (*erlang.state.values(), erlang.state.pop('large'))]").

too_large() ->
    {ok, _} = py:start_pool(small, #{size => 1, state => write, max_frame => 65_536}),
    ok = py_state:put(<<"large">>, binary:copy(<<"x">>, 100_000)),
    In = #{pool => small},
    {error, {'erlang.Error', <<"error: {max_frame,", _/binary>>}} = py:eval("erlang.state['large']", #{}, In),
    [ok = py_state:put(<<"k", N:32>>, binary:copy(<<"x">>, 10_000)) || N <- lists:seq(1, 20)],
    {ok, 20} = py:eval("len(list(erlang.state.items('k')))", #{}, In),
    {error, {'OverflowError', _}} = py:eval("erlang.state.update(a='x' * 100000)", #{}, In),
    %% Each of these has room in a frame, the second not behind the first.
    ok = py_state:put(<<"m1">>, binary:copy(<<"x">>, 30_000)),
    ok = py_state:put(<<"m2">>, binary:copy(<<"x">>, 60_000)),
    {ok, [30_000, 60_000]} = py:eval("[len(value) for value in erlang.state.values('m')]", #{}, In),
    ok = py:stop_pool(small),
    {ok, 23} = py_state:clear().

errors() ->
    {error, {'TypeError', <<"args[1]: cannot encode object", _/binary>>}} =
        python("erlang.state.update(a=object())"),
    {error, {'KeyError', <<"'nothing'">>}} = python("erlang.state['nothing']"),
    ok = py_state:put(<<"text">>, <<"t">>),
    Text = <<"the value of this key is no number">>,
    ?assertEqual({ok, [Text, error, {badarg, Text}]},
                 python("shared.caught(lambda: erlang.state.increment('text'))")),
    ?assertEqual({ok, [<<"error: badarg">>, error, badarg]},
                 python("shared.caught(lambda: erlang.state.increment('text', 'one'))")),
    {ok, [_, error, {unknown_atom, <<"never_such_a_state">>}]} =
        python("shared.caught(lambda: erlang.state.update(a=erlang.Atom('never_such' + '_a_state')))"),
    with_limits(#{keys => 1, bytes => infinity}, fun() ->
        ?assertEqual({ok, [<<"error: {overloaded,state_keys,1}">>, error, {overloaded, state_keys, 1}]},
                     python("shared.caught(lambda: erlang.state.update(more=1))"))
    end),
    {ok, 1} = py_state:clear().

allowed() ->
    ok = py_state:put(<<"k">>, 1),
    ?assertEqual({ok, 1}, py:eval("erlang.state['k']", #{}, #{pool => readers})),
    ?assertEqual({ok, {1, true, [<<"k">>], [{<<"k">>, 1}]}},
                 py:eval("(len(erlang.state), 'k' in erlang.state, list(erlang.state), list(erlang.state.items()))",
                         #{}, #{pool => readers})),
    Refused = {error, {'erlang.Error', <<"the pool's option state does not allow it">>}},
    [?assertEqual(Refused, py:eval(["erlang.state.", Change], #{}, #{pool => readers}))
     || Change <- ["update(k=2)", "pop('k')", "clear()", "increment('k')", "change('k', str)", "put_new('a', 1)",
                   "compare_and_set('k', 1, 2)", "setdefault('k')", "popitem()"]],
    [?assertEqual(Refused, py:eval(["erlang.state.", Any])) || Any <- ["get('k')", "update(k=2)", "keys().__next__()"]],
    ?assertEqual({ok, 1}, py_state:take(<<"k">>)).

nonsense() ->
    [?assertMatch({error, {'erlang.Error', <<"error: badarg">>}}, python(["__import__('_erlang').state(", Ask, ", False)"]))
     || Ask <- ["'nothing', []", "'get', []", "'keys', [1, None]", "'keys', [None, 1]", "'keys', [None, b'x']",
                "'add', ['k', 'x']", "'put', ['k']"]],
    %% A place, but compressed.
    Place = {binary:copy(<<"k">>, 1000), []},
    Keys = fun(Bytes) ->
        python("__import__('_erlang').state('keys', [None, bytes(place)], False)", #{place => binary_to_list(Bytes)})
    end,
    ?assertEqual({ok, [none]}, Keys(term_to_binary(Place))),
    ?assertEqual({error, {'erlang.Error', <<"error: badarg">>}}, Keys(term_to_binary(Place, [compressed]))),
    {error, {'TypeError', _}} = python("__import__('_erlang').state(1, [], False)"),
    ?assertEqual({ok, 0}, python("len(erlang.state)")).

threads() ->
    ?assertEqual({ok, 200}, call(in_threads, [4])),
    {ok, 200} = py_state:take(<<"threads">>).

in_child() ->
    ?assertEqual({ok, <<"SendError">>}, call(in_child, [])).

%% The process that writes does not answer meanwhile.
out_of_time() ->
    true = register(test, self()),
    ok = sys:suspend(py_talk_state),
    Before = fixture:os_pids(writers),
    ?assertEqual({error, timeout}, py:call(shared, wait, [1], #{}, ?WRITERS#{timeout => 100})),
    receive gave_up -> ok end,
    ?assertEqual({ok, 2}, python("1 + 1")),
    ok = sys:resume(py_talk_state),
    ?assertEqual(Before, fixture:os_pids(writers)),
    true = unregister(test),
    {ok, _} = py_state:clear().

nested() ->
    ok = py:register_function(both_ways, fun(N) ->
        {ok, M} = py_state:increment(<<"n">>, N),
        {ok, M} = python("erlang.state['n']"),
        M
    end),
    ?assertEqual({ok, [5, 7]}, python("[erlang.call('both_ways', 5), erlang.state.increment('n', 2)]")),
    ok = py:unregister_function(both_ways),
    {ok, 7} = py_state:take(<<"n">>).

%% ---------------------------------------------------------------------------

outlives() ->
    ok = py:exec("erlang.state['kept'] = 'still here'", #{}, ?WRITERS),
    ok = py:unbind(writers),
    #{bytes := Bytes} = py_state:info(),
    [fixture:kill("KILL", Pid) || Pid <- fixture:os_pids(writers)],
    fixture:wait_until(fun() -> python("erlang.state['kept']") =:= {ok, <<"still here">>} end),
    Writer = whereis(py_talk_state),
    exit(Writer, kill),
    fixture:wait_until(fun() -> is_pid(whereis(py_talk_state)) andalso whereis(py_talk_state) =/= Writer end),
    ?assertEqual({ok, <<"still here">>}, py_state:get(<<"kept">>)),
    ?assertMatch(#{keys := 1, bytes := Bytes}, py_state:info()),
    ?assertEqual({ok, <<"still here">>}, python("erlang.state['kept']")),
    {ok, Pool} = py_pool_board:find(writers),
    [begin
         exit(Pid, kill),
         fixture:wait_until(fun() -> not is_process_alive(Pid) end),
         fixture:wait_until(fun() -> python("erlang.state['kept']") =:= {ok, <<"still here">>} end)
     end || {_, Pid} <- [py_pool_board:pool(Pool), py_pool_board:supervisor(writers)]],
    ok = py:stop_pool(writers),
    ?assertEqual({ok, <<"still here">>}, py_state:take(<<"kept">>)).

not_started() ->
    [?assertEqual({error, {not_started, py}}, Result)
     || Result <- [py_state:get(a), py_state:put(a, 1), py_state:put_new(a, 1), py_state:delete(a), py_state:take(a),
                   py_state:update(a, fun(V) -> V end, 1), py_state:compare_and_set(a, 1, 2), py_state:increment(a),
                   py_state:keys(), py_state:to_list("a"), py_state:clear(), py_state:info()]].

ends() ->
    ok = application:set_env(py, pools, #{}),
    {ok, _} = application:ensure_all_started(py),
    ok = py_state:put(a, 1),
    ok = application:stop(py),
    {ok, _} = application:ensure_all_started(py),
    ?assertEqual({error, {no_key, a}}, py_state:get(a)),
    ok = application:stop(py).

wrong_limits() ->
    ok = application:set_env(py, state_limits, #{keys => 0}),
    {error, {py, Reason}} = application:ensure_all_started(py),
    ?assertEqual(true, fixture:contains(io_lib:format("~p", [Reason]), "state_limits")),
    ok = application:unset_env(py, state_limits).
