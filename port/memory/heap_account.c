/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_account.h"

#include <stdatomic.h>
#include <stdio.h>

/* The reserve is a share of the limit, and at least a megabyte. */
#define RESERVE_LEAST ((size_t)1 << 20)
#define RESERVE_SHARE 50

/* A job that begins near the limit, or above it, has a reserve to begin with,
 * but no more than half of what is left up to this many reserves above the
 * limit: so a job that frees everything can run, and yet no number of jobs gets
 * further. */
#define RESERVES_MOST 4

/* How far what is held may grow, near the ceiling, until what is in use is
 * worked out again: by a share of the room that was left, or if that is little
 * by a share of the reserve, but no further than the ceiling. */
#define ROOM_SHARE 8
#define RESERVE_STEP 16

/* The heap is nearly full if less than this share of the limit is left. And one
 * of how many questions in a row about that is looked into: working out what is
 * in use means a walk through all arenas. */
#define NEAR_SHARE 10
#define NEAR_LOOKS 8

static struct {
    size_t (*unused)(void);    /* constant once there are threads */
    _Atomic(ptrdiff_t) own;    /* held, as the main thread has counted */
    _Atomic(ptrdiff_t) shared; /* and all the others */
    _Atomic(size_t) peak;      /* since it is watched, or reset */
    _Atomic(size_t) earlier;   /* the peak before it was watched */
    _Atomic(size_t) limit;
    _Atomic(size_t) base;    /* the limit, or what was above it when it came */
    _Atomic(size_t) ceiling; /* for the running job; none between jobs */
    _Atomic(size_t) enough;  /* as long as less is held there is room */
    _Atomic(size_t) refused; /* bytes, by the last job; 0: nothing */
    _Atomic(size_t) used;    /* at that time */
    _Atomic(bool) relieved;  /* the job has got its reserve */
    _Atomic(int) running;    /* jobs */
    unsigned asked;          /* whether it is nearly full, since it may be */
    bool nearly_full;        /* when that was looked into last */
} account = {
    .limit = HEAP_NO_LIMIT,
    .base = HEAP_NO_LIMIT,
    .ceiling = HEAP_NO_LIMIT,
    .enough = HEAP_NO_LIMIT,
};

static _Thread_local bool is_main;
static _Thread_local bool is_exempt;

/* ---- counting --------------------------------------------------------- */

