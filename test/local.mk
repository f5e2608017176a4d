# SPDX-License-Identifier: Apache-2.0
# make check: Erlang scripts and C programs, all of them printing TAP.

# The pure modules by themselves: fast, so they are first.
unit_scripts = \
	test/unit/ask.escript \
	test/unit/awaited.escript \
	test/unit/bench.escript \
	test/unit/boot.escript \
	test/unit/budget.escript \
	test/unit/census.escript \
	test/unit/channel_queue.escript \
	test/unit/define.escript \
	test/unit/diagnosis.escript \
	test/unit/exception.escript \
	test/unit/external.escript \
	test/unit/figure.escript \
	test/unit/fit.escript \
	test/unit/history.escript \
	test/unit/job.escript \
	test/unit/jobs.escript \
	test/unit/ladder.escript \
	test/unit/limit.escript \
	test/unit/line.escript \
	test/unit/load.escript \
	test/unit/mem.escript \
	test/unit/mem_figure.escript \
	test/unit/mem_report.escript \
	test/unit/multicall.escript \
	test/unit/memory.escript \
	test/unit/options.escript \
	test/unit/pace.escript \
	test/unit/os_exit.escript \
	test/unit/os_limit.escript \
	test/unit/profile.escript \
	test/unit/quarantine.escript \
	test/unit/queue.escript \
	test/unit/recycle.escript \
	test/unit/referrers.escript \
	test/unit/rest.escript \
	test/unit/result.escript \
	test/unit/roll.escript \
	test/unit/room.escript \
	test/unit/rooms.escript \
	test/unit/send.escript \
	test/unit/sites.escript \
	test/unit/slots.escript \
	test/unit/steps.escript \
	test/unit/streams.escript \
	test/unit/tenure.escript \
	test/unit/time.escript \
	test/unit/top.escript \
	test/unit/top_args.escript \
	test/unit/top_state.escript \
	test/unit/top_view.escript \
	test/unit/trim.escript \
	test/unit/turn.escript \
	test/unit/unknown_atom.escript \
	test/unit/urgent.escript \
	test/unit/watch.escript \
	test/unit/wire.escript

