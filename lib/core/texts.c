/* texts.c - see texts.h.
 *
 * A template is kept as it is written, once it was checked: texts_next() takes it apart both to check it and
 * to render it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/texts_private.h"

#define LANG_MAX     35 /* RFC 5646, 4.4.1 */
#define NAME_MAX_LEN 64
#define TEMPLATE_MAX 2000       /* bytes */
#define AGE_HOURS    (2 * 3600) /* from then on ages are told in hours */
#define AGE_MAX      (INT64_C(1000) * 366 * 24 * 3600)

typedef struct template {
    char *name, *source;
}
template;

typedef struct language {
    char tag[LANG_MAX + 1]; /* in lower case */
    template *templates;    /* in the order of their names */
    size_t count;
} language;

struct texts {
    language *languages;
    size_t count;
};

/* ---- a set ---- */

texts *texts_new(void) {
    return calloc(1, sizeof(texts));
}

static void language_release(language *l) {
    for (size_t i = 0; i < l->count; i++) {
        free(l->templates[i].name);
        free(l->templates[i].source);
    }
    free(l->templates);
    *l = (language){0};
}

texts *texts_free(texts *t) {
    if (t) {
        for (size_t i = 0; i < t->count; i++)
            language_release(&t->languages[i]);
        free(t->languages);
        free(t);
    }
    return NULL;
}

static bool is_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* In lower case; false: no tag. */
static bool read_tag(text lang, char ret_tag[LANG_MAX + 1]) {
    size_t part = 0;
    if (lang.len < 2 || lang.len > LANG_MAX)
        return false;
    for (size_t i = 0; i < lang.len; i++) {
        char c = lang.ptr[i];
        part = c == '-' ? 0 : part + 1;
        if ((c == '-' ? i == 0 || i + 1 == lang.len || lang.ptr[i - 1] == '-' : !is_alnum(c)) || part > 8)
            return false;
        ret_tag[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    ret_tag[lang.len] = '\0';
    return true;
}

static bool name_good(text name) {
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!is_alnum(c) && c != '_' && c != '-' && (c != '.' || i == 0 || i + 1 == name.len))
            return false;
    }
    return name.len > 0 && name.len <= NAME_MAX_LEN;
}

static bool has_control(text t) {
    for (size_t i = 0; i < t.len; i++)
        if (((unsigned char)t.ptr[i] < 0x20 && t.ptr[i] != '\n') || t.ptr[i] == 0x7F)
            return true;
    return false;
}

typedef struct adding {
    language into;
    char *why; /* [TEXTS_WHY_MAX] */
} adding;

static int refuse(adding *a, text name, text why) {
    (void)snprintf(a->why, TEXTS_WHY_MAX, "\"%.*s\": %.*s", (int)name.len, name.ptr, (int)why.len, why.ptr);
    return -EBADMSG;
}

static int judge(adding *a, text name, const json *value) {
    text source = json_string(value);
    if (!name_good(name))
        return refuse(a, TEXT("..."),
                      TEXT("a name is made of up to 64 letters, digits and '.', '_', '-' between"));
    if (json_kind_of(value) != JSON_STRING)
        return refuse(a, name, TEXT("is not a string"));
    if (text_trim(source).len == 0)
        return refuse(a, name, TEXT("is empty"));
    if (source.len > TEMPLATE_MAX)
        return refuse(a, name, TEXT("is longer than 2000 bytes"));
    if (has_control(source))
        return refuse(a, name, TEXT("has control characters"));
    text fault = texts_fault(source);
    return fault.ptr ? refuse(a, name, fault) : 0;
}

static int add_template(void *context, const char *name, const json *value) {
    adding *a = context;
    if (name[0] == '$')
        return 0;
    int fault = judge(a, text_of(name), value);
    if (fault < 0)
        return fault;
    template made = {text_copy(text_of(name)), text_copy(json_string(value))};
    if (!made.name || !made.source) {
        free(made.name);
        free(made.source);
        return -ENOMEM;
    }
    a->into.templates[a->into.count++] = made;
    return 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const template *)a)->name, ((const template *)b)->name);
}

static const language *language_tagged(const texts *t, text tag) {
    for (size_t i = 0; i < t->count; i++)
        if (text_equal(text_of(t->languages[i].tag), tag))
            return &t->languages[i];
    return NULL;
}

