/* SPDX-License-Identifier: Apache-2.0
 *
 * bill: what a job has cost, from before its arguments are decoded until its
 * value is encoded and freed. On a thread there is one job at a time, or one on
 * top of another; on other threads than the main one only its time is known
 * apart. GIL held.
 */
#ifndef PORT_OP_BILL_H
#define PORT_OP_BILL_H

#include "task/task.h"

/* Where things stand. What is not known is -1. */
struct reading {
    long long at;
    long long rss;
    long long used; /* of Python's heap, where it is counted */
    long long runs; /* of the garbage collector */
    long long pause;
};

struct bill {
    struct reading before;
    size_t held;   /* of Python's heap, with what is free in arenas */
    size_t one_in; /* of how many jobs the heap is looked at in one */
    bool looks;    /* in this one */
    struct bill *below;
};

/* The job begins. If a look at the heap takes long, BILL_SOME takes it only for
 * one job in N, chosen at random; the bill says N. */
void bill_begin(enum bill_kind kind);

/* It is over: sends {Id, {bill, Map}}, ahead of its reply. Raises nothing. */
void bill_send(const struct task *task);

/* A job begins that runs within a call of this one, and has a bill of its own,
 * without the heap, which is watched for this one; it is over. Until then the
 * memory is the caller's. */
void bill_enter(struct bill *bill);
void bill_leave(void);

#endif
