/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of jobs and what the sentinel sees of the running one, from
 * several threads: meant to be run under ThreadSanitizer, too.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/jobs.h"
#include "process/fds.h"
#include "wire/clock.h"
#include "wire/protocol.h"

/* A job whose id is one byte. */
static struct job *new_job(char id)
{
    struct frame *frame = malloc(sizeof *frame + 1);
    assert_non_null(frame);
    frame->len = 1;
    frame->data[0] = id;
    const struct request req = {.frame = frame->data, .id_len = 1};
    struct job *job = job_take(frame, &req);
    assert_non_null(job);
    return job;
}

static struct request named(const char *id)
{
    return (struct request){.frame = id, .id_len = 1};
}

static void push(char id)
{
    assert_true(jobs_push(new_job(id)));
}

static char pop(void)
{
    struct job *job = jobs_start_next(true);
    if (!job)
        return 0;
    char id = job->frame->data[0];
    jobs_done();
    job_free(job);
    return id;
}

static void test_jobs_come_in_order(void **state)
{
    (void)state;
    assert_false(jobs_waiting());
    push('a');
    push('b');
    push('c');
    assert_true(jobs_waiting());
    assert_int_equal(pop(), 'a');
    assert_int_equal(pop(), 'b');
    push('d');
    assert_int_equal(pop(), 'c');
    assert_int_equal(pop(), 'd');
    assert_int_equal(pop(), 0);
}

static void test_remove_takes_only_what_waits(void **state)
{
    (void)state;
    struct request b = named("b"), x = named("x"), c = named("c");
    push('a');
    push('b');
    push('c');
    assert_null(jobs_remove(&x));
    job_free(jobs_remove(&c)); /* the last: the next push must go behind b */
    push('d');
    job_free(jobs_remove(&b));
    assert_null(jobs_remove(&b));
    assert_int_equal(pop(), 'a');
    assert_int_equal(pop(), 'd');
    assert_int_equal(pop(), 0);
}

static void test_too_many_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAITING_MAX; i++)
        push('a');
    struct job *last = new_job('z');
    assert_false(jobs_push(last));
    job_free(last);
    for (size_t i = 0; i < WAITING_MAX; i++)
        assert_int_equal(pop(), 'a');
}

static enum jobs_order order(void)
{
    long ms = 0;
    return jobs_order(&ms);
}

static void test_cancel_hits_only_the_running_job(void **state)
{
    (void)state;
    struct request a = named("a"), b = named("b");
    assert_false(jobs_cancel(&a));
    jobs_cancel_running(); /* nothing runs: nothing happens */
    assert_int_equal(order(), JOBS_GO_ON);
    jobs_start_stream("a", 1);
    assert_int_equal(order(), JOBS_GO_ON);
    assert_false(jobs_cancel(&b));
    assert_int_equal(order(), JOBS_GO_ON);
    assert_true(jobs_cancel(&a));
    assert_int_equal(order(), JOBS_CANCELLED);
    assert_false(jobs_done()); /* it was not told */
    assert_int_equal(order(), JOBS_GO_ON);
    jobs_start_stream("b", 1);
    assert_int_equal(order(), JOBS_GO_ON); /* a late one hits nobody */
    jobs_cancel_running();
    assert_int_equal(order(), JOBS_CANCELLED);
    assert_false(jobs_done());
}

static void test_a_job_stays_cancelled_until_it_is_over(void **state)
{
    (void)state;
    struct request a = named("a");
    jobs_start_stream("a", 1);
    assert_true(jobs_cancel(&a));
    jobs_tell(NULL);
    assert_int_equal(order(), JOBS_TOLD);
    assert_int_equal(order(), JOBS_TOLD);
    assert_true(jobs_cancel(&a)); /* once more: it is to be told again */
    assert_int_equal(order(), JOBS_CANCELLED);
    assert_true(jobs_done());
    jobs_start_stream("a", 1);
    assert_int_equal(order(), JOBS_GO_ON);
    assert_false(jobs_done());
}

/* A job on top of another: each is cancelled by its own id, and whoever is
 * below takes those on top along. */
