/* SPDX-License-Identifier: Apache-2.0
 *
 * paths: where modules are found. A file of the user may have the name of one
 * of Python's modules, or of ours. So while we import what the program needs,
 * our own directory is the first, and those of PYTHONPATH are the last.
 */
#ifndef PORT_LOOP_PATHS_H
#define PORT_LOOP_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "process/options.h"

/* Between these two the program imports its own modules. Afterwards sys.path
 * has the options' directories first, in their order, and ours last, so that it
 * hides nothing of theirs. 0, or -1 with an exception. GIL held. */
int paths_begin(void);
int paths_finish(const struct options *options);

/* Whether a directory of the user's may have a file with the name of a module
 * that the program needs: then nothing may be imported later. No GIL. */
bool paths_may_hide(const struct options *options);

/* When Python could not start: whether a file in PYTHONPATH has the name of a
 * module that Python needs to start. If so, `file` is its name. No GIL. */
bool paths_in_the_way(char *file, size_t size);

#endif
