/* shape.c - see shape.h. GEOS through its reentrant functions alone; what it complains about is put into
 * words here, so its own messages are not printed. */
#include "place/shape.h"

#include <errno.h>
#include <geos_c.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/reading.h"

#define RADIAN     (3.14159265358979323846 / 180)
#define EARTH_M    6371008.8 /* as fix_distance() has it */
#define QUARTER    16        /* of a corridor's round ends: so many straight pieces for a quarter circle */
#define SMALLEST_M 5.0

struct yard {
    GEOSContextHandle_t geos;
};

struct shape {
    yard *y;
    spot middle;    /* of the plane */
    double squeeze; /* metres of a degree of longitude there, for each metre of one of latitude */
    double size;
    box around;
    double radius; /* of a circle, which needs no GEOS; else 0 */
    GEOSGeometry *area, *border;
    const GEOSPreparedGeometry *area_ready, *border_ready;
};

int yard_new(yard **ret_yard) {
    yard *y = calloc(1, sizeof *y);
    if (!y)
        return -ENOMEM;
    y->geos = GEOS_init_r();
    if (!y->geos) {
        free(y);
        return -ENOMEM;
    }
    *ret_yard = y;
    return 0;
}

yard *yard_free(yard *y) {
    if (y)
        GEOS_finish_r(y->geos);
    free(y);
    return NULL;
}

/* ---- the plane ---- */

/* How far east, the short way round: one step over the 180th meridian is one step. */
static double east_of(const shape *s, spot at) {
    return remainder(at.lon - s->middle.lon, 360);
}

static double metres_x(const shape *s, spot at) {
    return east_of(s, at) * RADIAN * EARTH_M * s->squeeze;
}

static double metres_y(const shape *s, spot at) {
    return (at.lat - s->middle.lat) * RADIAN * EARTH_M;
}

static box box_of(const spot *spots, size_t count) {
    box b = {spots[0].lon, spots[0].lat, spots[0].lon, spots[0].lat};
    for (size_t i = 1; i < count; i++) {
        b.west = fmin(b.west, spots[i].lon), b.east = fmax(b.east, spots[i].lon);
        b.south = fmin(b.south, spots[i].lat), b.north = fmax(b.north, spots[i].lat);
    }
    return b;
}

static box widen(box b, double metres) {
    double up = metres / (RADIAN * EARTH_M);
    double lat = fmin(89.0, fmax(fabs(b.south), fabs(b.north)) + up);
    double aside = up / cos(lat * RADIAN);
    return (box){b.west - aside, b.south - up, b.east + aside, b.north + up};
}

static int refuse(char why[SHAPE_WHY_MAX], const char *what) {
    (void)snprintf(why, SHAPE_WHY_MAX, "%s", what);
    return -EBADMSG;
}

/* The plane around `b`, if one can be laid there. */
static int lay_plane(shape *s, box b, char why[SHAPE_WHY_MAX]) {
    s->around = b;
    s->middle = (spot){(b.west + b.east) / 2, (b.south + b.north) / 2};
    s->squeeze = cos(s->middle.lat * RADIAN);
    if (b.south < -SHAPE_LAT_MAX || b.north > SHAPE_LAT_MAX)
        return refuse(why, "must lie between 85 degrees south and 85 degrees north");
    if (b.east - b.west > 180)
        return refuse(why, "must not cross the 180th meridian: make it two zones");
    if (s->radius > 0)
        return 0; /* bounded already; at its far end a degree is shorter than in its middle */
    if (metres_x(s, (spot){b.east, b.north}) * 2 > SHAPE_ACROSS_MAX ||
        metres_y(s, (spot){b.east, b.north}) * 2 > SHAPE_ACROSS_MAX)
        return refuse(why, "must not be more than 100 km across");
    return 0;
}

static shape *fresh(yard *y) {
    shape *s = calloc(1, sizeof *s);
    if (s)
        s->y = y;
    return s;
}

shape *shape_free(shape *s) {
    if (!s)
        return NULL;
    GEOSContextHandle_t geos = s->y->geos;
    if (s->area_ready)
        GEOSPreparedGeom_destroy_r(geos, s->area_ready);
    if (s->border_ready)
        GEOSPreparedGeom_destroy_r(geos, s->border_ready);
    if (s->area)
        GEOSGeom_destroy_r(geos, s->area);
    if (s->border)
        GEOSGeom_destroy_r(geos, s->border);
    free(s);
    return NULL;
}

