/* type.c - see type.h: finding a type by its address, and binding a payload to its columns. */
#include "msg/type.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* There are fewer than twenty types, and only those of one family are compared by name. */
const msg_type *msg_type_at(const address *where) {
    for (const msg_type *const *row = msg_types; *row; row++)
        if ((*row)->family == where->family && !(*row)->kind &&
            text_equal(text_of((*row)->leaf), where->leaf))
            return *row;
    return NULL;
}

const msg_type *msg_type_of(const msg_type *found, const json *body) {
    text kind = json_get_string(body, "kind");
    for (const msg_type *const *row = msg_types; kind.ptr && *row; row++)
        if ((*row)->kind && (*row)->family == found->family && strcmp((*row)->leaf, found->leaf) == 0 &&
            text_equal(text_of((*row)->kind), kind))
            return *row;
    return found;
}

#define MEMBER_NAME_MAX 64

/* The value at a dotted path; NULL when any part of it is absent or null. */
static const json *walk(const json *body, const char *path) {
    text rest = text_of(path), part;
    const json *at = body;
    while (at && text_next(&rest, '.', &part)) {
        char name[MEMBER_NAME_MAX];
        if (part.len >= sizeof name)
            return NULL;
        memcpy(name, part.ptr, part.len);
        name[part.len] = '\0';
        at = json_get(at, name);
    }
    return at;
}

static int bind_real(const json *value, double most, msg_value *ret_value) {
    json_kind kind = json_kind_of(value);
    if (kind != JSON_INTEGER && kind != JSON_NUMBER)
        return -EBADMSG;
    double real = json_number(value);
    if (!isfinite(real) || fabs(real) > most)
        return -EBADMSG;
    ret_value->as.real = real;
    return 0;
}

/* To a schema 60.0 and 6e1 are integers too, and what a schema accepted must not fail here. */
static int bind_integer(const json *value, msg_value *ret_value) {
    msg_value number = {0};
    if (bind_real(value, INT32_MAX, &number) < 0 || trunc(number.as.real) != number.as.real)
        return -EBADMSG;
    ret_value->as.integer = (int64_t)number.as.real;
    return 0;
}

/* PostgreSQL's text holds no NUL; neither does anything a person means to say. */
static int bind_text(text t, msg_value *ret_value) {
    if (!t.ptr || memchr(t.ptr, '\0', t.len))
        return -EBADMSG;
    ret_value->as.text = t;
    return 0;
}

static int bind_uuid(text t, msg_value *ret_value) {
    return t.ptr && uuid_parse(t, &ret_value->as.uuid) == 0 ? 0 : -EBADMSG;
}

static int bind_time(text t, msg_value *ret_value) {
    return t.ptr && instant_parse(t, &ret_value->as.time) == 0 ? 0 : -EBADMSG;
}

static int bind_point(const json *place, msg_value *ret_value) {
    const json *lat = json_get(place, "lat"), *lon = json_get(place, "lon");
    msg_value y = {0}, x = {0};
    if (!lat || !lon || bind_real(lat, 90, &y) < 0 || bind_real(lon, 180, &x) < 0)
        return -EBADMSG;
    ret_value->as.point.lat = y.as.real;
    ret_value->as.point.lon = x.as.real;
    return 0;
}

/* Prints into the scratch buffer; until all is printed only the length is known (see settle_json). */
static int bind_json(const json *value, buf *scratch, msg_value *ret_value) {
    size_t before = scratch->len;
    json_print(value, scratch);
    if (buf_failed(scratch) < 0)
        return -ENOMEM;
    ret_value->as.text = (text){NULL, scratch->len - before};
    return 0;
}

static int bind_body(msg_kind kind, const json *value, buf *scratch, msg_value *ret_value) {
    switch (kind) {
    case MSG_TEXT:
        return bind_text(json_string(value), ret_value);
    case MSG_UUID:
        return bind_uuid(json_string(value), ret_value);
    case MSG_INTEGER:
        return bind_integer(value, ret_value);
    case MSG_REAL:
        return bind_real(value, DBL_MAX, ret_value);
    case MSG_REAL4:
        return bind_real(value, FLT_MAX, ret_value);
    case MSG_BOOL:
        if (json_kind_of(value) != JSON_BOOL)
            return -EBADMSG;
        ret_value->as.boolean = json_boolean(value);
        return 0;
    case MSG_TIME:
        return bind_time(json_string(value), ret_value);
    case MSG_POINT:
        return bind_point(value, ret_value);
    case MSG_JSON:
        return bind_json(value, scratch, ret_value);
    }
    return -EBADMSG;
}

static int bind_column(const msg_column *column, const json *body, const address *where, text sender,
                       buf *scratch, msg_value *ret_value) {
    const json *value = body;
    switch (column->source) {
    case MSG_FROM_TOPIC:
        return column->kind == MSG_UUID ? bind_uuid(where->id, ret_value) : bind_text(where->id, ret_value);
    case MSG_FROM_SENDER:
        return bind_text(sender, ret_value);
    case MSG_FROM_POINT:
        value = column->path ? walk(body, column->path) : body;
        break;
    case MSG_FROM_BODY:
        value = walk(body, column->path ? column->path : column->name);
        break;
    }
    if (!value) {
        ret_value->null = true;
        return 0;
    }
    return bind_body(column->kind, value, scratch, ret_value);
}

/* Now that the scratch buffer no longer moves: where each printed value begins. */
static void settle_json(const msg_type *type, const buf *scratch, size_t begin, msg_value *values) {
    const char *at = buf_text(scratch).ptr + begin;
    for (size_t i = 0; i < type->column_count; i++) {
        if (type->columns[i].kind != MSG_JSON || values[i].null)
            continue;
        values[i].as.text.ptr = at;
        at += values[i].as.text.len;
    }
}

int msg_bind(const msg_type *type, const json *body, const address *where, text sender, buf *scratch,
             msg_value *ret_values) {
    size_t begin = scratch->len;
    for (size_t i = 0; i < type->column_count; i++) {
        ret_values[i] = (msg_value){0};
        int r = bind_column(&type->columns[i], body, where, sender, scratch, &ret_values[i]);
        if (r < 0)
            return r;
    }
    settle_json(type, scratch, begin, ret_values);
    return 0;
}
