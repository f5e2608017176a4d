/* SPDX-License-Identifier: Apache-2.0
 *
 * request: what a frame from the peer asks for.
 *
 *     {Id, Op}  {Id, Op, Opts}                      a request
 *     {cancel, Id}  {more, Id, N}  {stop, Id}
 *     {take_back, Id}  {reply, CallId, Result}
 *     {within, CallId, Request}
 *     {ack, N}  resume  quit                        control
 *
 *     Op = Name | {Name, Argument, …}    Name an atom
 *     Opts = map    N = integer > 0      Id, CallId, Argument, Result any term
 *
 * The first words of control are reserved: such an atom is never an Id.
 * A request owns nothing: its indexes point into the frame, which the caller
 * keeps. No Python, no GIL.
 */
#ifndef PORT_WIRE_REQUEST_H
#define PORT_WIRE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/err.h"
#include "wire/scan.h"

#define REQUEST_OP_MAX 31

enum request_kind {
    REQUEST,
    CONTROL_CANCEL,
    CONTROL_MORE,
    CONTROL_STOP,
    CONTROL_TAKE_BACK,
    CONTROL_REPLY,
    CONTROL_WITHIN,
    CONTROL_ACK,
    CONTROL_RESUME,
    CONTROL_QUIT,
};

struct request {
    enum request_kind kind;
    struct scan_seen has;
    const char *frame; /* borrowed */
    size_t len;
    size_t id_at; /* the Id (or CallId) is frame[id_at .. id_at + id_len) */
    size_t id_len;
    char op[REQUEST_OP_MAX + 1]; /* its name; "unknown" if not ASCII, or long */
    int op_len;
    int op_arity; /* arguments behind the name; 0 for an Op that is an atom */
    size_t
        args_at; /* the first argument (behind the name) | Result | Request */
    size_t opts_at; /* 0 = none */
    long long n;    /* of {more, Id, N} and {ack, N} */
};

/* Scans the frame (see scan.h) and reads its head. Returns 0, or -1 with the
 * text in err. On -1 the Id is there (id_len > 0) where it could be read, so
 * that the answer finds its way; for control (kind tells) only that of a reply
 * whose Result is no good, which whoever waits for it has to hear. */
int request_parse(const char *frame, size_t len, struct request *r,
                  struct err *err);

/* Whether its Id is these bytes. */
bool request_has_id(const struct request *r, const char *id, size_t len);

/* Reads only the Id, from the beginning of a frame that is too large or
 * damaged further on: id_len is 0 for control that is no reply, or where there
 * is none. Of the rest only kind, frame and len are set. */
void request_parse_id(const char *frame, size_t len, struct request *r);

#endif
