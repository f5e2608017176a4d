%% SPDX-License-Identifier: Apache-2.0
%%
%% The program without the py application: frames made by hand, a run over a
%% prepared input, and a conversation over a plain port.
-module(raw).

-export([frame/1, frame_bytes/1, splice/3, run/1, run/2, run/3]).
-export([open/0, open/1, close/1, send/2, recv/1, recv/2, ask/2, os_pid/1]).
-export_type([outcome/0]).

%% The Id of the request that a run adds to its input.
-define(LAST, <<"-- the last request --">>).

%% What a run left: its exit code, the replies in order, what it printed.
-type outcome() :: #{code := integer(), replies := [term()], stderr := binary(),
                     stdout := binary()}.

%% ---------------------------------------------------------------------------
%% Bytes

%% A term as a frame.
-spec frame(term()) -> binary().
frame(Term) ->
    frame_bytes(term_to_binary(Term)).

%% Any bytes as a frame whose length is right.
-spec frame_bytes(binary()) -> binary().
frame_bytes(Bytes) ->
    <<(byte_size(Bytes)):32, Bytes/binary>>.

%% The external format of a term in which every occurrence of the marker, a
%% binary that occurs nowhere else, is replaced by these bytes (without 131):
%% for forms of a term that this VM would not write itself.
-spec splice(term(), binary(), binary()) -> binary().
splice(Term, Marker, Bytes) ->
    Encoded = <<109, (byte_size(Marker)):32, Marker/binary>>,
    binary:replace(term_to_binary(Term), Encoded, Bytes, [global]).

%% ---------------------------------------------------------------------------
%% A run over a prepared input: what is written in, what came out

%% Writes the input, waits for the answer to a last request of our own, and
%% only then ends the input: its end interrupts whatever still runs. (That
%% request is a job: they run in order, while others may be answered earlier.)
-spec run(iodata()) -> outcome().
run(Input) ->
    run([], Input).

-spec run([string()], iodata()) -> outcome().
run(Args, Input) ->
    run(Args, Input, <<>>).

%% The same with bytes behind the last request, right before the end of input.
-spec run([string()], iodata(), binary()) -> outcome().
run(Args, Input, Tail) ->
    Dir = fixture:tmpdir(),
    Port = open_redirected(Dir, Args),
    true = port_command(Port, [Input, frame({?LAST, {eval, <<"0">>, #{}}})]),
    Ended = fun() -> filelib:is_regular(filename:join(Dir, "code")) end,
    fixture:wait_until(fun() -> Ended() orelse has_answered_last(Dir) end, 60_000),
    catch port_command(Port, Tail),
    catch port_close(Port),
    fixture:wait_until(Ended, 60_000),
    Outcome = outcome(Dir),
    ok = file:del_dir_r(Dir),
    ok = drain(Port),
    Outcome.

%% The program's output goes to files; its input stays ours.
open_redirected(Dir, Args) ->
    Shell = "dir=$0; \"$@\" >$dir/out 2>$dir/err; echo $? >$dir/part; mv $dir/part $dir/code",
    open_port({spawn_executable, "/bin/sh"},
              [{args, ["-c", Shell, Dir, fixture:program() | Args]}, binary, stream, exit_status]).

%% The last request's Id is at the end of what was written.
has_answered_last(Dir) ->
    case file:open(filename:join(Dir, "out"), [read, raw, binary]) of
        {ok, File} ->
            {ok, Size} = file:position(File, eof),
            Read = file:pread(File, max(0, Size - 400), 400),
            ok = file:close(File),
            Read =/= eof andalso binary:match(element(2, Read), ?LAST) =/= nomatch;
        {error, enoent} ->
            false
    end.

outcome(Dir) ->
    [Code, Out, Err] = [element(2, {ok, _} = file:read_file(filename:join(Dir, Name)))
                        || Name <- ["code", "out", "err"]],
    Replies = [Reply || Reply <- replies(Out), not is_last(Reply)],
    #{code => binary_to_integer(string:trim(Code)), replies => Replies,
      stdout => Out, stderr => Err}.

is_last({?LAST, _}) -> true;
is_last(_) -> false.

drain(Port) ->
    receive {Port, _} -> drain(Port) after 0 -> ok end.

%% Bytes that are no frame end the list as {not_a_frame, Bytes}.
replies(<<Size:32, Frame:Size/binary, Rest/binary>>) ->
    try binary_to_term(Frame) of
        Term -> [Term | replies(Rest)]
    catch
        error:badarg -> [{not_a_term, Frame} | replies(Rest)]
    end;
replies(<<>>) ->
    [];
replies(Bytes) ->
    [{not_a_frame, Bytes}].

%% ---------------------------------------------------------------------------
%% A conversation

-spec open() -> port().
open() ->
    open([]).

-spec open([string()]) -> port().
open(Args) ->
    open_port({spawn_executable, fixture:program()},
              [{args, Args}, {packet, 4}, binary, exit_status]).

%% Closes the program's input and waits until it is gone.
-spec close(port()) -> ok.
close(Port) ->
    OsPid = os_pid(Port),
    true = port_close(Port),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end).

-spec os_pid(port()) -> pos_integer().
os_pid(Port) ->
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    OsPid.

-spec send(port(), term()) -> true.
send(Port, Term) ->
    port_command(Port, term_to_binary(Term)).

%% The next reply, or {exit_status, Code}.
-spec recv(port()) -> term().
recv(Port) ->
    recv(Port, 30_000).

-spec recv(port(), timeout()) -> term().
recv(Port, Limit) ->
    receive
        {Port, {data, Frame}} -> binary_to_term(Frame);
        {Port, {exit_status, Code}} -> {exit_status, Code}
    after Limit ->
        error({no_reply_within, Limit})
    end.

%% One request and its reply.
-spec ask(port(), term()) -> term().
ask(Port, Op) ->
    Id = erlang:unique_integer([positive]),
    send(Port, {Id, Op}),
    {Id, Result} = recv(Port),
    Result.
