/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/opts.h"

#include <ei.h>
#include <stdbool.h>
#include <string.h>

#include "wire/protocol.h"

static int read_atom(const char *buf, int *at, char *text)
{
    return ei_decode_atom_as(buf, at, text, MAXATOMLEN_UTF8, ERLANG_UTF8, NULL,
                             NULL);
}

/* One of two atoms; *flag says whether it is the second. */
static int read_choice(const char *buf, int *at, const char *no,
                       const char *yes, bool *flag)
{
    char text[MAXATOMLEN_UTF8];
    if (read_atom(buf, at, text) < 0)
        return -1;
    *flag = strcmp(text, yes) == 0;
    return *flag || strcmp(text, no) == 0 ? 0 : -1;
}

static int read_items(const char *buf, int *at, long least, long *items)
{
    if (ei_decode_long(buf, at, items) < 0)
        return -1;
    return *items >= least && *items <= ITEMS_MAX ? 0 : -1;
}

static int read_none(const char *buf, int *at, struct form *value)
{
    char text[MAXATOMLEN_UTF8];
    if (read_atom(buf, at, text) < 0 || strlen(text) >= sizeof value->none)
        return -1;
    value->none_len = (int)strlen(text);
    memcpy(value->none, text, (size_t)value->none_len + 1);
    return 0;
}

/* 1: there is no such option. */
static int read_value(const char *key, const char *buf, int *at,
                      struct task_opts *opts)
{
    struct form *value = &opts->value;
    if (strcmp(key, "none") == 0)
        return read_none(buf, at, value);
    if (strcmp(key, "binaries") == 0)
        return read_choice(buf, at, "str", "bytes", &value->bytes);
    if (strcmp(key, "arrays") == 0)
        return read_choice(buf, at, "list", "binary", &value->arrays_binary);
    if (strcmp(key, "traceback") == 0)
        return read_choice(buf, at, "false", "true", &value->traceback);
    if (strcmp(key, "capture") == 0)
        return read_choice(buf, at, "false", "true", &opts->capture);
    if (strcmp(key, "chunk") == 0)
        return read_items(buf, at, 1, &opts->chunk);
    if (strcmp(key, "credit") == 0)
        return read_items(buf, at, 0, &opts->credit);
    return 1;
}

static int read_option(const char *buf, int *at, struct task_opts *opts,
                       struct err *err)
{
    char key[MAXATOMLEN_UTF8];
    if (read_atom(buf, at, key) < 0)
        return err_set(err, "an option's name is not an atom (byte %d)", *at);
    switch (read_value(key, buf, at, opts)) {
    case 0:
        return 0;
    case 1:
        return err_set(err, "there is no option '%s'", key);
    default:
        return err_set(err, "option '%s' has a wrong value", key);
    }
}

int task_opts_read(const struct request *req, struct task_opts *opts,
                   struct err *err)
{
    *opts = (struct task_opts){.chunk = DEFAULT_CHUNK, .credit = -1};
    form_init(&opts->value);
    if (req->opts_at) {
        int at = (int)req->opts_at, arity = 0;
        if (ei_decode_map_header(req->frame, &at, &arity) < 0)
            return err_set(err, "the options are not a map");
        for (int i = 0; i < arity; i++)
            if (read_option(req->frame, &at, opts, err) < 0)
                return -1;
    }
    if (opts->credit < 0)
        opts->credit = 2 * opts->chunk;
    return 0;
}