static int read_language(adding *a, text lang, const json *templates) {
    if (!read_tag(lang, a->into.tag)) {
        (void)snprintf(a->why, TEXTS_WHY_MAX, "the language is no tag like 'en' or 'af-ZA'");
        return -EBADMSG;
    }
    if (json_kind_of(templates) != JSON_OBJECT) {
        (void)snprintf(a->why, TEXTS_WHY_MAX, "is not an object of names and templates");
        return -EBADMSG;
    }
    a->into.templates = calloc(json_length(templates) + 1, sizeof(template));
    if (!a->into.templates)
        return -ENOMEM;
    int fault = json_each(templates, add_template, a);
    if (fault == 0)
        qsort(a->into.templates, a->into.count, sizeof(template), by_name);
    return fault;
}

int texts_add(texts *t, text lang, const json *templates, char ret_why[TEXTS_WHY_MAX]) {
    adding a = {.why = ret_why};
    (void)snprintf(ret_why, TEXTS_WHY_MAX, "out of memory");
    int fault = read_language(&a, lang, templates);
    if (fault == 0 && language_tagged(t, text_of(a.into.tag))) {
        (void)snprintf(ret_why, TEXTS_WHY_MAX, "the language '%s' is there already", a.into.tag);
        fault = -EEXIST;
    }
    language *grown = fault == 0 ? reallocarray(t->languages, t->count + 1, sizeof *grown) : NULL;
    if (!grown) {
        language_release(&a.into);
        return fault < 0 ? fault : -ENOMEM;
    }
    t->languages = grown;
    t->languages[t->count++] = a.into;
    ret_why[0] = '\0';
    return 0;
}

/* ---- which template ---- */

