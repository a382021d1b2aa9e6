/* Any JSON as rules, and as a body that was put away. Rules are parsed, or refused with a sentence. A body
 * that is read back is written the same again, and lives: readings of any kind, passing time and an OK make
 * findings that are whole. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "core/body.h"
#include "core/distress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static void check(const finding *found, size_t count) {
    require(count <= BODY_FINDINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        const finding *f = &found[i];
        require(f->kind != FINDING_NONE && f->which <= VITALS && f->context <= CONTEXT_RECOVERY);
        require(memchr(f->rule, '\0', sizeof f->rule) && f->rule[0]);
        require(memchr(f->words, '\0', sizeof f->words) && f->words[0]);
        require(distress_of(f) < DISTRESS_EVENTS);
    }
}

/* A life of a few hundred readings that the bytes decide. */
static void live(body *b, const body_limits *l, const uint8_t *data, size_t size) {
    instant now = INT64_C(1700000000) * INSTANT_SECOND;
    finding found[BODY_FINDINGS_MAX];
    body_trust trust;
    body_view view;
    for (size_t i = 0; i + 4 < size && i < 1200; i += 4) {
        const uint8_t *d = data + i;
        reading r = reading_at(now + ((int64_t)d[3] - 100) * (d[0] & 1 ? 1000 : INSTANT_SECOND));
        now += (int64_t)(d[3] & 31) * INSTANT_SECOND / 4;
        reading_put(&r, (vital)(d[0] % VITALS), (double)d[1] * (d[0] & 64 ? -1 : 1.1));
        r.rr_count = d[0] & 2 ? d[2] % 8 : 0;
        for (size_t k = 0; k < r.rr_count; k++)
            r.rr_ms[k] = d[k % 4] * 10.0;
        r.contact = (skin_contact)(d[2] % 3);
        r.event = (body_event)(d[2] % 17 < 3 ? d[2] % 17 : 0);
        r.motion = d[0] & 4 ? d[2] / 100.0 : (double)NAN;
        r.quality = d[0] & 8 ? d[1] : (double)NAN;
        check(found, body_take(b, l, &r, d[0] & 16 ? d[2] / 10.0 : (double)NAN, now, found, &trust));
        check(found, body_pass(b, l, now + (d[0] & 32) * INSTANT_SECOND, found));
        if (d[3] == 7)
            body_excuse(b, l, now);
        if (d[3] == 8)
            now -= 1000 * INSTANT_SECOND;
        body_look(b, now, &view);
        require(view.context <= CONTEXT_RECOVERY && view.score.total >= 0 && view.score.total <= 20);
    }
}

static void keep(const body *b) {
    CLEANUP(buf_release) buf first = BUF(1 << 16);
    CLEANUP(buf_release) buf second = BUF(1 << 16);
    CLEANUP(body_freep) body *again = NULL;
    body_spell(b, &first);
    require(buf_failed(&first) == 0 && body_read(buf_text(&first), &again) == 0);
    body_spell(again, &second);
    require(text_equal(buf_text(&first), buf_text(&second)));
}

static void as_rules(text t, const uint8_t *data, size_t size) {
    CLEANUP(json_freep) json *document = NULL;
    CLEANUP(body_rules_freep) body_rules *r = NULL;
    CLEANUP(body_freep) body *b = NULL;
    const text roles[] = {TEXT("a"), TEXT("b")};
    const body_limits *l = NULL;
    char why[BODY_WHY_MAX] = "";
    if (json_parse_once(t, &document) != JSON_OK || !document)
        return;
    int fault = body_rules_parse(document, &r, why);
    require(fault == 0 || (fault == -EBADMSG && why[0] != '\0' && memchr(why, '\0', BODY_WHY_MAX) && !r));
    if (fault < 0)
        return;
    require(body_rules_for(r, TEXT("p"), roles, 2, &l) == 0 && body_new(&b) == 0);
    live(b, l, data, size);
    keep(b);
}

static void as_body(text t, const uint8_t *data, size_t size) {
    CLEANUP(body_rules_freep) body_rules *r = NULL;
    CLEANUP(body_freep) body *b = NULL;
    const body_limits *l = NULL;
    if (body_read(t, &b) < 0)
        return;
    keep(b);
    require(body_rules_default(&r) == 0 && body_rules_for(r, TEXT("p"), NULL, 0, &l) == 0);
    live(b, l, data, size);
    keep(b);
}

/* Bytes alone: the shipped rules. */
static void as_life(const uint8_t *data, size_t size) {
    static body_rules *r;
    CLEANUP(body_freep) body *b = NULL;
    const body_limits *l = NULL;
    if (!r)
        require(body_rules_default(&r) == 0);
    require(body_rules_for(r, TEXT("p"), NULL, 0, &l) == 0 && body_new(&b) == 0);
    live(b, l, data, size);
    keep(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const text t = {(const char *)data, size};
    if (size > 0 && data[0] == '{') {
        as_rules(t, data, size);
        as_body(t, data, size);
    } else {
        as_life(data, size);
    }
    return 0;
}
