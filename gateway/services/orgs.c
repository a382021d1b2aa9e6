/* orgs.c - finds the organisations to serve: those the configuration names, or all that the database knows.
 * A new organisation is served within two seconds of its first person or alert. */
#include "core/topic.h"
#include "gateway/service.h"

extern const service service_orgs;

/* Each step goes straight to the next name in the key's index, however many rows a name has. */
static const char names[] =
    "WITH RECURSIVE a(org) AS (SELECT min(org) FROM mayday.alert"
    " UNION ALL SELECT (SELECT min(n.org) FROM mayday.alert n WHERE n.org > a.org) FROM a WHERE a.org IS NOT "
    "NULL),"
    " p(org) AS (SELECT min(org) FROM mayday.person"
    " UNION ALL SELECT (SELECT min(n.org) FROM mayday.person n WHERE n.org > p.org) FROM p WHERE p.org IS "
    "NOT NULL),"
    " o(org) AS (SELECT min(org) FROM mayday.outbox"
    " UNION ALL SELECT (SELECT min(n.org) FROM mayday.outbox n WHERE n.org > o.org) FROM o WHERE o.org IS "
    "NOT NULL)"
    " SELECT org FROM a WHERE org IS NOT NULL UNION SELECT org FROM p WHERE org IS NOT NULL"
    " UNION SELECT org FROM o WHERE org IS NOT NULL";

static bool is_set(const char *value) {
    return value && *value;
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    (void)state;
    *ret_again = false;
    if (is_set(s->settings->gateway_orgs) || is_set(s->settings->gateway_token_file))
        return PG_DONE; /* main() has said which */
    pg_verdict verdict = pg_query(s->c, names, 0, NULL, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++) {
        text org = text_of(pg_value(rows, i, 0));
        if (topic_level_valid(org) && bus_serve(s->bus, org) < 0)
            service_log(s, LOG_LEVEL_ERROR, "out of memory");
    }
    return verdict;
}

const service service_orgs = {
    .name = "orgs",
    .every_ms = 2000,
    .step = step,
};
