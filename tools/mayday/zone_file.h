/* zone_file.h - zones as GeoJSON has them (RFC 7946), and back. A Feature's geometry is the shape: Polygon
 * and MultiPolygon as they are, Point with the property `radius` a circle, LineString with `width` a
 * corridor. Its other properties are the members of a zone; how map editors want it drawn (title, stroke,
 * fill, marker-...) is left. A zone as schemas/documents/zone.json has it is taken, too. Pure. */
#ifndef MAYDAY_TOOLS_ZONE_FILE_H
#define MAYDAY_TOOLS_ZONE_FILE_H

#include "base/json.h"

#define ZONE_FILE_WHY_MAX 160

/* Appends to the array `zones` what a zone, a Feature, a FeatureCollection or a list of those holds. 0,
 * -ENOMEM, or -EBADMSG with a sentence. */
NODISCARD int zones_of_file(const json *body, json *zones, char ret_why[ZONE_FILE_WHY_MAX]);

/* A zone as a Feature; NULL: out of memory. */
NODISCARD json *zone_feature(const json *zone);

#endif
