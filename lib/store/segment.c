/* segment.c - making, naming and writing segment files; see segment.h. */
#include "store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <zlib.h>

static const char magic[8] = "MAYDAYJ\n";

uint32_t frame_crc(const frame *f, uint64_t position, const void *body) {
    const struct {
        uint64_t mark, seq, position;
        uint64_t length;
    } covered = {f->mark, f->seq, position, f->length};
    uLong crc = crc32_z(0, (const Bytef *)&covered, sizeof covered);
    return (uint32_t)crc32_z(crc, body ? body : "", f->length);
}

void segment_name(uint64_t number, char ret_name[SEGMENT_NAME_MAX]) {
    (void)snprintf(ret_name, SEGMENT_NAME_MAX, "%08" PRIu64 ".segment", number);
}

bool segment_number(const char *name, uint64_t *ret_number) {
    size_t digits = strspn(name, "0123456789");
    int64_t number;
    if (digits < 8 || strcmp(name + digits, ".segment") != 0 ||
        text_to_i64((text){name, digits}, 1, INT64_MAX, &number) < 0)
        return false;
    char canonical[SEGMENT_NAME_MAX];
    segment_name((uint64_t)number, canonical);
    if (strcmp(canonical, name) != 0)
        return false;
    *ret_number = (uint64_t)number;
    return true;
}

static uint32_t header_crc(const segment_header *header) {
    return (uint32_t)crc32_z(0, (const Bytef *)header, offsetof(segment_header, crc));
}

int segment_header_make(const uuid *identity, uint64_t number, uint64_t base_seq,
                        segment_header *ret_header) {
    segment_header header = {.version = SEGMENT_VERSION, .number = number, .base_seq = base_seq};
    memcpy(header.magic, magic, sizeof magic);
    memcpy(header.identity, identity->bytes, sizeof header.identity);
    while (header.mark == 0)
        if (getrandom(&header.mark, sizeof header.mark, 0) != (ssize_t)sizeof header.mark && errno != EINTR)
            return -errno;
    header.crc = header_crc(&header);
    *ret_header = header;
    return 0;
}

int segment_header_write(int fd, const segment_header *header) {
    char space[SEGMENT_HEADER_SPACE] = {0};
    segment_header sealed = *header;
    sealed.crc = header_crc(&sealed);
    memcpy(space, &sealed, sizeof sealed);
    memcpy(space + SEGMENT_HEADER_SPACE / 2, &sealed, sizeof sealed);
    ssize_t wrote = pwrite(fd, space, sizeof space, 0);
    if (wrote != (ssize_t)sizeof space)
        return wrote < 0 ? -errno : -ENOSPC;
    return fsync(fd) < 0 ? -errno : 0;
}

int segment_header_read(int fd, segment_header *ret_header) {
    int verdict = -EBADMSG;
    for (unsigned copy = 0; copy < 2; copy++) {
        segment_header header;
        ssize_t got = pread(fd, &header, sizeof header, (off_t)copy * SEGMENT_HEADER_SPACE / 2);
        if (got != (ssize_t)sizeof header || memcmp(header.magic, magic, sizeof magic) != 0 ||
            header.crc != header_crc(&header) || header.mark == 0)
            continue;
        if (header.version == SEGMENT_VERSION) {
            *ret_header = header;
            return 0;
        }
        verdict = -EPROTONOSUPPORT;
    }
    return verdict;
}

/* For filesystems without fallocate(): the blocks are had by writing them. */
static int fill_with_zeros(int fd, uint64_t size) {
    static const char zeros[64 << 10];
    for (uint64_t at = 0; at < size;) {
        size_t part = size - at < sizeof zeros ? (size_t)(size - at) : sizeof zeros;
        ssize_t wrote = pwrite(fd, zeros, part, (off_t)at);
        if (wrote < 0 && errno != EINTR)
            return -errno;
        at += wrote > 0 ? (uint64_t)wrote : 0;
    }
    return 0;
}

static int allocate(int fd, uint64_t size) {
    while (fallocate(fd, 0, 0, (off_t)size) < 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return fill_with_zeros(fd, size);
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int segment_create(int dir, const segment_header *header, uint64_t size, int *ret_fd) {
    char name[SEGMENT_NAME_MAX], unfinished[SEGMENT_NAME_MAX + 4];
    segment_name(header->number, name);
    (void)snprintf(unfinished, sizeof unfinished, "%s.new", name);
    int fd = openat(dir, unfinished, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int fault = allocate(fd, size);
    if (fault == 0)
        fault = segment_header_write(fd, header);
    if (fault == 0 && renameat(dir, unfinished, dir, name) < 0)
        fault = -errno;
    if (fault < 0) {
        (void)unlinkat(dir, unfinished, 0);
        close(fd);
        return fault;
    }
    if (fsync(dir) < 0) {
        fault = -errno;
        (void)unlinkat(dir, name, 0);
        close(fd);
        return fault;
    }
    *ret_fd = fd;
    return 0;
}

int segment_write(int fd, uint64_t position, uint64_t mark, uint64_t seq, text body) {
    static const char padding[8];
    frame f = {.mark = mark, .seq = seq, .length = (uint32_t)body.len};
    f.crc = frame_crc(&f, position, body.ptr);
    uint64_t space = frame_space(body.len);
    struct iovec parts[] = {
        {&f, sizeof f},
        {(char *)(uintptr_t)body.ptr, body.len},
        {(char *)(uintptr_t)padding, (size_t)(space - sizeof f - body.len)},
    };
    ssize_t wrote;
    do
        wrote = pwritev(fd, parts, (int)ARRAY_LEN(parts), (off_t)position);
    while (wrote < 0 && errno == EINTR);
    if (wrote < 0)
        return -errno;
    return (uint64_t)wrote == space ? 0 : -ENOSPC; /* a short write to a local file: there was no more room */
}
