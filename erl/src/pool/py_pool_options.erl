%% SPDX-License-Identifier: Apache-2.0
%%
%% A pool's options, given to py:start_pool/2 or in the application's
%% environment: checked, and completed by their defaults. Pure.
-module(py_pool_options).

-export([table/0, check/1, limits/1, environment/1, state_limits/1, hide/1, describe/1]).
-export_type([pool/0, memory_limits/0, recycle_limits/0, profile_options/0, hidden/0]).

-include("py.hrl").
-include("py_protocol.hrl").

-define(MOST_WORKERS, 10_000).
%% What a worker grows by until it is trimmed, even if it is never idle.
-define(GROWTH, 50_000_000).
%% The program itself can do with less, but a pool could not start: hello takes
%% two to three kilobytes (the names of all exceptions), and the longest line of a
%% log, 8,192 characters of at most four bytes, takes 33.
-define(LEAST_POOL_MAX_FRAME, 65_536).

%% What a pool's map may have. README's table is made of it (py_option).
-spec table() -> [py_option:row()].
table() ->
    start() ++ calls() ++ care() ++ talk() ++ ends().

start() ->
    [{size, {integer, 1, ?MOST_WORKERS},
      {erlang:system_info(schedulers_online), "schedulers online"},
      "workers"},
     {python_path, directories, [],
      "directories to put at the front of `sys.path`; they have to exist. Here and in `venv` and `cwd` "
      "a relative path starts from the VM's directory"},
     {venv, directory, {undefined, "none"},
      "a virtual environment's directory"},
     {env, environment, [],
      "environment variables in addition to the VM's; `false` as the value removes one, and `clear` at "
      "the head of the list removes all of the VM's"},
     {cwd, directory, {undefined, "the VM's"},
      "working directory"},
     {init_once, code, {[], "none"},
      "statements that one worker runs before all others start and before `init`, once until the pool "
      "is stopped: a download, a cache, a table"},
     {init, code, {[], "none"},
      "statements that each new worker runs before it is used"},
     {start_timeout, time, 60_000,
      "how long each step of a worker's start may take: Python's start, each piece of `init`, "
      "each `exec_all` that it repeats. A pool that imports large models needs more"}].

calls() ->
    [{timeout, timeout, 30_000,
      "how long a call may take unless it says otherwise"},
     {max_queue, {integer, 0, infinity}, 10_000,
      "calls that may wait for a worker"},
     {queue_timeout, timeout, infinity,
      "how long each of them may wait"},
     {contexts, {limit, 1}, infinity,
      "[contexts](docs/contexts.md) that a worker may have"},
     {handles, {limit, 1}, infinity,
      "objects of a worker that may have [a handle](docs/handles.md)"},
     {concurrency, {integer, 1, ?WAITING_MAX}, 100,
      "[coroutines](docs/asyncio.md) that a worker awaits at a time"},
     {loop, {one_of, [asyncio, uvloop]}, asyncio,
      "whose [loop](docs/asyncio.md#the-loop) awaits them; without `uvloop` in Python, a pool with `uvloop` does not start"},
     {threads, {integer, 1, ?MOST_THREADS}, 1,
      "[threads](docs/threads.md) on which a worker runs calls beside each other"},
     {max_frame, {integer, ?LEAST_POOL_MAX_FRAME, ?FRAME_LIMIT}, ?DEFAULT_MAX_FRAME,
      "bytes of one request or reply"}].

