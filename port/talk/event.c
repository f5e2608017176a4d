/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/event.h"

#include "talk/wait.h"
#include "talk/window.h"
#include "task/reply.h"
#include "value/encode.h"
#include "wire/output.h"
#include "wire/protocol.h"
#include "wire/put.h"

int event_begin(struct buf *out, const char *name)
{
    buf_init(out, 0);
    output_begin(out);
    put_version(out);
    put_tuple(out, 3);
    put_atom_z(out, "event");
    return put_atom_z(out, name);
}

static int put_event(struct buf *out, const char *name, PyObject *data)
{
    struct form form;
    form_init(&form);
    if (event_begin(out, name) < 0) {
        PyErr_SetString(PyExc_ValueError, "an event's name is an atom");
        return -1;
    }
    return value_encode(out, data, &form, name);
}

/* Neither a forked child nor a program that is ending has anybody to send to.
 */
int event_send(const char *name, PyObject *data, bool wait)
{
    struct buf out;
    if (!output_is_open())
        return wait ? wait_refuse() : 0;
    int sent = put_event(&out, name, data);
    if (sent == 0 && output_is_open())
        sent = window_take(WINDOW_LINES, out.len - FRAME_HEADER, wait);
    if (sent > 0)
        reply_send(&out);
    buf_free(&out);
    return sent;
}

void event_acked(long long n)
{
    window_give(WINDOW_LINES, n);
}
