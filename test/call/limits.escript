#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What is not a value, or too much of one: a clear error that names the place,
%% in both directions, and a worker that goes on as if nothing had been.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Init = <<"import decimal, erlang, math, samples, sys, threading\n"
             "class Bag:\n"
             "    def __init__(self, **attributes): vars(self).update(attributes)\n"
             "erlang.encoder(Bag, vars)\n"
             "def send_in_thread(to, term, stack):\n"
             "    raised = []\n"
             "    def send():\n"
             "        try: erlang.send(to, term)\n"
             "        except ValueError as exc: raised.append(exc)\n"
             "    before = threading.stack_size(stack)\n"
             "    thread = threading.Thread(target=send)\n"
             "    thread.start()\n"
             "    threading.stack_size(before)\n"
             "    thread.join()\n"
             "    for exc in raised: raise exc\n">>,
    tap:run(fixture:with_app(#{init => Init, size => 1}, [
        [refused_by_python(Row) || Row <- not_for_python()],
        [refused_by_erlang(Row) || Row <- not_for_erlang()],
        [deep(Row) || Row <- depths()],
        {"nested 4,000 levels, lists and maps and tuples mixed", fun mixed_depth/0},
        {"nested too deep for the stack of a thread", fun small_stack/0},
        {"keys that are maps", fun keys_with_maps/0},
        {"an atom that Erlang does not know", fun unknown_atom/0},
        {"an atom that is too long", fun long_atom/0},
        {"an encoder that empties the list it is in", fun shrinking/0},
        {"two million items are no problem", fun many_items/0},
        {"none of all this cost a worker", fun same_worker/0}
    ])).

%% ---------------------------------------------------------------------------
%% Erlang → Python

