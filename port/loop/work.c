/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/work.h"

#include "loop/crew.h"
#include "loop/handlers.h"
#include "loop/jobs.h"
#include "loop/moment.h"
#include "loop/pause.h"
#include "loop/reader.h"
#include "loop/sentinel.h"
#include "loop/spoil.h"
#include "op/op.h"
#include "op/stream.h"
#include "talk/aio.h"
#include "task/context.h"
#include "task/handle.h"
#include "task/span.h"
#include "value/python.h"
#include "wire/output.h"
#include "wire/protocol.h"

/* Whether something waits for a thread. */
static bool is_held_up(void)
{
    return crew_is_on() && crew_holds_up();
}

static bool has_job(bool held_up)
{
    return jobs_waiting() && !(held_up && jobs_next_is_aside());
}

static bool has_stream(bool held_up)
{
    return stream_ready(false) ||
           (crew_is_on() && !held_up && stream_ready(true));
}

static bool is_idle(bool held_up)
{
    return pause_holds() || (!has_stream(held_up) && !has_job(held_up));
}

/* Whether another thread may have something for this one, and kicks then. */
static bool is_kicked(bool held_up)
{
    return held_up || (crew_is_on() && streams_are_away());
}

/* Reads a frame; waits for one only when there is nothing else to do, and then
 * also for a thread that a job or a stream waits for. That can be known only
 * with the role, because all work comes from the reader, and the sentinel may
 * have had the role until now. */
static enum reader_status read_frame(void)
{
    reader_take();
    const bool held_up = is_held_up(), idle = is_idle(held_up);
    const bool kicked = idle && is_kicked(held_up);
    if (kicked)
        reader_wait(-1);
    enum reader_status status = reader_read(idle && !kicked, false);
    reader_give();
    return status;
}

/* From now on it is what runs. */
static struct stream *start_stream(void)
{
    size_t n;
    struct stream *stream = stream_take(false);
    if (!stream && crew_is_on() && !crew_is_there())
        stream = stream_take(true);
    if (stream) {
        const char *id = stream_id(stream, &n);
        jobs_start_stream(id, n);
    }
    return stream;
}

/* Jobs and streams take turns. */
static void start(struct work *work, bool stream_first)
{
    *work = (struct work){NULL, NULL};
    if (pause_holds())
        return;
    if (crew_is_on())
        crew_start();
    if (stream_first)
        work->stream = start_stream();
    if (!work->stream)
        work->job = jobs_start_next(!crew_is_there());
    if (!work->job && !work->stream)
        work->stream = start_stream();
}

/* False: the input has ended, or nobody reads what is written. */
static bool next_work(struct work *work, bool stream_first)
{
    while (!output_broken()) {
        if (read_frame() == READER_END)
            return false;
        start(work, stream_first);
        if (work->job || work->stream)
            return true;
    }
    return false;
}

/* Waits for work, without the GIL: other Python threads have it meanwhile. They
 * may keep it for long, so work is reported as running, or the end as reached,
 * before this waits for the GIL: then the sentinel watches. */
static bool await_work(struct work *work, bool stream_first)
{
    bool found;
    Py_BEGIN_ALLOW_THREADS
    found = next_work(work, stream_first);
    if (!found)
        sentinel_expect_exit();
    Py_END_ALLOW_THREADS
    handlers_settle();
    return found;
}

static void done(void)
{
    span_go_on_take(NULL);
    if (!jobs_done())
        return;
    moment_forget();
    spoil_check();
}

static void run_job(struct job *job, struct buf *out)
{
    if (job->aside)
        crew_say(job);
    op_run(&job->req, out);
    done();
    job_free(job);
}

static void run_stream(struct stream *stream, struct buf *out)
{
    stream_step(stream, out);
    done();
    stream_give(stream, false);
}

bool work_goes_on(void)
{
    return jobs_goes_on() && !pause_is_due();
}

int work_until_end(void)
{
    struct buf out;
    struct work work;
    bool stream_first = false;

    buf_init(&out, 0);
    while (await_work(&work, stream_first)) {
        if (work.job)
            run_job(work.job, &out);
        else
            run_stream(work.stream, &out);
        pause_after_job();
        stream_first = work.job != NULL;
        buf_shrink(&out);
    }
    buf_free(&out);
    if (!reader_was_asked() && crew_is_on())
        output_close(); /* as if the program had died: see sentinel.c */
    crew_end();
    streams_drop();
    aio_end();
    context_close_all();
    handle_release_all();
    return output_broken() ? EXIT_IO : reader_exit_code();
}
