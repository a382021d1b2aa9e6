/* seen.c - see seen.h. */
#include "store/seen.h"

#include <stdlib.h>
#include <string.h>

#define PLACES (1u << 16)

typedef struct place {
    uuid id;
    uint64_t digest;
} place;

struct seen {
    place places[PLACES];
};

/* The end of a UUIDv7 is random as it is. */
static size_t place_of(const uuid *id) {
    return (size_t)(id->bytes[15] | id->bytes[14] << 8) & (PLACES - 1);
}

seen *seen_new(void) {
    return calloc(1, sizeof(seen));
}

seen *seen_free(seen *s) {
    free(s);
    return NULL;
}

bool seen_same(const seen *s, const uuid *id, uint64_t digest) {
    const place *p = &s->places[place_of(id)];
    return p->digest == digest && uuid_equal(&p->id, id);
}

void seen_note(seen *s, const uuid *id, uint64_t digest) {
    s->places[place_of(id)] = (place){*id, digest};
}

void seen_clear(seen *s) {
    memset(s, 0, sizeof *s);
}
