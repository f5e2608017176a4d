#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! +pc unicode
%%
%% make_corpus DIR: writes what the fuzzers start from, one frame a file:
%% DIR/terms (for scan and decode), DIR/requests (for scan), DIR/batches and DIR/lane.
-mode(compile).

main([Dir]) ->
    Terms = lists:flatmap(fun forms/1, terms()) ++ old_forms(),
    write(filename:join(Dir, "terms"), Terms),
    Requests = [term_to_binary(Request) || Request <- requests()],
    write(filename:join(Dir, "requests"), Requests),
    write(filename:join(Dir, "batches"), [term_to_binary(Requests)
                                          | [term_to_binary([Request]) || Request <- Requests]]),
    write(filename:join(Dir, "lane"), [<<(place(Size))/binary, Request/binary>>
                                       || Request <- Requests,
                                          Size <- [byte_size(Request), 0, 1 bsl 22, 1 bsl 31]]);
main(_) ->
    io:put_chars(standard_error, "usage: make_corpus.escript DIR\n"),
    halt(64).

%% It stands for a frame of so many bytes in the lane.
place(Size) ->
    <<131, 104, 3, 119, 4, "lane", 98, 1:32, 98, Size:32>>.

%% The name of a file is a hash of what is in it, so that none is there twice.
write(Dir, Frames) ->
    [begin
         Name = binary:encode_hex(erlang:md5(Frame)),
         File = filename:join(Dir, string:lowercase(Name)),
         ok = filelib:ensure_dir(File),
         ok = file:write_file(File, Frame)
     end || Frame <- Frames].

%% Every way in which this release can write a term.
forms(Term) ->
    [term_to_binary(Term, [{minor_version, Minor}]) || Minor <- [0, 1, 2]].

terms() ->
    Variables = [1, {two}],
    Numbers = [0, 255, 256, -1, 1 bsl 31, -(1 bsl 31) - 1, 1 bsl 64, -(1 bsl 300),
               1 bsl 2048, 0.0, -0.0, 1.5, -1.0e300, 5.0e-324],
    Atoms = [true, false, none, undefined, '', ok, 'a b', 'ünïcode', '日本', '🐍'],
    Texts = [<<>>, <<"abc">>, <<"日本"/utf8>>, <<255>>, <<5:3>>, <<"abc", 1:1>>,
             {bytes, <<0, 255>>}],
    Lists = [[], "abc", [1, 2, 300], [a, [b, [c, []]]], [1 | 2], ["a", <<"b">> | c],
             lists:seq(1, 300)],
    Tuples = [{}, {1}, {a, {b, {c}}}, list_to_tuple(lists:seq(1, 300))],
    Tagged = [{float, nan}, {complex, 1.0, nan}, {date, {2026, 2, 28}},
              {time, {1, 2, 3}, 4, none}, {datetime, {{2026, 2, 28}, {1, 2, 3}}, 0, 3600},
              {timedelta, -1, 0, 0}, {decimal, <<"1.5">>}, {ndarray, <<"|u1">>, {2}, <<1, 255>>},
              {py_handle, 1 bsl 63, {default, self()}, self()}, {py_handle, 1 bsl 80, [], #{}}],
    Maps = [#{}, #{a => 1}, #{<<"k">> => #{1 => []}, {t} => "v"}, #{#{} => #{}},
            #{1 => a, 1.0 => b}],
    Opaque = [self(), make_ref(), hd(erlang:ports()), fun lists:map/2, fun(X) -> X end,
              fun(X) -> [X | Variables] end],
    All = lists:append([Numbers, Atoms, Texts, Lists, Tuples, Tagged, Maps, Opaque]),
    [nest(50, [deep]), nest(50, {deep}), nest(50, #{deep => deep}), All | All].

nest(0, Term) -> Term;
nest(N, Term) when is_list(Term) -> [nest(N - 1, Term)];
nest(N, Term) when is_tuple(Term) -> {nest(N - 1, Term)};
nest(N, Term) when is_map(Term) -> #{nest(N - 1, Term) => N}.

%% Tags that only earlier or later releases write.
old_forms() ->
    Node = <<119, 1, "n">>,
    [<<131, Tag, Rest/binary>> || {Tag, Rest} <- [
        {$s, <<2, "ok">>},
        {$v, <<5:16, "aüï"/utf8>>},
        {$w, <<2, "ok">>},
        {$i, <<2:32, "jj">>},
        {$o, <<3:32, 0, 1, 2, 3>>},
        {$g, <<Node/binary, 1:32, 2:32, 3>>},
        {$X, <<Node/binary, 1:32, 2:32, 3:32>>},
        {$f, <<Node/binary, 1:32, 3>>},
        {$Y, <<Node/binary, 1:32, 3:32>>},
        {$x, <<Node/binary, 1:64, 3:32>>},
        {$e, <<Node/binary, 1:32, 3>>},
        {$r, <<2:16, Node/binary, 3, 1:32, 2:32>>},
        {$Z, <<5:16, Node/binary, 3:32, 1:32, 2:32, 3:32, 4:32, 5:32>>}]].

requests() ->
    Call = {call, math, sqrt, [2.0], #{}},
    Eval = {eval, <<"x + 1">>, #{x => 1, <<"y">> => [2]}},
    Options = #{none => nil, binaries => bytes, arrays => list, traceback => true,
                chunk => 10, credit => 20},
    Ops = [hello, version, memory_stats, gc, {gc, 2}, trim, tracemalloc_start,
           {tracemalloc_start, 10}, tracemalloc_stop, {tracemalloc_top, 3}, traced, census, growth,
           uncollectable, {referrers, <<"dict">>, 3}, Call, Eval,
           {exec, <<"def f(): pass">>}, {stream, Eval}, {stream, Call},
           {multicall, [{math, sqrt, [2.0], #{}}, {<<"math">>, "sqrt", [], #{x => 1}}]}, {multicall, []}],
    [{7, Op} || Op <- Ops] ++ [{make_ref(), Op, Options} || Op <- Ops] ++
        [quit, resume, {ack, 100}, {cancel, 7}, {more, 7, 100}, {more, 7, 1 bsl 62}, {stop, {a, 7}},
         {take_back, []}, {reply, 1, {ok, Eval}}, {reply, 300, ok},
         {within, 300, term_to_binary({7, Eval})}, {within, 300, term_to_binary(quit)}, {within, 300, x},
         {reply, 300, {error, {<<"error: x">>, error, x, [#{function => f, arity => 1}]}}}].
