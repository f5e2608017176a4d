/* SPDX-License-Identifier: Apache-2.0
 *
 * interp: starts and ends the embedded CPython.
 */
#ifndef PORT_LOOP_INTERP_H
#define PORT_LOOP_INTERP_H

#include "process/options.h"
#include "wire/err.h"

/* Starts Python with the options' environment and paths and imports the
 * package `erlang`. The calling thread is Python's main thread and holds the
 * GIL afterwards. -1 and err has an error message for the
 * user. */
int interp_start(const struct options *options, struct err *err);

/* Ends Python: runs atexit functions, waits for threads. GIL held. */
void interp_stop(void);

#endif
