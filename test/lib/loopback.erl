%% SPDX-License-Identifier: Apache-2.0
%%
%% Distribution without epmd: every node is on 127.0.0.1, and its name ends with
%% the port that it listens on. A script that uses it has the flags
%%
%%   %%! -pa test/lib -epmd_module loopback -start_epmd false -setcookie loopback
-module(loopback).

-export([start/0, node_at/1, peer/0, pid_of/1, forward/1]).
%% What net_kernel asks.
-export([start_link/0, register_node/3, address_please/3, port_please/2, port_please/3,
         listen_port_please/2, names/1]).

-define(LIMIT, 30_000).

%% This VM becomes a node.
-spec start() -> ok.
start() ->
    {ok, _} = net_kernel:start([node_at(free_port()), longnames]),
    ok.

%% The node that listens on a port.
-spec node_at(inet:port_number()) -> node().
node_at(Port) ->
    list_to_atom("node_" ++ integer_to_list(Port) ++ "@127.0.0.1").

%% Another VM that is a node; it is controlled by other means.
-spec peer() -> {peer:server_ref(), node()}.
peer() ->
    Port = free_port(),
    Listen = integer_to_list(Port),
    Node = node_at(Port),
    {ok, Peer, _} = peer:start(
        #{connection => standard_io, shutdown => halt, wait_boot => ?LIMIT,
          args => ["-pa", filename:dirname(code:which(?MODULE)), "-epmd_module", "loopback",
                   "-start_epmd", "false", "-setcookie", "loopback",
                   "-name", atom_to_list(Node), "-kernel", "inet_dist_listen_min", Listen,
                   "inet_dist_listen_max", Listen]}),
    {Peer, Node}.

%% A process of a node that need not exist.
-spec pid_of(node()) -> pid().
pid_of(Node) ->
    Name = atom_to_binary(Node),
    binary_to_term(<<131, 88, 119, (byte_size(Name)), Name/binary, 80:32, 0:32, 7:32>>).

%% A process that hands on whatever it gets.
-spec forward(pid()) -> no_return().
forward(To) ->
    receive Message -> To ! Message end,
    forward(To).

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.

%% ---------------------------------------------------------------------------

-spec start_link() -> ignore.
start_link() ->
    ignore.

-spec register_node(term(), term(), term()) -> {ok, 1..3}.
register_node(_, _, _) ->
    {ok, 1 + erlang:system_time() rem 3}.

-spec address_please(term(), term(), term()) -> {ok, inet:ip4_address()}.
address_please(_, _, _) ->
    {ok, {127, 0, 0, 1}}.

-spec port_please(term(), term()) -> {port, inet:port_number(), 5}.
port_please(Name, Address) ->
    port_please(Name, Address, infinity).

-spec port_please(term(), term(), term()) -> {port, inet:port_number(), 5}.
port_please(Name, _, _) ->
    {port, port(Name), 5}.

-spec listen_port_please(term(), term()) -> {ok, inet:port_number()}.
listen_port_please(Name, _) ->
    {ok, port(Name)}.

port(Name) ->
    list_to_integer(lists:last(string:split(lists:flatten(io_lib:format("~s", [Name])), "_"))).

-spec names(term()) -> {error, address}.
names(_) ->
    {error, address}.
