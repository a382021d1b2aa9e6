/* store.c - see fences.h: zones and presence in the database (sql/0022), and on this gateway's shelf for when
 * it starts while the database is away. */
#include "gateway/fences/fences.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHELF      TEXT("fences")
#define SAVE_MOST  500
#define SAVE_LIMIT (8u << 20)

int64_t fences_clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_true(const pg_rows *rows, size_t row, size_t column) {
    return strcmp(pg_value(rows, row, column), "t") == 0;
}

/* ---- zones ---- */

typedef struct complaint {
    service_context *s;
    const fence_org *o;
} complaint;

static void complain(void *context, text zone, const char *why) {
    const complaint *c = context;
    service_log(c->s, LOG_LEVEL_ERROR, "zone '%.*s' of %s is none and does not count: %s", (int)zone.len,
                zone.len ? zone.ptr : "", c->o->name, why);
}

static int load(service_context *s, fence_org *o, text spelled) {
    CLEANUP(json_freep) json *documents = NULL;
    json_verdict verdict = json_parse_once(spelled, &documents);
    if (verdict != JSON_OK)
        return verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG;
    return fence_org_load(o, documents, complain, &(complaint){s, o});
}

static pg_verdict load_zones(service_context *s, fence_org *o, int64_t edition) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *with[] = {o->name};
    pg_verdict verdict = pg_query(
        s->c,
        "SELECT coalesce(jsonb_agg(z.document ORDER BY z.zone), '[]') FROM mayday.zone z WHERE z.org = $1", 1,
        with, &rows);
    if (verdict != PG_DONE)
        return verdict;
    int fault = load(s, o, text_of(pg_value(rows, 0, 0)));
    if (fault < 0)
        service_log(s, LOG_LEVEL_ERROR, "the zones of %s can't be loaded: %s", o->name, strerror(-fault));
    else
        service_log(s, LOG_LEVEL_INFO, "%s has %zu zones", o->name, fences_count(o->zones));
    o->edition = fault == -ENOMEM ? 0 : edition; /* what memory is too short for now is tried again */
    return PG_DONE;
}

static fence_org *find(fence_org *orgs, text name) {
    while (orgs && !text_equal(text_of(orgs->name), name))
        orgs = orgs->next;
    return orgs;
}

static void note_judge(fence_org *o, const pg_rows *rows, size_t i) {
    if (o->stood_in || pg_is_null(rows, i, 2) || (o->judge && strcmp(o->judge, pg_value(rows, i, 2)) == 0))
        return;
    free(o->judge);
    o->judge = text_copy(text_of(pg_value(rows, i, 2)));
}

pg_verdict fences_store_look(service_context *s, fence_org **orgs) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    pg_verdict verdict = pg_query(s->c,
                                  "SELECT e.org, e.edition, j.gateway FROM mayday.zone_edition e "
                                  "LEFT JOIN mayday.zone_judge j USING (org)",
                                  0, NULL, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++) {
        text name = text_of(pg_value(rows, i, 0));
        int64_t edition = 0;
        fence_org *o = find(*orgs, name);
        if (!o && (o = fence_org_new(name))) {
            o->next = *orgs;
            *orgs = o;
        }
        if (!o || text_to_i64(text_of(pg_value(rows, i, 1)), 0, INT64_MAX, &edition) < 0)
            continue;
        note_judge(o, rows, i);
        if (o->edition != edition)
            verdict = load_zones(s, o, edition);
    }
    return verdict;
}

/* ---- taking over ---- */

static instant moment_of(const pg_rows *rows, size_t row, size_t column) {
    int64_t at = 0;
    (void)!text_to_i64(text_of(pg_value(rows, row, column)), INT64_MIN, INT64_MAX, &at);
    return at;
}

#define MICROSECONDS(column) "floor(extract(epoch FROM " column ") * 1000000)::bigint"

