/* Any bytes as the payload of any type: the first byte chooses the type. What is accepted has the id and the
 * time that it says, and binds to its columns; what is refused has a reason, in UTF-8. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "msg/catalog.h"

#define NOW (INT64_C(1800000000) * INSTANT_SECOND)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static catalog *load(void) {
    const catalog_limits limits = {.payload_max = 65536, .depth_max = 16, .clock_skew = 5 * INSTANT_SECOND};
    catalog *c = NULL;
    char why[CATALOG_WHY_MAX];
    if (catalog_load(SOURCE_DIR "/schemas", &limits, &c, why) < 0) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return c;
}

static void must_bind(const msg_type *type, const json *body) {
    CLEANUP(buf_release) buf scratch = BUF(1 << 20);
    msg_value values[64];
    const address where = {type->family, TEXT("acme"), TEXT("01937232-8a00-7abc-8def-0123456789ab"),
                           text_of(type->leaf)};
    if (type->column_count > ARRAY_LEN(values) ||
        msg_bind(type, body, &where, TEXT("anna"), &scratch, values) < 0)
        abort();
}

static void hold_to_its_word(const msg_checked *checked, const char *id) {
    char written[UUID_TEXT_LEN + 1];
    uuid_format(&checked->id, written);
    if (strcmp(written, id) != 0 || checked->at > NOW + 5 * INSTANT_SECOND ||
        json_kind_of(checked->body) != JSON_OBJECT)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static catalog *c;
    char why[CATALOG_WHY_MAX], id[UUID_TEXT_LEN + 1];
    msg_checked checked = {0};
    size_t types = 0;
    if (!c)
        c = load();
    while (msg_types[types])
        types++;
    if (size == 0)
        return 0;
    const msg_type *type = msg_types[data[0] % types];
    text payload = {(const char *)data + 1, size - 1};
    msg_verdict verdict = msg_check(c, type, payload, NOW, &checked, why, id);
    if (verdict == MSG_ACCEPTED) {
        hold_to_its_word(&checked, id);
        must_bind(checked.type, checked.body);
    } else if (why[0] == '\0' || !text_is_utf8(text_of(why)) || checked.body) {
        abort();
    }
    json_free(checked.body);
    return 0;
}
