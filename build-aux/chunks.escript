#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% chunks.escript OUTPUT SOURCE INCLUDE...: what h(Module) and h(Module, Function) say
%% in the shell (EEP 48), made of the same comments as the reference. edoc could do it,
%% but it is not installed everywhere where this is built.
%%
%% A comment stands in front of a function's -spec, or behind a type. Of edoc's
%% language it knows what is used here: paragraphs, `code', ``code'', {@link ...},
%% @equiv, and the elements h3, dl, dt, dd, ul, li.
-mode(compile).

main([Output, Source | Includes]) ->
    {ok, Text} = file:read_file(Source),
    Lines = array:from_list([unicode:characters_to_list(Line) || Line <- binary:split(Text, <<"\n">>, [global])]),
    {ok, Forms} = epp:parse_file(Source, [{includes, Includes}]),
    Docs = {docs_v1, erl_anno:new(1), erlang, <<"application/erlang+html">>,
            doc(module_comment(Lines)), #{}, functions(Forms, Lines) ++ types(Forms, Lines)},
    ok = filelib:ensure_dir(Output),
    ok = file:write_file(Output, term_to_binary(Docs, [compressed])).

%% ---------------------------------------------------------------------------
%% Where comments are. Lines are counted from 1, the array from 0.

line(N, Lines) -> array:get(N - 1, Lines).

comment("%%" ++ Rest) -> {true, string:trim(Rest, leading)};
comment(_) -> false.

%% At the top, behind the licence.
module_comment(Lines) ->
    Comments = [comment(Line) || Line <- array:to_list(Lines)],
    Top = [Text || {true, Text} <- lists:takewhile(fun(Comment) -> Comment =/= false end, Comments)],
    lists:dropwhile(fun(Text) -> not lists:prefix("@doc", Text) end, Top).

above(N, Lines) when N > 0 ->
    case comment(line(N, Lines)) of
        {true, Text} -> above(N - 1, Lines) ++ [Text];
        false -> []
    end;
above(0, _) -> [].

below(N, Lines) ->
    case comment(line(N, Lines)) of
        {true, Text} -> [Text | below(N + 1, Lines)];
        false -> []
    end.

%% The line behind the one that ends a form.
after_form(N, Lines) ->
    case lists:suffix(".", string:trim(line(N, Lines))) of
        true -> N + 1;
        false -> after_form(N + 1, Lines)
    end.

functions(Forms, Lines) ->
    Exported = lists:append([List || {attribute, _, export, List} <- Forms]),
    [{{function, F, A}, Anno, [signature(F, A)], doc(above(erl_anno:line(Anno) - 1, Lines)),
      #{signature => [Spec]}}
     || {attribute, Anno, spec, {{F, A}, _}} = Spec <- Forms, lists:member({F, A}, Exported)].

types(Forms, Lines) ->
    Exported = lists:append([List || {attribute, _, export_type, List} <- Forms]),
    [{{type, Name, length(Args)}, Anno, [signature(Name, length(Args))],
      doc(below(after_form(erl_anno:line(Anno), Lines), Lines)), #{signature => [Type]}}
     || {attribute, Anno, Kind, {Name, _, Args}} = Type <- Forms, Kind =:= type orelse Kind =:= opaque,
        lists:member({Name, length(Args)}, Exported)].

signature(Name, Arity) ->
    bin(io_lib:format("~ts/~b", [Name, Arity])).

%% ---------------------------------------------------------------------------
%% What they say

doc([]) ->
    none;
doc(["@equiv " ++ Call | _]) ->
    #{<<"en">> => [{p, [], [<<"The same as ">>, {code, [], [bin(string:trim(Call))]}, <<".">>]}]};
doc(["@doc " ++ First | More]) ->
    doc([First | More]);
doc(Texts) ->
    {Blocks, []} = blocks(tokens(lists:flatten(lists:join("\n", Texts))), none),
    #{<<"en">> => Blocks}.

bin(Text) -> unicode:characters_to_binary(Text).

tokens("") -> [];
tokens("\n\n" ++ Rest) -> [blank | tokens(Rest)];
tokens("``" ++ Rest) -> code(string:split(Rest, "''"));
tokens("`" ++ Rest) -> code(string:split(Rest, "'"));
tokens("{@link " ++ Rest) -> code(string:split(Rest, "}"));
tokens("</" ++ Rest) -> markup(close, string:split(Rest, ">"));
tokens("<" ++ Rest) -> markup(open, string:split(Rest, ">"));
tokens([C | Rest]) ->
    case tokens(Rest) of
        [{text, Text} | More] -> [{text, [space(C) | Text]} | More];
        More -> [{text, [space(C)]} | More]
    end.

space($\n) -> $\s;
space(C) -> C.

code([Code, Rest]) ->
    [{code, lists:map(fun space/1, string:trim(Code))} | tokens(Rest)].

markup(Kind, [Name, Rest]) ->
    [{Kind, list_to_atom(Name)} | tokens(Rest)].

%% What stands beside elements is in paragraphs.
blocks(Tokens, End) ->
    {Run, Rest} = lists:splitwith(fun is_inline/1, Tokens),
    Before = paragraph(inline(Run)),
    case Rest of
        [] when End =:= none -> {Before, []};
        [blank | More] -> add(Before, blocks(More, End));
        [{close, End} | More] -> {Before, More};
        [{open, Tag} | More] ->
            {Inner, After} = content(Tag, More),
            add(Before ++ [{Tag, [], Inner}], blocks(After, End))
    end.

add(Before, {Blocks, Rest}) -> {Before ++ Blocks, Rest}.

content(Tag, Tokens) when Tag =:= dl; Tag =:= ul -> blocks(Tokens, Tag);
content(Tag, Tokens) ->
    {Run, [{close, Tag} | Rest]} = lists:splitwith(fun is_inline/1, Tokens),
    {inline(Run), Rest}.

is_inline({text, _}) -> true;
is_inline({code, _}) -> true;
is_inline(_) -> false.

inline(Run) -> [inline_one(Token) || Token <- Run].

inline_one({text, Text}) -> bin(Text);
inline_one({code, Code}) -> {code, [], [bin(Code)]}.

paragraph(Inline) ->
    case lists:all(fun(Part) -> is_binary(Part) andalso string:trim(Part) =:= <<>> end, Inline) of
        true -> [];
        false -> [{p, [], Inline}]
    end.
