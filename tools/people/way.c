/* way.c - where they go, and what a receiver of satellites makes of it. In the open it errs by some metres
 * that wander slowly; between walls it jumps by tens of them and measures speeds that nobody has; indoors it
 * says little. Where the battery is flat there is nothing, and where nobody moves, a fix a minute. */
#include "people/private.h"

#define METRES_PER_DEGREE 111195.0
#define RADIANS           (3.14159265358979323846 / 180.0)

void way_begin(life *l) {
    l->way_chance = chance_of(l->of->seed, 5);
    l->way = (way){.heading = chance_between(&l->way_chance, 0, 360)};
}

static void walk_on(life *l) {
    way *w = &l->way;
    w->heading = fmod(w->heading + 720 + 6 * chance_normal(&l->way_chance), 360);
    if (hypot(w->north, w->east) > 3000) /* home again */
        w->heading = fmod(atan2(-w->east, -w->north) / RADIANS + 360, 360);
    w->north += l->body.speed * cos(w->heading * RADIANS);
    w->east += l->body.speed * sin(w->heading * RADIANS);
}

static void err(life *l, bool street) {
    way *w = &l->way;
    chance *c = &l->way_chance;
    w->error_north = 0.985 * w->error_north + (street ? 1.6 : 0.6) * chance_normal(c);
    w->error_east = 0.985 * w->error_east + (street ? 1.6 : 0.6) * chance_normal(c);
    if (l->second < w->jump_until)
        return;
    w->jump_north = w->jump_east = 0;
    if (!street || !chance_hits(c, 0.05))
        return;
    w->jump_until = l->second + chance_whole(c, 2, 25);
    w->jump_north = 45 * chance_normal(c);
    w->jump_east = 45 * chance_normal(c);
}

bool way_go(life *l, const spell *now, instant at, fix *ret_fix) {
    way *w = &l->way;
    chance *c = &l->way_chance;
    bool street = life_hitch(l, HITCH_STREET), jumped = l->second < w->jump_until;
    bool seldom = pursuit_of(now->what)->indoors || (l->body.down && !pursuit_of(now->what)->indoors);
    walk_on(l);
    err(l, street);
    if (life_hitch(l, HITCH_FLAT) || (seldom && l->second % 60))
        return false;
    double north = w->north + w->error_north + w->jump_north, east = w->east + w->error_east + w->jump_east;
    double lat = l->home_lat + north / METRES_PER_DEGREE;
    double lon = l->home_lon + east / (METRES_PER_DEGREE * cos(l->home_lat * RADIANS));
    *ret_fix = fix_at(at, lat, lon);
    ret_fix->accuracy = pursuit_of(now->what)->indoors ? 25 : street ? chance_between(c, 6, 22) : 5;
    ret_fix->speed = fabs(l->body.speed + (street ? 0.7 : 0.15) * chance_normal(c) +
                          (jumped ? 2.5 * fabs(chance_normal(c)) : 0));
    ret_fix->heading = w->heading;
    return true;
}