/* ---- making them ---- */

static int finish(shape *s, int fault, shape **ret_shape) {
    if (fault < 0) {
        (void)shape_free(s);
        return fault;
    }
    *ret_shape = s;
    return 0;
}

int shape_circle(yard *y, spot middle, double radius, shape **ret_shape, char ret_why[SHAPE_WHY_MAX]) {
    shape *s = fresh(y);
    if (!s)
        return -ENOMEM;
    s->radius = s->size = radius;
    int fault = 0;
    if (!(radius >= SMALLEST_M && radius <= SHAPE_ACROSS_MAX / 2))
        fault = refuse(ret_why, "radius: must be from 5 to 50000 metres");
    else
        fault = lay_plane(s, widen((box){middle.lon, middle.lat, middle.lon, middle.lat}, radius), ret_why);
    if (fault == 0 && (s->around.west < -180 || s->around.east > 180))
        fault = refuse(ret_why, "must not cross the 180th meridian: make it two zones");
    s->middle = middle;
    return finish(s, fault, ret_shape);
}

static GEOSCoordSequence *project(const shape *s, const spot *spots, size_t count) {
    double *flat = reallocarray(NULL, count, 2 * sizeof *flat);
    GEOSCoordSequence *made = NULL;
    for (size_t i = 0; flat && i < count; i++) {
        flat[2 * i] = metres_x(s, spots[i]);
        flat[2 * i + 1] = metres_y(s, spots[i]);
    }
    if (flat)
        made = GEOSCoordSeq_copyFromBuffer_r(s->y->geos, flat, (unsigned)count, 0, 0);
    free(flat);
    return made;
}

static GEOSGeometry *ring_of(const shape *s, const outline *o, size_t ring) {
    size_t from = ring ? o->ring_ends[ring - 1] : 0;
    GEOSCoordSequence *line = project(s, o->spots + from, o->ring_ends[ring] - from);
    return line ? GEOSGeom_createLinearRing_r(s->y->geos, line) : NULL; /* takes it over */
}

static void destroy_all(const shape *s, GEOSGeometry **all, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (all[i])
            GEOSGeom_destroy_r(s->y->geos, all[i]);
}

/* Borders first; takes the rings over, whatever comes of it. */
static GEOSGeometry *polygon_of(const shape *s, const outline *o, size_t polygon) {
    size_t from = polygon ? o->polygon_ends[polygon - 1] : 0, count = o->polygon_ends[polygon] - from;
    GEOSGeometry **rings = calloc(count, sizeof(GEOSGeometry *)), *made = NULL;
    size_t n = 0;
    while (rings && n < count && (rings[n] = ring_of(s, o, from + n)))
        n++;
    if (rings && n == count)
        made = GEOSGeom_createPolygon_r(s->y->geos, rings[0], rings + 1, (unsigned)count - 1);
    else if (rings)
        destroy_all(s, rings, n);
    free(rings);
    return made;
}

static GEOSGeometry *area_of(const shape *s, const outline *o) {
    GEOSGeometry **polygons = calloc(o->polygon_count, sizeof(GEOSGeometry *)), *made = NULL;
    size_t n = 0;
    while (polygons && n < o->polygon_count && (polygons[n] = polygon_of(s, o, n)))
        n++;
    if (polygons && n == o->polygon_count)
        made = GEOSGeom_createCollection_r(s->y->geos, GEOS_MULTIPOLYGON, polygons, (unsigned)n);
    else if (polygons)
        destroy_all(s, polygons, n);
    free(polygons);
    return made;
}

/* Prepares what `s->area` is. */
static int prepare(shape *s) {
    GEOSContextHandle_t geos = s->y->geos;
    s->border = GEOSBoundary_r(geos, s->area);
    s->area_ready = GEOSPrepare_r(geos, s->area);
    s->border_ready = s->border ? GEOSPrepare_r(geos, s->border) : NULL;
    return s->area_ready && s->border_ready ? 0 : -ENOMEM;
}

