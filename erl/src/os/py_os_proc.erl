%% SPDX-License-Identifier: Apache-2.0
%%
%% What /proc knows of a process and gives access to. It needs nothing from the
%% process itself. Where there is no /proc, and for a process that is gone, there
%% is nothing.
-module(py_os_proc).

-export([is_limited/1, memory/1, reset_peak/1, shares/1, groups/1, oom_kills/0]).
-export([hold_input/1]).
-export_type([memory/0, shares/0]).

-type memory() :: #{rss => non_neg_integer(),   % resident now
                    peak => non_neg_integer(),  % most that was resident
                    swap => non_neg_integer(),  % swapped out
                    address_space => non_neg_integer(), % what setrlimit counts
                    data => non_neg_integer(),
                    stopped => true}.           % by a signal or a debugger
-type shares() :: #{pss => non_neg_integer(),   % resident, shared pages divided
                    uss => non_neg_integer(),   % resident, and shared with nobody
                    held => non_neg_integer()}. % resident or swapped out, not of a file

%% How the kernel says that a process is stopped.
-define(STOPPED, [<<"\nState:\tT">>, <<"\nState:\tt">>]).

%% What the kernel says of its memory, in bytes. All of it is in one file, so the
%% numbers are of one moment and in kB, whatever the size of a page.
-spec memory(pos_integer() | undefined) -> memory().
memory(OsPid) ->
    Status = read(OsPid, "/status"),
    maps:from_list([{Key, Bytes} || {Key, Name} <- [{rss, <<"\nVmRSS:">>},
                                                    {peak, <<"\nVmHWM:">>},
                                                    {swap, <<"\nVmSwap:">>},
                                                    {address_space, <<"\nVmSize:">>},
                                                    {data, <<"\nVmData:">>}],
                                    Bytes <- bytes(Name, Status)]
                   ++ [{stopped, true} || binary:match(Status, ?STOPPED) =/= nomatch]).

%% Begins its peak anew: the most that is resident from now on. A process that is
%% gone has no peak. Not every kernel can do that, or allows it.
-spec reset_peak(pos_integer() | undefined) -> ok | {error, unsupported}.
reset_peak(undefined) ->
    {error, unsupported};
reset_peak(OsPid) ->
    Proc = "/proc/" ++ integer_to_list(OsPid),
    case prim_file:write_file(Proc ++ "/clear_refs", <<"5">>) of
        ok -> ok;
        {error, _} -> unless_gone(prim_file:read_file_info(Proc))
    end.

unless_gone({ok, _}) -> {error, unsupported};
unless_gone({error, _}) -> ok.

%% How much of its memory it shares. The kernel looks at every page for that, which
%% takes milliseconds in a large process.
-spec shares(pos_integer() | undefined) -> shares().
shares(OsPid) ->
    Rollup = read(OsPid, "/smaps_rollup"),
    Sums = [{pss, [<<"\nPss:">>]},
            {uss, [<<"\nPrivate_Clean:">>, <<"\nPrivate_Dirty:">>, <<"\nPrivate_Hugetlb:">>]},
            {held, [<<"\nAnonymous:">>, <<"\nPss_Shmem:">>, <<"\nSwap:">>]}],
    maps:from_list([{Key, lists:sum(Found)}
                    || {Key, Names} <- Sums,
                       Found <- [[Bytes || Name <- Names, Bytes <- bytes(Name, Rollup)]],
                       Found =/= []]).

