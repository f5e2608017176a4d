/* SPDX-License-Identifier: Apache-2.0
 *
 * group: the process group. The VM starts a port program as the leader of its
 * own, so all that Python started and left behind can be ended with one kill.
 * No Python, no GIL.
 */
#ifndef PORT_PROCESS_GROUP_H
#define PORT_PROCESS_GROUP_H

/* Asks the other processes of the group to end, and waits a little. If some do
 * not end, the whole group is killed, so call this last. Does nothing unless
 * this process leads its group. */
void group_end(void);

/* Ends the program without any clean-up, and the rest of the group. */
_Noreturn void group_exit(int code);

#endif
