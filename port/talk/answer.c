/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/answer.h"

#include <ei.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "talk/aio.h"
#include "talk/event.h"
#include "talk/wait.h"
#include "talk/window.h"
#include "task/reply.h"
#include "value/classes.h"
#include "value/decode.h"
#include "wire/err.h"
#include "wire/etf.h"
#include "wire/output.h"
#include "wire/put.h"
#include "wire/queue.h"

/* Smaller numbers have a shorter form. */
#define FIRST_ID 256

struct answer {
    struct queued queued;
    uint32_t id;
    size_t n;       /* bytes of the message */
    bool come;      /* either a result, or why there is none */
    char *result;   /* owned */
    struct err why; /* "": there was no memory for it */
    bool given_up;
    PyObject *future;  /* owned; NULL: a thread waits for it */
    struct form *form; /* owned; of the future's value, or NULL */
};

static struct {
    pthread_mutex_t lock;
    struct queue expected; /* owned */
    uint32_t last_id;
} answers = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .expected = QUEUE_EMPTY(answers.expected),
    .last_id = FIRST_ID,
};

static struct answer *answer_of(struct queued *queued)
{
    return (struct answer *)queued;
}

/* With the lock: the link that points to the answer with this id, or to NULL.
 */
static struct queued **link_of(long id)
{
    struct queued **link = &answers.expected.first;
    while (*link && answer_of(*link)->id != id)
        link = &(*link)->next;
    return link;
}

static void answer_free(struct answer *answer)
{
    if (!answer)
        return;
    free(answer->form);
    free(answer->result);
    free(answer);
}

/* Numbers that have one form in a frame, so that py_wire can read them there.
 * They come again after two thousand million: nobody waits that long. */
static uint32_t new_id(void)
{
    pthread_mutex_lock(&answers.lock);
    if (answers.last_id == INT32_MAX)
        answers.last_id = FIRST_ID;
    uint32_t id = ++answers.last_id;
    pthread_mutex_unlock(&answers.lock);
    return id;
}

uint32_t answer_begin(struct buf *out, size_t arity, const char *tag)
{
    const uint32_t id = new_id();
    buf_init(out, 0);
    output_begin(out);
    put_version(out);
    put_tuple(out, arity);
    put_atom_z(out, tag);
    put_long(out, id);
    return id;
}

/* NULL: no memory. */
static struct answer *answer_new(uint32_t id, size_t n)
{
    struct answer *answer = calloc(1, sizeof *answer);
    if (answer) {
        answer->id = id;
        answer->n = n;
    }
    return answer;
}

/* There will be this answer, or, if it is NULL, MemoryError is set: 0 or -1. */
static int expect_take(struct answer *answer)
{
    if (!answer) {
        PyErr_NoMemory();
        return -1;
    }
    pthread_mutex_lock(&answers.lock);
    queue_push(&answers.expected, &answer->queued);
    pthread_mutex_unlock(&answers.lock);
    return 0;
}

static const struct answer_nest *nest; /* set before there are threads */

void answer_set_nest(const struct answer_nest *hooks)
{
    nest = hooks;
}

bool answer_put_job(struct buf *out)
{
    const int found = aio_put_job(out);
    if (found >= 0)
        return found;
    if (nest)
        return nest->put_job(out);
    put_atom_z(out, "none");
    return false;
}

bool answer_job_runs_here(void)
{
    return nest && nest->runs_here();
}

int answer_nest_begin(uint32_t id)
{
    return nest && !aio_is_loop() ? nest->begin(id) : 0;
}

void answer_nest_end(uint32_t id)
{
    nest->end(id);
}

static bool has_come(const void *id)
{
    pthread_mutex_lock(&answers.lock);
    struct answer *answer = answer_of(*link_of(*(const uint32_t *)id));
    bool come = answer && answer->come;
    pthread_mutex_unlock(&answers.lock);
    return come;
}

static bool has_news(const void *id)
{
    return has_come(id) || (nest && nest->waits(*(const uint32_t *)id));
}

/* Until the answer has come; what is to run within runs meanwhile. As
 * wait_until. */
