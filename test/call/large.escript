#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Large values take the lane, the memory that the VM and the worker both reach: they
%% come back as they were, whatever else happens meanwhile, and the memory is given
%% back.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include_lib("py/include/py_protocol.hrl").

-define(MIB, (1 bsl 20)).

-define(INIT, <<"import os, signal, stat, struct, threading, time, erlang\n"
                "try:\n    import numpy\n"
                "except ImportError:\n    pass\n"
                "def echo(x): return x\n"
                "def both(x): return [x, x]\n"
                "def after(seconds, x):\n    time.sleep(seconds)\n    return x\n"
                "def wrong(x): raise ValueError(len(x))\n"
                "def ends(x): os._exit(7)\n"
                "def child(x):\n"
                "    pid = os.fork()\n"
                "    if pid == 0: return bytes(len(x))\n"
                "    os.waitpid(pid, 0)\n"
                "    return x\n"
                "class Forks: pass\n"
                "@erlang.encoder(Forks)\n"
                "def split(obj):\n"
                "    pid = os.fork()\n"
                "    if pid: os.waitpid(pid, 0)\n"
                "    return [b'a' if pid else b'b'] * 200000\n"
                "def forks(): return [bytes(200000), Forks()]\n"
                "def links():\n"
                "    def link(n):\n"
                "        try: return os.readlink('/proc/self/fd/' + n)\n"
                "        except OSError: return ''\n"
                "    return [link(n) for n in os.listdir('/proc/self/fd')]\n"
                "def lie(*sizes):\n"
                "    lies = [n for n in range(3, 20) if is_pipe(n)]\n"
                "    for size in sizes:\n"
                "        place = b'\\x83h\\3w\\4lane' + struct.pack('>BIBI', 98, 1, 98, size)\n"
                "        for n in lies: os.write(n, struct.pack('>I', len(place)) + place)\n"
                "    time.sleep(10)\n"
                "def lie_when(path):\n"
                "    while not os.path.exists(path): threading.Event().wait(0.01)\n"
                "    lie(100)\n"
                "def lie_later(path): threading.Thread(target=lie_when, args=(path,)).start()\n"
                "def runs(path):\n"
                "    with open(path, 'a') as f: f.write('x')\n"
                "def is_pipe(n):\n"
                "    try: return stat.S_ISFIFO(os.fstat(n).st_mode) and os.write(n, b'') == 0\n"
                "    except OSError: return False\n"
                "def maps():\n"
                "    with open('/proc/self/maps') as f: return f.read().count('pyport-lane')\n">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => ?INIT}, [
        {"the worker says that it has a lane", fun has_lane/0},
        {"bytes of every size around the least that takes it", fun sizes/0},
        {"values of every kind", fun kinds/0},
        {"arrays", fun arrays/0},
        {"an array that Python keeps does not change", fun kept/0},
        {"many callers, and nobody gets what is another's", fun many/0},
        {"streams of large items", fun stream/0},
        {"large messages", fun message/0},
        {"an error in the place of a large value", fun errors/0},
        {"out of time in the middle", fun deadline/0},
        {"the caller dies in the middle", fun caller_dies/0},
        {"the worker ends in the middle", fun worker_ends/0},
        {"the worker is killed at any moment", fun killed/0},
        {"a forked child leaves what it has from its parent alone", fun forked/0},
        [{"the program says that there is what cannot be: " ++ What, fun() -> lie(Size) end}
         || {What, Size} <- lies()],
        {"a request that was sent just before is not sent again", fun in_one_step/0},
        {"another file is no lane", fun other_file/0},
        {"Python has no descriptor of it", fun no_descriptor/0},
        {"what was large is given back when the worker has nothing to do", fun given_back/0},
        {"the VM has one descriptor for each worker", fun descriptors/0},
        {"where the lane cannot be, the pipe serves", fun pipe_serves/0}
    ])).

