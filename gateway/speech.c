/* speech.c - see speech.h. */
#include "gateway/speech.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/sms_text.h"

#define SEGMENTS_MAX 6   /* of a text; what is longer is cut */
#define QUOTE_MAX    160 /* signs of what the person wrote */
#define FACT_BYTES   4096

/* Room for the facts that are made from others. */
typedef struct made {
    buf quote, map, when, what;
    char level[24];
} made;

static void release(made *m) {
    buf_release(&m->quote);
    buf_release(&m->map);
    buf_release(&m->when);
    buf_release(&m->what);
}

/* In one line, and not too long: it is read on a small screen, or out loud. */
static void quote(text said, buf *to) {
    size_t signs = 0;
    for (size_t i = 0; i < said.len; i++) {
        bool begins = ((unsigned char)said.ptr[i] & 0xc0) != 0x80;
        if (begins && ++signs > QUOTE_MAX) {
            buf_add_text(to, TEXT("..."));
            return;
        }
        buf_add_char(to, (unsigned char)said.ptr[i] < ' ' ? ' ' : said.ptr[i]);
    }
}

static void map_link(const char *pattern, const json *facts, buf *to) {
    const json *lat = json_get(facts, "lat"), *lon = json_get(facts, "lon");
    if (!lat || !lon || !pattern)
        return;
    for (const char *p = pattern; *p; p++) {
        if (strncmp(p, "{lat}", 5) == 0 || strncmp(p, "{lon}", 5) == 0) {
            buf_printf(to, "%.6f", json_number(p[2] == 'a' ? lat : lon));
            p += 4;
        } else {
            buf_add_char(to, *p);
        }
    }
}

/* How long ago it was, in signs that every language reads; nothing when it is now. */
static void ago(const json *facts, buf *to) {
    const json *age = json_get(facts, "age_s");
    int64_t minutes = json_kind_of(age) == JSON_INTEGER ? json_integer(age) / 60 : 0;
    if (minutes >= 60)
        buf_printf(to, "%lld h", (long long)(minutes / 60));
    else if (minutes > 0)
        buf_printf(to, "%lld min", (long long)minutes);
}

static text or_nothing(const buf *b) {
    return b->len ? buf_text(b) : (text){0};
}

static int gather(const speech *s, const speech_about *about, made *m, text facts[FACTS]) {
    char name[64];
    const json *f = about->facts, *level = json_get(f, "level");
    text type = json_get_string(f, "type");
    quote(json_get_string(f, "text"), &m->quote);
    map_link(s->map_url, f, &m->map);
    ago(f, &m->when);
    (void)snprintf(name, sizeof name, "type.%.*s", (int)(type.len < 40 ? type.len : 40),
                   type.ptr ? type.ptr : "");
    int fault =
        texts_render(s->texts, about->lang, text_of(s->fallback), text_of(name), facts, &m->what, NULL);
    if (fault == -ENOENT)
        buf_add_text(&m->what, type);
    else if (fault < 0)
        return fault;
    if (json_kind_of(level) == JSON_INTEGER)
        (void)snprintf(m->level, sizeof m->level, "%lld", (long long)json_integer(level));
    facts[FACT_WHO] = json_get_string(f, "who");
    facts[FACT_WHAT] = or_nothing(&m->what);
    facts[FACT_WHERE] = json_get_string(f, "where");
    facts[FACT_MAP] = or_nothing(&m->map);
    facts[FACT_WHEN] = or_nothing(&m->when);
    facts[FACT_TEXT] = or_nothing(&m->quote);
    facts[FACT_CODE] = json_get_string(f, "code");
    facts[FACT_BY] = json_get_string(f, "by");
    facts[FACT_ORG] = json_get_string(f, "org");
    facts[FACT_LEVEL] = *m->level ? text_of(m->level) : (text){0};
    facts[FACT_REASON] = json_get_string(f, "reason");
    return 0;
}

