/* clock.c - see edge/clock.h. */
#include "gateway/edge/clock.h"

#define STEP   (2 * INSTANT_SECOND) /* less is the clock being tuned */
#define OFF    (5 * INSTANT_SECOND)
#define DOUBTS 5

static int64_t size_of(int64_t step) {
    return step < 0 ? -step : step;
}

instant edge_clock_now(edge_clock *c, instant wall, int64_t boot, int64_t *ret_step) {
    int64_t offset = wall - boot, jump = c->begun ? offset - c->offset : 0;
    c->offset = offset;
    c->begun = true;
    *ret_step = 0;
    if (size_of(jump) > STEP) {
        if (c->correction == 0 || wall >= c->floor) { /* it is set: what we knew better is over */
            *ret_step = jump - c->correction;
            c->correction = 0;
        } else {
            c->correction -= jump;
        }
    }
    return wall + c->correction;
}

/* Cold receivers begin with any date. */
static bool insists(edge_clock *c, int64_t step) {
    c->doubts = c->doubts && size_of(step - c->doubt) <= STEP ? c->doubts + 1 : 1;
    c->doubt = step;
    return c->doubts >= DOUBTS;
}

int64_t edge_clock_hear(edge_clock *c, instant wall, instant utc, bool is_set) {
    int64_t step = utc - (wall + c->correction);
    bool wrong = wall < c->floor;
    if (!wrong && is_set) {
        step = -c->correction; /* it was set little by little, without a step */
        c->correction = 0;
        return step;
    }
    if (utc < c->floor || size_of(step) < OFF) {
        c->doubts = 0;
        return 0;
    }
    if (!wrong && !insists(c, step))
        return 0;
    c->doubts = 0;
    c->correction += step;
    return step;
}
