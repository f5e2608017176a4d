# SPDX-License-Identifier: Apache-2.0
# The guide's pages, and the reference that edoc makes of the modules.

# Laid out as here, so that the links between them hold.
dist_doc_DATA = HACKING.md LICENSE NEWS.md README.md
guidedir = $(docdir)/docs
dist_guide_DATA = \
	docs/architecture.md \
	docs/limits.md \
	docs/leaks.md \
	docs/memory.md \
	docs/messages.md \
	docs/operation.md \
	docs/recycling.md \
	docs/protocol.md \
	docs/python.md \
	docs/security.md \
	docs/types.md \
	docs/watching.md

.PHONY: docs
docs: all
	@$(stage_env) $(ESCRIPT) $(srcdir)/build-aux/edoc.escript doc $(erl_sources)
