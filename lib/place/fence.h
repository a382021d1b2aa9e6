/* fence.h - geofences in memory: who entered, left, stayed in, or passed through which of an organisation's
 * zones, and who is too fast. GEOS does the geometry (place/shape.c alone sees it).
 *
 * Flapping: one is inside when a fix is inside by more than its accuracy allows for doubt, outside again only
 * beyond the border by max(10 % of the radius, 20 m), in two fixes one after the other. Between two fixes the
 * straight way is looked at, so that who ran through between them is noticed. Distances in metres on a local
 * plane around each zone (equirectangular; zones of up to 100 km).
 *
 * Ownership: fences copy what they are given. Threads: a set belongs to one thread. */
#ifndef MAYDAY_PLACE_FENCE_H
#define MAYDAY_PLACE_FENCE_H

#include "base/buf.h"
#include "base/json.h"
#include "core/reading.h"

typedef enum fence_kind {
    FENCE_NONE = 0,
    FENCE_ENTERED,
    FENCE_LEFT,
    FENCE_DWELLED,        /* inside for as long as the zone asks */
    FENCE_PASSED,         /* through it between two fixes */
    FENCE_LEFT_UNCHECKED, /* left without having checked in (a reply, a duty word) since entering */
    FENCE_SPEEDING,
} fence_kind;
const char *fence_kind_name(fence_kind k); /* as schemas/zone_event.json spells it */

typedef struct fence_event {
    fence_kind kind;
    char zone[129];
    instant at;
    fix where;
    double for_s, speed; /* of dwelling, of speeding; NAN */
} fence_event;

typedef struct fences fences;
#define FENCE_WHY_MAX 256
NODISCARD int fences_new(fences **ret_fences);
fences *fences_free(fences *f); /* takes NULL, returns NULL */
DEFINE_CLEANUP(fences, fences_free)

/* Puts or replaces a zone: {"zone", "shape": {"circle": {"lat","lon","radius"}} | GeoJSON
 * Polygon/MultiPolygon |
 * {"corridor": {"line": [[lon,lat]...], "width"}}, "schedule", "dwell", "speed_limit", "check_in", "for":
 * {"roles","people"}} (schemas/documents/zone.json). 0, -ENOMEM, -EBADMSG with a sentence. */
NODISCARD int fences_put(fences *f, const json *zone, char ret_why[FENCE_WHY_MAX]);
void fences_drop(fences *f, text zone);
size_t fences_count(const fences *f);

/* What one person's state is, of all zones they are in or near: small, grows with those alone. */
typedef struct fence_walker fence_walker;
NODISCARD int fence_walker_new(fence_walker **ret_walker);
fence_walker *fence_walker_free(fence_walker *w);

#define FENCE_EVENTS_MAX 32
/* Takes a fix (late ones are left), returns how many events were written. */
size_t fences_take(fences *f, fence_walker *w, text person, const text *roles, size_t role_count,
                   const fix *at, fence_event ret_events[FENCE_EVENTS_MAX]);
size_t fences_pass(fences *f, fence_walker *w, instant now,
                   fence_event ret_events[FENCE_EVENTS_MAX]); /* time alone: dwelling */
void fences_checked_in(fences *f, fence_walker *w, instant now);

#endif
