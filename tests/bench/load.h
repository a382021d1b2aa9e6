/* load.h - the family of kinds of load: one row, one file each (list in CMakeLists.txt).
 *
 * The generator is one thread with one epoll loop (conn.h). It shares the machine with the broker it
 * measures, so it does little for each message and writes in batches. Whatever goes wrong (a refusal, a lost
 * connection, a timeout) ends it with a sentence and status 1: a figure is printed only by a run in which
 * everything happened. The result is one line of JSON on stdout. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <sys/types.h>

#include "wire.h"

typedef struct load_options {
    const char *host; /* an IPv4 address */
    uint16_t port;
    wire_version version;
    int connections;         /* or parallel cycles, or subscribers, or sessions */
    int window;              /* messages in flight on a connection */
    int qos;                 /* of fanout */
    double seconds;          /* 0: by count */
    int64_t count;           /* 0: by seconds */
    double rate;             /* messages a second over all connections; 0: as fast as the broker takes them */
    double patience;         /* seconds to wait for anything that is due */
    const char *credentials; /* path of a crowd file, or NULL */
    pid_t pid;               /* of the broker, for its memory */
} load_options;

typedef struct load_mode {
    const char *name;
    const char *summary;
    load_options defaults; /* connections, window, seconds, count */
    void (*run)(const load_options *o);
} load_mode;

extern const load_mode *const load_modes[]; /* ended by NULL */

/* "load: message" on stderr and exit status 1. */
_Noreturn void fail(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
