/* bring.c - see standby.h: what is done while the database is there: keeping at hand what is needed
 * without it, and bringing in what was told without it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/pg_array.h"
#include "gateway/standby/standby.h"

#define FRESH_FOR   (30 * INSTANT_SECOND)
#define REFRESHES   20 /* organisations in one step */
#define BRINGS      50 /* incidents in one step */
#define LOOKS       500
#define LOOK_AFTER  INSTANT_SECOND
#define ARRAY_MAX   (4 << 20)
#define BRING_BYTES (64 << 20)

/* ---- at hand ---- */

typedef struct orgs {
    char *names[REFRESHES * 50];
    size_t count;
} orgs;

static void add_org(void *context, text org, bool up, uint64_t generation) {
    orgs *o = context;
    (void)up;
    (void)generation;
    if (o->count < ARRAY_LEN(o->names) && (o->names[o->count] = text_copy(org)))
        o->count++;
}

static void replace(standby *st, at_hand *fresh) {
    fresh->refreshed_at = standby_now(st);
    for (at_hand **at = &st->hands; *at; at = &(*at)->next)
        if (strcmp((*at)->org, fresh->org) == 0) {
            at_hand *old = *at;
            fresh->said_at = old->said_at;
            fresh->said_sent = old->said_sent;
            fresh->next = old->next;
            *at = fresh;
            (void)at_hand_free(old);
            return;
        }
    fresh->next = st->hands;
    st->hands = fresh;
}

/* A plan that can't be read leaves the last good one at hand. */
static void take(standby *st, const char *org, const char *spelled) {
    json *body = NULL;
    at_hand *fresh = NULL;
    char why[PLAN_WHY_MAX] = "";
    int fault = json_parse_once(text_of(spelled), &body) == JSON_OK
                    ? at_hand_read(text_of(org), body, &fresh, why)
                    : -EBADMSG;
    if (fault == 0)
        fault = local_put(st->s->local, TEXT("standby"), text_of(org), text_of(spelled));
    if (fault < 0)
        service_log(st->s, LOG_LEVEL_WARNING, "%s: what is needed without the database can't be kept: %s",
                    org, *why ? why : strerror(-fault));
    if (fresh)
        replace(st, fresh);
}

static bool is_stale(const standby *st, const char *org) {
    const at_hand *h = standby_hand(st, text_of(org));
    instant age = h ? standby_now(st) - h->refreshed_at : 0;
    return !h || h->refreshed_at == 0 || age >= FRESH_FOR ||
           (h->refreshed_at < st->changed_at && age >= INSTANT_SECOND);
}

pg_verdict standby_refresh(standby *st, bool *ret_more) {
    CLEANUP(freep) orgs *o = calloc(1, sizeof *o);
    size_t refreshed = 0;
    pg_verdict verdict = PG_DONE;
    if (!o)
        return PG_RETRY;
    bus_each(st->s->bus, add_org, o);
    for (size_t i = 0; i < o->count; i++) {
        CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
        const char *params[] = {o->names[i]};
        bool stale = verdict == PG_DONE && is_stale(st, o->names[i]);
        *ret_more |= stale && refreshed == REFRESHES;
        if (stale && refreshed++ < REFRESHES)
            verdict = pg_query(st->s->c, "SELECT mayday.standby_snapshot($1)", 1, params, &rows);
        if (verdict == PG_DONE && rows)
            take(st, o->names[i], pg_value(rows, 0, 0));
        free(o->names[i]);
    }
    return verdict;
}

/* ---- is it stored? ---- */

