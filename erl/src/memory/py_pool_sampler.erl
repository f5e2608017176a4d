%% SPDX-License-Identifier: Apache-2.0
%%
%% Looks at the memory of a pool's programs: every second, and every 100 ms at
%% those that have more than half of a limit. It tells the pool what it has seen,
%% kills what is above a limit (py_pool_limit), and sees to it that all together
%% stay within their budget (py_pool_budget).
%%
%% All of it comes from /proc: neither a worker nor its program is asked or woken,
%% so it is seen whatever Python does. A program's file stays open until it is
%% gone, which makes a look at it cost some microseconds.
-module(py_pool_sampler).
-behaviour(gen_server).

-export([start_link/1, histories/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export_type([sample/0]).

-include("py.hrl").

-define(PERIOD, 1_000).
-define(NEAR_PERIOD, 100).
%% How long it may take to answer (ms).
-define(CALL_LIMIT, 5_000).
%% Looks at the budget take at most one part in this many of the time.
-define(BUDGET_SHARE, 10).

%% What was seen of a worker, in bytes.
-type sample() :: {Slot :: pos_integer(), Worker :: pid(), OsPid :: pos_integer(),
                   #{rss := non_neg_integer(), _ => _}}.

-record(state, {
    pool :: #pool{},
    files = #{} :: #{Worker :: pid() => py_os_rss:rss()},
    histories = #{} :: #{Worker :: pid() => py_pool_history:history()},
    groups = #{} :: py_os_group:groups(),   % as they were a second ago at most
    near = [] :: [pid()],                   % the workers that are near a limit
    all_at :: integer(),                    % when all are looked at again (ms)
    budget = py_pool_budget:new() :: py_pool_budget:budget(),
    budget_at :: integer(),                 % when that may be looked at again
    relief = none :: none | reference()     % the monitor of one that is under way
}).

-spec start_link(#pool{}) -> gen_server:start_ret().
start_link(Pool) ->
    gen_server:start_link(?MODULE, Pool, []).

%% What was seen of these workers so far.
-spec histories(#pool{}, [pid()]) ->
          {ok, #{pid() => [py_pool_history:sample()]}} | {error, term()}.
histories(Pool, Workers) ->
    py_pool_board:call(py_pool_board:sampler(Pool), Pool, {histories, Workers}, ?CALL_LIMIT).

%% ---------------------------------------------------------------------------

-spec init(#pool{}) -> {ok, #state{}}.
init(Pool) ->
    process_flag(trap_exit, true),
    py_pool_board:set_process(Pool, sampler, self()),
    py_pool_relief:clear(Pool),
    Now = py_time:now_ms(),
    {ok, arm(#state{pool = Pool, all_at = Now, budget_at = Now})}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call({histories, Workers}, _From, #state{histories = Histories} = S) ->
    Samples = maps:map(fun(_, History) -> py_pool_history:samples(History) end,
                       maps:with(Workers, Histories)),
    {reply, {ok, Samples}, S};
handle_call(_, _From, S) ->
    {reply, {error, badarg}, S}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({timeout, _, look}, S) ->
    {noreply, arm(look(py_time:now_ms(), S))};
handle_info({'DOWN', Monitor, process, _, _}, #state{relief = Monitor, budget = Budget} = S) ->
    {noreply, S#state{relief = none, budget = py_pool_budget:relieved(Budget)}};
handle_info(_, S) ->
    {noreply, S}.

%% No alarm outlives its pool.
-spec terminate(term(), #state{}) -> ok.
terminate(_, #state{pool = Pool}) ->
    py_pool_relief:clear(Pool).

arm(#state{near = Near, all_at = AllAt} = S) ->
    At = case Near of
             [] -> AllAt;
             _ -> min(AllAt, py_time:now_ms() + ?NEAR_PERIOD)
         end,
    _ = erlang:start_timer(At, self(), look, [{abs, true}]),
    S.

%% ---------------------------------------------------------------------------
%% A round

look(Now, #state{pool = Pool, all_at = AllAt} = S) when Now >= AllAt ->
    Programs = py_pool_board:programs(Pool),
    Workers = [Worker || {_, Worker, _} <- Programs],
    Limits = [py_pool_board:limits(Pool, Worker) || Worker <- Workers],
    Kept = keep_files(Workers, S#state{groups = groups(Limits)}),
    {Samples, Next} = look_at(Programs, Kept#state{all_at = Now + ?PERIOD}),
    budget(py_pool_limit:budget(Limits), Now, Samples, remember(Now, Samples, Next));
look(_, #state{pool = Pool, near = Near} = S) ->
    {_, Next} = look_at([Program || {_, Worker, _} = Program <- py_pool_board:programs(Pool),
                                    lists:member(Worker, Near)], S),
    Next.

%% Closes the files of programs that are gone.
keep_files(Workers, #state{files = Files} = S) ->
    maps:foreach(fun(_, File) -> py_os_rss:close(File) end, maps:without(Workers, Files)),
    S#state{files = maps:with(Workers, Files)}.

%% Of those that are still there.
remember(Now, Samples, #state{histories = Before} = S) ->
    S#state{histories = maps:from_list(
        [{Worker, py_pool_history:add(Now, Rss, maps:get(Worker, Before, py_pool_history:new()))}
         || {_, Worker, _, #{rss := Rss}} <- Samples])}.

groups(Limits) ->
    case lists:any(fun py_pool_limit:counts_children/1, Limits) of
        true -> py_os_group:all();
        false -> #{}
    end.

look_at(Programs, #state{pool = Pool} = S) ->
    {Samples, Next} = lists:foldl(fun sample/2, {[], S#state{near = []}}, Programs),
    Live = maps:from_list([{Worker, live} || {_, Worker, _} <- py_pool_board:workers(Pool)]),
    tell_pool([Sample || {_, Worker, _, _} = Sample <- lists:sort(Samples),
                         is_map_key(Worker, Live)], Next),
    {Samples, lists:foldl(fun judge/2, Next, Samples)}.

tell_pool([], _) ->
    ok;
tell_pool(Samples, #state{pool = Pool}) ->
    case py_pool_board:pool(Pool) of
        {ok, Pid} -> py_pool:heard(Pid, {sampled, Samples});
        {error, _} -> ok
    end.

%% ---------------------------------------------------------------------------
%% A look at a program

sample({Slot, Worker, OsPid} = Program, {Samples, S}) ->
    {File, Opened} = file(Program, S),
    case read(File) of
        {ok, Rss} -> {[{Slot, Worker, OsPid, with_group(OsPid, Rss, S)} | Samples], Opened};
        gone -> {Samples, Opened}
    end.

file({_, Worker, OsPid}, #state{files = Files} = S) ->
    case Files of
        #{Worker := File} -> {File, S};
        #{} -> opened(py_os_rss:open(OsPid), Worker, S)
    end.

opened({ok, File}, Worker, #state{files = Files} = S) ->
    {File, S#state{files = Files#{Worker => File}}};
opened(gone, Worker, #state{pool = Pool} = S) ->
    py_pool_board:forget_program(Pool, Worker),
    {gone, S}.

read(gone) -> gone;
read(File) -> py_os_rss:read(File).

with_group(OsPid, Rss, #state{groups = Groups}) ->
    case Groups of
        #{OsPid := Members} ->
            #{rss => Rss, group_rss => Rss + py_os_group:rss(lists:delete(OsPid, Members))};
        #{} ->
            #{rss => Rss}
    end.

%% ---------------------------------------------------------------------------
%% Its limits

judge({_, Worker, OsPid, Sample} = Seen, #state{pool = Pool, near = Near} = S) ->
    case py_pool_limit:judge(Sample, py_pool_board:limits(Pool, Worker)) of
        far ->
            S;
        near ->
            S#state{near = [Worker | Near]};
        measure ->
            Group = py_os_group:pss(maps:get(OsPid, S#state.groups)),
            judge(setelement(4, Seen, Sample#{group => Group}), S);
        {over, Excess} ->
            kill(Worker, OsPid, Excess),
            S
    end.

%% The worker first learns why its program will be gone. Killing takes a process of
%% its own, for which nobody waits. If it fails, the next look tries again.
kill(Worker, OsPid, Excess) ->
    py_worker:exceeded(Worker, Excess),
    _ = spawn(fun() -> py_os_port:kill(OsPid) end),
    ok.

%% ---------------------------------------------------------------------------
%% Their budget

budget(Limit, Now, Samples, #state{pool = Pool, budget_at = At} = S) when Now >= At ->
    Seen = py_pool_usage:look(Limit, Samples, Pool),
    {Effects, Budget} = py_pool_budget:observe(Seen, S#state.budget),
    Took = py_time:now_ms() - Now,
    lists:foldl(fun(Effect, Acc) -> carry_out(Effect, Seen, Acc) end,
                S#state{budget = Budget, budget_at = Now + ?BUDGET_SHARE * Took}, Effects);
budget(_, _, _, S) ->
    S.

carry_out(Effect, Seen, #state{pool = Pool} = S) ->
    case py_pool_relief:carry_out(Effect, Seen, Pool) of
        {relieving, Monitor} -> S#state{relief = Monitor};
        ok -> S
    end.
