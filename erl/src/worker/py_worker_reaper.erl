%% SPDX-License-Identifier: Apache-2.0
%%
%% What others than its worker do to a program: on the rungs of the ladder
%% (py_worker_ladder), because the worker waits for nobody, not even for a handler of
%% the logger; and after its worker was killed.
-module(py_worker_reaper).

-export([guard/3, interrupted/1, reap/2, crashed/2, full/3]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

%% Watches the calling worker. If that is killed, it cannot end its program: the
%% program then has Grace milliseconds before it is killed with all that it started.
%% Finally its control group is removed, if it has one.
-spec guard(pos_integer() | undefined, Grace :: non_neg_integer(), py_os_limit:limits()) -> ok.
guard(OsPid, Grace, Limits) ->
    Worker = self(),
    _ = spawn(fun() -> watch(Worker, OsPid, Grace, Limits) end),
    ok.

%% An application that has stopped kills the processes that have its group leader.
watch(Worker, OsPid, Grace, Limits) ->
    group_leader(whereis(init), self()),
    Monitor = monitor(process, Worker),
    receive
        {'DOWN', Monitor, process, Worker, _} ->
            py_os_port:wait_gone(OsPid, Grace) =:= running andalso py_os_port:kill(OsPid),
            py_os_cgroup:remove(Limits)
    end.

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

%% The program was ending, and has crashed meanwhile.
-spec crashed(logger:metadata(), term()) -> ok.
crashed(#{pool := Pool, worker := Slot, os_pid := OsPid} = About, Why) ->
    _ = spawn(fun() ->
            ?LOG_WARNING("worker ~p of pool ~tp (os pid ~p) crashed at its end: ~tp",
                         [Slot, Pool, OsPid, Why], About)
        end),
    ok.

%% The program's heap was nearly full before it had a call. The log says so once.
-spec full(#pool{}, pos_integer(), pos_integer() | undefined) -> ok.
full(#pool{name = Name} = Pool, Slot, OsPid) ->
    About = py_talk_log:metadata(Pool, Slot, OsPid),
    _ = py_pool_board:is_first(Pool, full) andalso spawn(fun() ->
            ?LOG_WARNING("pool ~tp: a worker that is ready has nine tenths of what memory => "
                         "#{heap => Bytes} allows in use. No worker is recycled for that",
                         [Name], About)
        end),
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
