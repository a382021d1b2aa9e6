/* Any JSON as a schema, any other as its instance, on two lines: compiled or refused with a reason, judged or
 * refused with one, in bounded time. */
#include <stdlib.h>
#include <string.h>
#include "msg/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(json_freep) json *rules = NULL, *value = NULL;
    CLEANUP(schema_freep) schema *s = NULL;
    char why[SCHEMA_WHY_MAX] = "";
    text rest = {(const char *)data, size}, first;
    if (!text_next(&rest, '\n', &first) || json_parse_once(first, &rules) != JSON_OK ||
        json_parse_once(rest, &value) != JSON_OK)
        return 0;
    if (schema_compile(rules, &s, why) < 0) {
        if (why[0] == '\0')
            abort();
        return 0;
    }
    why[0] = '\0';
    bool valid = schema_accepts(s, value, why);
    if (valid != schema_accepts(s, value, NULL) || valid != (why[0] == '\0') || !text_is_utf8(text_of(why)))
        abort();
    return 0;
}
