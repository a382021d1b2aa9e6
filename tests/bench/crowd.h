/* crowd.h - who connects: client id, topic and token of each connection.
 * Read from a file with a line for each, three fields separated by tabs (client id, topic, token), or made up
 * for a broker that lets everyone in. In topics "%s" stands for the id of an alert. Owns its texts; fails the
 * program when the file is not as described. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include "base/text.h"

typedef struct person {
    text client;
    text topic;
    text token;
} person;

typedef struct crowd {
    person *people;
    size_t count;
    char *bytes;
} crowd;

/* `path` NULL: `count` people on `topic_format`, whose %d is the person's number. With a path the file must
 * have at least `count` lines, and those are taken. */
crowd crowd_gather(const char *path, size_t count, const char *topic_format);
/* How many lines the file has. */
size_t crowd_lines(const char *path);

void crowd_release(crowd *c);

#endif
