/* SPDX-License-Identifier: Apache-2.0
 *
 * fds: file descriptors. The protocol's two are moved where no Python code, C
 * library or child process can reach them by accident. No Python, no GIL.
 */
#ifndef PORT_PROCESS_FDS_H
#define PORT_PROCESS_FDS_H

#include <stdbool.h>

#include "wire/err.h"

/* Moves the protocol from 0 and 1 to private close-on-exec descriptors; 0
 * becomes /dev/null, 1 becomes 2. 0, or -1 with err. Call first of all. */
int fds_take(struct err *err);

/* The descriptor of the input, of the output, and the one that becomes
 * readable by fds_kick (wait on it beside the input). */
int fds_input(void);
int fds_output(void);
int fds_kicked(void);

/* Wakes a thread that waits on fds_kicked; fds_unkick takes it back. Any
 * thread; fds_kick also in a signal handler. */
void fds_kick(void);
void fds_unkick(void);

/* From now on the input is at its end, even for a thread that is about to
 * read. For a signal handler. */
void fds_end_input(void);

/* Whether that has been called. Any thread. */
bool fds_input_ended(void);

/* Closes the protocol's descriptors in a forked child. */
void fds_close(void);

#endif