static int bring_back(fence_org *o, const pg_rows *rows, size_t i) {
    fence_person *p = fence_org_person(o, text_of(pg_value(rows, i, 0)));
    fence_stay stay = {.since = moment_of(rows, i, 2),
                       .dwelled = is_true(rows, i, 4),
                       .checked_in = is_true(rows, i, 5),
                       .speeding = is_true(rows, i, 6)};
    text zone = text_of(pg_value(rows, i, 1));
    if (!p || zone.len > FENCE_ZONE_MAX)
        return -ENOMEM;
    memcpy(stay.zone, zone.ptr, zone.len);
    return fence_walker_restore(p->walker, is_true(rows, i, 7) ? NULL : &stay, moment_of(rows, i, 3));
}

static void dirty_all(fence_org *o) {
    for (fence_person *p = o->people; p; p = p->hh.next)
        p->dirty = true;
}

/* We know better. */
static bool is_dirty(const fence_org *o, text id) {
    fence_person *p = NULL;
    HASH_FIND(hh, o->people, id.ptr, id.len, p);
    return p && p->dirty;
}

/* All but those who are dirty. */
static pg_verdict restore(service_context *s, fence_org *o) {
    static const char sql[] = "SELECT p.person, p.zone, " MICROSECONDS("p.since") ", " MICROSECONDS(
        "p.seen") ","
                  " p.dwelled, p.checked_in, p.speeding, p.left_at IS NOT NULL FROM mayday.zone_presence p "
                  "WHERE p.org = $1";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *with[] = {o->name};
    pg_verdict verdict = pg_query(s->c, sql, 1, with, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++)
        if (!is_dirty(o, text_of(pg_value(rows, i, 0))) && bring_back(o, rows, i) < 0)
            return PG_RETRY; /* no memory: taken over next time */
    return verdict;
}

static double real_of(const pg_rows *rows, size_t row, size_t column) {
    return pg_is_null(rows, row, column) ? NAN : strtod(pg_value(rows, row, column), NULL);
}

/* What was heard by nobody, or by one who could not say it any more. */
static pg_verdict replay(service_context *s, fence_org *o) {
    static const char sql[] = "SELECT u.person, " MICROSECONDS("u.at") ", " MICROSECONDS(
        "u.received_at") ", u.offline, u.lat, u.lon,"
                         " u.accuracy, u.speed FROM mayday.unjudged_positions($1) u";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *with[] = {o->name};
    pg_verdict verdict = pg_query(s->c, sql, 1, with, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++)
        if (!fence_org_person(o, text_of(pg_value(rows, i, 0))))
            return PG_RETRY;
    if (verdict == PG_DONE)
        verdict = fences_people_refresh(s, o);
    if (verdict == PG_DONE)
        verdict = fences_people_meet(s, o);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++) {
        fence_person *p = fence_org_person(o, text_of(pg_value(rows, i, 0)));
        instant at = fences_moment(moment_of(rows, i, 1), moment_of(rows, i, 2), is_true(rows, i, 3));
        fix where = fix_at(at, real_of(rows, i, 4), real_of(rows, i, 5));
        where.accuracy = real_of(rows, i, 6);
        where.speed = real_of(rows, i, 7);
        if (p)
            fence_org_take(s, o, p, &where, INT64_MIN);
    }
    return verdict;
}

static pg_verdict learn(service_context *s, fence_org *o) {
    fence_org_forget(o);
    pg_verdict verdict = restore(s, o);
    return verdict == PG_DONE ? fence_questions_restore(s, o) : verdict;
}

pg_verdict fences_store_follow(service_context *s, fence_org *o) {
    pg_verdict verdict = learn(s, o);
    if (verdict == PG_DONE)
        verdict = fences_people_refresh(s, o);
    o->followed = verdict == PG_DONE;
    o->followed_at_ms = fences_clock_ms();
    return verdict;
}

