/* SPDX-License-Identifier: Apache-2.0
 *
 * form: how one request wants its values converted. Plain data, no GIL.
 */
#ifndef PORT_VALUE_FORM_H
#define PORT_VALUE_FORM_H

#include <stdbool.h>

/* Where tagged tuples stand for what has no term of its own. */
enum tags {
    TAGS_OFF,
    TAGS_IN,   /* in arguments */
    TAGS_BOTH, /* in results, too, instead of text */
};

/* What a table becomes. */
enum frames {
    FRAMES_RECORDS,
    FRAMES_COLUMNS,
    FRAMES_ARRAYS,
};

/* What a request is doing, in case memory runs out meanwhile. */
enum stage {
    STAGE_CODE, /* the user's */
    STAGE_ARGUMENTS,
    STAGE_REPLY,
};

struct form {
    bool bytes;         /* an Erlang binary becomes bytes, not str */
    bool arrays_binary; /* numpy arrays become {ndarray, Dtype, Shape, Bin} */
    bool traceback;     /* errors carry the traceback */
    bool tag_bytes;     /* bytes become {bytes, Bin}, and come back as bytes */
    enum tags tags;
    enum frames frames;
    enum stage stage; /* at which an exception was raised */
    int none_len;
    char none[256]; /* the atom that None becomes: UTF-8, zero behind it */
};

/* What a request without options gets. */
#define FORM_DEFAULT \
    { \
        .none = "none", .none_len = 4, .tags = TAGS_IN \
    }

static inline void form_init(struct form *form)
{
    *form = (struct form)FORM_DEFAULT;
}

#endif
