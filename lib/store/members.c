/* members.c - see members.h. */
#include "store/members.h"
#include "base/json.h"

#define NEWCOMERS_BYTES (1 << 20) /* thousands; those beyond are told with the next change */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static address_family family_of(text name) {
    if (text_equal(name, TEXT("alert")))
        return ADDRESS_ALERT;
    return text_equal(name, TEXT("room")) ? ADDRESS_ROOM : ADDRESS_NONE;
}

/* False when the queue is full. A relation of a newer version, which we don't know, is no membership. */
static bool pass_on(members *m, text org, text family, text id, text person, text relation_text) {
    address_family where = family_of(family);
    relation r = relation_text.ptr ? relation_named(relation_text) : RELATION_NONE;
    result_kind kind = r == RELATION_NONE ? RESULT_MEMBER_REMOVE : RESULT_MEMBER_SET;
    return where == ADDRESS_NONE || results_member(m->back, kind, org, where, id, person, r);
}

static void forget_place(members *m) {
    for (size_t i = 0; i < ARRAY_LEN(m->after); i++) {
        free(m->after[i]);
        m->after[i] = NULL;
    }
}

static void reload(members *m) {
    forget_place(m);
    m->loading = true;
}

void members_release(members *m) {
    forget_place(m);
    buf_release(&m->newcomers);
}

pg_verdict members_listen(members *m, pg *c) {
    CLEANUP(pg_rows_freep) pg_rows *now = NULL;
    pg_verdict verdict = pg_run(c, "LISTEN mayday_membership; LISTEN mayday_revocation");
    if (verdict == PG_DONE)
        verdict = pg_query(c, "SELECT now() - interval '2 minutes'", 0, NULL, &now);
    if (verdict != PG_DONE)
        return verdict;
    (void)snprintf(m->next_since, sizeof m->next_since, "%s", pg_value(now, 0, 0));
    reload(m);
    m->revocations_due = true;
    return PG_DONE;
}

/* False when the queue is full. */
static bool pass_revocation(members *m, text org, text kind, text value, text node, bool lifted,
                            int64_t until) {
    revocation_kind what = revocation_kind_named(kind);
    return what == REVOKE_NOTHING || results_revocation(m->back, lifted ? RESULT_RESTORED : RESULT_REVOKED,
                                                        org, what, value, until, node);
}

static void revocation_notified(members *m, const json *change) {
    if (!pass_revocation(m, json_get_string(change, "org"), json_get_string(change, "kind"),
                         json_get_string(change, "value"), json_get_string(change, "node"),
                         json_boolean(json_get(change, "lifted")), json_integer(json_get(change, "until"))))
        m->revocations_due = true;
}

/* The raiser has been there from the start. */
static void welcome(members *m, text relation_text, const char *payload) {
    relation r = relation_named(relation_text);
    if (r != RELATION_ASSIGNED && r != RELATION_INVITED && r != RELATION_FAMILY)
        return;
    m->newcomers.limit = NEWCOMERS_BYTES;
    if (m->newcomers.len + strlen(payload) + 2 > NEWCOMERS_BYTES)
        return;
    buf_add_char(&m->newcomers, m->newcomers.len == 0 ? '[' : ',');
    buf_add_text(&m->newcomers, text_of(payload));
}

static pg_verdict tell_newcomers(members *m, pg *c) {
    if (m->newcomers.len == 0)
        return PG_DONE;
    buf_add_char(&m->newcomers, ']');
    const char *params[] = {m->node, m->newcomers.ptr};
    pg_verdict verdict = PG_DONE;
    if (buf_failed(&m->newcomers) == 0)
        verdict = pg_query(c, "SELECT mayday.say_again($1, $2::jsonb)", ARRAY_LEN(params), params, NULL);
    buf_clear(&m->newcomers);
    return verdict;
}

static void notified(void *context, const char *channel, const char *payload) {
    members *m = context;
    CLEANUP(json_freep) json *change = NULL;
    if (json_parse_once(text_of(payload), &change) != JSON_OK)
        return;
    if (strcmp(channel, "mayday_revocation") == 0)
        revocation_notified(m, change);
    if (strcmp(channel, "mayday_membership") != 0)
        return;
    bool set = text_equal(json_get_string(change, "op"), TEXT("set"));
    text relation_text = set ? json_get_string(change, "relation") : (text){0};
    if (!pass_on(m, json_get_string(change, "org"), json_get_string(change, "family"),
                 json_get_string(change, "id"), json_get_string(change, "person"), relation_text))
        reload(m);
    if (set)
        welcome(m, relation_text, payload);
}

