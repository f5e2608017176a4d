%% SPDX-License-Identifier: Apache-2.0
%%
%% What is done when a pool's workers have more memory than their budget
%% (py_pool_budget decides), and who hears of it: the log and, where sasl runs, the
%% alarm handler.
-module(py_pool_relief).

-export([carry_out/3, clear/1]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

%% How long collecting and trimming may take (ms).
-define(LIMIT, 30_000).

%% Carries out an effect. A relief takes its time, in a process whose end says that
%% it is over.
-spec carry_out(py_pool_budget:effect(), py_pool_budget:seen(), #pool{}) ->
          ok | {relieving, Monitor :: reference()}.
carry_out({relieve, Workers}, _, Pool) ->
    {_, Monitor} = spawn_monitor(fun() -> relieve(Workers, Pool) end),
    {relieving, Monitor};
carry_out({spare, {_, Worker, _} = Row}, Seen, Pool) ->
    log(notice, "worker ~p gets no new calls for now: it has the most memory", Row, Seen, Pool),
    py_worker:spare(Worker, true);
carry_out({use, {_, Worker, _}}, _, _) ->
    py_worker:spare(Worker, false);
carry_out(refuse, #{used := Used, allowed := Allowed} = Seen, Pool) ->
    py_pool_load:memory_refusal(Pool) =:= none
        andalso log(warning, "new calls are refused for want of memory", [], Seen, Pool),
    py_pool_load:refuse(Pool, Used, max(0, Allowed));
carry_out(admit, _, Pool) ->
    py_pool_load:admit(Pool);
carry_out(pressure, Seen, #pool{name = Name} = Pool) ->
    log(warning, "the workers have more memory than their budget", [], Seen, Pool),
    _ = py_pool_board:is_first(Pool, alarm),
    alarm({set_alarm, {{py_memory, Name}, maps:with([used, allowed], Seen)}});
carry_out(calm, Seen, Pool) ->
    log(notice, "the workers' memory is within their budget again", [], Seen, Pool),
    clear(Pool).

%% There is no pressure: nothing is refused, and there is no alarm. Only an alarm that
%% was set is cleared, because clearing is an event in the log of sasl.
-spec clear(#pool{}) -> ok.
clear(#pool{name = Name} = Pool) ->
    py_pool_load:admit(Pool),
    _ = py_pool_board:forget_first(Pool, alarm) andalso alarm({clear_alarm, {py_memory, Name}}),
    ok.

%% What alarm_handler's own functions do, without needing sasl.
alarm(Event) ->
    case whereis(alarm_handler) of
        undefined -> ok;
        _ -> gen_event:notify(alarm_handler, Event)
    end.

%% ---------------------------------------------------------------------------

relieve(Workers, Pool) ->
    OsPids = [OsPid || {_, _, OsPid} <- Workers],
    Before = py_os_group:rss(OsPids),
    Deadline = py_time:deadline(?LIMIT),
    _ = py_fanout:ask(Workers, urgent, {gc, 2}, Deadline),
    _ = py_fanout:ask(Workers, urgent, trim, Deadline),
    After = py_os_group:rss(OsPids),
    ?LOG_NOTICE("pool ~tp: idle workers (~b) have collected garbage and given memory back: they have "
                "~ts now, ~ts before", [Pool#pool.name, length(Workers), mb(After), mb(Before)],
                (metadata(Pool))#{before => Before, 'after' => After}).

log(Level, Text, {Slot, _, _}, Seen, Pool) ->
    log(Level, io_lib:format(Text, [Slot]), [], Seen, Pool);
log(Level, Text, [], #{used := Used, allowed := Allowed}, #pool{name = Name} = Pool) ->
    ?LOG(Level, "pool ~tp: ~ts (~ts of ~ts)", [Name, Text, mb(Used), mb(Allowed)],
         (metadata(Pool))#{used => Used, allowed => Allowed}).

metadata(#pool{name = Name}) ->
    #{application => py, pool => Name}.

mb(Bytes) -> io_lib:format("~.1f MB", [Bytes / 1_000_000]).
