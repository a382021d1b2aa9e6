/* speech.c - see speech.h. */
#include "gateway/sending/speech.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/sms_text.h"

#define SEGMENTS_MAX 6   /* of a text; what is longer is cut */
#define QUOTE_MAX    160 /* signs of what the person wrote */
#define FACT_BYTES   4096

/* Room for the facts that are made from others. */
typedef struct made {
    buf quote, map;
    char age[24], level[24];
} made;

static void release(made *m) {
    buf_release(&m->quote);
    buf_release(&m->map);
}

/* Not too long: it is read on a small screen, or out loud. */
static void quote(text said, buf *to) {
    size_t signs = 0;
    for (size_t i = 0; i < said.len; i++) {
        bool begins = ((unsigned char)said.ptr[i] & 0xc0) != 0x80;
        if (begins && ++signs > QUOTE_MAX) {
            buf_add_text(to, TEXT("..."));
            return;
        }
        buf_add_char(to, said.ptr[i]);
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

static text number_of(const json *facts, const char *name, char space[24]) {
    const json *value = json_get(facts, name);
    if (json_kind_of(value) != JSON_INTEGER)
        return (text){0};
    (void)snprintf(space, 24, "%lld", (long long)json_integer(value));
    return text_of(space);
}

static text or_nothing(const buf *b) {
    return b->len ? buf_text(b) : (text){0};
}

static void gather(const speech *s, const json *f, made *m, text facts[FACTS]) {
    quote(json_get_string(f, "text"), &m->quote);
    map_link(s->map_url, f, &m->map);
    facts[FACT_WHO] = json_get_string(f, "who");
    facts[FACT_WHAT] = json_get_string(f, "type");
    facts[FACT_WHERE] = json_get_string(f, "where");
    facts[FACT_MAP] = or_nothing(&m->map);
    facts[FACT_WHEN] = number_of(f, "age_s", m->age);
    facts[FACT_TEXT] = or_nothing(&m->quote);
    facts[FACT_CODE] = json_get_string(f, "code");
    facts[FACT_BY] = json_get_string(f, "by");
    facts[FACT_ORG] = json_get_string(f, "org");
    facts[FACT_LEVEL] = number_of(f, "level", m->level);
    facts[FACT_REASON] = json_get_string(f, "reason");
    facts[FACT_SILENT] = json_boolean(json_get(f, "silent")) ? TEXT("yes") : (text){0};
}

/* What family is told as such, is told to them; else they hear what everybody does. */
static int render(const speech *s, const speech_about *about, const text facts[FACTS], buf *to,
                  bool *ret_fell_back) {
    const char *kind = strcmp(about->kind, "mqtt") == 0 ? "inbox" : about->kind;
    char name[96];
    int fault = -ENOENT;
    for (int family = about->family; family >= 0 && fault == -ENOENT; family--) {
        (void)snprintf(name, sizeof name, "%.40s%s.%s", about->purpose, family ? ".family" : "", kind);
        fault = texts_render(s->texts, about->lang, text_of(s->fallback), text_of(name), facts, to,
                             ret_fell_back);
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

static bool ends_with(text whole, text end) {
    return whole.len >= end.len && memcmp(whole.ptr + whole.len - end.len, end.ptr, end.len) == 0;
}

static void as_text(const buf *said, buf *to) {
    CLEANUP(buf_release) buf simple = BUF(4 * SPEECH_MAX);
    sms_simplify(buf_text(said), &simple);
    buf_add_text(to, buf_failed(&simple) < 0 ? buf_text(said) : sms_fit(buf_text(&simple), SEGMENTS_MAX));
}

/* Whatever may stand behind the end of a sentence. */
static text without_closers(text said) {
    static const text closers[] = {TEXT("\""),     TEXT("'"),      TEXT(")"),      TEXT("]"),
                                   TEXT("\u2019"), TEXT("\u201d"), TEXT("\u00bb"), TEXT("\u300d"),
                                   TEXT("\u300f"), TEXT("\uff09")};
    for (bool more = true; more;) {
        more = false;
        said = text_trim(said);
        for (size_t i = 0; !more && i < ARRAY_LEN(closers); i++) {
            more = ends_with(said, closers[i]);
            said.len -= more ? closers[i].len : 0;
        }
    }
    return said;
}

/* Of the scripts that do not end theirs as Latin does, too. */
static bool is_ended(text said) {
    static const text ends[] = {TEXT("."),      TEXT("!"),      TEXT("?"),      TEXT("\u2026"),
                                TEXT("\u3002"), TEXT("\uff0e"), TEXT("\uff61"), TEXT("\uff01"),
                                TEXT("\uff1f"), TEXT("\u061f"), TEXT("\u06d4"), TEXT("\u0964"),
                                TEXT("\u0589"), TEXT("\u1362")};
    said = without_closers(said);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (ends_with(said, ends[i]))
            return true;
    return said.len == 0;
}

/* A voice makes no pause by itself: what the person wrote last and the menu behind it, or the same once more,
 * would be one sentence. */
static void as_speech(const buf *said, buf *to) {
    buf_add_text(to, text_trim(buf_text(said)));
    if (!is_ended(buf_text(said)))
        buf_add_char(to, '.');
}

int speech_say(const speech *s, const speech_about *about, buf *to, text *ret_lang) {
    CLEANUP(release) made m = {BUF(FACT_BYTES), BUF(FACT_BYTES), "", ""};
    CLEANUP(buf_release) buf said = BUF(4 * SPEECH_MAX);
    text facts[FACTS] = {{0}};
    bool fell_back = false;
    gather(s, about->facts, &m, facts);
    int fault = render(s, about, facts, &said, &fell_back);
    if (fault == -ENOMEM)
        return fault;
    if (fault < 0) {
        buf_clear(&said);
        say_bare(about, facts, &said);
    }
    if (strcmp(about->kind, "sms") == 0)
        as_text(&said, to);
    else if (strcmp(about->kind, "voice") == 0)
        as_speech(&said, to);
    else
        buf_add_text(to, buf_text(&said));
    *ret_lang = fell_back || about->lang.len == 0 ? text_of(s->fallback) : about->lang;
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
