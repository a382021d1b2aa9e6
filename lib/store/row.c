/* row.c - see row.h. The format: a 16-bit count of fields, then each as a 32-bit length (-1: null) and its
 * bytes, all big-endian (PostgreSQL's manual, COPY, "Binary Format"). */
#include "store/row.h"

#include <string.h>

const text row_stream_head = {"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};
const text row_stream_tail = {"\377\377", 2};

#define COMMON_COLUMNS   8 /* id, at, received_at, org, sender, node, offline; and at the end digest */
#define POSTGRES_EPOCH   INT64_C(946684800000000) /* 2000-01-01 in Unix microseconds */
#define EWKB_POINT_SRID  0x20000001u
#define SRID_WGS84       4326u
#define JSONB_VERSION    1
#define FNV_BASIS        UINT64_C(14695981039346656037)
#define FNV_PRIME        UINT64_C(1099511628211)
#define LENGTH_OF_LENGTH 4

/* FNV-1a: not for secrecy, only to tell a repeat from another message. */
static uint64_t hash(uint64_t state, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        state = (state ^ (unsigned char)bytes[i]) * FNV_PRIME;
    return state;
}

static void add_bytes(buf *to, const void *bytes, size_t len) {
    buf_add_u32be(to, (uint32_t)len);
    buf_add(to, bytes, len);
}

static void add_i64(buf *to, int64_t value) {
    buf_add_u32be(to, 8);
    buf_add_u64be(to, (uint64_t)value);
}

static void add_time(buf *to, instant at) {
    add_i64(to, at - POSTGRES_EPOCH);
}

static void add_bool(buf *to, bool value) {
    buf_add_u32be(to, 1);
    buf_add_char(to, value ? 1 : 0);
}

static void add_double(buf *to, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    buf_add_u64be(to, bits);
}

static void add_float(buf *to, double value) {
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    buf_add_u32be(to, 4);
    buf_add_u32be(to, bits);
}

/* PostGIS takes its extended well-known binary: byte order, type, SRID, x, y. */
static void add_point(buf *to, double lat, double lon) {
    buf_add_u32be(to, 1 + 4 + 4 + 8 + 8);
    buf_add_char(to, 0);
    buf_add_u32be(to, EWKB_POINT_SRID);
    buf_add_u32be(to, SRID_WGS84);
    add_double(to, lon);
    add_double(to, lat);
}

static void add_json(buf *to, text t) {
    buf_add_u32be(to, (uint32_t)(t.len + 1));
    buf_add_char(to, JSONB_VERSION);
    buf_add_text(to, t);
}

static void add_value(buf *to, msg_kind kind, const msg_value *value) {
    if (value->null) {
        buf_add_u32be(to, UINT32_MAX);
        return;
    }
    switch (kind) {
    case MSG_TEXT:
        add_bytes(to, value->as.text.ptr, value->as.text.len);
        break;
    case MSG_UUID:
        add_bytes(to, value->as.uuid.bytes, sizeof value->as.uuid.bytes);
        break;
    case MSG_INTEGER:
        buf_add_u32be(to, 4);
        buf_add_u32be(to, (uint32_t)(int32_t)value->as.integer);
        break;
    case MSG_REAL:
        buf_add_u32be(to, 8);
        add_double(to, value->as.real);
        break;
    case MSG_REAL4:
        add_float(to, value->as.real);
        break;
    case MSG_BOOL:
        add_bool(to, value->as.boolean);
        break;
    case MSG_TIME:
        add_time(to, value->as.time);
        break;
    case MSG_POINT:
        add_point(to, value->as.point.lat, value->as.point.lon);
        break;
    case MSG_JSON:
        add_json(to, value->as.text);
        break;
    }
}

/* Absent values are left out of the digest, so that a column added one day changes no digest of before. */
static uint64_t hash_column(uint64_t state, const msg_column *column, const buf *to, size_t begin) {
    state = hash(state, column->name, strlen(column->name) + 1);
    return hash(state, to->ptr + begin, to->len - begin);
}

static uint64_t hash_common(const msg_type *type, const row_common *c) {
    char at[8];
    for (size_t i = 0; i < sizeof at; i++)
        at[i] = (char)((uint64_t)c->at >> (8 * i));
    uint64_t state = hash(FNV_BASIS, type->table, strlen(type->table) + 1);
    state = hash(state, c->org.ptr, c->org.len);
    state = hash(state, "", 1);
    state = hash(state, c->sender.ptr, c->sender.len);
    state = hash(state, c->offline ? "\1" : "\0", 1);
    return hash(state, at, sizeof at);
}

void row_encode(const msg_type *type, const row_common *common, const msg_value *values, buf *to,
                uint64_t *ret_digest) {
    uint64_t digest = hash_common(type, common);
    buf_add_u16be(to, (uint16_t)(COMMON_COLUMNS + type->column_count));
    add_bytes(to, common->id.bytes, sizeof common->id.bytes);
    add_time(to, common->at);
    add_time(to, common->received_at);
    add_bytes(to, common->org.ptr, common->org.len);
    add_bytes(to, common->sender.ptr, common->sender.len);
    add_bytes(to, common->node.ptr, common->node.len);
    add_bool(to, common->offline);
    for (size_t i = 0; i < type->column_count; i++) {
        size_t begin = to->len + LENGTH_OF_LENGTH;
        add_value(to, type->columns[i].kind, &values[i]);
        if (!values[i].null && buf_failed(to) == 0)
            digest = hash_column(digest, &type->columns[i], to, begin);
    }
    add_i64(to, (int64_t)digest);
    *ret_digest = digest;
}

void row_copy_statement(const msg_type *type, buf *to) {
    buf_printf(to, "COPY mayday.\"%s\" (id, at, received_at, org, sender, node, offline", type->table);
    for (size_t i = 0; i < type->column_count; i++)
        buf_printf(to, ", \"%s\"", type->columns[i].name);
    buf_add_text(to, TEXT(", digest) FROM STDIN (FORMAT binary)"));
}
