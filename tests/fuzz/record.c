/* Any bytes: refused, or decoded to something that encodes to the same bytes. */
#include <stdlib.h>
#include <string.h>
#include "store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    record r;
    if (record_decode((text){(const char *)data, size}, &r) < 0)
        return 0;
    CLEANUP(buf_release) buf again = BUF(64 << 20);
    record_encode(&r, &again);
    if (buf_failed(&again) < 0 || again.len != size || memcmp(again.ptr, data, size) != 0)
        abort();
    return 0;
}
