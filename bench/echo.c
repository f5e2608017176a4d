/* SPDX-License-Identifier: Apache-2.0
 *
 * echo: the floor of the benchmarks. What is read is written back, as fast as
 * two system calls allow: no frames, no terms, no Python. Frames go through
 * unchanged, so with {packet, 4} each request is its own reply.
 */
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

static char bytes[1 << 20];

static int write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDOUT_FILENO, p, n);
        if (done < 0 && errno != EINTR)
            return -1;
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

int main(void)
{
    for (;;) {
        ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || write_all(bytes, (size_t)n) < 0)
            return 1;
    }
}
