/* Any bytes: parsed or refused, and what was parsed prints to something that parses to the same. */
#include <stdlib.h>
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(json_freep) json *first = NULL, *second = NULL;
    if (json_parse_once((text){(const char *)data, size}, &first) != JSON_OK)
        return 0;
    CLEANUP(buf_release) buf printed = BUF(64 << 20);
    json_print(first, &printed);
    if (json_parse_once(buf_text(&printed), &second) != JSON_OK || !json_same(first, second))
        abort();
    return 0;
}
