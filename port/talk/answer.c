/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/answer.h"

#include <ei.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "talk/wait.h"
#include "talk/window.h"
#include "value/decode.h"
#include "wire/output.h"
#include "wire/queue.h"

/* Smaller numbers have a shorter form. */
#define FIRST_ID 256

struct answer {
    struct queued queued;
    uint32_t id;
    size_t n;     /* bytes of the message */
    char *result; /* owned; NULL until it has come */
    bool given_up;
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
    free(answer->result);
    free(answer);
}

/* Numbers that have one form in a frame, so that py_wire can read them there.
 * They come again after two thousand million: nobody waits that long. */
uint32_t answer_new_id(void)
{
    pthread_mutex_lock(&answers.lock);
    if (answers.last_id == INT32_MAX)
        answers.last_id = FIRST_ID;
    uint32_t id = ++answers.last_id;
    pthread_mutex_unlock(&answers.lock);
    return id;
}

int answer_expect(uint32_t id, size_t n)
{
    struct answer *answer = calloc(1, sizeof *answer);
    if (!answer) {
        PyErr_NoMemory();
        return -1;
    }
    answer->id = id;
    answer->n = n;
    pthread_mutex_lock(&answers.lock);
    queue_push(&answers.expected, &answer->queued);
    pthread_mutex_unlock(&answers.lock);
    return 0;
}

static bool has_come(const void *id)
{
    pthread_mutex_lock(&answers.lock);
    struct answer *answer = answer_of(*link_of(*(const uint32_t *)id));
    bool come = answer && answer->result;
    pthread_mutex_unlock(&answers.lock);
    return come;
}

/* Takes out the answer that has come; NULL: it has not come, and is no longer
 * expected. */
static struct answer *take(uint32_t id)
{
    struct answer *taken = NULL;
    pthread_mutex_lock(&answers.lock);
    struct queued **link = link_of(id);
    if (*link && answer_of(*link)->result)
        taken = answer_of(queue_unlink(&answers.expected, link));
    else if (*link)
        answer_of(*link)->given_up = true;
    pthread_mutex_unlock(&answers.lock);
    return taken;
}

/* A forked child has no answers, and must not lock. */
PyObject *answer_await(uint32_t id)
{
    struct form form;
    size_t at = 0;
    bool come = wait_until(has_come, &id) == 0;
    struct answer *answer = output_is_open() ? take(id) : NULL;
    PyObject *result = NULL;

    form_init(&form);
    if (come && answer)
        result = value_decode(answer->result, &at, &form, "answer");
    answer_free(answer);
    return result;
}

/* A copy of the Result; NULL if there is no memory, as if it had not come. */
static char *copy_result(const struct request *req)
{
    size_t n = req->len - req->args_at;
    char *result = malloc(n);
    if (result)
        memcpy(result, req->frame + req->args_at, n);
    return result;
}

/* With the lock. The answer that nobody waits for, to be freed, or NULL. */
static struct answer *deliver(struct queued **link, const struct request *req)
{
    struct answer *answer = answer_of(*link);
    if (!answer || answer->result)
        return NULL;
    window_give(WINDOW_MESSAGES, (long long)answer->n);
    if (answer->given_up)
        return answer_of(queue_unlink(&answers.expected, link));
    answer->result = copy_result(req);
    return NULL;
}

void answer_deliver(const struct request *req)
{
    int at = (int)req->id_at;
    long id = 0;
    if (ei_decode_long(req->frame, &at, &id) < 0)
        return;
    pthread_mutex_lock(&answers.lock);
    struct answer *unwanted = deliver(link_of(id), req);
    pthread_mutex_unlock(&answers.lock);
    answer_free(unwanted);
    wait_wake();
}
