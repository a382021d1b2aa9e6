/* vitals_test.c - see vitals_tool.h: what rules would have made of readings that there are. The same pure
 * code as in the gateway; nothing is sent or stored. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "document.h"
#include "sense/sense.h"
#include "vitals_tool.h"

#define RECORDING_MAX ((size_t)256 << 20)
#define ROLES_MAX     32
#define PASS_EVERY    INSTANT_SECOND
#define PASS_MOST     (600 * INSTANT_SECOND)

static const command *const self = &command_vitals;

typedef struct trial {
    const body_limits *limits;
    body *body;
    bool json;
    double speed;
    instant speed_at, last;
    uint64_t taken, doubted, found;
} trial;

static void tell(trial *t, const finding *f) {
    static const char *const kinds[] = {"", "begins", "grows", "ends"};
    char at[INSTANT_TEXT_LEN + 1];
    instant_format(f->at, at);
    t->found += f->kind == FINDING_BEGINS;
    if (t->json)
        printf("{\"at\":\"%s\",\"rule\":\"%s\",\"kind\":\"%s\",\"response\":\"%s\",\"words\":\"%s\"}\n", at,
               f->rule, kinds[f->kind], body_response_word(f->response), f->words);
    else
        printf("%s  %-6s  %-5s  %-18s %s\n", at, kinds[f->kind], body_response_word(f->response), f->rule,
               f->words);
}

/* Silence between two readings is looked at as the gateway does. */
static void let_pass(trial *t, instant until) {
    finding found[BODY_FINDINGS_MAX];
    instant end = until - t->last > PASS_MOST ? t->last + PASS_MOST : until;
    for (instant at = t->last + PASS_EVERY; t->last && at < end; at += PASS_EVERY) {
        size_t count = body_pass(t->body, t->limits, at, found);
        for (size_t i = 0; i < count; i++)
            tell(t, &found[i]);
    }
}

static bool take(void *context, const sensed *one) {
    trial *t = context;
    finding found[BODY_FINDINGS_MAX];
    body_trust trust;
    if (one->kind == SENSED_FIX) {
        t->speed = one->fix.speed;
        t->speed_at = one->fix.at;
    }
    if (one->kind != SENSED_READING)
        return true;
    const reading *r = &one->reading;
    let_pass(t, r->at);
    bool lately = t->speed_at && llabs(r->at - t->speed_at) < 60 * INSTANT_SECOND;
    size_t count = body_take(t->body, t->limits, r, lately ? t->speed : NAN, r->at, found, &trust);
    t->taken++;
    t->doubted += trust == TRUST_NOTHING;
    t->last = r->at > t->last ? r->at : t->last;
    for (size_t i = 0; i < count; i++)
        tell(t, &found[i]);
    return true;
}

static int try_recording(trial *t, const char *path) {
    CLEANUP(buf_release) buf file = BUF(RECORDING_MAX);
    char why[256] = "";
    int fault = file_read(path, RECORDING_MAX, &file);
    if (fault < 0)
        return command_fail(self, EXIT_REFUSED, "cannot read %s: %s", path, strerror(-fault));
    const unsigned char *bytes = (const unsigned char *)file.ptr;
    const recording_format *format = recording_of(bytes, file.len);
    if (!format)
        return command_fail(self, EXIT_REFUSED, "%s: no recording of a format that is known", path);
    if (format->play(bytes, file.len, take, t, why) < 0)
        return command_fail(self, EXIT_REFUSED, "%s: %s", path, why);
    return EXIT_DONE;
}

/* ---- from the database ---- */

enum {
    AT,
    HR,
    MOTION = HR + VITALS,
    QUALITY,
    CONTACT,
    EVENT,
    RR
};

static double number(const pg_rows *rows, size_t i, size_t column) {
    return pg_is_null(rows, i, column) ? NAN : strtod(pg_value(rows, i, column), NULL);
}

