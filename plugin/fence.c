/* fence.c - see fence.h. Open addressing with linear probing over 16-byte entries, at most two thirds full,
 * so an incident costs 24 to 48 bytes; what is removed is closed up behind, so there are no tombstones. */
#include "plugin/fence.h"

#include <stdlib.h>

#define ROOM_FIRST 64

typedef struct entry {
    uint64_t incident;
    uint32_t version[FENCE_VIEWS]; /* 0: none. Versions begin with 1; both 0: the entry is free */
} entry;

struct fence {
    entry *entries;
    size_t room; /* a power of two */
    size_t count, limit;
};

fence *fence_new(size_t limit) {
    fence *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->limit = limit > 0 ? limit : 1;
    f->room = ROOM_FIRST;
    f->entries = calloc(f->room, sizeof *f->entries);
    return f->entries ? f : fence_free(f);
}

fence *fence_free(fence *f) {
    if (f)
        free(f->entries);
    free(f);
    return NULL;
}

static bool is_free(const entry *e) {
    return e->version[FENCE_STATE] == 0 && e->version[FENCE_DISPATCH] == 0;
}

static size_t home(const fence *f, uint64_t incident) {
    return (size_t)incident & (f->room - 1);
}

/* Where it is, or the free place where it would be. */
static entry *find(const fence *f, uint64_t incident) {
    size_t i = home(f, incident);
    while (!is_free(&f->entries[i]) && f->entries[i].incident != incident)
        i = (i + 1) & (f->room - 1);
    return &f->entries[i];
}

/* Closes the gap with whatever may stand there. */
static void drop(fence *f, entry *gone) {
    size_t gap = (size_t)(gone - f->entries);
    for (size_t i = (gap + 1) & (f->room - 1); !is_free(&f->entries[i]); i = (i + 1) & (f->room - 1)) {
        size_t from_home = (i - home(f, f->entries[i].incident)) & (f->room - 1);
        if (from_home < ((i - gap) & (f->room - 1)))
            continue; /* it would stand before its home */
        f->entries[gap] = f->entries[i];
        gap = i;
    }
    f->entries[gap] = (entry){0};
    f->count--;
}

static bool grow(fence *f) {
    fence larger = {.room = f->room * 2, .entries = calloc(f->room * 2, sizeof *f->entries)};
    if (!larger.entries)
        return false;
    for (size_t i = 0; i < f->room; i++)
        if (!is_free(&f->entries[i]))
            *find(&larger, f->entries[i].incident) = f->entries[i];
    free(f->entries);
    f->entries = larger.entries;
    f->room = larger.room;
    return true;
}

/* Room for one more: by growing, else at the cost of one that is near. */
static void make_room(fence *f, uint64_t incident) {
    bool full = f->count >= f->limit;
    if (!full && (f->count + 1) * 3 <= f->room * 2)
        return;
    if (!full && grow(f))
        return;
    size_t i = home(f, incident);
    while (is_free(&f->entries[i]))
        i = (i + 1) & (f->room - 1);
    drop(f, &f->entries[i]);
}

bool fence_pass(fence *f, uint64_t incident, fence_view view, uint32_t version) {
    entry *e = find(f, incident);
    if (is_free(e)) {
        if (version == 0)
            return true;
        make_room(f, incident);
        e = find(f, incident);
        e->incident = incident;
        f->count++;
    }
    if (version < e->version[view])
        return false;
    e->version[view] = version;
    return true;
}

void fence_forget(fence *f, uint64_t incident, fence_view view) {
    entry *e = find(f, incident);
    if (is_free(e))
        return;
    if (e->version[view == FENCE_STATE ? FENCE_DISPATCH : FENCE_STATE] == 0)
        drop(f, e);
    else
        e->version[view] = 0;
}

size_t fence_count(const fence *f) {
    return f->count;
}
