%% SPDX-License-Identifier: Apache-2.0
%%
%% The node that is watched: connected to without being seen there, and asked. If a
%% question has no answer, the error says what to do.
-module(py_top_node).

-export([connect/1, ask/2]).
-export_type([question/0]).

-type question() :: {module(), atom(), [term()]}.

%% How long an answer may take (ms).
-define(LIMIT, 5_000).
%% The most characters that the name of a node has, with its host.
-define(LONGEST, 255).

%% Connects to the node that is meant, and makes sure that it can be watched.
-spec connect(py_top_args:args()) -> {ok, node()} | {error, string()}.
connect(Args) ->
    case full_name(Args) of
        {ok, Name} -> connect(Name, Args);
        {error, _} = Error -> Error
    end.

full_name(#{node := Node}) ->
    case string:split(Node, "@") of
        [Name] -> {ok, Name ++ "@" ++ this_host()};
        [_, _] -> {ok, Node}
    end;
full_name(_) ->
    case erl_epmd:names() of
        {ok, [{Name, _}]} -> {ok, Name ++ "@" ++ this_host()};
        {ok, []} -> {error, "there is no Erlang node with a name on this machine"};
        {ok, Names} -> {error, "say which node: " ++ listed(Names)};
        {error, _} -> {error, "there is no Erlang node with a name on this machine (no epmd)"}
    end.

this_host() ->
    {ok, Host} = inet:gethostname(),
    Host.

listed(Names) ->
    lists:flatten(lists:join(", ", [Name || {Name, _} <- Names])).

connect(FullName, _) when length(FullName) > ?LONGEST ->
    {error, "this is too long for the name of a node"};
connect(FullName, Args) ->
    Node = list_to_atom(FullName),
    case begin_distribution(FullName, Args) of
        ok ->
            _ = [erlang:set_cookie(Node, list_to_atom(Cookie)) || #{cookie := Cookie} <- [Args]],
            case net_kernel:connect_node(Node) of
                true -> check(Node);
                false -> {error, why_not(FullName)}
            end;
        {error, _} = Error ->
            Error
    end.

%% This node listens to nobody, so it needs no epmd and is hidden. Without a name of
%% its own it gets one from the node that it connects to.
begin_distribution(FullName, Args) ->
    [_, Host] = string:split(FullName, "@"),
    case lists:member($., Host) of
        true -> start(own_name(Args, any_name()), longnames);
        false -> start(own_name(Args, undefined), shortnames)
    end.

own_name(#{name := Name}, _) -> list_to_atom(Name);
own_name(_, Default) -> Default.

%% With long names, the node gives a name only to a host that itself has a long name.
any_name() ->
    list_to_atom("py_top_" ++ os:getpid() ++ "_" ++ integer_to_list(os:system_time()) ++ "@127.0.0.1").

start(Name, Domain) ->
    case net_kernel:start(Name, #{name_domain => Domain, dist_listen => false, hidden => true}) of
        {ok, _} -> ok;
        {error, _} -> {error, "cannot begin distribution: is --name right, and is there a home "
                              "directory with a cookie?"}
    end.

why_not(FullName) ->
    [Name, Host] = string:split(FullName, "@"),
    case erl_epmd:names(Host) of
        {ok, Names} ->
            case lists:keymember(Name, 1, Names) of
                true -> FullName ++ " takes no connection from here: is the cookie the same "
                            "(~/.erlang.cookie, --cookie), and is its name long or short as here?";
                false -> "there is no node " ++ Name ++ " on " ++ Host ++ others(Names)
            end;
        {error, _} ->
            "there is no Erlang node with a name on " ++ Host ++ " (no epmd), or no way there"
    end.

others([]) -> "";
others(Names) -> "; there are: " ++ listed(Names).

%% What may be asked depends on the version there.
check(Node) ->
    case ask(Node, {py_mem, overview, []}) of
        {ok, [#{name := _, workers := _} | _]} -> {ok, Node};
        {ok, []} -> {error, atom_to_list(Node) ++ " runs no pool: is the application py started?"};
        {error, undef} -> {error, other_version(Node)};
        {ok, _} -> {error, other_version(Node)};
        {error, Why} -> {error, atom_to_list(Node) ++ ": " ++ Why}
    end.

other_version(Node) ->
    Name = atom_to_list(Node),
    case ask(Node, {application, get_key, [py, vsn]}) of
        {ok, {ok, Vsn}} -> Name ++ " has py " ++ Vsn ++ ", which this py_top does not know: take "
                               "the one that came with it";
        _ -> Name ++ " does not have py"
    end.

%% One call there. If the node was gone, it is connected to again.
-spec ask(node(), question()) -> {ok, term()} | {error, undef | string()}.
ask(Node, {M, F, A}) ->
    try
        _ = is_alive() orelse net_kernel:connect_node(Node),
        {ok, erpc:call(Node, M, F, A, ?LIMIT)}
    catch
        error:{exception, undef, [{M, F, _, _} | _]} -> {error, undef};
        error:{erpc, noconnection} -> {error, "the node is not there; trying again"};
        error:{erpc, timeout} -> {error, "the node does not answer; trying again"};
        _:Reason -> {error, lists:flatten(io_lib:format("~0tP", [Reason, 10]))}
    end.
