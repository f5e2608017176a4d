/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/crew.h"

#include <pthread.h>
#include <stdlib.h>

#include "loop/clerk.h"
#include "loop/interrupt.h"
#include "loop/pause.h"
#include "loop/spoil.h"
#include "op/op.h"
#include "process/fds.h"
#include "process/thread.h"
#include "task/capture.h"
#include "task/reply.h"
#include "task/span.h"
#include "task/task.h"
#include "value/python.h"
#include "wire/clock.h"
#include "wire/output.h"
#include "wire/put.h"

/* How long what runs may take to end when the program does. */
#define END_MS 500

/* Never freed: a thread that is stuck has it for ever. */
struct member {
    struct line line;
    long number;
    struct job *job; /* owned; with the lock; NULL: it is free */
    pthread_cond_t wake;
    struct member *next; /* of those that are free */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t idle; /* another one is free */
    bool on;
    long most; /* how many there may be; main's */
    long n;    /* how many there are; main's */
    long at_work;
    bool wanted; /* main waits for one that is free */
    struct member *free;
} crew = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    pthread_mutex_lock(&crew.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&crew.lock);
}

void crew_init(long most)
{
    crew.on = most > 1;
    crew.most = most;
    clock_init_cond(&crew.idle);
}

bool crew_is_on(void)
{
    return crew.on;
}

/* ---- a thread --------------------------------------------------------- */

static struct job *next_job(struct member *member)
{
    lock();
    while (!member->job)
        pthread_cond_wait(&member->wake, &crew.lock);
    struct job *job = member->job;
    unlock();
    return job;
}

/* What is said about threads names it. */
static void name(long n)
{
    PyObject *thread = python_call("threading", "current_thread", "()");
    PyObject *text = PyUnicode_FromFormat("pyport-%ld", n);
    if (!thread || !text || PyObject_SetAttrString(thread, "name", text) < 0)
        PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(thread);
}

/* It was cancelled before it could begin. */
static void refuse(const struct request *req, struct buf *out)
{
    reply_begin(out, req->frame + req->id_at, req->id_len);
    reply_error(out, "cancelled");
    reply_send(out);
}

/* A timer of user code may have aimed at the job before. */
static void begin_job(struct job *job, struct buf *out)
{
    interrupt_forget();
    op_run_aside(&job->req, out);
}

static void run(struct job *job, struct buf *out)
{
    if (jobs_is_cancelled())
        refuse(&job->req, out);
    else
        begin_job(job, out);
    span_go_on_take(NULL);
    const bool raised = jobs_aside_done();
    interrupt_over(raised);
    if (raised)
        spoil_check();
    pause_after_job();
    job_free(job);
    buf_shrink(out);
}

static void become_free(struct member *member)
{
    lock();
    member->job = NULL;
    member->next = crew.free;
    crew.free = member;
    crew.at_work--;
    const bool wanted = crew.wanted;
    crew.wanted = false;
    pthread_cond_signal(&crew.idle);
    unlock();
    if (wanted)
        fds_kick();
}

/* One thread state for its whole life, as the clerk has: what Python keeps for
 * each thread stays. */
static void begin(struct member *member)
{
    PyGILState_Ensure();
    task_go_aside();
    capture_apart();
    member->line.thread = PyThread_get_thread_ident();
    jobs_line_take(&member->line);
    name(member->number);
}

static void *member_main(void *arg)
{
    struct member *member = arg;
    struct job *job;
    struct buf out;
    buf_init(&out, 0);
    begin(member);
    for (;;) {
        Py_BEGIN_ALLOW_THREADS
        job = next_job(member);
        Py_END_ALLOW_THREADS
        run(job, &out);
        become_free(member);
    }
    return NULL;
}

/* ---- the main thread -------------------------------------------------- */

static struct member *make(void)
{
    struct member *member = calloc(1, sizeof *member);
    if (!member)
        return NULL;
    member->number = crew.n + 1;
    pthread_cond_init(&member->wake, NULL);
    jobs_line_add(&member->line);
    return member;
}

/* Its signals are those of the main thread, which programs that it starts
 * inherit. */
static bool start(struct member *member)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, member_main, member) != 0)
        return false;
    pthread_detach(thread);
    return true;
}

/* One more; NULL: there may be no more, and if the kernel refuses one, no more
 * are tried. */
static struct member *another(void)
{
    if (crew.n >= crew.most)
        return NULL;
    struct member *member = make();
    if (member && start(member)) {
        crew.n++;
        return member;
    }
    crew.most = crew.n;
    return NULL; /* the line stays, with nothing that runs */
}

static struct member *take_free(void)
{
    lock();
    struct member *member = crew.free;
    if (member)
        crew.free = member->next;
    unlock();
    return member;
}

static void give_back(struct member *member)
{
    lock();
    member->next = crew.free;
    crew.free = member;
    unlock();
}

static void give(struct member *member, struct job *job)
{
    lock();
    crew.at_work++;
    member->job = job;
    pthread_cond_signal(&member->wake);
    unlock();
}

void crew_say(const struct job *job)
{
    struct buf out;
    buf_init(&out, 0);
    reply_begin(&out, job->req.frame + job->req.id_at, job->req.id_len);
    put_atom_z(&out, "threaded");
    output_send(&out);
    buf_free(&out);
}

bool crew_start_next(void)
{
    if (!jobs_next_is_aside())
        return false;
    struct member *member = take_free();
    if (!member && !(member = another()))
        return false;
    struct job *job = jobs_start_aside(&member->line);
    if (!job) {
        give_back(member);
        return false;
    }
    crew_say(job);
    give(member, job);
    return true;
}

bool crew_is_there(void)
{
    return crew.n > 0;
}

bool crew_holds_up(void)
{
    if (!jobs_next_is_aside() || crew.n == 0 || crew.n < crew.most)
        return false;
    lock();
    const bool holds = !crew.free;
    crew.wanted = holds;
    unlock();
    return holds;
}

static void wait_for_all(void)
{
    const long long until = clock_now() + END_MS * CLOCK_NS_PER_MS;
    lock();
    while (crew.at_work > 0 && clock_now() < until)
        clock_wait(&crew.idle, &crew.lock, END_MS / 10);
    unlock();
}

void crew_end(void)
{
    if (crew.n == 0)
        return;
    jobs_cancel_others();
    Py_BEGIN_ALLOW_THREADS
    clerk_interrupt();
    wait_for_all();
    Py_END_ALLOW_THREADS
}
