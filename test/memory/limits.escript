#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pool option `memory': limits that the kernel holds.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MIB, (1 bsl 20)).
%% What a worker in these tests may have.
-define(ROOM, (300 * ?MIB)).
-define(MORE_ROOM, (400 * ?MIB)).
-define(TIMES, 10).

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        [{io_lib:format("~s against ~s", [What, Limit]), 300_000, fun() ->
             against(Limit, Code, Expected, ?TIMES) end}
         || Limit <- [address_space, data], {What, Code, Expected} <- loads(Limit)],
        {"what ran out is said: arguments", fun arguments/0},
        {"what ran out is said: a frame of arguments", fun frame/0},
        {"what ran out is said: the reply", fun reply/0},
        {"what ran out is said: an item of a stream", fun item/0},
        {"what ran out is said: not what the code has handled", fun handled/0},
        {"what ran out is said: without a limit", fun unlimited/0},
        {"a limit that code has set itself is named", fun own_limit/0},
        {"descriptors and core dumps have limits", fun files_and_core/0},
        {"a limit may be infinity", fun infinity/0},
        {"the threads of the program have their stacks before the limit", fun stacks/0},
        {"deep recursion where nothing is left crashes no worker", fun deep/0},
        [{io_lib:format("too little to start: ~0p", [Limits]), fun() -> too_little(Limits, Text) end}
         || {Limits, Text} <- too_little()],
        {"the kernel takes a worker before the VM", fun oom_score/0},
        {"how much sooner is a limit", fun oom_score_adj/0},
        {"a worker's children are taken as soon", fun oom_score_of_child/0}
    ])).

