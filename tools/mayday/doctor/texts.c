/* texts.c - can people be told in their language? Every file of texts must be usable, and have what English
 * has; and the languages of the people in the database should be among them. The gateway's role may read
 * those, the writer's may not. */
#include <string.h>

#include "doctor/check.h"
#include "msg/texts_dir.h"

#define PATIENCE_MS 5000
#define NAMED_MOST  5 /* templates that are named; of more only the number is said */

extern const check check_texts;

static void say_bad(void *context, const char *why) {
    found(context, FINDING_FAIL,
          "Correct it, or put the shipped one there: until then its language is not spoken.", "%s", why);
}

/* What one language lacks. */
typedef struct lack {
    text lang;
    size_t count;
    buf names;
} lack;

static void note_missing(void *context, text lang, text name) {
    lack *l = context;
    if (!text_equal(lang, l->lang))
        return;
    if (l->count < NAMED_MOST)
        buf_printf(&l->names, "%s%.*s", l->count ? ", " : "", (int)name.len, name.ptr);
    l->count++;
}

static bool is_complete(doctor *d, const texts *t, text reference, text lang) {
    lack l = {.lang = lang, .names = BUF(1024)};
    texts_missing(t, reference, note_missing, &l);
    if (l.count > 0)
        found(d, FINDING_WARN, "Translate them: until then they are told in another language.",
              "'%.*s' lacks %zu that '%.*s' has: %s%s", (int)lang.len, lang.ptr, l.count, (int)reference.len,
              reference.ptr, l.names.ptr ? l.names.ptr : "", l.count > NAMED_MOST ? "..." : "");
    buf_release(&l.names);
    return l.count == 0;
}

/* English, or when somebody took it away, what everybody else gets. */
static text reference_of(const texts *t, text fallback) {
    return texts_has(t, TEXT("en"), TEXT("")) ? TEXT("en") : fallback;
}

static void look_at_files(doctor *d, const texts *t) {
    text fallback = text_of(d->conf.notify_lang ? d->conf.notify_lang : "en");
    bool complete = true;
    CLEANUP(buf_release) buf langs = BUF(1024);
    for (size_t i = 0; i < texts_languages(t); i++) {
        text lang = texts_language(t, i);
        complete = is_complete(d, t, reference_of(t, fallback), lang) && complete;
        buf_printf(&langs, " %.*s", (int)lang.len, lang.ptr);
    }
    if (!texts_has(t, fallback, TEXT("")))
        found(d, FINDING_FAIL, "Correct [notify] lang, or add that language: see those that are shipped.",
              "[notify] lang is '%.*s', which has no texts", (int)fallback.len, fallback.ptr);
    else if (complete)
        found(d, FINDING_OK, NULL, "all texts are there in%s", langs.ptr ? langs.ptr : "");
}

static void look_at_languages(doctor *d, const texts *t, const pg_rows *rows) {
    size_t foreign = 0;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        if (texts_has(t, text_of(pg_value(rows, i, 0)), TEXT("")))
            continue;
        foreign++;
        found(d, FINDING_WARN, "Add a file of texts for it, beside those that are shipped.",
              "%s of the people speak '%.40s', which has no texts: they are told in another language",
              pg_value(rows, i, 1), pg_value(rows, i, 0));
    }
    if (foreign == 0)
        found(d, FINDING_OK, NULL, "people speak %zu languages, and all have texts", pg_rows_count(rows));
}

static void look_at_people(doctor *d, const texts *t) {
    static const char query[] = "SELECT lang, count(*) FROM mayday.person WHERE lang IS NOT NULL GROUP BY 1 "
                                "ORDER BY 2 DESC, 1 LIMIT 20";
    char why[PG_WHY_MAX] = "";
    pg_options options = {.conninfo = d->conf.gateway_database ? d->conf.gateway_database : "",
                          .application = "mayday doctor",
                          .connect_ms = PATIENCE_MS,
                          .patience_ms = PATIENCE_MS,
                          .interrupt_fd = -1};
    CLEANUP(pg_closep) pg *database = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (!d->conf.gateway_database)
        found(d, FINDING_SKIPPED, NULL, "people's languages: [gateway] database is not set");
    else if (pg_connect(&options, &database, why) != PG_DONE)
        found(d, FINDING_SKIPPED, NULL, "people's languages: %s", why);
    else if (pg_query(database, query, 0, NULL, &rows) != PG_DONE)
        found(d, FINDING_SKIPPED, NULL, "people's languages: %s", pg_why(database));
    else
        look_at_languages(d, t, rows);
}

static void run(doctor *d) {
    char why[TEXTS_DIR_WHY_MAX] = "";
    CLEANUP(texts_freep) texts *t = NULL;
    const char *dir = d->conf.schema_dir ? d->conf.schema_dir : "";
    if (texts_load_dir(dir, say_bad, d, &t, why) < 0) {
        found(d, FINDING_FAIL, "Put the shipped texts there, or correct [messages] schema_dir.", "%s", why);
        return;
    }
    look_at_files(d, t);
    look_at_people(d, t);
}

const check check_texts = {.name = "texts", .needs_conf = true, .run = run};
