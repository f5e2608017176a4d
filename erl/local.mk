# SPDX-License-Identifier: Apache-2.0
# The OTP application.

erl_sources = \
	erl/src/py.erl \
	erl/src/py_channel.erl \
	erl/src/py_context.erl \
	erl/src/py_handle.erl \
	erl/src/py_app.erl \
	erl/src/py_sup.erl \
	erl/src/py_mem.erl \
	erl/src/py_profile.erl \
	erl/src/py_state.erl \
	erl/src/call/py_args.erl \
	erl/src/call/py_async.erl \
	erl/src/call/py_binding.erl \
	erl/src/call/py_fanout.erl \
	erl/src/call/py_handles.erl \
	erl/src/call/py_iter.erl \
	erl/src/call/py_message.erl \
	erl/src/call/py_named.erl \
	erl/src/call/py_opening.erl \
	erl/src/call/py_option.erl \
	erl/src/call/py_options.erl \
	erl/src/call/py_parallel.erl \
	erl/src/call/py_place.erl \
	erl/src/call/py_request.erl \
	erl/src/call/py_target.erl \
	erl/src/stream/py_channel_queue.erl \
	erl/src/stream/py_channel_server.erl \
	erl/src/stream/py_stream.erl \
	erl/src/stream/py_stream_push.erl \
	erl/src/memory/py_pool_budget.erl \
	erl/src/memory/py_pool_history.erl \
	erl/src/memory/py_pool_limit.erl \
	erl/src/memory/py_pool_relief.erl \
	erl/src/memory/py_pool_sampler.erl \
	erl/src/memory/py_pool_trim.erl \
	erl/src/memory/py_pool_usage.erl \
	erl/src/pool/py_pool.erl \
	erl/src/pool/py_pool_board.erl \
	erl/src/pool/py_pool_define.erl \
	erl/src/pool/py_pool_drain.erl \
	erl/src/pool/py_pool_kept.erl \
	erl/src/pool/py_pool_life.erl \
	erl/src/pool/py_pool_load.erl \
	erl/src/pool/py_pool_log.erl \
	erl/src/pool/py_pool_options.erl \
	erl/src/memory/py_pool_quarantine.erl \
	erl/src/pool/py_pool_queue.erl \
	erl/src/memory/py_pool_recycle.erl \
	erl/src/pool/py_pool_roll.erl \
	erl/src/pool/py_pool_slots.erl \
	erl/src/pool/py_pool_steps.erl \
	erl/src/pool/py_pool_sup.erl \
	erl/src/pool/py_pool_tend.erl \
	erl/src/pool/py_pools.erl \
	erl/src/worker/py_worker.erl \
	erl/src/worker/py_worker_bill.erl \
	erl/src/worker/py_worker_boot.erl \
	erl/src/worker/py_worker_end.erl \
	erl/src/worker/py_worker_jobs.erl \
	erl/src/worker/py_worker_ladder.erl \
	erl/src/worker/py_worker_live.erl \
	erl/src/worker/py_worker_memory.erl \
	erl/src/worker/py_worker_reaper.erl \
	erl/src/worker/py_worker_rest.erl \
	erl/src/worker/py_worker_send.erl \
	erl/src/worker/py_worker_streams.erl \
	erl/src/worker/py_worker_sup.erl \
	erl/src/worker/py_worker_tenure.erl \
	erl/src/worker/py_worker_urgent.erl \
	erl/src/worker/py_worker_view.erl \
	erl/src/talk/py_talk_call.erl \
	erl/src/talk/py_talk_calls.erl \
	erl/src/talk/py_talk_events.erl \
	erl/src/talk/py_talk_functions.erl \
	erl/src/talk/py_talk_given.erl \
	erl/src/talk/py_talk_inbox.erl \
	erl/src/talk/py_talk_line.erl \
	erl/src/talk/py_talk_log.erl \
	erl/src/talk/py_talk_question.erl \
	erl/src/talk/py_talk_sender.erl \
	erl/src/talk/py_talk_span.erl \
	erl/src/talk/py_talk_state.erl \
	erl/src/os/py_os_cgroup.erl \
	erl/src/os/py_os_exit.erl \
	erl/src/os/py_os_group.erl \
	erl/src/os/py_os_lane.erl \
	erl/src/os/py_os_limit.erl \
	erl/src/os/py_os_port.erl \
	erl/src/os/py_os_proc.erl \
	erl/src/os/py_os_room.erl \
	erl/src/os/py_os_rss.erl \
	erl/src/wire/py_ask.erl \
	erl/src/wire/py_exception.erl \
	erl/src/wire/py_external.erl \
	erl/src/wire/py_multicall.erl \
	erl/src/wire/py_pace.erl \
	erl/src/wire/py_result.erl \
	erl/src/wire/py_secret.erl \
	erl/src/wire/py_table.erl \
	erl/src/wire/py_time.erl \
	erl/src/wire/py_unknown_atom.erl \
	erl/src/wire/py_watch.erl \
	erl/src/wire/py_wire.erl \
	erl/src/job/py_awaited.erl \
	erl/src/job/py_job.erl \
	erl/src/job/py_turn.erl \
	erl/src/look/py_mem_census.erl \
	erl/src/look/py_mem_detail.erl \
	erl/src/look/py_mem_diagnosis.erl \
	erl/src/look/py_mem_history.erl \
	erl/src/look/py_mem_fit.erl \
	erl/src/look/py_mem_leak.erl \
	erl/src/look/py_mem_limit.erl \
	erl/src/look/py_mem_overview.erl \
	erl/src/look/py_mem_referrers.erl \
	erl/src/look/py_mem_sites.erl \
	erl/src/look/py_mem_stats.erl \
	erl/src/look/py_mem_tend.erl \
	erl/src/look/py_mem_top.erl \
	erl/src/look/py_mem_traced.erl \
	erl/src/look/py_stack.erl \
	erl/src/profile/py_profile_flame.erl \
	erl/src/profile/py_profile_heap.erl \
	erl/src/profile/py_profile_sites.erl \
	erl/src/show/py_mem_figure.erl \
	erl/src/show/py_mem_report.erl \
	erl/src/top/py_top.erl \
	erl/src/top/py_top_args.erl \
	erl/src/top/py_top_functions.erl \
	erl/src/top/py_top_node.erl \
	erl/src/top/py_top_signal.erl \
	erl/src/top/py_top_state.erl \
	erl/src/top/py_top_tty.erl \
	erl/src/top/py_top_view.erl \
	erl/src/top/py_top_worker.erl
