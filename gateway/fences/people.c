/* people.c - see fences.h: names, languages and roles of everybody, in memory and on this gateway's shelf:
 * somebody who is met for the first time while the database is away has the zones of their roles, too. Who
 * never connected before the database went away is a stranger until it is back. */
#include "gateway/fences/fences.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/pg_array.h"

#define SHELF      TEXT("fences-people")
#define SHELVE_MS  300000
#define WHOM_LIMIT (8u << 20)

/* ---- the directory ---- */

static void index_free(fence_known **index) {
    fence_known *one, *next;
    HASH_ITER(hh, *index, one, next) {
        HASH_DEL(*index, one);
        free(one);
    }
}

void fence_directory_free(fence_org *o) {
    index_free(&o->known);
    o->directory = json_free(o->directory);
    o->directory_print = 0;
}

/* False: out of memory. */
static bool index_row(fence_known **index, const json *row) {
    text id = json_string(json_at(row, 0));
    fence_known *one = id.len ? calloc(1, sizeof *one) : NULL;
    if (!one)
        return id.len == 0;
    one->row = row;
    HASH_ADD_KEYPTR(hh, *index, id.ptr, id.len, one);
    if (one->hh.tbl)
        return true;
    free(one);
    return false;
}

static char *copied(const json *value) {
    text t = json_string(value);
    return t.ptr ? text_copy(t) : NULL;
}

static void know(fence_person *p, const json *row) {
    json *roles = json_at(row, 3) ? json_share(json_at(row, 3)) : NULL;
    if (!roles)
        return;
    free(p->name);
    free(p->lang);
    (void)json_free(p->roles);
    p->name = copied(json_at(row, 1));
    p->lang = copied(json_at(row, 2));
    p->roles = roles;
    p->known = true;
}

void fence_person_introduce(fence_org *o, fence_person *p) {
    fence_known *found = NULL;
    HASH_FIND(hh, o->known, p->id, strlen(p->id), found);
    if (found)
        know(p, found->row);
    else if (!p->known)
        o->strangers = true;
}

static uint64_t print_of(text t) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < t.len; i++)
        h = (h ^ (unsigned char)t.ptr[i]) * 1099511628211u;
    return h ? h : 1;
}

/* False: no memory, or it is no directory; then the one that was there stays. */
static bool take(fence_org *o, text spelled) {
    json *fresh = NULL;
    fence_known *index = NULL;
    uint64_t print = print_of(spelled);
    if (print == o->directory_print)
        return true;
    bool good = json_parse_once(spelled, &fresh) == JSON_OK && json_kind_of(fresh) == JSON_ARRAY;
    for (size_t i = 0; good && i < json_length(fresh); i++)
        good = index_row(&index, json_at(fresh, i));
    if (!good) {
        index_free(&index);
        (void)json_free(fresh);
        return false;
    }
    fence_directory_free(o);
    o->directory = fresh;
    o->known = index;
    o->directory_print = print;
    o->directory_kept = false;
    for (fence_person *p = o->people; p; p = p->hh.next)
        fence_person_introduce(o, p);
    return true;
}

static void shelve(service_context *s, fence_org *o, text spelled) {
    if (o->directory_kept || (o->directory_at_ms && fences_clock_ms() - o->directory_at_ms < SHELVE_MS))
        return;
    o->directory_at_ms = fences_clock_ms();
    o->directory_kept = local_put(s->local, SHELF, text_of(o->name), spelled) == 0;
    if (!o->directory_kept)
        service_log(s, LOG_LEVEL_WARNING, "who the people of %s are can't be kept", o->name);
}

pg_verdict fences_people_refresh(service_context *s, fence_org *o) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *with[] = {o->name};
    pg_verdict verdict = pg_query(s->c, "SELECT mayday.zone_people($1)", ARRAY_LEN(with), with, &rows);
    if (verdict != PG_DONE)
        return verdict;
    text spelled = text_of(pg_value(rows, 0, 0));
    o->refreshed_people_ms = fences_clock_ms();
    if (take(o, spelled))
        shelve(s, o, spelled);
    else
        service_log(s, LOG_LEVEL_ERROR, "who the people of %s are can't be kept in mind", o->name);
    return PG_DONE;
}

void fences_people_recall(service_context *s, fence_org *o) {
    CLEANUP(buf_release) buf spelled = BUF(LOCAL_DOCUMENT_MAX);
    if (local_get(s->local, SHELF, text_of(o->name), &spelled) == 0 && take(o, buf_text(&spelled)))
        o->directory_kept = true;
}

/* ---- strangers ---- */

/* An array of those to look up; false when memory is short. */
static bool name_unknown(const fence_org *o, buf *to) {
    pg_array_begin(to);
    for (const fence_person *p = o->people; p; p = p->hh.next)
        if (!p->known)
            pg_array_add(to, text_of(p->id));
    pg_array_end(to);
    return buf_failed(to) == 0;
}

static bool any_unknown(const fence_org *o) {
    for (const fence_person *p = o->people; p; p = p->hh.next)
        if (!p->known)
            return true;
    return false;
}

pg_verdict fences_people_meet(service_context *s, fence_org *o) {
    static const char sql[] = "SELECT json_build_array(p.person, p.name, p.lang, to_json(p.roles)) "
                              "FROM mayday.person p WHERE p.org = $1 AND p.person = ANY ($2::text[])";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    CLEANUP(buf_release) buf whom = BUF(WHOM_LIMIT);
    if (!any_unknown(o)) {
        o->strangers = o->unknown = false;
        return PG_DONE;
    }
    if (!name_unknown(o, &whom))
        return PG_DONE; /* no memory: next time */
    const char *with[] = {o->name, whom.ptr};
    pg_verdict verdict = pg_query(s->c, sql, ARRAY_LEN(with), with, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++) {
        CLEANUP(json_freep) json *row = NULL;
        fence_person *p = NULL;
        if (json_parse_once(text_of(pg_value(rows, i, 0)), &row) != JSON_OK)
            continue;
        text id = json_string(json_at(row, 0));
        HASH_FIND(hh, o->people, id.ptr, id.len, p);
        if (p)
            know(p, row);
    }
    if (verdict == PG_DONE) {
        o->looked_up_at_ms = fences_clock_ms();
        o->strangers = false;
        o->unknown = any_unknown(o);
    }
    return verdict;
}
