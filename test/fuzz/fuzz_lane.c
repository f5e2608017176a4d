/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_lane: any bytes as a place, and any bytes in the lane. What the place
 * stands for is read as it is there and as a request, then the peer knows that
 * it was read; everything else passes, or is said to be impossible.
 */
#include "config.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "wire/bytes.h"
#include "wire/frame.h"
#include "wire/lane.h"
#include "wire/protocol.h"
#include "wire/request.h"

enum { MAX_FRAME = 4 << 20, SERIAL_AT = 10, SIZE_AT = 15 };

static int file = -1;

static void open_lane(void)
{
    char name[64];
    int fd = -1;
    size_t room = 0;
    CHECK(lane_offer(MAX_FRAME, &fd, &room));
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    CHECK((file = open(name, O_RDWR)) >= 0);
    lane_answer(true);
}

static uint32_t last_read(void)
{
    uint32_t n = 0;
    CHECK(pread(file, &n, sizeof n, LANE_IN_READ) == sizeof n);
    return n;
}

/* What is there, as far as the input goes. */
static void check_frame(const struct frame *f, const uint8_t *data, size_t size)
{
    struct err err = {""};
    struct request request;
    CHECK(memcmp(f->data, data, f->len < size ? f->len : size) == 0);
    request_parse(f->data, f->len, &request, &err);
    request_parse_id(f->data, f->len, &request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {""};
    uint8_t head[LANE_PLACE] = {0};
    const size_t n = size < sizeof head ? size : sizeof head;
    if (file < 0)
        open_lane();
    memcpy(head, data, n);
    data += n;
    size -= n;
    const uint32_t serial = bytes_get(head + SERIAL_AT, 4);
    const uint32_t length = bytes_get(head + SIZE_AT, 4);
    CHECK(pwrite(file, &serial, sizeof serial, LANE_IN_WRITE) == sizeof serial);
    CHECK(pwrite(file, data, size, LANE_HEAD + LANE_SKIP) == (ssize_t)size);
    struct frame *sent = frame_copy((const char *)head, n), *f = sent;
    const enum frame_status status = lane_follow(&f, &err);
    CHECK(status == FRAME_OK || status == FRAME_IMPOSSIBLE);
    CHECK((status == FRAME_OK) == (f != NULL));
    const bool passed = f == sent;
    if (f && !passed) {
        CHECK(f->len == length && length <= MAX_FRAME);
        lane_tidy();
        check_frame(f, data, size);
    }
    frame_free(f);
    lane_tidy();
    if (f && !passed)
        CHECK(last_read() == serial);
    return 0;
}