test_scripts = \
	test/bench/bench.escript \
	test/call/api.escript \
	test/call/arrays.escript \
	test/call/async.escript \
	test/call/atoms.escript \
	test/call/binding.escript \
	test/call/cancel.escript \
	test/call/chunks.escript \
	test/call/code.escript \
	test/call/context.escript \
	test/call/coroutines.escript \
	test/call/context_copy.escript \
	test/call/context_end.escript \
	test/call/context_named.escript \
	test/call/context_opening.escript \
	test/call/deadline.escript \
	test/call/decoders.escript \
	test/call/errors.escript \
	test/call/handle.escript \
	test/call/handle_count.escript \
	test/call/handle_end.escript \
	test/call/leave_stream.escript \
	test/call/interrupt.escript \
	test/call/large.escript \
	test/call/library.escript \
	test/call/limits.escript \
	test/call/parallel.escript \
	test/call/prop.escript \
	test/call/push.escript \
	test/call/sources.escript \
	test/call/stream.escript \
	test/call/stream_async.escript \
	test/call/tags.escript \
	test/call/threads.escript \
	test/call/threads_stream.escript \
	test/call/uvloop.escript \
	test/call/values.escript \
	test/call/where.escript \
	test/docs/docs.escript \
	test/docs/examples.escript \
	test/docs/pages.escript \
	test/docs/reference.escript \
	test/memory/collector.escript \
	test/memory/bill.escript \
	test/memory/budget.escript \
	test/memory/census.escript \
	test/memory/cgroup.escript \
	test/memory/diagnosis.escript \
	test/memory/give_back.escript \
	test/memory/guide.escript \
	test/memory/history.escript \
	test/memory/malloc.escript \
	test/memory/leak_test.escript \
	test/memory/profile.escript \
	test/memory/profile_soak.escript \
	test/memory/limits.escript \
	test/memory/referrers.escript \
	test/memory/report.escript \
	test/memory/set_memory.escript \
	test/memory/heap.escript \
	test/memory/rss.escript \
	test/memory/returns.escript \
	test/memory/stats.escript \
	test/memory/traced.escript \
	test/memory/trace.escript \
	test/memory/target.escript \
	test/memory/trim.escript \
	test/peer/async.escript \
	test/peer/callback.escript \
	test/peer/calls.escript \
	test/peer/channel.escript \
	test/peer/context.escript \
	test/peer/isolated.escript \
	test/peer/logging.escript \
	test/peer/pid_send.escript \
	test/peer/reentrant.escript \
	test/peer/ref.escript \
	test/peer/state.escript \
	test/pool/awaiting.escript \
	test/pool/definitions.escript \
	test/pool/drain.escript \
	test/pool/restart.escript \
	test/pool/lives.escript \
	test/pool/named.escript \
	test/pool/options.escript \
	test/pool/pool.escript \
	test/pool/quarantine.escript \
	test/pool/queue.escript \
	test/pool/recycle.escript \
	test/pool/sampler.escript \
	test/pool/sched.escript \
	test/pool/secrets.escript \
	test/pool/soak.escript \
	test/pool/starts.escript \
	test/pool/supervised.escript \
	test/program/awaiting.escript \
	test/program/batch.escript \
	test/program/frames.escript \
	test/program/handles.escript \
	test/program/heap.escript \
	test/program/instructions.escript \
	test/program/lane.escript \
	test/program/multicall.escript \
	test/program/names.escript \
	test/program/paths.escript \
	test/program/profile.escript \
	test/program/program.escript \
	test/program/random.escript \
	test/program/static.escript \
	test/program/threads.escript \
	test/program/version.escript \
	test/talk/chains.escript \
	test/talk/channel.escript \
	test/talk/call_async.escript \
	test/talk/functions.escript \
	test/talk/funs.escript \
	test/talk/iter.escript \
	test/talk/nested.escript \
	test/talk/nested_threads.escript \
	test/talk/nesting.escript \
	test/talk/self.escript \
	test/talk/span.escript \
	test/talk/state.escript \
	test/talk/on_message.escript \
	test/talk/receive.escript \
	test/top/top.escript \
	test/worker/busy.escript \
	test/worker/capture.escript \
	test/worker/death.escript \
	test/worker/fresh.escript \
	test/worker/guard.escript \
	test/worker/lastwords.escript \
	test/worker/logs.escript \
	test/worker/orphans.escript \
	test/worker/send.escript \
	test/worker/spawned.escript \
	test/worker/thread.escript \
	test/worker/userproc.escript \
	test/worker/watch.escript

# What memory is kept: meaningless where a sanitizer keeps it longer.
memory_scripts = test/memory/flat.escript

# Modules that the scripts share.
test_modules = \
	test/lib/elsewhere.erl \
	test/lib/fixture.erl \
	test/lib/logbook.erl \
	test/lib/loopback.erl \
	test/lib/markdown.erl \
	test/lib/measure/figure.erl \
	test/lib/measure/instructions.erl \
	test/lib/measure/machine.erl \
	test/lib/measure/ticker.erl \
	test/lib/option_table.erl \
	test/lib/osproc.erl \
	test/lib/prop/erlang_terms.erl \
	test/lib/prop/generate.erl \
	test/lib/prop/nesting.erl \
	test/lib/prop/pool_lives.erl \
	test/lib/prop/python_values.erl \
	test/lib/raw.erl \
	test/lib/session.erl \
	test/lib/table.erl \
	test/lib/tap.erl \
	test/lib/tiny_rows.erl \
	test/lib/traffic.erl \
	test/lib/vm.erl