static size_t get(_Atomic(size_t) *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static void set(_Atomic(size_t) *number, size_t value)
{
    atomic_store_explicit(number, value, memory_order_relaxed);
}

static ptrdiff_t read_count(_Atomic(ptrdiff_t) *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

/* Only one thread writes its own count. */
static void count(ptrdiff_t n)
{
    if (is_main)
        atomic_store_explicit(&account.own, read_count(&account.own) + n,
                              memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&account.shared, n, memory_order_relaxed);
}

/* Between two threads' counts there may be a moment below 0. */
static size_t held(void)
{
    const ptrdiff_t sum =
        read_count(&account.own) + read_count(&account.shared);
    return sum > 0 ? (size_t)sum : 0;
}

static void raise_peak(size_t now)
{
    size_t peak = get(&account.peak);
    while (now > peak && !atomic_compare_exchange_weak_explicit(
                             &account.peak, &peak, now, memory_order_relaxed,
                             memory_order_relaxed))
        continue;
}

void heap_account_add(size_t n)
{
    count((ptrdiff_t)n);
    const size_t now = held();
    if (now > get(&account.peak))
        raise_peak(now);
}

void heap_account_sub(size_t n)
{
    count(-(ptrdiff_t)n);
}

void heap_account_change(size_t before, size_t after)
{
    if (after > before)
        heap_account_add(after - before);
    else
        heap_account_sub(before - after);
}

static size_t in_use(size_t all)
{
    const size_t unused = account.unused ? account.unused() : 0;
    return all > unused ? all - unused : 0;
}

/* ---- limiting --------------------------------------------------------- */

static size_t reserve(size_t limit)
{
    const size_t share = limit / RESERVE_SHARE;
    return share > RESERVE_LEAST ? share : RESERVE_LEAST;
}

/* Without overflow. */
static size_t above(size_t limit, size_t n)
{
    return n < HEAP_NO_LIMIT - limit ? limit + n : HEAP_NO_LIMIT;
}

/* If a limit came that was below what was in use, jobs begin from there, and
 * they do not get again what they have freed. */
static void set_base(size_t limit, size_t used)
{
    const size_t base = get(&account.base);
    const size_t least = used < base ? used : base;
    set(&account.base, least > limit ? least : limit);
}

/* Beyond this a job gets nothing to begin with. */
static size_t most(size_t limit)
{
    return above(get(&account.base), RESERVES_MOST * reserve(limit));
}

/* What a job has to begin with when this much is already in use. */
static size_t start_room(size_t limit, size_t used)
{
    const size_t left = most(limit) > used ? (most(limit) - used) / 2 : 0;
    return left < reserve(limit) ? left : reserve(limit);
}

static size_t ceiling_at_start(size_t limit)
{
    const size_t all = held();
    const bool is_far = above(all, reserve(limit)) <= limit;
    const size_t used = is_far ? all : in_use(all);
    set_base(limit, used);
    if (is_far)
        return limit;
    const size_t ceiling = above(used, start_room(limit, used));
    return ceiling > limit ? ceiling : limit;
}

/* The reserve that a job gets when it is refused something, beyond what it
 * already has. */
static size_t ceiling_with_reserve(size_t limit, size_t ceiling, size_t used)
{
    if (ceiling < used)
        ceiling = used;
    const size_t highest = above(most(limit), reserve(limit));
    const size_t raised = above(ceiling, reserve(limit));
    if (raised <= highest)
        return raised;
    return ceiling > highest ? ceiling : highest;
}

/* There was this much room: the next look is due when a part of it is held. */
static void go_on(size_t all, size_t room)
{
    size_t step = reserve(get(&account.limit)) / RESERVE_STEP;
    if (step < room / ROOM_SHARE)
        step = room / ROOM_SHARE;
    set(&account.enough, above(all, step < room ? step : room));
}

static void refuse(size_t n, size_t used, size_t ceiling)
{
    if (!atomic_exchange(&account.relieved, true))
        set(&account.ceiling,
            ceiling_with_reserve(get(&account.limit), ceiling, used));
    set(&account.refused, n);
    set(&account.used, used);
}

bool heap_account_is_far(size_t n)
{
    const size_t all = held();
    const size_t enough = get(&account.enough);
    return all <= enough && n <= enough - all;
}

bool heap_account_has_room(size_t taken, size_t used)
{
    const size_t all = held();
    const size_t before = in_use(all);
    const size_t ceiling = get(&account.ceiling);
    if (is_exempt || ceiling == HEAP_NO_LIMIT)
        return true;
    if (before > ceiling || used > ceiling - before) {
        refuse(used, before, ceiling);
        return false;
    }
    go_on(above(all, taken), ceiling - before - used);
    return true;
}

void heap_account_exempt_thread(void)
{
    is_exempt = true;
}

bool heap_account_is_nearly_full(void)
{
    const size_t limit = get(&account.limit);
    const size_t enough = limit - limit / NEAR_SHARE;
    const size_t all = held();
    if (limit == HEAP_NO_LIMIT || all < enough) {
        account.asked = 0;
        return false;
    }
    if (account.asked++ % NEAR_LOOKS == 0)
        account.nearly_full = in_use(all) >= enough;
    return account.nearly_full;
}

/* ---- jobs ------------------------------------------------------------- */

static void limit_job(size_t ceiling)
{
    atomic_store_explicit(&account.relieved, false, memory_order_relaxed);
    set(&account.ceiling, ceiling);
    set(&account.enough, ceiling);
}

/* Each item of a stream is a job here: so no store waits for others. Returns
 * how many run. */
static int count_running(int more)
{
    const int n =
        atomic_load_explicit(&account.running, memory_order_relaxed) + more;
    atomic_store_explicit(&account.running, n, memory_order_relaxed);
    return n;
}

void heap_account_begin_job(void)
{
    const size_t limit = get(&account.limit);
    if (count_running(1) > 1)
        return;
    set(&account.refused, 0);
    if (limit != HEAP_NO_LIMIT)
        limit_job(ceiling_at_start(limit));
}

void heap_account_end_job(void)
{
    if (account.running == 0 || count_running(-1) == 0)
        limit_job(HEAP_NO_LIMIT);
}

void heap_account_forget_refusal(void)
{
    set(&account.refused, 0);
}

void heap_account_set_limit(size_t limit)
{
    set(&account.limit, limit);
    set_base(limit, in_use(held()));
    if (account.running)
        limit_job(limit);
}

/* ---- start and reading ------------------------------------------------ */

void heap_account_init(size_t limit, size_t (*unused)(void))
{
    is_main = true;
    account.unused = unused;
    set(&account.limit, limit);
    set(&account.base, limit);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

void heap_account_reset_peak(void)
{
    set(&account.earlier, 0);
    set(&account.peak, 0);
    raise_peak(held());
}

size_t heap_account_watch(void)
{
    const size_t now = held();
    set(&account.earlier, larger(get(&account.earlier), get(&account.peak)));
    set(&account.peak, now);
    return now;
}

size_t heap_account_watched(void)
{
    const size_t most = get(&account.peak);
    raise_peak(get(&account.earlier));
    return most;
}

void heap_account_read(struct heap_numbers *numbers)
{
    *numbers = (struct heap_numbers){
        .current = in_use(held()),
        .peak = larger(get(&account.earlier), get(&account.peak)),
        .limit = get(&account.limit)};
}

bool heap_account_describe(char *text, size_t size)
{
    const size_t wanted = get(&account.refused);
    if (wanted > 0)
        snprintf(text, size,
                 "limit heap: %zu bytes, with %zu in use when %zu were wanted",
                 get(&account.limit), get(&account.used), wanted);
    return wanted > 0;
}
