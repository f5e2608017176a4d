#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What `make lint' says of a house that is not in order: each rule of
%% build-aux/rooms.escript can fail, and what is in order passes.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([{Name, fun() -> said(Files, Expected) end} || {Name, Files, Expected} <- cases()]).

cases() ->
    [{"nothing to say", in_order(), ""},
     {"an include of a higher layer", #{"port/wire/buf.c" => "#include \"value/python.h\"\n"},
      "port/wire/buf.c:1: wire must not include value"},
     {"an include of the layer beside", #{"port/process/fork.c" => "\n#include \"task/reply.h\"\n"},
      "port/process/fork.c:2: process must not include task"},
     {"Python.h elsewhere", #{"port/value/dict.c" => "#include <Python.h>\n"},
      "port/value/dict.c:1: only value/python.h includes Python.h"},
     {"a long C function", #{"port/op/op.c" => ["int f(void)\n{\n", lists:duplicate(40, "\n"), "}\n"]},
      "port/op/op.c:2: a function of 41 lines"},
     {"a call of a higher layer", #{"erl/src/os/py_os_port.erl" => ["f() -> py_pool:info(a).\n"]},
      "erl/src/os/py_os_port.erl:2: os must not call py_pool:info/1, which is in pool"},
     {"the same as a fun", #{"erl/src/call/py_request.erl" => ["f() -> fun py_pool:info/1.\n"]},
      "erl/src/call/py_request.erl:2: call must not call py_pool:info/1, which is in pool"},
     {"the pool's board is below the pool",
      #{"erl/src/pool/py_pool_board.erl" => ["f() -> py_pool:room(a, 1).\ng() -> py_pool:info(a).\n"]},
      "erl/src/pool/py_pool_board.erl:3: board must not call py_pool:info/1, which is in pool"},
     {"a message that does more",
      #{"erl/src/worker/py_worker.erl" => ["-behaviour(gen_server).\n-messages([live/1]).\n",
                                           "live(W) -> tell(W), ets:new(a, []).\ntell(W) -> W ! a.\n"]},
      "erl/src/worker/py_worker.erl:4: live/1 is not only a message"},
     {"a message that waits",
      #{"erl/src/worker/py_worker.erl" => ["-behaviour(gen_server).\n-messages([live/1]).\n",
                                           "live(W) -> tell(W).\ntell(W) -> W ! a, receive b -> ok end.\n"]},
      "erl/src/worker/py_worker.erl:5: tell/1 is not only a message"},
     {"a message sent by no process", #{"erl/src/stream/py_stream.erl" => ["f(P) -> P ! a.\n"]},
      "erl/src/stream/py_stream.erl:2: a message is sent by a module that is no process"},
     {"a long function", #{"erl/src/py.erl" => ["f() ->\n", lists:duplicate(39, "    a,\n"), "    b.\n"]},
      "erl/src/py.erl:2: a function of 41 lines"},
     {"a full folder",
      maps:from_list([{"port/op/f" ++ integer_to_list(N) ++ ".c", "\n"} || N <- lists:seq(1, 17)]),
      "port/op: 17 sources"},
     {"a full folder of tests",
      maps:from_list([{"test/lib/f" ++ integer_to_list(N) ++ ".erl", "\n"} || N <- lists:seq(1, 17)]),
      "test/lib: 17 sources"}].

%% What the rules allow, and each of the cases above stands beside it.
in_order() ->
    #{"port/value/python.h" => "#include <Python.h>\n",
      "port/loop/work.c" => "#include \"task/reply.h\"\n#include <sys/stat.h>\n",
      "erl/src/wire/py_ask.erl" => ["f(P) -> P ! a.\n"],
      "erl/src/pool/py_pool.erl" =>
          ["-behaviour(gen_server).\n-messages([room/2]).\n",
           "room(P, N) -> tell(P, {room, N}).\ntell(P, M) -> P ! M, ok.\ninfo(_) -> ok.\n"],
      "erl/src/worker/py_worker_live.erl" => ["f(P) -> py_pool:room(P, 1).\n"]}.

said(Files, Expected) ->
    Root = string:trim(os:cmd("mktemp -d")),
    maps:foreach(fun(Name, Text) -> write(filename:join(Root, Name), Text) end,
                 maps:merge(in_order(), Files)),
    Script = filename:join([fixture:srcdir(), "build-aux", "rooms.escript"]),
    Output = os:cmd("escript " ++ Script ++ " " ++ Root ++ "; echo $?"),
    Status = case Expected of "" -> "0\n"; _ -> "\n1\n" end,
    Said = lists:append(string:replace(Output, Root ++ "/", "", all)),
    ?assertEqual(Expected ++ Status, Said),
    os:cmd("rm -rf " ++ Root).

write(File, Text) ->
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, [module(filename:extension(File), File), Text]).

module(".erl", File) -> ["-module(", filename:basename(File, ".erl"), ").\n"];
module(_, _) -> "".
