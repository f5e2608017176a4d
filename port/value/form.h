/* SPDX-License-Identifier: Apache-2.0
 *
 * form: how one request wants its values converted. Plain data, no GIL.
 */
#ifndef PORT_VALUE_FORM_H
#define PORT_VALUE_FORM_H

#include <stdbool.h>

struct form {
    bool bytes;         /* an Erlang binary becomes bytes, not str */
    bool arrays_binary; /* numpy arrays become {ndarray, Dtype, Shape, Bin} */
    bool traceback;     /* errors carry the traceback */
    int none_len;
    char none[256]; /* the atom that None becomes: UTF-8, zero behind it */
};

/* What a request without options gets. */
static inline void form_init(struct form *form)
{
    *form = (struct form){.none = "none", .none_len = 4};
}

#endif
