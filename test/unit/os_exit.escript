#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_os_exit: how a program ended, from its exit status.
-mode(compile).

main(_) ->
    tap:run([
        table:rows("reason", fun py_os_exit:reason/1, reasons()),
        table:rows("start_failure", fun(Status) -> says(py_os_exit:start_failure(Status)) end,
                   failures())
    ]).

%% Statuses above 128 are signals, of which there are 64.
reasons() ->
    [{"a status", [3], {status, 3}},
     {"success", [0], {status, 0}},
     {"128, which is no signal", [128], {status, 128}},
     {"the first signal", [129], {signal, sighup}},
     {"SIGKILL", [128 + 9], {signal, sigkill}},
     {"SIGSEGV", [128 + 11], {signal, sigsegv}},
     {"SIGTERM", [128 + 15], {signal, sigterm}},
     {"a signal that has no name here", [128 + 33], {signal, 33}},
     {"the last signal", [128 + 64], {signal, 64}},
     {"what is above the last signal", [128 + 65], {status, 193}},
     {"the last status", [255], {status, 255}}].

failures() ->
    [{"a command line", [64], <<"it did not understand its command line">>},
     {"Python", [70], <<"Python could not start (its error output says why)">>},
     {"a file that cannot be run", [126], <<"it is not executable">>},
     {"a library that is missing", [127],
      <<"a shared library is missing (its error output says which)">>},
     {"any other status", [3], <<"exit status 3">>},
     {"a signal", [137], <<"signal sigkill">>}].

says(<<"the program ended: ", Why/binary>>) -> Why.
