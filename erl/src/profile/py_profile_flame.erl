%% SPDX-License-Identifier: Apache-2.0
%%
%% Stacks with their bytes as a flame graph: one SVG that needs no other file. The
%% outermost frames are on top, and a frame's width is its share of the bytes.
%% A click makes a frame as wide as the picture; the script in it does all of that, and
%% without scripts it is a picture with names. Pure.
-module(py_profile_flame).

-export([svg/1]).

-define(WIDTH, 1200).
-define(MARGIN, 10).
-define(HEADER, 50).
-define(ROW, 17).
%% How wide a character is.
-define(CHARACTER, 6.7).
%% What is narrower than this part of the picture is not drawn.
-define(LEAST, 1 / 5000).

-type frame() :: #{file := binary(), line := integer(), function := binary()}.
%% A frame, where it is (both parts of the whole) and how deep in its stack.
-type box() :: {frame(), Left :: float(), Width :: float(), Depth :: non_neg_integer(),
                Bytes :: non_neg_integer()}.

-spec svg([{[frame()], Bytes :: non_neg_integer()}]) -> binary().
svg(Stacks) ->
    Total = lists:sum([Bytes || {_, Bytes} <- Stacks]),
    Boxes = [all(Total) | boxes(tree(Stacks), 0, 1, max(1, Total))],
    Depth = 1 + lists:max([D || {_, _, _, D, _} <- Boxes]),
    Height = ?HEADER + ?ROW * Depth + ?MARGIN,
    Picture = [box(Box, max(1, Total)) || Box <- Boxes],
    unicode:characters_to_binary([header(Height, Total), Picture, "</svg>\n"]).

