# SPDX-License-Identifier: Apache-2.0
# make bench: what a call costs, beside a floor measured in the same run.
# make bench-memory: what counting, limiting and sampling memory costs, as ratios.

EXTRA_PROGRAMS += bench/echo
bench_echo_LDADD =

bench_modules = \
	bench/lib/echo_server.erl \
	bench/lib/rounds.erl
bench_beams = $(bench_modules:%.erl=%.beam)
CLEANFILES += $(bench_beams) bench/echo$(EXEEXT)
EXTRA_DIST += bench/heap.escript bench/malloc.escript bench/roundtrip.escript \
	bench/sampler.escript $(bench_modules) bench/lib/workloads.py

$(bench_beams): %.beam: %.erl
	$(AM_V_ERLC)$(MKDIR_P) $(@D) && $(ERLC) +debug_info $(SWITCH_ERLCFLAGS) \
	  $(ERLCFLAGS) -o $(@D) $<

.PHONY: bench
bench: all bench/echo$(EXEEXT) $(bench_beams)
	@$(stage_env) ERL_AFLAGS='-pa "$(abs_top_builddir)/bench/lib"' \
	  ECHO='$(abs_top_builddir)/bench/echo$(EXEEXT)' \
	  $(ESCRIPT) $(srcdir)/bench/roundtrip.escript

.PHONY: bench-memory
bench-memory: all
	@$(stage_env) $(ESCRIPT) $(srcdir)/bench/heap.escript
	@$(stage_env) ERL_AFLAGS='$(polite)' $(ESCRIPT) $(srcdir)/bench/sampler.escript

# What settings of malloc cost and keep: half an hour with ROUNDS=5.
.PHONY: bench-malloc
bench-malloc: all
	@$(stage_env) $(ESCRIPT) $(srcdir)/bench/malloc.escript
