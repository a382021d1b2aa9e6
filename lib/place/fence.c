/* fence.c - see fence.h: the set of zones. */
#include "place/fence_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_M 50.0 /* how far from a zone's own margin one is still near */

static const char *const kind_names[] = {
    [FENCE_NONE] = "none",         [FENCE_ENTERED] = "entered", [FENCE_LEFT] = "left",
    [FENCE_DWELLED] = "dwelled",   [FENCE_PASSED] = "passed",   [FENCE_LEFT_UNCHECKED] = "left_unchecked",
    [FENCE_SPEEDING] = "speeding",
};

const char *fence_kind_name(fence_kind k) {
    return kind_names[k];
}

fence_kind fence_kind_of(text name) {
    for (size_t k = FENCE_ENTERED; k <= FENCE_SPEEDING; k++)
        if (text_equal(name, text_of(kind_names[k])))
            return (fence_kind)k;
    return FENCE_NONE;
}

int fences_new(fences **ret_fences) {
    fences *f = calloc(1, sizeof *f);
    int fault = f ? yard_new(&f->y) : -ENOMEM;
    if (fault < 0) {
        free(f);
        return fault;
    }
    f->edition = 1;
    *ret_fences = f;
    return 0;
}

fences *fences_free(fences *f) {
    if (!f)
        return NULL;
    (void)grove_free(f->trees);
    for (size_t i = 0; i < f->count; i++)
        (void)fence_zone_free(f->zones[i]);
    free(f->zones);
    (void)yard_free(f->y);
    free(f);
    return NULL;
}

static int compare(text a, text b) {
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* *ret_index: where it is, or belongs. */
bool fences_find(const fences *f, text zone, size_t *ret_index) {
    size_t low = 0, high = f->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(text_of(f->zones[middle]->name), zone);
        if (order == 0) {
            *ret_index = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_index = low;
    return false;
}

static void changed(fences *f) {
    f->edition++;
    f->trees = grove_free(f->trees);
}

static int insert(fences *f, fence_zone *z, size_t index) {
    if (f->count == f->room) {
        size_t room = f->room ? f->room * 2 : 16;
        fence_zone **grown = reallocarray(f->zones, room, sizeof(fence_zone *));
        if (!grown)
            return -ENOMEM;
        f->zones = grown;
        f->room = room;
    }
    memmove(f->zones + index + 1, f->zones + index, (f->count - index) * sizeof(fence_zone *));
    f->zones[index] = z;
    f->count++;
    return 0;
}

int fences_put(fences *f, const json *zone, char ret_why[FENCE_WHY_MAX]) {
    fence_zone *z = NULL;
    size_t index;
    int fault = fence_zone_read(f->y, zone, &z, ret_why);
    if (fault < 0)
        return fault;
    if (fences_find(f, text_of(z->name), &index)) {
        (void)fence_zone_free(f->zones[index]);
        f->zones[index] = z;
    } else {
        fault = insert(f, z, index);
    }
    if (fault < 0)
        (void)fence_zone_free(z);
    else
        changed(f);
    return fault;
}

void fences_drop(fences *f, text zone) {
    size_t index;
    if (!fences_find(f, zone, &index))
        return;
    (void)fence_zone_free(f->zones[index]);
    f->count--;
    memmove(f->zones + index, f->zones + index + 1, (f->count - index) * sizeof(fence_zone *));
    changed(f);
}

size_t fences_count(const fences *f) {
    return f->count;
}

const json *fences_zone(const fences *f, text zone) {
    size_t index;
    return fences_find(f, zone, &index) ? f->zones[index]->document : NULL;
}

int fences_ready(fences *f) {
    if (f->trees)
        return 0;
    box *boxes = calloc(f->count + 1, sizeof *boxes);
    if (!boxes)
        return -ENOMEM;
    for (size_t i = 0; i < f->count; i++)
        boxes[i] = shape_box(f->zones[i]->where, f->zones[i]->margin + NEAR_M);
    int fault = grove_new(f->y, boxes, f->count, &f->trees);
    free(boxes);
    return fault;
}
