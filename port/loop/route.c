/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/route.h"

#include <ei.h>
#include <stdlib.h>

#include "loop/aide.h"
#include "loop/clerk.h"
#include "loop/crew.h"
#include "loop/jobs.h"
#include "loop/nest.h"
#include "loop/pause.h"
#include "op/op.h"
#include "op/stream.h"
#include "process/limit.h"
#include "talk/aio.h"
#include "talk/answer.h"
#include "talk/event.h"
#include "task/multicall.h"
#include "task/reply.h"
#include "wire/batch.h"
#include "wire/output.h"
#include "wire/protocol.h"
#include "wire/request.h"

/* ---- answers that need no Python -------------------------------------- */

/* The most bytes of an answer from here, without its Id. */
#define ANSWER_MAX 512
#define LIMITS_SIZE 160

static bool id_fits(const struct request *req)
{
    return req->id_len + ANSWER_MAX <= output_max_frame();
}

/* An answer names its request, unless the Id leaves no room for an answer. A
 * CallId names none. */
static void begin(struct buf *out, const struct request *req)
{
    const bool named = req->kind != CONTROL_REPLY &&
                       req->kind != CONTROL_WITHIN && id_fits(req);
    buf_init(out, 0);
    reply_begin(out, req->frame + req->id_at, named ? req->id_len : 0);
}

static void send_and_free(struct buf *out)
{
    output_send(out);
    buf_free(out);
}

static void answer_badarg(const struct request *req, const struct err *why)
{
    struct buf out;
    begin(&out, req);
    reply_badarg(&out, why);
    send_and_free(&out);
}

/* What is no good. If it was to be an answer, whoever waits for it hears why.
 */
static void refuse(const struct request *req, const struct err *why)
{
    if (req->kind != CONTROL_REPLY || !answer_refuse(req, why->text))
        answer_badarg(req, why);
}

static void answer_no_memory(const struct request *req, const struct err *why)
{
    struct buf out;
    if (req->kind == CONTROL_REPLY && answer_refuse(req, NULL))
        return;
    begin(&out, req);
    reply_no_memory(&out, why);
    send_and_free(&out);
}

static void answer_error(const struct request *req, const char *atom)
{
    struct buf out;
    begin(&out, req);
    reply_error(&out, atom);
    send_and_free(&out);
}

static void answer_overloaded(const struct request *req)
{
    struct buf out;
    begin(&out, req);
    reply_overloaded(&out, WAITING_MAX, WAITING_MAX);
    send_and_free(&out);
}

static void no_memory(const char *data, size_t len, const struct err *why)
{
    char limits[LIMITS_SIZE] = "";
    struct err full = {""};
    struct request req;
    request_parse_id(data, len, &req);
    const bool limited = limit_describe(limits, sizeof limits);
    err_set(&full, "%s, for the arguments%s%s", why->text, limited ? "; " : "",
            limits);
    pause_before_reply(data + req.id_at,
                       req.kind == CONTROL_REPLY ? 0 : req.id_len);
    answer_no_memory(&req, &full);
}

/* A frame of its own with these bytes; NULL: there is no memory, which is
 * answered. */
static struct frame *own_frame(const char *part, size_t len)
{
    struct err err = {""};
    struct frame *frame = frame_copy(part, len);
    if (frame)
        return frame;
    err_set(&err, "no memory for a request of %zu bytes", len);
    no_memory(part, len, &err);
    return NULL;
}

/* A job for the request in this frame, which it takes; NULL as above. */
static struct job *own_job(struct frame *frame, const struct request *req)
{
    struct err err = {""};
    struct job *job = job_take(frame, req);
    if (job)
        return job;
    err_set(&err, "no memory for a request of %zu bytes", frame->len);
    no_memory(frame->data, frame->len, &err);
    frame_free(frame);
    return NULL;
}

static int check_id(const struct request *req, struct err *err)
{
    if (id_fits(req))
        return 0;
    return err_set(err, "the Id is too large for max_frame (%zu bytes)",
                   req->id_len);
}

/* ---- control ---------------------------------------------------------- */

/* Ends a job that has not started, with that answer. False: no job with this id
 * waits. */
static bool withdraw(const struct request *req, const char *answer)
{
    struct job *job = jobs_remove(req);
    if (!job)
        job = nest_remove(req);
    if (!job)
        return false;
    if (op_kind(&job->req) == OP_STREAM)
        stream_forget(&job->req);
    answer_error(req, answer);
    job_free(job);
    return true;
}

/* The running job is interrupted by the sentinel, which is the reader while one
 * runs, and answers for itself. A stream hears of it first: a step that begins
 * now does not go on. */
static void cancel(const struct request *req)
{
    if (withdraw(req, "cancelled"))
        return;
    stream_end(req, STREAM_CANCELLED);
    if (jobs_cancel(req) == JOBS_ON_OTHER)
        clerk_interrupt();
    aio_cancel(req);
}

/* The request in {within, CallId, Request}, with a copy of its bytes; NULL: it
 * cannot be run, which is answered. */
