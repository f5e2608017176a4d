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
#include "op/stream.h"
#include "process/fds.h"
#include "process/thread.h"
#include "task/capture.h"
#include "task/reply.h"
#include "task/span.h"
#include "task/task.h"
#include "value/python.h"
#include "wire/clock.h"

/* How long what runs may take to end when the program does. */
#define END_MS 500

/* Never freed: a thread that is stuck has it for ever. */
struct member {
    struct line line;
    long number;
    struct work work; /* owned; with the lock; without any it is free */
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
    bool wanted;       /* main waits for one that is free */
    bool ended;        /* no stream has another turn */
    bool stream_first; /* main's: streams and jobs take turns */
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

static bool has_work(const struct work *work)
{
    return work->job || work->stream;
}

static struct work next_work(struct member *member)
{
    lock();
    while (!has_work(&member->work))
        pthread_cond_wait(&member->wake, &crew.lock);
    const struct work work = member->work;
    unlock();
    return work;
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

static void done(struct buf *out)
{
    span_go_on_take(NULL);
    const bool raised = jobs_aside_done();
    interrupt_over(raised);
    if (raised)
        spoil_check();
    pause_after_job();
    buf_shrink(out);
}

/* A timer of user code may have aimed at what ran before. */
static void begin_job(struct job *job, struct buf *out)
{
    interrupt_forget();
    op_run_aside(&job->req, out);
}

static void run_job(struct job *job, struct buf *out)
{
    if (!jobs_is_cancelled())
        begin_job(job, out);
    else {
        stream_forget(&job->req); /* if it was to open one */
        reply_cancelled(job->req.frame + job->req.id_at, job->req.id_len);
    }
    done(out);
    job_free(job);
}

/* Whether nobody else should have its turn now. */
static bool goes_on(void)
{
    lock();
    const bool on = !crew.wanted && !crew.ended;
    unlock();
    return on && !pause_holds();
}

/* Step after step, so long as there is credit and no other work waits for the
 * thread: what is then put back has its next turn from the main thread, which
 * may be asleep. */
static void run_stream(struct stream *stream, struct buf *out)
{
    bool on;
    do {
        size_t n;
        const char *id = stream_id(stream, &n);
        interrupt_forget();
        jobs_start_stream(id, n);
        stream_step(stream, out);
        done(out);
        on = goes_on();
    } while (stream_give(stream, on));
    if (!on)
        fds_kick();
}

static void run(const struct work *work, struct buf *out)
{
    if (work->job)
        run_job(work->job, out);
    else
        run_stream(work->stream, out);
}

static void become_free(struct member *member)
{
    lock();
    member->work = (struct work){NULL, NULL};
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
    struct work work;
    struct buf out;
    buf_init(&out, 0);
    begin(member);
    for (;;) {
        Py_BEGIN_ALLOW_THREADS
        work = next_work(member);
        Py_END_ALLOW_THREADS
        run(&work, &out);
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

static void give(struct member *member, struct work work)
{
    lock();
    crew.at_work++;
    member->work = work;
    pthread_cond_signal(&member->wake);
    unlock();
}

void crew_say(const struct job *job)
{
    const struct request *req = &job->req;
    reply_say(req->frame + req->id_at, req->id_len, "threaded");
}

static bool has_next(void)
{
    return jobs_next_is_aside() || stream_ready(true);
}

/* For this thread. */
static struct work take_next(struct member *member)
{
    struct work work = {NULL, NULL};
    if (crew.stream_first)
        work.stream = stream_take(true);
    if (!work.stream)
        work.job = jobs_start_aside(&member->line);
    if (!has_work(&work))
        work.stream = stream_take(true);
    crew.stream_first = work.job != NULL;
    return work;
}

static bool start_next(void)
{
    if (!has_next())
        return false;
    struct member *member = take_free();
    if (!member && !(member = another()))
        return false;
    const struct work work = take_next(member);
    if (!has_work(&work)) {
        give_back(member);
        return false;
    }
    if (work.job)
        crew_say(work.job);
    give(member, work);
    return true;
}

void crew_start(void)
{
    while (start_next())
        ;
}

bool crew_is_there(void)
{
    return crew.n > 0;
}

bool crew_holds_up(void)
{
    if (!has_next() || crew.n == 0 || crew.n < crew.most)
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
    lock();
    crew.ended = true;
    unlock();
    jobs_cancel_others();
    Py_BEGIN_ALLOW_THREADS
    clerk_interrupt();
    wait_for_all();
    Py_END_ALLOW_THREADS
}
