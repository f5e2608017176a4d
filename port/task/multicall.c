/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/multicall.h"

#include <ei.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "task/reply.h"
#include "value/python.h"
#include "wire/bytes.h"
#include "wire/clock.h"
#include "wire/lane.h"
#include "wire/output.h"
#include "wire/protocol.h"
#include "wire/put.h"
#include "wire/scan.h"

/* How long a result waits for others. */
#define HOLD_NS CLOCK_NS_PER_MS

/* What is around the Id, and in front of the results, in a part: the header,
 * the version, a tuple; a tuple, the atom, a number, and the head of a tuple.
 */
#define PART_HEAD (FRAME_HEADER + 1 + 2 + 2 + 6 + 5 + 5)

/* What the notes begin with: in its lower half how many bytes of results are
 * kept, and what is before them; in the upper half how many results. */
typedef _Atomic uint64_t notes_word;

static bool always(void)
{
    return true;
}

static bool (*goes_on)(void) = always;

static struct {
    pthread_mutex_t lock;
    const struct request *req; /* NULL: none runs */
    size_t next;               /* calls that have started; changed by main */
    size_t end;                /* calls that may start */
    notes_word *word;          /* NULL: there are no notes */
    struct buf kept;           /* a part to be, in the notes */
    size_t n_kept;             /* its results */
    size_t n_at;               /* where it says how many these are */
} calls = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Of the main thread. */
static struct {
    size_t at;       /* the call that runs, in the request */
    size_t result;   /* its result, in the frame */
    size_t pending;  /* bytes that may be kept */
    long long until; /* when they are sent; 0: there are none */
} now;

static void lock(void)
{
    pthread_mutex_lock(&calls.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&calls.lock);
}

void multicall_init(bool (*hook)(void))
{
    goes_on = hook;
}

/* ---- frames ------------------------------------------------------------- */

static void begin_reply(struct buf *out)
{
    const struct request *req = calls.req;
    reply_begin(out, req->frame + req->id_at, req->id_len);
}

/* In the form that has a fixed length, so that the peer need not decode it. */
static void put_number(struct buf *out, char tag, size_t n)
{
    char bytes[] = {tag, 0, 0, 0, 0};
    bytes_put(bytes + 1, n, 4);
    put_raw(out, bytes, sizeof bytes);
}

/* A part with one result, or more if its number is changed. Returns where that
 * is. */
static size_t begin_part(struct buf *out, size_t from)
{
    begin_reply(out);
    put_tuple(out, 3);
    put_atom_z(out, "part");
    put_number(out, ERL_INTEGER_EXT, from);
    put_number(out, ERL_LARGE_TUPLE_EXT, 1);
    return out->len - 4;
}

/* ---- what is kept: with the lock ---------------------------------------- */

static void write_word(uint64_t n, uint64_t bytes)
{
    atomic_store(calls.word, n << 32 | bytes);
}

static void use_notes(bool wanted)
{
    size_t size = 0;
    char *notes = wanted ? lane_notes(&size) : NULL;
    calls.word = (notes_word *)(void *)notes;
    calls.n_kept = 0;
    calls.kept = (struct buf){.data = notes};
    if (notes) {
        calls.kept.data += sizeof *calls.word;
        calls.kept.cap = size - sizeof *calls.word;
    }
}

/* Whether there is room for a result of n bytes. */
static bool fits(size_t n)
{
    const size_t head = calls.n_kept ? 0 : PART_HEAD + calls.req->id_len;
    return calls.kept.cap - calls.kept.len >= head + n;
}

/* Call `from` has this result. False: there is no room for it. */
static bool keep(size_t from, const char *result, size_t n)
{
    if (!fits(n))
        return false;
    if (calls.n_kept == 0)
        calls.n_at = begin_part(&calls.kept, from);
    put_raw(&calls.kept, result, n);
    write_word(++calls.n_kept, calls.kept.len);
    return true;
}

/* If the program dies before the word says that nothing is kept, the peer has
 * a part twice, and sees that by its first number. */