/* Remembers how far it got; false when memory is short. */
static bool keep_place(members *m, const pg_rows *page, size_t row) {
    forget_place(m);
    for (size_t i = 0; i < ARRAY_LEN(m->after); i++)
        if (!(m->after[i] = strdup(pg_value(page, row, i))))
            return false;
    return true;
}

static bool pass_row(members *m, const pg_rows *page, size_t row) {
    bool ended = pg_is_null(page, row, 4);
    return pass_on(m, text_of(pg_value(page, row, 0)), text_of(pg_value(page, row, 1)),
                   text_of(pg_value(page, row, 2)), text_of(pg_value(page, row, 3)),
                   ended ? (text){0} : text_of(pg_value(page, row, 4)));
}

/* The first time also all that ever ended: the broker remembers memberships over a restart, and some may have
 * ended while it was away. */
static pg_verdict load_page(members *m, pg *c) {
    static const char sql[] =
        "SELECT org, family, id, person, CASE WHEN until IS NULL THEN relation END FROM mayday.membership"
        " WHERE (until IS NULL OR until >= $5::timestamptz) AND (org, family, id, person) > ($1, $2, $3, $4)"
        " ORDER BY org, family, id, person LIMIT 500";
    CLEANUP(pg_rows_freep) pg_rows *page = NULL;
    const char *params[5] = {"", "", "", "", *m->since ? m->since : "-infinity"};
    for (size_t i = 0; m->after[0] && m->after[3] && i < ARRAY_LEN(m->after); i++)
        params[i] = m->after[i];
    pg_verdict verdict = pg_query(c, sql, ARRAY_LEN(params), params, &page);
    if (verdict != PG_DONE)
        return verdict;
    size_t count = pg_rows_count(page), passed = 0;
    while (passed < count && pass_row(m, page, passed))
        passed++;
    if (passed > 0 && !keep_place(m, page, passed - 1))
        reload(m);
    if (count == 0) {
        m->loading = false;
        memcpy(m->since, m->next_since, sizeof m->since);
    }
    return PG_DONE;
}

/* The newest are as many as a broker keeps; those lifted long ago have reached everybody. */
static pg_verdict load_revocations(members *m, pg *c) {
    static const char sql[] = "SELECT org, kind, value, node, lifted, coalesce(extract(epoch FROM "
                              "until)::bigint, 0) FROM mayday.revocation"
                              " WHERE CASE WHEN lifted THEN changed_at > now() - interval '30 days' ELSE "
                              "coalesce(until > now(), true) END"
                              " ORDER BY changed_at DESC LIMIT 50000";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    pg_verdict verdict = pg_query(c, sql, 0, NULL, &rows);
    if (verdict != PG_DONE)
        return verdict;
    m->revocations_due = false;
    for (size_t i = 0; i < pg_rows_count(rows) && !m->revocations_due; i++) {
        int64_t until = 0;
        if (text_to_i64(text_of(pg_value(rows, i, 5)), 0, INT64_MAX, &until) < 0)
            continue;
        m->revocations_due = !pass_revocation(m, text_of(pg_value(rows, i, 0)), text_of(pg_value(rows, i, 1)),
                                              text_of(pg_value(rows, i, 2)), text_of(pg_value(rows, i, 3)),
                                              pg_value(rows, i, 4)[0] == 't', until);
    }
    return PG_DONE;
}

pg_verdict members_heed(members *m, pg *c) {
    pg_verdict verdict = pg_notifications(c, notified, m);
    return verdict == PG_DONE ? tell_newcomers(m, c) : verdict;
}

pg_verdict members_step(members *m, pg *c) {
    pg_verdict verdict = members_heed(m, c);
    if (verdict == PG_DONE && m->revocations_due)
        verdict = load_revocations(m, c);
    if (verdict == PG_DONE && m->loading)
        verdict = load_page(m, c);
    return verdict == PG_DONE ? members_heed(m, c) : verdict;
}
