/* Any bytes as what a wearable publishes: the first byte chooses where its values are looked for. Whatever it
 * says, what is made of it is a message that the broker takes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gateway/edge/guard.h"
#include "gateway/edge/spell.h"
#include "gateway/sensors/sensor_json.h"
#include "msg/catalog.h"

#define NOW (INT64_C(1800000000) * INSTANT_SECOND)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const maps[] = {
    NULL,
    "{\"hr\":\"/bpm\",\"at\":\"/time\",\"person\":\"/who\",\"rr_ms\":{\"at\":\"/rr\",\"times\":1.024}}",
    "{\"temp\":{\"at\":\"/s/0/f\",\"times\":0.5555556,\"plus\":-17.777778},\"lat\":\"/g/0\",\"lon\":\"/g/1\","
    "\"contact\":\"/~0~1\",\"event\":\"/e\",\"battery\":{\"at\":\"/v\",\"times\":1e300,\"plus\":-1e300}}",
};

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

static json_map *make_map(size_t which) {
    CLEANUP(json_freep) json *fields = NULL;
    json_map *m = NULL;
    if ((maps[which] && json_parse_once(text_of(maps[which]), &fields) != JSON_OK) ||
        json_map_new(fields, &m) < 0)
        abort();
    return m;
}

static const msg_type *type_of(const sensed *one) {
    for (size_t i = 0; msg_types[i]; i++)
        if (strcmp(msg_types[i]->leaf, spell_leaf(one)) == 0 && msg_types[i]->family == ADDRESS_USER)
            return msg_types[i];
    abort();
}

static void must_be_taken(const catalog *c, sensed *one) {
    CLEANUP(buf_release) buf body = BUF(SPELL_BODY_MAX), whole = BUF(2 * SPELL_BODY_MAX);
    char why[CATALOG_WHY_MAX], id[UUID_TEXT_LEN + 1];
    msg_checked checked = {0};
    guard g = {0};
    unsigned wrong;
    if (guard_judge(&g, one, NOW, 1, &wrong) != GUARD_TAKEN || !spell_leaf(one))
        return;
    spell_body(one, "a \"sensor\" \\", NAN, &body);
    spell_message("01937232-8a00-7abc-8def-0123456789ab",
                  one->kind == SENSED_FIX ? one->fix.at : one->reading.at, true, buf_text(&body), &whole);
    if (buf_failed(&body) < 0 || buf_failed(&whole) < 0 ||
        msg_check((catalog *)c, type_of(one), buf_text(&whole), NOW, &checked, why, id) != MSG_ACCEPTED) {
        fprintf(stderr, "%s: %s\n", whole.ptr ? whole.ptr : "", why);
        abort();
    }
    (void)json_free(checked.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static catalog *c;
    static json_found found;
    CLEANUP(json_freep) json *tree = NULL;
    if (!c)
        c = load();
    if (size == 0)
        return 0;
    CLEANUP(json_map_freep) json_map *m = make_map(data[0] % ARRAY_LEN(maps));
    text payload = {(const char *)data + 1, size - 1};
    if (json_map_read(m, payload, &tree, &found) != SENSE_GOOD)
        return 0;
    if (found.body.kind != SENSED_NOTHING)
        must_be_taken(c, &found.body);
    if (found.place.kind != SENSED_NOTHING)
        must_be_taken(c, &found.place);
    return 0;
}
