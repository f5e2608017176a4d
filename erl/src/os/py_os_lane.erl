%% SPDX-License-Identifier: Apache-2.0
%%
%% Memory that this VM and a program both reach, by which large frames go. The pipe
%% carries them in pieces, and only then lets the other side go on.
%%
%% The program has made it, a file without a name, and says in `hello' which one of
%% its descriptors that is. It is opened by way of /proc before Python can do anything
%% to the descriptor, and belongs to the process that opened it, with whose end it is
%% closed. In the pipe goes a place, which stands for the frame. Each direction has
%% room for one frame; whoever has read it says so by a number at the beginning. What
%% finds no room goes through the pipe.
%%
%% What the program wrote is copied before anything looks at it.
-module(py_os_lane).

-export([open/3, send/3, frame/2, unsent/1]).
-export_type([lane/0, broken/0]).

-include("py_protocol.hrl").

-record(lane, {
    fd :: file:fd(),
    room :: pos_integer(),      % bytes of each direction
    most :: integer(),          % bytes of a frame
    serial = 0 :: py_wire:id()  % of the last frame to the program
}).
-opaque lane() :: #lane{}.

%% What a place should stand for, and what is there.
-type broken() :: {lane, [{expected | found, non_neg_integer()} | {error, term()}]}.

-define(MOST_SERIAL, 16#7fffffff).
-define(TARGET, "/memfd:pyport-lane (deleted)").

%% What a program that said hello offers, for frames of up to MaxFrame bytes; `none'
%% where it cannot be opened. The program may be another process than the one that was
%% started, in which that descriptor is any file, or none.
-spec open(pos_integer() | undefined, MaxFrame :: pos_integer(), Hello :: map()) -> lane() | none.
open(OsPid, MaxFrame, #{lane := {Fd, Room}})
  when is_integer(OsPid), is_integer(Fd), is_integer(Room) ->
    Name = lists:concat(["/proc/", OsPid, "/fd/", Fd]),
    case file:read_link(Name) =:= {ok, ?TARGET} andalso file:open(Name, [raw, read, write, binary]) of
        {ok, File} -> #lane{fd = File, room = Room, most = min(MaxFrame, Room - ?LANE_SKIP)};
        _ -> none
    end;
open(_, _, _) ->
    none.

%% Sends a frame, as py_os_port does; through the lane if it is large and there is room
%% now.
-spec send(port(), iodata(), lane() | none) -> {boolean(), lane() | none}.
send(Port, Frame, Lane) ->
    {Short, Next} = shorten(Frame, Lane),
    {py_os_port:send(Port, Short), Next}.

shorten(Frame, none) ->
    {Frame, none};
shorten(Frame, #lane{most = Most} = Lane) ->
    case iolist_size(Frame) of
        Size when Size >= ?LANE_LEAST, Size =< Most -> write(Frame, Size, Lane);
        _ -> {Frame, Lane}
    end.

write(Frame, Size, #lane{fd = Fd, serial = Last} = Lane) ->
    Serial = Last rem ?MOST_SERIAL + 1,
    case say(Serial, Lane) =:= ok andalso is_free(Lane)
         andalso file:pwrite(Fd, ?LANE_HEAD + ?LANE_SKIP, Frame) of
        ok ->
            {py_wire:place(Serial, Size), Lane#lane{serial = Serial}};
        _ ->
            _ = say(Last, Lane),
            {Frame, Lane}
    end.

%% Before it is written: from then on the program gives none of that memory back.
say(Serial, #lane{fd = Fd}) ->
    file:pwrite(Fd, ?LANE_IN_WRITE, <<Serial:32/native>>).

%% Whether the program has read the last frame that was written, and is not giving its
%% memory back just now.
is_free(#lane{fd = Fd, serial = Last}) ->
    file:pread(Fd, ?LANE_IN_READ, 8) =:= {ok, <<Last:32/native, 0:32>>}.

%% A frame from the program, or the one that it stands for, and its Id. A program whose
%% lane does not have what it says is not to be talked to any more.
-spec frame(binary(), lane() | none) -> {py_wire:id() | none, binary()} | {broken, broken()}.
frame(Frame, Lane) ->
    case py_wire:reply_id(Frame) of
        none -> follow(Frame, Lane);
        Id -> {Id, Frame}
    end.

follow(Frame, none) ->
    {none, Frame};
follow(Frame, Lane) ->
    case py_wire:place(Frame) of
        none -> {none, Frame};
        {Serial, Size} -> read(Serial, Size, Lane)
    end.

read(Serial, Size, #lane{fd = Fd, room = Room, most = Most}) when Size >= ?LANE_LEAST, Size =< Most ->
    case file:pread(Fd, ?LANE_HEAD + Room + ?LANE_SKIP, Size) of
        {ok, <<Frame:Size/binary>>} ->
            _ = file:pwrite(Fd, ?LANE_OUT_READ, <<Serial:32/native>>),
            {py_wire:reply_id(Frame), Frame};
        Other ->
            broken(Other, Size)
    end;
read(_, Size, _) ->
    broken(no_place, Size).

%% What a program that is dead had kept, to send it with more: the frame, and its Id. The
%% word in front says how many bytes, and how many results.
-spec unsent(lane() | none) -> [{py_wire:id(), binary()}].
unsent(none) ->
    [];
unsent(#lane{fd = Fd}) ->
    case file:pread(Fd, ?LANE_NOTES, ?LANE_HEAD - ?LANE_NOTES) of
        {ok, <<Word:64/native, Notes/binary>>} -> unsent(Word bsr 32, Word band 16#ffffffff, Notes);
        _ -> []
    end.

unsent(N, Size, Notes) when N > 0, Size > ?FRAME_HEADER, Size =< byte_size(Notes) ->
    case py_multicall:unsent(N, binary:part(Notes, ?FRAME_HEADER, Size - ?FRAME_HEADER)) of
        none -> [];
        Kept -> [Kept]
    end;
unsent(_, _, _) ->
    [].

broken(Found, Size) ->
    {broken, {lane, [{expected, Size} | found(Found)]}}.

found({ok, Short}) -> [{found, byte_size(Short)}];
found({error, Reason}) -> [{error, Reason}];
found(eof) -> [{found, 0}];
found(no_place) -> [].
