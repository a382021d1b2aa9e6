/* fence_walker.c - see fence.h: what is kept of one person, and what survives a restart. A walker keeps a
 * record of each zone it is in, or so near that the next fix may decide; of all others it keeps nothing. */
#include "place/fence_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fence_walker_new(fence_walker **ret_walker) {
    fence_walker *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->seen = INT64_MIN;
    *ret_walker = w;
    return 0;
}

fence_walker *fence_walker_free(fence_walker *w) {
    if (w)
        free(w->records);
    free(w);
    return NULL;
}

instant fence_walker_seen(const fence_walker *w) {
    return w->seen;
}

size_t fence_walker_inside(const fence_walker *w) {
    size_t count = 0;
    for (size_t i = 0; i < w->count; i++)
        count += w->records[i].inside;
    return count;
}

bool fence_walker_last(const fence_walker *w, fix *ret_fix) {
    if (w->has_last)
        *ret_fix = w->last;
    return w->has_last;
}

static void not_after(instant *at, instant now) {
    if (*at > now)
        *at = now;
}

void fence_walker_rewind(fence_walker *w, instant now) {
    not_after(&w->seen, now);
    not_after(&w->last.at, now);
    not_after(&w->strange.at, now);
    for (fence_record *r = w->records; r < w->records + w->count; r++) {
        not_after(&r->since, now);
        not_after(&r->in_since, now);
        not_after(&r->out_since, now);
        not_after(&r->out.at, now);
        not_after(&r->fast_since, now);
        not_after(&r->fast_at, now);
    }
}

/* ---- records ---- */

fence_record *fence_walker_add(fence_walker *w, text zone, size_t index) {
    if (w->count == w->room) {
        size_t room = w->room ? w->room * 2 : 2;
        fence_record *grown = reallocarray(w->records, room, sizeof *grown);
        if (!grown)
            return NULL;
        w->records = grown;
        w->room = room;
    }
    fence_record *r = &w->records[w->count++];
    *r = (fence_record){.index = index};
    memcpy(r->zone, zone.ptr, zone.len);
    return r;
}

void fence_walker_sweep(fence_walker *w) {
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++)
        if (!w->records[i].gone) {
            if (kept != i)
                w->records[kept] = w->records[i];
            kept++;
        }
    w->count = kept;
}

void fence_walker_align(const fences *f, fence_walker *w) {
    if (w->edition == f->edition)
        return;
    for (size_t i = 0; i < w->count; i++)
        if (!fences_find(f, text_of(w->records[i].zone), &w->records[i].index))
            w->records[i].gone = true;
    w->edition = f->edition;
    fence_walker_sweep(w);
}

bool fence_walker_knows(const fence_walker *w, size_t index) {
    for (size_t i = 0; i < w->count; i++)
        if (w->records[i].index == index)
            return true;
    return false;
}

/* ---- across a restart ---- */

void fence_walker_leave(fence_walker *w, text zone) {
    for (size_t i = 0; i < w->count; i++)
        if (text_equal(text_of(w->records[i].zone), zone))
            w->records[i].gone = true;
    fence_walker_sweep(w);
}

size_t fence_walker_stays(const fence_walker *w, fence_stay *ret_stays, size_t room) {
    size_t count = 0;
    for (const fence_record *r = w->records; r < w->records + w->count && count < room; r++) {
        if (!r->inside)
            continue;
        fence_stay *s = &ret_stays[count++];
        *s = (fence_stay){
            .since = r->since, .dwelled = r->dwelled, .checked_in = r->checked, .speeding = r->speeding};
        memcpy(s->zone, r->zone, sizeof s->zone);
    }
    return count;
}

int fence_walker_restore(fence_walker *w, const fence_stay *stay, instant seen) {
    fence_record *r = stay ? fence_walker_add(w, text_of(stay->zone), 0) : NULL;
    if (stay && !r)
        return -ENOMEM;
    w->seen = seen > w->seen ? seen : w->seen;
    w->edition = 0; /* its index is not known yet */
    if (!stay)
        return 0;
    r->inside = true;
    r->since = stay->since;
    r->dwelled = stay->dwelled;
    r->checked = stay->checked_in;
    r->speeding = stay->speeding;
    return 0;
}
