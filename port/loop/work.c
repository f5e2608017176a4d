/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/work.h"

#include "loop/fork.h"
#include "loop/jobs.h"
#include "loop/reader.h"
#include "op/op.h"
#include "op/reply.h"
#include "op/stream.h"
#include "value/python.h"
#include "wire/output.h"
#include "wire/protocol.h"

/* Either a job or a stream whose turn it is. */
struct work {
    struct job *job;
    struct stream *stream;
};

static bool is_idle(void)
{
    return !jobs_waiting() && !stream_ready();
}

/* Reads a frame; waits for one only when there is nothing else to do. That
 * is known only with the role, because work comes from nobody but the reader:
 * the sentinel may have had the role until now. The GIL is for other Python
 * threads meanwhile. */
static enum reader_status read_frame(void)
{
    enum reader_status status;
    Py_BEGIN_ALLOW_THREADS
    reader_take();
    status = reader_read(is_idle(), false);
    reader_give();
    Py_END_ALLOW_THREADS
    return status;
}

/* Jobs and streams take turns. */
static void pick(struct work *work, bool stream_first)
{
    *work = (struct work){NULL, NULL};
    if (stream_first)
        work->stream = stream_take();
    if (!work->stream)
        work->job = jobs_pop();
    if (!work->job && !work->stream)
        work->stream = stream_take();
}

/* False: the input has ended, or nobody reads what is written. */
static bool next_work(struct work *work, bool stream_first)
{
    while (!output_broken()) {
        if (read_frame() == READER_END)
            return false;
        pick(work, stream_first);
        if (work->job || work->stream)
            return true;
    }
    return false;
}

/* A forked child ends before it touches a lock: another thread, which the
 * child does not have, may have held it. */
static void run_job(struct job *job, struct buf *out)
{
    jobs_start(job->frame->data + job->req.id_at, job->req.id_len);
    enum op_end end = op_run(&job->req, out);
    fork_end_child();
    if (end == OP_REPLY)
        reply_send(out);
    jobs_done();
    job_free(job);
}

static void run_stream(struct stream *stream, struct buf *out)
{
    size_t n;
    const char *id = stream_id(stream, &n);
    jobs_start(id, n);
    stream_step(stream, out);
    fork_end_child();
    jobs_done();
    stream_give(stream);
}

int work_until_end(void)
{
    struct buf out;
    struct work work;
    bool stream_first = false;

    buf_init(&out, 0);
    while (next_work(&work, stream_first)) {
        if (work.job)
            run_job(work.job, &out);
        else
            run_stream(work.stream, &out);
        stream_first = work.job != NULL;
        buf_shrink(&out);
    }
    buf_free(&out);
    return output_broken() ? EXIT_IO : reader_exit_code();
}
