/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_batch: any bytes as a frame of many requests. The parts are inside, one
 * behind the other, and what passed is what ei takes it for.
 */
#include "config.h"

#include <ei.h>

#include "fuzz.h"
#include "wire/batch.h"
#include "wire/request.h"

static void check_list(const char *frame, size_t size, size_t parts)
{
    int at = 1, n = 0;
    CHECK(ei_decode_list_header(frame, &at, &n) == 0);
    CHECK((size_t)n == parts);
    for (size_t i = 0; i < parts; i++)
        CHECK(ei_skip_term(frame, &at) == 0);
    CHECK(ei_skip_term(frame, &at) == 0);
    CHECK((size_t)at == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *frame = (const char *)data, *part = NULL, *end = frame;
    struct batch batch;
    struct err err = {""};
    struct request request;
    size_t len = 0;
    if (!batch_begin(&batch, frame, size))
        return 0;
    if (batch.left > 0)
        check_list(frame, size, batch.left);
    while (batch_next(&batch, &part, &len)) {
        CHECK(part > end && len <= size && part + len < frame + size);
        end = part + len;
        request_parse(part, len, &request, &err);
    }
    return 0;
}
