/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/sha2.h"

#include <stdlib.h>
#include <string.h>

#include "value/python.h"

#ifdef PYPORT_NO_SHA2
#define STUB(name) \
    void name(void); \
    void name(void) \
    { \
        abort(); \
    }
SHA2_MISSING(STUB)

/* The rows behind it move up, and so does the empty row at the end. */
void sha2_remove(void)
{
    struct _inittab *row = PyImport_Inittab;
    while (row->name && strcmp(row->name, "_sha2") != 0)
        row++;
    for (; row->name; row++)
        row[0] = row[1];
}
#else
void sha2_remove(void)
{
}
#endif
