/* Any bytes as what stands in a segment behind its header. With an odd first byte each place that starts with
 * 'R' becomes a frame with the right mark and, with the second byte odd too, the right checksum. The cursor
 * must come to the end, always forwards, and return only what a checksum vouches for. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "store/segment.h"

enum {
    MARK = 0x5a17c0de,
    MOST = 256 << 10
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(char *bytes, size_t size, bool checksums) {
    for (size_t at = 0; at + sizeof(frame) <= size; at += 8) {
        frame f;
        if (bytes[at] != 'R')
            continue;
        memcpy(&f, bytes + at, sizeof f);
        f.mark = MARK;
        if (checksums && f.length <= size - at - sizeof f)
            f.crc = frame_crc(&f, SEGMENT_HEADER_SPACE + at, bytes + at + sizeof f);
        memcpy(bytes + at, &f, sizeof f);
    }
}

static void check(const cursor_item *item, int step, const char *bytes, uint64_t last_at, uint64_t last_seq) {
    if (item->from < last_at || item->to <= item->from)
        abort();
    if (step != CURSOR_RECORD)
        return;
    frame f;
    memcpy(&f, bytes + item->from - SEGMENT_HEADER_SPACE, sizeof f);
    if (f.mark != MARK || f.seq != item->entry.seq || f.seq <= last_seq || f.length != item->entry.body.len ||
        f.crc != frame_crc(&f, item->from, item->entry.body.ptr))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char bytes[MOST];
    if (size < 2 || size > MOST)
        return 0;
    if (fd < 0)
        fd = memfd_create("segment", MFD_CLOEXEC);
    memcpy(bytes, data + 2, size - 2);
    if (data[0] & 1)
        mend(bytes, size - 2, data[1] & 1);
    uint64_t limit = SEGMENT_HEADER_SPACE + size - 2;
    if (ftruncate(fd, 0) < 0 || pwrite(fd, bytes, size - 2, SEGMENT_HEADER_SPACE) != (ssize_t)(size - 2))
        abort();
    cursor c = {.chunk = 512};
    cursor_item item;
    int step;
    uint64_t at = SEGMENT_HEADER_SPACE, seq = 0;
    cursor_start(&c, fd, MARK, limit, 0);
    while ((step = cursor_next(&c, &item)) > 0) {
        check(&item, step, bytes, at, seq);
        at = item.to;
        seq = step == CURSOR_RECORD ? item.entry.seq : seq;
    }
    if (step < 0 || at > limit)
        abort();
    cursor_release(&c);
    return 0;
}
