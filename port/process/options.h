/* SPDX-License-Identifier: Apache-2.0
 *
 * options: the command line. No Python, no GIL.
 */
#ifndef PORT_PROCESS_OPTIONS_H
#define PORT_PROCESS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "memory/heap_hook.h"
#include "process/guard.h"
#include "process/limit.h"

struct options {
    const char *venv;   /* a virtual environment's directory, or NULL */
    const char **paths; /* directories for the front of sys.path */
    size_t n_paths;
    size_t max_frame; /* bytes */
    enum guard guard;
    struct limits limits;
    long interrupt_grace; /* ms */
    long worker;          /* its number in its pool; 0: not given */
    long threads;         /* on how many jobs run; 0, 1: on the main one */
    long concurrency;     /* how many jobs are awaited at a time; 0: none */
    struct heap_hook_options heap;
    bool pause; /* after a job that has run out of memory */
};

/* Reads the command line; the strings are argv's, `paths` is the caller's to
 * free. --help, --version, a wrong option or a terminal on the
 * input print what there is to say and end the program. */
void options_read(int argc, char **argv, struct options *options);

#endif
