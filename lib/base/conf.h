/* conf.h - configuration files: INI text (inih) read into a struct by a table, one row for each key.
 * The same table makes the sample file and the manual page. Threads: plain data; load before sharing. */
#ifndef MAYDAY_BASE_CONF_H
#define MAYDAY_BASE_CONF_H

#include "base/buf.h"

typedef enum conf_kind {
    CONF_TEXT,     /* char *, owned; an empty value is NULL */
    CONF_BOOL,     /* bool: yes no true false on off */
    CONF_COUNT,    /* int64_t, within [min, max] */
    CONF_SIZE,     /* int64_t bytes: 512, 64k, 16M, 2G (powers of 1024) */
    CONF_DURATION, /* int64_t milliseconds: 100ms, 5s, 10m, 1h, 7d */
} conf_kind;

typedef struct conf_row {
    const char *section;
    const char *key;
    conf_kind kind;
    size_t offset; /* of the member in the struct */
    int64_t min;   /* in the kind's unit; with max, both inclusive; both 0 for no bounds */
    int64_t max;
    const char *fallback; /* the default, as it would be written in the file; NULL or "" for none */
    const char *help;     /* sentences for the sample file and the manual */
} conf_row;

typedef struct conf_table {
    const conf_row *rows;
    size_t count;
} conf_table;

#define CONF_WHY_MAX 512

/* Sets every member to its default, then to what `path` says (a NULL path: defaults alone). Unknown sections
 * and keys, repeated keys and bad values are refused. Returns 0, or a negative errno with `ret_why` a
 * sentence that names file, line and key; the struct then holds nothing that needs a release. */
NODISCARD int conf_load(const conf_table *table, const char *path, void *ret_settings,
                        char ret_why[CONF_WHY_MAX]);
void conf_release(const conf_table *table, void *settings);

/* Writes a complete sample file: every key, its help, its default commented out. */
void conf_sample(const conf_table *table, const char *heading, buf *to);

/* Reads a whole file, at most `limit` bytes. Returns 0, -EFBIG, -ENOMEM or what open/read said. */
NODISCARD int file_read(const char *path, size_t limit, buf *to);

#endif
