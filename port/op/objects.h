/* SPDX-License-Identifier: Apache-2.0
 *
 * objects: how many bytes Python's large objects take. GIL held.
 */
#ifndef PORT_OP_OBJECTS_H
#define PORT_OP_OBJECTS_H

/* Remembers how many objects Python itself has hidden from the collector
 * (gc.freeze). Call once, when Python has started. 0, or -1 with an exception.
 */
int objects_init(void);

#endif
