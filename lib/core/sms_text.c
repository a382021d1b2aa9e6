/* sms_text.c - see sms_text.h.
 *
 * A sign never stands half in one segment and half in the next: neither an escape and what it escapes
 * (23.038, 6.2.1.1) nor a surrogate pair. So segments are counted as they are filled, not divided. */
#include "core/sms_text.h"

#include <string.h>

#define GSM_ONE                                                                                              \
    160 /* septets of a message of one segment, and of one of several, where a header takes some */
#define GSM_MANY  153
#define UCS2_ONE  70
#define UCS2_MANY 67
#define NO_SIGN   0xFFFDU /* stands for what is no UTF-8 */

/* The signs of the default alphabet that are not ASCII: 23.038, 6.2.1. Those of ASCII that it lacks follow.
 */
static const uint16_t beyond_ascii[] = {
    0xA1, 0xA3, 0xA4, 0xA5,  0xA7,  0xBF,  0xC4,  0xC5,  0xC6,  0xC7,  0xC9,  0xD1,  0xD6,
    0xD8, 0xDC, 0xDF, 0xE0,  0xE4,  0xE5,  0xE6,  0xE8,  0xE9,  0xEC,  0xF1,  0xF2,  0xF6,
    0xF8, 0xF9, 0xFC, 0x393, 0x394, 0x398, 0x39B, 0x39E, 0x3A0, 0x3A3, 0x3A6, 0x3A8, 0x3A9,
};
static const char extended[] = "\f^{}\\[~]|"; /* and the euro sign */

/* The sign at the start of `t`, which is not empty. What is no UTF-8 is one sign of one byte. */
static uint32_t sign_at(text t, size_t *ret_len) {
    const unsigned char *p = (const unsigned char *)t.ptr;
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0x80 || len > t.len || !text_is_utf8((text){t.ptr, len})) {
        *ret_len = 1;
        return p[0] < 0x80 ? p[0] : NO_SIGN;
    }
    uint32_t sign = p[0] & (0xFFU >> (len + 1));
    for (size_t i = 1; i < len; i++)
        sign = sign << 6 | (p[i] & 0x3FU);
    *ret_len = len;
    return sign;
}

/* 0: not in the alphabet. */
static size_t septets(uint32_t sign) {
    if (sign == 0x20AC || (sign != 0 && sign < 0x80 && strchr(extended, (int)sign)))
        return 2;
    if (sign < 0x80)
        return (sign >= 0x20 && sign != '`' && sign != 0x7F) || sign == '\n' || sign == '\r';
    for (size_t i = 0; i < ARRAY_LEN(beyond_ascii); i++)
        if (beyond_ascii[i] == sign)
            return 1;
    return 0;
}

/* Segments as they are filled. */
typedef struct filling {
    size_t units, full, last; /* all units; segments before the last one; units in that */
} filling;

static void fill(filling *f, size_t units, size_t room) {
    f->units += units;
    if (f->last + units > room) {
        f->full++;
        f->last = 0;
    }
    f->last += units;
}

static size_t filled(const filling *f, size_t one) {
    return f->units == 0 ? 0 : f->units <= one ? 1 : f->full + 1;
}

/* A text in both alphabets at once. */
typedef struct measure {
    bool beyond; /* something is not in the GSM alphabet */
    filling gsm7, ucs2;
} measure;

static void add_sign(measure *m, uint32_t sign) {
    size_t cost = septets(sign);
    m->beyond = m->beyond || cost == 0;
    if (!m->beyond)
        fill(&m->gsm7, cost, GSM_MANY);
    fill(&m->ucs2, sign > 0xFFFF ? 2 : 1, UCS2_MANY);
}

static size_t segments_of(const measure *m) {
    return m->beyond ? filled(&m->ucs2, UCS2_ONE) : filled(&m->gsm7, GSM_ONE);
}

sms_size sms_measure(text t) {
    measure m = {0};
    for (size_t at = 0, len; at < t.len; at += len)
        add_sign(&m, sign_at((text){t.ptr + at, t.len - at}, &len));
    return (sms_size){
        .gsm7 = !m.beyond, .units = m.beyond ? m.ucs2.units : m.gsm7.units, .segments = segments_of(&m)};
}

text sms_fit(text t, size_t segments) {
    measure m = {0};
    for (size_t at = 0, len; at < t.len; at += len) {
        add_sign(&m, sign_at((text){t.ptr + at, t.len - at}, &len));
        if (segments_of(&m) > segments)
            return (text){t.ptr, at};
    }
    return t;
}

typedef struct likeness {
    uint16_t first, last;
    const char *same;
} likeness;

/* Letters are not replaced: a name without its accents is another name. */
static const likeness likenesses[] = {
    {0x00, 0x08, ""},      {0x09, 0x09, " "},     {0x0B, 0x0C, " "},       {0x0E, 0x1F, ""},
    {0x60, 0x60, "'"},     {0x7F, 0x9F, ""},      {0xA0, 0xA0, " "},       {0xAB, 0xAB, "\""},
    {0xAD, 0xAD, ""},      {0xB4, 0xB4, "'"},     {0xBB, 0xBB, "\""},      {0x2000, 0x200A, " "},
    {0x200B, 0x200B, ""},  {0x2010, 0x2015, "-"}, {0x2018, 0x201B, "'"},   {0x201C, 0x201F, "\""},
    {0x2022, 0x2022, "-"}, {0x2024, 0x2024, "."}, {0x2026, 0x2026, "..."}, {0x2028, 0x2029, "\n"},
    {0x202F, 0x202F, " "}, {0x2032, 0x2032, "'"}, {0x2033, 0x2033, "\""},  {0x2039, 0x203A, "'"},
    {0x205F, 0x205F, " "}, {0x2060, 0x2060, ""},  {0x2212, 0x2212, "-"},   {0x3000, 0x3000, " "},
    {0xFEFF, 0xFEFF, ""},
};

static const char *same_as(uint32_t sign) {
    for (size_t i = 0; i < ARRAY_LEN(likenesses); i++)
        if (sign >= likenesses[i].first && sign <= likenesses[i].last)
            return likenesses[i].same;
    return NULL;
}

void sms_simplify(text t, buf *to) {
    for (size_t at = 0, len; at < t.len; at += len) {
        const char *same = same_as(sign_at((text){t.ptr + at, t.len - at}, &len));
        if (same)
            buf_add_text(to, text_of(same));
        else
            buf_add(to, t.ptr + at, len);
    }
}
