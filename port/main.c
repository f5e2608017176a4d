/* SPDX-License-Identifier: Apache-2.0
 *
 * pyport: Python for an Erlang VM, in an operating-system process.
 *
 * Started by open_port({spawn_executable, …}, [{packet, 4}, binary, …]).
 *   stdin   requests, each frame a term in external format (docs/protocol.md)
 *   stdout  replies and events, the same way
 *   stderr  what Python and C libraries print
 *   end     when stdin ends; the exit codes are in wire/protocol.h
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/aide.h"
#include "loop/clerk.h"
#include "loop/crew.h"
#include "loop/interp.h"
#include "loop/interrupt.h"
#include "loop/nest.h"
#include "loop/jobs.h"
#include "loop/pause.h"
#include "loop/reader.h"
#include "loop/sentinel.h"
#include "loop/work.h"
#include "process/fds.h"
#include "process/fork.h"
#include "process/group.h"
#include "process/guard.h"
#include "memory/heap_account.h"
#include "process/limit.h"
#include "memory/malloc.h"
#include "process/options.h"
#include "process/signals.h"
#include "talk/aio.h"
#include "talk/wait.h"
#include "task/code.h"
#include "task/handle.h"
#include "task/multicall.h"
#include "task/reply.h"
#include "task/task.h"
#include "value/classes.h"
#include "value/exception.h"
#include "wire/output.h"
#include "wire/protocol.h"

/* How long a VM may take until it writes its first request. */
#define FIRST_REQUEST_MS 2000

/* Says, to the VM and on the terminal, why there is no worker. A VM
 * that writes to a program which has ended does not read what it said, so this
 * waits for its first request, or for the end of input. */
static int start_failed(const struct err *err)
{
    struct pollfd input = {.fd = fds_input(), .events = POLLIN};
    struct buf out;
    buf_init(&out, 0);
    reply_begin(&out, NULL, 0);
    reply_start_failed(&out, err);
    output_send(&out);
    buf_free(&out);
    fprintf(stderr, "pyport: %s\n", err->text);
    poll(&input, 1, FIRST_REQUEST_MS);
    return EXIT_PYTHON;
}

/* Python's start runs other people's code (sitecustomize), so it is watched. */
static int start_python(const struct options *options, struct err *err)
{
    jobs_start_python();
    int rc = interp_start(options, err);
    jobs_done();
    return rc;
}

static int system_failed(const char *text)
{
    fprintf(stderr, "pyport: %s\n", text);
    return EXIT_SYSTEM;
}

/* Of the heap's own limit it is known whether it has refused something; of the
 * kernel's, only that they are in force. */
static bool describe_limits(char *text, size_t size)
{
    return heap_account_describe(text, size) || limit_describe(text, size);
}

/* What lower layers ask of higher ones. */
static void install_hooks(const struct options *options)
{
    wait_set_reader(reader_help);
    nest_init();
    aio_init(options->concurrency, jobs_is_cancelled);
    reply_on_ran_out(pause_before_reply);
    crew_init(options->threads);
    code_allow_await(options->concurrency > 0);
    multicall_init(work_goes_on);
    task_on_return(fork_end_child);
    exception_on_no_memory(describe_limits);
    classes_on_kept(handle_find);
}

int main(int argc, char **argv)
{
    struct options options;
    struct err err = {""};

    malloc_set();
    signals_default();
    group_init();
    options_read(argc, argv, &options);
    if (fds_take(&err) < 0)
        return system_failed(err.text);
    signals_init();
    output_init(fds_output(), options.max_frame);
    reader_init(fds_input(), options.max_frame);
    jobs_init();
    install_hooks(&options);
    interrupt_set_grace(options.interrupt_grace);
    pause_init(options.pause);
    if (guard_enter(options.guard, &err) < 0)
        return start_failed(&err);
    if (fork_init() < 0)
        return system_failed("no memory");
    if (sentinel_start() < 0 || aide_start() < 0 || clerk_start() < 0)
        return system_failed("cannot start a thread");
    if (limit_enter(&options.limits, &err) < 0)
        return start_failed(&err);
    int started = start_python(&options, &err);
    free(options.paths);
    if (started < 0)
        return start_failed(&err);
    int code = work_until_end();
    interp_stop();
    group_end();
    signals_end();
    return code;
}
