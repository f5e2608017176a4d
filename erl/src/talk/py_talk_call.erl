%% SPDX-License-Identifier: Apache-2.0
%%
%% One call of Python's: what the process does that was started for it. It decodes
%% the call, finds the function, applies it and answers the program. What comes as
%% bytes is never run: the function is one of those that Erlang has registered, or of
%% the funs that were given to what runs now. A question about the shared state is
%% answered in the same way.
%%
%% Its worker's Python waits for it. What it asks of that worker runs within the call:
%% the binding (py_binding) says so. If the job that has called was itself asked for by
%% such a process, that one's worker waits, too: its bindings are inherited.
-module(py_talk_call).

-export([run/4, failure/3]).
-export_type([context/0, who/0, outcome/0]).

-include("py.hrl").

-type context() :: #{port := port(), worker := pid(), calls := pid(), pool := atom(),
                     functions := py_talk_functions:allowed(), state := py_talk_question:allowed(),
                     max_frame := pos_integer(), _ => _}.
%% Who waits for what has called, and who keeps the funs that may be called.
-type who() :: {Caller :: pid() | none, Keeper :: pid() | none}.
%% An error is a text for people, and what Python's erlang.Error has.
-type outcome() :: {ok, term()} | {list, [py_talk_state:etf()]}
                 | {error, {binary(), error | exit | throw, term(), [map()]}}.

%% How many items an iterator is asked for at a time.
-define(ITEMS, 512).
%% The most characters of a reason in the text.
-define(SHOWN, 500).