static void test_jobs_on_top_of_each_other(void **state)
{
    (void)state;
    struct request a = named("a"), b = named("b"), c = named("c");
    struct running below_b, below_c;
    struct job *job_b = new_job('b'), *job_c = new_job('c');
    jobs_start_stream("a", 1);
    assert_true(jobs_run_here());
    jobs_enter(&below_b, job_b);
    jobs_enter(&below_c, job_c);
    assert_true(jobs_cancel(&b));
    assert_int_equal(order(), JOBS_CANCELLED);
    jobs_tell(NULL);
    jobs_leave(); /* c */
    assert_int_equal(order(), JOBS_CANCELLED);
    jobs_leave(); /* b, which was not told */
    assert_int_equal(order(), JOBS_GO_ON);
    assert_true(jobs_done()); /* c was */
    jobs_start_stream("a", 1);
    jobs_enter(&below_b, job_b);
    jobs_cancel(&b);
    jobs_leave();
    assert_int_equal(order(), JOBS_GO_ON);
    jobs_enter(&below_b, job_b);
    assert_true(jobs_cancel(&a));
    assert_false(jobs_cancel(&c));
    assert_int_equal(order(), JOBS_CANCELLED);
    jobs_leave();
    assert_int_equal(order(), JOBS_CANCELLED);
    jobs_enter(&below_b, job_b); /* before a was told */
    assert_int_equal(order(), JOBS_CANCELLED);
    jobs_leave();
    assert_false(jobs_done());
    assert_false(jobs_run_here());
    jobs_start_stream("a", 1);
    jobs_cancel(&a);
    jobs_tell(NULL);
    jobs_enter(&below_b, job_b); /* while a cleans up */
    assert_int_equal(order(), JOBS_GO_ON);
    jobs_leave();
    assert_true(jobs_done());
    jobs_start_stream("a", 1);
    jobs_enter(&below_b, job_b);
    jobs_cancel_running();
    jobs_leave();
    assert_int_equal(order(), JOBS_CANCELLED);
    jobs_done();
    job_free(job_b);
    job_free(job_c);
}

static void *run_aside(void *unused)
{
    struct line line = {.thread = 7};
    struct running below;
    struct job *job = new_job('b');
    struct request a = named("a"), b = named("b");
    long ms = -1;
    assert_true(jobs_line_begin(&line));
    assert_false(jobs_run_here()); /* it belongs to what main runs */
    assert_int_equal(jobs_cancel(&a), JOBS_ON_MAIN);
    assert_true(jobs_is_cancelled());
    jobs_enter(&below, job);
    assert_true(jobs_run_here());
    assert_false(jobs_is_cancelled());
    assert_null(jobs_cancelled_after(NULL, &ms));
    assert_int_equal(jobs_cancel(&b), JOBS_ON_OTHER);
    assert_ptr_equal(jobs_cancelled_after(NULL, &ms), &line);
    assert_null(jobs_cancelled_after(&line, &ms));
    jobs_tell(&line);
    assert_null(jobs_cancelled_after(NULL, &ms));
    assert_int_equal(order(), JOBS_TOLD);
    assert_true(jobs_leave());
    assert_int_equal(jobs_cancel(&b), JOBS_NOWHERE);
    jobs_enter(&below, job);
    assert_false(jobs_leave()); /* that it was interrupted before is past */
    jobs_line_end();
    job_free(job);
    return unused;
}

/* What may run aside has its turn like all others, on a thread or on main. */
static void test_jobs_that_may_run_aside(void **state)
{
    (void)state;
    static struct line line = {.thread = 7};
    struct request a = named("a");
    struct job *job = new_job('a');
    job->aside = true;
    assert_true(jobs_push(job));
    push('b');
    jobs_line_add(&line);
    assert_true(jobs_next_is_aside());
    assert_null(jobs_start_next(false));
    assert_ptr_equal(jobs_start_aside(&line), job);
    assert_false(jobs_next_is_aside());
    assert_null(jobs_start_aside(&line));
    assert_int_equal(jobs_cancel(&a), JOBS_ON_OTHER);
    assert_int_equal(pop(), 'b');
    line.top.id = NULL;
    assert_true(jobs_push(job));
    assert_ptr_equal(jobs_start_next(true), job);
    jobs_done();
    job_free(job);
}

