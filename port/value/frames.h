/* SPDX-License-Identifier: Apache-2.0
 *
 * frames: the stack of Python code that runs in this thread, for a caller that
 * must not disturb it, such as an allocator. Frames and tables of lines are
 * read where they lie. Nothing here allocates, counts references, locks, fails
 * or runs Python code. CPython's own structs are known in frames.c alone.
 */
#ifndef PORT_VALUE_FRAMES_H
#define PORT_VALUE_FRAMES_H

#include <stdbool.h>

#include "value/python.h"

/* Where a frame is. The names are borrowed, and gone with the code. */
struct frame_place {
    PyObject *file;
    PyObject *name;
    int line;
};

/* Whether frames of this version of CPython are known. */
bool frames_are_known(void);

/* Whether this thread runs Python in the main interpreter, and so has the GIL.
 */
bool frames_can_read(void);

/* Whether it runs Python in another interpreter that has a GIL of its own. An
 * interpreter without one shares objects with the main one, and frees them. */
bool frames_are_apart(void);

/* Writes the innermost frames, the innermost first, `most` at most; returns how
 * many. Frames that are not complete yet, and those that only C code sees, are
 * left out. Only where frames_can_read says so. */
int frames_read(struct frame_place *places, int most);

/* Copies as much of a str as fits, as UTF-8; returns how many bytes. GIL held.
 */
size_t frames_text(PyObject *text, char *to, size_t size);

#endif