test_beams = $(patsubst %.erl,test/lib/%.beam,$(notdir $(test_modules)))
check_DATA += $(test_beams)
CLEANFILES += $(test_beams)

# All in one folder, whatever folder their sources are in.
vpath %.erl $(sort $(dir $(addprefix $(srcdir)/,$(test_modules))))
$(test_beams): test/lib/%.beam: %.erl
	$(AM_V_ERLC)$(MKDIR_P) $(@D) && $(ERLC) +debug_info $(SWITCH_ERLCFLAGS) \
	  $(ERLCFLAGS) -o $(@D) $<

# Python that misbehaves on purpose, and other material of the tests.
test_data = \
	test/program/instructions.table \
	test/py/arrow.py \
	test/py/atoms.py \
	test/py/callbacks.py \
	test/py/chatty.py \
	test/py/clean.py \
	test/py/crew.py \
	test/py/drip.py \
	test/py/farewell.py \
	test/py/forks.py \
	test/py/given.py \
	test/py/glutton.py \
	test/py/hoard.py \
	test/py/handlers.py \
	test/py/inbox.py \
	test/py/loads.py \
	test/py/leaky.py \
	test/py/locks.py \
	test/py/mailer.py \
	test/py/misbehave.py \
	test/py/nested.py \
	test/py/nesting.py \
	test/py/package.py \
	test/py/peer.py \
	test/py/planted.py \
	test/py/processor.py \
	test/py/procs.py \
	test/py/profiled.py \
	test/py/raiser.py \
	test/py/samples.py \
	test/py/shared.py \
	test/py/slow_import.py \
	test/py/spans.py \
	test/py/terminal.py \
	test/py/waits.py \
	test/py/wedge.py \
	test/c/embed.h \
	test/c/peer.h \
	test/c/profiled.h \
	test/c/rows.h \
	test/c/show.h \
	test/c/talk.h \
	test/c/terms.h \
	test/c/values.h

# C tests, one program for each file.
c_tests = \
	test/c/loop/test_jobs \
	test/c/loop/test_route \
	test/c/memory/test_account \
	test/c/memory/test_heap \
	test/c/memory/test_profile \
	test/c/memory/test_reentry \
	test/c/memory/test_stacks \
	test/c/op/test_stream \
	test/c/talk/test_call \
	test/c/talk/test_event \
	test/c/talk/test_message \
	test/c/task/test_code \
	test/c/task/test_multicall \
	test/c/value/test_atoms \
	test/c/value/test_exception \
	test/c/value/test_nomemory \
	test/c/value/test_value \
	test/c/wire/test_batch \
	test/c/wire/test_buf \
	test/c/wire/test_frame \
	test/c/wire/test_keys \
	test/c/wire/test_lane \
	test/c/wire/test_put \
	test/c/wire/test_request \
	test/c/wire/test_scan
LDADD = $(PORT_LIBS) $(CMOCKA_LIBS)
# The hook as it is in builds for tests, whatever this build is.
test_c_memory_test_reentry_SOURCES = test/c/memory/test_reentry.c port/memory/heap_profile.c
test_c_memory_test_reentry_CPPFLAGS = $(AM_CPPFLAGS) -UPYPORT_CHECKS -DPYPORT_CHECKS=1
test_c_memory_test_stacks_SOURCES = test/c/memory/test_stacks.c port/memory/heap_profile.c
test_c_memory_test_stacks_CPPFLAGS = $(AM_CPPFLAGS) -UPYPORT_CHECKS -DPYPORT_CHECKS=1
test_c_memory_test_profile_SOURCES = test/c/memory/test_profile.c port/memory/heap_profile.c
test_c_memory_test_profile_CPPFLAGS = $(AM_CPPFLAGS) -UPYPORT_CHECKS -DPYPORT_CHECKS=1
# Those in which memory runs out.
test_c_wire_test_buf_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=realloc
test_c_wire_test_frame_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc
test_c_loop_test_route_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc

