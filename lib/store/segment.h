/* segment.h - the file format of the journal; private to lib/store/journal*.c, segment.c, cursor.c and
 * walk.c.
 *
 * A segment file is a header, kept twice in its first 4096 bytes, then records on 8-byte boundaries, then
 * zeros. Each record begins with the segment's mark: 64 random bits that exist nowhere outside this file, so
 * that no payload can imitate a record. The checksum covers mark, sequence number, length, position and body:
 * a record is valid only where it was written. After damage, reading goes on at the next 8-byte boundary that
 * holds a valid record. Numbers are in the machine's byte order; the header would not be recognised on
 * another.
 *
 * Files are made under a temporary name and renamed when complete, so a segment without a header is damage.
 */
#ifndef MAYDAY_STORE_SEGMENT_H
#define MAYDAY_STORE_SEGMENT_H

#include "store/journal.h"

#define SEGMENT_HEADER_SPACE 4096u
#define SEGMENT_SIZE_MIN     (64u << 10)
#define SEGMENT_SIZE_MAX     (1u << 30)
#define SEGMENT_NAME_MAX     40

enum {
    SEGMENT_VERSION = 1,
    SEGMENT_UNTOUCHED = 1 << 0, /* closed in order while it was empty: it certainly never held a record */
};

typedef struct segment_header {
    char magic[8];
    uint32_t version;
    uint32_t flags;
    uint64_t number;
    uint64_t base_seq; /* smaller sequence numbers may have been used: never again */
    uint64_t mark;     /* never 0 */
    uint8_t identity[16];
    uint32_t reserved;
    uint32_t crc; /* of all that stands before it */
} segment_header;
_Static_assert(sizeof(segment_header) == 64, "the header's layout is the file format");

typedef struct frame {
    uint64_t mark;
    uint64_t seq;
    uint32_t length;
    uint32_t crc;
} frame;
_Static_assert(sizeof(frame) == 24, "the frame's layout is the file format");

/* Bytes of the file that a body of `len` takes, padding included. */
static inline uint64_t frame_space(uint64_t len) {
    return (sizeof(frame) + len + 7) & ~UINT64_C(7);
}
uint32_t frame_crc(const frame *f, uint64_t position, const void *body);

void segment_name(uint64_t number, char ret_name[SEGMENT_NAME_MAX]);
bool segment_number(const char *name, uint64_t *ret_number); /* false: not the name of a segment */

/* A header with a fresh mark. Returns 0 or what getrandom said. */
NODISCARD int segment_header_make(const uuid *identity, uint64_t number, uint64_t base_seq,
                                  segment_header *ret_header);
/* Writes both copies and forces them to disk. */
NODISCARD int segment_header_write(int fd, const segment_header *header);
/* Returns 0; -EBADMSG: both copies are damaged; -EPROTONOSUPPORT: a format we do not know. */
NODISCARD int segment_header_read(int fd, segment_header *ret_header);

/* Makes the file with `size` bytes of disk really behind it; file and directory are on stable storage on
 * return. *ret_fd is open for reading and writing. After a failure nothing is left behind. */
NODISCARD int segment_create(int dir, const segment_header *header, uint64_t size, int *ret_fd);

/* Writes one record at `position`. */
NODISCARD int segment_write(int fd, uint64_t position, uint64_t mark, uint64_t seq, text body);

/* Reads one segment file from front to back. Owns its buffer, borrows fd. One thread at a time. */
typedef struct cursor {
    int fd;
    uint64_t mark;
    uint64_t at;       /* where the next record is expected */
    uint64_t limit;    /* nothing is read from here on */
    uint64_t last_seq; /* sequence numbers up to this one are not believed */
    size_t chunk;      /* bytes to read at once */
    char *buffer;
    size_t capacity, filled;
    uint64_t buffer_at;
    uint64_t unreadable_to; /* behind the last block that the disk would not give us */
} cursor;

typedef struct cursor_item {
    uint64_t from, to;   /* the place in the file */
    journal_entry entry; /* of CURSOR_RECORD; borrowed until the next call */
    const char *reason;  /* of CURSOR_DAMAGE */
} cursor_item;

typedef enum cursor_step {
    CURSOR_END = 0, /* nothing but zeros up to the limit, or nothing at all */
    CURSOR_RECORD,
    CURSOR_DAMAGE,
} cursor_step;

void cursor_start(cursor *c, int fd, uint64_t mark, uint64_t limit, uint64_t last_seq); /* keeps the buffer */
void cursor_release(cursor *c);
/* Makes the next call read the file again from `at`. */
void cursor_seek(cursor *c, uint64_t at);
NODISCARD int cursor_next(cursor *c, cursor_item *ret_item); /* a cursor_step, or a negative errno */

#endif
