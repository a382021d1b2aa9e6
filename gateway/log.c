/* log.c - see log.h. */
#include "gateway/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_LEN 1024

void log_line_v(const char *who, log_level level, const char *format, va_list args) {
    char line[LINE_MAX_LEN];
    int len = 0;
    if (getenv("JOURNAL_STREAM"))
        len = snprintf(line, sizeof line, "<%d>", (int)level);
    len += snprintf(line + len, sizeof line - (size_t)len, "%s: ", who);
    int said = vsnprintf(line + len, sizeof line - (size_t)len - 1, format, args);
    len += said > 0 ? said : 0;
    if ((size_t)len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    /* One write, so that the lines of several threads do not mix. There is nobody to tell when it fails. */
    if (write(STDERR_FILENO, line, (size_t)len) < 0)
        return;
}

void log_line(const char *who, log_level level, const char *format, ...) {
    va_list args;
    va_start(args, format);
    log_line_v(who, level, format, args);
    va_end(args);
}