/* What runs on another thread has a place of its own. */
static void test_jobs_beside_the_main_thread(void **state)
{
    (void)state;
    pthread_t thread;
    jobs_start_stream("a", 1);
    assert_int_equal(pthread_create(&thread, NULL, run_aside, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(order(), JOBS_CANCELLED);
    assert_false(jobs_done());
}

static void test_an_order_has_an_age(void **state)
{
    (void)state;
    struct request a = named("a");
    long first = -1, second = -1;
    jobs_start_stream("a", 1);
    jobs_cancel(&a);
    assert_true(jobs_is_cancelled());
    clock_sleep(30); /* until it is asked for, it does not count */
    jobs_order(&first);
    assert_int_equal(first, 0);
    clock_sleep(30);
    jobs_cancel(&a); /* the first one counts */
    jobs_order(&second);
    assert_true(second >= 30);
    jobs_done();
    assert_false(jobs_is_cancelled());
}

static void test_the_start_of_python_is_no_job(void **state)
{
    (void)state;
    struct request none = named("");
    none.id_len = 1;
    jobs_start_python();
    assert_false(jobs_cancel(&none));
    jobs_cancel_running();
    assert_int_equal(order(), JOBS_CANCELLED);
    jobs_done();
}

static void *wait_for_long(void *serial)
{
    *(unsigned long *)serial = jobs_wait_for_long();
    return NULL;
}

static bool kicked(int ms)
{
    struct pollfd fd = {.fd = fds_kicked(), .events = POLLIN};
    return poll(&fd, 1, ms) == 1;
}

static void test_a_long_job_is_noticed(void **state)
{
    (void)state;
    unsigned long serial = 0;
    pthread_t watcher;
    assert_int_equal(pthread_create(&watcher, NULL, wait_for_long, &serial), 0);
    for (int i = 0; i < 1000; i++) { /* short ones are not */
        jobs_start_stream("s", 1);
        jobs_done();
    }
    assert_false(kicked(0));
    jobs_start_stream("l", 1);
    pthread_join(watcher, NULL);
    assert_true(serial != 0);
    assert_true(jobs_is_running(serial));
    assert_false(jobs_is_python(serial));
    assert_false(kicked(0));
    jobs_done();
    assert_true(kicked(1000));
    fds_unkick();
    assert_false(jobs_is_running(serial));
}

static void test_a_sleeping_watcher_is_woken(void **state)
{
    (void)state;
    unsigned long serial = 0;
    pthread_t watcher;
    assert_int_equal(pthread_create(&watcher, NULL, wait_for_long, &serial), 0);
    clock_sleep(999); /* near the time when it goes to sleep for good */
    clock_sleep(500);
    jobs_start_python();
    pthread_join(watcher, NULL);
    assert_true(serial != 0);
    assert_true(jobs_is_python(serial));
    jobs_done();
    assert_false(jobs_is_python(serial));
    fds_unkick();
}

/* A cancel finds it at every moment: it waits, or it runs. */
static void test_what_is_taken_runs(void **state)
{
    (void)state;
    struct request a = named("a");
    push('a');
    struct job *job = jobs_start_next(true);
    assert_null(jobs_remove(&a));
    assert_true(jobs_cancel(&a));
    jobs_done();
    assert_false(jobs_cancel(&a));
    job_free(job);
}

#define MANY 20000

static void *push_many(void *unused)
{
    for (int i = 0; i < MANY; i++)
        push((char)('a' + i % 4));
    return unused;
}

static void *cancel_many(void *removed)
{
    struct request a = named("a");
    for (int i = 0; i < MANY; i++) {
        struct job *job = jobs_remove(&a);
        *(int *)removed += job != NULL;
        job_free(job);
        jobs_cancel(&a);
    }
    return NULL;
}

/* Each job is either run or removed, whoever comes first. */
static void test_threads_agree(void **state)
{
    (void)state;
    pthread_t pusher, canceller;
    int run = 0, removed = 0;
    assert_int_equal(pthread_create(&pusher, NULL, push_many, NULL), 0);
    assert_int_equal(pthread_create(&canceller, NULL, cancel_many, &removed),
                     0);
    for (int i = 0; i < MANY; i++) {
        struct job *job = jobs_start_next(true);
        if (!job)
            continue;
        assert_true(order() == JOBS_GO_ON || job->frame->data[0] == 'a');
        jobs_done();
        job_free(job);
        run++;
    }
    pthread_join(pusher, NULL);
    pthread_join(canceller, NULL);
    while (pop())
        run++;
    assert_int_equal(run + removed, MANY);
}

static void test_what_runs_is_recalled(void **state)
{
    (void)state;
    struct request a = named("a"), b = named("b");
    jobs_recall(&a); /* nothing runs: nothing happens */
    jobs_start_stream("a", 1);
    jobs_recall(&b);
    assert_true(jobs_goes_on());
    jobs_recall(&a);
    assert_false(jobs_goes_on());
    assert_int_equal(order(), JOBS_GO_ON);
    assert_false(jobs_done());
    jobs_start_stream("a", 1);
    assert_true(jobs_goes_on());
    assert_true(jobs_cancel(&a));
    assert_false(jobs_goes_on());
    assert_false(jobs_done());
}

static void test_close_ends_the_watch(void **state)
{
    (void)state;
    jobs_close();
    assert_int_equal(jobs_wait_for_long(), 0);
}

int main(void)
{
    struct err err = {""};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_come_in_order),
        cmocka_unit_test(test_remove_takes_only_what_waits),
        cmocka_unit_test(test_too_many_are_refused),
        cmocka_unit_test(test_cancel_hits_only_the_running_job),
        cmocka_unit_test(test_a_job_stays_cancelled_until_it_is_over),
        cmocka_unit_test(test_what_runs_is_recalled),
        cmocka_unit_test(test_jobs_on_top_of_each_other),
        cmocka_unit_test(test_jobs_that_may_run_aside),
        cmocka_unit_test(test_jobs_beside_the_main_thread),
        cmocka_unit_test(test_an_order_has_an_age),
        cmocka_unit_test(test_the_start_of_python_is_no_job),
        cmocka_unit_test(test_a_long_job_is_noticed),
        cmocka_unit_test(test_a_sleeping_watcher_is_woken),
        cmocka_unit_test(test_what_is_taken_runs),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_close_ends_the_watch),
    };
    jobs_init();
    if (fds_take(&err) < 0 || dup2(fds_output(), STDOUT_FILENO) < 0)
        return 1; /* the test's own output stays where it was */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
