/* trouble.c - see standby.h: when the broker of an organisation, or the database, has been away for a
 * while, those whom its plan names for trouble hear it, and once more when it is back; at most once an hour.
 * What was said is remembered in the gateway's store, so that a gateway that is started again does not say it
 * again.
 *
 * With the database it says once what several gateways see. Without it the first of those online says it; the
 * others only after a while each, for the first may be the one that is gone. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/standby/standby.h"

#define HOUR   (3600 * INSTANT_SECOND)
#define ELDERS (60 * INSTANT_SECOND) /* for each gateway before us */
#define SHELF  TEXT("trouble")

typedef enum trouble_kind {
    TROUBLE_BROKER = 0,
    TROUBLE_DATABASE,
    TROUBLES
} trouble_kind;
static const char *const kinds[TROUBLES] = {"broker", "database"};

typedef struct trouble {
    struct trouble *next;
    char *org;
    struct {
        instant since;   /* 0: all is well */
        instant told_at; /* the last time; 0: never */
        bool told;       /* and not yet that it is over */
    } of[TROUBLES];
    bool up; /* the broker, just now */
} trouble;

static trouble *trouble_of(standby *st, text org) {
    for (trouble *t = st->troubles; t; t = t->next)
        if (text_equal(text_of(t->org), org))
            return t;
    trouble *t = calloc(1, sizeof *t);
    if (!t || !(t->org = text_copy(org))) {
        free(t);
        return NULL;
    }
    t->next = st->troubles;
    st->troubles = t;
    return t;
}

void troubles_free(standby *st) {
    while (st->troubles) {
        trouble *t = st->troubles;
        st->troubles = t->next;
        free(t->org);
        free(t);
    }
}

static void recall(void *context, text name, text spelled) {
    standby *st = context;
    CLEANUP(json_freep) json *body = NULL;
    trouble *t = json_parse_once(spelled, &body) == JSON_OK ? trouble_of(st, name) : NULL;
    for (size_t k = 0; t && k < TROUBLES; k++) {
        const json *one = json_get(body, kinds[k]);
        t->of[k].told_at = json_integer(json_get(one, "at"));
        t->of[k].told = json_boolean(json_get(one, "told"));
        t->of[k].since = t->of[k].told ? t->of[k].told_at : 0;
    }
}

void troubles_load(standby *st) {
    if (local_each(st->s->local, SHELF, recall, st) < 0)
        service_log(st->s, LOG_LEVEL_ERROR, "the gateway's own store can't be read");
}

static void remember(const standby *st, const trouble *t) {
    CLEANUP(json_freep) json *body = json_new_object();
    CLEANUP(buf_release) buf spelled = BUF(4096);
    for (size_t k = 0; body && k < TROUBLES; k++) {
        json *one = json_new_object();
        if (one && json_put(one, "at", json_new_integer(t->of[k].told_at)) == 0 &&
            json_put(one, "told", json_new_bool(t->of[k].told)) == 0) {
            if (json_put(body, kinds[k], one) < 0)
                return;
        } else {
            (void)json_free(one);
        }
    }
    if (body)
        json_print(body, &spelled);
    if (!body || buf_failed(&spelled) < 0 ||
        local_put(st->s->local, SHELF, text_of(t->org), buf_text(&spelled)) < 0)
        service_log(st->s, LOG_LEVEL_WARNING, "that trouble was told can't be noted");
}

/* By ourselves. *ret_told: there is somebody to tell. */
static void tell_local(standby *st, const trouble *t, trouble_kind kind, const char *purpose,
                       bool *ret_told) {
    const at_hand *h = standby_hand(st, text_of(t->org));
    instant now = standby_now(st);
    text none = {0};
    told *one = h ? told_new(text_of(t->org), none, text_of(kinds[kind]), purpose, NULL, now) : NULL;
    if (!one || at_hand_trouble(h, one, now) < 0 || one->count == 0)
        (void)told_free(one);
    else
        *ret_told = standby_add(st, one) != NULL;
}

static pg_verdict tell(standby *st, pg *c, const trouble *t, trouble_kind kind, const char *purpose,
                       bool *ret_told) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {t->org, purpose};
    int64_t count = 0;
    if (!c) {
        tell_local(st, t, kind, purpose, ret_told);
        return PG_DONE;
    }
    pg_verdict verdict = pg_query(c, "SELECT mayday.standby_trouble($1, $2)", 2, params, &rows);
    if (verdict == PG_DONE && text_to_i64(text_of(pg_value(rows, 0, 0)), 0, INT32_MAX, &count) == 0)
        *ret_told = count > 0;
    return verdict;
}

static pg_verdict begins(standby *st, pg *c, trouble *t, trouble_kind kind) {
    instant now = standby_now(st);
    bool told_now = false;
    if (t->of[kind].told_at && now < t->of[kind].told_at + HOUR)
        return PG_DONE;
    instant patience = st->s->settings->notify_trouble_ms * 1000;
    size_t elders = c ? 0 : ear_elders(st->ear, text_of(t->org));
    if (elders && t->up) /* they are there, as we know from the broker */
        return PG_DONE;
    if (now < t->of[kind].since + patience + (instant)elders * ELDERS)
        return PG_DONE;
    pg_verdict verdict = tell(st, c, t, kind, "trouble", &told_now);
    if (verdict != PG_DONE)
        return verdict;
    t->of[kind].told_at = now; /* also when there is nobody to tell, or another gateway was first */
    t->of[kind].told = told_now;
    service_log(st->s, LOG_LEVEL_ERROR, "%s: the %s has been away for %lld s%s", t->org, kinds[kind],
                (long long)((now - t->of[kind].since) / INSTANT_SECOND),
                told_now ? "; those whom the plan names are told" : "");
    remember(st, t);
    return PG_DONE;
}

static pg_verdict ends(standby *st, pg *c, trouble *t, trouble_kind kind) {
    bool told_now = false;
    t->of[kind].since = 0;
    if (!t->of[kind].told)
        return PG_DONE;
    pg_verdict verdict = tell(st, c, t, kind, "trouble_over", &told_now);
    if (verdict != PG_DONE)
        return verdict;
    t->of[kind].told = false;
    remember(st, t);
    return PG_DONE;
}

static pg_verdict look_at(standby *st, pg *c, trouble *t, trouble_kind kind, bool well) {
    if (well)
        return t->of[kind].since || t->of[kind].told ? ends(st, c, t, kind) : PG_DONE;
    if (t->of[kind].since == 0)
        t->of[kind].since = standby_now(st);
    return t->of[kind].told ? PG_DONE : begins(st, c, t, kind);
}

static void note_org(void *context, text org, bool up, uint64_t generation) {
    standby *st = context;
    (void)generation;
    trouble *t = trouble_of(st, org);
    if (t)
        t->up = up;
}

pg_verdict standby_troubles(standby *st, pg *c) {
    pg_verdict verdict = PG_DONE;
    bus_each(st->s->bus, note_org, st);
    for (trouble *t = st->troubles; t && verdict == PG_DONE; t = t->next) {
        verdict = look_at(st, c, t, TROUBLE_BROKER, t->up);
        if (verdict == PG_DONE)
            verdict = look_at(st, c, t, TROUBLE_DATABASE, c != NULL);
    }
    return verdict;
}
