/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "process/fds.h"

static void (*pythons)(int); /* its handler of SIGINT, once there is one */
static atomic_bool terminated;
static _Thread_local sigset_t before; /* signals_block */

/* By kill(2) and its like, from a process (in si_pid) or a thread. */
static bool is_own(const siginfo_t *info)
{
    return info->si_code <= 0 && info->si_pid == getpid();
}

static void on_interrupt(int signum, siginfo_t *info, void *context)
{
    (void)context;
    if (pythons && is_own(info))
        pythons(signum);
}

static void on_terminate(int signum)
{
    (void)signum;
    signals_terminate();
}

void signals_terminate(void)
{
    terminated = true;
    fds_end_input();
}

/* A sanitizer's handlers, which are there already, stay. */
void signals_default(void)
{
    struct sigaction now;
    sigset_t none;
    for (int i = 1; i <= SIGRTMAX; i++)
        if (sigaction(i, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            signal(i, SIG_DFL);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void handle_interrupt(void)
{
    struct sigaction action = {.sa_sigaction = on_interrupt,
                               .sa_flags = SA_RESTART | SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

/* Without SA_RESTART: a read that waits has to see the end. */
static void handle_terminate(void)
{
    struct sigaction action = {.sa_handler = on_terminate};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
}

/* Until Python takes care of SIGPIPE, nobody may be there to read an error. */
void signals_init(void)
{
    signal(SIGPIPE, SIG_IGN);
    handle_interrupt();
    handle_terminate();
}

void signals_keep(int signum)
{
    struct sigaction now;
    if (signum == SIGTERM)
        handle_terminate();
    if (signum != SIGINT || sigaction(SIGINT, NULL, &now) < 0)
        return;
    pythons = now.sa_handler;
    handle_interrupt();
}

/* A thread of ours blocks all signals. */
void signals_end(void)
{
    sigset_t one;
    if (!terminated)
        return;
    sigemptyset(&one);
    sigaddset(&one, SIGTERM);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    raise(SIGTERM);
}

/* ---- fork -------------------------------------------------------------- */

void signals_block(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
}

void signals_unblock(void)
{
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void signals_plain(void)
{
    struct sigaction now;
    if (sigaction(SIGINT, NULL, &now) == 0 && now.sa_sigaction == on_interrupt)
        signal(SIGINT, pythons ? pythons : SIG_DFL);
    if (sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == on_terminate)
        signal(SIGTERM, SIG_DFL);
}
