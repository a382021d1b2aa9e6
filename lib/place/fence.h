/* fence.h - geofences in memory: who entered, left, stayed in, or passed through which of an organisation's
 * zones, and who is too fast. GEOS does the geometry (place/shape.c alone sees it).
 *
 * Flapping: one is inside when a fix is deeper inside than it may be wrong, or when all fixes of FENCE_SURE
 * say inside; outside again only beyond the border by max(10 % of the zone's size, 20 m) and what the fix may
 * be wrong by, in two fixes or more one after the other that span FENCE_SURE. A fix may be wrong by its
 * accuracy, or FENCE_DOUBT metres when it has none. Between two fixes that are surely outside the straight
 * way is looked at, so that who ran through between them is noticed; not when FENCE_GAP lies between them.
 *
 * A fix that may be wrong by more than the zone is large, and by more than 100 m, decides nothing, and no way
 * begins or ends at it.
 *
 * Late and repeated fixes are left. One that nobody could have come to (faster than FENCE_FASTEST) waits for
 * the next: if that is near it, both count, and nobody passed through what lies between; else it is
 * forgotten.
 *
 * Distances in metres on a local plane around each zone (zones of up to 100 km, not over the 180th meridian,
 * not beyond 85 degrees).
 *
 * Ownership: fences copy what they are given. Threads: a set and its walkers belong to one thread. */
#ifndef MAYDAY_PLACE_FENCE_H
#define MAYDAY_PLACE_FENCE_H

#include "base/buf.h"
#include "base/json.h"
#include "core/reading.h"

#define FENCE_DOUBT   10.0 /* metres */
#define FENCE_SURE    (5 * INSTANT_SECOND)
#define FENCE_GAP     (300 * INSTANT_SECOND)
#define FENCE_FASTEST 100.0 /* m/s, unless the fix itself says it is faster */

typedef enum fence_kind {
    FENCE_NONE = 0,
    FENCE_ENTERED,
    FENCE_LEFT,
    FENCE_DWELLED,        /* inside for as long as the zone asks */
    FENCE_PASSED,         /* through it between two fixes */
    FENCE_LEFT_UNCHECKED, /* left without having checked in (a reply, a duty word) since entering; follows
                             LEFT */
    FENCE_SPEEDING,
} fence_kind;
const char *fence_kind_name(fence_kind k); /* as schemas/zone_event.json spells it */
fence_kind fence_kind_of(text name);       /* FENCE_NONE for another word */

#define FENCE_ZONE_MAX 128 /* bytes of a zone's name */

typedef struct fence_event {
    fence_kind kind;
    char zone[FENCE_ZONE_MAX + 1];
    instant at;
    instant since; /* of the stay that it belongs to; of passing: `at` */
    fix where;
    double for_s, speed; /* of dwelling and leaving, of speeding; NAN */
} fence_event;

typedef struct fences fences;
#define FENCE_WHY_MAX 256
NODISCARD int fences_new(fences **ret_fences);
fences *fences_free(fences *f); /* takes NULL, returns NULL; walkers may outlive it, and are then of no use */
DEFINE_CLEANUP(fences, fences_free)

/* Puts or replaces a zone: {"zone", "shape": {"circle": {"lat","lon","radius"}} | GeoJSON
 * Polygon/MultiPolygon |
 * {"corridor": {"line": [[lon,lat]...], "width"}}, "schedule", "dwell", "speed_limit", "check_in", "for":
 * {"roles","people"}, "alarm", "alarm_on"} (schemas/documents/zone.json). 0, -ENOMEM, -EBADMSG with a
 * sentence; then what was there before stays. Who is inside of what is replaced stays inside until a fix says
 * otherwise. */
NODISCARD int fences_put(fences *f, const json *zone, char ret_why[FENCE_WHY_MAX]);
void fences_drop(fences *f, text zone); /* whoever was inside is not any more, and nothing is said of it */
size_t fences_count(const fences *f);
const json *fences_zone(const fences *f,
                        text zone); /* as it was put; NULL when there is none. Until the next put */

/* What one person's state is, of all zones they are in or near: small, grows with those alone. */
typedef struct fence_walker fence_walker;
NODISCARD int fence_walker_new(fence_walker **ret_walker);
fence_walker *fence_walker_free(fence_walker *w); /* takes NULL, returns NULL */

#define FENCE_EVENTS_MAX 32
/* Takes a fix (late ones are left), returns how many events were written. What there is no room or memory for
 * is said at the next fix. Roles are borrowed during the call. */
size_t fences_take(fences *f, fence_walker *w, text person, const text *roles, size_t role_count,
                   const fix *at, fence_event ret_events[FENCE_EVENTS_MAX]);
size_t fences_pass(fences *f, fence_walker *w, instant now,
                   fence_event ret_events[FENCE_EVENTS_MAX]); /* time alone: dwelling */
void fences_checked_in(fences *f, fence_walker *w, instant now);

/* What must survive a restart. */
typedef struct fence_stay {
    instant since;
    char zone[FENCE_ZONE_MAX + 1];
    bool dwelled, checked_in, speeding;
} fence_stay;

/* Where a walker is inside, by name of the zone; returns how many were written. */
size_t fence_walker_stays(const fence_walker *w, fence_stay *ret_stays, size_t room);
void fence_walker_leave(fence_walker *w, text zone);         /* somebody else saw it */
size_t fence_walker_inside(const fence_walker *w);           /* of how many zones */
instant fence_walker_seen(const fence_walker *w);            /* the last fix that counted; INT64_MIN: none */
bool fence_walker_last(const fence_walker *w, fix *ret_fix); /* where that was; false: not known */
/* Our own clock was ahead and went back: nothing that is known happened after `now`. */
void fence_walker_rewind(fence_walker *w, instant now);
/* Before the first fix: inside since then (`stay` NULL: nowhere), and fixes up to `seen` are late ones. 0 or
 * -ENOMEM.
 */
NODISCARD int fence_walker_restore(fence_walker *w, const fence_stay *stay, instant seen);

#endif
