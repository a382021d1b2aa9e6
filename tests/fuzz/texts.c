/* Any bytes as texts, facts, telephone numbers and senders. A line each: a template's file, then a fact, a
 * number, senders, and the rest as a text to measure and cut. What is said of them has to hold together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/phone.h"
#include "core/sms_text.h"
#include "core/texts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static text line_of(text *rest) {
    text line = TEXT("");
    (void)text_next(rest, '\n', &line);
    return line;
}

static int say(void *context, const char *name, const json *value) {
    const text *fact = context;
    const texts *t = (const void *)fact[FACTS].ptr;
    CLEANUP(buf_release) buf to = BUF(1 << 16), bare = BUF(1 << 16);
    (void)value;
    int fault = texts_render(t, TEXT("en-GB"), TEXT("af"), text_of(name), fact, &to, NULL);
    require(fault == 0 || fault == -EMSGSIZE || (fault == -ENOENT && name[0] == '$'));
    const text none[FACTS] = {0};
    fault = texts_render(t, TEXT("de"), TEXT("af"), text_of(name), none, &bare, NULL);
    require(fault == 0 || (fault == -ENOENT && name[0] == '$'));
    require(text_is_utf8(buf_text(&bare)));
    return 0;
}

static void try_texts(text templates, text fact) {
    CLEANUP(texts_freep) texts *t = texts_new();
    CLEANUP(json_freep) json *root = NULL;
    char why[TEXTS_WHY_MAX] = "";
    if (!t || json_parse_once(templates, &root) != JSON_OK)
        return;
    int fault = texts_add(t, TEXT("en"), root, why);
    require(fault == 0 || fault == -EBADMSG);
    require((fault == 0) == (why[0] == '\0') && texts_languages(t) == (fault == 0));
    if (fault < 0)
        return;
    text facts[FACTS + 1];
    for (size_t i = 0; i < FACTS; i++)
        facts[i] = fact;
    facts[FACTS].ptr = (const void *)t;
    (void)json_each(root, say, facts);
}

static void try_phone(text number, text senders) {
    char masked[PHONE_MAX * 3 + 1];
    phone_mask(number, masked);
    require(text_is_utf8(text_of(masked)) && text_code_points(text_of(masked)) <= PHONE_MAX);
    phone_verdict verdict = phone_judge(number, TEXT(""));
    require(verdict != PHONE_GOOD || (number.len > 7 && number.len <= PHONE_MAX && number.ptr[0] == '+'));
    require(verdict != PHONE_GOOD || phone_judge(number, number) == PHONE_GOOD);
    text sender = phone_sender(senders, number);
    require(!sender.ptr ||
            (sender.ptr >= senders.ptr && sender.ptr + sender.len <= senders.ptr + senders.len));
    require(!phone_senders_good(senders, true) || phone_senders_good(senders, false));
    require(!phone_senders_good(senders, false) || !sender.ptr || sender.len >= 1);
}

static void try_sms(text t) {
    CLEANUP(buf_release) buf simple = BUF(1 << 20);
    sms_size whole = sms_measure(t);
    require((whole.segments == 0) == (t.len == 0) && whole.units >= whole.segments);
    for (size_t segments = 0; segments < 4; segments++) {
        text cut = sms_fit(t, segments);
        require(cut.len <= t.len && sms_measure(cut).segments <= segments);
        require((cut.len == t.len) == (whole.segments <= segments));
        require(!text_is_utf8(t) || text_is_utf8(cut));
    }
    sms_simplify(t, &simple);
    require(buf_failed(&simple) == 0 && (!text_is_utf8(t) || text_is_utf8(buf_text(&simple))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    text rest = {(const char *)data, size};
    text templates = line_of(&rest), fact = line_of(&rest), number = line_of(&rest), senders = line_of(&rest);
    try_texts(templates, fact);
    try_phone(number, senders);
    try_sms(rest.ptr ? rest : fact);
    return 0;
}
