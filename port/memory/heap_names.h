/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_names: the places in code where samples were allocated, by numbers. The
 * names are copied: code may be freed before its samples are. The room is
 * fixed; when it is used up, only names that samples still use are kept. GIL
 * held.
 */
#ifndef PORT_MEMORY_HEAP_NAMES_H
#define PORT_MEMORY_HEAP_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "value/frames.h"

/* The place about which nothing is known. */
#define HEAP_NAMES_UNKNOWN 0
#define HEAP_NAMES_MOST 24576

struct heap_name {
    const char *file;
    size_t file_size;
    const char *name;
    size_t name_size;
    int line;
};

/* Call once. 0, or -1: there is no memory. */
int heap_names_init(void);

/* A place's number; HEAP_NAMES_UNKNOWN when there is no room left. */
uint32_t heap_names_number(const struct frame_place *place);

/* Whether there is little room left, and dropping what nobody needs would help.
 */
bool heap_names_are_full(void);

/* Begins anew, without any place: for each number that is in use, ask for the
 * new number of its place. */
void heap_names_renew(void);
uint32_t heap_names_again(uint32_t number);

/* What stands behind a number. */
struct heap_name heap_names_get(uint32_t number);

/* How many places did not fit. */
size_t heap_names_missing(void);

#endif
