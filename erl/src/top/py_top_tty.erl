%% SPDX-License-Identifier: Apache-2.0
%%
%% The terminal: keys one by one, a whole picture at a time, and afterwards everything
%% as it was, even if this VM is killed.
-module(py_top_tty).

-export([open/0, close/1, size/1, show/2, read/1, read_once/1, keys/1, is_utf8/0]).
-export_type([tty/0]).

-record(tty, {path :: string(), saved :: string(), output :: file:fd(), guard :: port()}).
-opaque tty() :: #tty{}.

%% The other screen, no cursor; and back.
-define(ENTER, "\e[?1049h\e[?25l\e[2J").
-define(LEAVE, "\e[0m\e[?25h\e[?1049l").

%% A read ends after a second, so that nothing holds up the end of the VM (1/10 s).
-define(RAW, "-icanon -echo -isig -ixon -opost min 0 time 10").
%% A read that ends this soon has no terminal any more (ms).
-define(AT_ONCE, 50).

%% The terminal, if input and output are one.
-spec open() -> {ok, tty()} | none.
open() ->
    case {opened(0), opened(1), os:getenv("TERM", "dumb")} of
        {_, _, "dumb"} -> none;
        {{ok, Path}, {ok, Path}, _} -> open(Path, stty(Path, "-g"));
        _ -> none
    end.

opened(N) ->
    file:read_link("/proc/" ++ os:getpid() ++ "/fd/" ++ integer_to_list(N)).

%% If it is not a terminal, stty says nothing. It is opened anew: what a port does to
%% the descriptors 0 and 1 would stay if the VM were killed.
open(_, "") ->
    none;
open(Path, Saved) ->
    Guard = guard(Path, Saved),
    "" = stty(Path, ?RAW),
    {ok, Output} = file:open(Path, [write, raw]),
    ok = file:write(Output, ?ENTER),
    {ok, #tty{path = Path, saved = Saved, output = Output, guard = Guard}}.

%% A shell that puts everything back when its input ends without a word.
guard(Path, Saved) ->
    Script = "read word || { stty -F \"$0\" \"$1\"; printf %s \"$2\" >\"$0\"; }",
    open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", Script, Path, Saved, ?LEAVE]}, out]).

-spec close(tty()) -> ok.
close(#tty{path = Path, saved = Saved, output = Output, guard = Guard}) ->
    ok = file:write(Output, ?LEAVE),
    ok = file:close(Output),
    _ = stty(Path, Saved),
    true = port_command(Guard, "done\n"),
    true = port_close(Guard),
    ok.

%% A program that a port starts is in a session of its own and has no /dev/tty.
stty(Path, Words) ->
    string:trim(os:cmd("stty -F '" ++ Path ++ "' " ++ Words ++ " 2>/dev/null")).

%% Rows and columns; those of old terminals if they are not known.
-spec size(tty()) -> {pos_integer(), pos_integer()}.
size(#tty{path = Path}) ->
    case [list_to_integer(N) || N <- string:lexemes(stty(Path, "size"), " ")] of
        [Rows, Columns] when Rows > 0, Columns > 0 -> {Rows, Columns};
        _ -> {24, 80}
    end.

%% The lines from the top; what was there before goes.
-spec show([{py_top_view:style(), unicode:chardata()}], tty()) -> ok.
show(Lines, #tty{output = Output}) ->
    Picture = ["\e[H", lists:join("\r\n", [line(Line) || Line <- Lines]), "\e[J"],
    ok = file:write(Output, unicode:characters_to_binary(Picture)).

line({plain, Text}) -> [Text, "\e[K"];
line({bold, Text}) -> ["\e[1m", Text, "\e[0m\e[K"];
line({alarm, Text}) -> ["\e[31m", Text, "\e[0m\e[K"];
line({reverse, Text}) -> ["\e[7m", Text, "\e[0m\e[K"].

%% Waits for keys, in a process whose end says which.
-spec read(tty()) -> Monitor :: reference().
read(#tty{path = Path}) ->
    {_, Monitor} = spawn_monitor(?MODULE, read_once, [Path]),
    Monitor.

%% The process that waits.
-spec read_once(string()) -> no_return().
read_once(Path) ->
    {ok, Input} = file:open(Path, [read, raw, binary]),
    Start = erlang:monotonic_time(millisecond),
    Read = file:read(Input, 100),
    exit({typed, Read, erlang:monotonic_time(millisecond) - Start}).

%% What was typed, by the reason of that end.
-spec keys(term()) -> [py_top_state:key()].
keys({typed, {ok, Bytes}, _}) -> decode(Bytes);
keys({typed, eof, Took}) when Took > ?AT_ONCE -> [];
keys(_) -> [quit].

decode(<<"\e[", C, Rest/binary>>) when C >= $A, C =< $H -> [arrow(C) | decode(Rest)];
decode(<<"\eO", C, Rest/binary>>) when C >= $A, C =< $H -> [arrow(C) | decode(Rest)];
decode(<<"\e[", N, $~, Rest/binary>>) -> [page(N) | decode(Rest)];
decode(<<"\e[", Rest/binary>>) -> decode(after_sequence(Rest));
decode(<<"\e", Rest/binary>>) -> [escape | decode(Rest)];
decode(<<C, Rest/binary>>) when C =:= $\r; C =:= $\n -> [enter | decode(Rest)];
decode(<<3, Rest/binary>>) -> [quit | decode(Rest)];
decode(<<C, Rest/binary>>) when C =:= 8; C =:= 127 -> [escape | decode(Rest)];
decode(<<C, Rest/binary>>) -> [C | decode(Rest)];
decode(<<>>) -> [].

arrow($A) -> up;
arrow($B) -> down;
arrow($H) -> home;
arrow($F) -> 'end';
arrow(_) -> other.

page($5) -> page_up;
page($6) -> page_down;
page(_) -> other.

%% A sequence that has no meaning here ends with a letter or a tilde.
after_sequence(<<C, Rest/binary>>) when C >= $@, C =< $~ -> Rest;
after_sequence(<<_, Rest/binary>>) -> after_sequence(Rest);
after_sequence(<<>>) -> <<>>.

%% Whether it shows more than ASCII.
-spec is_utf8() -> boolean().
is_utf8() ->
    Names = [Value || Name <- ["LC_ALL", "LC_CTYPE", "LANG"], Value <- [os:getenv(Name, "")],
                      Value =/= ""],
    case Names of
        [First | _] -> re:run(First, "utf-?8", [caseless, {capture, none}]) =:= match;
        [] -> false
    end.
