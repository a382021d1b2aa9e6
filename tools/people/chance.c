/* chance.c - see chance.h. */
#include "people/chance.h"

#include <math.h>

static uint64_t next(chance *c) {
    uint64_t z = c->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

chance chance_of(uint64_t seed, uint64_t what) {
    chance c = {seed * UINT64_C(0xD1342543DE82EF95) + what};
    (void)next(&c);
    return c;
}

double chance_unit(chance *c) {
    return (double)(next(c) >> 11) * 0x1p-53;
}

double chance_between(chance *c, double least, double most) {
    return least + (most - least) * chance_unit(c);
}

int64_t chance_whole(chance *c, int64_t least, int64_t most) {
    return least + (int64_t)(chance_unit(c) * (double)(most - least + 1));
}

double chance_normal(chance *c) {
    uint64_t z = next(c);
    double sum = (double)((z & 0xFFFF) + (z >> 16 & 0xFFFF) + (z >> 32 & 0xFFFF) + (z >> 48)) / 65536.0;
    return (sum - 2.0) * 1.7320508; /* each has a variance of 1/12 */
}

double chance_rare(chance *c, double mean) {
    return -mean * log(1.0 - chance_unit(c));
}

bool chance_hits(chance *c, double probability) {
    return chance_unit(c) < probability;
}