static int wait_for(uint32_t id)
{
    int rc;
    while ((rc = wait_until(has_news, &id)) == 0 && !has_come(&id))
        nest->run(id);
    return rc;
}

/* Takes out the answer that has come; NULL: it has not come, and is no longer
 * expected. Only one that gives back room is worth keeping until it comes. */
static struct answer *take(uint32_t id)
{
    struct answer *taken = NULL;
    pthread_mutex_lock(&answers.lock);
    struct queued **link = link_of(id);
    if (*link && (answer_of(*link)->come || !answer_of(*link)->n))
        taken = answer_of(queue_unlink(&answers.expected, link));
    else if (*link)
        answer_of(*link)->given_up = true;
    pthread_mutex_unlock(&answers.lock);
    return taken;
}

/* Moves *at behind the head of {Tag, Value} if the Result is that. It has been
 * scanned. */
static bool has_tag(const char *result, size_t *at, const char *tag)
{
    char name[ETF_ATOM_SIZE];
    int arity = 0, index = (int)*at;
    if (ei_decode_tuple_header(result, &index, &arity) < 0 || arity != 2 ||
        ei_decode_atom_as(result, &index, name, sizeof name, ERLANG_UTF8, NULL,
                          NULL) < 0 ||
        strcmp(name, tag) != 0)
        return false;
    *at = (size_t)index;
    return true;
}

/* The beginning of an error that Python has no value for: what it is, as text,
 * and its class. */
static PyObject *decode_head(const char *result, size_t at,
                             const struct form *form)
{
    int arity = 0, index = (int)at;
    PyObject *what = NULL, *class = NULL, *head = NULL;
    if (ei_decode_tuple_header(result, &index, &arity) < 0 || arity < 2)
        return NULL;
    at = (size_t)index;
    PyErr_Clear();
    if ((what = value_decode(result, &at, form, "answer")) &&
        (class = value_decode(result, &at, form, "answer")))
        head = PyTuple_Pack(2, what, class);
    Py_XDECREF(class);
    Py_XDECREF(what);
    return head;
}

/* The tuple itself is no value: a user's decoder must not see it.
 * An error is decoded by default. */
static PyObject *decode(const char *result, const struct form *form,
                        bool *failed)
{
    struct form plain;
    size_t at = 0;
    form_init(&plain);
    *failed = has_tag(result, &at, "error");
    if (!*failed)
        has_tag(result, &at, "ok");
    const size_t begin = at;
    PyObject *value =
        value_decode(result, &at, form && !*failed ? form : &plain, "answer");
    if (!value && *failed && PyErr_ExceptionMatches(classes_badarg()))
        value = decode_head(result, begin, &plain);
    return value;
}

static PyObject *value_of(const struct answer *answer, const struct form *form,
                          bool *failed)
{
    if (answer->result)
        return decode(answer->result, form, failed);
    if (*answer->why.text)
        PyErr_Format(classes_badarg(), "answer: %s", answer->why.text);
    else
        PyErr_NoMemory();
    return NULL;
}

/* A forked child has no answers, and must not lock. */
static PyObject *await(uint32_t id, const struct form *form, bool *failed)
{
    bool come = wait_for(id) == 0;
    struct answer *answer = output_is_open() ? take(id) : NULL;
    PyObject *value = come && answer ? value_of(answer, form, failed) : NULL;
    answer_free(answer);
    return value;
}

/* Whoever was waiting has given up. The exception that is set stays. */
static void withdraw(uint32_t id)
{
    struct buf out;
    if (!output_is_open() || wait_has_ended())
        return;
    event_begin(&out, "withdraw");
    put_long(&out, id);
    output_send(&out);
    buf_free(&out);
}

/* The value; one that says what has failed is raised as this error instead. */
static PyObject *unless_failed_take(PyObject *value, bool failed,
                                    PyObject *error)
{
    if (!value || !failed)
        return value;
    PyErr_SetObject(error, value);
    Py_DECREF(value);
    return NULL;
}

