#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_exception: classes as atoms, of which Python cannot make more than 1,000.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MOST, 1000).

main(_) ->
    ok = py_exception:start(),
    tap:run([
        table:rows("reason", fun py_exception:reason/1, reasons()),
        {"the names that a hello tells are learnt", fun learnt/0},
        {"no more of them than any Python has, however often there is a hello",
         fun learnt_most/0},
        {"a thousand new classes are atoms, the next ones stay binaries", fun bounded/0},
        {"to start again does not begin to count again", fun counted_on/0}
    ]).

reasons() ->
    Long = binary:copy(<<"x">>, 256),
    [{"a class and a message", [{<<"ValueError">>, <<"no">>}], {'ValueError', <<"no">>}},
     {"with a traceback", [{<<"ValueError">>, <<"no">>, #{}}], {'ValueError', <<"no">>, #{}}},
     {"what has an atom already", [{badarg, <<"no">>}], {badarg, <<"no">>}},
     {"an atom", [timeout], timeout},
     {"a name that is too long for an atom", [{Long, <<"no">>}], {Long, <<"no">>}}].

exists(Name) ->
    try binary_to_existing_atom(Name) of
        _ -> true
    catch
        error:badarg -> false
    end.

name(Prefix, N) ->
    <<Prefix/binary, (integer_to_binary(N))/binary>>.

learnt() ->
    Name = name(<<"Lear">>, 1),
    ?assertNot(exists(Name)),
    ok = py_exception:learn([Name]),
    ?assert(exists(Name)).

%% One has been learnt above.
learnt_most() ->
    Hellos = [[name(<<"Many">>, 100 * Hello + N) || N <- lists:seq(1, 100)]
              || Hello <- lists:seq(1, 10)],
    [ok = py_exception:learn(Names) || Names <- Hellos ++ Hellos],
    ?assertEqual(249, length(lists:filter(fun exists/1, lists:append(Hellos)))).

%% A name that no atom can have was counted by the table above.
bounded() ->
    Classes = [class(name(<<"New">>, N)) || N <- lists:seq(1, ?MOST + 100)],
    Atoms = lists:takewhile(fun is_atom/1, Classes),
    ?assert(length(Atoms) > ?MOST - 10 andalso length(Atoms) =< ?MOST),
    ?assertEqual([], [Class || Class <- lists:nthtail(length(Atoms), Classes), is_atom(Class)]),
    ?assertEqual(hd(Classes), class(<<"New1">>)).

class(Name) ->
    {Class, <<>>} = py_exception:reason({Name, <<>>}),
    Class.

counted_on() ->
    ok = py_exception:start(),
    ?assertEqual(<<"Newest">>, class(<<"Newest">>)).
