/* Any bytes as the value of each characteristic: what is given out keeps to the ranges of the messages. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sense/sense.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1763692800000000)

static void check(const sensed *one) {
    static const double most[VITALS] = {350, 100, 120, 50, 350, 350};
    const reading *r = &one->reading;
    if (one->kind == SENSED_BATTERY) {
        if (!(r->battery >= 0 && r->battery <= 100))
            abort();
        return;
    }
    if (one->kind != SENSED_READING || r->at != NOW || !reading_says_anything(r) ||
        r->rr_count > READING_RR_MAX)
        abort();
    for (vital which = 0; which < VITALS; which++)
        if (reading_has(r, which) ? !(r->value[which] >= 0 && r->value[which] <= most[which])
                                  : !isnan(r->value[which]))
            abort();
    for (size_t i = 0; i < r->rr_count; i++)
        if (!(r->rr_ms[i] > 0 && r->rr_ms[i] <= 65000))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    sensed one = {0};
    const gatt_characteristic *c = &gatt_characteristics[data[0] % gatt_characteristic_count];
    if (c->decode(data + 1, size - 1, NOW, &one) == SENSE_GOOD)
        check(&one);
    return 0;
}
