/* SPDX-License-Identifier: Apache-2.0
 *
 * spoil: whether an interrupt has left one of Python's own locks taken. Then
 * every thread that needs it waits for ever, so the worker has to be replaced,
 * and the program tells Erlang: {event, spoilt, Text}.
 *
 * GIL held, main thread.
 */
#ifndef PORT_LOOP_SPOIL_H
#define PORT_LOOP_SPOIL_H

/* Call once. 0, or -1 with an exception. */
int spoil_init(void);

/* Looks, and tells Erlang if it finds one. No job runs. */
void spoil_check(void);

#endif
