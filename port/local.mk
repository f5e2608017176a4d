# SPDX-License-Identifier: Apache-2.0
# The C program. Two archives, because the lowest layer knows no Python: it is
# compiled without the path of Python's headers.

noinst_LIBRARIES += port/libwire.a port/libport.a

WIRE_CPPFLAGS = -I$(top_srcdir)/port $(EI_CPPFLAGS)
port_libwire_a_CPPFLAGS = $(WIRE_CPPFLAGS)
port_libwire_a_SOURCES = \
	port/wire/batch.c port/wire/batch.h \
	port/wire/buf.c port/wire/buf.h \
	port/wire/bytes.h \
	port/wire/clock.c port/wire/clock.h \
	port/wire/err.c port/wire/err.h \
	port/wire/etf.c port/wire/etf.h \
	port/wire/frame.c port/wire/frame.h \
	port/wire/keys.c port/wire/keys.h \
	port/wire/lane.c port/wire/lane.h \
	port/wire/output.c port/wire/output.h \
	port/wire/protocol.h \
	port/wire/put.c port/wire/put.h \
	port/wire/queue.h \
	port/wire/request.c port/wire/request.h \
	port/wire/scan.c port/wire/scan.h \
	port/wire/utf8.h

port_libport_a_SOURCES = \
	port/value/atoms.c port/value/atoms.h \
	port/value/bigint.c port/value/bigint.h \
	port/value/classes.c port/value/classes.h \
	port/value/decode.c port/value/decode.h \
	port/value/dict.c port/value/dict.h \
	port/value/encode.c port/value/encode.h \
	port/value/exception.c port/value/exception.h \
	port/value/form.h \
	port/value/frames.c port/value/frames.h \
	port/value/memo.c port/value/memo.h \
	port/value/place.c port/value/place.h \
	port/value/python.c port/value/python.h \
	port/value/scalar.c port/value/scalar.h \
	port/value/stack.c port/value/stack.h \
	port/value/tagged.c port/value/tagged.h \
	port/value/text.c port/value/text.h \
	port/value/unique.c port/value/unique.h \
	port/task/arg.c port/task/arg.h \
	port/task/capture.c port/task/capture.h \
	port/task/chunk.c port/task/chunk.h \
	port/task/code.c port/task/code.h \
	port/task/context.c port/task/context.h \
	port/task/gc_pause.c port/task/gc_pause.h \
	port/task/handle.c port/task/handle.h \
	port/task/hint.c port/task/hint.h \
	port/task/map.c port/task/map.h \
	port/task/multicall.c port/task/multicall.h \
	port/task/name.c port/task/name.h \
	port/task/opts.c port/task/opts.h \
	port/task/reply.c port/task/reply.h \
	port/task/span.c port/task/span.h \
	port/task/task.c port/task/task.h \
	port/talk/aio.c port/talk/aio.h \
	port/talk/answer.c port/talk/answer.h \
	port/talk/awaited.c port/talk/awaited.h \
	port/talk/call.c port/talk/call.h \
	port/talk/event.c port/talk/event.h \
	port/talk/feed.c port/talk/feed.h \
	port/talk/message.c port/talk/message.h \
	port/talk/module.c port/talk/module.h \
	port/talk/wait.c port/talk/wait.h \
	port/talk/window.c port/talk/window.h \
	port/census/numbering.c port/census/numbering.h \
	port/census/sample.c \
	port/census/search.c port/census/search.h \
	port/census/sweep.c port/census/sweep.h \
	port/census/tally.c port/census/tally.h \
	port/op/bill.c port/op/bill.h \
	port/op/call.c \
	port/op/census.c \
	port/op/eval.c port/op/eval.h \
	port/op/heap.c \
	port/op/heap_limit.c \
	port/op/hello.c \
	port/op/limit.c \
	port/op/listen.c \
	port/op/memory.c \
	port/op/objects.c port/op/objects.h \
	port/op/op.c port/op/op.h \
	port/op/profile.c \
	port/op/stack.c \
	port/op/stream.c port/op/stream.h \
	port/op/trace.c port/op/trace.h \
	port/memory/chance.c port/memory/chance.h \
	port/memory/heap_account.c port/memory/heap_account.h \
	port/memory/heap_arena.c port/memory/heap_arena.h \
	port/memory/heap_hook.c port/memory/heap_hook.h \
	port/memory/heap_names.c port/memory/heap_names.h \
	port/memory/heap_numpy.c port/memory/heap_numpy.h \
	port/memory/heap_pace.c port/memory/heap_pace.h \
	port/memory/heap_profile.c port/memory/heap_profile.h \
	port/memory/heap_samples.c port/memory/heap_samples.h \
	port/memory/heap_sites.c port/memory/heap_sites.h \
	port/memory/heap_sized.c port/memory/heap_sized.h \
	port/memory/mallinfo.c port/memory/mallinfo.h \
	port/memory/malloc.c port/memory/malloc.h \
	port/memory/pages.c port/memory/pages.h \
	port/process/crash.c port/process/crash.h \
	port/process/fds.c port/process/fds.h \
	port/process/fork.c port/process/fork.h \
	port/process/group.c port/process/group.h \
	port/process/guard.c port/process/guard.h \
	port/process/limit.c port/process/limit.h \
	port/process/options.c port/process/options.h \
	port/process/sha2.c port/process/sha2.h \
	port/process/signals.c port/process/signals.h \
	port/process/thread.c port/process/thread.h \
	port/process/venv.c port/process/venv.h \
	port/loop/aide.c port/loop/aide.h \
	port/loop/clerk.c port/loop/clerk.h \
	port/loop/crew.c port/loop/crew.h \
	port/loop/handlers.c port/loop/handlers.h \
	port/loop/interp.c port/loop/interp.h \
	port/loop/interrupt.c port/loop/interrupt.h \
	port/loop/jobs.c port/loop/jobs.h \
	port/loop/moment.c port/loop/moment.h \
	port/loop/nest.c port/loop/nest.h \
	port/loop/pause.c port/loop/pause.h \
	port/loop/paths.c port/loop/paths.h \
	port/loop/reader.c port/loop/reader.h \
	port/loop/route.c port/loop/route.h \
	port/loop/sentinel.c port/loop/sentinel.h \
	port/loop/spoil.c port/loop/spoil.h \
	port/loop/work.c port/loop/work.h

