/* escalation.c - would an alarm reach somebody, in every organisation? And is what is due being done? */
#include <stdlib.h>
#include <string.h>

#include "doctor/check.h"

#define LATE_SECONDS "30"
#define LINES_MAX    8 /* of one kind; then how many more */

extern const check check_escalation;

/* The doctor's own token makes somebody known, in an organisation that may hold nobody else. */
#define PLANS                                                                                                \
    "(SELECT o.org, p.body FROM (SELECT org FROM mayday.person WHERE person <> 'mayday-doctor' UNION SELECT" \
    " org FROM mayday.plan WHERE org <> '*') o CROSS JOIN LATERAL mayday.plan_of(o.org) p WHERE p.body IS "  \
    "NOT NULL)"

static const char mute_sql[] = "SELECT x.org || ', policy ' || m || ' tells nobody at all' FROM " PLANS
                               " x, mayday.plan_mute(x.org, x.body) m ORDER BY 1";
static const char gaps_sql[] = "SELECT x.org || ', ' || g.what FROM " PLANS
                               " x, mayday.plan_gaps(x.org, x.body) g WHERE g.grave ORDER BY 1";
static const char phoneless_sql[] =
    "SELECT x.org || ': ' || count(*) || ' without a phone: ' || string_agg(q.p, ', ' ORDER BY q.p)"
    " FILTER (WHERE q.n <= 5) || CASE WHEN count(*) > 5 THEN '...' ELSE '' END FROM " PLANS
    " x, mayday.plan_phoneless(x.org, x.body) WITH ORDINALITY q(p, n) GROUP BY x.org ORDER BY 1";

/* How many lines there were. */
static size_t tell(doctor *d, finding f, const char *remedy, const char *sql) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (pg_query(d->as_gateway, sql, 0, NULL, &rows) != PG_DONE) {
        found(d, FINDING_FAIL, "Run 'mayday migrate'.", "%s", pg_why(d->as_gateway));
        return 1;
    }
    for (size_t i = 0; i < pg_rows_count(rows) && i < LINES_MAX; i++)
        found(d, f, remedy, "%s", pg_value(rows, i, 0));
    if (pg_rows_count(rows) > LINES_MAX)
        found(d, f, remedy, "and %zu more", pg_rows_count(rows) - LINES_MAX);
    return pg_rows_count(rows);
}

static size_t look_at_work(doctor *d) {
    static const char late_sql[] =
        "SELECT count(*) || ' escalations are overdue, the oldest since ' ||"
        " extract(epoch FROM now() - min(due_at))::bigint || ' s' FROM mayday.escalation"
        " WHERE due_at < now() - interval '" LATE_SECONDS " s' HAVING count(*) > 0"
        " UNION ALL SELECT count(*) || ' messages wait to be sent, the oldest since ' ||"
        " extract(epoch FROM now() - min(due_at))::bigint || ' s' FROM mayday.notification"
        " WHERE status = 'waiting' AND due_at < now() - interval '" LATE_SECONDS " s' HAVING count(*) > 0";
    static const char unanswered_sql[] =
        "SELECT count(*) || ' open alarms were answered by nobody: mayday escalation list ' || e.org"
        " FROM mayday.escalation e WHERE e.status = 'exhausted' GROUP BY e.org ORDER BY 1";
    return tell(d, FINDING_FAIL,
                "Is a gateway running, and are the providers taking messages? 'mayday provider status'.",
                late_sql) +
           tell(d, FINDING_WARN, "Somebody has to look at them now.", unanswered_sql);
}

static void run(doctor *d) {
    if (!d->as_gateway) {
        found(d, FINDING_SKIPPED, NULL, "needs the database as the gateway sees it");
        return;
    }
    size_t said =
        tell(d, FINDING_FAIL, "Enter people of those roles, or apply a plan: 'mayday plan apply'.", mute_sql);
    if (said == 0)
        said +=
            tell(d, FINDING_WARN,
                 "'mayday escalation test' shows who would be told; mend the plan or the people.", gaps_sql);
    if (calls_people(d))
        said +=
            tell(d, FINDING_WARN, "'mayday person channel ORG PERSON add sms NUMBER': an app may be asleep.",
                 phoneless_sql);
    said += look_at_work(d);
    if (said == 0)
        found(d, FINDING_OK, NULL, "every level of every plan reaches somebody, and nothing is overdue");
}

const check check_escalation = {.name = "escalation", .needs_conf = true, .run = run};
