#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% rooms.escript ROOT INCLUDE...: whether the house is in order. Says one line
%% for each thing that is not, and ends with 1 then.
%%
%% - A file of port/ includes its own layer or a lower one, and only
%%   value/python.h includes Python.h.
%% - A module of erl/src calls its own layer or a lower one. What only sends a
%%   message may be called from anywhere: the receiver's module lists it in its
%%   attribute `messages', and then it must not do anything else.
%% - `!' is only in modules of processes, and in py_ask.
%% - No function has more than 40 lines, no folder more than 16 sources.
-mode(compile).

-define(FUNCTION_LINES, 40).
-define(FOLDER_FILES, 16).

%% What each layer may use, beside itself.
c_layers() ->
    #{"main.c" => ["loop", "op", "census", "talk", "task", "process", "memory", "value", "wire"],
      "loop" => ["op", "census", "talk", "task", "process", "memory", "value", "wire"],
      "op" => ["census", "talk", "task", "process", "memory", "value", "wire"],
      "census" => ["value", "wire"],
      "talk" => ["task", "process", "memory", "value", "wire"],
      "task" => ["value", "wire"],
      "process" => ["memory", "value", "wire"],
      "memory" => ["value", "wire"],
      "value" => ["wire"],
      "wire" => []}.

erl_layers() ->
    #{"top" => ["show"],
      "show" => [],
      "src" => ["show", "profile", "look", "pool", "memory", "stream", "call", "worker", "talk", "os", "wire", "board"],
      "profile" => ["look", "pool", "memory", "call", "worker", "talk", "os", "wire", "board"],
      "look" => ["pool", "memory", "call", "worker", "talk", "os", "wire", "board"],
      "pool" => ["memory", "call", "worker", "talk", "os", "wire", "board"],
      "memory" => ["call", "worker", "talk", "os", "wire", "board"],
      "stream" => ["call", "worker", "talk", "os", "wire", "board"],
      "call" => ["worker", "talk", "os", "wire", "board"],
      "worker" => ["job", "talk", "os", "wire", "board"],
      "job" => ["wire"],
      "talk" => ["os", "wire", "board"],
      "os" => ["wire"],
      "board" => ["wire"],
      "wire" => []}.

%% The pool as everybody sees it is no part of the pool's own rooms.
bottom() ->
    #{"py_pool_board.erl" => "board", "py_pool_load.erl" => "board"}.

main([Root | Includes]) ->
    C = filelib:wildcard(filename:join(Root, "port/**/*.[ch]")),
    Erl = filelib:wildcard(filename:join(Root, "erl/src/**/*.erl")),
    Modules = [module(File, Includes) || File <- Erl],
    Findings = lists:flatmap(fun includes/1, C)
        ++ lists:flatmap(fun c_functions/1, C)
        ++ lists:flatmap(fun(M) -> calls(M, Modules) end, Modules)
        ++ lists:flatmap(fun messages/1, Modules)
        ++ lists:flatmap(fun sends/1, Modules)
        ++ lists:flatmap(fun erl_functions/1, Modules)
        ++ folders([File || File <- C, filename:extension(File) =:= ".c"] ++ Erl
                   ++ filelib:wildcard(filename:join(Root, "{test,bench}/**/*.{c,erl}"))),
    [io:format("~ts~n", [Finding]) || Finding <- Findings],
    halt(case Findings of [] -> 0; _ -> 1 end).

found(File, Line, Format, Args) ->
    io_lib:format("~ts:~b: " ++ Format, [File, Line | Args]).

%% ---------------------------------------------------------------------------
%% C

includes(File) ->
    Layer = c_layer(File),
    [Finding || {N, Line} <- lines(File), Finding <- include(File, N, Layer, Line)].

c_layer(File) ->
    case filename:basename(filename:dirname(File)) of
        "port" -> filename:basename(File);
        Folder -> Folder
    end.

include(File, N, Layer, Line) ->
    case re:run(Line, "^\\s*#\\s*include\\s*[<\"](?:([a-z]+)/)?([^>\"]+)",
                [{capture, all_but_first, list}]) of
        {match, ["", "Python.h"]} -> python_h(File, N);
        {match, ["", _]} -> [];
        {match, [Other, _]} -> upward(File, N, Layer, Other);
        nomatch -> []
    end.

python_h(File, N) ->
    case lists:suffix("port/value/python.h", File) of
        true -> [];
        false -> [found(File, N, "only value/python.h includes Python.h", [])]
    end.

%% What is no layer of ours is a system's header.
upward(File, N, Layer, Other) ->
    Layers = c_layers(),
    Allowed = [Layer | maps:get(Layer, Layers, [])],
    case is_map_key(Other, Layers) andalso not lists:member(Other, Allowed) of
        true -> [found(File, N, "~ts must not include ~ts", [Layer, Other])];
        false -> []
    end.

%% A function is from { to } in the first column.
c_functions(File) ->
    Starts = [N || {N, "{"} <- lines(File)],
    Ends = [N || {N, "}"} <- lines(File)],
    Bodies = lists:zip(Starts, lists:sublist(Ends, length(Starts))),
    [long(File, Start, End - Start) || {Start, End} <- Bodies,
                                       End - Start > ?FUNCTION_LINES].

long(File, Line, Count) ->
    found(File, Line, "a function of ~b lines", [Count]).

