/* page.c - see page.h. */
#include "gateway/publisher/page.h"

#include <stdio.h>
#include <string.h>

bool page_add(page *p, text entry) {
    if (p->count > 0 &&
        (p->count >= PAGE_ENTRIES_MAX || p->entries.len + 1 + entry.len + PAGE_HEAD_MAX > p->most))
        return false;
    if (p->count > 0)
        buf_add_char(&p->entries, ',');
    buf_add_text(&p->entries, entry);
    p->count++;
    return true;
}

void page_reach(page *p, text cursor) {
    (void)snprintf(p->cursor, sizeof p->cursor, "%.*s", (int)cursor.len, cursor.ptr);
}

/* Ids and cursors hold nothing that JSON would spell otherwise. */
void page_close(page *p, bool more, const char *id, instant now, buf *to) {
    char ts[INSTANT_TEXT_LEN + 1];
    instant_format(now, ts);
    buf_printf(to, "{\"v\":1,\"id\":\"%s\",\"ts\":\"%s\",\"kind\":\"sync\",\"request\":\"%s\",", id, ts,
               p->request);
    if (*p->after && !p->reset)
        buf_printf(to, "\"after\":\"%s\",", p->after);
    buf_printf(to, "\"cursor\":\"%s\",\"more\":%s,%s\"messages\":[", p->cursor, more ? "true" : "false",
               p->reset ? "\"reset\":true," : "");
    buf_add_text(to, buf_text(&p->entries));
    buf_add_text(to, TEXT("]}"));
    memcpy(p->after, p->cursor, sizeof p->after);
    p->reset = false;
    p->count = 0;
    buf_clear(&p->entries);
}

void page_release(page *p) {
    buf_release(&p->entries);
}