PyObject *answer_ask(struct buf *out, uint32_t id, size_t n, PyObject *error,
                     const struct form *form)
{
    bool failed = false;
    if (expect_take(answer_new(id, n)) < 0) {
        window_give(WINDOW_MESSAGES, (long long)n);
        return NULL;
    }
    reply_send(out);
    PyObject *value = await(id, form, &failed);
    if (!value)
        withdraw(id);
    return unless_failed_take(value, failed, error);
}

/* ---- for who does not wait in a thread --------------------------------- */

static void (*tell)(void); /* set before there are threads */

void answer_on_future(void (*hook)(void))
{
    tell = hook;
}

/* NULL: no memory. */
static struct answer *answer_for(uint32_t id, PyObject *future,
                                 const struct form *form)
{
    struct form *own = form ? malloc(sizeof *own) : NULL;
    struct answer *answer = own || !form ? answer_new(id, 0) : NULL;
    if (own)
        *own = *form;
    if (!answer) {
        free(own);
        return NULL;
    }
    answer->future = Py_NewRef(future);
    answer->form = own;
    return answer;
}

int answer_ask_later(struct buf *out, uint32_t id, PyObject *future,
                     const struct form *form)
{
    if (expect_take(answer_for(id, future, form)) < 0)
        return -1;
    reply_send(out);
    return 0;
}

/* Takes out one that has come for a future, or NULL. */
static struct answer *take_next(void)
{
    pthread_mutex_lock(&answers.lock);
    struct queued **link = &answers.expected.first;
    while (*link && !(answer_of(*link)->come && answer_of(*link)->future))
        link = &(*link)->next;
    struct answer *taken = answer_of(queue_unlink(&answers.expected, link));
    pthread_mutex_unlock(&answers.lock);
    return taken;
}

PyObject *answer_next(PyObject **value, PyObject *error)
{
    bool failed = false;
    struct answer *answer = take_next();
    if (!answer)
        return NULL;
    PyObject *future = answer->future;
    PyObject *answered = value_of(answer, answer->form, &failed);
    answer_free(answer);
    *value = unless_failed_take(answered, failed, error);
    return future;
}

void answer_forget(uint32_t id)
{
    struct answer *answer = output_is_open() ? take(id) : NULL;
    if (answer) {
        Py_XDECREF(answer->future);
        answer_free(answer);
        withdraw(id);
    }
}

/* ---- the reader ------------------------------------------------------- */

/* A copy of the Result; NULL if there is no memory. */
static char *copy_result(const struct request *req)
{
    size_t n = req->len - req->args_at;
    char *result = malloc(n);
    if (result)
        memcpy(result, req->frame + req->args_at, n);
    return result;
}

/* With the lock: the answer is there. True: somebody waits for it. */
static bool arrive(struct answer *answer, const struct request *req,
                   const char *why)
{
    window_give(WINDOW_MESSAGES, (long long)answer->n);
    answer->come = true;
    if (answer->given_up)
        return false;
    if (why)
        err_set(&answer->why, "%s", why);
    else if (req->args_at)
        answer->result = copy_result(req);
    return true;
}

/* As arrive, for whichever answer has the id. */
static bool deliver(const struct request *req, const char *why)
{
    int at = (int)req->id_at;
    long id = 0;
    bool wanted = false, later = false;
    struct answer *unwanted = NULL;
    if (ei_decode_long(req->frame, &at, &id) < 0)
        return false;
    pthread_mutex_lock(&answers.lock);
    struct queued **link = link_of(id);
    if (*link && !answer_of(*link)->come) {
        wanted = arrive(answer_of(*link), req, why);
        later = wanted && answer_of(*link)->future;
        if (!wanted)
            unwanted = answer_of(queue_unlink(&answers.expected, link));
    }
    pthread_mutex_unlock(&answers.lock);
    answer_free(unwanted);
    if (later)
        tell();
    wait_wake();
    return wanted;
}

void answer_deliver(const struct request *req)
{
    deliver(req, NULL);
}

bool answer_refuse(const struct request *req, const char *why)
{
    return req->id_len > 0 && deliver(req, why);
}
