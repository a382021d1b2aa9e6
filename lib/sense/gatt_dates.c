/* gatt_dates.c - whether what a device dates itself was measured now; see sense.h.
 *
 * A live measurement is always the same way off: by the zone, and by how wrong the device's clock is. What
 * was stored is further back. So one number is kept, the way off of what was live, and what is not known yet
 * is left to the caller: of several that come at once, the newest is the one that was just measured.
 *
 * Threads: no state. */
#include "sense/sense.h"

#define MINUTE    (60 * INSTANT_SECOND)
#define HOUR      (60 * MINUTE)
#define ABOUT     (10 * MINUTE) /* how far a clock drifts, and how long a cuff waits to be heard */
#define ALIKE     (2 * MINUTE)
#define APART     (30 * INSTANT_SECOND) /* two measurements, rather than two of the store */
#define ZONE      (26 * HOUR)           /* no zone is further off, with the clock wrong by a lot */
#define NEVER_SET (365 * 24 * HOUR)     /* a clock this wrong begins wherever its maker let it */

static int64_t distance_of(int64_t a, int64_t b) {
    return a > b ? a - b : b - a;
}

/* Two that were refused, and are as far apart as they came: the device's clock was set meanwhile. */
static bool is_set_anew(const gatt_dates *d, instant date, instant now) {
    int64_t passed = now - d->refused_at, between = date - d->refused;
    return d->refused && passed >= APART && between >= APART && distance_of(passed, between) <= ALIKE;
}

void gatt_dates_accept(gatt_dates *d, instant date, instant now) {
    *d = (gatt_dates){.is_known = true, .off = date - now, .newest = date};
}

gatt_date_verdict gatt_dates_judge(gatt_dates *d, instant date, instant now) {
    int64_t off = date - now;
    if (d->is_known && distance_of(off, d->off) <= ABOUT && date > d->newest) {
        d->newest = date;
        d->off = off > d->off ? off : d->off;
        return GATT_DATE_NOW;
    }
    if (is_set_anew(d, date, now)) {
        gatt_dates_accept(d, date, now);
        return GATT_DATE_NOW;
    }
    if (d->is_known ? off > d->off + ABOUT : off > -ZONE || off < -NEVER_SET)
        return GATT_DATE_UNSURE;
    d->refused = date;
    d->refused_at = now;
    return GATT_DATE_BEFORE;
}
