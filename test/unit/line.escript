#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_talk_line: what comes from Python by an event is a line of the log that
%% a handler can write, whatever it is.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(TIMES, 3_000).

main(_) ->
    tap:run([
        table:rows("a line of a log", fun line/1, lines()),
        table:rows("its metadata", fun meta/1, metas()),
        table:rows("what is no line", fun other/1, others()),
        table:rows("a text", fun py_talk_line:text/1, texts()),
        {"a span", fun span/0},
        {"what is no span", fun no_span/0},
        {"a long text is cut at the end of a character", fun long/0},
        {"a large term is not shown", fun large/0},
        {"random terms", 60_000, fun random/0},
        {"random bytes", 60_000, fun random_bytes/0}
    ]).

read(Term) ->
    py_talk_line:read(term_to_binary(Term)).

%% Level and text, of an event that has no metadata.
line(Map) ->
    {Level, Format, Args, #{}} = read({event, log, Map}),
    {Level, text(Format, Args)}.

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).

lines() ->
    [{"as it should be", [#{level => error, text => <<"grün"/utf8>>}],
      {error, <<"grün"/utf8>>}},
     {"a text that is a format", [#{level => info, text => <<"~p ~s">>}], {info, <<"~p ~s">>}},
     {"a level that there is not", [#{level => loud, text => <<"a">>}], {notice, <<"a">>}},
     {"a level that is no atom", [#{level => 7, text => <<"a">>}], {notice, <<"a">>}},
     {"a level that only settings have", [#{level => all, text => <<"a">>}], {notice, <<"a">>}},
     {"bytes that are no UTF-8", [#{level => info, text => <<255, 254>>}],
      {info, <<"<<\"ÿþ\">>"/utf8>>}},
     {"a text that is an atom", [#{level => info, text => none}], {info, <<"none">>}},
     {"a text that is a number", [#{level => info, text => 1.5}], {info, <<"1.5">>}},
     {"a text that is bits", [#{level => info, text => <<5:3>>}], {info, <<"<<5:3>>">>}},
     {"a text that is a list", [#{level => info, text => [[1 | x]]}], {info, <<"[[1|x]]">>}},
     {"a text that is empty", [#{level => info, text => <<>>}], {info, <<>>}}].

%% A span as Python sends it, and what is said of it.
a_span() ->
    #{name => <<"grün"/utf8>>, trace_id => binary:copy(<<"a">>, 32), span_id => binary:copy(<<"b">>, 16),
      parent_id => none, start => 1_000_000_007, duration => 1_234_567, attributes => #{<<"n">> => 1},
      error => none, dropped => 0}.

span() ->
    Native = fun(Ns) -> erlang:convert_time_unit(Ns, nanosecond, native) end,
    {info, Format, Args, #{span := Span}} = read({event, span, a_span()}),
    ?assertEqual(<<"span grün: 1.234 ms"/utf8>>, text(Format, Args)),
    ?assertEqual((a_span())#{start := Native(1_000_000_007), duration := Native(1_234_567)}, Span),
    {info, _, Text, #{span := Failed}} = read({event, span, (a_span())#{error := [<<"KeyError">>, <<"'ö'"/utf8>>]}}),
    ?assertEqual([<<"span grün: 1.234 ms, KeyError: 'ö'"/utf8>>], Text),
    ?assertMatch(#{error := {<<"KeyError">>, _}}, Failed).

no_span() ->
    [{debug, _, _, #{}} = read({event, span, maps:merge(a_span(), Wrong)})
     || Wrong <- [#{name => 1}, #{name => <<255>>}, #{trace_id => <<"a">>}, #{span_id => 1}, #{parent_id => 1},
                  #{start => -1}, #{start => 1.0}, #{duration => -1}, #{attributes => []}, #{dropped => x},
                  #{start => 1 bsl 2000}, #{duration => 1 bsl 2000}, #{dropped => 1 bsl 2000},
                  #{error => [<<"KeyError">>, 1]}, #{error => [<<255>>, <<>>]}, #{error => x}]],
    [{debug, _, _, #{}} = read({event, span, maps:remove(Key, a_span())}) || Key <- maps:keys(a_span())].

meta(More) ->
    {info, _, _, Meta} = read({event, log, More#{level => info, text => <<>>}}),
    Meta.

metas() ->
    [{"all of it", [#{source => logging, logger => <<"a.b">>, file => <<"ü.py"/utf8>>, line => 3}],
      #{source => logging, python_logger => <<"a.b">>, file => "ü.py", line => 3}},
     {"keys of ours", [#{pool => x, pid => 1, time => y, gl => z, mfa => 1}], #{}},
     {"keys that are no atoms", [#{1 => 2, <<"file">> => 3}], #{}},
     {"a source that there is not", [#{source => lager}], #{}},
     {"a source that is no atom", [#{source => <<"stdout">>}], #{}},
     {"a file that is no text", [#{file => none}], #{}},
     {"a file that is no UTF-8", [#{file => <<255>>}], #{}},
     {"a file that is very long", [#{file => binary:copy(<<"x">>, 5000)}], #{}},
     {"a line that is no number", [#{line => none}], #{}},
     {"a line below zero", [#{line => -1}], #{}},
     {"a line that is a text", [#{line => <<"7">>}], #{}},
     {"a line that is very large", [#{line => 1 bsl 200}], #{}},
     {"a logger that is no text", [#{logger => [1]}], #{}}].

other(Term) ->
    {Level, Format, Args, #{}} = read(Term),
    <<Start:12/binary, _/binary>> = text(Format, Args),
    {Level, Start}.

others() ->
    Odd = {debug, <<"pyport said ">>},
    [{What, [Term], Odd}
     || {What, Term} <- [{"another event", {event, birthday, 1}},
                         {"an event without data", {event, log}},
                         {"a line that is no map", {event, log, 1}},
                         {"a line without a level", {event, log, #{text => <<"a">>}}},
                         {"a line without a text", {event, log, #{level => info}}},
                         {"a message", {event, send, {self(), 1}}},
                         {"a fun", fun lists:map/2},
                         {"nothing", []}]].

texts() ->
    Long = binary:copy(<<"x">>, 8192),
    [{"UTF-8", [<<"grün"/utf8>>], <<"grün"/utf8>>}, {"as long as a line", [Long], Long},
     {"bytes", [<<128>>], none}, {"half a character", [<<"a", 16#c3>>], none},
     {"a surrogate", [<<16#ed, 16#a0, 16#80>>], none}, {"bits", [<<1:1>>], none},
     {"a list", ["text"], none}, {"an atom", [text], none}].

long() ->
    Text = py_talk_line:text(unicode:characters_to_binary(lists:duplicate(20_000, $☃))),
    ?assert(byte_size(Text) =< 34_000),
    ?assertEqual([$☃], lists:usort(unicode:characters_to_list(Text))).

large() ->
    {info, "~ts", [Text], #{}} =
        read({event, log, #{level => info, text => lists:seq(1, 100_000)}}),
    ?assertMatch(<<"(a term of ", _/binary>>, Text),
    {info, "~ts", [Digits], #{}} = read({event, log, #{level => info, text => 1 bsl 800_000}}),
    ?assertMatch(<<"(a term of ", _/binary>>, Digits).

%% A handler can format it, and nothing that it relies on is odd.
writable({Level, Format, Args, Meta}) ->
    ?assert(lists:member(logger:compare_levels(Level, debug), [gt, eq])),
    Event = #{level => Level, msg => {Format, Args},
              meta => Meta#{time => logger:timestamp(), pid => self(), gl => self()}},
    Text = logger_formatter:format(Event, #{template => [msg, file, line, source, python_logger]}),
    ?assert(is_binary(unicode:characters_to_binary(Text))),
    ?assertEqual(nomatch, string:find(Text, "FORMAT ERROR")).

random() ->
    [begin
         Some = generate_term(3),
         writable(read(Some)),
         writable(read({event, log, Some})),
         writable(read({event, log, #{level => generate_term(1), text => generate_term(2),
                                      source => generate_term(1), file => generate_term(1),
                                      line => generate_term(1), logger => generate_term(1),
                                      generate_term(1) => generate_term(1)}}))
     end || _ <- lists:seq(1, ?TIMES)].

random_bytes() ->
    [begin
         Bytes = rand:bytes(rand:uniform(40)),
         writable(py_talk_line:read(Bytes)),
         writable(py_talk_line:read(<<131, Bytes/binary>>)),
         writable(py_talk_line:read(<<131, 104, 3, 119, 5, "event", 119, 3, "log", Bytes/binary>>))
     end || _ <- lists:seq(1, ?TIMES)].

generate_term(Depth) ->
    case rand:uniform(case Depth of 0 -> 9; _ -> 13 end) of
        1 -> rand:uniform(1000) - 500;
        2 -> rand:normal() * 1.0e100;
        3 -> lists:nth(rand:uniform(6), [info, error, all, none, '', 'ü~p']);
        4 -> rand:bytes(rand:uniform(20) - 1);
        5 -> <<"~p text ü"/utf8>>;
        6 -> <<(rand:uniform(7)):3>>;
        7 -> self();
        8 -> make_ref();
        9 -> 1 bsl rand:uniform(200);
        10 -> [generate_term(Depth - 1) || _ <- lists:seq(1, rand:uniform(4) - 1)];
        11 -> list_to_tuple([generate_term(Depth - 1) || _ <- lists:seq(1, rand:uniform(4) - 1)]);
        12 -> #{generate_term(Depth - 1) => generate_term(Depth - 1)};
        13 -> [generate_term(Depth - 1) | generate_term(Depth - 1)]
    end.
