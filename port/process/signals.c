/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/signals.h"

#include <signal.h>
#include <stddef.h>

#include "process/fds.h"

static void on_ignored(int signum)
{
    (void)signum;
}

static void on_terminate(int signum)
{
    (void)signum;
    fds_end_input();
}

static void reset(int signum, void (*ours)(int))
{
    struct sigaction now;
    if (sigaction(signum, NULL, &now) == 0 && now.sa_handler == ours)
        signal(signum, SIG_DFL);
}

void signals_reset(void)
{
    reset(SIGINT, on_ignored);
    reset(SIGPIPE, on_ignored);
    reset(SIGTERM, on_terminate);
}

static void handle(int signum, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigemptyset(&action.sa_mask);
    sigaction(signum, &action, NULL);
}

/* SIGTERM without SA_RESTART: a read that waits has to see the end. */
void signals_init(void)
{
    handle(SIGINT, on_ignored, SA_RESTART);
    handle(SIGPIPE, on_ignored, SA_RESTART);
    handle(SIGTERM, on_terminate, 0);
}
