%% SPDX-License-Identifier: Apache-2.0
%%
%% Requests of every kind, chosen at random, each of which knows what its answer
%% may be: its own result, or an error that such a request may have where others
%% kill workers. Nobody else's result is ever right, and no answer comes twice.
-module(traffic).

-export([send/1, kinds/0]).
-export_type([outcome/0]).

%% The kind of the request, and what came of it.
-type outcome() :: {Kind :: atom(), ok | timeout | cancelled | lost | refused | {wrong, term()}}.

%% Long enough for a pool whose workers are killed all the time: whoever is out
%% of time was forgotten.
-define(LIMIT, 20_000).
%% Most requests are of the ordinary kinds.
-define(KINDS, [{12, echo}, {12, call}, {6, large}, {6, raise}, {6, stream}, {3, stream_closed},
                {3, stream_left}, {4, stream_awaited}, {3, stream_awaited_left}, {6, later},
                {6, cancel}, {4, expire}, {3, exec}, {3, event},
                {3, handle}, {2, caller_dies}, {2, statistics}, {2, collect}, {2, capture},
                {1, stack}]).

-spec kinds() -> [atom()].
kinds() ->
    [Kind || {_, Kind} <- ?KINDS].

%% Makes one request to the default pool and judges the answer. Token is known
%% to nobody else.
-spec send(Token :: integer()) -> outcome().
send(Token) ->
    Kind = choose(),
    Outcome = judge(Kind, request(Kind, Token)),
    {Kind, only(Outcome)}.

choose() ->
    Sum = lists:sum([Weight || {Weight, _} <- ?KINDS]),
    choose(rand:uniform(Sum), ?KINDS).

choose(N, [{Weight, Kind} | _]) when N =< Weight -> Kind;
choose(N, [{Weight, _} | Rest]) -> choose(N - Weight, Rest).

%% Nothing else may be in the mailbox: a second answer, or somebody else's.
only(Outcome) ->
    case process_info(self(), messages) of
        {messages, []} -> Outcome;
        {messages, Left} -> flush(), {wrong, {left_in_mailbox, Left}}
    end.

flush() ->
    receive _ -> flush() after 0 -> ok end.

%% ---------------------------------------------------------------------------
%% Each kind: true when the answer is this request's own, or the error