erl_headers = \
	erl/include/py.hrl \
	erl/include/py_worker_jobs.hrl \
	erl/include/py_worker_live.hrl
erl_modules = $(basename $(notdir $(erl_sources)))
erl_beams = $(erl_modules:%=$(stage)/ebin/%.beam)
EXTRA_DIST += $(erl_sources) $(erl_headers) erl/src/py.app.src

pyebindir = $(pydir)/ebin
nodist_pyebin_DATA = $(erl_beams) $(stage)/ebin/py.app
pyincludedir = $(pydir)/include
nodist_pyinclude_DATA = $(stage)/include/py_protocol.hrl

AM_ERLCFLAGS = -Wall +debug_info +deterministic +warn_unused_import \
	+warn_export_vars +warn_missing_spec $(SWITCH_ERLCFLAGS)
erl_includes = -I $(stage)/include -I $(srcdir)/erl/include
AM_V_ERLC = $(AM_V_ERLC_@AM_V@)
AM_V_ERLC_ = $(AM_V_ERLC_@AM_DEFAULT_V@)
AM_V_ERLC_0 = @echo "  ERLC    " $@;

# One erlc for all that is new, because it takes longer to start than to compile
# most modules. Every header rebuilds every module.
erl_compiled = $(stage)/.compiled
erl_new = $(if $(filter %.hrl Makefile,$?),$(filter %.erl,$^),$(filter %.erl,$?))
$(erl_compiled): $(erl_sources) $(erl_headers) $(nodist_pyinclude_DATA) Makefile
	$(AM_V_ERLC)$(MKDIR_P) $(stage)/ebin && $(ERLC) $(AM_ERLCFLAGS) \
	  $(erl_includes) -pa $(stage)/ebin $(ERLCFLAGS) -o $(stage)/ebin \
	  $(erl_new) && touch $@

