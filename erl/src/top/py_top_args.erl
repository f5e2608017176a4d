%% SPDX-License-Identifier: Apache-2.0
%%
%% The words of py_top's command line. Pure.
-module(py_top_args).

-export([parse/1, usage/0]).
-export_type([args/0]).

-type args() :: #{node => string(), name => string(), cookie => string(), once => true}.

%% Names and cookies become atoms; this is the most characters that an atom has.
-define(LONGEST, 255).

-spec parse([string()]) -> {ok, args()} | help | version | {error, string()}.
parse(Words) ->
    case [Word || Word <- Words, length(Word) > ?LONGEST] of
        [] -> parse(Words, #{});
        [Word | _] -> {error, "this is too long: " ++ lists:sublist(Word, 20) ++ "..."}
    end.

parse([], Args) -> {ok, Args};
parse([Word | _], _) when Word =:= "--help"; Word =:= "-h" -> help;
parse(["--version" | _], _) -> version;
parse(["--once" | Words], Args) -> parse(Words, Args#{once => true});
parse(["--cookie", Cookie | Words], Args) -> parse(Words, Args#{cookie => Cookie});
parse(["--name", Name | Words], Args) -> parse(Words, Args#{name => Name});
parse([Option | _], _) when Option =:= "--cookie"; Option =:= "--name" ->
    {error, Option ++ " needs a word after it"};
parse([[$- | _] = Option | _], _) -> {error, "there is no option " ++ Option};
parse([Node | Words], Args) when not is_map_key(node, Args) -> parse(Words, Args#{node => Node});
parse([Word | _], _) -> {error, "one node can be watched, and not " ++ Word ++ ", too"}.

-spec usage() -> string().
usage() ->
    "usage: py_top [OPTION...] [NODE]\n"
    "\n"
    "Shows what the Python workers of a running Erlang node do and have, and goes on\n"
    "showing it; in a pipe it prints that once. NODE is shop, shop@host or\n"
    "shop@host.example.com; it may be left out if there is one node on this machine.\n"
    "\n"
    "  --cookie COOKIE  instead of that in ~/.erlang.cookie (others can see it in ps)\n"
    "  --name NAME      this program's own name; else the node gives it one\n"
    "  --once           prints once\n"
    "  --version        says which version of py this belongs to\n"
    "  --help           says this\n"
    "\n"
    "Keys: q ends, h says what the others do.\n".
