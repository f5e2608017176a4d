/* SPDX-License-Identifier: Apache-2.0
 *
 * request: the head of a frame, read while it is scanned.
 *
 * The elements of the outer tuple are scanned one after the other, so that
 * each byte is walked once and the Id is known before an error behind it can be
 * found. What has been scanned is then read with ei.
 */
#include "config.h"

#include "wire/request.h"

#include <ei.h>
#include <string.h>

#include "wire/etf.h"
#include "wire/protocol.h"
#include "wire/scan.h"

static const struct control {
    const char *name;
    enum request_kind kind;
    size_t arity;
    const char *form;
} controls[] = {
    {"cancel", CONTROL_CANCEL, 2, "{cancel, Id}"},
    {"more", CONTROL_MORE, 3, "{more, Id, N} with N = 1..2147483647"},
    {"stop", CONTROL_STOP, 2, "{stop, Id}"},
    {"take_back", CONTROL_TAKE_BACK, 2, "{take_back, Id}"},
    {"reply", CONTROL_REPLY, 3, "{reply, CallId, Result}"},
    {"within", CONTROL_WITHIN, 3, "{within, CallId, Request}"},
    {"ack", CONTROL_ACK, 2, "{ack, N} with N = 1..2147483647"},
};

/* The outer tuple: no form has more elements than MAX_PARTS. */
#define MAX_PARTS 3

/* Control that is an atom alone. */
static const struct word {
    const char *name;
    enum request_kind kind;
} words[] = {
    {"quit", CONTROL_QUIT},
    {"resume", CONTROL_RESUME},
};

/* Bytes of the longest frame that is one of them. */
#define WORD_FRAME_MAX 10

struct parts {
    size_t arity;
    size_t found;             /* elements that passed the scan */
    size_t at[MAX_PARTS + 1]; /* where each starts; where the last one ends */
    struct scan_seen seen;    /* in any of them */
};

/* Moves *at behind the head of the tuple that starts there, if one does. */
static bool get_tuple(const char *frame, size_t len, size_t *at, size_t *arity)
{
    size_t width = 0;
    if (*at < len && frame[*at] == ERL_SMALL_TUPLE_EXT)
        width = 1;
    else if (*at < len && frame[*at] == ERL_LARGE_TUPLE_EXT)
        width = 4;
    if (width == 0 || len - *at < 1 + width)
        return false;
    *arity = bytes_get(frame + *at + 1, width);
    *at += 1 + width;
    return true;
}

/* Neither a zero nor a part of a longer character. */
static bool is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\0' || text[i] & 0x80)
            return false;
    return true;
}

/* All names of ours are ASCII and short: "" for one that is not. */
static void copy_name(const char *text, size_t len, char *name)
{
    const size_t n = len <= REQUEST_OP_MAX && is_ascii(text, len) ? len : 0;
    memcpy(name, text, n);
    name[n] = '\0';
}

/* Moves *at behind the scanned atom that starts there; false: it is not an
 * atom. */
static bool get_name(const char *frame, size_t *at, char *name)
{
    char scratch[ETF_ATOM_SIZE];
    const unsigned char *p = (const unsigned char *)frame + *at;
    size_t len = 0;
    const char *text = etf_atom(&p, scratch, &len);
    if (!text)
        return false;
    copy_name(text, len, name);
    *at = (size_t)((const char *)p - frame);
    return true;
}

/* Scans the whole frame. The parts that it found are valid even if it fails. */
static int split(const char *frame, size_t len, struct parts *parts,
                 struct err *err)
{
    size_t at = 1;
    if (!get_tuple(frame, len, &at, &parts->arity) ||
        frame[0] != (char)TERM_VERSION) {
        int rc = scan_frame(frame, len, err);
        return rc < 0 ? rc
                      : err_set(err, "a frame must be a tuple, a list of "
                                     "binaries, resume or quit");
    }
    for (; parts->found < parts->arity; parts->found++) {
        if (parts->found == MAX_PARTS)
            return err_set(err, "a frame must be a tuple of 2 or 3 elements");
        parts->at[parts->found] = at;
        if (scan_and_see(frame, len, &at, &parts->seen, err) < 0)
            return -1;
        parts->at[parts->found + 1] = at;
    }
    return scan_end(len, at, err);
}

static const struct control *find_control(const char *frame, size_t at)
{
    char name[REQUEST_OP_MAX + 1];
    if (get_name(frame, &at, name))
        for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
            if (strcmp(name, controls[i].name) == 0)
                return &controls[i];
    return NULL;
}

