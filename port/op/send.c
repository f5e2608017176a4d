/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/send.h"

#include "op/reply.h"
#include "value/encode.h"
#include "wire/output.h"
#include "wire/put.h"

static int put_message(struct buf *out, PyObject *to, PyObject *term)
{
    struct value_opts opts;
    value_opts_init(&opts);
    put_version(out);
    put_tuple(out, 3);
    put_atom_z(out, "event");
    put_atom_z(out, "send");
    put_tuple(out, 2);
    if (value_encode(out, to, &opts, "to") < 0)
        return -1;
    return value_encode(out, term, &opts, "term");
}

int send_message(PyObject *to, PyObject *term)
{
    struct buf out;
    buf_init(&out, 0);
    output_begin(&out);
    int rc = put_message(&out, to, term);
    if (rc == 0)
        reply_send(&out);
    buf_free(&out);
    return rc;
}
