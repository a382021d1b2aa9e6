/* chance.h - randomness that repeats with its seed: splitmix64, small and good enough for bodies and streets.
 * A value of its own for each use; no state besides it. */
#ifndef MAYDAY_PEOPLE_CHANCE_H
#define MAYDAY_PEOPLE_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct chance {
    uint64_t state;
} chance;

chance chance_of(uint64_t seed, uint64_t what); /* another row of numbers for each `what` */
double chance_unit(chance *c);                  /* 0 <= x < 1 */
double chance_between(chance *c, double least, double most);
int64_t chance_whole(chance *c, int64_t least, int64_t most); /* both may come */
double chance_normal(chance *c);            /* mean 0, deviation 1; sum of four uniform ones: within 3.5 */
double chance_rare(chance *c, double mean); /* exponential */
bool chance_hits(chance *c, double probability);

#endif