static void set_id(struct request *r, const struct parts *parts, size_t i)
{
    r->id_at = parts->at[i];
    r->id_len = parts->at[i + 1] - parts->at[i];
}

/* Whoever waits for an answer has to hear that it is no good. */
static void begin_control(struct request *r, const struct parts *parts,
                          enum request_kind kind)
{
    r->kind = kind;
    if (kind == CONTROL_REPLY && parts->found > 1)
        set_id(r, parts, 1);
    if (kind == CONTROL_WITHIN && parts->found > 1)
        r->args_at = parts->at[2];
}

static int parse_control(struct request *r, const struct parts *parts,
                         const struct control *control, struct err *err)
{
    if (parts->arity != control->arity)
        return err_set(err, "control must be %s", control->form);
    if (control->kind == CONTROL_MORE || control->kind == CONTROL_ACK) {
        int index = (int)parts->at[control->arity - 1];
        if (ei_decode_longlong(r->frame, &index, &r->n) < 0 || r->n < 1 ||
            r->n > COUNT_MAX)
            return err_set(err, "control must be %s", control->form);
    }
    if (control->kind == CONTROL_REPLY)
        r->args_at = parts->at[2];
    if (control->kind != CONTROL_ACK)
        set_id(r, parts, 1);
    return 0;
}

static int parse_op(struct request *r, size_t at, struct err *err)
{
    size_t arity = 1;
    get_tuple(r->frame, r->len, &at, &arity);
    if (arity == 0 || !get_name(r->frame, &at, r->op))
        return err_set(err, "Op must be an atom or {Name, Argument, ...}");
    if (*r->op == '\0')
        strcpy(r->op, "unknown");
    r->op_len = (int)strlen(r->op);
    r->op_arity = (int)arity - 1;
    r->args_at = at;
    return 0;
}

static int parse_request(struct request *r, const struct parts *parts,
                         struct err *err)
{
    if (parts->arity < 2)
        return err_set(err, "a request must be {Id, Op} or {Id, Op, Opts}");
    r->has = parts->seen;
    if (parts->arity == 3) {
        r->opts_at = parts->at[2];
        if (r->frame[r->opts_at] != ERL_MAP_EXT)
            return err_set(err, "Opts must be a map");
    }
    return parse_op(r, parts->at[1], err);
}

/* Frames that are not tuples. Their atom can be written in four ways. */
static const struct word *find_word(const char *frame, size_t len)
{
    struct err ignored = {""};
    char name[REQUEST_OP_MAX + 1];
    size_t at = 1;
    if (len > WORD_FRAME_MAX || scan_frame(frame, len, &ignored) < 0 ||
        !get_name(frame, &at, name))
        return NULL;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(name, words[i].name) == 0)
            return &words[i];
    return NULL;
}

int request_parse(const char *frame, size_t len, struct request *r,
                  struct err *err)
{
    *r = (struct request){.frame = frame, .len = len};
    const struct word *word = find_word(frame, len);
    if (word) {
        r->kind = word->kind;
        return 0;
    }
    struct parts parts = {0};
    int rc = split(frame, len, &parts, err);
    const struct control *control = NULL;
    if (parts.found > 0) {
        control = find_control(frame, parts.at[0]);
        if (control != NULL)
            begin_control(r, &parts, control->kind);
        else
            set_id(r, &parts, 0);
    }
    if (rc < 0)
        return rc;
    return control != NULL ? parse_control(r, &parts, control, err)
                           : parse_request(r, &parts, err);
}

bool request_has_id(const struct request *r, const char *id, size_t len)
{
    return r->id_len == len && memcmp(r->frame + r->id_at, id, len) == 0;
}

/* What is to run within a call has an Id of its own, in a binary. */
static bool is_within(const struct request *r)
{
    return r->kind == CONTROL_WITHIN && r->args_at > 0 &&
           r->len - r->args_at > ETF_BINARY_HEAD &&
           r->frame[r->args_at] == ERL_BINARY_EXT;
}

void request_parse_id(const char *frame, size_t len, struct request *r)
{
    struct err ignored = {""};
    struct request whole;
    request_parse(frame, len, &whole, &ignored);
    if (is_within(&whole)) {
        frame += whole.args_at + ETF_BINARY_HEAD;
        len -= whole.args_at + ETF_BINARY_HEAD;
        request_parse(frame, len, &whole, &ignored);
    }
    *r = (struct request){.kind = whole.kind, .frame = frame, .len = len};
    if (whole.kind == REQUEST || whole.kind == CONTROL_REPLY) {
        r->id_at = whole.id_at;
        r->id_len = whole.id_len;
    }
}
