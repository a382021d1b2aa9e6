#include "play_support.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const recording_format *format_named(const char *name) {
    for (const recording_format *const *f = recording_formats; *f; f++)
        if (strcmp((*f)->name, name) == 0)
            return *f;
    ck_abort_msg("no format %s", name);
    return NULL;
}

instant at_text(const char *spelled) {
    instant moment;
    ck_assert_int_eq(instant_parse(text_of(spelled), &moment), 0);
    return moment;
}

static void check_fix(const fix *f) {
    ck_assert(fabs(f->lat) <= 90 && fabs(f->lon) <= 180);
    ck_assert(isnan(f->heading) || (f->heading >= 0 && f->heading < 360));
    ck_assert(isnan(f->speed) || (f->speed >= 0 && f->speed <= 350));
}

static bool keep(void *context, const sensed *one) {
    played *p = context;
    switch (one->kind) {
    case SENSED_NOTHING:
        ck_abort_msg("nothing was given out");
        break;
    case SENSED_READING:
        p->readings++;
        ck_assert(reading_says_anything(&one->reading));
        break;
    case SENSED_FIX:
        p->fixes++;
        check_fix(&one->fix);
        break;
    case SENSED_BATTERY:
        p->batteries++;
        break;
    }
    if (p->count < PLAYED_MAX)
        p->kept[p->count] = *one;
    p->count++;
    return p->count != p->end_after;
}

played play_as(const char *format, const void *bytes, size_t len, size_t end_after) {
    played p = {.end_after = end_after};
    unsigned char *exact = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, bytes, len);
    const recording_format *f = format_named(format);
    (void)f->fits(exact, len);
    p.fault = f->play(exact, len, keep, &p, p.why);
    ck_assert_msg((p.fault == 0) == (*p.why == '\0'), "%d: %s", p.fault, p.why);
    free(exact);
    return p;
}

void play_beginnings(const char *format, const void *bytes, size_t len) {
    size_t whole = play_as(format, bytes, len, 0).count;
    for (size_t cut = 0; cut < len; cut++)
        ck_assert_uint_le(play_as(format, bytes, cut, 0).count, whole);
}
