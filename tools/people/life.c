/* life.c - the seconds of a day. */
#include "people/private.h"

void life_begin(const day *d, double lat, double lon, life *l) {
    *l = (life){.of = d, .home_lat = lat, .home_lon = lon};
    flesh_begin(l);
    device_begin(l);
    way_begin(l);
}

bool life_next(life *l, moment *m) {
    const day *d = l->of;
    if (l->second >= d->seconds)
        return false;
    while (l->second >= d->spells[l->spell].to_s)
        l->spell++;
    const spell *now = &d->spells[l->spell];
    instant at = d->begins + l->second * INSTANT_SECOND;
    flesh_live(l, now);
    peril is = flesh_peril(l);
    if (is != l->in)
        l->in_since_s = l->second;
    l->in = is;
    m->second = l->second;
    m->said = device_read(l, at, &m->body);
    m->placed = way_go(l, now, at, &m->place);
    m->doing = l->body.down ? DOING_DOWN : now->what;
    m->peril = is;
    m->peril_since_s = l->in_since_s;
    m->pulse = l->body.pulse;
    m->arterial = l->body.arterial;
    m->core = l->body.core;
    l->second++;
    return true;
}