lines(File) ->
    {ok, Text} = file:read_file(File),
    Lines = [binary_to_list(Line) || Line <- binary:split(Text, <<"\n">>, [global])],
    lists:zip(lists:seq(1, length(Lines)), Lines).

%% ---------------------------------------------------------------------------
%% Erlang

module(File, Includes) ->
    {ok, Forms} = epp:parse_file(File, [{includes, Includes}]),
    [error({not_understood, File, Error}) || {error, Error} <- Forms],
    {File, list_to_atom(filename:basename(File, ".erl")), erl_layer(File), Forms}.

erl_layer(File) ->
    Folder = filename:basename(filename:dirname(File)),
    maps:get(filename:basename(File), bottom(), Folder).

calls({File, _, Layer, Forms}, Modules) ->
    Allowed = [Layer | maps:get(Layer, erl_layers())],
    [found(File, Line, "~ts must not call ~p:~p/~p, which is in ~ts", [Layer, M, F, A, Other])
     || {Line, {M, F, A}} <- remote_calls(Forms),
        {_, Name, Other, Callee} <- Modules, Name =:= M,
        not lists:member(Other, Allowed),
        not lists:member({F, A}, attribute(messages, Callee))].

%% What is said to be a message only sends.
messages({File, _, _, Forms}) ->
    Functions = [Function || {function, _, F, A, _} = Function <- Forms,
                             lists:member({F, A}, attribute(messages, Forms))],
    Reached = reached(Functions, Forms),
    [found(File, Line, "~p/~p is not only a message", [F, A])
     || {function, Line, F, A, _} = Function <- Reached, not only_sends(Function)].

%% The functions, and those of the same module that they call.
reached(Functions, Forms) ->
    Called = lists:usort(local_calls(Functions)),
    More = [Function || {function, _, F, A, _} = Function <- Forms,
                        lists:member({F, A}, Called), not lists:member(Function, Functions)],
    case More of
        [] -> Functions;
        _ -> reached(Functions ++ More, Forms)
    end.

%% It may also say what the time is, and put a map together.
only_sends(Function) ->
    Allowed = [{erlang, send_after, 3}, {gen_server, cast, 2}, {maps, merge, 2},
               {logger, timestamp, 0}],
    [] =:= [Call || {_, Call} <- remote_calls(Function), not lists:member(Call, Allowed)]
        andalso [] =:= subtrees(fun(Node) -> element(1, Node) =:= 'receive' end, Function).

sends({File, Module, _, Forms}) ->
    Behaviours = attribute(behaviour, Forms) ++ attribute(behavior, Forms),
    IsProcess = lists:member(gen_server, Behaviours) orelse lists:member(gen_statem, Behaviours)
        orelse lists:member(gen_event, Behaviours),
    Sends = subtrees(fun(Node) -> {element(1, Node), element(3, Node)} =:= {op, '!'} end, Forms),
    [found(File, line(Send), "a message is sent by a module that is no process", [])
     || not IsProcess, Module =/= py_ask, Send <- Sends].

erl_functions({File, _, _, Forms}) ->
    [long(File, line(Function), Count)
     || {function, _, _, _, _} = Function <- Forms,
        Count <- [last_line(Function) - line(Function) + 1], Count > ?FUNCTION_LINES].

attribute(Name, Forms) ->
    lists:flatten([Value || {attribute, _, N, Value} <- Forms, N =:= Name]).

remote_calls(Tree) ->
    [{Line, {M, F, length(Args)}}
     || {call, Line, {remote, _, {atom, _, M}, {atom, _, F}}, Args} <- calls_in(Tree)]
        ++ [{Line, {M, F, A}}
            || {'fun', Line, {function, {atom, _, M}, {atom, _, F}, {integer, _, A}}}
                   <- subtrees(fun(Node) -> element(1, Node) =:= 'fun' end, Tree)].

local_calls(Tree) ->
    [{F, length(Args)} || {call, _, {atom, _, F}, Args} <- calls_in(Tree)].

calls_in(Tree) ->
    subtrees(fun(Node) -> element(1, Node) =:= call end, Tree).

%% All tuples of three and more elements in it that Is says yes to.
subtrees(Is, Tree) when is_tuple(Tree) ->
    Own = [Tree || tuple_size(Tree) >= 3, Is(Tree)],
    Own ++ subtrees(Is, tuple_to_list(Tree));
subtrees(Is, [Head | Tail]) ->
    subtrees(Is, Head) ++ subtrees(Is, Tail);
subtrees(_, _) ->
    [].

line(Node) ->
    erl_anno:line(element(2, Node)).

last_line(Function) ->
    lists:max([line(Node) || Node <- subtrees(fun has_line/1, Function)]).

has_line(Node) ->
    is_atom(element(1, Node)) andalso erl_anno:is_anno(element(2, Node)).

%% ---------------------------------------------------------------------------

folders(Files) ->
    Folders = lists:foldl(fun count/2, #{}, [filename:dirname(File) || File <- Files]),
    [io_lib:format("~ts: ~b sources", [Folder, N])
     || {Folder, N} <- lists:sort(maps:to_list(Folders)), N > ?FOLDER_FILES].

count(Folder, Counts) ->
    maps:update_with(Folder, fun(N) -> N + 1 end, 1, Counts).
