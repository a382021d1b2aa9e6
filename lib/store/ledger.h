/* ledger.h - small durable facts that must outlive the broker while the database is away: an append-only file
 * of `key = value` lines, each with its checksum. The owner keeps the facts in its own tables; the ledger
 * only remembers them. It is rewritten, through a temporary file and rename, when it has grown to several
 * times what it needs, and refuses to grow (-EFBIG) beyond what can be opened again. Threads: one. Keys and
 * values hold any bytes. */
#ifndef MAYDAY_STORE_LEDGER_H
#define MAYDAY_STORE_LEDGER_H

#include "base/buf.h"

typedef struct ledger ledger;

typedef struct ledger_report {
    size_t facts;   /* put and not dropped again is the visitor's to know: lines read */
    size_t damaged; /* lines left out because their checksum differs */
} ledger_report;

/* Called for every line in the order it was written; a NULL value.ptr means the key was dropped. Non-zero
 * stops the opening. */
typedef int (*ledger_fact)(void *context, text key, text value);

/* Opens or makes the file and plays its lines. Returns 0, a negative errno, or what `fact` returned. */
NODISCARD int ledger_open(const char *path, ledger_fact fact, void *context, ledger **ret_ledger,
                          ledger_report *ret_report);
ledger *ledger_close(ledger *l); /* flushes; takes NULL; returns NULL */

/* Appends; `sync` waits for stable storage. Returns 0 or a negative errno: then this fact may be forgotten,
 * and no other. */
NODISCARD int ledger_put(ledger *l, text key, text value, bool sync);
NODISCARD int ledger_drop(ledger *l, text key, bool sync);

/* Has the file outgrown `live` facts, so that a rewrite pays? */
bool ledger_wants_rewrite(const ledger *l, size_t live);

/* Replaces the whole file by what `emit` puts into the ledger it is given. The old file stays whole until the
 * new one is. Returns 0, a negative errno, or what `emit` returned. */
typedef int (*ledger_emit)(void *context, ledger *fresh);
NODISCARD int ledger_rewrite(ledger *l, ledger_emit emit, void *context);

#endif