static pg_verdict begin_judging(service_context *s, fence_org *o, const char *last) {
    const char *expected = !o->stood_in ? s->gateway : o->judge ? o->judge : "";
    bool goes_on = o->held && !o->recalled && strcmp(last, expected) == 0; /* nobody else judged meanwhile */
    pg_verdict verdict = PG_DONE;
    if (goes_on) { /* and we know more than the database; unless we began with nothing */
        dirty_all(o);
        verdict = o->stood_in && !o->followed ? restore(s, o) : PG_DONE;
    } else {
        o->held = false;
        verdict = learn(s, o);
    }
    if (verdict == PG_DONE) /* also by one that goes on: it may have been killed for a while */
        verdict = replay(s, o);
    if (verdict != PG_DONE)
        return verdict;
    if (!goes_on)
        service_log(s, LOG_LEVEL_NOTICE, "watches the zones of %s", o->name);
    o->held = true;
    o->recalled = o->stood_in = o->followed = false;
    return fences_store_judged(s, o);
}

pg_verdict fences_store_lock(service_context *s, fence_org *o) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *with[] = {o->name};
    pg_verdict verdict = pg_query(s->c,
                                  "SELECT pg_try_advisory_lock(hashtext('mayday.fences'), hashtext($1)),"
                                  " (SELECT j.gateway FROM mayday.zone_judge j WHERE j.org = $1)",
                                  1, with, &rows);
    o->tried_at_ms = fences_clock_ms();
    if (verdict != PG_DONE)
        return verdict;
    if (!is_true(rows, 0, 0)) {
        if (o->held) {
            service_log(s, LOG_LEVEL_NOTICE, "another gateway watches the zones of %s now", o->name);
            fence_org_forget(o);
        }
        o->held = o->recalled = false;
        return PG_DONE;
    }
    o->locked = true;
    return begin_judging(s, o, pg_value(rows, 0, 1));
}

pg_verdict fences_store_unlock(service_context *s, fence_org *o) {
    const char *with[] = {o->name};
    o->held = o->locked = false;
    fence_org_forget(o);
    return pg_query(s->c, "SELECT pg_advisory_unlock(hashtext('mayday.fences'), hashtext($1))", 1, with,
                    NULL);
}

/* ---- presence ---- */

static int spell_dirty(const fence_org *o, json *list, fence_person *some[SAVE_MOST], size_t *ret_count) {
    size_t count = 0;
    int fault = 0;
    for (fence_person *p = o->people; p && fault == 0 && count < SAVE_MOST; p = p->hh.next) {
        if (!p->dirty || p->unsaid) /* what nobody was told yet has not happened yet */
            continue;
        fault = fence_person_spell(p, list);
        some[count++] = p;
    }
    *ret_count = count;
    return fault;
}

pg_verdict fences_store_save(service_context *s, fence_org *o) {
    CLEANUP(json_freep) json *list = json_new_array();
    CLEANUP(buf_release) buf spelled = BUF(SAVE_LIMIT);
    fence_person *some[SAVE_MOST];
    size_t count = 0;
    if (!list || spell_dirty(o, list, some, &count) < 0)
        return PG_DONE; /* no memory: next time */
    if (count == 0)
        return PG_DONE;
    json_print(list, &spelled);
    if (buf_failed(&spelled) < 0)
        return PG_DONE;
    const char *with[] = {o->name, spelled.ptr};
    pg_verdict verdict = pg_query(s->c, "SELECT mayday.save_presence($1, $2)", 2, with, NULL);
    for (size_t i = 0; verdict == PG_DONE && i < count; i++)
        some[i]->dirty = false;
    return verdict;
}

pg_verdict fences_store_judged(service_context *s, const fence_org *o) {
    const char *with[] = {o->name, s->gateway};
    return pg_query(s->c, "SELECT mayday.zones_judged($1, $2, clock_timestamp())", 2, with, NULL);
}

/* ---- the shelf ---- */

/* Without the database also who has left meanwhile: it still has them inside. */
static int spell_shelved(const fence_org *o, bool away, json *body) {
    CLEANUP(json_freep) json *people = json_new_array();
    CLEANUP(json_freep) json *questions = json_new_array();
    int fault = people && questions ? json_put(body, "held", json_new_bool(o->held)) : -ENOMEM;
    if (fault == 0)
        fault = json_put(body, "away", json_new_bool(away));
    if (fault == 0)
        fault = json_put(body, "zones", json_share(o->documents));
    for (const fence_person *p = o->people; fault == 0 && p; p = p->hh.next)
        if (fence_walker_inside(p->walker) > 0 || (away && p->dirty))
            fault = fence_person_spell(p, people);
    if (fault == 0)
        fault = fence_questions_spell(o, questions);
    if (fault == 0)
        fault = json_put(body, "questions", json_share(questions));
    return fault < 0 ? fault : json_put(body, "people", json_share(people));
}

