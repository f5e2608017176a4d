/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/pause.h"

#include <stdatomic.h>

#include "task/reply.h"
#include "value/python.h"
#include "wire/output.h"
#include "wire/put.h"

static bool enabled;
static atomic_bool holds;

void pause_init(bool wanted)
{
    enabled = wanted;
}

/* It does not count for the window of events: nobody reads the input now, so
 * there would never be room. */
static void tell(void)
{
    struct buf out;
    buf_init(&out, 0);
    output_begin(&out);
    put_version(&out);
    put_tuple(&out, 3);
    put_atom_z(&out, "event");
    put_atom_z(&out, "paused");
    put_atom_z(&out, "memory_error");
    Py_BEGIN_ALLOW_THREADS
    output_send(&out);
    Py_END_ALLOW_THREADS
    buf_free(&out);
}

/* Held before it is told, because `resume` may come at once. */
void pause_after_job(void)
{
    if (!reply_ran_out() || !enabled)
        return;
    atomic_store(&holds, true);
    tell();
}

bool pause_holds(void)
{
    return atomic_load(&holds);
}

void pause_end(void)
{
    atomic_store(&holds, false);
}
