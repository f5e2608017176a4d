%% SPDX-License-Identifier: Apache-2.0
%%
%% How a program becomes a worker: it says hello, learns what to do with the
%% lines of its logs, says its first numbers about memory, so that they are known
%% even if it never has time for that again, then runs the steps that its pool wants
%% to be run in every worker (init code, exec_all, tracing). Pure.
-module(py_worker_boot).

-export([new/1, request/2, op/1, lane/2, opts/1, steps/2, result/2, step/1, late/3, hello/1, memory/1]).
-export([mail/2, mail/1]).
-export_type([boot/0, next/0, step/0]).

-include("py_protocol.hrl").

-record(boot, {
    step :: step(),
    rest = [] :: [step()],
    logs :: boolean(),
    loop :: asyncio | uvloop,
    hello = #{} :: map(),
    memory = #{} :: map(),
    mail = [] :: [py_talk_inbox:mail()]     % the last first
}).

-opaque boot() :: #boot{}.
-type step() :: {code, From :: {init_once | init | definition, pos_integer()}, py_secret:secret(py_wire:op())}
              | py_wire:op().
-type next() :: {run, step(), boot()}     % send this
              | {done, boot()}                  % ask the pool for more
              | {failed, binary()}.

-spec new(#{logs := boolean(), loop := asyncio | uvloop, _ => _}) -> next().
new(#{logs := Logs, loop := Loop}) ->
    {run, hello, #boot{step = hello, logs = Logs, loop = Loop}}.

%% What the worker itself asks, in every step: requests of callers have other Ids.
-spec request(py_wire:op(), map()) -> iodata().
request(Op, Opts) ->
    {Arity, Body} = py_wire:body(Op, Opts),
    py_wire:request(0, Arity, Body).

%% The request that a step is.
-spec op(step()) -> py_wire:op().
op({code, _, Code}) -> py_secret:show(Code);
op(Op) -> Op.

%% Its options. Python calls the code by the name that errors give it.
-spec opts(step()) -> map().
opts({code, From, _}) -> #{traceback => true, filename => file(From)};
opts(_) -> #{}.

file({What, N}) -> unicode:characters_to_binary(io_lib:format("<~p ~b>", [What, N])).

%% Whether the lane that the program offers was opened: it hears of that soon.
-spec lane(boolean(), {run, step(), boot()}) -> {run, step(), boot()}.
lane(IsOpen, {run, Step, #boot{hello = #{lane := {_, _}}, rest = Rest} = Boot}) ->
    {run, Step, Boot#boot{rest = [{lane, IsOpen} | Rest]}};
lane(false, Next) ->
    Next.

-spec steps([step()], boot()) -> next().
steps([Step | Rest], Boot) -> {run, Step, Boot#boot{step = Step, rest = Rest}};
steps([], Boot) -> {done, Boot}.

%% What the program answered to the current step.
-spec result(py_result:result(), boot()) -> next().
result({ok, #{protocol := ?PROTOCOL_VERSION} = Hello}, #boot{step = hello, logs = Logs} = Boot) ->
    steps([{listen, Logs, py_talk_events:window(), true, true} | loop(Boot)] ++ [memory_stats],
          Boot#boot{hello = Hello});
result(Result, #boot{step = hello}) ->
    failed("unexpected hello: ~tp", [Result]);
result({error, {Class, Message, Trace}}, #boot{step = {code, From, _} = Step}) ->
    File = file(From),
    failed("~ts~ts: ~ts: ~ts~ts", [what(Step), line(File, Trace), Class, Message,
                                   [frame(Frame) || Frame <- maps:get(frames, Trace, [])]]);
result({error, Reason}, #boot{step = Step}) ->
    failed("~ts: ~ts", [what(Step), why(Reason)]);
result({ok, Memory}, #boot{step = memory_stats, rest = Rest} = Boot) ->
    steps(Rest, Boot#boot{memory = Memory});
result(_, #boot{rest = Rest} = Boot) ->
    steps(Rest, Boot).

%% Another loop has to be there before there is code that needs it.
loop(#boot{loop = asyncio}) -> [];
loop(#boot{loop = Name}) -> [{call, 'erlang._aio', use, [Name], #{}}].

what(hello) -> "Python's start";
what({call, 'erlang._aio', use, [Name], _}) -> io_lib:format("loop => ~s", [Name]);
what({code, {definition, Id}, _}) -> io_lib:format("exec_all, definition ~b", [Id]);
what({code, {Option, N}, _}) -> io_lib:format("~s, piece ~b", [Option, N]);
what(Step) -> io_lib:format("~tp", [Step]).

%% The line of the code at which it failed, or which is not Python.
line(File, Trace) ->
    Lines = [Line || #{file := F, line := Line} <- maps:get(frames, Trace, []), F =:= File]
        ++ [Line || #{position := #{file := F, line := Line}} <- [Trace], F =:= File],
    case Lines of
        [Line | _] -> io_lib:format(", line ~b", [Line]);
        [] -> ""
    end.

%% A frame as Python shows it. Code that is in no file may be secret.
frame(#{file := File, function := Function} = Frame) ->
    io_lib:format("\n  File \"~ts\", line ~tp, in ~ts~ts",
                  [File, maps:get(line, Frame, unknown), Function, source(Frame)]).

source(#{file := <<"<", _/binary>>}) -> "";
source(#{text := <<_, _/binary>> = Text}) -> ["\n    ", Text];
source(#{}) -> "".

why({Class, Message}) when is_binary(Message) -> io_lib:format("~ts: ~ts", [Class, Message]);
why(Reason) -> io_lib:format("~tp", [Reason]).

failed(Format, Args) ->
    {failed, unicode:characters_to_binary(io_lib:format(Format, Args))}.

%% What it is doing.
-spec step(boot()) -> unicode:chardata().
step(#boot{step = Step}) ->
    what(Step).

%% Why there is no worker if the current step has taken Limit milliseconds, and where
%% it is, if the program has answered that.
-spec late(non_neg_integer(), Stacks :: py_result:result(), boot()) -> binary().
late(Limit, Stacks, #boot{step = Step}) ->
    {failed, Text} = failed("~ts: not done within start_timeout (~b ms)~ts",
                            [what(Step), Limit, where(Stacks)]),
    Text.

%% The main thread comes first.
where({ok, [#{frames := Frames} | _]}) -> [frame(Frame) || Frame <- Frames];
where(_) -> "".

%% What the program said about itself; empty until it has.
-spec hello(boot()) -> map().
hello(#boot{hello = Hello}) ->
    Hello.

%% What it said about its memory; empty until it has.
-spec memory(boot()) -> map().
memory(#boot{memory = Memory}) ->
    Memory.

%% Its code has said what is to be called with messages: that is for a live worker.
-spec mail(py_talk_inbox:mail(), boot()) -> boot().
mail(Mail, #boot{mail = Kept} = Boot) ->
    Boot#boot{mail = [Mail | Kept]}.

%% What is to be heard then, in its order.
-spec mail(boot()) -> [py_talk_inbox:mail()].
mail(#boot{mail = Kept}) ->
    lists:reverse(Kept).
