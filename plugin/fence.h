/* fence.h - the newest version of each incident's two views that went through this broker. A gateway that was
 * stopped in the middle of a publish and goes on minutes later must not put an old state over a new one.
 *
 * Bounded: beyond `limit` incidents some other is forgotten, which leaves that one unguarded, no more. Pure;
 * keys are hashes of the incidents under a secret seed. Threads: one. */
#ifndef MAYDAY_PLUGIN_FENCE_H
#define MAYDAY_PLUGIN_FENCE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fence_view {
    FENCE_STATE,
    FENCE_DISPATCH,
    FENCE_VIEWS,
} fence_view;

typedef struct fence fence;

NODISCARD fence *fence_new(size_t limit); /* NULL when memory is short */
fence *fence_free(fence *f);
DEFINE_CLEANUP(fence, fence_free)

/* False for a version below the newest; equal ones pass: that is a gateway repeating itself. */
bool fence_pass(fence *f, uint64_t incident, fence_view view, uint32_t version);
void fence_forget(fence *f, uint64_t incident, fence_view view); /* the view was cleared */
size_t fence_count(const fence *f);

#endif
