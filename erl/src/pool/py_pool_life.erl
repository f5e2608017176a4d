%% SPDX-License-Identifier: Apache-2.0
%%
%% A pool's start and end. They run in processes of py_pools, one at a time for
%% each name, and take orders from it on the way ({py_pools, hurry, Deadline}).
%% They put right what an earlier one has left behind because it was killed.
%% A pool of the caller's own (start_linked/2) is started in the caller's process.
-module(py_pool_life).

-export([start/2, start_linked/2, options/1, stop/2, drain_all/0, leftovers/0]).

-include("py.hrl").

%% ---------------------------------------------------------------------------
%% Start

%% Returns when every worker is ready. After an error nothing of the pool is
%% left, unless somebody wants it stopped, who then does that.
-spec start(atom(), py_pool_options:hidden()) -> {ok, pid()} | {error, term()}.
start(Name, Options) ->
    case py_pool_board:supervisor(Name) of
        {linked, Sup} -> {error, {already_started, Sup}};
        _ -> start_own(Name, Options)
    end.

start_own(Name, Options) ->
    Spec = #{id => {pool, Name}, type => supervisor,
             start => {py_pool_sup, start_link, [own, Name, Options]}},
    case supervisor:start_child(py_sup, Spec) of
        {ok, Sup} -> await(Name, Sup);
        {error, already_present} -> remove(Name), start_own(Name, Options);
        {error, {already_started, _}} = Error -> Error;
        {error, _} = Error -> remove(Name), Error
    end.

%% What a pool was started with, from its supervisor, whoever started that.
-spec options(atom()) ->
          {ok, py_pool_options:hidden()} | {error, {no_pool | stopping | not_started, atom()}}.
options(Name) ->
    py_pool_board:with_open(Name, fun(Pool) ->
        case py_pool_board:supervisor(Name) of
            {_, Sup} -> py_pool_sup:options(Sup, Pool);
            none -> py_pool_board:refusal(Pool)
        end
    end).

await(Name, Sup) ->
    case py_pool_board:with_pool(Name, fun ready/1) of
        ok -> {ok, Sup};
        hurry -> {error, {no_pool, Name}};
        {error, _} = Error -> remove(Name), Error
    end.

ready(Pool) ->
    case py_pool:await(Pool) of
        {ok, Request} -> ready(Pool, Request);
        {error, _} = Error -> Error
    end.

ready(#pool{name = Name} = Pool, Request) ->
    receive
        {py_pools, hurry, _} ->
            hurry;
        Message ->
            case gen_server:check_response(Message, Request) of
                {reply, Answer} -> Answer;
                {error, _} -> {error, {no_pool, Name}};
                no_reply -> ready(Pool, Request)
            end
    end.

%% The same for a pool that is linked to the calling process. `ignore': the name
%% was not given. After an error nothing of the pool is left.
-spec start_linked(atom(), py_pool_options:hidden()) -> {ok, pid()} | ignore | {error, term()}.
start_linked(Name, Options) ->
    case py_pool_sup:start_link(linked, Name, Options) of
        {ok, Sup} -> await_linked(Name, Sup);
        NotStarted -> NotStarted
    end.

%% Messages to the caller, who may be a supervisor, stay where they are.
await_linked(Name, Sup) ->
    case py_pool_board:with_pool(Name, fun await_answer/1) of
        ok -> {ok, Sup};
        {error, _} = Error -> end_linked(Sup, shutdown), Error
    end.

await_answer(#pool{name = Name} = Pool) ->
    case py_pool:await(Pool) of
        {ok, Request} -> answer(gen_server:receive_response(Request, infinity), Name);
        {error, _} = Error -> Error
    end.

answer({reply, Answer}, _) -> Answer;
answer({error, _}, Name) -> {error, {no_pool, Name}}.

%% Whoever started the pool learns of it by the link, unless it is the calling process.
end_linked(Sup, Reason) ->
    unlink(Sup),
    receive {'EXIT', Sup, _} -> ok after 0 -> ok end,
    try
        proc_lib:stop(Sup, Reason, infinity)
    catch
        exit:_ -> ok
    end.

%% ---------------------------------------------------------------------------
%% End

%% New requests are refused at once; those under way have this many milliseconds,
%% or as many as the pool's option says.
-spec stop(atom(), timeout() | drain) -> ok | {error, {no_pool | not_started, atom()}}.
stop(Name, Limit) ->
    Supervisor = py_pool_board:supervisor(Name),
    Stopped = py_pool_board:with_pool(Name, fun(Pool) ->
        py_pool_drain:run(Pool, limit(Limit, Pool)),
        py_pool_board:delete(Name)
    end),
    stop_linked(Supervisor, normal),
    remove(Name),
    Stopped.

%% Processes that are linked to it do not end with it, but a supervisor may restart it.
stop_linked({linked, Sup}, Reason) -> end_linked(Sup, Reason);
stop_linked(_, _) -> ok.

limit(drain, #pool{drain = Limit}) -> Limit;
limit(Limit, _) -> Limit.

%% The pool's supervisor waits for the ends of the workers, so that the top
%% supervisor does not have to. If it is killed meanwhile and restarted, the pool is
%% there once more, and ends once more.
remove(Name) ->
    Id = {pool, Name},
    case lists:keyfind(Id, 1, supervisor:which_children(py_sup)) of
        {_, Sup, _, _} when is_pid(Sup) -> py_pool_sup:stop_children(Sup);
        _ -> ok
    end,
    _ = supervisor:terminate_child(py_sup, Id),
    _ = supervisor:delete_child(py_sup, Id),
    py_pool_board:delete(Name),
    py_pool_kept:forget(Name).

%% The application stops: every pool has its own limit, and ends its workers,
%% all at the same time. (The top supervisor would do it one after another.)
-spec drain_all() -> ok.
drain_all() ->
    Drains = [spawn_monitor(fun() -> drain_and_end(Pool, py_pool_board:supervisor(Name)) end)
              || Name <- py_pool_board:names(), {ok, Pool} <- [py_pool_board:find(Name)]],
    [receive {'DOWN', Monitor, process, Pid, _} -> ok end || {Pid, Monitor} <- Drains],
    ok.

drain_and_end(#pool{drain = Limit} = Pool, Supervisor) ->
    py_pool_drain:run(Pool, Limit),
    case Supervisor of
        {own, Sup} -> py_pool_sup:stop_children(Sup);
        Other -> stop_linked(Other, shutdown)
    end.

%% Pools whose end was interrupted, or was seen by nobody.
-spec leftovers() -> [atom()].
leftovers() ->
    Own = pools(),
    [Name || {Name, Sup} <- Own, not is_pid(Sup) orelse is_stopping(Name)]
        ++ [Name || Name <- py_pool_board:names(), not lists:keymember(Name, 1, Own),
                    py_pool_board:supervisor(Name) =:= none].

is_stopping(Name) ->
    py_pool_board:with_pool(Name, fun py_pool_load:is_stopping/1) =/= false.

pools() ->
    [{Name, Sup} || {{pool, Name}, Sup, _, _} <- supervisor:which_children(py_sup)].