static void take_row(trial *t, const pg_rows *rows, size_t i) {
    CLEANUP(json_freep) json *beats = NULL;
    sensed one = {.kind = SENSED_READING};
    one.reading = reading_at((instant)strtoll(pg_value(rows, i, AT), NULL, 10));
    for (int v = 0; v < VITALS; v++)
        reading_put(&one.reading, (vital)v, number(rows, i, HR + (size_t)v));
    one.reading.motion = number(rows, i, MOTION);
    one.reading.quality = number(rows, i, QUALITY);
    const char *contact = pg_value(rows, i, CONTACT), *event = pg_value(rows, i, EVENT);
    one.reading.contact = *contact == 't' ? CONTACT_GOOD : *contact == 'f' ? CONTACT_NONE : CONTACT_UNKNOWN;
    one.reading.event = strcmp(event, "fall") == 0    ? EVENT_FALL
                        : strcmp(event, "still") == 0 ? EVENT_STILL
                                                      : EVENT_NOTHING;
    if (!pg_is_null(rows, i, RR) && json_parse_once(text_of(pg_value(rows, i, RR)), &beats) == JSON_OK)
        for (size_t b = 0; b < json_length(beats) && one.reading.rr_count < READING_RR_MAX; b++)
            one.reading.rr_ms[one.reading.rr_count++] = json_number(json_at(beats, b));
    (void)take(t, &one);
}

static int try_person(trial *t, pg *db, const vitals_options *o, const char *org) {
    static const char sql[] =
        "SELECT (extract(epoch FROM v.at) * 1000000)::bigint, v.hr, v.spo2, v.resp, v.temp, v.sys, v.dia, "
        "v.motion,"
        " v.quality, v.contact, v.event, v.rr_ms FROM mayday.vitals v WHERE v.org = $1 AND v.person = $2"
        " AND v.at > now() - $3 * interval '1 hour' ORDER BY v.at LIMIT 500000";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char hours[24];
    (void)snprintf(hours, sizeof hours, "%lld", (long long)o->hours);
    const char *params[] = {org, o->person, hours};
    int code = database_ask(self, db, sql, 3, params, &rows);
    for (size_t i = 0; code == EXIT_DONE && i < pg_rows_count(rows); i++)
        take_row(t, rows, i);
    return code;
}

/* ---- the rules ---- */

static int rules_of_org(pg *db, const char *org, body_rules **ret_rules) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    CLEANUP(json_freep) json *document = NULL;
    int code =
        database_ask(self, db, "SELECT (r).body FROM mayday.body_rules_of($1) r WHERE (r).org IS NOT NULL", 1,
                     &org, &rows);
    if (code != EXIT_DONE)
        return code;
    if (pg_rows_count(rows) == 0)
        return body_rules_default(ret_rules) == 0 ? EXIT_DONE
                                                  : command_fail(self, EXIT_REFUSED, "out of memory");
    code = document_parse(self, org, text_of(pg_value(rows, 0, 0)), &document);
    return code == EXIT_DONE ? rules_of_document(org, document, ret_rules) : code;
}

static size_t split_roles(const char *spelled, text roles[ROLES_MAX]) {
    text rest = text_of(spelled), word;
    size_t count = 0;
    while (spelled && count < ROLES_MAX && text_next(&rest, ' ', &word))
        if (word.len)
            roles[count++] = word;
    return count;
}

int rules_test(const vitals_options *o, const settings *conf, const char *org, const char *path) {
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(body_rules_freep) body_rules *rules = NULL;
    CLEANUP(body_freep) body *b = NULL;
    text roles[ROLES_MAX];
    size_t role_count = split_roles(o->roles, roles);
    trial t = {.json = o->json, .speed = NAN};
    if (!o->recording && !o->person)
        return command_fail(self, EXIT_USAGE, "with what? --recording PATH, or --person PERSON");
    int code = path && o->recording ? EXIT_DONE : database_open(self, o->config_path, o->database, &db);
    if (code == EXIT_DONE)
        code = path ? rules_read(conf, path, NULL, &rules) : rules_of_org(db, org, &rules);
    if (code != EXIT_DONE)
        return code;
    if (body_new(&b) < 0 ||
        body_rules_for(rules, text_of(o->person ? o->person : ""), roles, role_count, &t.limits) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    t.body = b;
    code = o->recording ? try_recording(&t, o->recording) : try_person(&t, db, o, org);
    if (code == EXIT_DONE && t.taken == 0)
        return command_fail(self, EXIT_REFUSED, "%s: no readings to try the rules on",
                            o->recording ? o->recording : o->person);
    if (code == EXIT_DONE && !o->json)
        printf("%llu readings, %llu of them not believed: %llu findings\n", (unsigned long long)t.taken,
               (unsigned long long)t.doubted, (unsigned long long)t.found);
    return code;
}