%% The other processes of the groups that these processes lead, from one look at all
%% processes of the system.
-spec groups([pos_integer() | undefined]) -> #{pos_integer() => [pos_integer()]}.
groups(Leaders) ->
    Members = [{Group, OsPid} || OsPid <- processes_there(), Group <- group(OsPid),
                                 Group =/= OsPid, lists:member(Group, Leaders)],
    lists:foldl(fun({Group, OsPid}, Groups) ->
        maps:update_with(Group, fun(Others) -> [OsPid | Others] end, [OsPid], Groups)
    end, #{}, Members).

processes_there() ->
    case prim_file:list_dir("/proc") of
        {ok, Names} -> [list_to_integer(Name) || [Digit | _] = Name <- Names,
                                                 Digit >= $0, Digit =< $9];
        {error, _} -> []
    end.

%% After the name, which may contain anything, come state, parent and group. A process
%% whose end its parent has not yet heard of (a zombie) has no memory.
group(OsPid) ->
    case string:split(read(OsPid, "/stat"), ") ", trailing) of
        [_, <<State, " ", Rest/binary>>] when State =/= $Z, State =/= $X ->
            [_, Group] = string:split(Rest, " "),
            [number(Group)];
        _ ->
            []
    end.

%% Whether its address space or its data is limited, whoever has done that.
-spec is_limited(pos_integer() | undefined) -> boolean().
is_limited(OsPid) ->
    re:run(read(OsPid, "/limits"), "^Max (address space|data size) +\\d", [multiline]) =/= nomatch.

%% How many processes the kernel has killed for want of memory since it was
%% started; 0 if it does not say.
-spec oom_kills() -> non_neg_integer().
oom_kills() ->
    case re:run(read("/proc/vmstat"), "^oom_kill (\\d+)$",
                [multiline, {capture, all_but_first, binary}]) of
        {match, [N]} -> binary_to_integer(N);
        nomatch -> 0
    end.

read(undefined, _) ->
    <<>>;
read(OsPid, Name) ->
    read("/proc/" ++ integer_to_list(OsPid) ++ Name).

%% Not through the file server, which may be waiting for a slow disk; and at once,
%% because each step by itself (open, read, close) has to wake a thread of the VM.
%% From OTP 27 on, file:read_file/2 is the same.
read(Path) ->
    case prim_file:read_file(Path) of
        {ok, Text} -> Text;
        {error, _} -> <<>>
    end.

%% The number of the line "NAME   NUMBER kB", if there is such a line. It does not use
%% a regular expression because this is done for every worker.
bytes(Name, Text) ->
    case binary:match(Text, Name) of
        {At, Length} ->
            <<_:(At + Length)/binary, Rest/binary>> = Text,
            [1024 * number(Rest)];
        nomatch ->
            []
    end.

number(<<Blank, Rest/binary>>) when Blank =:= $\s; Blank =:= $\t -> number(Rest);
number(Digits) -> number(Digits, 0).

number(<<Digit, Rest/binary>>, N) when Digit >= $0, Digit =< $9 ->
    number(Rest, 10 * N + Digit - $0);
number(_, N) ->
    N.

%% ---------------------------------------------------------------------------
%% Input

%% Keeps the reading end of a program's input open in the VM as well, until the
%% calling process ends. Without it, a frame that is written just after the
%% program has died closes the port (EPIPE), and nobody learns how the program
%% ended. For the program nothing changes: its input ends when the writing end
%% is closed. Where there is no /proc, such a death is called `closed'.
-spec hold_input(pos_integer() | undefined) -> ok.
hold_input(undefined) ->
    ok;
hold_input(OsPid) ->
    Proc = "/proc/" ++ integer_to_list(OsPid),
    case file:list_dir(Proc ++ "/fd") of
        {ok, Fds} -> lists:foreach(fun(Fd) -> hold(Proc, Fd) end, Fds);
        {error, _} -> ok
    end.

hold(Proc, Fd) ->
    Path = Proc ++ "/fd/" ++ Fd,
    case is_pipe(Path) andalso is_read_only(Proc ++ "/fdinfo/" ++ Fd) of
        true -> _ = file:open(Path, [read, raw, binary]), ok;
        false -> ok
    end.

is_pipe(Path) ->
    case file:read_link(Path) of
        {ok, Target} -> lists:prefix("pipe:", Target);
        {error, _} -> false
    end.

%% The last octal digit of the flags is the access mode: 0 is O_RDONLY.
is_read_only(Path) ->
    case file:read_file(Path) of
        {ok, Info} -> re:run(Info, "^flags:\\s*[0-7]*0$", [multiline]) =/= nomatch;
        {error, _} -> false
    end.
