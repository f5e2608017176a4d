#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Contexts that have a name: found by it, opened anew after their worker's end, gone with
%% their owner.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 2, interrupt_grace => 100, close_grace => 100}, [
        {"every kind of request may name its context", fun all_kinds/0},
        {"in another pool", fun other_pool/0},
        {"what is no name, or nobody's", fun wrong/0},
        {"the code of init runs first, in any context", fun init/0},
        {"opened anew after the worker's death", fun worker_dies/0},
        {"after it was restarted, and recycled", fun replaced/0},
        {"after the pool's process died, or all of them", fun pool_dies/0},
        {"where it was, if a worker was named", fun named_worker/0},
        {"many look for it: it is opened once", fun at_once/0},
        {"if it cannot be opened anew, who looks for it hears why", fun cannot/0},
        {"no room for it", fun no_room/0},
        {"a copy is a copy again", fun copy/0},
        {"a copy of what has no name is not", fun copy_of_nameless/0},
        {"nobody waits for Python to find one", fun busy/0},
        {"its owner's death, also after its worker's, and while it is opened", fun owner_dies/0},
        {"closed by what it was before", fun close/0},
        {"closed while it is opened anew", fun close_meanwhile/0},
        {"with closes it in its second life", fun with/0},
        {"what nobody uses is gone, also after its worker's death", fun idle/0},
        {"stopping the pool ends it", fun stopped/0},
        {"a function that Python has called finds it, and opens it anew", fun within/0},
        {"who looks for it waits no longer than said", fun timeout/0},
        {"a keeper that was killed", fun keeper_killed/0},
        {"a keeper shows nothing of the code, and minds no other messages", fun shown/0},
        {"names leave nothing", fun nothing_left/0},
        {"whoever opens, finds, closes, dies and kills: a name has its own context, or none", 60_000, fun murder/0}
    ]) ++ [{"the end of the application ends the keepers", fun ends/0}]).

in(Context) -> #{context => Context}.

