#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_top_args: the command line of py_top.
-mode(compile).

main(_) ->
    tap:run([table:rows("parse", fun py_top_args:parse/1, lines())]).

lines() ->
    [{"nothing", [[]], {ok, #{}}},
     {"a node", [["shop@host"]], {ok, #{node => "shop@host"}}},
     {"all options", [["--once", "--cookie", "c", "shop", "--name", "me@host"]],
      {ok, #{node => "shop", once => true, cookie => "c", name => "me@host"}}},
     {"help", [["shop", "--help"]], help},
     {"help, short", [["-h"]], help},
     {"the version", [["--version", "x"]], version},
     {"an option without its word", [["--cookie"]], {error, "--cookie needs a word after it"}},
     {"an unknown option", [["--foo", "shop"]], {error, "there is no option --foo"}},
     {"a word that no atom can be", [["--cookie", lists:duplicate(300, $x)]],
      {error, "this is too long: " ++ lists:duplicate(20, $x) ++ "..."}},
     {"two nodes", [["a", "b"]], {error, "one node can be watched, and not b, too"}}].