TESTS += $(unit_scripts)
if HAVE_CMOCKA
check_PROGRAMS += $(c_tests)
TESTS += $(c_tests)
else
TESTS += test/no-cmocka.escript
endif
TESTS += $(test_scripts)
if !ENABLE_SANITIZERS
TESTS += $(memory_scripts)
endif

EXTRA_DIST += test/README.md test/run test/lsan.supp test/no-cmocka.escript \
	$(unit_scripts) $(test_scripts) $(memory_scripts) $(install_scripts) \
	$(test_modules) \
	$(test_data)

# They build everything anew in other places, which takes minutes, so `make check`
# leaves them to this.
install_scripts = \
	test/install/install.escript \
	test/install/mix.escript \
	test/install/rebar3.escript
.PHONY: check-install
check-install: all
	@TEST_TIMEOUT=1800 $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(install_scripts)'

TEST_EXTENSIONS = .escript
tap_driver = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(tap_driver)
LOG_COMPILER = $(SHELL) $(top_srcdir)/test/run
ESCRIPT_LOG_DRIVER = $(tap_driver)
ESCRIPT_LOG_COMPILER = $(SHELL) $(top_srcdir)/test/run $(ESCRIPT)

# What every script that uses the staged application needs to find.
stage_env = \
	top_srcdir='$(abs_top_srcdir)'; \
	top_builddir='$(abs_top_builddir)'; \
	PYTHON='$(PYTHON)'; \
	PYPORT='$(abs_top_builddir)/$(stage)/priv/pyport'; \
	ERL_LIBS='$(abs_top_builddir)/lib'; \
	export top_srcdir top_builddir PYTHON PYPORT ERL_LIBS;
# What the program was compiled with, and how: its instructions are counted.
build_env = \
	PYPORT_CC='$(CC)'; \
	PYPORT_CFLAGS='$(CFLAGS) $(SWITCH_CFLAGS)'; \
	PYPORT_LINK='$(pyport_link)'; \
	export PYPORT_CC PYPORT_CFLAGS PYPORT_LINK;
# A VM that waits spins for a while in case that something comes. Where others
# need the CPUs, it uses up its share of them by that, and is then late when
# something comes: beside two processes that burn both CPUs, timer:sleep(100)
# takes 100 to 400 ms with it, and 100 to 106 without.
polite = +sbwt none +sbwtdcpu none +sbwtdio none
# A bare chroot has no locale; names that are not ASCII need one.
AM_TESTS_ENVIRONMENT = $(stage_env) \
	LC_ALL=C.UTF-8; \
	ERL_AFLAGS='-pa "$(abs_top_builddir)/test/lib" $(bench_paths) $(polite)'; \
	CMOCKA_MESSAGE_OUTPUT=TAP; \
	PYPORT_SANITIZERS='$(SANITIZERS)'; \
	$(build_env) \
	export LC_ALL ERL_AFLAGS CMOCKA_MESSAGE_OUTPUT PYPORT_SANITIZERS; \
	$(sanitizer_env)

# Python's own allocator hides objects from AddressSanitizer. A thread that wants the
# GIL after Python's end is ended by pthread_exit, which leaves marks on its stack: with
# a signal stack of its own AddressSanitizer would take them for an overflow.
if ENABLE_SANITIZERS
sanitizer_env = \
	PYTHONMALLOC=malloc; \
	ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:quarantine_size_mb=8:use_sigaltstack=0:$$ASAN_OPTIONS"; \
	LSAN_OPTIONS="suppressions=$(abs_top_srcdir)/test/lsan.supp:print_suppressions=0:$$LSAN_OPTIONS"; \
	UBSAN_OPTIONS="print_stacktrace=1:$$UBSAN_OPTIONS"; \
	export PYTHONMALLOC ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS;
endif

