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
 * and how long Python may take to finalize. A job is interrupted at each step;
 * so is one that was cancelled, until it knows. */
#define STEP_MS 50
#define STOP_STEPS 12
#define START_STEPS 20
#define FINALIZE_MS 3000

/* The program is to end: the job must stop, or ends with it. Unless the peer
 * asked for that and still reads, it has no reply, as if it had died, because
 * nobody has cancelled it. */
static void stop_job(unsigned long serial)
{
    if (!reader_was_asked())
        output_close();
    for (int i = 0; i < STOP_STEPS && jobs_is_running(serial); i++) {
        jobs_cancel_running();
        interrupt_main();
        clock_sleep(STEP_MS);
    }
    if (jobs_is_running(serial))
        group_exit(EXIT_BUSY);
}

/* Reads for the main thread while its job runs. A signal that comes right
 * before a blocking call does not interrupt it, so it is repeated. */
static void watch(unsigned long serial)
{
    while (jobs_is_running(serial)) {
        bool unheard = jobs_cancel_waits();
        if (reader_wait(unheard ? STEP_MS : -1)) {
            if (reader_read(true, true) == READER_END) {
                stop_job(serial);
                return;
            }
        } else if (unheard) {
            interrupt_main();
        }
    }
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
