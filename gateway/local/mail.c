/* mail.c - see mail.h. */
#include "gateway/local/mail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mac.h"

#define WORDS_MAX (64u << 10)
#define SAID_MAX  320 /* two segments: longer is a story, not an answer */

/* ---- spelling ---- */

static const char *const kinds[] = {
    [HOOK_NOTHING] = "nothing", [HOOK_RECEIPT] = "receipt", [HOOK_TEXT] = "text", [HOOK_KEY] = "key"};
static const char *const receipts[] = {[RECEIPT_UNKNOWN] = "unknown",
                                       [RECEIPT_PENDING] = "pending",
                                       [RECEIPT_DELIVERED] = "delivered",
                                       [RECEIPT_FAILED] = "failed"};

static int put(json *to, const char *name, text value) {
    return value.len ? json_put(to, name, json_new_string(value)) : 0;
}

void mail_spell(const hook_event *e, buf *to) {
    CLEANUP(json_freep) json *body = json_new_object();
    if (!body || put(body, "kind", text_of(kinds[e->kind])) < 0 ||
        put(body, "provider", text_of(e->provider)) < 0 || put(body, "reference", e->reference) < 0 ||
        put(body, "notification", e->notification) < 0 || put(body, "from", e->from) < 0 ||
        put(body, "said", e->said) < 0 || put(body, "code", e->code) < 0 ||
        (e->kind == HOOK_RECEIPT && put(body, "receipt", text_of(receipts[e->receipt])) < 0))
        to->fault = -ENOMEM;
    else
        json_print(body, to);
}

int mail_key(text spelled, char ret_key[MAIL_KEY_LEN + 1]) {
    uint8_t digest[SHA256_LEN];
    CLEANUP(buf_release) buf hex = BUF(MAIL_KEY_LEN);
    if (sha256(spelled, digest) < 0)
        return -EIO;
    hex_add(digest, sizeof digest, &hex);
    if (buf_failed(&hex) < 0)
        return -EIO;
    memcpy(ret_key, hex.ptr, MAIL_KEY_LEN + 1);
    return 0;
}

static size_t index_of(const char *const *names, size_t count, text name) {
    for (size_t i = 0; i < count; i++)
        if (text_equal(text_of(names[i]), name))
            return i;
    return 0;
}

int mail_read(text spelled, json **ret_body, hook_event *ret_event) {
    json *body = NULL;
    json_verdict verdict = json_parse_once(spelled, &body);
    if (verdict != JSON_OK)
        return verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG;
    text kind = json_get_string(body, "kind"), from = json_get_string(body, "provider");
    if (!from.ptr || index_of(kinds, ARRAY_LEN(kinds), kind) == HOOK_NOTHING) {
        (void)json_free(body);
        return -EBADMSG;
    }
    text receipt = json_get_string(body, "receipt");
    *ret_event = (hook_event){.kind = (hook_kind)index_of(kinds, ARRAY_LEN(kinds), kind),
                              .provider = from.ptr,
                              .reference = json_get_string(body, "reference"),
                              .notification = json_get_string(body, "notification"),
                              .from = json_get_string(body, "from"),
                              .said = json_get_string(body, "said"),
                              .code = json_get_string(body, "code"),
                              .receipt = (provider_receipt)index_of(receipts, ARRAY_LEN(receipts), receipt)};
    *ret_body = body;
    return 0;
}

/* ---- meaning ---- */

static const struct {
    mail_meaning meaning;
    const char *name, *template;
} meanings[] = {
    {MEANING_UNCLEAR, "unclear", NULL},
    {MEANING_ACKNOWLEDGE, "acknowledge", "answer.ok"},
    {MEANING_ESCALATE, "escalate", "answer.escalate"},
    {MEANING_HELP, "help", "answer.help"},
    {MEANING_STOP, "stop", "answer.stop"},
    {MEANING_START, "start", "answer.start"},
};

const char *mail_meaning_name(mail_meaning m) {
    return meanings[m].name;
}

struct vocabulary {
    buf words[ARRAY_LEN(meanings)]; /* of each meaning, in every language, with spaces between them */
};

vocabulary *vocabulary_free(vocabulary *v) {
    if (v)
        for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
            buf_release(&v->words[i]);
    free(v);
    return NULL;
}

