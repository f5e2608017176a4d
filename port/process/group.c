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
#include <unistd.h>

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

static bool others_exist(void)
{
    DIR *proc = opendir("/proc");
    bool found = false;
    struct dirent *entry;

    while (proc && !found && (entry = readdir(proc)))
        if (isdigit((unsigned char)entry->d_name[0]) &&
            strtol(entry->d_name, NULL, 10) != getpid())
            found = group_of(entry->d_name) == getpgrp();
    if (proc)
        closedir(proc);
    return found;
}

static bool is_leader(void)
{
    return getpgrp() == getpid();
}

void group_end(void)
{
    if (!is_leader() || !others_exist())
        return;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    for (int i = 0; i < END_STEPS && others_exist(); i++)
        clock_sleep(END_STEP_MS);
    if (others_exist())
        kill(0, SIGKILL);
}

void group_exit(int code)
{
    if (is_leader() && others_exist())
        kill(0, SIGKILL);
    _exit(code);
}
