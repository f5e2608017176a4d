%% SPDX-License-Identifier: Apache-2.0
%%
%% How much memory a pool's workers have together, and may have (py_pool_budget):
%% what the kernel says about them and about the place where they run.
-module(py_pool_usage).

-export([look/3]).

-include("py.hrl").

%% From samples of all programs. Shared pages are divided (PSS) only if it matters,
%% because that takes milliseconds for each program: the sum of their rss is never
%% less.
-spec look(py_pool_budget:limit() | none, [py_pool_sampler:sample()], #pool{}) ->
          py_pool_budget:seen().
look(none, _, _) ->
    #{used => 0, allowed => 1, workers => []};
look(Limit, Samples, Pool) ->
    Room = room(Samples, Pool),
    Rss = lists:sum([Bytes || {_, _, _, #{rss := Bytes}} <- Samples]),
    Seen = seen(Rss, Limit, Room, [{Sample, #{}} || Sample <- Samples], Pool),
    case py_pool_budget:is_below(Seen) of
        true -> Seen;
        false -> measure(Limit, Room, Samples, Pool)
    end.

%% Workers may be in other cgroups than the VM. If each has one of its own, those are
%% not limits of all of them together.
room(Samples, Pool) ->
    Who = who(Samples, Pool),
    {py_os_room:places(Who), py_os_room:stalled(Who)}.

who([], _) ->
    self;
who([{_, Worker, OsPid, _} | _], Pool) ->
    case py_pool_board:limits(Pool, Worker) of
        #{cgroup := _} -> {child, OsPid};
        #{} -> {member, OsPid}
    end.

measure(Limit, Room, Samples, Pool) ->
    Shares = [{Sample, py_os_proc:shares(element(3, Sample))} || Sample <- Samples],
    seen(lists:sum([pss(Share) || Share <- Shares]), Limit, Room, Shares, Pool).

pss({_, #{pss := Bytes}}) -> Bytes;
pss({{_, _, _, #{rss := Bytes}}, _}) -> Bytes.

seen(Used, Limit, {Places, Stalled}, Shares, Pool) ->
    Live = py_pool_board:workers(Pool),
    #{used => Used,
      allowed => py_pool_budget:allowed(Limit, Places, Stalled, Used),
      workers => [#{worker => {Slot, Worker, OsPid}, uss => uss(Share),
                    idle => not py_pool_load:has_work(Pool, Slot)}
                  || {{Slot, Worker, OsPid, _}, _} = Share <- Shares,
                     lists:member({Slot, Worker, OsPid}, Live)]}.

uss({_, #{uss := Bytes}}) -> Bytes;
uss({{_, _, _, #{rss := Bytes}}, _}) -> Bytes.
