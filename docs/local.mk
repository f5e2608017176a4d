# SPDX-License-Identifier: Apache-2.0
# The guide's pages, and beside them the reference that edoc makes of the public
# modules: lib/py/doc/index.html.

# Laid out as here, so that the links between them hold.
dist_doc_DATA = HACKING.md LICENSE NEWS.md README.md SECURITY.md
guidedir = $(docdir)/docs
dist_guide_DATA = \
	docs/types.md \
	docs/python.md \
	docs/contexts.md \
	docs/handles.md \
	docs/coming_from_erlang_python.md \
	docs/asyncio.md \
	docs/threads.md \
	docs/memory.md \
	docs/limits.md \
	docs/recycling.md \
	docs/leaks.md \
	docs/profile.md \
	docs/watching.md \
	docs/recipes.md \
	docs/deploy.md \
	docs/operation.md \
	docs/security.md \
	docs/protocol.md \
	docs/architecture.md \
	docs/messages.md
guides = README.md $(dist_guide_DATA) HACKING.md SECURITY.md NEWS.md
EXTRA_DIST += build-aux/guides.escript

.PHONY: docs
docs: all
	@cp $(srcdir)/LICENSE $(stage)/doc && \
	  $(ESCRIPT) $(srcdir)/build-aux/guides.escript $(stage)/doc \
	  $(guides:%=$(srcdir)/%)
	@$(stage_env) $(ESCRIPT) $(srcdir)/build-aux/edoc.escript $(stage)/doc \
	  $(erl_public_sources)
