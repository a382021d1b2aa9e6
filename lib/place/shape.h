/* shape.h - where a zone is: circles, polygons with holes, corridors, and the tree that finds which of many
 * are near. Everything is measured in metres on a local plane around the middle of the shape
 * (equirectangular; circles by great circles). shape.c is the only door to GEOS.
 *
 * A yard owns GEOS's handle; what is made in it must be freed before it. Threads: a yard, and what is made in
 * it, belong to one thread: prepared geometries build their indexes when they are first asked. */
#ifndef MAYDAY_PLACE_SHAPE_H
#define MAYDAY_PLACE_SHAPE_H

#include "base/attr.h"
#include "base/text.h"

#define SHAPE_WHY_MAX    160
#define SHAPE_POINTS_MAX 10000
#define SHAPE_ACROSS_MAX 100000.0 /* metres: beyond, the plane bends too much */
#define SHAPE_LAT_MAX    85.0     /* degrees: so does it near the poles */

typedef struct spot {
    double lon, lat;
} spot;

/* Rings one behind the other; each polygon's first ring is its border, the others are holes. */
typedef struct outline {
    spot *spots;
    size_t spot_count;
    size_t *ring_ends; /* for each ring the index behind its last spot */
    size_t ring_count;
    size_t *polygon_ends; /* for each polygon the index behind its last ring */
    size_t polygon_count;
} outline;

typedef struct box {
    double west, south, east, north; /* degrees */
} box;

typedef struct yard yard;
NODISCARD int yard_new(yard **ret_yard);
yard *yard_free(yard *y); /* takes NULL, returns NULL */

typedef struct shape shape;
/* Each returns 0, -ENOMEM, or -EBADMSG with a sentence. */
NODISCARD int shape_circle(yard *y, spot middle, double radius, shape **ret_shape,
                           char ret_why[SHAPE_WHY_MAX]);
NODISCARD int shape_polygons(yard *y, const outline *o, shape **ret_shape, char ret_why[SHAPE_WHY_MAX]);
NODISCARD int shape_corridor(yard *y, const spot *line, size_t count, double width, shape **ret_shape,
                             char ret_why[SHAPE_WHY_MAX]);
shape *shape_free(shape *s); /* takes NULL, returns NULL */

/* Metres to the border: positive inside, negative outside. NAN when GEOS could not say (memory). */
double shape_depth(const shape *s, spot at);
/* Does the straight way touch it? False as well when GEOS could not say. */
bool shape_crossed(const shape *s, spot from, spot to);
double shape_size(const shape *s); /* the radius; of a polygon that of a circle as large; half a width */
box shape_box(const shape *s, double wider); /* around it, so many metres wider */

typedef struct grove grove; /* the tree over all shapes of a set */
/* Borrows `boxes` during the call. 0 or -ENOMEM. */
NODISCARD int grove_new(yard *y, const box *boxes, size_t count, grove **ret_grove);
grove *grove_free(grove *g); /* takes NULL, returns NULL */
typedef void (*grove_visit)(void *context, size_t index);
/* Every box that meets the one around the straight way. 0 or -ENOMEM. */
NODISCARD int grove_along(const grove *g, spot from, spot to, grove_visit visit, void *context);

#endif
