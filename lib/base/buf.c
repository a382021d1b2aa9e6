/* buf.c - see buf.h. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(buf *b) {
    free(b->ptr);
    *b = BUF(b->limit);
}

void buf_clear(buf *b) {
    b->len = 0;
    b->fault = 0;
    if (b->ptr)
        b->ptr[0] = '\0';
}

char *buf_extend(buf *b, size_t len) {
    if (b->fault)
        return NULL;
    if (len > b->limit || b->len > b->limit - len) {
        b->fault = -EMSGSIZE;
        return NULL;
    }
    size_t need = b->len + len + 1;
    if (need > b->capacity) {
        size_t grown = b->capacity ? b->capacity : 64;
        while (grown < need)
            grown = grown > SIZE_MAX / 2 ? need : grown * 2;
        char *moved = realloc(b->ptr, grown);
        if (!moved) {
            b->fault = -ENOMEM;
            return NULL;
        }
        b->ptr = moved;
        b->capacity = grown;
    }
    char *room = b->ptr + b->len;
    b->len += len;
    b->ptr[b->len] = '\0';
    return room;
}

void buf_add(buf *b, const void *bytes, size_t len) {
    char *room = buf_extend(b, len);
    if (room && len)
        memcpy(room, bytes, len);
}

void buf_add_text(buf *b, text t) {
    buf_add(b, t.ptr, t.len);
}

void buf_add_char(buf *b, char c) {
    buf_add(b, &c, 1);
}

void buf_printf(buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *room = need < 0 ? NULL : buf_extend(b, (size_t)need);
    if (room)
        (void)vsnprintf(room, (size_t)need + 1, format, again);
    va_end(again);
}

static void add_be(buf *b, uint64_t value, size_t width) {
    unsigned char bytes[8];
    for (size_t i = 0; i < width; i++)
        bytes[i] = (unsigned char)(value >> (8 * (width - 1 - i)));
    buf_add(b, bytes, width);
}

void buf_add_u16be(buf *b, uint16_t value) {
    add_be(b, value, sizeof value);
}

void buf_add_u32be(buf *b, uint32_t value) {
    add_be(b, value, sizeof value);
}

void buf_add_u64be(buf *b, uint64_t value) {
    add_be(b, value, sizeof value);
}

int buf_failed(const buf *b) {
    return b->fault;
}

text buf_text(const buf *b) {
    return (text){b->ptr ? b->ptr : "", b->len};
}

char *buf_steal(buf *b) {
    if (b->fault || !buf_extend(b, 0))
        return NULL;
    char *bytes = b->ptr;
    *b = BUF(b->limit);
    return bytes;
}
