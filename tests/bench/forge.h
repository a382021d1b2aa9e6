/* forge.h - makes valid Mayday payloads quickly: a fresh UUIDv7 and the present time in each.
 * The text of a location is a template whose digits are overwritten. One forge belongs to one thread. */
#ifndef BENCH_FORGE_H
#define BENCH_FORGE_H

#include "base/instant.h"
#include "base/uuid.h"

#define FORGE_PAYLOAD_MAX 512

typedef struct forge {
    uint64_t random; /* state of a splitmix64 generator, seeded by the kernel */
    instant now;
    char stamp[INSTANT_TEXT_LEN + 1];
    char payload[FORGE_PAYLOAD_MAX];
} forge;

NODISCARD int forge_start(forge *f);
void forge_tick(forge *f); /* reads the wall clock: call it once a turn, not once a message */

/* A UUIDv7 whose last 32 bits are `tail`, so that who sees it again knows which one it was. */
uuid forge_id(forge *f, uint32_t tail);
bool forge_tail(text id, uint32_t *ret_tail); /* of the 36-character form */

/* Both are borrowed until the next call. */
text forge_location(forge *f);
text forge_raise(forge *f, const uuid *id);

#endif