void fences_shelve(service_context *s, fence_org *o, bool away) {
    CLEANUP(json_freep) json *body = json_new_object();
    CLEANUP(buf_release) buf spelled = BUF(LOCAL_DOCUMENT_MAX);
    int fault = body && o->documents ? spell_shelved(o, away, body) : -ENOMEM;
    if (fault == 0) {
        json_print(body, &spelled);
        fault = buf_failed(&spelled);
    }
    if (fault == 0)
        fault = local_put(s->local, SHELF, text_of(o->name), buf_text(&spelled));
    if (fault < 0)
        service_log(s, LOG_LEVEL_WARNING, "who is inside of the zones of %s can't be kept: %s", o->name,
                    strerror(-fault));
    o->stirred = false;
    o->shelved_at_ms = fences_clock_ms();
}

static instant time_in(const json *from, const char *name) {
    instant at;
    return instant_parse(json_get_string(from, name), &at) == 0 ? at : INT64_MIN;
}

static bool flag_in(const json *from, const char *name) {
    const json *value = json_get(from, name);
    return json_kind_of(value) == JSON_BOOL && json_boolean(value);
}

static void recall_person(fence_org *o, const json *one) {
    const json *stays = json_get(one, "stays");
    text id = json_get_string(one, "person");
    fence_person *p = id.len ? fence_org_person(o, id) : NULL;
    if (p)
        p->dirty = !o->recalled; /* we know more of them than the database */
    if (p && json_length(stays) == 0)
        (void)!fence_walker_restore(p->walker, NULL, time_in(one, "seen"));
    for (size_t i = 0; p && i < json_length(stays); i++) {
        const json *from = json_at(stays, i);
        text zone = json_get_string(from, "zone");
        fence_stay stay = {.since = time_in(from, "since"),
                           .dwelled = flag_in(from, "dwelled"),
                           .checked_in = flag_in(from, "checked_in"),
                           .speeding = flag_in(from, "speeding")};
        if (zone.len == 0 || zone.len > FENCE_ZONE_MAX)
            continue;
        memcpy(stay.zone, zone.ptr, zone.len);
        (void)!fence_walker_restore(p->walker, &stay, time_in(one, "seen"));
    }
}

typedef struct recollection {
    service_context *s;
    fence_org **orgs;
} recollection;

static void recall(void *context, text name, text spelled) {
    recollection *r = context;
    CLEANUP(json_freep) json *body = NULL;
    fence_org *o = json_parse_once(spelled, &body) == JSON_OK ? fence_org_new(name) : NULL;
    const json *zones = json_get(body, "zones"), *people = json_get(body, "people");
    if (!o || !zones || fence_org_load(o, zones, complain, &(complaint){r->s, o}) < 0) {
        service_log(r->s, LOG_LEVEL_WARNING, "what was kept of the zones of an organisation can't be read");
        (void)fence_org_free(o);
        return;
    }
    o->held = flag_in(body, "held");
    o->recalled = !flag_in(body, "away"); /* the database knows at least as much */
    o->stirred = false;
    for (size_t i = 0; i < json_length(people); i++)
        recall_person(o, json_at(people, i));
    fence_questions_recall(r->s, o, json_get(body, "questions"));
    o->next = *r->orgs;
    *r->orgs = o;
}

void fences_recall(service_context *s, fence_org **orgs) {
    if (local_each(s->local, SHELF, recall, &(recollection){s, orgs}) < 0)
        service_log(s, LOG_LEVEL_WARNING, "what was kept of zones can't be read");
    for (fence_org *o = *orgs; o; o = o->next)
        fences_people_recall(s, o);
}
