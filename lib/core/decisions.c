/* decisions.c - see decisions.h.
 *
 * The hash is SipHash-1-3 (Aumasson and Bernstein), the keyed hash that language runtimes protect their
 * tables with. A found slot *is* the access decision, so clients must not be able to make two topics collide:
 * that rules out the faster unkeyed and merely seeded hashes, for which collisions that hold under every seed
 * are known or not excluded. OpenSSL has SipHash too, but fetching and setting up a MAC context costs many
 * times the 20 ns of hashing a topic; it serves as the reference in the unit test. A wrong hit needs 63 equal
 * bits under a secret seed.
 *
 * The slots are eight sets of two: the set is picked by the hash's top bits, its newest entry stands first.
 */
#include "core/decisions.h"

#include <string.h>

#define WAYS 2
_Static_assert(DECISIONS_SLOTS == 8 * WAYS, "decisions_set() takes three bits of the hash");
_Static_assert(sizeof(decisions) <= 144, "there is one for each session");

typedef struct sip {
    uint64_t a, b, c, d;
} sip;

static inline uint64_t rotate(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(sip *s) {
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = rotate(s->b, 17) ^ s->c;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c = rotate(s->c, 32);
}

static inline void sip_word(sip *s, uint64_t word) {
    s->d ^= word;
    sip_round(s);
    s->a ^= word;
}

/* Little-endian, as the definition has it, so that the reference agrees on any machine. */
static inline uint64_t load_le(const char *p, size_t len) {
    uint64_t word = 0;
    if (len == sizeof word) {
        memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        return word;
    }
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)(unsigned char)p[i] << (8 * i);
    return word;
}

uint64_t topic_hash(text topic, uint64_t seed) {
    const uint64_t key0 = seed, key1 = ~seed; /* the key's 128 bits, made of the seed's 64 */
    sip s = {key0 ^ UINT64_C(0x736f6d6570736575), key1 ^ UINT64_C(0x646f72616e646f6d),
             key0 ^ UINT64_C(0x6c7967656e657261), key1 ^ UINT64_C(0x7465646279746573)};
    size_t at = 0;
    for (; topic.len - at >= 8; at += 8)
        sip_word(&s, load_le(topic.ptr + at, 8));
    uint64_t tail = topic.len > at ? load_le(topic.ptr + at, topic.len - at) : 0;
    sip_word(&s, tail | (uint64_t)topic.len << 56);
    s.c ^= 0xff;
    sip_round(&s);
    sip_round(&s);
    sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

static uint64_t *decisions_set(decisions *d, uint64_t hash) {
    return &d->slots[(hash >> 61) * WAYS];
}

static void follow_epoch(decisions *d, uint64_t epoch) {
    if (d->epoch == epoch)
        return;
    memset(d->slots, 0, sizeof d->slots);
    d->epoch = epoch;
}

/* An empty slot never matches, so the one hash that a kept refusal can't be told from it is just not kept. */
static bool slot_holds(uint64_t slot, uint64_t hash) {
    return slot != 0 && ((slot ^ hash) >> 1) == 0;
}

decision decisions_find(decisions *d, uint64_t epoch, uint64_t hash) {
    follow_epoch(d, epoch);
    const uint64_t *set = decisions_set(d, hash);
    for (size_t i = 0; i < WAYS; i++)
        if (slot_holds(set[i], hash))
            return (set[i] & 1) != 0 ? DECISION_GRANT : DECISION_DENY;
    return DECISION_UNKNOWN;
}

void decisions_keep(decisions *d, uint64_t epoch, uint64_t hash, bool granted) {
    follow_epoch(d, epoch);
    uint64_t *set = decisions_set(d, hash);
    if (!slot_holds(set[0], hash))
        set[1] = set[0]; /* an older word on the same hash, if set[1] held it, goes with it */
    set[0] = (hash & ~UINT64_C(1)) | (granted ? 1 : 0);
}
