/* SPDX-License-Identifier: Apache-2.0
 *
 * opts: the options of one request, the map behind the operation. Needs no GIL.
 */
#ifndef PORT_TASK_OPTS_H
#define PORT_TASK_OPTS_H

#include "value/form.h"
#include "wire/err.h"
#include "wire/request.h"

/* Nothing; all; or all but the heap if a look at that takes long, and that only
 * now and then. */
enum bill_kind { BILL_NONE, BILL_WHOLE, BILL_SOME };

struct task_opts {
    struct form form;
    bool capture;         /* what is printed comes with the reply */
    enum bill_kind bill;  /* and what the job has cost */
    const char *filename; /* of the code, in the frame; NULL: it has none */
    int filename_len;
    const char *traceparent; /* of W3C, in the frame; NULL: it has none */
    int traceparent_len;
    bool apart;   /* it runs with a context or a traceparent */
    long line;    /* at which the code begins there */
    long context; /* where it runs; 0: in __main__ */
    long chunk;   /* stream: items in a chunk, at most */
    long credit;  /* stream: items that may be sent before {more, …} */
};

/* Fills `opts` from the request's map, or with the defaults where it has
 * none. -1 and `err` says which option is unknown or has a wrong value. */
int task_opts_read(const struct request *req, struct task_opts *opts,
                   struct err *err);

#endif
