/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Set by fds_take, before there are threads; a forked child's are -1. */
static int input = -1, output = -1, kicked = -1, null = -1;

static atomic_bool ended; /* by fds_end_input */

static int private_copy(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* Child processes should inherit something at 2. If only 2 was closed, open(2)
 * has just put /dev/null there. */
static void provide_stderr(void)
{
    if (null == STDERR_FILENO)
        fcntl(STDERR_FILENO, F_SETFD, 0);
    else if (null >= 0 && fcntl(STDERR_FILENO, F_GETFD) < 0)
        dup2(null, STDERR_FILENO);
}

int fds_take(struct err *err)
{
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    provide_stderr();
    if (null >= 0 && null <= STDERR_FILENO)
        null = private_copy(null);
    input = private_copy(STDIN_FILENO);
    output = private_copy(STDOUT_FILENO);
    kicked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (null < 0 || input < 0 || output < 0 || kicked < 0 ||
        dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return err_set(err, "cannot set up file descriptors: %s",
                       strerror(errno));
    return 0;
}

int fds_input(void)
{
    return input;
}

int fds_output(void)
{
    return output;
}

int fds_kicked(void)
{
    return kicked;
}

void fds_kick(void)
{
    const uint64_t one = 1;
    ssize_t n = write(kicked, &one, sizeof one);
    (void)n; /* full means that it is readable already */
}

void fds_unkick(void)
{
    uint64_t count;
    ssize_t n = read(kicked, &count, sizeof count);
    (void)n; /* there may be nothing to read */
}

void fds_end_input(void)
{
    int saved = errno;
    dup2(null, input);
    ended = true;
    fds_kick();
    errno = saved;
}

bool fds_input_ended(void)
{
    return ended;
}

void fds_close(void)
{
    close(input);
    close(output);
    close(kicked);
    input = output = kicked = -1;
}
