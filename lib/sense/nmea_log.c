/* nmea_log.c - what a receiver said, kept in a file; see recording_format in sense.h and nmea.c. Lines that
 * are broken are normal in a log, and left out; a log in which none is whole is refused. Days come from the
 * receiver alone: the host's clock says nothing about when a log was made. */
#include "sense/inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOK 4096 /* bytes in which a log shows itself: it may begin within a line, or with remarks */

static bool next_line(text *rest, text *ret_line) {
    return text_next(rest, '\n', ret_line);
}

/* A sentence with a right checksum. A reader is needed to judge it, nothing of it is kept. */
static bool is_sentence(nmea *n, text line) {
    fix f;
    const char *dollar = line.len > 0 ? memchr(line.ptr, '$', line.len) : NULL;
    return dollar && memchr(dollar, '*', line.len - (size_t)(dollar - line.ptr)) &&
           nmea_line(n, line, false, 0, &f) != SENSE_MALFORMED;
}

static bool fits(const unsigned char *bytes, size_t len) {
    CLEANUP(nmea_freep) nmea *n = NULL;
    text rest = {(const char *)bytes, len < LOOK ? len : LOOK}, line;
    if (nmea_new(&n) < 0)
        return false;
    while (next_line(&rest, &line))
        if (is_sentence(n, line))
            return true;
    return false;
}

static int play(const unsigned char *bytes, size_t len, bool (*visit)(void *context, const sensed *one),
                void *context, char ret_why[256]) {
    CLEANUP(nmea_freep) nmea *n = NULL;
    text rest = {(const char *)bytes, len}, line;
    uint64_t whole = 0;
    sensed one = {.kind = SENSED_FIX, .reading = reading_at(0)};
    if (nmea_new(&n) < 0) {
        (void)snprintf(ret_why, 256, "out of memory");
        return -ENOMEM;
    }
    while (next_line(&rest, &line)) {
        sense_verdict verdict = nmea_line(n, line, false, 0, &one.fix);
        whole += verdict != SENSE_MALFORMED && line.len > 1 && line.ptr[0] != '#';
        if (verdict == SENSE_GOOD && !visit(context, &one))
            return 0;
    }
    if (whole == 0) {
        (void)snprintf(ret_why, 256, "no line of it is a whole NMEA sentence");
        return -EBADMSG;
    }
    if (nmea_end(n, &one.fix))
        (void)visit(context, &one);
    return 0;
}

extern const recording_format recording_nmea_log;
const recording_format recording_nmea_log = {.name = "nmea", .fits = fits, .play = play};
