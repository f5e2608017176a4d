/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_account: how many bytes Python's allocators hold, and whether they may
 * have more. It knows no Python. Any thread, no GIL, unless said otherwise.
 *
 * What is held is in use, or free in an arena, ready for the next object.
 * Counting what is in use would cost something for every small object, so it is
 * worked out only where it matters: when somebody asks, and near the limit.
 */
#ifndef PORT_MEMORY_HEAP_ACCOUNT_H
#define PORT_MEMORY_HEAP_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NO_LIMIT SIZE_MAX

struct heap_numbers {
    size_t current; /* bytes in use */
    size_t peak;    /* the most that was held */
    size_t limit;   /* HEAP_NO_LIMIT: there is none */
};

/* Call once, before there are threads, in the one that counts the most:
 * it counts without locking the bus. `unused` says how many of the bytes that
 * are held are free. */
void heap_account_init(size_t limit, size_t (*unused)(void));

/* Bytes that were taken from the system, and given back. */
void heap_account_add(size_t n);
void heap_account_sub(size_t n);

/* A block has another size now. The peak does not count it twice. */
void heap_account_change(size_t before, size_t after);

/* Whether the running job may have n bytes more, to be asked in this order. The
 * first is quick: true if the limit is so far away that no closer look is
 * needed. The second looks: `taken` is how much more will be held, of which
 * `used` is in use at once. Between jobs, and in a thread that is exempt, there
 * is always room. The first time that there is none, the job gets a reserve
 * until it ends, so that it can still say what has happened. */
bool heap_account_is_far(size_t n);
bool heap_account_has_room(size_t taken, size_t used);

/* The calling thread is never refused anything. */
void heap_account_exempt_thread(void);

/* A job begins and ends. Of several at once the first begins and the last ends:
 * what is limited is the heap, in between. With the GIL. */
void heap_account_begin_job(void);
void heap_account_end_job(void);

/* The job has got over what it was refused: what fails from now on has other
 * reasons. */
void heap_account_forget_refusal(void);

/* A new limit; it also holds for a running job, whatever that already has. */
void heap_account_set_limit(size_t limit);

/* Whether nine tenths of the limit are in use; where a closer look would be
 * needed, this takes one only now and then. Main thread, between jobs. */
bool heap_account_is_nearly_full(void);

/* The peak begins anew: it is the most that is held from now on. */
void heap_account_reset_peak(void);

/* Watches the most that is held, independently of the peak, from the first call
 * to the second. The first returns what is held now, the second the most that
 * was held. Main thread. */
size_t heap_account_watch(void);
size_t heap_account_watched(void);

void heap_account_read(struct heap_numbers *numbers);

/* Writes what the running job, or the last one, was refused. False: nothing. */
bool heap_account_describe(char *text, size_t size);

#endif