# One that somebody has removed is made anew, with all others.
$(erl_beams): $(erl_compiled)
	@test -f $@ || { rm -f $(erl_compiled); \
	  $(MAKE) $(AM_MAKEFLAGS) $(erl_compiled); }

# What h(py, call) says in the shell, beside the beams, where it looks for it.
erl_public = py py_channel py_context py_handle py_mem py_profile py_state
erl_public_sources = $(foreach m,$(erl_public),$(filter %/$(m).erl,$(erl_sources)))
erl_chunks = $(erl_public:%=$(stage)/doc/chunks/%.chunk)
pychunksdir = $(pydir)/doc/chunks
nodist_pychunks_DATA = $(erl_chunks)
$(erl_chunks): $(stage)/doc/chunks/%.chunk: $(erl_public_sources) \
		$(erl_headers) $(nodist_pyinclude_DATA) build-aux/chunks.escript
	$(AM_V_GEN)$(ESCRIPT) $(srcdir)/build-aux/chunks.escript $@ \
	  $(filter %/$*.erl,$^) $(stage)/include $(srcdir)/erl/include
EXTRA_DIST += build-aux/chunks.escript

# What both sides know, from the one place where it is written.
$(stage)/include/py_protocol.hrl: port/wire/protocol.h build-aux/protocol.awk
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(AWK) \
	  -f $(srcdir)/build-aux/protocol.awk $(srcdir)/port/wire/protocol.h \
	  >$@.tmp && mv $@.tmp $@
EXTRA_DIST += build-aux/protocol.awk

# py.app.src is as rebar3 wants it; here version and modules are filled in.
$(stage)/ebin/py.app: erl/src/py.app.src Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && modules=`echo $(erl_modules) | \
	  $(SED) 's/ /, /g'` && $(SED) -e 's/{vsn, git}/{vsn, "$(VERSION)"}/' \
	  -e "s/{modules, \[\]}/{modules, [$$modules]}/" \
	  $(srcdir)/erl/src/py.app.src >$@.tmp && mv $@.tmp $@

# py_top watches a node from outside: one file, which can be copied anywhere.
nodist_bin_SCRIPTS = bin/py_top
top_files = py.app py_mem_figure.beam \
	$(notdir $(filter $(stage)/ebin/py_top%,$(erl_beams)))
bin/py_top: $(top_files:%=$(stage)/ebin/%) build-aux/archive.escript
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(ESCRIPT) \
	  $(srcdir)/build-aux/archive.escript $@ py_top $(stage)/ebin $(top_files)
EXTRA_DIST += build-aux/archive.escript
CLEANFILES += bin/py_top

# Dialyzer's table of OTP's own applications takes a minute, once.
plt = dialyzer/otp-$(ERLANG_OTP_RELEASE).plt
.PHONY: dialyzer
dialyzer: all
	@if test '$(DIALYZER)' = no; then \
	  echo 'dialyzer: SKIP: not found (Debian: erlang-dialyzer)'; \
	else \
	  $(MAKE) $(AM_MAKEFLAGS) $(plt) && \
	  $(DIALYZER) --plt $(plt) -Wunmatched_returns -Werror_handling \
	    -Wunknown $(erl_beams); \
	fi

$(plt):
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(DIALYZER) --build_plt --quiet \
	  --output_plt $@.tmp --apps erts kernel stdlib && mv $@.tmp $@
