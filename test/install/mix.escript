#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% As a dependency of mix projects: fetched, built, used, built anew for another
%% Python, in an umbrella, in a release that is moved away. All folders have blanks
%% in their names. `make check-install' runs it, because it builds everything.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    case os:find_executable("mix") of
        false -> tap:skip_all("mix was not found (Debian: elixir)");
        _ -> tap:run(tests(elsewhere:copy("git repository")))
    end.

tests(Repository) ->
    Work = filename:dirname(Repository),
    App = filename:join(Work, "one app"),
    [{must, "a dependency on the repository is built, without rebar3", 900_000,
      fun() -> builds(App, Repository) end},
     {"pools of config.exs, one in the other", 60_000, fun() -> pools(App) end},
     {"nothing is done again", 60_000, fun() -> again(App) end},
     {"another Python is noticed", 60_000, fun() -> other_python(App) end},
     {"a release runs elsewhere", 120_000, fun() -> release(App, Work) end},
     {"an umbrella with a path", 300_000, fun() -> umbrella(Work, filename:join(App, "deps/py")) end}].

%% Whatever is asked of rebar3 fails.
mix(Dir, Arguments) -> mix(Dir, [], Arguments).

mix(Dir, Env, Arguments) ->
    elsewhere:run(Dir, [{"MIX_REBAR3", "/bin/false"}, {"MIX_ENV", "dev"} | Env], "mix", Arguments).

project(Dir, Options, Dependency) ->
    {0, _} = mix(filename:dirname(Dir), ["new", Dir, "--app", "one" | Options]),
    depend(Dir, Dependency).

depend(Dir, Dependency) ->
    elsewhere:edit(filename:join(Dir, "mix.exs"), "defp deps do\n    \\[",
                   ["defp deps do\n    [", Dependency, ", "]).

builds(App, Repository) ->
    project(App, [], ["{:py, git: \"", Repository, "\"}"]),
    ?assertMatch({0, _}, mix(App, ["deps.get"])),
    ?assertMatch({0, _}, mix(App, ["compile"])),
    ?assertEqual({0, <<"{:ok, 4.0}\n">>}, eval(App, ":py.call(:math, :sqrt, [16])")).

eval(Dir, Code) ->
    mix(Dir, ["run", "-e", "IO.inspect(" ++ Code ++ ")"]).

pools(App) ->
    Config = "import Config\n"
             "config :py, size: 1, pools: [\n"
             "  maths: [size: 1, init: \"import math\", memory: %{files: 200}],\n"
             "  others: %{size: 1}]\n",
    ok = filelib:ensure_dir(filename:join(App, "config/config.exs")),
    ok = file:write_file(filename:join(App, "config/config.exs"), Config),
    ?assertMatch({0, _}, mix(App, ["compile"])),
    ?assertEqual({0, <<"{[:default, :maths, :others], {:ok, 6}}\n">>},
                 eval(App, "{:py.pools(), :py.eval(\"math.gcd(12, 18)\", %{}, %{pool: :maths})}")).

again(App) ->
    ?assertEqual({0, <<>>}, mix(App, ["compile"])).

%% What configure says of one that is not there shows that it was asked.
other_python(App) ->
    {Status, Output} = mix(App, [{"PYTHON", "/no/such/python3"}], ["compile"]),
    ?assertEqual(1, Status),
    ?assertNotEqual(nomatch, string:find(Output, "PYTHON=/no/such/python3")),
    ?assertMatch({0, _}, mix(App, ["compile"])),
    ?assertEqual({0, <<"{:ok, 2}\n">>}, eval(App, ":py.eval(\"1 + 1\")")).

%% Where it was built there is nothing any more.
release(App, Work) ->
    ?assertMatch({0, _}, mix(App, ["release"])),
    Release = filename:join(Work, "moved release"),
    ok = file:rename(filename:join(App, "_build/dev/rel/one"), Release),
    Hidden = filename:join(Work, "hidden"),
    ok = file:rename(App, Hidden),
    try
        Code = "{:ok, _} = Application.ensure_all_started(:py); "
               "IO.inspect({:py.eval(\"1 + 1\"), :py.pools()})",
        ?assertEqual({0, <<"{{:ok, 2}, [:default, :maths, :others]}\n">>},
                     elsewhere:run(Release, [], filename:join(Release, "bin/one"), ["eval", Code]))
    after
        ok = file:rename(Hidden, App)
    end.

%% One of its applications depends on the tree, whose path has a blank; it compiles
%% from above and from its own folder.
umbrella(Work, Tree) ->
    Top = filename:join(Work, "an umbrella"),
    {0, _} = mix(Work, ["new", Top, "--app", "top", "--umbrella"]),
    One = filename:join(Top, "apps/one"),
    project(One, [], ["{:py, path: \"", Tree, "\"}"]),
    [begin
         ?assertMatch({0, _}, mix(Dir, ["compile"])),
         ?assertEqual({0, <<"{:ok, 2}\n">>}, eval(Dir, ":py.eval(\"1 + 1\")"))
     end || Dir <- [Top, One]].
