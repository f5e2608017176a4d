/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/window.h"

#include <pthread.h>

#include "talk/wait.h"

static struct {
    pthread_mutex_t lock;
    long long size; /* 0: nobody counts */
    long long used[WINDOWS];
} windows = {.lock = PTHREAD_MUTEX_INITIALIZER};

void window_set(long size)
{
    pthread_mutex_lock(&windows.lock);
    windows.size = size;
    pthread_mutex_unlock(&windows.lock);
}

static bool has_room(enum window window)
{
    return windows.size == 0 || windows.used[window] < windows.size;
}

static bool has_room_now(const void *window)
{
    pthread_mutex_lock(&windows.lock);
    bool room = has_room(*(const enum window *)window);
    pthread_mutex_unlock(&windows.lock);
    return room;
}

static bool take(enum window window, size_t n)
{
    pthread_mutex_lock(&windows.lock);
    bool room = has_room(window);
    if (room && windows.size)
        windows.used[window] += (long long)n;
    pthread_mutex_unlock(&windows.lock);
    return room;
}

int window_take(enum window window, size_t n, bool wait)
{
    while (!take(window, n)) {
        if (!wait)
            return 0;
        if (wait_until(has_room_now, &window) < 0)
            return -1;
    }
    return 1;
}

void window_give(enum window window, long long n)
{
    pthread_mutex_lock(&windows.lock);
    long long used = windows.used[window];
    windows.used[window] = n < used ? used - n : 0;
    pthread_mutex_unlock(&windows.lock);
    wait_wake();
}
