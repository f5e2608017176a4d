/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/pause.h"

#include <stdatomic.h>

#include "memory/heap_account.h"
#include "talk/event.h"
#include "task/reply.h"
#include "wire/output.h"
#include "wire/put.h"

static bool enabled;
static bool told_full;
static bool failed; /* the job that runs has had an answer for want of memory */
static atomic_bool holds;

void pause_init(bool wanted)
{
    enabled = wanted;
}

static void tell(bool ran_out)
{
    struct buf out;
    event_begin(&out, "paused");
    if (ran_out)
        put_atom_z(&out, "memory_error");
    else
        put_atom_z(&out, "heap");
    output_send(&out);
    buf_free(&out);
}

static void tell_which(const char *id, size_t n)
{
    struct buf out;
    event_begin(&out, "paused");
    put_tuple(&out, 2);
    put_atom_z(&out, "memory_error");
    if (n)
        put_raw(&out, id, n);
    else
        put_atom_z(&out, "none");
    output_send(&out);
    buf_free(&out);
}

bool pause_is_due(void)
{
    failed = reply_ran_out() || failed;
    return enabled && (failed || (!told_full && heap_account_is_nearly_full()));
}

/* It holds before it tells Erlang, because `resume` may come at once. The GIL
 * is kept, so that no other thread's reply comes in between: Erlang takes what
 * was answered last for what has run out of memory. */
void pause_after_job(void)
{
    const bool ran_out = reply_ran_out() || failed;
    const bool was_full = told_full;
    told_full = enabled && heap_account_is_nearly_full();
    failed = false;
    if (!enabled || (!ran_out && (!told_full || was_full)))
        return;
    atomic_store(&holds, true);
    tell(ran_out);
}

void pause_before_reply(const char *id, size_t n)
{
    if (!enabled)
        return;
    atomic_store(&holds, true);
    tell_which(id, n);
}

bool pause_holds(void)
{
    return atomic_load(&holds);
}

void pause_end(void)
{
    atomic_store(&holds, false);
}