care() ->
    [{memory, {map, memory_limits, memory()}, {#{}, "no limits"},
      "limits of each worker's memory"},
     {recycle, {map, recycle_limits, recycle()}, {#{}, "never"},
      "when a worker is [replaced](docs/recycling.md) by a fresh one"},
     {quarantine, {limit, 1}, infinity,
      "how many workers a function may cost by using up their memory before it is "
      "[refused](docs/recycling.md#quarantine)"},
     {bill, boolean, false,
      "whether [what calls cost](docs/memory.md#what-calls-cost) is summed up by function, for "
      "`py_mem:top`; with `true`, Python's heap is counted, too, as with `account`"},
     {trim, trims, [idle, {after_growth, ?GROWTH}],
      "when a worker gives back [what it has free](docs/memory.md#giving-memory-back)"},
     {profile, {switch, profile_options, profile()}, false,
      "whether samples say [which code has the memory](docs/profile.md)"}].

talk() ->
    [{logs, boolean, true,
      "whether what Python prints and logs goes to Erlang's logger"},
     {guard, {one_of, [auto, python, kernel, off]}, auto,
      "what keeps Python from signalling the VM"},
     {send, names, pids,
      "where `erlang.send` may send to: only to `pids`, also to these names, or to `all` names"},
     {send_limit, {limit, 1}, 10_000,
      "how many messages may be in a receiver's queue before `erlang.send` waits"},
     {functions, functions, registered,
      "what Python may [call](docs/python.md#calling-erlang): what is `registered`, or only these "
      "`{Module, Function}`"},
     {state, {one_of, [none, read, write]}, none,
      "whether Python may use [the state that workers share](docs/python.md#shared-state)"}].

ends() ->
    [{interrupt_grace, time, 500,
      "how long a call that is out of time has to stop once it has been interrupted"},
     {close_grace, time, 1_000,
      "how long its program then has to end before it is killed"},
     {drain, time, 1_000,
      "how long calls and streams under way have when the pool stops or a worker is replaced"}].

%% What `memory' may have: README has a table of it, too.
memory() ->
    [{heap, {limit, ?LEAST_HEAP},
      "bytes that Python's own allocators may have in use: more is a `MemoryError`"},
     {account, boolean,
      "whether these bytes are counted where they are not limited"},
     {address_space, {limit, 1},
      "bytes of address space (`RLIMIT_AS`): more is a `MemoryError`"},
     {data, {limit, 1},
      "bytes of data, without mapped files (`RLIMIT_DATA`): more is a `MemoryError`"},
     {files, {limit, 1},
      "open descriptors (`RLIMIT_NOFILE`)"},
     {core, {limit, 0},
      "bytes of a core dump (`RLIMIT_CORE`)"},
     {cgroup, directory,
      "a delegated directory of cgroup2 without processes, in which each worker gets a control group "
      "of its own"},
     {cgroup_max, {limit, 1},
      "bytes of that group (`memory.max`); with more the kernel ends the worker"},
     {cgroup_high, {limit, 1},
      "bytes above which the kernel slows it down and reclaims (`memory.high`)"},
     {cgroup_pids, {limit, 1},
      "its processes and threads (`pids.max`)"},
     {oom_score_adj, {integer, -1000, 1000},
      "how much sooner than others the kernel takes a worker when memory runs out; the default, 1000, "
      "makes it take each worker before the VM. Less than the VM's own needs privileges"},
     {rss, {limit, 1},
      "bytes that a worker may have in memory; it is killed when it has more"},
     {group, {limit, 1},
      "the same for a worker together with the processes that it has started, shared pages divided "
      "(PSS)"},
     {budget, share,
      "bytes that all workers of the pool may have together, or a part of what the machine and the "
      "cgroups allow; when they have more, memory is given back, then new calls are refused"}].

%% What `recycle' may have.
recycle() ->
    [{rss, {integer, 1, infinity},
      "bytes in memory; free memory is given back first, and that may be enough"},
     {growth, {integer, 1, infinity},
      "the same, above what the worker had when it was ready"},
     {calls, {integer, 1, infinity},
      "calls; the worker takes no more than that. With 1 each call gets a fresh Python"},
     {age, {integer, 1, ?LONGEST},
      "milliseconds since it was ready; a worker that is replaced before that waits until then for its "
      "open streams and bound processes"},
     {idle, {integer, 1, ?LONGEST},
      "milliseconds without a call, once it has had one"},
     {memory_errors, {integer, 1, infinity},
      "calls that have failed with `MemoryError`; the default is 1 where there is a limit that Python "
      "can run into (`heap`, `address_space`, `data`), whoever has set it"},
     {jitter, {integer, 0, 100},
      "the highest percentage by which `calls`, `age` and `idle` are lowered, at random for each "
      "worker; the default is 10"},
     {min_calls, {integer, 0, infinity},
      "how many calls a worker has to answer before `rss`, `growth`, `age` and `idle` are looked at"}].

%% What `profile' may have.
profile() ->
    [{rate, {integer, ?LEAST_PROFILE_RATE, ?MOST_PROFILE_RATE},
      "a sample is taken every `rate` bytes on average; the default is 524288"},
     {samples, {integer, ?LEAST_PROFILE_SAMPLES, ?MOST_PROFILE_SAMPLES},
      "how many samples are kept; when there are more, `rate` doubles and half of them are dropped; "
      "the default is 4096"},
     {per_second, {integer, 1, ?MOST_PROFILE_PER_SECOND},
      "how many new samples a second there may be before `rate` doubles for some time; the default is "
      "1000"}].

%% Complete and checked. Times are milliseconds.
-type pool() :: #{
    size := pos_integer(),
    python_path := [binary()],
    venv := binary() | undefined,
    env := [clear | {string(), string() | false}],
    cwd := binary() | undefined,
    init_once := [binary()],
    init := [binary()],
    start_timeout := non_neg_integer(),
    timeout := timeout(),
    max_queue := non_neg_integer(),
    queue_timeout := timeout(),
    contexts := pos_integer() | infinity,
    handles := pos_integer() | infinity,
    concurrency := pos_integer(),
    loop := asyncio | uvloop,
    threads := pos_integer(),
    max_frame := pos_integer(),
    memory := memory_limits(),
    recycle := recycle_limits(),
    quarantine := pos_integer() | infinity,
    bill := boolean(),
    trim := never | [idle | {after_growth, pos_integer()} | {every, pos_integer()}],
    profile := boolean() | profile_options(),
    logs := boolean(),
    guard := auto | python | kernel | off,
    send := pids | all | [atom()],
    send_limit := pos_integer() | infinity,
    functions := registered | [{module(), atom()}],
    state := none | read | write,
    interrupt_grace := non_neg_integer(),
    close_grace := non_neg_integer(),
    drain := non_neg_integer()
}.

-type memory_limits() :: #{
    heap => pos_integer() | infinity,
    account => boolean(),
    address_space => pos_integer() | infinity,
    data => pos_integer() | infinity,
    files => pos_integer() | infinity,
    core => non_neg_integer() | infinity,
    cgroup => binary(),
    cgroup_max => pos_integer() | infinity,
    cgroup_high => pos_integer() | infinity,
    cgroup_pids => pos_integer() | infinity,
    oom_score_adj => integer(),
    rss => pos_integer() | infinity,
    group => pos_integer() | infinity,
    budget => pos_integer() | {percent, 1..100} | infinity
}.

-type recycle_limits() :: #{
    rss => pos_integer(),
    growth => pos_integer(),
    calls => pos_integer(),
    age => pos_integer(),
    idle => pos_integer(),
    memory_errors => pos_integer(),
    jitter => non_neg_integer(),
    min_calls => non_neg_integer()
}.

-type profile_options() :: #{
    rate => pos_integer(),
    samples => pos_integer(),
    per_second => pos_integer()
}.

%% The same, with everything hidden that nobody should read in a report.
-type hidden() :: #{env := py_secret:secret([clear | {string(), string() | false}]),
                    init_once := py_secret:secret([binary()]),
                    init := py_secret:secret([binary()]), size := pos_integer(),
                    timeout := timeout(), max_queue := non_neg_integer(),
                    queue_timeout := timeout(), max_frame := pos_integer(), logs := boolean(),
                    memory := memory_limits(), recycle := recycle_limits(),
                    quarantine := pos_integer() | infinity, bill := boolean(),
                    start_timeout := non_neg_integer(), interrupt_grace := non_neg_integer(),
                    close_grace := non_neg_integer(), drain := non_neg_integer(), _ => _}.

-spec check(term()) -> {ok, pool()} | {error, {badarg, term()}}.
check(Given) ->
    Table = table(),
    case py_option:map(Given) of
        {ok, Map} -> check(maps:to_list(Map), Table, py_option:defaults(Table));
        wrong -> {error, {badarg, {options, text("a pool's options must be a map or a list of pairs, "
                                                 "not this ~ts", [py_option:kind(Given)])}}}
    end.

check([], _, Pool) ->
    {ok, counted(Pool)};
check([{Name, Value} | Rest], Table, Pool) ->
    case py_option:check(Name, Value, Table) of
        {ok, Checked} -> check(Rest, Table, Pool#{Name := Checked});
        {wrong, Place, Text} -> {error, {badarg, {option, Place, Text}}}
    end.

%% A bill has to know what is in use.
counted(#{bill := true, memory := Limits} = Pool) -> Pool#{memory := Limits#{account => true}};
counted(Pool) -> Pool.

text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args)).

%% Limits alone, as set_memory has them.
-spec limits(term()) -> {ok, memory_limits()} | {error, py_option:complaint()}.
limits(Limits) ->
    case py_option:check(memory, Limits, care()) of
        {ok, Checked} -> {ok, Checked};
        {wrong, _, Complaint} -> {error, Complaint}
    end.

%% The application's environment: the default pool's options, and the options
%% of the pools under the key `pools'.
-spec environment([{atom(), term()}]) ->
          {ok, #{atom() => pool()}} | {error, {badarg, term()}}.
environment(Env) ->
    Own = maps:without([pools, state_limits, included_applications], maps:from_list(Env)),
    case py_option:map(proplists:get_value(pools, Env, #{})) of
        {ok, #{default := _}} ->
            wrong_pools("pools must not have default: its options stand beside pools", []);
        {ok, Pools} ->
            with_default(Own, pools(maps:to_list(Pools), #{}));
        wrong ->
            wrong_pools("pools must be a map or a list of pairs, not this ~ts",
                        [py_option:kind(proplists:get_value(pools, Env))])
    end.

%% With the size 0 there is no default pool, but its options have to be right all the
%% same.
with_default(#{size := 0} = Own, Others) ->
    case with_default(maps:remove(size, Own), Others) of
        {ok, Pools} -> {ok, maps:remove(default, Pools)};
        {error, _} = Error -> Error
    end;
with_default(Own, {ok, Others}) -> pools([{default, Own}], Others);
with_default(_, Error) -> Error.

wrong_pools(Format, Args) ->
    {error, {badarg, {option, pools, text(Format, Args)}}}.

pools([], Checked) ->
    {ok, Checked};
pools([{Name, Options} | Rest], Checked) when is_atom(Name) ->
    case check(Options) of
        {ok, Pool} -> pools(Rest, Checked#{Name => Pool});
        {error, {badarg, What}} when Name =:= default -> {error, {badarg, What}};
        {error, {badarg, What}} -> {error, {badarg, {pool, Name, What}}}
    end;
pools([{Name, _} | _], _) ->
    wrong_pools("pools must have atoms for names, not ~ts", [py_option:shown(Name)]).

%% The limits of the state that workers share, from the same place.
-spec state_limits([{atom(), term()}]) ->
          {ok, py_talk_state:limits()} | {error, {badarg, term()}}.
state_limits(Env) ->
    Keys = [{keys, {limit, 1}, "values that there may be"},
            {bytes, {limit, 1}, "bytes that they may have, with their keys"}],
    Default = #{keys => 100_000, bytes => 256_000_000},
    Table = [{state_limits, {map, state_limits, Keys}, Default, "how much there may be"}],
    case py_option:check(state_limits, proplists:get_value(state_limits, Env, #{}), Table) of
        {ok, Limits} -> {ok, maps:merge(Default, Limits)};
        {wrong, Place, Text} -> {error, {badarg, {option, Place, Text}}}
    end.

%% ---------------------------------------------------------------------------

-spec hide(pool()) -> hidden().
hide(#{env := Env, init_once := Once, init := Init} = Options) ->
    Options#{env := py_secret:hide(Env), init_once := py_secret:hide(Once),
             init := py_secret:hide(Init)}.

%% As py:info/1 shows them: the names of variables, the size of the code.
-spec describe(hidden()) -> map().
describe(#{env := Env, init_once := Once, init := Init} = Options) ->
    Options#{env := [name(Variable) || Variable <- py_secret:show(Env)],
             init_once := size_of(py_secret:show(Once)), init := size_of(py_secret:show(Init))}.

name({Name, _}) -> Name;
name(clear) -> clear.

size_of(Code) ->
    #{pieces => length(Code), bytes => iolist_size(Code)}.