all(Total) ->
    {#{file => <<>>, line => 0, function => <<"all">>}, 0.0, 1.0, 0, Total}.

%% ---------------------------------------------------------------------------
%% Stacks with the same beginning share frames: #{Frame => {Bytes, Tree}}

tree(Stacks) ->
    lists:foldl(fun({Frames, Bytes}, Tree) -> add(Frames, Bytes, Tree) end, #{}, Stacks).

add([], _, Tree) ->
    Tree;
add([Frame | Inner], Bytes, Tree) ->
    {SoFar, Below} = maps:get(Frame, Tree, {0, #{}}),
    Tree#{Frame => {SoFar + Bytes, add(Inner, Bytes, Below)}}.

%% In the order of their names, so that two pictures can be compared.
-spec boxes(map(), Left :: number(), Depth :: pos_integer(), Total :: pos_integer()) -> [box()].
boxes(Tree, Left, Depth, Total) ->
    Frames = lists:sort([{Function, File, Line, Frame}
                         || #{function := Function, file := File, line := Line} = Frame
                                <- maps:keys(Tree)]),
    {Boxes, _} = lists:mapfoldl(fun({_, _, _, Frame}, At) ->
        {Bytes, Below} = maps:get(Frame, Tree),
        {with_inner(Frame, Bytes, Below, At, Depth, Total), At + Bytes}
    end, Left, Frames),
    lists:append(Boxes).

with_inner(Frame, Bytes, Below, At, Depth, Total) when Bytes / Total >= ?LEAST ->
    [{Frame, At / Total, Bytes / Total, Depth, Bytes} | boxes(Below, At, Depth + 1, Total)];
with_inner(_, _, _, _, _, _) ->
    [].

%% ---------------------------------------------------------------------------
%% SVG

box({Frame, Left, Width, Depth, Bytes}, Total) ->
    X = ?MARGIN + Left * inner(),
    Y = ?HEADER + Depth * ?ROW,
    Name = name(Frame),
    io_lib:format(
        "<g data-x=\"~.7f\" data-w=\"~.7f\" data-n=\"~ts\"><title>~ts~n~ts, ~.1f %</title>"
        "<rect x=\"~.1f\" y=\"~b\" width=\"~.1f\" height=\"~b\" fill=\"~ts\" rx=\"1\"/>"
        "<text x=\"~.1f\" y=\"~b\">~ts</text></g>~n",
        [float(Left), float(Width), escape(Name), escape(place(Frame)), bytes(Bytes),
         100 * Bytes / Total, X, Y, Width * inner(), ?ROW - 1, colour(Frame), X + 3, Y + 12,
         escape(fitting(Name, Width * inner()))]).

inner() -> ?WIDTH - 2 * ?MARGIN.

name(#{function := Function, line := 0}) -> Function;
name(#{function := Function, file := File, line := Line}) ->
    [Function, " ", filename:basename(File), ":", integer_to_list(Line)].

place(#{line := 0} = Frame) -> name(Frame);
place(#{function := Function, file := File, line := Line}) ->
    [Function, " ", File, ":", integer_to_list(Line)].

%% What there is room for, in whole characters.
fitting(Name, Width) ->
    Characters = unicode:characters_to_list(Name),
    case trunc((Width - 6) / ?CHARACTER) of
        Room when Room >= length(Characters) -> Characters;
        Room when Room < 4 -> "";
        Room -> lists:sublist(Characters, Room - 1) ++ [16#2026]
    end.

%% Files have colours of their own.
colour(#{file := <<>>}) ->
    "#cccccc";
colour(#{file := File}) ->
    Hash = erlang:phash2(File, 16#10000),
    io_lib:format("hsl(~b,~b%,~b%)", [Hash rem 56, 70 + Hash div 56 rem 25, 62 + Hash div 999 rem 12]).

bytes(N) when N >= 1_000_000_000 -> io_lib:format("~.2f GB", [N / 1.0e9]);
bytes(N) when N >= 1_000_000 -> io_lib:format("~.2f MB", [N / 1.0e6]);
bytes(N) when N >= 1000 -> io_lib:format("~.1f kB", [N / 1000]);
bytes(N) -> io_lib:format("~b B", [N]).

%% XML must not have control characters.
escape(Text) ->
    [escape_one(C) || C <- unicode:characters_to_list(Text)].

escape_one($<) -> "&lt;";
escape_one($>) -> "&gt;";
escape_one($&) -> "&amp;";
escape_one($") -> "&quot;";
escape_one(C) when C < $\s; C =:= 16#fffe; C =:= 16#ffff -> "?";
escape_one(C) -> C.

header(Height, Total) ->
    [io_lib:format(
         "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>~n"
         "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ~b ~b\" width=\"~b\" "
         "height=\"~b\" font-family=\"monospace\" font-size=\"11\">~n",
         [?WIDTH, Height, ?WIDTH, Height]),
     "<style>g{cursor:pointer} g:hover rect{stroke:#000} .found rect{fill:#e600e6}"
     " .button{cursor:pointer;fill:#555}</style>\n",
     io_lib:format("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>~n"
                   "<text x=\"~b\" y=\"24\" text-anchor=\"middle\" font-size=\"16\">"
                   "Python memory in use: ~ts</text>~n",
                   [?WIDTH div 2, bytes(Total)]),
     io_lib:format("<text class=\"button\" id=\"reset\" x=\"~b\" y=\"24\" visibility=\"hidden\">"
                   "show all</text>~n"
                   "<text class=\"button\" id=\"search\" x=\"~b\" y=\"24\" text-anchor=\"end\">"
                   "search</text>~n"
                   "<text id=\"said\" x=\"~b\" y=\"42\"> </text>~n",
                   [?MARGIN, ?WIDTH - ?MARGIN, ?MARGIN]),
     "<script><![CDATA[\n", script(), "]]></script>\n"].

%% The same layout again, for a part of the picture.
script() ->
    [io_lib:format("const WIDTH = ~b, MARGIN = ~b, CHARACTER = ~.1f;~n",
                   [inner(), ?MARGIN, ?CHARACTER]),
     "addEventListener('load', () => {\n"
     "  const all = [...document.querySelectorAll('g')];\n"
     "  const at = id => document.getElementById(id);\n"
     "  const said = g => g.querySelector('title').textContent.replace('\\n', ': ');\n"
     "  const fitting = (name, width) => {\n"
     "    const room = Math.trunc((width - 6) / CHARACTER);\n"
     "    if (room >= name.length) return name;\n"
     "    return room < 4 ? '' : name.slice(0, room - 1) + '\\u2026';\n"
     "  };\n"
     "  const show = (left, width) => all.forEach(g => {\n"
     "    const x = (+g.dataset.x - left) / width, end = x + g.dataset.w / width;\n"
     "    const from = Math.max(0, x), to = Math.min(1, end);\n"
     "    g.style.display = to - from > 1e-6 ? '' : 'none';\n"
     "    if (to <= from) return;\n"
     "    const rect = g.querySelector('rect'), text = g.querySelector('text');\n"
     "    rect.setAttribute('x', MARGIN + from * WIDTH);\n"
     "    rect.setAttribute('width', (to - from) * WIDTH);\n"
     "    text.setAttribute('x', MARGIN + from * WIDTH + 3);\n"
     "    text.textContent = fitting(g.dataset.n, (to - from) * WIDTH);\n"
     "  });\n"
     "  const zoom = (left, width) => {\n"
     "    show(left, width);\n"
     "    at('reset').setAttribute('visibility', width < 1 ? 'visible' : 'hidden');\n"
     "  };\n"
     "  all.forEach(g => {\n"
     "    g.onclick = () => zoom(+g.dataset.x, +g.dataset.w);\n"
     "    g.onmouseover = () => at('said').textContent = said(g);\n"
     "  });\n"
     "  at('reset').onclick = () => zoom(0, 1);\n"
     "  const search = word => all.forEach(g =>\n"
     "    g.classList.toggle('found', !!word && g.dataset.n.includes(word)));\n"
     "  at('search').onclick = () => search(prompt('Frames with this in their names:'));\n"
     "  const given = new URLSearchParams(location.search);\n"
     "  if (given.has('search')) search(given.get('search'));\n"
     "  if (given.has('zoom')) all.find(g => g.dataset.n.includes(given.get('zoom')))?.onclick();\n"
     "});\n"].
