/* SPDX-License-Identifier: Apache-2.0
 *
 * capture: what a job prints goes to its caller instead of the log. One job
 * at a time, in each thread. GIL held.
 */
#ifndef PORT_TASK_CAPTURE_H
#define PORT_TASK_CAPTURE_H

#include "task/task.h"
#include "value/python.h"

/* From now on what is printed is kept. 0, or -1 with an exception. */
int capture_start(void);

/* For a thread whose tasks print to nobody but those who have asked for it:
 * what the main thread captures has nothing to do with them. Never raises. */
void capture_apart(void);

/* Sends what was printed as {Id, {output, Text}}, ahead of the reply, and ends
 * the capture. A text that does not fit is cut, and says so. Never raises; an
 * exception that is set stays set. */
void capture_send(const struct task *task);

/* The same in two steps: what was printed so far is kept no more. A new
 * reference to where it is, and where more may be printed; or NULL. Then that
 * is sent, and given up, ahead of the reply to the job with this id. Any
 * thread. Neither raises; an exception that is set stays set. */
PyObject *capture_stop(void);
void capture_send_take(const char *id, size_t n, PyObject *file);

/* What is captured now, to be captured again when a job that has run meanwhile
 * is over. A new reference, or NULL. */
PyObject *capture_now(void);
void capture_go_on_take(PyObject *captured);

#endif
