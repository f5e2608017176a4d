/* SPDX-License-Identifier: Apache-2.0
 *
 * task: a request while its operation runs.
 */
#ifndef PORT_TASK_TASK_H
#define PORT_TASK_TASK_H

#include <stdbool.h>

#include "task/opts.h"
#include "wire/request.h"

struct task {
    const struct request *req; /* borrowed */
    struct task_opts opts;
    size_t at; /* the argument to be decoded next */
};

/* The calling thread runs tasks beside the main thread: what it has to do with
 * printing, contexts and bills is its own. */
void task_go_aside(void);
bool task_is_aside(void);

/* Call where user code has returned, with what it raised still set, and before
 * anything is said about it: a forked child ends there (main.c installs that)
 * and does not return. GIL held. */
void task_returned(void);

/* What task_returned does, which is nothing at first. Call once, before there
 * are threads. */
void task_on_return(void (*hook)(void));

#endif
