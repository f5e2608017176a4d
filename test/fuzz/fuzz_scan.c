/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_scan: any bytes as a frame. Nothing is read outside of them, and what
 * the scanner lets pass is what ei takes it for.
 */
#include "config.h"

#include <ei.h>
#include <string.h>

#include "fuzz.h"
#include "wire/request.h"
#include "wire/scan.h"

/* A result and an error text go together. */
static void check_result(int rc, const struct err *err)
{
    CHECK(rc == (err->text[0] == '\0' ? 0 : -1));
    CHECK(memchr(err->text, '\0', sizeof err->text) != NULL);
}

static void try_scan(const char *frame, size_t size)
{
    struct err err = {""};
    int rc = scan_frame(frame, size, &err);
    check_result(rc, &err);
    if (rc == 0) {
        int at = 1;
        CHECK(ei_skip_term(frame, &at) == 0);
        CHECK((size_t)at == size);
    }
}

/* [at, at + len) is one term inside the frame. */
static void check_term(const char *frame, size_t size, size_t at, size_t len)
{
    struct err err = {""};
    size_t end = at;
    CHECK(scan_term(frame, size, &end, &err) == 0);
    CHECK(end == at + len && end <= size);
}

static bool has_id(enum request_kind kind)
{
    return kind != CONTROL_ACK && kind != CONTROL_QUIT &&
           kind != CONTROL_RESUME;
}

/* The Id of a request or a reply, also of what is to run within a call: that is
 * a frame at the end of the other one. */
static void try_id(const struct request *r)
{
    struct request id;
    request_parse_id(r->frame, r->len, &id);
    if (id.frame != r->frame) {
        CHECK(r->kind == CONTROL_WITHIN);
        CHECK(id.frame > r->frame && id.frame + id.len == r->frame + r->len);
        if (id.id_len > 0)
            check_term(id.frame, id.len, id.id_at, id.id_len);
        return;
    }
    CHECK(id.kind == r->kind);
    if (r->kind == REQUEST || r->kind == CONTROL_REPLY)
        CHECK(id.id_at == r->id_at && id.id_len == r->id_len);
    else
        CHECK(id.id_len == 0);
}

static void try_request(const char *frame, size_t size)
{
    struct err err = {""};
    struct request r;
    int rc = request_parse(frame, size, &r, &err);
    check_result(rc, &err);
    if (r.id_len > 0)
        check_term(frame, size, r.id_at, r.id_len);
    try_id(&r);
    if (rc < 0)
        return;
    CHECK((r.id_len > 0) == has_id(r.kind));
    CHECK(r.op_len == (int)strlen(r.op));
    CHECK(r.args_at <= size && r.opts_at < size);
    for (int i = 0; i < r.op_arity; i++)
        CHECK(scan_term(frame, size, &r.args_at, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_scan((const char *)data, size);
    try_request((const char *)data, size);
    return 0;
}
