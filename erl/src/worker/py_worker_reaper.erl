%% SPDX-License-Identifier: Apache-2.0
%%
%% What the rungs of the ladder do to a program (py_worker_ladder), in a process
%% of its own: the worker waits for nobody, not even for a handler of the logger.
-module(py_worker_reaper).

-export([interrupted/1, reap/2]).

-include_lib("kernel/include/logger.hrl").

%% The program was interrupted: the log says so.
-spec interrupted(logger:metadata()) -> ok.
interrupted(About) ->
    _ = spawn(fun() -> log(interrupt, About) end),
    ok.

%% The program's port was closed: it has some time to end, then it is killed
%% with all that it started.
-spec reap(logger:metadata(), Grace :: non_neg_integer()) -> ok.
reap(About, Grace) ->
    _ = spawn(fun() -> await_end(About, Grace) end),
    ok.

await_end(#{os_pid := OsPid} = About, Grace) ->
    log(close, About),
    case py_os_port:wait_gone(OsPid, Grace) of
        gone ->
            ok;
        running ->
            log(kill, About),
            py_os_port:kill(OsPid)
    end.

log(Rung, #{pool := Pool, worker := Slot, os_pid := OsPid} = About) ->
    ?LOG_INFO("worker ~p of pool ~tp (os pid ~p) does not stop in time: ~p",
              [Slot, Pool, OsPid, Rung], About#{step => Rung}).
