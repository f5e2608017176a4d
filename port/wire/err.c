/* SPDX-License-Identifier: Apache-2.0
 *
 * err: the first error as text.
 */
#include "config.h"

#include "wire/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *e, const char *fmt, ...)
{
    if (e->text[0] == '\0') {
        va_list args;
        va_start(args, fmt);
        vsnprintf(e->text, sizeof e->text, fmt, args);
        va_end(args);
    }
    return -1;
}
