/* SPDX-License-Identifier: Apache-2.0
 *
 * value_form: how one request wants its values converted. Plain data, no GIL.
 */
#ifndef PORT_VALUE_FORM_H
#define PORT_VALUE_FORM_H

#include <stdbool.h>

struct value_form {
    bool bytes;         /* an Erlang binary becomes bytes, not str */
    bool arrays_binary; /* numpy arrays become {ndarray, Dtype, Shape, Bin} */
    bool traceback;     /* errors carry the traceback */
    int none_len;
    char none[256]; /* the atom that None becomes: UTF-8, zero behind it */
};

/* What a request without options gets. */
static inline void value_form_init(struct value_form *opts)
{
    *opts = (struct value_form){.none = "none", .none_len = 4};
}

#endif
