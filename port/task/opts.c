/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/opts.h"

#include <ei.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "wire/etf.h"
#include "wire/protocol.h"

/* Room for the name of a choice: "binary" is one of the longest. */
#define CHOICE_SIZE 8

/* What stands before the bytes of a binary: its tag and its size. */
#define BINARY_HEADER 5

static const unsigned char *at_byte(const char *buf, int at)
{
    return (const unsigned char *)buf + at;
}

/* The atom at buf[*at] as a C string; -1: it is not an atom, or too long. */
static int read_name(const char *buf, int *at, char *name, size_t size)
{
    const unsigned char *p = at_byte(buf, *at);
    const int len = etf_name(&p, name, size);
    *at = (int)(p - at_byte(buf, 0));
    return len;
}

/* Which of n atoms it is; -1: none of them. */
static int read_one_of(const char *buf, int *at, const char *const names[],
                       int n)
{
    char name[CHOICE_SIZE];
    if (read_name(buf, at, name, sizeof name) < 0)
        return -1;
    for (int i = 0; i < n; ++i)
        if (strcmp(name, names[i]) == 0)
            return i;
    return -1;
}

/* One of two atoms; *flag says whether it is the second. */
static int read_choice(const char *buf, int *at, const char *no,
                       const char *yes, bool *flag)
{
    const char *const names[] = {no, yes};
    const int which = read_one_of(buf, at, names, 2);
    if (which < 0)
        return -1;
    *flag = which == 1;
    return 0;
}

static int read_bill(const char *buf, int *at, enum bill_kind *kind)
{
    static const char *const names[] = {
        [BILL_NONE] = "false", [BILL_WHOLE] = "true", [BILL_SOME] = "some"};
    const int which = read_one_of(buf, at, names, 3);
    if (which < 0)
        return -1;
    *kind = (enum bill_kind)which;
    return 0;
}

static int read_tags(const char *buf, int *at, struct form *form)
{
    static const char *const names[] = {
        [TAGS_OFF] = "false", [TAGS_IN] = "in", [TAGS_BOTH] = "true"};
    const int which = read_one_of(buf, at, names, 3);
    if (which < 0)
        return -1;
    form->tags = (enum tags)which;
    return 0;
}

static int read_frames(const char *buf, int *at, struct form *form)
{
    static const char *const names[] = {[FRAMES_RECORDS] = "records",
                                        [FRAMES_COLUMNS] = "columns",
                                        [FRAMES_ARRAYS] = "arrays"};
    const int which = read_one_of(buf, at, names, 3);
    if (which < 0)
        return -1;
    form->frames = (enum frames)which;
    return 0;
}

/* A binary, where it is in the frame. */
static int read_text(const char *buf, int *at, const char **text, int *len)
{
    int type = 0;
    if (ei_get_type(buf, at, &type, len) < 0 || type != ERL_BINARY_EXT)
        return -1;
    *text = buf + *at + BINARY_HEADER;
    return ei_skip_term(buf, at);
}

static int read_traceparent(const char *buf, int *at, struct task_opts *opts)
{
    opts->apart = true;
    return read_text(buf, at, &opts->traceparent, &opts->traceparent_len);
}

static int read_number(const char *buf, int *at, long least, long most,
                       long *number)
{
    if (ei_decode_long(buf, at, number) < 0)
        return -1;
    return *number >= least && *number <= most ? 0 : -1;
}

static int read_context(const char *buf, int *at, struct task_opts *opts)
{
    opts->apart = true;
    return read_number(buf, at, 1, LONG_MAX, &opts->context);
}

static int read_none(const char *buf, int *at, struct form *form)
{
    form->none_len = read_name(buf, at, form->none, sizeof form->none);
    return form->none_len < 0 ? -1 : 0;
}

/* 1: there is no such option. */
static int read_value(const char *key, const char *buf, int *at,
                      struct task_opts *opts)
{
    struct form *form = &opts->form;
    if (strcmp(key, "none") == 0)
        return read_none(buf, at, form);
    if (strcmp(key, "binaries") == 0)
        return read_choice(buf, at, "str", "bytes", &form->bytes);
    if (strcmp(key, "arrays") == 0)
        return read_choice(buf, at, "list", "binary", &form->arrays_binary);
    if (strcmp(key, "tags") == 0)
        return read_tags(buf, at, form);
    if (strcmp(key, "frames") == 0)
        return read_frames(buf, at, form);
    if (strcmp(key, "traceback") == 0)
        return read_choice(buf, at, "false", "true", &form->traceback);
    if (strcmp(key, "capture") == 0)
        return read_choice(buf, at, "false", "true", &opts->capture);
    if (strcmp(key, "bill") == 0)
        return read_bill(buf, at, &opts->bill);
    if (strcmp(key, "chunk") == 0)
        return read_number(buf, at, 1, ITEMS_MAX, &opts->chunk);
    if (strcmp(key, "credit") == 0)
        return read_number(buf, at, 0, ITEMS_MAX, &opts->credit);
    if (strcmp(key, "context") == 0)
        return read_context(buf, at, opts);
    if (strcmp(key, "filename") == 0)
        return read_text(buf, at, &opts->filename, &opts->filename_len);
    if (strcmp(key, "line") == 0)
        return read_number(buf, at, 1, MOST_LINE, &opts->line);
    if (strcmp(key, "traceparent") == 0)
        return read_traceparent(buf, at, opts);
    return 1;
}

static int read_option(const char *buf, int *at, struct task_opts *opts,
                       struct err *err)
{
    char key[ETF_ATOM_SIZE + 1];
    if (read_name(buf, at, key, sizeof key) < 0)
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
    *opts = (struct task_opts){
        .form = FORM_DEFAULT, .chunk = DEFAULT_CHUNK, .credit = -1, .line = 1};
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