static int add_words(const texts *t, text lang, const char *template, buf *to) {
    static const text nothing[FACTS];
    if (!texts_has(t, lang, text_of(template)))
        return 0;
    int fault = texts_render(t, lang, lang, text_of(template), nothing, to, NULL);
    buf_add_char(to, ' ');
    return fault < 0 ? fault : buf_failed(to);
}

vocabulary *vocabulary_new(const texts *t) {
    vocabulary *v = calloc(1, sizeof *v);
    for (size_t i = 0; v && i < ARRAY_LEN(meanings); i++)
        v->words[i] = BUF(WORDS_MAX);
    for (size_t l = 0; v && l < texts_languages(t); l++)
        for (size_t i = 1; v && i < ARRAY_LEN(meanings); i++)
            if (add_words(t, texts_language(t, l), meanings[i].template, &v->words[i]) < 0)
                v = vocabulary_free(v);
    return v;
}

static bool means(const vocabulary *v, mail_meaning m, text word) {
    text rest = buf_text(&v->words[m]), one;
    while (rest.ptr && text_next(&rest, ' ', &one))
        if (one.len == word.len && strncasecmp(one.ptr, word.ptr, one.len) == 0)
            return true;
    return false;
}

static bool is_code(text word) {
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] < '0' || word.ptr[i] > '9')
            return false;
    return word.len == MAIL_CODE_LEN;
}

/* Everything that is no letter or digit stands between words; what is not ASCII is a letter. */
static bool parts(char c) {
    unsigned char byte = (unsigned char)c;
    return byte < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z');
}

static bool next_word(text *rest, text *ret_word) {
    while (rest->len > 0 && parts(*rest->ptr))
        *rest = (text){rest->ptr + 1, rest->len - 1};
    *ret_word = (text){rest->ptr, 0};
    while (rest->len > 0 && !parts(*rest->ptr)) {
        *rest = (text){rest->ptr + 1, rest->len - 1};
        ret_word->len++;
    }
    return ret_word->len > 0;
}

/* "OK4821", as it is typed in haste. */
static bool split_code(text *word, text *ret_code) {
    if (word->len <= MAIL_CODE_LEN)
        return false;
    text tail = {word->ptr + word->len - MAIL_CODE_LEN, MAIL_CODE_LEN};
    char before = tail.ptr[-1];
    if (!is_code(tail) || (before >= '0' && before <= '9'))
        return false;
    *ret_code = tail;
    word->len -= MAIL_CODE_LEN;
    return true;
}

/* Those that the word has; UNCLEAR when it has none. `so_far`: what the words before it mean. */
static mail_meaning meaning_of(const vocabulary *v, text word, mail_meaning so_far) {
    if (so_far != MEANING_UNCLEAR)
        return means(v, so_far, word) ? so_far : MEANING_UNCLEAR;
    for (size_t i = 1; i < ARRAY_LEN(meanings); i++)
        if (means(v, (mail_meaning)i, word))
            return (mail_meaning)i;
    return MEANING_UNCLEAR;
}

mail_meaning mail_understand(const vocabulary *v, text said, char ret_code[MAIL_CODE_LEN + 1]) {
    mail_meaning so_far = MEANING_UNCLEAR;
    text word, code = {0}, found;
    ret_code[0] = '\0';
    if (said.len > SAID_MAX)
        return MEANING_UNCLEAR;
    while (next_word(&said, &word)) {
        bool coded = is_code(word);
        found = word;
        if (coded || split_code(&word, &found)) {
            if (code.ptr)
                return MEANING_UNCLEAR;
            code = found;
        }
        if (coded)
            continue;
        so_far = meaning_of(v, word, so_far);
        if (so_far == MEANING_UNCLEAR)
            return MEANING_UNCLEAR;
    }
    if (code.ptr) {
        memcpy(ret_code, code.ptr, MAIL_CODE_LEN);
        ret_code[MAIL_CODE_LEN] = '\0';
    }
    return code.ptr && so_far == MEANING_UNCLEAR ? MEANING_ACKNOWLEDGE : so_far;
}

mail_meaning mail_key_pressed(text key) {
    if (text_equal(key, TEXT("1")))
        return MEANING_ACKNOWLEDGE;
    return text_equal(key, TEXT("2")) ? MEANING_ESCALATE : MEANING_UNCLEAR;
}
