# SPDX-License-Identifier: Apache-2.0
# What pyport costs, beside floors measured in the same run (README.md).
# make bench: all of it. make bench-check: fails if a goal is missed.
# make bench-compare: with the peers in ERL_LIBS. ROWS=call,eval chooses.
# make bench-memory: what counting, limiting and sampling memory costs, as ratios.

check_PROGRAMS += bench/echo
bench_echo_LDADD =

bench_modules = \
	bench/lib/bench_calls.erl \
	bench/lib/bench_figures.erl \
	bench/lib/bench_goal.erl \
	bench/lib/bench_peers.erl \
	bench/lib/bench_proc.erl \
	bench/lib/bench_program.erl \
	bench/lib/bench_python.erl \
	bench/lib/bench_rounds.erl \
	bench/lib/bench_rows.erl \
	bench/lib/bench_run.erl \
	bench/lib/bench_sides.erl \
	bench/lib/bench_stage.erl \
	bench/lib/bench_values.erl \
	bench/lib/bench_vm.erl \
	bench/lib/bench_work.erl \
	bench/lib/echo_server.erl \
	bench/report/bench_json.erl \
	bench/report/bench_machine.erl \
	bench/report/bench_plots.erl \
	bench/report/bench_text.erl
bench_beams = $(bench_modules:%.erl=%.beam)
# make check tests the suite itself.
check_DATA += $(bench_beams)
CLEANFILES += $(bench_beams) bench/echo$(EXEEXT)
EXTRA_DIST += bench/README.md bench/bench.escript bench/heap.escript \
	bench/malloc.escript bench/sampler.escript $(bench_modules) \
	bench/lib/bench_peer.py bench/lib/workloads.py

$(bench_beams): %.beam: %.erl
	$(AM_V_ERLC)$(MKDIR_P) $(@D) && $(ERLC) +debug_info $(SWITCH_ERLCFLAGS) \
	  $(ERLCFLAGS) -o $(@D) $<

bench_paths = -pa "$(abs_top_builddir)/bench/lib" \
	-pa "$(abs_top_builddir)/bench/report"
# Our module py stands ahead of a peer's.
bench_run = peers="$$ERL_LIBS"; $(stage_env) ERL_LIBS="$$ERL_LIBS:$$peers"; \
	ERL_AFLAGS='$(bench_paths)'; export ERL_AFLAGS; \
	$(ESCRIPT) $(srcdir)/bench/bench.escript

.PHONY: bench bench-check bench-compare
bench: all bench/echo$(EXEEXT) $(bench_beams)
	@$(bench_run)
bench-check: all bench/echo$(EXEEXT) $(bench_beams)
	@$(bench_run) check
bench-compare: all bench/echo$(EXEEXT) $(bench_beams)
	@$(bench_run) compare

.PHONY: bench-memory
bench-memory: all $(bench_beams)
	@$(stage_env) ERL_AFLAGS='$(bench_paths)' $(ESCRIPT) $(srcdir)/bench/heap.escript
	@$(stage_env) ERL_AFLAGS='$(bench_paths) $(polite)' \
	  $(ESCRIPT) $(srcdir)/bench/sampler.escript

# What settings of malloc cost and keep: half an hour with ROUNDS=5.
.PHONY: bench-malloc
bench-malloc: all $(bench_beams)
	@$(stage_env) ERL_AFLAGS='$(bench_paths)' $(ESCRIPT) $(srcdir)/bench/malloc.escript
