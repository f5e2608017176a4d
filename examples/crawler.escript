#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% A crawler: Erlang decides which pages are fetched, coroutines in Python fetch and parse
%% them, many at once on each of two workers. The server, whose pages take 50 ms each, is
%% here, too. With the application on ERL_LIBS:
%%
%%     escript examples/crawler.escript
-mode(compile).

-define(PAGES, 100).
-define(DELAY, 50).

main(_) ->
    io:setopts([{encoding, unicode}]),
    ok = application:load(py),
    [ok = application:set_env(py, Key, Value)
     || {Key, Value} <- [{size, 2}, {init, <<"import crawler">>},
                         {python_path, [filename:dirname(escript:script_name())]}]],
    {ok, _} = application:ensure_all_started(py),
    Port = serve(),
    Start = erlang:monotonic_time(millisecond),
    Pages = crawl(Port, [<<"/">>], #{}),
    Ms = erlang:monotonic_time(millisecond) - Start,
    Titles = [Title || {_, {ok, {Title, _}}} <- maps:to_list(Pages)],
    io:format("~b pages, the last one is ~ts~n", [length(Titles), lists:last(lists:sort(Titles))]),
    [io:format("~ts: ~tp~n", [Path, Why]) || {Path, {error, Why}} <- maps:to_list(Pages)],
    io:format("~b requests of ~b ms took ~b ms~n", [map_size(Pages), ?DELAY, Ms]),
    ok = application:stop(py).

%% All new pages at once, then all that these link to, and so on.
crawl(_, [], Pages) ->
    Pages;
crawl(Port, Paths, Pages) ->
    Refs = [{Path, py:spawn_call(crawler, fetch, [Port, Path], #{}, 5000)} || Path <- Paths],
    Fetched = maps:from_list([{Path, py:await(Ref)} || {Path, Ref} <- Refs]),
    Known = maps:merge(Pages, Fetched),
    Links = lists:append([Links || {ok, {_, Links}} <- maps:values(Fetched)]),
    crawl(Port, [Path || Path <- lists:usort(Links), not is_map_key(Path, Known)], Known).

%% ---------------------------------------------------------------------------
%% The server

serve() ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {packet, http_bin}, {backlog, 256},
                                      {ip, {127, 0, 0, 1}}]),
    _ = spawn_link(fun() -> accept(Listen) end),
    {ok, Port} = inet:port(Listen),
    Port.

accept(Listen) ->
    {ok, Socket} = gen_tcp:accept(Listen),
    Pid = spawn(fun() -> receive go -> answer(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listen).

answer(Socket) ->
    {ok, {http_request, 'GET', {abs_path, Path}, _}} = gen_tcp:recv(Socket, 0),
    {ok, http_eoh} = gen_tcp:recv(Socket, 0),
    timer:sleep(?DELAY),
    _ = gen_tcp:send(Socket, page(Path)),
    gen_tcp:close(Socket).

page(<<"/">>) ->
    html("Contents", [io_lib:format("<a href=\"/~b\">~b</a>", [N, N]) || N <- lists:seq(1, ?PAGES)]);
page(<<"/7">>) ->
    html("Page 7", "<a href=\"/nowhere\">nowhere</a>");
page(<<"/nowhere">>) ->
    "HTTP/1.0 404 Not Found\r\n\r\n";
page(<<"/", N/binary>>) ->
    html(["Page ", N], "<a href=\"/\">back</a>").

html(Title, Body) ->
    ["HTTP/1.0 200 OK\r\n\r\n<html><title>", Title, "</title>", Body, "</html>"].
