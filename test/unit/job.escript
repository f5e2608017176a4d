#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_job: whose time is up, and whose is put off because others were before it.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").
-include("../../erl/include/py_worker_jobs.hrl").

main(_) ->
    tap:run([{Name, fun() -> expire(Req, State, Left, Expected) end} || {Name, Req, State, Left, Expected} <- cases()]).

%% All were made at 0 and have 5 ms; it is 7.
req(Changes) ->
    lists:foldl(fun({what, What}, R) -> R#req{what = What}; (own, R) -> R#req{reply_to = undefined} end,
                #req{reply_to = make_ref(), caller = self(), kind = job, arrival = 0, deadline = 5, arity = 2,
                     size = 0, body = []}, Changes).

%% Whether it is late, its deadline then, and what is done: it is answered, it is cancelled.
cases() ->
    Call = req([]), Message = req([{what, message}]), Own = req([own]),
    [{"a call that waits", Call, waiting, false, {true, 5, [answer, send]}},
     {"a call that was sent", Call, sent, false, {true, 5, [answer, send]}},
     {"a call that has started", Call, {started, main}, false, {true, 5, [answer]}},
     {"a call that nobody waits for any more", Call, sent, true, {false, 5, []}},
     {"a message that waits", Message, waiting, false, {false, 12, []}},
     {"a message that was sent", Message, sent, false, {false, 12, []}},
     {"a message that a handler has", Message, {started, main}, false, {true, 5, [answer]}},
     {"the worker's own that waits", Own, waiting, true, {false, 12, []}},
     {"the worker's own that was sent", Own, sent, true, {false, 12, []}},
     {"the worker's own that has started", Own, {started, main}, true, {false, 5, []}}].

expire(Req, State, Left, Expected) ->
    Job = #job{id = 1, req = Req, state = State, deadline = 5, left = Left},
    ?assertEqual({Job, []}, py_job:expire(4, Job, [])),
    ?assertEqual(false, py_job:is_late(4, Job)),
    {#job{deadline = Deadline}, Effects} = py_job:expire(7, Job, []),
    ?assertEqual(Expected, {py_job:is_late(7, Job), Deadline, [element(1, Effect) || Effect <- Effects]}).