static struct job *inner_job(const struct request *req)
{
    struct request inner;
    struct err err = {"the request within a call must be a binary"};
    const char *bytes = NULL;
    size_t n = 0;
    if (!batch_part(req->frame + req->args_at, &bytes, &n)) {
        answer_badarg(req, &err);
        return NULL;
    }
    struct frame *frame = own_frame(bytes, n);
    if (!frame)
        return NULL;
    if (request_parse(frame->data, n, &inner, &err) < 0 ||
        check_id(&inner, &err) < 0)
        refuse(&inner, &err);
    else if (inner.kind != REQUEST || op_kind(&inner) != OP_JOB)
        answer_error(inner.kind == REQUEST ? &inner : req, "unsupported");
    else
        return own_job(frame, &inner);
    frame_free(frame);
    return NULL;
}

/* Whoever has called may have been cancelled meanwhile. */
static void within(const struct request *req)
{
    int at = (int)req->id_at;
    long call = 0;
    struct job *job = inner_job(req);
    if (!job ||
        (ei_decode_long(req->frame, &at, &call) == 0 && nest_push(call, job)))
        return;
    answer_error(&job->req, "cancelled");
    job_free(job);
}

/* Of a multicall that runs, what has not started. The main thread is told
 * first, because it may not have begun with the calls yet. */
static void take_back(const struct request *req)
{
    if (withdraw(req, "not_started"))
        return;
    jobs_recall(req);
    multicall_take_back(req);
}

/* Control for a request that is over, or never existed, is harmless: it may
 * have crossed the reply on its way. */
static void control(const struct request *req)
{
    switch (req->kind) {
    case CONTROL_CANCEL:
        cancel(req);
        break;
    case CONTROL_TAKE_BACK:
        take_back(req);
        break;
    case CONTROL_MORE:
        stream_more(req, req->n);
        break;
    case CONTROL_STOP:
        stream_end(req, STREAM_STOPPED);
        break;
    case CONTROL_ACK:
        event_acked(req->n);
        break;
    case CONTROL_REPLY:
        answer_deliver(req);
        break;
    case CONTROL_WITHIN:
        within(req);
        break;
    case CONTROL_RESUME:
        pause_end();
        break;
    case CONTROL_QUIT:
    case REQUEST:
        break; /* not control */
    }
}

/* ---- requests --------------------------------------------------------- */

/* What is urgent waits neither for the job that runs, nor for those that came
 * before it. */
static bool would_wait(bool busy)
{
    return busy || jobs_waiting() || stream_ready(false);
}

static void request(struct job *job, bool busy)
{
    const enum op_kind kind = op_kind(&job->req);
    if (kind == OP_BARE) {
        aide_push(job);
        return;
    }
    if (kind == OP_URGENT && would_wait(busy)) {
        clerk_push(job);
        return;
    }
    job->aside = crew_is_on() && op_may_run_aside(&job->req);
    if (kind == OP_STREAM)
        stream_expect(&job->req,
                      job->aside); /* first: the job may run at once */
    if (jobs_push(job))
        return;
    if (kind == OP_STREAM)
        stream_forget(&job->req);
    answer_overloaded(&job->req);
    job_free(job);
}

/* Takes the frame of one request, or of control. */
static bool route_one(struct frame *frame, bool busy)
{
    struct err err = {""};
    struct request req;
    bool go_on = true;
    if (request_parse(frame->data, frame->len, &req, &err) < 0 ||
        check_id(&req, &err) < 0)
        refuse(&req, &err);
    else if (req.kind == CONTROL_QUIT)
        go_on = false;
    else if (req.kind != REQUEST)
        control(&req);
    else {
        struct job *job = own_job(frame, &req);
        if (job)
            request(job, busy);
        return true;
    }
    frame_free(frame);
    return go_on;
}

/* ---- frames ----------------------------------------------------------- */

/* Each job owns its bytes. Requests that come together might have to wait for
 * each other, as they do for a job that runs. */
static bool route_part(const char *part, size_t len)
{
    struct frame *frame = own_frame(part, len);
    return frame ? route_one(frame, true) : true;
}

static bool route_batch(struct batch *batch)
{
    const char *part = NULL;
    size_t len = 0;
    bool go_on = true;
    while (go_on && batch_next(batch, &part, &len))
        go_on = route_part(part, len);
    return go_on;
}

bool route_frame(struct frame *frame, bool busy)
{
    struct batch batch;
    if (!batch_begin(&batch, frame->data, frame->len))
        return route_one(frame, busy);
    const bool go_on = route_batch(&batch);
    frame_free(frame);
    return go_on;
}

void route_refused(struct frame *frame, const struct err *why)
{
    struct request req;
    request_parse_id(frame->data, frame->len, &req);
    refuse(&req, why);
    frame_free(frame);
}

void route_no_memory(struct frame *frame, const struct err *why)
{
    no_memory(frame->data, frame->len, why);
    frame_free(frame);
}
