/* page.h - packs what somebody missed into pages (schemas/sync_page.json): as many entries into one as fit.
 * Pure; the caller brings time and randomness in ids. Threads: a packer belongs to one. */
#ifndef MAYDAY_GATEWAY_PUBLISHER_PAGE_H
#define MAYDAY_GATEWAY_PUBLISHER_PAGE_H

#include "base/buf.h"
#include "base/instant.h"

#define PAGE_ENTRIES_MAX 500
#define PAGE_CURSOR_MAX  128
#define PAGE_HEAD_MAX    768 /* everything around the entries */

/* One page on its way. */
typedef struct page {
    char request[40];                 /* the id of the sync */
    char after[PAGE_CURSOR_MAX + 1];  /* "": nothing came before */
    char cursor[PAGE_CURSOR_MAX + 1]; /* behind its last entry */
    bool reset;
    size_t most; /* bytes; one entry alone may be more */
    size_t count;
    buf entries;
} page;

/* False when the page is full: then it is closed, and the entry begins the next one. */
bool page_add(page *p, text entry);

/* What was passed over without an entry: only the cursor moves. */
void page_reach(page *p, text cursor);

/* Prints the page and empties it: what comes next begins where it ended. */
void page_close(page *p, bool more, const char *id, instant now, buf *to);

void page_release(page *p);

#endif