%% Runs the call in this frame in the calling process.
-spec run(py_wire:id(), who(), py_secret:secret(binary()), context()) -> ok.
run(Id, Who, Frame, #{port := Port} = Context) ->
    Outcome = call(Id, Who, py_secret:show(Frame), Context),
    _ = py_os_port:send(Port, answer(Id, Outcome, Context)),
    ok.

%% A call from a thread that belongs to no job has no depth: nothing runs within it.
bind(_, 0, _, _) ->
    ok;
bind(Id, Depth, Caller, #{pool := Name, worker := Worker}) ->
    inherit(Caller),
    case py_pool_board:find(Name) of
        {ok, Pool} ->
            Home = {Worker, Pool, {within, Id, Depth}},
            put(?BINDING(Name), Home),
            put(?BINDING(Worker), Home);
        {error, _} -> ok
    end.

%% The caller waits, so it is alive, unless it has just been killed.
inherit(none) ->
    ok;
inherit(Caller) ->
    case process_info(Caller, initial_call) of
        {_, {?MODULE, run, 4}} -> inherit_all(process_info(Caller, dictionary));
        _ -> ok
    end.

inherit_all({dictionary, Entries}) ->
    lists:foreach(fun({?BINDING(_) = Key, {_, _, {within, _, _}} = Home}) -> put(Key, Home);
                     (_) -> ok
                  end, Entries);
inherit_all(undefined) ->
    ok.

call(Id, {Caller, Keeper}, Frame, Context) ->
    try binary_to_term(Frame, [safe]) of
        {call, _, _, Depth, Name, Args, Kwargs} when is_map(Kwargs) ->
            bind(Id, Depth, Caller, Context),
            apply_found(find(Name, Context), Name, arguments(Args, Kwargs), Context);
        {apply, _, _, Depth, Fun, Args, Kwargs} when is_map(Kwargs) ->
            bind(Id, Depth, Caller, Context),
            apply_given(py_talk_given:find(Keeper, Fun), arguments(Args, Kwargs));
        {state, _, Op, Args} ->
            about_state(py_talk_question:answer(Op, Args, Context));
        {lookup, _, Name} ->
            {ok, find(Name, Context) =/= none};
        {pull, _, Pid} when is_pid(Pid) ->
            pull(Pid);
        {self, _, _} ->
            {ok, Caller};
        {make_ref, _} ->
            {ok, make_ref()};
        {channel, _, Pid, Question} when is_pid(Pid) ->
            channel(Pid, Question, Context);
        _ ->
            failed(error, badarg)
    catch
        error:badarg -> failed(error, py_unknown_atom:explain(Frame))
    end.

%% What a channel is asked (py_channel_server). Python's erlang.Channel makes its own
%% exceptions of the errors.
channel(Pid, Question, #{worker := Worker}) ->
    try gen_server:call(Pid, {py_channel, Worker, Question}, infinity) of
        ok -> {ok, []};
        {ok, Message} -> {ok, [Message]};
        {error, Reason} when is_atom(Reason) -> failed(error, Reason);
        {error, _} -> failed(error, closed)
    catch
        exit:_ -> failed(error, closed)
    end.

%% The next items of an iterator (py_iter), from a process that may be the user's. If it
%% said that there are none now, Python would ask again at once, for ever.
pull(Pid) ->
    try gen_server:call(Pid, {py_next, ?ITEMS}, infinity) of
        {ok, Items} when length(Items) > 0 -> {ok, Items};
        done -> {ok, none};
        {raised, Class, Reason, Stack} -> failed(Class, Reason, own(Stack));
        {error, Reason} -> failed(error, Reason);
        Other -> failed(error, {bad_items, Other})
    catch
        exit:{Reason, _} -> over(Reason)
    end.

over(Reason) ->
    {error, {text("there are no more items: the process that has them has ended (~0tp), as the "
                  "iterator of a call does with the call", [Reason]), exit, Reason, []}}.

find(Name, Context) when is_atom(Name) -> find(atom_to_binary(Name), Context);
find(Name, #{pool := Pool, functions := Allowed}) -> py_talk_functions:find(Name, Pool, Allowed).

about_state({list, _} = Answer) -> Answer;
about_state({error, {badarg, Text} = Reason}) -> {error, {Text, error, Reason, []}};
about_state({error, {not_allowed, state} = Reason}) ->
    {error, {<<"the pool's option state does not allow it">>, error, Reason, []}};
about_state({error, Reason}) -> failed(error, Reason).

%% Keyword arguments are one map, behind the others.
arguments(Args, Kwargs) when map_size(Kwargs) =:= 0 -> Args;
arguments(Args, Kwargs) -> Args ++ [Kwargs].

apply_found(none, Name, _, _) ->
    {error, {text("there is no function '~ts'", [Name]), error, undef, []}};
apply_found({ok, {Function, Timeout}}, _, Args, #{calls := Calls}) ->
    Timer = py_talk_calls:limit(Calls, Timeout),
    Outcome = apply_safely(Function, Args),
    py_talk_calls:no_limit(Timer),
    Outcome.

%% Whoever gives a fun allows that it is called.
apply_given(none, _) ->
    {error, {<<"this fun was given to a call that is over, or to none">>, error, undef, []}};
apply_given({ok, Fun}, Args) when is_function(Fun, length(Args)) ->
    apply_safely(Fun, Args);
apply_given({ok, Fun}, Args) ->
    {arity, Arity} = erlang:fun_info(Fun, arity),
    {error, {text("this fun is called with ~b arguments, and has ~b", [length(Args), Arity]),
             error, badarity, []}}.

apply_safely(Function, Args) ->
    try
        {ok, apply_to(Function, Args)}
    catch
        Class:Reason:Stack -> failed(Class, Reason, own(Stack))
    end.

apply_to({M, F}, Args) -> apply(M, F, Args);
apply_to(Fun, Args) -> apply(Fun, Args).

%% What the program hears if the process has ended without an answer.
-spec failure(py_wire:id(), Reason :: term(), context()) -> iodata().
failure(Id, Reason, Context) ->
    answer(Id, failed(exit, Reason), Context).

failed(Class, Reason) ->
    failed(Class, Reason, []).

failed(Class, Reason, Stack) ->
    {error, {text("~s: ~0tp", [Class, Reason]), Class, Reason, Stack}}.

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args, [{chars_limit, ?SHOWN}])).

%% Without our own frames, and without arguments, which may be secret. A stack that
%% user code has made may have others, of funs: they have no name.
own(Stack) ->
    [frame(Frame) || {M, _, _, _} = Frame <- Stack, M =/= ?MODULE].

frame({M, F, Args, Where}) ->
    maps:merge(#{module => M, function => F,
                 arity => if is_list(Args) -> length(Args); true -> Args end},
               maps:from_list([{Key, place(Value)} || {Key, Value} <- Where,
                                                      Key =:= file orelse Key =:= line])).

place(File) when is_list(File) -> unicode:characters_to_binary(File);
place(Line) -> Line.

%% What does not fit into a frame is an error that does.
-spec answer(py_wire:id(), outcome(), context()) -> iodata().
answer(Id, Outcome, #{max_frame := Max} = Context) ->
    Frame = frame(Id, Outcome),
    case iolist_size(Frame) of
        Size when Size =< Max -> Frame;
        Size -> answer(Id, too_large(Outcome, Size, Max), Context)
    end.

frame(Id, {list, Terms}) -> py_wire:answer_list(Id, Terms);
frame(Id, Outcome) -> py_wire:answer(Id, Outcome).

too_large({error, {Text, Class, _, _}}, Size, Max) ->
    {error, {Text, Class, {max_frame, Size, Max}, []}};
too_large(_, Size, Max) ->
    failed(error, {max_frame, Size, Max}).