static void send_kept(void)
{
    if (calls.n_kept == 0)
        return;
    bytes_put(calls.kept.data + calls.n_at, calls.n_kept, 4);
    output_send(&calls.kept);
    write_word(0, 0);
    calls.n_kept = 0;
    calls.kept.len = 0;
}

static void give_back(void)
{
    struct buf out;
    const size_t n = calls.end - calls.next;
    if (n == 0)
        return;
    calls.end = calls.next;
    buf_init(&out, 0);
    begin_reply(&out);
    put_tuple(&out, 2);
    put_atom_z(&out, "not_started");
    put_number(&out, ERL_INTEGER_EXT, n);
    output_send(&out);
    buf_free(&out);
}

void multicall_take_back(const struct request *req)
{
    lock();
    const struct request *mine = calls.req;
    if (mine && request_has_id(req, mine->frame + mine->id_at, mine->id_len)) {
        send_kept();
        give_back();
    }
    unlock();
}

/* ---- call by call ------------------------------------------------------- */

/* Whether nil is behind n terms that start at `at`, which were scanned before.
 */
static bool ends_behind(const struct request *req, size_t at, int n)
{
    struct err ignored = {""};
    for (int i = 0; i < n; i++)
        scan_term(req->frame, req->len, &at, &ignored);
    return req->frame[at] == ERL_NIL_EXT;
}

/* How many calls there are, each of which takes some bytes; -1: it is no list
 * of calls. Its tail is looked for only if there is any that is not nil. */
static int count(struct task *task)
{
    const struct request *req = task->req;
    int at = (int)task->at, n = 0;
    if (ei_decode_list_header(req->frame, &at, &n) < 0)
        return -1;
    if (n > 0 && req->has.tails && !ends_behind(req, (size_t)at, n))
        return -1;
    task->at = (size_t)at;
    return n;
}

/* With a bill, which comes right ahead of each result, none is kept. */
int multicall_begin(struct task *task, struct err *err)
{
    const int n = count(task);
    if (n < 0)
        return err_set(err, "calls: not a list of calls");
    lock();
    calls.req = task->req;
    calls.next = 0;
    calls.end = (size_t)n;
    use_notes(task->opts.bill == BILL_NONE);
    unlock();
    now.pending = 0;
    now.until = 0;
    return 0;
}

bool multicall_next(struct task *task)
{
    const bool may = goes_on();
    lock();
    if (!may)
        give_back();
    const bool more = calls.next < calls.end;
    calls.next += more;
    unlock();
    now.at = task->at;
    task->opts.form.stage = STAGE_CODE;
    return more;
}

/* It was scanned before. */
void multicall_skip(struct task *task)
{
    struct err ignored = {""};
    task->at = now.at;
    scan_term(task->req->frame, task->req->len, &task->at, &ignored);
}

void multicall_open(struct buf *out)
{
    begin_part(out, calls.next - 1);
    now.result = out->len;
}

static void add(struct buf *out, size_t n, bool is_due)
{
    const char *result = out->data + now.result;
    lock();
    const size_t from = calls.next - 1;
    if (!keep(from, result, n)) {
        send_kept();
        if (!keep(from, result, n))
            output_send(out);
    }
    if (is_due)
        send_kept();
    unlock();
}

static bool is_due(void)
{
    const long long time = clock_now();
    if (now.until == 0)
        now.until = time + HOLD_NS;
    return time >= now.until || now.pending > calls.kept.cap;
}

/* The lock is not held while this waits for the GIL: whoever reads the input
 * may need it. */
void multicall_close(struct buf *out)
{
    const size_t n = out->len - now.result;
    task_returned(); /* an encoder may have forked */
    now.pending += n;
    const bool due = is_due();
    if (due && now.pending > PIPE_BUF) {
        Py_BEGIN_ALLOW_THREADS
        add(out, n, due);
        Py_END_ALLOW_THREADS
    } else {
        add(out, n, due);
    }
    if (due) {
        now.pending = 0;
        now.until = 0;
    }
}

void multicall_end(struct buf *out)
{
    begin_reply(out);
    reply_ok(out);
    Py_BEGIN_ALLOW_THREADS
    lock();
    send_kept();
    calls.req = NULL;
    unlock();
    Py_END_ALLOW_THREADS
    reply_send(out);
}
