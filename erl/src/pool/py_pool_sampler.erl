%% SPDX-License-Identifier: Apache-2.0
%%
%% Looks at the memory of a pool's programs, every second, and tells the pool.
%% All of it comes from /proc: neither a worker nor its program is asked or woken,
%% so it is seen whatever Python does. A program's file stays open until it is
%% gone, which makes a look at it cost some microseconds.
-module(py_pool_sampler).
-behaviour(gen_server).

-export([start_link/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([sample/0]).

-include("py.hrl").

-define(PERIOD, 1_000).

%% What was seen of a live worker, in bytes.
-type sample() :: {Slot :: pos_integer(), Worker :: pid(), OsPid :: pos_integer(),
                   #{rss := non_neg_integer(), _ => _}}.

-record(state, {
    pool :: #pool{},
    files = #{} :: #{Worker :: pid() => py_os_rss:rss()}
}).

-spec start_link(#pool{}) -> gen_server:start_ret().
start_link(Pool) ->
    gen_server:start_link(?MODULE, Pool, []).

%% ---------------------------------------------------------------------------

-spec init(#pool{}) -> {ok, #state{}}.
init(Pool) ->
    {ok, arm(#state{pool = Pool})}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}}.
handle_call(_, _From, S) ->
    {reply, {error, badarg}, S}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_, S) ->
    {noreply, S}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({timeout, _, look}, S) ->
    {noreply, arm(look(S))};
handle_info(_, S) ->
    {noreply, S}.

arm(S) ->
    _ = erlang:start_timer(?PERIOD, self(), look),
    S.

%% ---------------------------------------------------------------------------
%% A round

look(#state{pool = Pool} = S) ->
    {Seen, Next} = lists:foldl(fun look_at/2, {#{}, S}, py_pool_board:programs(Pool)),
    tell_pool([{Slot, Worker, OsPid, #{rss => maps:get(Worker, Seen)}}
               || {Slot, Worker, OsPid} <- py_pool_board:workers(Pool),
                  is_map_key(Worker, Seen)], Next),
    close_others(Seen, Next).

look_at({_, Worker, OsPid} = Program, {Seen, #state{files = Files} = S}) ->
    case Files of
        #{Worker := File} -> read(py_os_rss:read(File), Program, {Seen, S});
        #{} -> opened(py_os_rss:open(OsPid), Program, {Seen, S})
    end.

opened({ok, File}, {_, Worker, _} = Program, {Seen, #state{files = Files} = S}) ->
    look_at(Program, {Seen, S#state{files = Files#{Worker => File}}});
opened(gone, Program, Round) ->
    read(gone, Program, Round).

read({ok, Rss}, {_, Worker, _}, {Seen, S}) ->
    {Seen#{Worker => Rss}, S};
read(gone, {_, Worker, _}, {_, #state{pool = Pool}} = Round) ->
    py_pool_board:forget_program(Pool, Worker),
    Round.

tell_pool([], _) ->
    ok;
tell_pool(Samples, #state{pool = Pool}) ->
    case py_pool_board:pool(Pool) of
        {ok, Pid} -> py_pool:sampled(Pid, Samples);
        {error, _} -> ok
    end.

%% Those of programs that are gone.
close_others(Seen, #state{files = Files} = S) ->
    maps:foreach(fun(_, File) -> py_os_rss:close(File) end, maps:without(maps:keys(Seen), Files)),
    S#state{files = maps:with(maps:keys(Seen), Files)}.
