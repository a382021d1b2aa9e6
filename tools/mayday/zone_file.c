/* zone_file.c - see zone_file.h. */
#include "zone_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int refuse(char why[ZONE_FILE_WHY_MAX], const char *what) {
    (void)snprintf(why, ZONE_FILE_WHY_MAX, "%s", what);
    return -EBADMSG;
}

static int put_shared(json *object, const char *name, const json *value) {
    return json_put(object, name, json_share(value));
}

/* ---- from GeoJSON ---- */

static bool is_style(const char *name) {
    static const char *const plain[] = {"title", "description", "radius", "width"};
    static const char *const begins[] = {"stroke", "fill", "marker-"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (strcmp(name, plain[i]) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_LEN(begins); i++)
        if (strncmp(name, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static int copy_property(void *context, const char *name, const json *value) {
    if (!value || is_style(name))
        return 0;
    return put_shared(context, name, value);
}

static json *circle_of(const json *geometry, const json *radius) {
    CLEANUP(json_freep) json *made = json_new_object();
    const json *at = json_get(geometry, "coordinates");
    if (!made || put_shared(made, "lat", json_at(at, 1)) < 0 || put_shared(made, "lon", json_at(at, 0)) < 0 ||
        put_shared(made, "radius", radius) < 0)
        return NULL;
    json *whole = json_new_object();
    if (whole && put_shared(whole, "circle", made) < 0)
        whole = json_free(whole);
    return whole;
}

static json *corridor_of(const json *geometry, const json *width) {
    CLEANUP(json_freep) json *made = json_new_object();
    if (!made || put_shared(made, "line", json_get(geometry, "coordinates")) < 0 ||
        put_shared(made, "width", width) < 0)
        return NULL;
    json *whole = json_new_object();
    if (whole && put_shared(whole, "corridor", made) < 0)
        whole = json_free(whole);
    return whole;
}

static int shape_of(const json *feature, json **ret_shape, char why[ZONE_FILE_WHY_MAX]) {
    const json *geometry = json_get(feature, "geometry"), *said = json_get(feature, "properties");
    const json *radius = json_get(said, "radius"), *width = json_get(said, "width");
    text type = json_get_string(geometry, "type");
    if (!type.ptr || !json_get(geometry, "coordinates"))
        return refuse(why, "a Feature without a geometry");
    if (text_equal(type, TEXT("Point"))) {
        if (!radius || json_length(json_get(geometry, "coordinates")) < 2)
            return refuse(why, "a Point needs the property 'radius' to be a circle");
        *ret_shape = circle_of(geometry, radius);
    } else if (text_equal(type, TEXT("LineString"))) {
        if (!width)
            return refuse(why, "a LineString needs the property 'width' to be a corridor");
        *ret_shape = corridor_of(geometry, width);
    } else {
        *ret_shape = json_share(geometry); /* the check of zones says what is wrong with another one */
    }
    return *ret_shape ? 0 : -ENOMEM;
}

static int zone_of(const json *feature, json *zones, char why[ZONE_FILE_WHY_MAX]) {
    json *shape = NULL, *zone;
    const json *id = json_get(feature, "id");
    int fault = shape_of(feature, &shape, why);
    if (fault < 0)
        return fault;
    zone = json_new_object();
    fault = zone ? json_each(json_get(feature, "properties"), copy_property, zone) : -ENOMEM;
    if (fault == 0 && !json_get(zone, "zone") && json_kind_of(id) == JSON_STRING)
        fault = put_shared(zone, "zone", id);
    if (fault == 0) {
        fault = json_put(zone, "shape", shape);
        shape = NULL;
    }
    (void)json_free(shape);
    if (fault < 0) {
        (void)json_free(zone);
        return fault;
    }
    return json_append(zones, zone);
}

static int take_all(const json *list, json *zones, char why[ZONE_FILE_WHY_MAX]) {
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < json_length(list); i++)
        fault = zones_of_file(json_at(list, i), zones, why);
    return fault;
}

int zones_of_file(const json *body, json *zones, char ret_why[ZONE_FILE_WHY_MAX]) {
    text type = json_get_string(body, "type");
    if (json_kind_of(body) == JSON_ARRAY)
        return take_all(body, zones, ret_why);
    if (json_kind_of(body) != JSON_OBJECT)
        return refuse(ret_why, "neither a zone nor GeoJSON");
    if (!type.ptr)
        return json_append(zones, json_share(body));
    if (text_equal(type, TEXT("FeatureCollection")))
        return take_all(json_get(body, "features"), zones, ret_why);
    if (text_equal(type, TEXT("Feature")))
        return zone_of(body, zones, ret_why);
    return refuse(ret_why, "a geometry alone has no name: make it a Feature");
}

/* ---- to GeoJSON ---- */

static int copy_member(void *context, const char *name, const json *value) {
    return strcmp(name, "shape") == 0 ? 0 : put_shared(context, name, value);
}

/* "type" and "coordinates", and what the geometry cannot say as a property. */
static int draw(const json *shape, json *geometry, json *properties) {
    const json *circle = json_get(shape, "circle"), *corridor = json_get(shape, "corridor");
    if (!circle && !corridor) {
        int fault = put_shared(geometry, "type", json_get(shape, "type"));
        return fault < 0 ? fault : put_shared(geometry, "coordinates", json_get(shape, "coordinates"));
    }
    int fault = json_put(geometry, "type", json_new_string(circle ? TEXT("Point") : TEXT("LineString")));
    if (fault == 0 && corridor) {
        fault = put_shared(geometry, "coordinates", json_get(corridor, "line"));
        return fault < 0 ? fault : put_shared(properties, "width", json_get(corridor, "width"));
    }
    json *at = json_new_array();
    if (fault < 0 || !at || json_append(at, json_share(json_get(circle, "lon"))) < 0 ||
        json_append(at, json_share(json_get(circle, "lat"))) < 0) {
        (void)json_free(at);
        return -ENOMEM;
    }
    fault = json_put(geometry, "coordinates", at);
    return fault < 0 ? fault : put_shared(properties, "radius", json_get(circle, "radius"));
}

json *zone_feature(const json *zone) {
    json *feature = json_new_object(), *geometry = json_new_object(), *properties = json_new_object();
    int fault = feature && geometry && properties ? 0 : -ENOMEM;
    if (fault == 0)
        fault = json_each(zone, copy_member, properties);
    if (fault == 0)
        fault = draw(json_get(zone, "shape"), geometry, properties);
    if (fault == 0)
        fault = json_put(feature, "type", json_new_string(TEXT("Feature")));
    if (fault == 0)
        fault = json_put(feature, "id", json_share(json_get(zone, "zone")));
    if (fault == 0) {
        fault = json_put(feature, "geometry", geometry);
        geometry = NULL;
    }
    if (fault == 0) {
        fault = json_put(feature, "properties", properties);
        properties = NULL;
    }
    (void)json_free(geometry);
    (void)json_free(properties);
    return fault == 0 ? feature : json_free(feature);
}
