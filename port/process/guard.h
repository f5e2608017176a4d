/* SPDX-License-Identifier: Apache-2.0
 *
 * The guard: keeps the program from sending signals to the VM, by accident or
 * on purpose. It is not a sandbox: user code may do whatever else the same user
 * may do.
 *
 *   python   os.kill and os.killpg refuse (erlang._guard): for accidents
 *   kernel   a Landlock domain whose processes can signal only each other:
 *            for this program and all that it starts
 *
 * No Python, no GIL.
 */
#ifndef PORT_PROCESS_GUARD_H
#define PORT_PROCESS_GUARD_H

#include "wire/err.h"

enum guard {
    GUARD_OFF,
    GUARD_PYTHON,
    GUARD_KERNEL,
    GUARD_AUTO, /* kernel where that costs nothing, else python */
    GUARDS
};

/* By its name; GUARDS when no guard has that name. */
enum guard guard_named(const char *name);
const char *guard_name(enum guard guard);

/* Enters what can be entered before Python starts. GUARD_KERNEL sets
 * no_new_privs where it has to: set-user-ID programs do not work any more then.
 * -1 and err: this kernel cannot. Call before there are threads. */
int guard_enter(enum guard guard, struct err *err);

/* Which guard holds, as guard_enter said. Any thread. */
enum guard guard_holds(void);

#endif
