/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/guard.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* From linux/landlock.h, which is older than this on many machines. The
 * numbers of the system calls are the same on every architecture. */
#define LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_RESTRICT_SELF 446
#define LANDLOCK_VERSION 1u
#define LANDLOCK_SIGNAL_ABI 6 /* Linux 6.12 */
#define LANDLOCK_SIGNAL_SCOPE ((uint64_t)1 << 1)

struct ruleset {
    uint64_t files, net; /* nothing is asked of these */
    uint64_t scoped;
};

static const char *const names[GUARDS] = {
    [GUARD_OFF] = "off",
    [GUARD_PYTHON] = "python",
    [GUARD_KERNEL] = "kernel",
    [GUARD_AUTO] = "auto",
};

static enum guard held = GUARD_OFF; /* set before there are threads */

enum guard guard_named(const char *name)
{
    int i = 0;
    while (i < GUARDS && strcmp(names[i], name) != 0)
        i++;
    return (enum guard)i;
}

const char *guard_name(enum guard guard)
{
    return names[guard];
}

enum guard guard_holds(void)
{
    return held;
}

static bool is_supported(void)
{
    return syscall(LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION) >=
           LANDLOCK_SIGNAL_ABI;
}

static int restrict_self(void)
{
    const struct ruleset rules = {.scoped = LANDLOCK_SIGNAL_SCOPE};
    int fd = (int)syscall(LANDLOCK_CREATE_RULESET, &rules, sizeof rules, 0);
    if (fd < 0)
        return -1;
    int rc = (int)syscall(LANDLOCK_RESTRICT_SELF, fd, 0);
    int why = errno;
    close(fd);
    errno = why;
    return rc;
}

/* If new privileges are already barred, this takes nothing from the program;
 * with CAP_SYS_ADMIN the kernel does not require that they are. */
static int enter_kernel(bool at_any_price)
{
    if (!is_supported()) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (restrict_self() == 0)
        return 0;
    if (!at_any_price || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return restrict_self();
}

int guard_enter(enum guard guard, struct err *err)
{
    if (guard == GUARD_KERNEL && enter_kernel(true) < 0)
        return err_set(err, "guard kernel: this system has no signal scope: %s",
                       strerror(errno));
    if (guard == GUARD_AUTO)
        guard = enter_kernel(false) == 0 ? GUARD_KERNEL : GUARD_PYTHON;
    held = guard;
    return 0;
}
