# SPDX-License-Identifier: Apache-2.0
# Programs that show the thing (test/docs/examples.escript runs them as well).

examples = \
	examples/raw_port.escript \
	examples/stdlib_survey.escript \
	examples/survey.py
EXTRA_DIST += $(examples)

.PHONY: demo
demo: all
	@$(stage_env) $(ESCRIPT) $(srcdir)/examples/stdlib_survey.escript
