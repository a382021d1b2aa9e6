/* audit.c - is the audit trail sealed, and signed? */
#include <string.h>

#include "base/json.h"
#include "doctor/check.h"

#define KEYS_FILE_MAX (1 << 20)

extern const check check_audit;

/* Can checkpoints be signed with what is configured? */
static bool look_at_key(doctor *d) {
    const char *path = d->conf.audit_keys ? d->conf.audit_keys : "";
    CLEANUP(buf_release) buf file = BUF(KEYS_FILE_MAX);
    CLEANUP(json_freep) json *set = NULL;
    if (!*path) {
        found(d, FINDING_WARN,
              "Make a key: see the audit trail in the operations guide, [audit] signing_keys.",
              "it is not signed: whoever may write to the database can rewrite it as a whole");
        return false;
    }
    if (file_read(path, KEYS_FILE_MAX, &file) < 0 || json_parse_once(buf_text(&file), &set) != JSON_OK) {
        found(d, FINDING_FAIL, "It belongs to the gateway's user. Run the doctor as root, or as that user.",
              "%s cannot be read, or is no JSON", path);
        return false;
    }
    const json *keys = json_get(set, "keys");
    const json *last = json_at(keys, json_length(keys) ? json_length(keys) - 1 : 0);
    if (json_get(last, "d") || json_get(last, "k"))
        return true;
    found(d, FINDING_FAIL, "The last key signs: it has to be a private one. 'mayday keys new'.",
          "%s has no key to sign with", path);
    return false;
}

/* Notes that nobody seals, and entries that nobody signs. */
static bool look_at_trail(doctor *d, bool signs) {
    static const char sql[] =
        "SELECT (SELECT extract(epoch FROM now() - min(at))::bigint FROM mayday.audit_pending WHERE at < "
        "now() - interval '60 s'),"
        " (SELECT extract(epoch FROM now() - max(c.at))::bigint FROM mayday.audit_checkpoint c"
        "  HAVING max(c.position) < (SELECT max(a.position) FROM mayday.audit a WHERE a.sealed_at < now() - "
        "interval '5 min'))";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (pg_query(d->as_gateway, sql, 0, NULL, &rows) != PG_DONE || pg_rows_count(rows) != 1) {
        found(d, FINDING_FAIL, "Run 'mayday migrate'.", "%s", pg_why(d->as_gateway));
        return false;
    }
    if (!pg_is_null(rows, 0, 0))
        found(d, FINDING_WARN, "Does a gateway run? Its log says what holds the sealer up.",
              "notes have waited to be sealed for %s s", pg_value(rows, 0, 0));
    if (signs && !pg_is_null(rows, 0, 1))
        found(d, FINDING_WARN, "Does the gateway have [audit] signing_keys? It reads them when it starts.",
              "the last signature is %s s old, and there are entries since", pg_value(rows, 0, 1));
    return pg_is_null(rows, 0, 0) && (!signs || pg_is_null(rows, 0, 1));
}

static void run(doctor *d) {
    bool signs = look_at_key(d);
    if (!d->as_gateway)
        found(d, FINDING_SKIPPED, NULL, "the trail itself needs the database as the gateway sees it");
    else if (look_at_trail(d, signs) && signs)
        found(d, FINDING_OK, NULL, "it is sealed and signed");
}

const check check_audit = {.name = "audit", .needs_conf = true, .run = run};
