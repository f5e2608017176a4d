%% SPDX-License-Identifier: Apache-2.0
%%
%% Keeps the reading end of a program's input open in the VM as well. Without
%% it, a frame that is written just after the program has died closes the port
%% (EPIPE), and how the program ended is never learnt. It changes nothing for
%% the program: its input ends when the writing end is closed.
%%
%% Only where there is a /proc; elsewhere such a death is called `closed'.
-module(py_os_input).

-export([hold/1]).

%% Opens the pipes that the program reads from. They are closed with the
%% calling process.
-spec hold(pos_integer() | undefined) -> ok.
hold(undefined) ->
    ok;
hold(OsPid) ->
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
