/* once.c - see once.h. */
#include "once.h"

#include <string.h>

#define LINE_MAX_BYTES 8192

bool once(buf *said, const char *line) {
    CLEANUP(buf_release) buf one = BUF(LINE_MAX_BYTES);
    buf_printf(&one, "\x1e%s\n", line); /* the separator of records: no line has it */
    if (buf_failed(&one) < 0)
        return true;
    if (said->len > 0 && strstr(said->ptr, one.ptr))
        return false;
    buf_add(said, one.ptr, one.len);
    return true;
}
