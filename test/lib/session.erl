%% SPDX-License-Identifier: Apache-2.0
%%
%% An Erlang shell for documents: evaluates the Erlang blocks of one page in
%% order, with shared bindings, in one process. A block is one of
%%
%%   expressions, each followed by what it should give in comments:
%%       py:eval(<<"1 + 1">>).
%%       %% => {ok, 2}
%%   a shell session: lines "1> EXPRESSION.", each followed by what it prints
%%   (or by a comment as above, or by nothing);
%%   functions, which later blocks may call by their bare names.
%%
%% In what is expected, `...` and `_` stand for anything, and a map needs to
%% have the keys that are shown.
-module(session).

-export([start/0, stop/1, run/2, run/3]).

-type session() :: pid().
-type step() :: {Expression :: string(), Expected :: string() | none}.

%% How long one block may take.
-define(LIMIT, 120_000).

-spec start() -> session().
start() ->
    spawn_link(fun() -> loop(#{bindings => erl_eval:new_bindings(), functions => []}) end).

-spec stop(session()) -> ok.
stop(Session) ->
    unlink(Session),
    exit(Session, kill),
    ok.

%% Runs an Erlang block. Raises what the block raised, or how it differs.
-spec run(session(), string()) -> ok.
run(Session, Text) ->
    run(Session, erlang, Text).

%% The same; with `python` the block is statements for py:exec.
-spec run(session(), erlang | python, string()) -> ok.
run(Session, Language, Text) ->
    Monitor = monitor(process, Session),
    Session ! {run, self(), Language, Text},
    receive
        {Session, ok} -> demonitor(Monitor, [flush]), ok;
        {Session, {raised, Class, Reason, Stack}} ->
            demonitor(Monitor, [flush]),
            erlang:raise(Class, Reason, Stack);
        {'DOWN', Monitor, process, _, Reason} -> error({session_died, Reason})
    after ?LIMIT ->
        error({block_takes_too_long, Text})
    end.

loop(State) ->
    receive
        {run, From, Language, Text} ->
            {Answer, Next} = attempt(Language, Text, State),
            From ! {self(), Answer},
            loop(Next)
    end.

attempt(Language, Text, State) ->
    try
        {ok, block(Language, Text, State)}
    catch
        Class:Reason:Stack -> {{raised, Class, Reason, Stack}, State}
    end.

%% ---------------------------------------------------------------------------

block(python, Text, State) ->
    case py:exec(unicode:characters_to_binary(Text)) of
        ok -> State;
        {error, Reason} -> error({python, Reason})
    end;
block(erlang, Text, State) ->
    case is_functions(Text) of
        true -> define(Text, State);
        false -> lists:foldl(fun step/2, State, steps(Text))
    end.

%% Functions start with a head at the left edge: name(...) ->, perhaps after a
%% -spec and comments.
is_functions(Text) ->
    Head = "^(-spec .*|-module.*|[a-z]\\w*\\(.*\\)( when .*)? ->.*)$",
    re:run(Text, Head, [multiline, unicode]) =/= nomatch
        andalso re:run(Text, "^\\d*>", [multiline, unicode]) =:= nomatch.

%% Compiles the functions into a module of their own.
define(Text, #{functions := Known} = State) ->
    Module = list_to_atom("page_" ++ integer_to_list(erlang:unique_integer([positive]))),
    {ok, Tokens, _} = erl_scan:string(Text ++ "\n"),
    Forms = [Form || {ok, Form} <- [erl_parse:parse_form(Form) || Form <- by_dot(Tokens)],
                     element(3, Form) =/= module],
    {ok, Module, Code} = compile:forms([{attribute, 1, module, Module} | Forms],
                                       [export_all, nowarn_export_all]),
    {module, Module} = code:load_binary(Module, "page", Code),
    New = [{{Name, Arity}, Module} || {function, _, Name, Arity, _} <- Forms],
    New =/= [] orelse error({no_functions_in, Text}),
    State#{functions := New ++ Known}.

by_dot(Tokens) ->
    case lists:splitwith(fun(Token) -> element(1, Token) =/= dot end, Tokens) of
        {Form, [Dot | Rest]} -> [Form ++ [Dot] | by_dot(Rest)];
        {[], []} -> [];
        {Form, []} -> error({no_full_stop_behind, Form})
    end.

%% ---------------------------------------------------------------------------
%% Steps: an expression and what is expected of it

-spec steps(string()) -> [step()].
steps(Text) ->
    Lines = string:split(Text, "\n", all),
    case re:run(Text, "^(\\(.*\\))?\\d+> ", [multiline, unicode]) of
        nomatch -> commented(Lines, []);
        _ -> prompted(Lines)
    end.

%% Lines of code up to a line that ends an expression, then its comments.
commented([], Code) ->
    [{Rest, none} || Rest <- [text(Code)], not is_empty(Rest)];
commented([Line | Rest], Code) ->
    case expectation(Line) of
        {starts, First} ->
            {More, Behind} = lists:splitwith(fun continues/1, Rest),
            [{text(Code), text(lists:reverse([First | [comment_text(L) || L <- More]]))}
             | commented(Behind, [])];
        no -> commented(Rest, [Line | Code])
    end.

expectation(Line) ->
    case re:run(Line, "^\\s*%+ => (.*)$", [{capture, all_but_first, list}, unicode]) of
        {match, [First]} -> {starts, First};
        nomatch -> no
    end.

%% A following comment line, set in by two more blanks or so, goes on.
continues(Line) ->
    re:run(Line, "^\\s*%+\\s{3,}\\S", [unicode]) =/= nomatch.

comment_text(Line) ->
    re:replace(Line, "^\\s*%+", "", [{return, list}, unicode]).

prompted([]) ->
    [];
prompted([Line | Rest]) ->
    case re:run(Line, "^(?:\\(.*\\))?\\d+> (.*)$", [{capture, all_but_first, list}, unicode]) of
        nomatch -> prompted(Rest);
        {match, [First]} ->
            {Code, Behind} = to_full_stop([First], Rest),
            IsPrompt = fun(L) -> re:run(L, "^(\\(.*\\))?\\d+> ", [unicode]) =/= nomatch end,
            {Printed, Next} = lists:splitwith(fun(L) -> not IsPrompt(L) end, Behind),
            [{Code, printed(Printed)} | prompted(Next)]
    end.

%% What stands under an expression, plain or as a comment "%% => Term".
printed(Lines) ->
    Plain = [re:replace(Line, "^\\s*%+( =>)?", "", [{return, list}, unicode]) || Line <- Lines],
    case string:trim(lists:flatten(lists:join("\n", Plain))) of
        "" -> none;
        Expected -> Expected
    end.

to_full_stop(Lines, Rest) ->
    case re:run(hd(Lines), "\\.\\s*(%.*)?$", [unicode]) of
        {match, _} -> {text(Lines), Rest};
        nomatch when Rest =:= [] -> error({no_full_stop_behind, text(Lines)});
        nomatch -> to_full_stop([hd(Rest) | Lines], tl(Rest))
    end.

text(Reversed) ->
    lists:flatten(lists:join("\n", lists:reverse(Reversed))).

is_empty(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    Tokens =:= [].

%% ---------------------------------------------------------------------------

%% All expressions of the step are evaluated, the last one is compared.
step({Code, Expected}, State) ->
    {ok, Tokens, _} = erl_scan:string(Code ++ "\n"),
    {Value, Next} = lists:foldl(fun expression/2, {none, State}, by_dot(Tokens)),
    Expected =:= none orelse compare(Code, Expected, Value),
    Next.

expression(Tokens, {_, #{bindings := Bindings, functions := Functions} = State}) ->
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    Local = fun(Name, Args) -> call(Functions, Name, Args) end,
    {value, Value, New} = erl_eval:exprs(Expressions, Bindings, {value, Local}),
    {Value, State#{bindings := New}}.

call(Functions, Name, Args) ->
    case lists:keyfind({Name, length(Args)}, 1, Functions) of
        {_, Module} -> apply(Module, Name, Args);
        false -> error({no_such_function, Name, length(Args)})
    end.

%% The expected text is parsed as a pattern; what it leaves open matches.
compare(Code, Expected, Value) ->
    Open = re:replace(Expected, "\\.\\.\\.", "_", [global, {return, list}, unicode]),
    {ok, Tokens, _} = erl_scan:string(string:trim(string:trim(Open), trailing, ".") ++ "."),
    {ok, [Pattern]} = erl_parse:parse_exprs(Tokens),
    Clauses = [{clause, 1, [as_pattern(Pattern)], [], [{atom, 1, true}]},
               {clause, 1, [{var, 1, '_'}], [], [{atom, 1, false}]}],
    Bindings = erl_eval:add_binding('The value', Value, erl_eval:new_bindings()),
    case erl_eval:expr({'case', 1, {var, 1, 'The value'}, Clauses}, Bindings) of
        {value, true, _} -> ok;
        {value, false, _} -> error({differs, #{code => Code, expected => Expected, got => Value}})
    end.

%% Maps are shown with => and matched with := ; a lone variable is anything.
as_pattern({map_field_assoc, At, Key, Value}) ->
    {map_field_exact, At, Key, as_pattern(Value)};
as_pattern(Tree) when is_tuple(Tree) ->
    list_to_tuple([as_pattern(Part) || Part <- tuple_to_list(Tree)]);
as_pattern([Head | Tail]) ->
    [as_pattern(Head) | as_pattern(Tail)];
as_pattern(Leaf) ->
    Leaf.