static const template *template_named(const language *l, text name) {
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        text other = text_of(l->templates[middle].name);
        size_t common = other.len < name.len ? other.len : name.len;
        int order = common ? memcmp(other.ptr, name.ptr, common) : 0;
        if (order == 0 && other.len == name.len)
            return &l->templates[middle];
        if (order < 0 || (order == 0 && other.len < name.len))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* "zh-hant-tw", "zh-hant", "zh" (RFC 4647, 3.4). False behind the last. */
static bool cut_down(text *tag) {
    size_t len = tag->len;
    while (len > 0 && tag->ptr[len - 1] != '-')
        len--;
    tag->len = len ? len - 1 : 0;
    return tag->len > 0;
}

typedef struct choice {
    const language *language;
    const template *template;
} choice;

/* An empty name: any template. */
static bool choose_of(const texts *t, text lang, text name, choice *ret_choice) {
    char tag[LANG_MAX + 1];
    if (!read_tag(lang, tag))
        return false;
    text wanted = text_of(tag);
    do {
        const language *l = language_tagged(t, wanted);
        const template *found = l && name.len ? template_named(l, name) : NULL;
        if (found || (l && name.len == 0)) {
            *ret_choice = (choice){l, found};
            return true;
        }
    } while (cut_down(&wanted));
    return false;
}

static bool choose_any(const texts *t, text name, choice *ret_choice) {
    for (size_t i = 0; i < t->count; i++) {
        *ret_choice = (choice){&t->languages[i], template_named(&t->languages[i], name)};
        if (ret_choice->template)
            return true;
    }
    return false;
}

/* ---- to render ---- */

static void add_clean(text t, buf *to) {
    for (size_t i = 0; i < t.len; i++) {
        bool control = (unsigned char)t.ptr[i] < 0x20 || t.ptr[i] == 0x7F;
        buf_add_char(to, control ? ' ' : t.ptr[i]);
    }
}

/* '#' is the number, when there is one. */
static void add_numbered(text t, text number, buf *to) {
    for (size_t i = 0; i < t.len; i++) {
        if (t.ptr[i] == '#' && number.ptr)
            buf_add_text(to, number);
        else
            buf_add_char(to, t.ptr[i]);
    }
}

/* The language's own words, which name no facts. */
static bool add_words(const texts *t, const language *l, const char *family, text word, text number,
                      buf *to) {
    CLEANUP(buf_release) buf name = BUF(NAME_MAX_LEN);
    choice c;
    buf_printf(&name, "%s.", family);
    buf_add_text(&name, word);
    if (buf_failed(&name) < 0 || !choose_of(t, text_of(l->tag), buf_text(&name), &c))
        return false;
    text rest = text_of(c.template->source);
    piece p = {0};
    for (piece_kind kind; (kind = texts_next(&rest, &p)) != PIECE_END;)
        if (kind == PIECE_LITERAL)
            add_numbered(p.literal, number, to);
    return true;
}

static bool add_age(const texts *t, const language *l, const char *family, text seconds, buf *to) {
    int64_t age = 0;
    char number[24];
    if (text_to_i64(seconds, 0, AGE_MAX, &age) < 0)
        return false;
    if (age < 60)
        return add_words(t, l, family, TEXT("now"), (text){0}, to);
    bool hours = age >= AGE_HOURS;
    (void)snprintf(number, sizeof number, "%" PRId64, age / (hours ? 3600 : 60));
    return add_words(t, l, family, hours ? TEXT("hours") : TEXT("minutes"), text_of(number), to);
}

static void add_fact(const texts *t, const language *l, text_fact fact, text value, buf *to) {
    const fact_row *row = &texts_facts[fact];
    bool told = false;
    if (value.len == 0) {
        (void)add_words(t, l, "unknown", text_of(row->name), (text){0}, to);
        return;
    }
    switch (row->manner) {
    case FACT_PLAIN:
        break;
    case FACT_WORDED:
        told = add_words(t, l, row->family, value, (text){0}, to);
        break;
    case FACT_AGE:
        told = add_age(t, l, row->family, value, to);
        break;
    }
    if (!told)
        add_clean(value, to);
}

/* Are the facts of the part that `rest` begins all known? */
static bool part_known(text rest, const text facts[FACTS]) {
    piece p = {0};
    for (piece_kind kind; (kind = texts_next(&rest, &p)) != PIECE_CLOSE && kind != PIECE_END;)
        if (kind == PIECE_FACT && facts[p.fact].len == 0)
            return false;
    return true;
}

static void render(const texts *t, const choice *c, const text facts[FACTS], buf *to) {
    text rest = text_of(c->template->source);
    bool silent = false; /* in a part that is left out */
    piece p = {0};
    for (piece_kind kind; (kind = texts_next(&rest, &p)) != PIECE_END;) {
        if (kind == PIECE_OPEN)
            silent = !part_known(rest, facts);
        else if (kind == PIECE_CLOSE)
            silent = false;
        else if (kind == PIECE_LITERAL && !silent)
            buf_add_text(to, p.literal);
        else if (kind == PIECE_FACT && !silent)
            add_fact(t, c->language, p.fact, facts[p.fact], to);
    }
}

int texts_render(const texts *t, text lang, text fallback, text name, const text facts[FACTS], buf *to,
                 bool *ret_fell_back) {
    choice c = {0};
    if (name.len == 0)
        return -ENOENT;
    bool own = choose_of(t, lang, name, &c);
    if (!own && !choose_of(t, fallback, name, &c) && !choose_of(t, TEXT("en"), name, &c) &&
        !choose_any(t, name, &c))
        return -ENOENT;
    render(t, &c, facts, to);
    if (buf_failed(to) < 0)
        return buf_failed(to);
    if (ret_fell_back)
        *ret_fell_back = !own && lang.len > 0;
    return 0;
}

/* ---- to look at ---- */

bool texts_has(const texts *t, text lang, text name) {
    choice c;
    return choose_of(t, lang, name, &c);
}

void texts_missing(const texts *t, text reference, texts_visit visit, void *context) {
    choice whole;
    if (!choose_of(t, reference, TEXT(""), &whole))
        return;
    for (size_t i = 0; i < t->count; i++) {
        text tag = text_of(t->languages[i].tag);
        for (size_t j = 0; j < whole.language->count; j++) {
            text name = text_of(whole.language->templates[j].name);
            if (!texts_has(t, tag, name))
                visit(context, tag, name);
        }
    }
}

size_t texts_languages(const texts *t) {
    return t->count;
}

text texts_language(const texts *t, size_t index) {
    return index < t->count ? text_of(t->languages[index].tag) : (text){0};
}
