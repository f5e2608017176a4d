/* SPDX-License-Identifier: Apache-2.0
 *
 * What malloc has free, given back to the kernel.
 */
#include "config.h"

#ifdef HAVE_MALLOC_TRIM
#include <malloc.h>
#endif

#include "op/op.h"
#include "task/reply.h"

/* With a million free blocks this takes 100 milliseconds, and whoever needs
 * malloc meanwhile waits. */
void op_trim(const struct task *task, struct buf *out)
{
    (void)task;
#ifdef HAVE_MALLOC_TRIM
    (void)malloc_trim(0);
    reply_ok(out);
#else
    reply_error(out, "unsupported");
#endif
}
