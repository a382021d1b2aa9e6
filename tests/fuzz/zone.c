/* Any JSON as a zone: put, or refused with a sentence; and among whatever is put, somebody who wanders about
 * (by positions that are in the JSON, too) never leaves what they did not enter. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "place/fence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 64

static void require(bool holds) {
    if (!holds)
        abort();
}

typedef struct wanderer {
    fences *f;
    fence_walker *w;
    long inside;
    double seen[STEPS]; /* numbers of the JSON */
    size_t seen_count;
} wanderer;

static void check_events(wanderer *a, const fence_event *events, size_t count) {
    fence_stay stays[2];
    require(count <= FENCE_EVENTS_MAX);
    for (const fence_event *e = events; e < events + count; e++) {
        require(e->kind != FENCE_NONE && fences_zone(a->f, text_of(e->zone)) != NULL && e->since <= e->at);
        require(e->kind != FENCE_ENTERED || a->inside == 0);
        require((e->kind != FENCE_LEFT && e->kind != FENCE_DWELLED && e->kind != FENCE_SPEEDING) ||
                a->inside == 1);
        a->inside += (e->kind == FENCE_ENTERED) - (e->kind == FENCE_LEFT);
    }
    size_t stay_count = fence_walker_stays(a->w, stays, 2);
    require((long)stay_count <= a->inside);
    a->inside = (long)stay_count; /* its hours may be over, which is not said */
}

static void look(wanderer *a, const json *value) {
    json_kind kind = json_kind_of(value);
    if ((kind == JSON_NUMBER || kind == JSON_INTEGER) && a->seen_count < STEPS)
        a->seen[a->seen_count++] = json_number(value);
    if (kind == JSON_ARRAY)
        for (size_t i = 0; i < json_length(value); i++)
            look(a, json_at(value, i));
}

static int look_member(void *context, const char *name, const json *value) {
    (void)name;
    look(context, value);
    return json_kind_of(value) == JSON_OBJECT ? json_each(value, look_member, context) : 0;
}

static void wander(wanderer *a, const uint8_t *data, size_t size) {
    instant at = INT64_C(1790000000) * INSTANT_SECOND;
    for (size_t i = 0; i + 1 < a->seen_count; i++) {
        fence_event events[FENCE_EVENTS_MAX];
        uint8_t dice = data[i % size];
        at += (dice % 16) * INSTANT_SECOND * 20 - INSTANT_SECOND;
        fix f = fix_at(at, a->seen[i + 1], a->seen[i]);
        if (dice & 16)
            f = fix_at(at, a->seen[i], a->seen[i + 1]);
        f.accuracy = dice & 32 ? dice : NAN;
        f.speed = dice & 64 ? dice : NAN;
        check_events(a, events, fences_take(a->f, a->w, TEXT("ann"), NULL, 0, &f, events));
        if (dice & 128)
            check_events(a, events, fences_pass(a->f, a->w, at, events));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(json_freep) json *body = NULL;
    CLEANUP(fences_freep) fences *f = NULL;
    char why[FENCE_WHY_MAX] = "";
    if (json_parse_once((text){(const char *)data, size}, &body) != JSON_OK || fences_new(&f) < 0)
        return 0;
    wanderer a = {.f = f};
    int fault = fences_put(f, body, why);
    if (fault == -EBADMSG)
        require(why[0] != '\0' && memchr(why, '\0', FENCE_WHY_MAX) && fences_count(f) == 0);
    if (fault < 0 || fence_walker_new(&a.w) < 0)
        return 0;
    require(fences_count(f) == 1);
    (void)json_each(body, look_member, &a);
    wander(&a, data, size);
    a.w = fence_walker_free(a.w);
    return 0;
}