has_lane() ->
    ?assertMatch([#{lane := true}], fixture:workers()).

call(Function, Args) ->
    py:call('__main__', Function, Args).

%% No two places in it are the same for long.
bytes(Size) ->
    bytes(Size, 1).

bytes(Size, Seed) ->
    binary:part(<< <<(N * Seed):32>> || N <- lists:seq(1, Size div 4 + 1) >>, 0, Size).

echo(Bytes) ->
    same({ok, Bytes}, call(echo, [{bytes, Bytes}])).

%% Nobody wants to read these.
same(Expected, Found) ->
    ?assert(Expected =:= Found).

%% Of those around the least the frames are, in both directions, below it or above it.
sizes() ->
    Around = [?LANE_LEAST + N || N <- lists:seq(-100, 10, 5)],
    [echo(bytes(Size)) || Size <- Around ++ [?MIB - 1, ?MIB, ?MIB + 1, 20 * ?MIB, ?MIB]],
    Max = maps:get(max_frame, maps:get(options, py:info())),
    same({ok, Max - 100}, py:call(builtins, len, [{bytes, binary:copy(<<"x">>, Max - 100)}])),
    {ok, Large} = py:eval(<<"bytes(n)">>, #{n => Max - 100}),
    ?assertEqual(Max - 100, byte_size(Large)),
    ?assertMatch({error, {'OverflowError', _}}, py:eval(<<"bytes(n)">>, #{n => Max})).

kinds() ->
    Text = unicode:characters_to_binary(lists:duplicate(100_000, [$a, 16#e9, 16#65e5])),
    Values = [Text, lists:seq(1, 100_000), [bytes_of_text(N) || N <- lists:seq(1, 3000)],
              #{<<"k">> => Text, 1 => [Text]}, {Text, Text}, [], Text],
    [same({ok, Value}, call(echo, [Value])) || Value <- Values],
    [same({ok, [Value, Value]}, call(both, [Value])) || Value <- Values].

bytes_of_text(N) ->
    binary:copy(<<"text">>, N rem 50 + 1).

arrays() ->
    fixture:has_numpy() orelse tap:skip("there is no numpy"),
    Bytes = bytes(8_000_000),
    Options = #{arrays => binary},
    [same({ok, {ndarray, Dtype, Shape, Bytes}},
                  py:call('__main__', echo, [{ndarray, Dtype, Shape, Bytes}], #{}, Options))
     || {Dtype, Shape} <- [{<<"<f8">>, {1_000_000}}, {<<"<i4">>, {2, 1000, 1000}}, {<<"|u1">>, {8_000_000}}]],
    same({ok, [{ndarray, <<"|u1">>, {8_000_000}, Bytes}]},
                 py:eval(<<"[a]">>, #{a => {ndarray, <<"|u1">>, {8_000_000}, Bytes}}, Options)).

%% Later frames are where its own was.
kept() ->
    fixture:has_numpy() orelse tap:skip("there is no numpy"),
    Bytes = bytes(?MIB),
    ok = py:exec(<<"kept = a">>, #{a => {ndarray, <<"|u1">>, {?MIB}, Bytes}}, #{}),
    [echo(bytes(?MIB, Seed)) || Seed <- [3, 5, 7]],
    same({ok, Bytes}, py:eval(<<"kept.tobytes()">>)),
    ok = py:exec(<<"del kept">>),
    ok = py:unbind().

many() ->
    Calls = [{'__main__', echo, [{bytes, bytes(Size, Seed)}]}
             || Seed <- lists:seq(1, 40), Size <- [100, ?LANE_LEAST, 500_000]],
    same({ok, [Bytes || {_, _, [{bytes, Bytes}]} <- Calls]}, py:parallel(Calls)).

stream() ->
    Code = <<"(bytes([i]) * n for i in range(50))">>,
    [same({ok, [binary:copy(<<I>>, Size) || I <- lists:seq(0, 49)]},
                  py:stream_eval(Code, #{n => Size}, #{chunk => Chunk}))
     || Size <- [50_000, 200_000], Chunk <- [1, 3, 1000]].

message() ->
    Sizes = [100, 300_000, 2 * ?MIB, 300_000],
    [ok = py:exec(<<"erlang.send(to, bytes([i]) * n)">>, #{to => self(), n => Size, i => I}, #{})
     || {I, Size} <- lists:zip([1, 2, 3, 4], Sizes)],
    ok = py:unbind(),
    [receive Bytes -> same(binary:copy(<<I>>, Size), Bytes) after 10_000 -> error(no_message) end
     || {I, Size} <- lists:zip([1, 2, 3, 4], Sizes)].

errors() ->
    ?assertEqual({error, {'ValueError', <<"2000000">>}}, call(wrong, [{bytes, bytes(2_000_000)}])),
    ?assertMatch({error, {'TypeError', _}}, py:eval(<<"[bytes(n), object()]">>, #{n => ?MIB})),
    ?assertMatch({error, {badarg, _}}, call(echo, [[bytes(?MIB), <<255>>]])),
    echo(bytes(?MIB)).

deadline() ->
    Bytes = bytes(2 * ?MIB),
    ?assertEqual({error, timeout},
                 py:call('__main__', 'after', [5, {bytes, Bytes}], #{}, #{timeout => 100})),
    echo(Bytes),
    [begin
         py:call('__main__', echo, [{bytes, Bytes}], #{}, #{timeout => Limit}),
         echo(bytes(300_000, Limit))
     end || Limit <- lists:seq(1, 15)].

caller_dies() ->
    [begin
         {Pid, Ref} = spawn_monitor(fun() -> call(echo, [{bytes, bytes(?MIB, Pause)}]) end),
         timer:sleep(Pause),
         exit(Pid, kill),
         receive {'DOWN', Ref, process, Pid, _} -> ok end,
         echo(bytes(300_000, Pause))
     end || Pause <- lists:seq(0, 10)].

worker_ends() ->
    ?assertEqual({error, {worker_exit, {status, 7}}}, call(ends, [{bytes, bytes(?MIB)}])),
    echo(bytes(?MIB)),
    ?assertMatch([#{lane := true}], fixture:workers()).

killed() ->
    Bytes = bytes(3 * ?MIB),
    [begin
         Task = py:spawn_call('__main__', both, [{bytes, Bytes}]),
         timer:sleep(Pause),
         [fixture:kill("KILL", OsPid) || OsPid <- fixture:os_pids()],
         case py:await(Task) of
             {error, {worker_exit, _}} -> ok;
             {ok, Both} -> same([Bytes, Bytes], Both)
         end
     end || Pause <- [0, 1, 2, 3, 5, 8, 13]],
    survives(Bytes).

%% The last worker may have been killed only after its answer.
survives(Bytes) ->
    case call(echo, [{bytes, Bytes}]) of
        {error, {worker_exit, _}} -> survives(Bytes);
        Answer -> same({ok, Bytes}, Answer)
    end.

forked() ->
    Bytes = bytes(2 * ?MIB),
    [same({ok, Bytes}, call(child, [{bytes, Bytes}])) || _ <- [1, 2, 3]],
    Parents = lists:duplicate(200_000, <<"a">>),
    same({ok, [<<0:1_600_000>>, Parents]}, call(forks, [])),
    echo(Bytes).

lies() ->
    [{"what is small", 100}, {"more than max_frame", ?DEFAULT_MAX_FRAME + 1}, {"2 GiB", 16#7fffffff}].

%% Nothing is read or made room for.
lie(Size) ->
    Reason = {worker_exit, {lane, [{expected, Size}]}},
    ?assertEqual({error, Reason}, call(lie, [Size])),
    echo(bytes(?MIB)).

%% The worker sends a request, and takes the lie in the same step.
in_one_step() ->
    File = filename:join(fixture:tmpdir(), "runs"),
    {ok, Pool} = py_pool_board:find(default),
    [{_, Worker, _}] = py_pool_board:workers(Pool),
    {ok, none} = call(lie_later, [list_to_binary(File ++ ".go")]),
    true = erlang:suspend_process(Worker),
    Task = py:spawn_call('__main__', runs, [list_to_binary(File)]),
    fixture:wait_until(fun() -> has(request, Worker) end),
    ok = file:write_file(File ++ ".go", <<>>),
    fixture:wait_until(fun() -> has(lie, Worker) end),
    true = erlang:resume_process(Worker),
    %% If the worker had something else in hand, it has not sent it yet.
    Times = case py:await(Task) of
                {error, {worker_exit, {lane, _}}} -> [{error, enoent}, {ok, <<"x">>}];
                {ok, none} -> [{ok, <<"x">>}]
            end,
    echo(bytes(?MIB)),
    ?assert(lists:member(file:read_file(File), Times)).

has(What, Worker) ->
    {messages, Messages} = process_info(Worker, messages),
    lists:any(fun(Message) -> what(Message) =:= What end, Messages).

what({py_worker, {request, _}}) -> request;
what({_, {data, <<_:5/binary, "lane", _/binary>>}}) -> lie;
what(_) -> other.

%% The program may be a child of the one that was started.
other_file() ->
    Name = filename:join(fixture:tmpdir(), "file"),
    ok = file:write_file(Name, <<0:1_000_000>>),
    {ok, _} = file:open(Name, [raw, read]),
    OsPid = list_to_integer(os:getpid()),
    {ok, Fds} = file:list_dir("/proc/self/fd"),
    [Fd] = [Fd || Fd <- Fds, {ok, Link} <- [file:read_link("/proc/self/fd/" ++ Fd)], Link =:= Name],
    ?assertEqual(none, py_os_lane:open(OsPid, ?MIB, #{lane => {list_to_integer(Fd), 2 * ?MIB}})).

no_descriptor() ->
    {ok, Links} = call(links, []),
    ?assertEqual([], [Link || Link <- Links, string:find(Link, "pyport-lane") =/= nomatch]),
    ?assertEqual({ok, 3}, call(maps, [])).

%% What is kept in each direction, and what a page is rounded up to.
given_back() ->
    fixture:unless_sanitized(),
    [OsPid] = fixture:os_pids(),
    echo(bytes(40 * ?MIB)),
    fixture:wait_until(fun() -> fixture:proc_kb(OsPid, "RssShmem") < 3 * 1024 end).

descriptors() ->
    Mine = integer_to_list(list_to_integer(os:getpid())),
    {ok, Names} = file:list_dir("/proc/" ++ Mine ++ "/fd"),
    Links = [Link || Name <- Names, {ok, Link} <- [file:read_link("/proc/" ++ Mine ++ "/fd/" ++ Name)],
                     string:find(Link, "pyport-lane") =/= nomatch],
    ?assertMatch([_], Links).

%% The limit of files counts for programs and for the VM, which would be ended by a
%% signal if it wrote beyond it.
pipe_serves() ->
    Vm = vm:start("ulimit -f 100000; \"$0\" \"$@\"", #{size => 1}),
    ?assertMatch(#{workers := [#{lane := false}]}, vm:call(Vm, py, info, [])),
    Bytes = bytes(?MIB),
    same({ok, Bytes}, vm:call(Vm, py, call, [copy, copy, [{bytes, Bytes}]])),
    vm:stop(Vm).
