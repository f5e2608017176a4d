%% SPDX-License-Identifier: Apache-2.0
%%
%% How much of a process is in memory, read again and again: its file in /proc
%% stays open, which costs a tenth of opening it each time. It belongs to that
%% very process: once that is gone, nothing can be read, even if another process
%% has its number by then.
-module(py_os_rss).

-export([open/1, read/1, close/1, once/1]).
-export_type([rss/0]).

-opaque rss() :: file:fd().

%% AT_PAGESZ, in the vector that the kernel gives each program.
-define(PAGE_SIZE, 6).
-define(USUAL_SIZE, 4096).

%% Opens it for the calling process.
-spec open(pos_integer()) -> {ok, rss()} | gone.
open(OsPid) ->
    case file:open(path(OsPid), [read, raw, binary]) of
        {ok, File} -> {ok, File};
        {error, _} -> gone
    end.

%% Bytes; 0 for a process that has ended and was not waited for.
-spec read(rss()) -> {ok, non_neg_integer()} | gone.
read(File) ->
    case file:pread(File, 0, 64) of
        {ok, Text} -> {ok, page_size() * pages(Text)};
        _ -> gone
    end.

-spec close(rss()) -> ok.
close(File) ->
    _ = file:close(File),
    ok.

%% For a process that is looked at once.
-spec once(pos_integer()) -> {ok, non_neg_integer()} | gone.
once(OsPid) ->
    case prim_file:read_file(path(OsPid)) of
        {ok, Text} -> {ok, page_size() * pages(Text)};
        {error, _} -> gone
    end.

path(OsPid) ->
    "/proc/" ++ integer_to_list(OsPid) ++ "/statm".

%% The second number.
pages(Text) ->
    [_, Pages | _] = binary:split(Text, <<" ">>, [global]),
    binary_to_integer(Pages).

page_size() ->
    case persistent_term:get(?MODULE, unknown) of
        unknown -> ask_page_size();
        Size -> Size
    end.

ask_page_size() ->
    Size = case prim_file:read_file("/proc/self/auxv") of
               {ok, Vector} -> page_size(Vector, 8 * erlang:system_info({wordsize, external}));
               {error, _} -> ?USUAL_SIZE
           end,
    persistent_term:put(?MODULE, Size),
    Size.

page_size(Vector, Bits) ->
    case Vector of
        <<?PAGE_SIZE:Bits/native, Size:Bits/native, _/binary>> -> Size;
        <<_:Bits, _:Bits, Rest/binary>> -> page_size(Rest, Bits)
    end.