%% What the fun makes of a pool with these limits. A sanitizer reserves more address
%% space than any limit here.
with_limits(Limits, Fun) ->
    map_size(maps:with([address_space, data], Limits)) =:= 0 orelse fixture:unless_sanitized(),
    {ok, _} = py:start_pool(limited, #{size => 1, memory => Limits, timeout => 60_000}),
    try Fun() after ok = py:stop_pool(limited) end.

eval(Code) ->
    py:eval(Code, #{}, #{pool => limited}).

%% ---------------------------------------------------------------------------
%% What meets a limit

%% {What, code, its value or what is said}
loads(Limit) ->
    Said = said(Limit, ?ROOM),
    NoMemory = <<"no memory while the code ran; ", Said/binary>>,
    [{"a large object", "len(bytearray(2**30))", NoMemory},
     {"many small objects", "len([{} for _ in range(10_000_000)])", NoMemory},
     {"malloc in C", malloc(), none},
     {"a numpy array", numpy,
      <<"Unable to allocate 1.00 GiB for an array with shape (134217728,) and data type float64 "
        "(while the code ran; ", Said/binary, ")">>}].

said(Limit, Bytes) ->
    iolist_to_binary(io_lib:format("limit ~s: ~b bytes", [Limit, Bytes])).

%% The class is numpy's own in some of its versions.
said({_Class, Text}) -> Text;
said(Value) -> Value.

%% C's own answer to too much is NULL.
malloc() ->
    "(lambda t, c: (setattr(c.malloc, 'restype', t.c_void_p), c.malloc(t.c_size_t(2**30)))[1])"
    "(__import__('ctypes'), __import__('ctypes').CDLL(None))".

%% The worker has the same outcome each time, and serves after it.
against(Limit, numpy, Expected, Times) ->
    fixture:has_numpy() orelse tap:skip("there is no numpy"),
    against(Limit, "__import__('numpy').ones(2**27).nbytes", Expected, Times);
against(Limit, Code, Expected, Times) ->
    with_limits(#{Limit => ?ROOM}, fun() ->
        [begin
             {_, Outcome} = eval(Code),
             ?assertEqual(Expected, said(Outcome)),
             ?assertEqual({ok, 1000}, eval("len(bytes(1000))"))
         end || _ <- lists:seq(1, Times)]
    end).

arguments() ->
    with_limits(#{address_space => ?ROOM}, fun() ->
        Said = said(address_space, ?ROOM),
        ?assertEqual({error, {'MemoryError', <<"no memory for the arguments; ", Said/binary>>}},
                     py:call(builtins, len, [lists:duplicate(8_000_000, 1.0)], #{},
                             #{pool => limited}))
    end).

frame() ->
    with_limits(#{address_space => ?ROOM}, fun() ->
        {error, {'MemoryError', Text}} =
            py:call(builtins, len, [{bytes, binary:copy(<<0>>, 250 * ?MIB)}], #{},
                    #{pool => limited}),
        Said = said(address_space, ?ROOM),
        ?assertMatch({match, _}, re:run(Text, ["^no memory for a frame of \\d+ bytes, "
                                               "for the arguments; ", Said, "$"])),
        ?assertEqual({ok, 2}, eval("1 + 1")),
        is_replaced()
    end).

%% There is room for the value, but not for it and its reply.
reply() ->
    with_limits(#{address_space => ?MORE_ROOM}, fun() ->
        Said = said(address_space, ?MORE_ROOM),
        ?assertEqual({error, {'MemoryError', <<"no memory for the reply; ", Said/binary>>}},
                     eval("bytes(200 << 20)"))
    end).

item() ->
    with_limits(#{address_space => ?MORE_ROOM}, fun() ->
        Said = said(address_space, ?MORE_ROOM),
        ?assertEqual({error, {'MemoryError', <<"no memory for the reply; ", Said/binary>>}},
                     py:stream_eval("(bytes(n << 20) for n in [1, 200])", #{},
                                    #{pool => limited})),
        ?assertEqual({ok, 2}, eval("1 + 1"))
    end).

%% The heap's limit is over by then: it does not hold for replies.
handled() ->
    with_limits(#{address_space => ?ROOM, heap => ?ROOM}, fun() ->
        ok = py:exec("
def handle():
    try:
        bytearray(2**30)
    except MemoryError:
        return [(b'x' * 2**20)] * 200
", #{pool => limited}),
        Said = said(address_space, ?ROOM),
        ?assertEqual({error, {'MemoryError', <<"no memory for the reply; ", Said/binary>>}},
                     eval("handle()"))
    end).

unlimited() ->
    ?assertEqual({error, {'MemoryError', <<"no memory while the code ran">>}},
                 py:eval("bytearray(1 << 60)")).

own_limit() ->
    fixture:unless_sanitized(),
    Code = "__import__('resource').setrlimit(__import__('resource').RLIMIT_AS, (300 << 20, -1))",
    with_limits(#{}, fun() ->
        {ok, none} = eval(Code),
        Said = said(address_space, ?ROOM),
        ?assertEqual({error, {'MemoryError', <<"no memory while the code ran; ", Said/binary>>}},
                     eval("bytearray(1 << 30)")),
        is_replaced()
    end).

%% By a worker that has room again.
is_replaced() ->
    fixture:wait_until(fun() -> [1] =:= [N || #{restarts := N} <- fixture:workers(limited)] end).

%% ---------------------------------------------------------------------------

%% Soft limits, so that they can be changed later.
rlimit(Name) ->
    {ok, {Soft, _}} = eval(["__import__('resource').getrlimit(__import__('resource').RLIMIT_",
                            Name, ")"]),
    Soft.

files_and_core() ->
    with_limits(#{files => 50, core => 0}, fun() ->
        ?assertEqual({50, 0}, {rlimit("NOFILE"), rlimit("CORE")}),
        ?assertMatch({error, {'OSError', <<"[Errno 24]", _/binary>>}},
                     eval("[open('/dev/null') for _ in range(50)]")),
        ?assertEqual({ok, 2}, eval("1 + 1"))
    end).

infinity() ->
    with_limits(#{address_space => infinity, core => infinity}, fun() ->
        ?assertEqual({-1, rlimit_hard("CORE")}, {rlimit("AS"), rlimit("CORE")})
    end).

rlimit_hard(Name) ->
    {ok, {_, Hard}} = eval(["__import__('resource').getrlimit(__import__('resource').RLIMIT_",
                            Name, ")"]),
    Hard.

%% Urgent requests are answered by a thread of its own, however little is left.
stacks() ->
    with_limits(#{address_space => 100 * ?MIB}, fun() ->
        Ref = py:spawn_call(time, sleep, [600], #{}, #{pool => limited, timeout => infinity}),
        ?assertMatch({ok, _}, py:gc({limited, 1})),
        ok = py:cancel(Ref),
        ?assertEqual({error, cancelled}, py:await(Ref))
    end).

%% The stack has to grow for that. Where not even a request can be read any more,
%% the program ends by itself.
deep() ->
    with_limits(#{address_space => ?ROOM}, fun() ->
        ok = py:exec(<<"
import sys
sys.setrecursionlimit(100000)
deep = []
for _ in range(5000): deep = [deep]
fill = []
def filled():
    size = 1 << 20
    while size >= 256:
        try:
            while True: fill.append(bytearray(size))
        except MemoryError:
            size //= 2
            if size == 1 << 16: some = len(fill)
    del fill[some:]
">>, #{pool => limited}),
        %% To notice that nothing is left may be too much, too.
        case eval("filled()") of
            {ok, none} -> ok;
            {error, {'MemoryError', _}} -> ok
        end,
        case eval("len(repr(deep))") of
            {ok, _} -> ok;
            {error, {'MemoryError', _}} -> ok;
            {error, {worker_exit, {status, _}}} -> ok
        end
    end).

%% The program says it, or if that has not come so far, the pool does.
too_little() ->
    [{#{address_space => 1000}, <<"address_space:? 1000">>},
     {#{data => 1000}, <<"data:? 1000">>},
     {#{files => 3}, <<"Python cannot start">>}].

too_little(Limits, Text) ->
    fixture:unless_sanitized(),
    {error, {python_start, Why}} = py:start_pool(limited, #{size => 1, memory => Limits}),
    ?assertNotEqual(nomatch, re:run(Why, Text)).

%% ---------------------------------------------------------------------------

oom_score() ->
    [OsPid] = fixture:os_pids(),
    ?assertEqual(1000, oom_score_adj(integer_to_list(OsPid))),
    ?assert(oom_score_adj("self") < 1000).

oom_score_adj() ->
    Own = oom_score_adj("self"),
    [with_limits(#{oom_score_adj => N}, fun() ->
         ?assertEqual([N], [oom_score_adj(integer_to_list(OsPid))
                            || OsPid <- fixture:os_pids(limited)])
     end) || N <- [Own, 300, 1000]].

oom_score_of_child() ->
    with_limits(#{oom_score_adj => 777}, fun() ->
        ?assertEqual({ok, <<"777\n">>},
                     eval("__import__('subprocess').check_output("
                          "['cat', '/proc/self/oom_score_adj'], text=True)"))
    end).

oom_score_adj(Process) ->
    {ok, Text} = file:read_file(["/proc/", Process, "/oom_score_adj"]),
    binary_to_integer(string:trim(Text)).
