#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% bin/py_top in a terminal (terminal.py) and in a pipe, beside a node with 3 pools and
%% 40 workers: what it shows, that it leaves the terminal as it was, that the node does
%% not notice, and what it says when it cannot watch.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {must, "a node with 3 pools and 40 workers", fun start_node/0},
        {"in a pipe it prints once", fun once/0},
        {"80 by 24", fun picture/0},
        {"keys: order, a worker, its stack, help", 60_000, fun keys/0},
        {"another size", fun resized/0},
        {"functions", fun functions/0},
        {"nobody is woken, and nobody sees it", 60_000, fun unseen/0},
        [{["the terminal is as it was after ", What], 60_000, fun() -> left(Verb) end}
         || {What, Verb} <- [{"q", "keys q"}, {"control-c", <<"keys ", 3>>}, {"SIGTERM", "signal 15"},
                             {"SIGKILL", "signal 9"}]],
        {"why it cannot watch", 60_000, fun refused/0},
        {"the node ends, and it says so", 60_000, fun ended/0},
        {"nothing is left behind", fun stop/0}
    ]).

%% ---------------------------------------------------------------------------
%% The ground: an epmd of its own, and a node with a name

start_node() ->
    Port = free_port(),
    os:putenv("ERL_EPMD_PORT", Port),
    os:putenv("HOME", fixture:tmpdir()),
    os:putenv("LC_ALL", "C.UTF-8"),
    os:putenv("TERM", "xterm"),
    start_epmd(Port),
    persistent_term:put(vm, named(shop, vm:start(#{size => 2}))),
    on_node(py, start_pool, [pdf, #{size => 8, memory => #{rss => 1_000_000_000},
                                    init => <<"import wedge">>,
                                    python_path => [fixture:python_path()]}]),
    on_node(py, start_pool, [maths, #{size => 30}]).

%% Its port is owned by a process that lives as long as the tests.
start_epmd(Port) ->
    Self = self(),
    _ = spawn(fun() ->
        Epmd = open_port({spawn_executable, epmd()}, [{args, ["-port", Port]}]),
        {os_pid, OsPid} = erlang:port_info(Epmd, os_pid),
        Self ! {epmd, OsPid},
        receive never -> ok end
    end),
    receive {epmd, OsPid} -> persistent_term:put(epmd, OsPid) end,
    fixture:wait_until(fun() -> is_listening(list_to_integer(Port)) end).

%% This VM itself asks the epmd of the port that was in its environment when it started.
is_listening(Port) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, []) of
        {ok, Socket} -> ok =:= gen_tcp:close(Socket);
        {error, econnrefused} -> false
    end.

epmd() ->
    Own = filename:join([code:root_dir(), "erts-" ++ erlang:system_info(version), "bin"]),
    os:find_executable("epmd", Own ++ ":" ++ os:getenv("PATH")).

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, []),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    integer_to_list(Port).

named(Name, Vm) ->
    {ok, _} = vm:call(Vm, net_kernel, start, [[Name, shortnames]]),
    true = vm:call(Vm, erlang, set_cookie, [biscuit]),
    Vm.

on_node(M, F, A) ->
    vm:call(persistent_term:get(vm), M, F, A).

py_top() ->
    filename:join(os:getenv("top_builddir", fixture:srcdir()), "bin/py_top").

%% What it says in a pipe, and how it ends.
piped(Words) ->
    Text = os:cmd(lists:join(" ", [py_top() | Words]) ++ " 2>&1; echo \"status $?\""),
    string:split(string:trim(Text), "\n", all).

%% ---------------------------------------------------------------------------
%% The terminal

open() -> open(24, 80).

open(Rows, Columns) ->
    Script = filename:join(fixture:python_path(), "terminal.py"),
    Args = [Script, integer_to_list(Rows), integer_to_list(Columns), py_top(), "--cookie", "biscuit",
            "shop"],
    Terminal = open_port({spawn_executable, os:find_executable(fixture:python())},
                         [{args, Args}, {packet, 4}, binary]),
    _ = until(Terminal, "40 workers"),
    Terminal.

tell(Terminal, Request) ->
    true = port_command(Terminal, Request),
    receive {Terminal, {data, Answer}} -> Answer end.

screen(Terminal) ->
    string:split(unicode:characters_to_list(tell(Terminal, "screen")), "\r\n", all).

%% The first picture that has this.
until(Terminal, Text) ->
    fixture:wait_until(fun() -> has(screen(Terminal), Text) end),
    screen(Terminal).

has(Lines, Text) ->
    lists:any(fun(Line) -> fixture:contains(Line, Text) end, Lines).

type(Terminal, Keys) ->
    <<"ok">> = tell(Terminal, ["keys ", Keys]).

quit(Terminal) ->
    type(Terminal, <<3>>),
    <<"0 True True">> = tell(Terminal, "end"),
    true = port_close(Terminal).

%% ---------------------------------------------------------------------------

once() ->
    [Head | Lines] = piped(["--cookie", "biscuit", "shop"]),
    ?assert(fixture:contains(Head, "3 pools  40 workers")),
    ?assertEqual(40, length([Line || Line <- Lines, re:run(Line, "^ (default|pdf|maths) .* idle", [unicode]) =/= nomatch])),
    ?assertEqual("status 0", lists:last(Lines)).

picture() ->
    Terminal = open(),
    Lines = until(Terminal, "LIMIT"),
    ?assertEqual(24, length(Lines)),
    ?assertEqual([], [Line || Line <- Lines, string:length(Line) =/= 80]),
    ?assert(has(Lines, " maths         30 ")),
    ?assert(has(Lines, "▁")),
    ?assert(has(Lines, " rss 1%")),
    quit(Terminal).

keys() ->
    Terminal = open(),
    type(Terminal, "n"),
    _ = until(Terminal, "*POOL"),
    type(Terminal, "\e[F"),
    _ = until(Terminal, " pdf         8 "),
    File = filename:join(fixture:tmpdir(), "held"),
    vm:cast(persistent_term:get(vm), py, call, [wedge, until, [list_to_binary(File)], #{},
                                                #{pool => {pdf, 8}, timeout => infinity}]),
    _ = until(Terminal, "wedge:until"),
    type(Terminal, "\r"),
    Worker = until(Terminal, "MainThread"),
    [?assert(has(Worker, Text)) || Text <- ["worker 8 of pool pdf  busy", "runs wedge:until/1",
                                            "until  wedge.py:", "limit rss 1.0G"]],
    ok = file:write_file(File ++ ".go", <<>>),
    _ = until(Terminal, "runs nothing"),
    type(Terminal, "d"),
    _ = until(Terminal, "mostly python_objects"),
    type(Terminal, "h"),
    _ = until(Terminal, "control-c at once"),
    type(Terminal, "q"),
    _ = until(Terminal, "*POOL"),
    type(Terminal, "\t\t\t"),
    Pdf = until(Terminal, " pdf         1 "),
    ?assertNot(has(Pdf, " default     1 ")),
    quit(Terminal).

resized() ->
    Terminal = open(),
    <<"ok">> = tell(Terminal, "size 40 132"),
    fixture:wait_until(fun() -> length(screen(Terminal)) =:= 40 end),
    ?assertEqual([132], lists:usort([string:length(Line) || Line <- screen(Terminal)])),
    quit(Terminal).

functions() ->
    Terminal = open(),
    type(Terminal, "f"),
    fixture:wait_until(fun() ->
        Lines = screen(Terminal),
        lists:any(fun(Text) -> has(Lines, Text) end,
                  ["FUNCTION ", "no call has ended", "counts no costs"])
    end),
    quit(Terminal).

%% An idle program sleeps, and is not asked; it trims itself a second after its start.
unseen() ->
    #{workers := [#{os_pid := OsPid} | _]} = on_node(py, info, [maths]),
    Terminal = open(),
    fixture:wait_until(fun() -> slept(OsPid) =:= begin timer:sleep(2000), slept(OsPid) end end),
    ?assertEqual([], on_node(erlang, nodes, [visible])),
    ?assertMatch([_], on_node(erlang, nodes, [hidden])),
    quit(Terminal).

slept(OsPid) ->
    Threads = filelib:wildcard("/proc/" ++ integer_to_list(OsPid) ++ "/task/*/status"),
    lists:sum([switches(File) || File <- Threads]).

switches(File) ->
    {ok, Status} = file:read_file(File),
    {match, [N]} = re:run(Status, "^voluntary_ctxt_switches:\\s+(\\d+)",
                          [multiline, {capture, all_but_first, list}]),
    list_to_integer(N).

left(Verb) ->
    Terminal = open(),
    <<"ok">> = tell(Terminal, Verb),
    Status = case Verb of "signal 9" -> "-9"; _ -> "0" end,
    ?assertEqual(list_to_binary(Status ++ " True True"), tell(Terminal, "end")),
    true = port_close(Terminal).

refused() ->
    [?assertEqual({Words, true}, {Words, says(Words, Text)})
     || {Words, Text} <- [{["--cookie", "biscuit", "nobody"], "no node nobody on .*; there are: .*shop"},
                          {["--cookie", "wrong", "shop"], "takes no connection.*cookie"},
                          {["shop@nowhere.invalid"], "on nowhere.invalid .no epmd"},
                          {["shop", "shop"], "one node"},
                          {["--what"], "no option --what"}]],
    Other = named(empty, vm:start(#{size => 1})),
    ?assert(says(["--cookie", "biscuit"], "say which node: .*empty")),
    ok = vm:call(Other, application, stop, [py]),
    ?assert(says(["--cookie", "biscuit", "empty"], "runs no pool")),
    _ = vm:call(Other, application, unload, [py]),
    %% As if there were no such module there.
    true = vm:call(Other, code, del_path, [py]),
    [_ = vm:call(Other, code, F, [py_mem]) || F <- [delete, purge]],
    ?assert(says(["--cookie", "biscuit", "empty"], "does not have py")),
    vm:stop(Other).

says(Words, Text) ->
    Lines = piped(Words),
    Status = lists:last(Lines),
    lists:member(Status, ["status 1", "status 2"]) andalso
        re:run(lists:join("\n", Lines), "^py_top: .*" ++ Text, [dotall, unicode]) =/= nomatch.

ended() ->
    Terminal = open(),
    vm:stop(persistent_term:get(vm)),
    _ = until(Terminal, "the node is not there; trying again"),
    quit(Terminal).

stop() ->
    OsPid = persistent_term:get(epmd),
    _ = fixture:kill("TERM", OsPid),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end).
