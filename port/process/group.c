/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/group.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "process/signals.h"
#include "wire/clock.h"

/* How long the others have between SIGTERM and SIGKILL. */
#define END_STEPS 20
#define END_STEP_MS 10

/* The group of a process, from its directory in /proc: the third field behind
 * the name, which is in brackets and may contain anything. -1: it is gone. */
static long group_of(const char *pid)
{
    char path[300], line[512];
    long group = -1;

    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    size_t n = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[n] = '\0';
    char *rest = strrchr(line, ')');
    char state = 'Z';
    if (!rest || sscanf(rest + 1, " %c %*d %ld", &state, &group) != 2)
        return -1;
    return state == 'Z' ? -1 : group;
}

/* Sends a signal, or nothing (0), to each of the other processes of the group.
 * Says whether there are any. */
static bool signal_others(int signum)
{
    DIR *proc = opendir("/proc");
    bool found = false;
    struct dirent *entry;

    while (proc && (entry = readdir(proc))) {
        const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (isdigit((unsigned char)entry->d_name[0]) && pid != getpid() &&
            group_of(entry->d_name) == getpgrp()) {
            found = true;
            kill(pid, signum);
        }
    }
    if (proc)
        closedir(proc);
    return found;
}

static bool is_leader(void)
{
    return getpgrp() == getpid();
}

static bool await_others(void)
{
    for (int i = 0; i < END_STEPS && signal_others(0); i++)
        clock_sleep(END_STEP_MS);
    return !signal_others(0);
}

/* Kills them one by one, so that the program can end in its own way. Processes
 * that start others faster than that are killed together with it. */
static void kill_others(void)
{
    if (signal_others(SIGKILL) && !await_others() && signal_others(SIGKILL))
        kill(0, SIGKILL);
}

/* If the parent died before this, the input has ended, which will be seen. */
void group_init(void)
{
    prctl(PR_SET_PDEATHSIG, SIGCONT);
}

/* A process that is stopped gets SIGTERM when it goes on. */
void group_end(void)
{
    if (!is_leader() || !signal_others(SIGTERM))
        return;
    signal_others(SIGCONT);
    if (!await_others())
        kill_others();
}

void group_exit(int code)
{
    if (is_leader())
        kill_others();
    signals_end();
    _exit(code);
}
