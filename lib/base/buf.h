/* buf.h - a growing byte buffer with a hard limit.
 * Start with BUF(limit); release with buf_release (fits CLEANUP). The bytes are always followed by a NUL
 * that is not counted. Once an append fails the buffer keeps failing, so a chain of appends can be checked
 * once, at the end, with buf_failed(). Not thread-safe. */
#ifndef MAYDAY_BASE_BUF_H
#define MAYDAY_BASE_BUF_H

#include "base/text.h"

typedef struct buf {
    char *ptr;
    size_t len;
    size_t capacity;
    size_t limit; /* bytes, without the NUL */
    int fault;    /* 0, -ENOMEM or -EMSGSIZE; sticky */
} buf;

#define BUF(limit_bytes) ((buf){.limit = (limit_bytes)})

void buf_release(buf *b); /* frees; leaves an empty buffer with the same limit */
void buf_clear(buf *b);   /* empties, keeps the memory, forgives a fault */
void buf_add(buf *b, const void *bytes, size_t len);
void buf_add_text(buf *b, text t);
void buf_add_char(buf *b, char c);
void buf_printf(buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_add_u16be(buf *b, uint16_t value);
void buf_add_u32be(buf *b, uint32_t value);
void buf_add_u64be(buf *b, uint64_t value);

/* Room for `len` more bytes at the end, already counted in b->len; NULL on fault. */
char *buf_extend(buf *b, size_t len);

NODISCARD int buf_failed(const buf *b); /* 0, or the fault */
text buf_text(const buf *b);            /* borrowed until the next change */
char *buf_steal(buf *b);                /* the bytes, NUL-terminated, to free(); NULL when failed */

#endif
