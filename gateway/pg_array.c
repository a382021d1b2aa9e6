/* pg_array.c - see pg_array.h. */
#include "gateway/pg_array.h"

void pg_array_begin(buf *to) {
    buf_clear(to);
    buf_add_char(to, '{');
}

void pg_array_add(buf *to, text element) {
    if (to->len > 1)
        buf_add_char(to, ',');
    buf_add_char(to, '"');
    for (size_t i = 0; i < element.len; i++) {
        if (element.ptr[i] == '"' || element.ptr[i] == '\\')
            buf_add_char(to, '\\');
        buf_add_char(to, element.ptr[i]);
    }
    buf_add_char(to, '"');
}

void pg_array_end(buf *to) {
    buf_add_char(to, '}');
}