static int check_area(shape *s, char why[SHAPE_WHY_MAX]) {
    GEOSContextHandle_t geos = s->y->geos;
    double square = 0;
    char valid = GEOSisValid_r(geos, s->area);
    if (valid == 0) {
        char *reason = GEOSisValidReason_r(geos, s->area);
        size_t len = reason ? strcspn(reason, "[") : 0; /* what follows is in metres of our plane */
        (void)snprintf(why, SHAPE_WHY_MAX, "is no proper polygon: %.*s", (int)len, reason ? reason : "");
        if (reason)
            GEOSFree_r(geos, reason);
        return -EBADMSG;
    }
    if (valid != 1 || GEOSArea_r(geos, s->area, &square) != 1)
        return -ENOMEM;
    s->size = sqrt(square / 3.14159265358979323846);
    return s->size >= SMALLEST_M ? 0 : refuse(why, "is smaller than a circle of 5 metres");
}

int shape_polygons(yard *y, const outline *o, shape **ret_shape, char ret_why[SHAPE_WHY_MAX]) {
    shape *s = fresh(y);
    if (!s)
        return -ENOMEM;
    int fault = lay_plane(s, box_of(o->spots, o->spot_count), ret_why);
    if (fault == 0 && !(s->area = area_of(s, o)))
        fault = -ENOMEM;
    if (fault == 0)
        fault = check_area(s, ret_why);
    if (fault == 0)
        fault = prepare(s);
    return finish(s, fault, ret_shape);
}

static int draw_corridor(shape *s, const spot *line, size_t count, double width) {
    GEOSContextHandle_t geos = s->y->geos;
    GEOSCoordSequence *spots = project(s, line, count);
    GEOSGeometry *way = spots ? GEOSGeom_createLineString_r(geos, spots) : NULL;
    if (!way)
        return -ENOMEM;
    s->area = GEOSBuffer_r(geos, way, width / 2, QUARTER);
    GEOSGeom_destroy_r(geos, way);
    return s->area ? prepare(s) : -ENOMEM;
}

int shape_corridor(yard *y, const spot *line, size_t count, double width, shape **ret_shape,
                   char ret_why[SHAPE_WHY_MAX]) {
    shape *s = fresh(y);
    if (!s)
        return -ENOMEM;
    s->size = width / 2;
    int fault = 0;
    if (!(width >= 2 * SMALLEST_M && width <= 10000))
        fault = refuse(ret_why, "width: must be from 10 to 10000 metres");
    if (fault == 0)
        fault = lay_plane(s, widen(box_of(line, count), width / 2), ret_why);
    if (fault == 0 && (s->around.west < -180 || s->around.east > 180))
        fault = refuse(ret_why, "must not cross the 180th meridian: make it two zones");
    if (fault == 0)
        fault = draw_corridor(s, line, count, width);
    return finish(s, fault, ret_shape);
}

/* ---- asking them ---- */

double shape_depth(const shape *s, spot at) {
    GEOSContextHandle_t geos = s->y->geos;
    double far = NAN;
    if (s->radius > 0) {
        fix middle = fix_at(0, s->middle.lat, s->middle.lon), there = fix_at(0, at.lat, at.lon);
        return s->radius - fix_distance(&middle, &there);
    }
    GEOSGeometry *point = GEOSGeom_createPointFromXY_r(geos, metres_x(s, at), metres_y(s, at));
    if (!point)
        return NAN;
    char in = GEOSPreparedIntersects_r(geos, s->area_ready, point);
    if (in == 2 || GEOSPreparedDistance_r(geos, s->border_ready, point, &far) != 1)
        far = NAN;
    GEOSGeom_destroy_r(geos, point);
    return in == 1 ? far : -far;
}

/* A circle against a straight way: how near the way comes to the middle, on a plane whose meridians are as
 * far apart as half way between both, which is right to the second order. */
static bool circle_crossed(const shape *s, spot from, spot to) {
    double m = RADIAN * EARTH_M;
    double ax = east_of(s, from) * m * cos((from.lat + s->middle.lat) / 2 * RADIAN);
    double bx = east_of(s, to) * m * cos((to.lat + s->middle.lat) / 2 * RADIAN);
    double ay = metres_y(s, from), by = metres_y(s, to);
    double dx = bx - ax, dy = by - ay, square = dx * dx + dy * dy;
    double part = square > 0 ? -(ax * dx + ay * dy) / square : 0;
    part = fmin(1, fmax(0, part));
    return hypot(ax + part * dx, ay + part * dy) <= s->radius;
}

