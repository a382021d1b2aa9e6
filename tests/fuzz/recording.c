/* Any bytes as a recording. The first byte chooses the format; FIT messages get a right header and checksum,
 * so that they are reached. What is given out keeps to the ranges of the messages. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sense/sense.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool check(void *context, const sensed *one) {
    const reading *r = &one->reading;
    const fix *f = &one->fix;
    size_t *left = context;
    switch (one->kind) {
    case SENSED_NOTHING:
        abort();
    case SENSED_READING:
        if (!reading_says_anything(r) || r->rr_count > READING_RR_MAX || r->at < 0)
            abort();
        for (vital which = 0; which < VITALS; which++)
            if (reading_has(r, which) && !(r->value[which] >= 0 && r->value[which] <= 350))
                abort();
        break;
    case SENSED_FIX:
        if (!(fabs(f->lat) <= 90 && fabs(f->lon) <= 180) || f->at < 0 ||
            !(isnan(f->speed) || (f->speed >= 0 && f->speed <= 350)) ||
            !(isnan(f->heading) || (f->heading >= 0 && f->heading < 360)))
            abort();
        break;
    case SENSED_BATTERY:
        if (!(r->battery >= 0 && r->battery <= 100))
            abort();
        break;
    }
    return (*left)-- > 1;
}

static unsigned crc_of(const char *p, size_t len) {
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1;
    }
    return crc;
}

static void make_fit(buf *to, const uint8_t *data, size_t size) {
    const char header[] = {
        12,  0x10, 0,   0,  (char)size, (char)(size >> 8), (char)(size >> 16), (char)(size >> 24),
        '.', 'F',  'I', 'T'};
    buf_add(to, header, sizeof header);
    buf_add(to, data, size);
    unsigned crc = crc_of(to->ptr, to->len);
    buf_add_char(to, (char)crc);
    buf_add_char(to, (char)(crc >> 8));
}

static void play(const recording_format *f, const void *bytes, size_t len, size_t at_most) {
    char why[256] = "";
    (void)f->fits(bytes, len);
    int fault = f->play(bytes, len, check, &at_most, why);
    if ((fault == 0) != (*why == '\0') || !memchr(why, '\0', sizeof why))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    size_t formats = 0, at_most = data[0] & 0x80 ? 3 : SIZE_MAX;
    while (recording_formats[formats])
        formats++;
    size_t chosen = (data[0] & 0x7F) % (formats + 1);
    if (chosen < formats) {
        play(recording_formats[chosen], data + 1, size - 1, at_most);
        return 0;
    }
    CLEANUP(buf_release) buf file = BUF(1 << 24);
    make_fit(&file, data + 1, size - 1);
    if (buf_failed(&file) == 0)
        play(recording_of((unsigned char *)file.ptr, file.len), file.ptr, file.len, at_most);
    return 0;
}
