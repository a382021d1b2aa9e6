/* Any bytes as lines of a receiver. The first byte chooses the clock and whether checksums are asked for; a
 * line that begins with '+' has the rest of it read with a right checksum, so that the sentences are reached.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sense/sense.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const fix *f) {
    if (!(fabs(f->lat) <= 90 && fabs(f->lon) <= 180) || f->at <= 0)
        abort();
    if (!(isnan(f->heading) || (f->heading >= 0 && f->heading < 360)) ||
        !(isnan(f->speed) || (f->speed >= 0 && f->speed <= 350)) ||
        !(isnan(f->accuracy) || (f->accuracy >= 0 && f->accuracy <= 1e6)) ||
        !(isnan(f->altitude) || fabs(f->altitude) <= 1e5))
        abort();
}

static void read_line(nmea *n, text line, bool lax, instant now) {
    CLEANUP(buf_release) buf summed = BUF(1 << 20);
    fix f = {0};
    if (line.len > 0 && line.ptr[0] == '+') {
        unsigned sum = 0;
        for (size_t i = 1; i < line.len; i++)
            sum ^= (unsigned char)line.ptr[i];
        buf_printf(&summed, "$%.*s*%02X", (int)(line.len - 1), line.ptr + 1, sum);
        line = buf_text(&summed);
    }
    if (nmea_line(n, line, lax, now, &f) == SENSE_GOOD)
        check(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(nmea_freep) nmea *n = NULL;
    fix f = {0};
    if (size < 1 || nmea_new(&n) < 0)
        return 0;
    instant now = data[0] & 1 ? INT64_C(1763692800000000) : 0;
    text rest = {(const char *)data + 1, size - 1}, line;
    while (text_next(&rest, '\n', &line))
        read_line(n, line, data[0] & 2, now);
    if (nmea_end(n, &f))
        check(&f);
    return 0;
}