static int render(const speech *s, const speech_about *about, const text facts[FACTS], buf *to,
                  bool *ret_fell_back) {
    const char *kinds[] = {about->kind, strcmp(about->kind, "mqtt") == 0 ? "sms" : NULL};
    const char *const families[] = {about->family ? "_family" : NULL, ""};
    char name[96];
    int fault = -ENOENT;
    for (size_t k = 0; k < ARRAY_LEN(kinds) && fault == -ENOENT; k++) {
        for (size_t i = 0; kinds[k] && i < ARRAY_LEN(families) && fault == -ENOENT; i++) {
            if (!families[i])
                continue;
            (void)snprintf(name, sizeof name, "%.40s%s.%s", about->purpose, families[i], kinds[k]);
            fault = texts_render(s->texts, about->lang, text_of(s->fallback), text_of(name), facts, to,
                                 ret_fell_back);
        }
    }
    return fault;
}

/* Whatever is missing, that somebody is in danger is said. */
static void say_bare(const speech_about *about, const text facts[FACTS], buf *to) {
    text who = facts[FACT_WHO].len ? facts[FACT_WHO] : facts[FACT_ORG];
    buf_printf(to, "MAYDAY (%.40s): ", about->purpose);
    buf_add_text(to, who);
    if (facts[FACT_MAP].len) {
        buf_add_char(to, ' ');
        buf_add_text(to, facts[FACT_MAP]);
    }
}

static void as_text(const buf *said, buf *to) {
    CLEANUP(buf_release) buf simple = BUF(4 * SPEECH_MAX);
    sms_simplify(buf_text(said), &simple);
    buf_add_text(to, buf_failed(&simple) < 0 ? buf_text(said) : sms_fit(buf_text(&simple), SEGMENTS_MAX));
}

int speech_say(const speech *s, const speech_about *about, buf *to, text *ret_lang) {
    CLEANUP(release) made m = {BUF(FACT_BYTES), BUF(FACT_BYTES), BUF(64), BUF(FACT_BYTES), ""};
    CLEANUP(buf_release) buf said = BUF(4 * SPEECH_MAX);
    text facts[FACTS] = {{0}};
    bool fell_back = about->lang.len == 0;
    int fault = gather(s, about, &m, facts);
    if (fault == 0)
        fault = render(s, about, facts, &said, &fell_back);
    if (fault == -ENOMEM)
        return fault;
    if (fault < 0) {
        buf_clear(&said);
        say_bare(about, facts, &said);
    }
    if (strcmp(about->kind, "sms") == 0)
        as_text(&said, to);
    else
        buf_add_text(to, buf_text(&said));
    *ret_lang = fell_back ? text_of(s->fallback) : about->lang;
    return buf_failed(to);
}

int speech_menu(const speech *s, text lang, buf *to) {
    const text facts[FACTS] = {{0}};
    int fault = texts_render(s->texts, lang, text_of(s->fallback), TEXT("voice.menu"), facts, to, NULL);
    return fault == -ENOENT ? 0 : fault;
}

/* Copies the members that mean something to others. */
static int put_shared(json *to, const json *facts) {
    static const char *const names[] = {"org",      "purpose",   "level",  "alert", "type",
                                        "priority", "status",    "silent", "who",   "by",
                                        "text",     "raised_by", "lat",    "lon",   "raised_at"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const json *value = json_get(facts, names[i]);
        if (value && json_put(to, names[i], json_share(value)) < 0)
            return -ENOMEM;
    }
    return 0;
}

int speech_webhook(const speech_about *about, text id, instant now, buf *to) {
    char spelled[INSTANT_TEXT_LEN + 1];
    instant_format(now, spelled);
    CLEANUP(json_freep) json *body = json_new_object();
    if (!body || json_put(body, "v", json_new_integer(1)) < 0 ||
        json_put(body, "id", json_new_string(id)) < 0 ||
        json_put(body, "ts", json_new_string(text_of(spelled))) < 0 || put_shared(body, about->facts) < 0)
        return -ENOMEM;
    json_print(body, to);
    return buf_failed(to);
}
