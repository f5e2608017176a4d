/* SPDX-License-Identifier: Apache-2.0
 *
 * batch: splitting a frame of many requests.
 */
#include "config.h"

#include "wire/batch.h"

#include <ei.h>

#include "wire/bytes.h"
#include "wire/etf.h"
#include "wire/protocol.h"

/* The version byte, the list's tag and its length. */
#define LIST_HEAD 6

static bool is_list(const char *frame, size_t len)
{
    return len >= LIST_HEAD && frame[0] == (char)TERM_VERSION &&
           frame[1] == ERL_LIST_EXT;
}

static size_t part_length(const char *head)
{
    return bytes_get(head + 1, ETF_BINARY_HEAD - 1);
}

bool batch_begin(struct batch *b, const char *frame, size_t len)
{
    if (!is_list(frame, len))
        return false;
    const size_t n = bytes_get(frame + 2, LIST_HEAD - 2);
    size_t at = LIST_HEAD;
    for (size_t i = 0; i < n; i++) {
        if (len - at < ETF_BINARY_HEAD || frame[at] != ERL_BINARY_EXT)
            return false;
        const size_t length = part_length(frame + at);
        at += ETF_BINARY_HEAD;
        if (len - at < length)
            return false;
        at += length;
    }
    if (len - at != 1 || frame[at] != ERL_NIL_EXT)
        return false;
    *b = (struct batch){.at = frame + LIST_HEAD, .left = n};
    return true;
}

bool batch_part(const char *head, const char **part, size_t *len)
{
    if (head[0] != ERL_BINARY_EXT)
        return false;
    *len = part_length(head);
    *part = head + ETF_BINARY_HEAD;
    return true;
}

bool batch_next(struct batch *b, const char **part, size_t *len)
{
    if (b->left == 0)
        return false;
    *len = part_length(b->at);
    *part = b->at + ETF_BINARY_HEAD;
    b->at = *part + *len;
    b->left--;
    return true;
}
