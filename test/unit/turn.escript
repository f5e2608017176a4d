#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_turn: which of the jobs that were sent the program may have started.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").
-include("../../erl/include/py_worker_jobs.hrl").

main(_) ->
    tap:run([{Name, fun() -> sent(Kinds, Started, Run) end} || {Name, Kinds, Started, Run} <- rows()]
            ++ [{"answered: " ++ Name, fun() -> answered(Kinds, Started) end}
                || {Name, Kinds, Started} <- answers()]).

%% {Name, what is sent, which of them may have started, which may be running}
rows() ->
    [{"nothing", [], [], []},
     {"the first job", [job, job, job], [1], [1]},
     {"a stream, and nothing else", [stream], [1], [1]},
     {"a stream before a job", [stream, job, job], [1, 2], [2]},
     {"a stream behind a job", [job, stream], [1], [1]},
     {"streams", [stream, stream], [1, 2], [1, 2]},
     {"one that says so itself", [threaded, job], [], []},
     {"one that says so itself, behind a stream", [stream, threaded, job], [1], [1]},
     {"a stream that says so itself", [threaded_stream, stream, job], [], []}].

%% {Name, what was sent, which may have started when the first is answered}
answers() ->
    [{"the next one", [job, job, job], [2]},
     {"a stream, and the job behind it", [job, stream, job, job], [2, 3]},
     {"the last one", [job], []},
     {"one that says so itself", [job, threaded, job], []},
     {"a stream that says so itself", [job, threaded_stream, job], []},
     {"a stream that said so itself", [threaded_stream, stream, job, job], [2, 3]}].

jobs(Kinds) ->
    lists:foldl(fun({Id, Kind}, {Sent, Behind}) -> py_turn:add(job(Id, Kind), Sent, Behind) end,
                {[], []}, lists:enumerate(Kinds)).

job(Id, job) -> #job{id = Id, deadline = infinity, req = req(job)};
job(Id, threaded) -> #job{id = Id, deadline = infinity, req = (req(job))#req{threaded = true}};
job(Id, threaded_stream) -> #job{id = Id, deadline = infinity, req = (req({stream, 10}))#req{threaded = true}};
job(Id, stream) -> #job{id = Id, deadline = infinity, req = req({stream, 10})}.

req(Kind) ->
    #req{reply_to = 1, caller = self(), kind = Kind, arrival = 0, deadline = infinity, arity = 2,
         size = 1, body = <<"body">>}.

sent(Kinds, Started, Run) ->
    {Sent, Behind} = jobs(Kinds),
    All = Sent ++ lists:reverse(Behind),
    ?assertEqual(lists:seq(1, length(Kinds)), [Id || #job{id = Id} <- All]),
    ?assertEqual(Started, [Id || #job{id = Id} = Job <- All, py_turn:has_started(Job)]),
    ?assertEqual(Run, [Id || #job{id = Id} <- py_turn:may_run(All)]),
    ?assertEqual(All, py_turn:may_start(All)).

answered(Kinds, Started) ->
    {[_ | Rest], Behind} = jobs(Kinds),
    {Sent, Left} = py_turn:advance(Rest, Behind),
    ?assertEqual(Started, [Id || #job{id = Id} = Job <- Sent ++ lists:reverse(Left), py_turn:has_started(Job)]).