pg_verdict standby_look(standby *st) {
    CLEANUP(buf_release) buf of_orgs = BUF(ARRAY_MAX), of_alerts = BUF(ARRAY_MAX), of_people = BUF(ARRAY_MAX);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char window[32];
    instant now = standby_now(st);
    size_t count = 0;
    pg_array_begin(&of_orgs);
    pg_array_begin(&of_alerts);
    pg_array_begin(&of_people);
    for (const told *t = st->cases; t && count < LOOKS; t = t->next) {
        if (t->told_at || t->stored_at || now < t->heard_at + LOOK_AFTER)
            continue;
        pg_array_add(&of_orgs, text_of(t->org));
        pg_array_add(&of_alerts, text_of(t->alert));
        pg_array_add(&of_people, text_of(t->raiser));
        count++;
    }
    pg_array_end(&of_orgs);
    pg_array_end(&of_alerts);
    pg_array_end(&of_people);
    if (count == 0)
        return PG_DONE;
    if (buf_failed(&of_orgs) < 0 || buf_failed(&of_alerts) < 0 || buf_failed(&of_people) < 0)
        return PG_RETRY;
    (void)snprintf(window, sizeof window, "%lld ms", (long long)st->s->settings->join_window_ms);
    const char *params[] = {of_orgs.ptr, of_alerts.ptr, of_people.ptr, window};
    pg_verdict verdict =
        pg_query(st->s->c, "SELECT mayday.standby_stored($1, $2, $3, $4)", ARRAY_LEN(params), params, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++)
        for (told *t = st->cases; t; t = t->next)
            if (strcmp(t->alert, pg_value(rows, i, 0)) == 0 && !t->stored_at)
                t->stored_at = now;
    return verdict;
}

/* ---- bringing ---- */

static bool has_news(const told *t) {
    for (size_t i = 0; i < t->count; i++)
        if (!t->notices[i]->brought && !(t->handed && t->notices[i]->under_way))
            return true;
    return false;
}

static bool is_done(const told *t) {
    for (size_t i = 0; i < t->count; i++)
        if (!t->notices[i]->brought || t->notices[i]->under_way)
            return false;
    return true;
}

static pg_verdict bring(standby *st, told *t) {
    static const char sql[] =
        "SELECT mayday.standby_bring($1, $2, (SELECT a.backend_start FROM pg_stat_activity a"
        " WHERE a.pid = pg_backend_pid()))";
    CLEANUP(json_freep) json *list = json_new_array();
    CLEANUP(buf_release) buf spelled = BUF(BRING_BYTES);
    if (!list || told_bring(t, standby_now(st), st->s->settings->notify_validity_ms, list) < 0)
        return PG_RETRY;
    json_print(list, &spelled);
    if (buf_failed(&spelled) < 0)
        return PG_RETRY;
    const char *params[] = {st->s->gateway, spelled.ptr};
    pg_verdict verdict = pg_query(st->s->c, sql, ARRAY_LEN(params), params, NULL);
    if (verdict == PG_RETRY)
        return verdict;
    if (verdict == PG_DATA) {
        service_log(st->s, LOG_LEVEL_ERROR,
                    "what was told of %s without the database can't be brought in: %s", t->alert,
                    pg_why(st->s->c));
        (void)!local_put(st->s->local, TEXT("refused"), text_of(*t->alert ? t->alert : t->purpose),
                         buf_text(&spelled));
    }
    t->handed = true;
    for (size_t i = 0; i < t->count; i++)
        t->notices[i]->brought |= t->notices[i]->status != NOTICE_SENDING;
    return PG_DONE;
}

pg_verdict standby_bring(standby *st, bool *ret_more) {
    pg_verdict verdict = PG_DONE;
    size_t brought = 0;
    for (told *t = st->cases, *next; t && verdict == PG_DONE && !service_stopping(st->s); t = next) {
        next = t->next;
        if (!t->told_at)
            continue;
        if (has_news(t) && brought++ < BRINGS)
            verdict = bring(st, t);
        *ret_more |= brought > BRINGS;
        if (verdict != PG_DONE || !is_done(t))
            continue;
        if (t->handed_in) /* its broker may be away for longer: told is told */
            handed_drop(st->s->local, text_of(t->alert));
        standby_drop(st, t);
    }
    return verdict;
}
