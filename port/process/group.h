/* SPDX-License-Identifier: Apache-2.0
 *
 * group: the process group. The VM starts a port program as the leader of a
 * group, so all that Python started and left behind can be ended with one kill.
 * No Python, no GIL.
 */
#ifndef PORT_PROCESS_GROUP_H
#define PORT_PROCESS_GROUP_H

/* A program that is stopped goes on when its parent dies, which is the VM's
 * helper: then it sees the end of its input, and ends itself and its group.
 * (SIGKILL would leave the group behind.) Call before there are threads. */
void group_init(void);

/* Asks the other processes of the group to end, and waits a little. If some do
 * not end they are killed. Does nothing unless this process leads its group. */
void group_end(void);

/* Ends the program without any clean-up, and the rest of the group; by SIGTERM
 * if that is why it ends. */
_Noreturn void group_exit(int code);

#endif