# What a program needs to contain the whole of pyport.
PORT_LIBS = port/libport.a port/libwire.a $(EI_LIBS) $(PYTHON_LIBS) -lm

pyprivdir = $(pydir)/priv
pypriv_PROGRAMS = lib/py/priv/pyport
lib_py_priv_pyport_LDADD = $(PORT_LIBS)
lib_py_priv_pyport_SOURCES = port/main.c

# The Python package `erlang` that user code imports inside a worker.
pypackagedir = $(pyprivdir)/python/erlang
dist_pypackage_DATA = \
	port/python/erlang/__init__.py \
	port/python/erlang/__init__.pyi \
	port/python/erlang/_aio.py \
	port/python/erlang/_attributes.py \
	port/python/erlang/_arrays.py \
	port/python/erlang/_call.py \
	port/python/erlang/_caches.py \
	port/python/erlang/_census.py \
	port/python/erlang/_channel.py \
	port/python/erlang/_context.py \
	port/python/erlang/_decode.py \
	port/python/erlang/_encode.py \
	port/python/erlang/_form.py \
	port/python/erlang/_frames.py \
	port/python/erlang/_functions.py \
	port/python/erlang/_guard.py \
	port/python/erlang/_handle.py \
	port/python/erlang/_indent.py \
	port/python/erlang/_library.py \
	port/python/erlang/_locks.py \
	port/python/erlang/_hint.py \
	port/python/erlang/_holders.py \
	port/python/erlang/_imports.py \
	port/python/erlang/_iter.py \
	port/python/erlang/_log.py \
	port/python/erlang/_logging.py \
	port/python/erlang/_main.py \
	port/python/erlang/_memory.py \
	port/python/erlang/_names.py \
	port/python/erlang/_numpy.py \
	port/python/erlang/_output.py \
	port/python/erlang/_setup.py \
	port/python/erlang/_show.py \
	port/python/erlang/_signals.py \
	port/python/erlang/_sites.py \
	port/python/erlang/_source.py \
	port/python/erlang/_span.py \
	port/python/erlang/_spawn.py \
	port/python/erlang/_stack.py \
	port/python/erlang/_state.py \
	port/python/erlang/_tags.py \
	port/python/erlang/_threads.py \
	port/python/erlang/_times.py \
	port/python/erlang/_traceback.py \
	port/python/erlang/py.typed
EXTRA_DIST += port/python/_erlang.pyi
staged_package = $(dist_pypackage_DATA:port/%=$(stage)/priv/%)
noinst_DATA += $(staged_package)

$(staged_package): $(stage)/priv/%: port/%
	$(AM_V_GEN)$(MKDIR_P) $(@D) && cp $< $@.tmp && mv $@.tmp $@

# The package's byte code: without it every worker would compile what it starts
# with, if the folder is not writable. It is made for this very text and taken
# unchecked, because files that are copied have other times.
byte_code = $(PYTHON) -m compileall -q -f --invalidation-mode unchecked-hash
staged_byte_code = $(stage)/priv/python/.compiled
noinst_DATA += $(staged_byte_code)

$(staged_byte_code): $(staged_package)
	$(AM_V_GEN)$(byte_code) $(stage)/priv/python/erlang && : > $@

install-data-hook:
	@$(byte_code) $(if $(DESTDIR),-s '$(DESTDIR)' -p /) \
	  '$(DESTDIR)$(pypackagedir)'
	@test -n '$(DESTDIR)' || $(SHELL) $(srcdir)/build-aux/installed '$(pydir)' \
	  '$(erlang_lib_dir)'
EXTRA_DIST += build-aux/installed

uninstall-hook:
	rm -rf '$(DESTDIR)$(pypackagedir)/__pycache__'
	-cd '$(DESTDIR)$(pydir)' 2>/dev/null && \
	  rmdir priv/python/erlang priv/python priv ebin include doc/chunks doc \
	  '$(DESTDIR)$(pydir)'