%% {What, the request, the class of the error, what its message says}
not_for_python() ->
    [{"a binary that is not UTF-8", call([1, #{<<"x">> => <<255>>}]), badarg,
      ["args[1]['x']", "UTF-8", "{bytes, B}"]},
     {"the same as a local", eval(#{data => [a, <<200, 200>>]}), badarg, ["data", "[1]", "UTF-8"]},
     {"the same as a keyword argument",
      fun() -> py:call(samples, identity, [], #{value => {1, <<255>>}}) end, badarg,
      ["value", "[1]", "UTF-8"]},
     {"the same in a key", call([#{<<255>> => 1}]), badarg, ["args[0]", "UTF-8"]},
     {"the same in an improper list's tail", call([[1 | <<255>>]]), badarg, ["args[0]", "UTF-8"]},
     {"an encoded surrogate", call([<<16#ED, 16#A0, 16#80>>]), badarg, ["args[0]", "UTF-8"]},
     {"keys that are equal in Python: 1 and 1.0",
      call([#{1 => a, 1.0 => b}]), badarg, ["args[0]"]},
     {"keys that are equal in Python: 1 and true",
      call([#{1 => a, true => b}]), badarg, ["args[0]"]},
     {"keys that are equal in Python: an atom and a binary",
      call([#{a => 1, <<"a">> => 2}]), badarg, ["args[0]"]},
     {"keys that are equal in Python: none and undefined",
      call([#{none => 1, undefined => 2}]), badarg, ["args[0]"]},
     {"keys that are equal in Python, further in",
      call([[#{}, #{<<"k">> => #{0 => a, false => b}}]]), badarg, ["args[0][1]['k']"]},
     {"a key that is a list", call([#{[1] => 2}]), badarg, ["args[0]"]},
     {"a key that is a map", call([{#{#{} => 2}}]), badarg, ["args[0][0]"]},
     {"a key that is a tuple with a list", call([#{{[1]} => 2}]), badarg, ["args[0]"]}].

call(Args) ->
    fun() -> py:call(samples, identity, Args) end.

eval(Locals) ->
    fun() -> py:eval(<<"1">>, Locals) end.

refused_by_python({What, Request, Tag, Says}) ->
    {["Erlang to Python is refused: ", What], fun() ->
        {error, {Tag, Message}} = Request(),
        says(Message, Says)
    end}.

%% ---------------------------------------------------------------------------
%% Python → Erlang

%% {What, Python source, what the message says}
not_for_erlang() ->
    [{"an object, named by its place", "{'x': [0, 1, 2, object()]}", ["result['x'][3]", "object"]},
     {"an object in a tuple in a key", "{(1, len): 2}", ["result"]},
     {"an object in a set", "{len}", ["result"]},
     {"an object in a dataclass", "samples.Reading('s', len, [])", ["result", "colour"]},
     {"a lone surrogate", "['\\ud800']", ["result[0]", "surrogate"]},
     {"a lone surrogate in a key", "{'\\udfff': 1}", ["result"]},
     {"keys that are equal in Erlang: str and bytes", "{'a': 1, b'a': 2}", ["result"]},
     {"keys that are equal in Erlang: two nans", "{math.nan: 1, float('nan'): 2}", ["result"]},
     {"keys that are equal in Erlang: None and Atom('none')",
      "{None: 1, erlang.Atom('none'): 2}", ["result"]},
     {"keys that are equal in Erlang: str and Decimal",
      "[{'1.5': 1, decimal.Decimal('1.5'): 2}]", ["result[0]"]},
     {"keys that are equal in Erlang, inside keys", "{('a',): 1, (b'a',): 2}", ["result"]},
     {"keys that are equal in Erlang: maps that were filled in another order",
      "[{Bag(x=1, y=2): 3, Bag(y=2, x=1): 4}]", ["result[0]", "same"]},
     {"a list that contains itself", "samples.cycle()", ["result"]},
     {"a dict that contains itself", "samples.cyclic_dict()", ["result['self']"]},
     {"nested 100,000 levels", "samples.nested(100000)", ["result", "deep"]},
     {"nested dicts, 100,000 levels", "samples.nested_dict(100000)", ["result", "deep"]}].

refused_by_erlang({What, Source, Says}) ->
    {["Python to Erlang is refused: ", What], fun() ->
        {error, {Class, Message}} = py:eval(unicode:characters_to_binary(Source)),
        ?assert(is_atom(Class)),
        says(Message, Says)
    end}.

says(Message, Words) ->
    ?assert(is_binary(Message)),
    [?assertEqual({true, Word, Message}, {fixture:contains(Message, Word), Word, Message})
     || Word <- Words].

%% ---------------------------------------------------------------------------
%% Depth

%% {What, how deep, whether that is allowed}
depths() ->
    [{"1,000 levels", 1000, true}, {"1,500 levels", 1500, true},
     {"4,000 levels", 4000, true}, {"5,000 levels", 5000, false},
     {"100,000 levels", 100_000, false}].

deep({What, Depth, true}) ->
    {["nested both ways: ", What], fun() ->
        Term = nest(Depth - 1, fun(Inner) -> [Inner] end, []),
        ?assertEqual({ok, Depth}, py:call(samples, depth_of, [Term])),
        ?assertEqual({ok, Term}, py:call(samples, nested, [Depth])),
        ?assertEqual({ok, Term}, py:call(samples, identity, [Term]))
    end};
deep({What, Depth, false}) ->
    {["nested too deep is an error: ", What], fun() ->
        Term = nest(Depth, fun(Inner) -> {Inner} end, 1),
        {error, {badarg, Why}} = py:call(samples, depth_of, [Term]),
        says(Why, ["deep"]),
        {error, {_, Message}} = py:call(samples, nested, [Depth]),
        says(Message, ["deep"])
    end}.

mixed_depth() ->
    Layers = fun(Inner) -> {[#{<<"k">> => Inner}, 1]} end,
    Term = nest(1330, Layers, 0),
    ?assertEqual({ok, Term}, py:call(samples, identity, [Term])).

small_stack() ->
    Send = fun(Depth) ->
        Locals = #{to => self(), depth => Depth},
        py:eval(<<"send_in_thread(to, samples.nested(depth), 128 * 1024)">>, Locals)
    end,
    {error, {'ValueError', Message}} = Send(4000),
    says(Message, ["deep", "stack"]),
    ?assertEqual({ok, none}, Send(20)),
    ?assertEqual(nest(19, fun(Inner) -> [Inner] end, []), receive Term -> Term after 30_000 -> none end).

keys_with_maps() ->
    Map = #{#{<<"x">> => 1, <<"y">> => 2} => a, {#{<<"x">> => 2, <<"y">> => 1}} => b},
    Source = <<"{Bag(y=2, x=1): erlang.Atom('a'), (Bag(x=2, y=1),): erlang.Atom('b')}">>,
    ?assertEqual({ok, Map}, py:eval(Source)).

nest(0, _, Term) -> Term;
nest(N, Wrap, Term) -> nest(N - 1, Wrap, Wrap(Term)).

%% ---------------------------------------------------------------------------

unknown_atom() ->
    Name = iolist_to_binary(io_lib:format("no_such_atom_~b", [rand:uniform(1 bsl 60)])),
    ?assertMatch({error, {unknown_atom, Name}},
                 py:eval(<<"erlang.Atom(x)">>, #{x => Name})),
    Before = erlang:system_info(atom_count),
    ?assertMatch({error, {unknown_atom, Name}},
                 py:eval(<<"[1, {'k': erlang.Atom(x)}]">>, #{x => Name})),
    ?assertEqual(Before, erlang:system_info(atom_count)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

long_atom() ->
    ?assertMatch({error, {'ValueError', _}}, py:eval(<<"erlang.Atom('a' * 256)">>)),
    ?assertMatch({error, {_, _}}, py:eval(<<"erlang.Atom('\\ud800')">>)).

shrinking() ->
    Result = py:call(samples, growing, []),
    ?assert(element(1, Result) =:= ok orelse element(1, Result) =:= error),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

many_items() ->
    {ok, List} = py:eval(<<"[None] * 2_000_000">>),
    ?assertEqual(2_000_000, length(List)).

same_worker() ->
    ?assertMatch([#{restarts := 0}], fixture:workers()).
