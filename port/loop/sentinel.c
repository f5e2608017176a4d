/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/sentinel.h"

#include <stdbool.h>
#include <stddef.h>

#include "loop/interrupt.h"
#include "loop/jobs.h"
#include "loop/reader.h"
#include "process/group.h"
#include "process/thread.h"
#include "wire/clock.h"
#include "wire/output.h"
#include "wire/protocol.h"

/* After the end of the input: how long a job, or Python's start, has to stop,
 * and how long Python may take to finalize. A job is interrupted at each step.
 */
#define STEP_MS 50
#define STOP_STEPS 12
#define START_STEPS 20
#define FINALIZE_MS 3000

/* The program has to end: the job must stop, or it ends with the program.
 * Unless the peer asked for that and still reads, the job gets no reply, as if
 * the program had died, because nobody has cancelled it. */
static void stop_job(unsigned long serial)
{
    if (!reader_was_asked())
        output_close();
    jobs_cancel_running();
    for (int i = 0; i < STOP_STEPS && jobs_is_running(serial); i++) {
        interrupt_main();
        if (reader_was_asked())
            reader_serve(STEP_MS);
        else
            clock_sleep(STEP_MS);
    }
    if (jobs_is_running(serial))
        group_exit(EXIT_BUSY);
}

/* Interrupts a job that is cancelled, at once and again and again: a signal
 * that comes right before a blocking call does not interrupt it, and what is
 * raised may be swallowed. `at` is when the next signal is due. Returns for how
 * many milliseconds there is nothing to do; -1: for ever. */
static int keep_interrupting(long long *at)
{
    if (!jobs_is_cancelled())
        return -1;
    const long long now = clock_now();
    if (now >= *at) {
        interrupt_main();
        *at = now + interrupt_pause() * CLOCK_NS_PER_MS;
    }
    return (int)((*at - now) / CLOCK_NS_PER_MS) + 1;
}

/* Reads for the main thread while its job runs. The job itself may have read
 * the end, while it waited for an answer: then there is no more input. */
static void watch(unsigned long serial)
{
    long long at = 0;
    while (jobs_is_running(serial) && !reader_has_ended())
        if (reader_wait(keep_interrupting(&at)))
            reader_read(true, true);
    if (jobs_is_running(serial))
        stop_job(serial);
}

/* Nothing is read, because nobody could answer yet: requests that came before
 * the end of the input are answered when Python has started. */
static void watch_start(unsigned long serial)
{
    while (jobs_is_running(serial))
        if (reader_wait_end())
            break;
    for (int i = 0; i < START_STEPS && jobs_is_running(serial); i++)
        clock_sleep(STEP_MS);
    if (jobs_is_running(serial))
        group_exit(EXIT_BUSY);
}

static void *sentinel_main(void *unused)
{
    unsigned long serial;
    while ((serial = jobs_wait_for_long()) != 0) {
        reader_take();
        if (jobs_is_python(serial))
            watch_start(serial);
        else
            watch(serial);
        reader_give();
    }
    clock_sleep(FINALIZE_MS);
    group_exit(EXIT_BUSY);
    return unused;
}

int sentinel_start(void)
{
    return thread_start(sentinel_main);
}

void sentinel_expect_exit(void)
{
    jobs_close();
}