request(echo, Token) ->
    own(Token, py:eval(<<"n">>, #{n => Token}, ?LIMIT));
request(call, Token) ->
    own(Token, py:call(wedge, late, [Token, rand:uniform(8) / 1000], #{}, ?LIMIT));
request(large, Token) ->
    Data = binary:copy(<<Token:64>>, 1000 + rand:uniform(30_000)),
    own({Token, Data}, py:eval(<<"(n, x)">>, #{n => Token, x => {bytes, Data}}, ?LIMIT));
request(raise, Token) ->
    Text = <<"number ", (integer_to_binary(Token))/binary>>,
    Message = <<"invalid literal for int() with base 10: '", Text/binary, "'">>,
    case py:call(builtins, int, [Text], #{}, ?LIMIT) of
        {error, {'ValueError', Message}} -> true;
        Other -> Other
    end;
request(stream, Token) ->
    own([Token || _ <- lists:seq(1, 2500)], py:stream_eval(<<"[n] * 2500">>, #{n => Token}, ?LIMIT));
request(stream_closed, Token) ->
    with_stream(Token, fun(Stream) -> py:stream_close(Stream) end);
request(stream_left, Token) ->
    in_another(fun() -> with_stream(Token, fun(_) -> ok end) end);
request(stream_awaited, Token) ->
    own([Token || _ <- lists:seq(1, 30)], py:stream(wedge, awaited, [Token, 30], #{}, ?LIMIT));
request(stream_awaited_left, Token) ->
    in_another(fun() -> with_stream({wedge, awaited, [Token, 100_000]}, Token, fun(_) -> ok end) end);
request(later, Token) ->
    Refs = [py:spawn_call(wedge, late, [{Token, N}, 0.002], #{}, ?LIMIT) || N <- [1, 2, 3]],
    first_error([own({Token, N}, py:await(Ref)) || {N, Ref} <- lists:zip([1, 2, 3], Refs)]);
request(cancel, Token) ->
    Ref = py:spawn_call(wedge, late, [Token, 0.02], #{}, ?LIMIT),
    timer:sleep(rand:uniform(100) - 1),
    ok = py:cancel(Ref),
    own(Token, py:await(Ref));
request(expire, Token) ->
    own(Token, py:call(wedge, late, [Token, 0.03], #{}, rand:uniform(40)));
request(exec, Token) ->
    in_another(fun() -> exec(Token) end);
request(handle, Token) ->
    in_another(fun() -> handle(Token) end);
request(event, Token) ->
    in_another(fun() -> event(Token) end);
request(caller_dies, Token) ->
    Pid = spawn(fun() -> py:call(wedge, late, [Token, 0.05], #{}, ?LIMIT) end),
    timer:sleep(rand:uniform(30)),
    exit(Pid, kill);
request(statistics, _) ->
    is_ok(py:memory_stats());
request(collect, _) ->
    is_ok(py:gc(0));
request(capture, Token) ->
    Text = integer_to_binary(Token),
    case py:eval(<<"print(n) or n">>, #{n => Token}, #{capture => true, timeout => ?LIMIT}) of
        {ok, Token, <<Text:(byte_size(Text))/binary, "\n">>} -> true;
        {error, Reason, _} -> {error, Reason};
        Other -> Other
    end;
request(stack, _) ->
    is_ok(py:stack(1)).

own(Value, {ok, Value}) -> true;
own(_, Other) -> Other.

is_ok({ok, _}) -> true;
is_ok(Other) -> Other.

first_error(Results) ->
    hd([R || R <- Results, R =/= true] ++ [true]).

with_stream(Token, Then) ->
    with_stream({eval, <<"iter(lambda: n, None)">>, #{n => Token}}, Token, Then).

with_stream(Source, Token, Then) ->
    case py:stream_open(Source, ?LIMIT) of
        {ok, Stream} ->
            Items = py:stream_next(Stream),
            Then(Stream),
            case Items of
                {ok, [Token | _]} -> true;
                Other -> Other
            end;
        Other ->
            Other
    end.

%% A process of its own: it may be bound, or get what comes late, and it ends.
in_another(Fun) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({result, Fun()}) end),
    receive
        {'DOWN', Monitor, process, Pid, {result, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> Reason
    end.

exec(Token) ->
    Name = ["mine_", integer_to_list(Token)],
    case py:exec([Name, " = ", integer_to_list(Token)], ?LIMIT) of
        ok -> own(Token, py:eval(["globals().pop('", Name, "')"], #{}, ?LIMIT));
        Other -> Other
    end.

%% Every other one is left to the end of its owner.
handle(Token) ->
    case py:call(builtins, list, [[Token]], #{}, #{return => handle, timeout => ?LIMIT}) of
        {ok, Handle} ->
            Results = [own([Token], py_handle:value(Handle, ?LIMIT)),
                       own([[Token]], py:call(builtins, list, [[Handle]], #{}, ?LIMIT))],
            Token rem 2 =:= 0 andalso py_handle:release(Handle),
            first_error(Results);
        Other ->
            Other
    end.

event(Token) ->
    case py:call(erlang, send, [self(), {event, Token}], #{}, ?LIMIT) of
        {ok, none} -> receive {event, Token} -> true after ?LIMIT -> no_event end;
        Other -> Other
    end.

%% ---------------------------------------------------------------------------

judge(_, true) -> ok;
judge(expire, {error, timeout}) -> timeout;
judge(_, {error, {worker_exit, _}}) -> lost;
%% A program that SIGTERM has told to end reads no more.
judge(event, {error, {'erlang.SendError', <<"there is no connection", _/binary>>}}) -> lost;
judge(cancel, {error, cancelled}) -> cancelled;
judge(stack, {error, _}) -> refused;
judge(_, Other) -> {wrong, Other}.
