/* SPDX-License-Identifier: Apache-2.0
 *
 * bill: what a job has cost, from before its arguments are decoded until its
 * value is encoded and freed. One job at a time, or one on top of another. Main
 * thread, GIL held.
 */
#ifndef PORT_OP_BILL_H
#define PORT_OP_BILL_H

#include "task/task.h"

/* The job begins. If a look at the heap takes long, BILL_SOME takes it only for
 * one job in N, chosen at random; the bill says N. */
void bill_begin(enum bill_kind kind);

/* It is over: sends {Id, {bill, Map}}, ahead of its reply. Raises nothing. */
void bill_send(const struct task *task);

/* A job begins that runs within a call of this one, and has a bill of its own,
 * without the heap, which is watched for this one; it is over. */
void bill_enter(void);
void bill_leave(void);

#endif