eval(Code, Context) -> py:eval(Code, #{}, in(Context)).

open(Name) -> open(Name, #{}).

open(Name, Options) ->
    {ok, Context} = py_context:open(Options#{name => Name, init => [<<"import os\nx = 7">>, "def f(n): return x + n"]}),
    Context.

%% Ends its worker.
kill(Context) ->
    ?assertEqual({error, {worker_exit, {status, 3}}}, eval(<<"__import__('os')._exit(3)">>, Context)).

keepers() ->
    [Pid || Pid <- processes(), proc_lib:translate_initial_call(Pid) =:= {py_named, init, 1}].

%% Another pool, of one worker; the test stops it, but for one that fails.
start_other(Options) ->
    _ = py:stop_pool(other),
    {ok, _} = py:start_pool(other, Options#{size => 1, python_path => [fixture:python_path()], init => <<"import wedge">>}),
    ok.

guards() ->
    [Pid || Pid <- processes(), process_info(Pid, current_function) =:= {current_function, {py_named, guard, 3}}].

is_gone(Name) -> py_context:find(Name) =:= {error, {no_context, Name}}.

%% An owner that goes on until it is killed.
owner(Open) ->
    Self = self(),
    Pid = spawn(fun() -> Self ! {self(), Open()}, receive stop -> ok end end),
    receive {Pid, Result} -> {Pid, Result} end.

all_kinds() ->
    C = open(cart),
    ?assertEqual({ok, 8}, py:call('__main__', f, [1], #{}, in(cart))),
    ok = py:exec(<<"x = 8\ndef each(): yield from range(2)\ndef send(to): erlang.send(to, x)">>, in(cart)),
    ?assertEqual({ok, 8}, eval(<<"x">>, cart)),
    ?assertEqual({ok, 9}, py:await(py:spawn_call('__main__', f, [1], #{}, in(cart)))),
    ?assertEqual({ok, [0, 1]}, py:stream('__main__', each, [], #{}, in(cart))),
    {ok, Stream} = py:stream_open({'__main__', each, []}, in(cart)),
    ?assertEqual({ok, [0, 1]}, py:stream_next(Stream)),
    ok = py:stream_close(Stream),
    ok = py:cast('__main__', send, [self()], #{}, in(cart)),
    receive Got -> ?assertEqual(8, Got) after 30_000 -> error(nothing_came) end,
    {ok, H} = py:eval(<<"[x]">>, #{}, (in(cart))#{return => handle}),
    ?assertEqual({ok, [8]}, py_handle:value(H)),
    ok = py_handle:release(H),
    ?assertEqual({ok, 8, <<"8\n">>}, py:eval(<<"print(x) or x">>, #{}, (in(cart))#{capture => true})),
    ?assertError(badarg, py:parallel([{math, sqrt, [4]}], in(cart))),
    ?assertError(badarg, py:exec_all(<<"x = 1">>, in(cart))),
    ?assertEqual({ok, C}, py_context:find(cart)),
    ok = py_context:close(C).

other_pool() ->
    ok = start_other(#{}),
    C = open(cart, #{pool => other}),
    ?assertEqual({error, {no_context, cart}}, eval(<<"x">>, cart)),
    ?assertEqual({ok, 7}, py:eval(<<"x">>, #{}, (in(cart))#{pool => other})),
    ?assertEqual({ok, 7}, py:eval(<<"x">>, #{}, (in(C))#{pool => other})),
    ?assertEqual({error, {no_pool, nix}}, py:eval(<<"x">>, #{}, (in(cart))#{pool => nix})),
    Mine = open(cart),
    ?assertEqual([true, false], [py_context:find(Pool, cart) =:= {ok, C} || Pool <- [other, default]]),
    ok = py_context:close(Mine),
    ?assertEqual({ok, 7}, py:eval(<<"x">>, #{}, (in(cart))#{pool => other})),
    Both = try py:eval(<<"x">>, #{}, (in(C))#{pool => default})
           catch error:badarg:Stack -> lists:last(element(3, hd(Stack))) end,
    ?assertEqual(<<"the context is in the pool other, but pool is default">>, Both),
    ok = py:stop_pool(other).

wrong() ->
    ?assertEqual({error, {no_context, nix}}, eval(<<"1">>, nix)),
    ?assertEqual({error, {no_context, nix}}, py_context:open(#{from => nix})),
    ?assertMatch({error, {no_context, nix}}, py:await(py:spawn_call(math, sqrt, [4], #{}, in(nix)))),
    [?assertError(badarg, eval(<<"1">>, Wrong)) || Wrong <- ["cart", <<"cart">>, 7, {default, cart}]],
    [?assertError(badarg, py:eval(<<"1">>, #{}, (in(cart))#{pool => {default, Id}})) || Id <- [1, all]],
    [?assertError(badarg, py_context:open(#{init => Wrong})) || Wrong <- [7, nix, [<<255>>]]].

init() ->
    ?assertEqual({ok, 8}, py_context:with(#{init => [<<"x = 7">>, "y = x + 1"]}, fun(C) -> eval(<<"y">>, C) end)),
    {ok, Base} = py_context:open(#{init => "b = 1"}),
    ?assertEqual({ok, 2}, py_context:with(#{from => Base, init => <<"c = b + 1">>}, fun(C) -> eval(<<"c">>, C) end)),
    ok = py_context:close(Base),
    Failed = py_context:open(#{name => bad, init => [<<"a = 1">>, <<"\n1/0">>]}),
    ?assertMatch({error, {init, 2, {'ZeroDivisionError', _, #{frames := [#{file := <<"<init 2>">>, line := 2}]}}}},
                 Failed),
    ?assertMatch({error, {init, 1, {'SyntaxError', _, _}}}, py_context:open(#{init => "1 /"})),
    ?assertEqual({error, {init, 1, {worker_exit, {status, 3}}}},
                 py_context:open(#{init => "import os; os._exit(3)"})),
    ?assertEqual({error, {init, 2, timeout}},
                 py_context:open(#{timeout => 200, init => ["import time", "time.sleep(60)"]})),
    ?assert(is_gone(bad)),
    fixture:wait_until(fun() -> [0, 0] =:= [N || #{contexts := N} <- fixture:workers()] end).

worker_dies() ->
    C = open(cart),
    ok = py:exec(<<"x = 100">>, in(C)),
    kill(C),
    ?assertEqual({error, {worker_exit, {status, 3}}}, eval(<<"x">>, C)),
    ?assertEqual({ok, 8}, eval(<<"f(1)">>, cart)),
    {ok, Second} = py_context:find(cart),
    ?assertEqual({true, {error, {already_open, Second}}}, {C =/= Second, py_context:open(#{name => cart})}),
    kill(cart),
    ?assertEqual({error, {already_open, Second}}, py_context:open(#{name => cart})),
    ?assertEqual({ok, 8}, eval(<<"f(1)">>, cart)),
    [fixture:kill("KILL", OsPid) || OsPid <- fixture:os_pids()],
    fixture:wait_until(fun() -> eval(<<"f(2)">>, cart) =:= {ok, 9} end),
    ok = py_context:close(Second).

replaced() ->
    ok = start_other(#{recycle => #{calls => 20, age => 1}, drain => 0}),
    At = (in(cart))#{pool => other},
    C = open(cart, #{pool => other}),
    ok = py:restart_workers(other),
    ?assertEqual({error, {worker_exit, restarted}}, eval(<<"1">>, C)),
    ?assertEqual({ok, 8}, py:eval(<<"f(1)">>, #{}, At)),
    {ok, D} = py_context:find(other, cart),
    fixture:wait_until(fun() -> {ok, 1} = py:eval(<<"1">>, #{}, #{pool => other}),
                                eval(<<"1">>, D) =:= {error, {worker_exit, recycled}} end),
    ?assertEqual({ok, 8}, py:eval(<<"f(1)">>, #{}, At)),
    ok = py:stop_pool(other).

pool_dies() ->
    ok = start_other(#{}),
    C = open(cart, #{pool => other}),
    Find = fun() -> fixture:wait_until(fun() -> py:eval(<<"f(1)">>, #{}, (in(cart))#{pool => other}) =:= {ok, 8} end) end,
    [begin
         Pid = Which(),
         exit(Pid, kill),
         fixture:wait_until(fun() -> not is_process_alive(Pid) end),
         Find(),
         ?assertMatch({error, {worker_exit, _}}, eval(<<"1">>, C))
     end || Which <- [fun() -> {ok, Pool} = py_pool_board:find(other), {ok, Pid} = py_pool_board:pool(Pool), Pid end,
                      fun() -> {own, Pid} = py_pool_board:supervisor(other), Pid end]],
    ok = py_context:close(C),
    ?assertEqual({error, {no_context, cart}}, py_context:find(other, cart)),
    ok = py:stop_pool(other).

named_worker() ->
    C = open(cart, #{pool => {default, 2}}),
    [begin
         ?assertEqual({ok, 2}, eval(<<"erlang.worker()">>, cart)),
         kill(cart),
         fixture:wait_until(fun() -> py:eval(<<"1">>, #{}, #{pool => {default, 2}}) =:= {ok, 1} end)
     end || _ <- [1, 2]],
    ok = py_context:close(C).

%% The code of init tells how often it runs.
at_once() ->
    Self = self(),
    ok = py:register_function(opening, fun() -> Self ! opening, ok end),
    {ok, C} = py_context:open(#{name => slow, init => <<"import time\nerlang.opening()\ntime.sleep(0.1)\nx = 1">>}),
    kill(C),
    Pids = [spawn_link(fun() -> Self ! {self(), py_context:find(slow)} end) || _ <- lists:seq(1, 30)],
    Found = [receive {Pid, {ok, It}} -> It end || Pid <- Pids],
    ?assertEqual(1, length(lists:usort(Found))),
    ?assertEqual({ok, 1}, eval(<<"x">>, hd(Found))),
    ?assertEqual(2, length([It || It <- element(2, process_info(self(), messages)), It =:= opening])),
    [receive opening -> ok end || _ <- [1, 2]],
    ok = py:unregister_function(opening),
    ok = py_context:close(C).

cannot() ->
    ok = py_state:put(<<"fine">>, true),
    ok = start_other(#{state => read}),
    Init = [<<"pass">>, <<"assert erlang.state['fine'], 'not fine'">>],
    {ok, C} = py_context:open(#{pool => other, name => cart, init => Init}),
    kill(C),
    ok = py_state:put(<<"fine">>, false),
    [?assertMatch({error, {init, 2, {'AssertionError', <<"not fine">>, _}}}, Result)
     || Result <- [py_context:find(other, cart), py:eval(<<"1">>, #{}, (in(cart))#{pool => other}),
                   py_context:open(#{pool => other, from => cart})]],
    ?assertEqual({error, {already_open, C}}, py_context:open(#{pool => other, name => cart})),
    fixture:wait_until(fun() -> [0] =:= [N || #{contexts := N} <- fixture:workers(other)] end),
    ok = py_state:put(<<"fine">>, true),
    ?assertMatch({ok, _}, py_context:find(other, cart)),
    ok = py_state:delete(<<"fine">>),
    ok = py:stop_pool(other).

no_room() ->
    ok = start_other(#{contexts => 1}),
    C = open(cart, #{pool => other}),
    kill(C),
    {ok, Instead} = py_context:open(#{pool => other}),
    ?assertEqual({error, {overloaded, contexts, 1}}, py_context:find(other, cart)),
    ok = py_context:close(Instead),
    ?assertEqual({ok, 8}, py:eval(<<"f(1)">>, #{}, (in(cart))#{pool => other})),
    ok = py:stop_pool(other).

copy() ->
    Base = open(base),
    {ok, A} = py_context:open(#{from => base, name => a, init => <<"y = x + 1">>}),
    {ok, B} = py_context:open(#{from => A, name => b, init => <<"z = y + 1">>}),
    ?assertEqual({ok, [7, 8, 9]}, eval(<<"[x, y, z]">>, b)),
    kill(b),
    ?assertEqual({ok, [7, 8, 9]}, eval(<<"[x, y, z]">>, b)),
    ?assertEqual(1, length(lists:usort([eval(<<"os.getpid()">>, Name) || Name <- [base, a, b]]))),
    ok = py_context:close(A),
    kill(b),
    ?assertEqual({error, {no_context, a}}, py_context:find(b)),
    [ok = py_context:close(It) || It <- [Base, B]].

copy_of_nameless() ->
    {ok, Base} = py_context:open(#{init => <<"x = 1">>}),
    {ok, C} = py_context:open(#{from => Base, name => copy}),
    ?assertEqual({ok, 1}, eval(<<"x">>, copy)),
    kill(C),
    ?assertEqual({error, {worker_exit, {status, 3}}}, py_context:find(copy)),
    ok = py_context:close(C).

%% While the only worker is held, that has an answer.
busy() ->
    ok = start_other(#{}),
    C = open(cart, #{pool => other}),
    Held = fixture:hold(#{pool => other}),
    ?assertEqual({ok, C}, py_context:find(other, cart)),
    ?assertEqual({error, {already_open, C}}, py_context:open(#{pool => other, name => cart})),
    ok = py_context:close(C),
    ?assertEqual({error, {no_context, cart}}, py_context:find(other, cart)),
    {ok, _} = fixture:release(Held),
    ok = py:stop_pool(other).

owner_dies() ->
    {Pid, C} = owner(fun() -> open(cart) end),
    exit(Pid, kill),
    fixture:wait_until(fun() -> is_gone(cart) end),
    fixture:wait_until(fun() -> is_closed(eval(<<"1">>, C)) end),
    {Again, D} = owner(fun() -> open(cart) end),
    kill(D),
    exit(Again, kill),
    fixture:wait_until(fun() -> is_gone(cart) andalso keepers() =:= [] end),
    Self = self(),
    ok = py:register_function(begun, fun() -> Self ! begun, ok end),
    Opener = spawn(fun() -> py_context:open(#{name => cart, init => <<"import time\nerlang.begun()\ntime.sleep(60)">>}) end),
    receive begun -> ok end,
    Waiter = spawn_link(fun() -> Self ! {self(), py_context:find(cart)} end),
    exit(Opener, kill),
    receive {Waiter, Result} -> ?assertEqual({error, {no_context, cart}}, Result) end,
    ok = py:unregister_function(begun),
    fixture:wait_until(fun() -> [0, 0] =:= [N || #{contexts := N} <- fixture:workers()] andalso keepers() =:= [] end).

close() ->
    C = open(cart),
    kill(C),
    {ok, D} = py_context:find(cart),
    ok = py_context:close(C),
    ?assert(is_gone(cart)),
    fixture:wait_until(fun() -> is_closed(eval(<<"1">>, D)) end),
    ok = py_context:close(D),
    %% It has nothing to do with another one that has got the name since.
    E = open(cart),
    ok = py_context:close(D),
    ?assertEqual({ok, 8}, eval(<<"f(1)">>, cart)),
    ok = py_context:close(E),
    ?assert(is_closed(eval(<<"1">>, E))).

is_closed({error, {badarg, Text}}) -> fixture:contains(Text, "it was closed");
is_closed({ok, _}) -> false.

close_meanwhile() ->
    Self = self(),
    ok = py:register_function(begun, fun() -> Self ! begun, ok end),
    ok = py_state:put(<<"slow">>, 0),
    ok = start_other(#{state => read}),
    {ok, C} = py_context:open(#{pool => other, name => cart,
                                init => <<"import time\nerlang.begun()\ntime.sleep(erlang.state['slow'])">>}),
    receive begun -> ok end,
    ok = py_state:put(<<"slow">>, 60),
    kill(C),
    Waiter = spawn_link(fun() -> Self ! {self(), py_context:find(other, cart)} end),
    receive begun -> ok end,
    ok = py_context:close(C),
    receive {Waiter, Result} -> ?assertEqual({error, {no_context, cart}}, Result) end,
    fixture:wait_until(fun() -> [0] =:= [N || #{contexts := N} <- fixture:workers(other)] end),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, #{pool => other})),
    ok = py_state:delete(<<"slow">>),
    ok = py:unregister_function(begun),
    ok = py:stop_pool(other).

with() ->
    ok = start_other(#{}),
    ?assertEqual({ok, 7}, py_context:with(#{name => cart, pool => other, init => <<"x = 7">>}, fun(C) ->
        kill(C),
        py:eval(<<"x">>, #{}, (in(cart))#{pool => other})
    end)),
    ?assertEqual({error, {no_context, cart}}, py_context:find(other, cart)),
    fixture:wait_until(fun() -> keepers() =:= [] end),
    ok = py:stop_pool(other).

idle() ->
    _ = open(cart, #{idle => 50}),
    fixture:wait_until(fun() -> keepers() =:= [] end),
    ?assert(is_gone(cart)),
    kill(open(cart, #{idle => 50})),
    fixture:wait_until(fun() -> keepers() =:= [] end),
    _ = open(cart, #{idle => 50}),
    fixture:wait_until(fun() -> is_gone(cart) end).

stopped() ->
    ok = start_other(#{}),
    C = open(cart, #{pool => other}),
    ok = py:stop_pool(other),
    ?assertEqual({[], {error, {no_pool, other}}}, {keepers(), py_context:find(other, cart)}),
    ok = start_other(#{}),
    ?assertEqual({error, {no_context, cart}}, py_context:find(other, cart)),
    ok = py_context:close(C),
    ok = py:stop_pool(other).

%% The only worker waits for that function.
within() ->
    ok = start_other(#{}),
    C = open(cart, #{pool => other}),
    At = (in(cart))#{pool => other},
    ok = py:register_function(in_cart, fun() -> py:eval(<<"f(1)">>, #{}, At) end),
    ?assertEqual({ok, {ok, 8}}, py:eval(<<"erlang.in_cart()">>, #{}, #{pool => other})),
    kill(C),
    ?assertEqual({ok, {ok, 8}}, py:eval(<<"erlang.in_cart()">>, #{}, #{pool => other})),
    ok = py:register_function(opens, fun() -> {ok, _} = py_context:open(#{pool => other, name => mine, init => "y = 5"}),
                                              py:eval(<<"y">>, #{}, At#{context => mine}) end),
    ?assertEqual({ok, {ok, 5}}, py:eval(<<"erlang.opens()">>, #{}, #{pool => other})),
    fixture:wait_until(fun() -> py_context:find(other, mine) =:= {error, {no_context, mine}} end),
    [ok = py:unregister_function(Name) || Name <- [in_cart, opens]],
    ok = py:stop_pool(other).

timeout() ->
    ok = start_other(#{}),
    C = open(cart, #{pool => other}),
    kill(C),
    Held = fixture:hold(#{pool => other}),
    ?assertEqual({error, timeout}, py:eval(<<"1">>, #{}, (in(cart))#{pool => other, timeout => 50})),
    {ok, _} = fixture:release(Held),
    ?assertEqual({ok, 8}, py:eval(<<"f(1)">>, #{}, (in(cart))#{pool => other})),
    ok = py:stop_pool(other).

keeper_killed() ->
    C = open(cart),
    [exit(Keeper, kill) || Keeper <- keepers()],
    fixture:wait_until(fun() -> is_gone(cart) end),
    fixture:wait_until(fun() -> is_closed(eval(<<"1">>, C)) end),
    D = open(cart),
    ?assertEqual({ok, 8}, eval(<<"f(1)">>, cart)),
    ok = py_context:close(D).

shown() ->
    {ok, C} = py_context:open(#{name => cart, init => <<"x = 'very secret'">>}),
    [Keeper] = keepers(),
    [Keeper ! Message || Message <- [timeout, nonsense]],
    ?assertEqual({ok, <<"very secret">>}, eval(<<"x">>, cart)),
    ?assertNot(fixture:contains(io_lib:format("~p", [sys:get_status(Keeper)]), "secret")),
    ok = py_context:close(C).

nothing_left() ->
    ok = start_other(#{}),
    Names = [list_to_atom("name" ++ integer_to_list(N)) || N <- lists:seq(1, 50)],
    ?assertEqual([], guards()),
    Owners = [element(1, owner(fun() -> open(Name, #{pool => other}) end)) || Name <- Names],
    {ok, One} = py_context:find(other, hd(Names)),
    kill(One),
    fixture:wait_until(fun() -> {50, 50} =:= {length(keepers()), length(guards())} end),
    [exit(Pid, kill) || Pid <- Owners],
    fixture:wait_until(fun() -> keepers() =:= [] andalso guards() =:= [] end),
    ?assertEqual([], ets:tab2list(py_named)),
    fixture:wait_until(fun() -> [0] =:= [N || #{contexts := N} <- fixture:workers(other)] end),
    ok = py:stop_pool(other).

%% What each may hear, and nothing else.
murder() ->
    Lives = [spawn_monitor(fun() -> live(N, 60, []) end) || N <- lists:seq(1, 20)],
    [exit(Pid, kill) || {N, {Pid, _}} <- lists:enumerate(Lives), N rem 5 =:= 0],
    Ends = [receive {'DOWN', Ref, process, _, Why} -> Why end || {_, Ref} <- Lives],
    ?assertEqual([], [Why || Why <- Ends, Why =/= normal, Why =/= killed]),
    fixture:wait_until(fun() -> keepers() =:= [] andalso ets:tab2list(py_named) =:= [] end),
    fixture:wait_until(fun() -> [0, 0] =:= [N || #{contexts := N} <- fixture:workers()] end).

live(_, 0, _) -> ok;
live(N, Left, Mine) -> live(N, Left - 1, act(rand:uniform(20), N, any_of([red, green, blue, white]), Mine)).

any_of(List) -> lists:nth(rand:uniform(length(List)), List).

act(1, 1, Name, Mine) ->
    heard(eval(<<"__import__('os')._exit(3)">>, Name), Name),
    Mine;
act(Dice, _, Name, Mine) when Dice < 6 ->
    case py_context:open(#{name => Name, init => [["mine = '", atom_to_list(Name), "'"]]}) of
        {ok, Context} -> [Context | Mine];
        {error, {already_open, Other}} -> heard(eval(<<"mine">>, Other), Name), Mine;
        {error, _} = Error -> heard(Error, Name), Mine
    end;
act(Dice, _, _, [Context | Rest]) when Dice < 10 ->
    ok = py_context:close(Context),
    Rest;
act(_, _, Name, Mine) ->
    heard(eval(<<"mine">>, Name), Name),
    Mine.

heard({ok, Text}, Name) -> ?assertEqual(atom_to_binary(Name), Text);
heard({error, {no_context, Name}}, Name) -> ok;
heard({error, {worker_exit, _}}, _) -> ok;
heard({error, {init, 1, Reason}}, Name) -> heard({error, Reason}, Name);
heard({error, {badarg, Text}}, _) -> ?assert(fixture:contains(Text, "it was closed")).

ends() ->
    {ok, _} = application:ensure_all_started(py),
    _ = open(cart),
    ok = application:stop(py),
    fixture:wait_until(fun() -> keepers() =:= [] end),
    ?assertEqual({error, {not_started, py}}, py_context:find(cart)),
    ?assertEqual({error, {not_started, py}}, py_context:open(#{name => cart})).
