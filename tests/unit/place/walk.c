/* A recorded walk: some minutes on foot with a real receiver, around which zones are drawn so that the walk
 * goes along the border of each. */
#include "support.h"

#include "base/conf.h"
#include "sense/sense.h"

#define ZONES   360
#define FIXES   2000
#define LARGEST (1 << 20)

typedef struct recorded {
    fix fixes[FIXES];
    size_t count;
} recorded;

static bool collect(void *context, const sensed *one) {
    recorded *r = context;
    if (one->kind == SENSED_FIX && r->count < FIXES)
        r->fixes[r->count++] = one->fix;
    return true;
}

/* False: there is no folder with recordings. */
static bool read_walk(recorded *r) {
    const char *folder = getenv("MAYDAY_SHARED_DATA");
    CLEANUP(buf_release) buf bytes = BUF(LARGEST);
    char path[4096], why[256] = "";
    (void)snprintf(path, sizeof path, "%s/haicom-305N.log", folder ? folder : "");
    if (!folder || file_read(path, LARGEST, &bytes) < 0) {
        printf("skipped: MAYDAY_SHARED_DATA names no folder with haicom-305N.log\n");
        return false;
    }
    const unsigned char *from = (const unsigned char *)bytes.ptr;
    const recording_format *format = recording_of(from, bytes.len);
    ck_assert_ptr_nonnull(format);
    ck_assert_msg(format->play(from, bytes.len, collect, r, why) == 0, "%s", why);
    return true;
}

static fix middle_of(const recorded *r) {
    fix middle = fix_at(0, 0, 0);
    for (size_t i = 0; i < r->count; i++) {
        middle.lat += r->fixes[i].lat / (double)r->count;
        middle.lon += r->fixes[i].lon / (double)r->count;
    }
    return middle;
}

/* Circles whose border goes through the middle of the walk, in every direction and of three sizes. */
static char *beside(const fix *middle, size_t i) {
    const double radii[] = {30, 100, 400}, metre = 180 / (M_PI * 6371008.8);
    double radius = radii[i % 3], turn = 2 * M_PI * (double)i / ZONES;
    char *spelled = NULL;
    ck_assert(asprintf(&spelled,
                       "{\"zone\":\"z%zu\",\"shape\":{\"circle\":{\"lat\":%.9f,\"lon\":%.9f,\"radius\":%g}}}",
                       i, middle->lat + radius * metre * cos(turn),
                       middle->lon + radius * metre * sin(turn) / cos(middle->lat * M_PI / 180), radius) > 0);
    return spelled;
}

/* How often a line drawn exactly would be crossed. */
static size_t crossed_exactly(const recorded *r, const char *zone) {
    CLEANUP(json_freep) json *body = parsed_json(zone);
    const json *circle = json_get(json_get(body, "shape"), "circle");
    fix middle = fix_at(0, json_number(json_get(circle, "lat")), json_number(json_get(circle, "lon")));
    size_t count = 0;
    for (size_t i = 1; i < r->count; i++) {
        double radius = json_number(json_get(circle, "radius"));
        count += (fix_distance(&middle, &r->fixes[i - 1]) < radius) !=
                 (fix_distance(&middle, &r->fixes[i]) < radius);
    }
    return count;
}

START_TEST(a_recorded_walk_along_a_border_flaps_nowhere) {
    static recorded r;
    r.count = 0;
    if (!read_walk(&r))
        return;
    ck_assert_uint_gt(r.count, 50);
    fix middle = middle_of(&r);
    size_t exactly = 0, entered = 0;
    for (size_t i = 0; i < ZONES; i++) {
        CLEANUP(freep) char *zone = beside(&middle, i);
        world o;
        world_begin(&o, zone);
        for (size_t k = 0; k < r.count; k++)
            (void)take_fix(&o, r.fixes[k]);
        ck_assert_msg(o.by_kind[FENCE_ENTERED] <= 1 && o.by_kind[FENCE_LEFT] == 0 &&
                          o.by_kind[FENCE_PASSED] == 0,
                      "%s: entered %zu, left %zu, passed %zu", zone, o.by_kind[FENCE_ENTERED],
                      o.by_kind[FENCE_LEFT], o.by_kind[FENCE_PASSED]);
        entered += o.by_kind[FENCE_ENTERED];
        exactly += crossed_exactly(&r, zone);
        world_end(&o);
    }
    printf("%zu fixes: %zu crossings of %d borders, %zu enterings said\n", r.count, exactly, ZONES, entered);
    ck_assert_uint_gt(exactly, ZONES); /* else the walk would prove nothing */
    ck_assert_uint_gt(entered, 0);
}
END_TEST

Suite *suite_walk(void) {
    Suite *s = suite_create("walk");
    TCase *c = tcase_create("walk");
    tcase_add_test(c, a_recorded_walk_along_a_border_flaps_nowhere);
    suite_add_tcase(s, c);
    return s;
}
