# SPDX-License-Identifier: Apache-2.0
# Programs that show the thing (test/docs/examples.escript runs them as well).

exampledir = $(docdir)/examples
dist_example_SCRIPTS = \
	examples/agent.escript \
	examples/crawler.escript \
	examples/model.escript \
	examples/progress.escript \
	examples/raw_port.escript \
	examples/sessions.escript \
	examples/stdlib_survey.escript
dist_example_DATA = \
	examples/agent.py \
	examples/crawler.py \
	examples/model.py \
	examples/progress.py \
	examples/survey.py

.PHONY: demo
demo: all
	@$(stage_env) $(ESCRIPT) $(srcdir)/examples/stdlib_survey.escript
