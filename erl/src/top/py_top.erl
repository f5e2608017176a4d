%% SPDX-License-Identifier: Apache-2.0
%%
%% bin/py_top: shows a node's workers in a terminal, or prints them once.
-module(py_top).

-export([main/1, answer/2]).

%% How often it looks (ms).
-define(EVERY, 1000).

%% Answers and keys are awaited by processes whose ends bring them.
-record(loop, {node :: node(), tty :: py_top_tty:tty(), reading :: reference(),
               asking = none :: none | reference(),
               state :: py_top_state:state()}).

-spec main([string()]) -> no_return().
main(Words) ->
    ok = logger:set_primary_config(level, none),
    ok = io:setopts([{encoding, unicode}]),
    case py_top_args:parse(Words) of
        {ok, Args} -> watch(Args);
        help -> io:put_chars(py_top_args:usage()), halt(0);
        version -> io:put_chars(["py_top of py ", version(), "\n"]), halt(0);
        {error, Why} -> fail(2, [Why, "; py_top --help says more"])
    end.

version() ->
    _ = application:load(py),
    {ok, Version} = application:get_key(py, vsn),
    Version.

-spec fail(1 | 2, unicode:chardata()) -> no_return().
fail(Code, Why) ->
    io:put_chars(standard_error, ["py_top: ", Why, "\n"]),
    halt(Code).

-spec watch(py_top_args:args()) -> no_return().
watch(Args) ->
    case py_top_node:connect(Args) of
        {ok, Node} -> show(Node, terminal(Args));
        {error, Why} -> fail(1, Why)
    end.

terminal(#{once := true}) -> none;
terminal(_) -> py_top_tty:open().

-spec show(node(), none | {ok, py_top_tty:tty()}) -> no_return().
show(Node, none) ->
    State = look(Node, py_top_state:new(Node)),
    timer:sleep(?EVERY),            % to know how many calls there are in a second
    case look(Node, State) of
        #{trouble := none} = Again ->
            Lines = py_top_view:lines(Again, screen(infinity, columns())),
            io:put_chars([[string:trim(Text, trailing), $\n] || {_, Text} <- Lines]),
            halt(0);
        #{trouble := Why} ->
            fail(1, Why)
    end;
show(Node, {ok, Tty}) ->
    _ = [os:set_signal(Signal, handle) || Signal <- [sigterm, sighup]],
    ok = gen_event:swap_handler(erl_signal_server, {erl_signal_handler, []}, {py_top_signal, self()}),
    self_tick(0),
    try
        loop(draw(#loop{node = Node, tty = Tty, reading = py_top_tty:read(Tty), 
                        state = py_top_state:new(Node)}))
    after
        py_top_tty:close(Tty)
    end,
    halt(0).

columns() ->
    case string:to_integer(os:getenv("COLUMNS", "")) of
        {N, ""} when N >= 20 -> N;
        _ -> 100
    end.

screen(Rows, Columns) ->
    {{_, _, _}, {Hour, Minute, Second}} = calendar:local_time(),
    #{rows => Rows, columns => Columns, now => now_ms(), utf8 => py_top_tty:is_utf8(),
      clock => lists:flatten(io_lib:format("~2..0b:~2..0b:~2..0b", [Hour, Minute, Second]))}.

now_ms() ->
    erlang:monotonic_time(millisecond).

self_tick(After) ->
    _ = erlang:send_after(After, self(), tick),
    ok.

%% ---------------------------------------------------------------------------
%% Until q

loop(#loop{asking = Asking, reading = Reading, state = S} = L) ->
    receive
        tick -> self_tick(?EVERY), loop(draw(ask(py_top_state:questions(S), L)));
        {'DOWN', Asking, process, _, Answers} -> loop(draw(heard(Answers, L#loop{asking = none})));
        {'DOWN', Reading, process, _, Typed} ->
            typed(py_top_tty:keys(Typed), L);
        {signal, _} -> ok
    end.

%% Nothing, if no key was pressed for a while.
typed([], L) ->
    loop(L#loop{reading = py_top_tty:read(L#loop.tty)});
typed(Keys, L) ->
    case press(Keys, L) of
        quit -> ok;
        Next -> typed([], draw(Next))
    end.

press([], L) -> L;
press([Key | Keys], #loop{state = S} = L) ->
    case py_top_state:key(Key, S) of
        {ok, Next} -> press(Keys, L#loop{state = Next});
        {ask, Tag, Question, Next} -> press(Keys, ask([{Tag, Question}], L#loop{state = Next}));
        quit -> quit
    end.

draw(#loop{tty = Tty, state = S} = L) ->
    {Rows, Columns} = py_top_tty:size(Tty),
    ok = py_top_tty:show(py_top_view:lines(S, screen(Rows, Columns)), Tty),
    L.

%% While an answer is awaited nothing more is asked.
ask([], L) ->
    L;
ask(Questions, #loop{node = Node, asking = none} = L) ->
    {_, Monitor} = spawn_monitor(?MODULE, answer, [Node, Questions]),
    L#loop{asking = Monitor};
ask(_, L) ->
    L.

%% The process that asks.
-spec answer(node(), [{term(), py_top_node:question()}]) -> no_return().
answer(Node, Questions) ->
    exit({answers, answers(Node, Questions)}).

answers(Node, Questions) ->
    [{Tag, py_top_node:ask(Node, Question)} || {Tag, Question} <- Questions].

heard({answers, Answers}, #loop{state = S} = L) ->
    L#loop{state = lists:foldl(fun hear/2, S, Answers)};
heard(Reason, #loop{state = S} = L) ->
    L#loop{state = py_top_state:failed(lists:flatten(io_lib:format("~0tP", [Reason, 10])), S)}.

hear({Tag, {ok, Answer}}, S) -> py_top_state:heard(Tag, Answer, now_ms(), S);
hear({functions, {error, undef}}, S) -> py_top_state:heard(functions, {error, unknown}, now_ms(), S);
hear({_, {error, undef}}, S) -> py_top_state:failed("the node has another version now", S);
hear({_, {error, Why}}, S) -> py_top_state:failed(Why, S).

%% What is known after a look.
look(Node, S) ->
    lists:foldl(fun hear/2, S, answers(Node, py_top_state:questions(S))).