# make soak SECONDS=3600: what `make check` does for a few seconds.
SECONDS = 60
.PHONY: soak soak-profile leak
soak: all $(test_beams)
	@$(stage_env) ERL_AFLAGS='-pa "$(abs_top_builddir)/test/lib" $(polite)' \
	  SOAK_SECONDS='$(SECONDS)' TEST_TIMEOUT=infinity \
	  $(SHELL) $(srcdir)/test/run $(ESCRIPT) $(srcdir)/test/pool/soak.escript

# make soak-profile SECONDS=600: the same for the heap's samples.
soak-profile: all $(test_beams)
	@$(stage_env) $(sanitizer_env) \
	  ERL_AFLAGS='-pa $(abs_top_builddir)/test/lib $(polite)' \
	  SOAK_SECONDS='$(SECONDS)' TEST_TIMEOUT=infinity \
	  PYPORT_SANITIZERS='$(SANITIZERS)' \
	  $(SHELL) $(srcdir)/test/run $(ESCRIPT) \
	  $(srcdir)/test/memory/profile_soak.escript

# make leak CALLS=100000: the same for a function that leaks, in a pool that
# recycles its workers.
leak: all $(test_beams)
	@$(stage_env) ERL_AFLAGS='-pa "$(abs_top_builddir)/test/lib" $(polite)' \
	  CALLS='$(CALLS)' TEST_TIMEOUT=infinity \
	  $(SHELL) $(srcdir)/test/run $(ESCRIPT) $(srcdir)/test/pool/recycle.escript

# make instructions: counts anew what test/program/instructions.escript compares.
.PHONY: instructions
instructions: all $(test_beams)
	@$(stage_env) $(build_env) ERL_AFLAGS='-pa $(abs_top_builddir)/test/lib' \
	  $(ESCRIPT) $(srcdir)/test/program/instructions.escript renew

# libFuzzer's targets; `make fuzz` runs each for FUZZ_SECONDS, and keeps what
# it learns in the build directory.
FUZZ_SECONDS = 30
fuzz_targets = test/fuzz/fuzz_scan test/fuzz/fuzz_batch test/fuzz/fuzz_decode \
	test/fuzz/fuzz_lane
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
EXTRA_PROGRAMS += $(fuzz_targets)
EXTRA_DIST += test/fuzz/fuzz.h test/fuzz/make_corpus.escript
test_fuzz_fuzz_scan_LDFLAGS = $(fuzz_ldflags)
test_fuzz_fuzz_batch_LDFLAGS = $(fuzz_ldflags)
test_fuzz_fuzz_decode_LDFLAGS = $(fuzz_ldflags)
test_fuzz_fuzz_lane_LDFLAGS = $(fuzz_ldflags)
fuzz_flags = -max_total_time=$(FUZZ_SECONDS) -verbosity=0 -print_funcs=0 \
	-print_final_stats=1 \
	-artifact_prefix=./

# $(call fuzz,NAME,CORPUS...): one target, which learns into the first corpus.
fuzz = $(stage_env) $(sanitizer_env) cd test/fuzz && ./fuzz_$(1) $(fuzz_flags) \
	$(addprefix corpus/,$(2))

.PHONY: fuzz fuzz-corpus fuzz-scan fuzz-batch fuzz-decode fuzz-lane
if ENABLE_FUZZ
noinst_PROGRAMS = $(fuzz_targets)
fuzz: fuzz-scan fuzz-batch fuzz-decode fuzz-lane
fuzz-corpus: all
	@$(ESCRIPT) $(srcdir)/test/fuzz/make_corpus.escript test/fuzz/corpus
fuzz-scan: fuzz-corpus
	@$(call fuzz,scan,terms requests)
fuzz-batch: fuzz-corpus
	@$(call fuzz,batch,batches requests)
fuzz-decode: fuzz-corpus
	@$(call fuzz,decode,terms)
fuzz-lane: fuzz-corpus
	@$(call fuzz,lane,lane)
else
fuzz:
	@echo 'fuzz: configure with CC=clang --enable-fuzz first'; exit 1
endif