bool shape_crossed(const shape *s, spot from, spot to) {
    GEOSContextHandle_t geos = s->y->geos;
    if (s->radius > 0)
        return circle_crossed(s, from, to);
    GEOSCoordSequence *ends = project(s, (spot[]){from, to}, 2);
    GEOSGeometry *way = ends ? GEOSGeom_createLineString_r(geos, ends) : NULL;
    if (!way)
        return false;
    bool crossed = GEOSPreparedIntersects_r(geos, s->area_ready, way) == 1;
    GEOSGeom_destroy_r(geos, way);
    return crossed;
}

double shape_size(const shape *s) {
    return s->size;
}

box shape_box(const shape *s, double wider) {
    return widen(s->around, wider);
}

/* ---- the tree ---- */

struct grove {
    yard *y;
    GEOSSTRtree *tree;
    GEOSGeometry **frames; /* the tree may borrow their envelopes */
    size_t count;
};

grove *grove_free(grove *g) {
    if (!g)
        return NULL;
    if (g->tree)
        GEOSSTRtree_destroy_r(g->y->geos, g->tree);
    for (size_t i = 0; i < g->count; i++)
        GEOSGeom_destroy_r(g->y->geos, g->frames[i]);
    free(g->frames);
    free(g);
    return NULL;
}

static int plant(grove *g, box b, size_t index) {
    GEOSGeometry *frame = GEOSGeom_createRectangle_r(g->y->geos, b.west, b.south, b.east, b.north);
    if (!frame)
        return -ENOMEM;
    g->frames[g->count++] = frame;
    GEOSSTRtree_insert_r(g->y->geos, g->tree, frame, (void *)(uintptr_t)(index + 1));
    return 0;
}

int grove_new(yard *y, const box *boxes, size_t count, grove **ret_grove) {
    grove *g = calloc(1, sizeof *g);
    int fault = g ? 0 : -ENOMEM;
    if (g) {
        g->y = y;
        g->frames = calloc(count + 1, sizeof(GEOSGeometry *));
        g->tree = GEOSSTRtree_create_r(y->geos, 10);
        fault = g->frames && g->tree ? 0 : -ENOMEM;
    }
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = plant(g, boxes[i], i);
    if (fault < 0) {
        (void)grove_free(g);
        return fault;
    }
    *ret_grove = g;
    return 0;
}

typedef struct visitor {
    grove_visit visit;
    void *context;
} visitor;

static void found(void *item, void *with) {
    visitor *v = with;
    v->visit(v->context, (size_t)(uintptr_t)item - 1);
}

static int query(const grove *g, spot from, spot to, visitor *v) {
    GEOSContextHandle_t geos = g->y->geos;
    GEOSGeometry *way = NULL;
    double flat[] = {from.lon, from.lat, to.lon, to.lat};
    if (from.lon == to.lon && from.lat == to.lat) {
        way = GEOSGeom_createPointFromXY_r(geos, to.lon, to.lat);
    } else {
        GEOSCoordSequence *ends = GEOSCoordSeq_copyFromBuffer_r(geos, flat, 2, 0, 0);
        way = ends ? GEOSGeom_createLineString_r(geos, ends) : NULL;
    }
    if (!way)
        return -ENOMEM;
    GEOSSTRtree_query_r(geos, g->tree, way, found, v);
    GEOSGeom_destroy_r(geos, way);
    return 0;
}

int grove_along(const grove *g, spot from, spot to, grove_visit visit, void *context) {
    visitor v = {visit, context};
    double round = to.lon - from.lon > 180 ? -360 : to.lon - from.lon < -180 ? 360 : 0;
    if (g->count == 0)
        return 0;
    int fault = query(g, from, (spot){to.lon + round, to.lat}, &v);
    if (fault == 0 && round != 0) /* over the 180th meridian: zones lie on this side of it, or on that */
        fault = query(g, (spot){from.lon - round, from.lat}, to, &v);
    return fault;
}
