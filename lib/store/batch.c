/* batch.c - see batch.h. */
#include "store/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RAW_ENOUGH    (8u << 20) /* bytes of records in one batch; one more record may come on top */
#define BUFFER_LIMIT  (64u << 20)
#define PAYLOAD_DEPTH 64

static batch *lanes_new(batch *b) {
    size_t count = 0;
    while (msg_types[count])
        count++;
    b->lanes = calloc(count + 1, sizeof *b->lanes);
    for (size_t i = 0; b->lanes && i < count; i++) {
        if (!msg_types[i]->stored)
            continue;
        CLEANUP(buf_release) buf statement = BUF(1 << 14);
        row_copy_statement(msg_types[i], &statement);
        batch_lane *lane = &b->lanes[b->lane_count++];
        *lane = (batch_lane){.type = msg_types[i], .copy = buf_steal(&statement), .bytes = BUF(BUFFER_LIMIT)};
        if (!lane->copy)
            return NULL;
    }
    return b->lanes ? b : NULL;
}

batch *batch_new(size_t limit, const char *node) {
    batch *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->limit = limit;
    b->node = node;
    b->raw = b->scratch = BUF(BUFFER_LIMIT);
    b->rows = calloc(limit, sizeof *b->rows);
    b->parser = json_parser_new(PAYLOAD_DEPTH);
    b->seen = seen_new();
    if (!b->rows || !b->parser || !b->seen || !lanes_new(b))
        return batch_free(b);
    return b;
}

batch *batch_free(batch *b) {
    if (!b)
        return NULL;
    if (b->rows)
        batch_clear(b);
    for (size_t i = 0; i < b->lane_count; i++) {
        free(b->lanes[i].copy);
        buf_release(&b->lanes[i].bytes);
    }
    free(b->lanes);
    free(b->rows);
    buf_release(&b->raw);
    buf_release(&b->scratch);
    json_parser_free(b->parser);
    seen_free(b->seen);
    free(b);
    return NULL;
}

void batch_clear(batch *b) {
    for (size_t i = 0; i < b->count; i++)
        free(b->rows[i].why);
    for (size_t i = 0; i < b->lane_count; i++) {
        buf_clear(&b->lanes[i].bytes);
        b->lanes[i].rows = 0;
    }
    buf_clear(&b->raw);
    b->count = 0;
    b->last_seq = 0;
    b->last_received_at = 0;
    b->repeats = 0;
    b->hurry = false;
}

bool batch_empty(const batch *b) {
    return b->last_seq == 0;
}

bool batch_full(const batch *b) {
    return b->count >= b->limit || b->raw.len >= RAW_ENOUGH;
}

text batch_raw(const batch *b, const batch_row *row) {
    return (text){b->raw.ptr + row->raw_at, row->raw_len};
}

void batch_retry(batch *b) {
    for (size_t i = 0; i < b->count; i++)
        if (b->rows[i].len > 0)
            b->rows[i].fate = BATCH_FRESH;
}

void batch_refuse(batch_row *row, const char *why) {
    free(row->why);
    row->why = strdup(why); /* a dead letter without its reason beats none */
    row->fate = BATCH_REFUSED;
}

static batch_lane *lane_of(batch *b, const msg_type *type) {
    for (size_t i = 0; i < b->lane_count; i++)
        if (b->lanes[i].type == type)
            return &b->lanes[i];
    return NULL;
}

typedef enum outcome {
    OUTCOME_REFUSED = 0,
    OUTCOME_ROW,
    OUTCOME_REPEAT,
    OUTCOME_FAULT
} outcome;

/* Why a record cannot become a row; constant sentences, they hold nothing private. */
static outcome refused(const char *why, const char **ret_why) {
    *ret_why = why;
    return OUTCOME_REFUSED;
}

static outcome encode(batch *b, batch_lane *lane, const row_common *common, const msg_value *values,
                      batch_row *row) {
    size_t before = lane->bytes.len;
    row_encode(lane->type, common, values, &lane->bytes, &row->digest);
    if (buf_failed(&lane->bytes) < 0 || seen_same(b->seen, &common->id, row->digest)) {
        bool fault = buf_failed(&lane->bytes) < 0;
        lane->bytes.len = before;
        lane->bytes.fault = 0;
        return fault ? OUTCOME_FAULT : OUTCOME_REPEAT;
    }
    row->at = before;
    row->len = lane->bytes.len - before;
    row->lane = (size_t)(lane - b->lanes);
    row->id = common->id;
    lane->rows++;
    return OUTCOME_ROW;
}

static outcome bind(batch *b, const record *r, const address *where, const json *body, batch_row *row,
                    const char **ret_why) {
    msg_value values[ROW_COLUMNS_MAX];
    const json *offline = json_get(body, "offline");
    text id = json_get_string(body, "id"), ts = json_get_string(body, "ts");
    text actor = record_actor(r, json_get_string(body, "by"));
    row_common common = {.received_at = r->received_at, .org = where->org, .sender = actor};
    common.node = text_of(b->node);
    common.offline = json_kind_of(offline) == JSON_BOOL && json_boolean(offline);
    if (!id.ptr || uuid_parse(id, &common.id) < 0)
        return refused("the payload has no proper 'id'", ret_why);
    if (!ts.ptr || instant_parse(ts, &common.at) < 0)
        return refused("the payload has no proper 'ts'", ret_why);
    batch_lane *lane = lane_of(b, row->type);
    if (!lane || row->type->column_count > ROW_COLUMNS_MAX)
        return refused("messages of this type are not stored", ret_why);
    buf_clear(&b->scratch);
    int r_bind = msg_bind(row->type, body, where, actor, &b->scratch, values);
    if (r_bind == -ENOMEM)
        return OUTCOME_FAULT;
    if (r_bind < 0)
        return refused("the payload does not fit its type", ret_why);
    return encode(b, lane, &common, values, row);
}

static outcome understand(batch *b, text body_bytes, batch_row *row, const char **ret_why) {
    record r;
    address where;
    CLEANUP(json_freep) json *body = NULL;
    if (record_decode(body_bytes, &r) < 0)
        return refused("not a record", ret_why);
    b->last_received_at = r.received_at;
    if (!address_parse(r.topic, &where) || !text_equal(where.org, r.org))
        return refused("the topic is not an address of the sender's organisation", ret_why);
    row->type = msg_type_at(&where);
    if (!row->type)
        return refused("no message type has this topic", ret_why);
    row->repeat = (r.flags & RECORD_REPEAT) != 0;
    b->hurry = b->hurry || row->type->sync || row->type->urgent;
    json_verdict verdict = json_parse(b->parser, r.payload, &body, NULL);
    if (verdict == JSON_NO_MEMORY)
        return OUTCOME_FAULT;
    if (verdict != JSON_OK)
        return refused(json_verdict_name(verdict), ret_why);
    return bind(b, &r, &where, body, row, ret_why);
}

int batch_add(batch *b, const journal_entry *entry) {
    batch_row row = {.seq = entry->seq};
    const char *why = "";
    size_t raw_before = b->raw.len;
    outcome how = understand(b, entry->body, &row, &why);
    if (how != OUTCOME_REPEAT && how != OUTCOME_FAULT) {
        row.raw_at = raw_before;
        row.raw_len = entry->body.len;
        buf_add_text(&b->raw, entry->body);
        if (buf_failed(&b->raw) < 0)
            how = OUTCOME_FAULT;
    }
    switch (how) {
    case OUTCOME_FAULT:
        return -ENOMEM; /* the caller gives the whole batch up and reads it again */
    case OUTCOME_REPEAT:
        b->repeats++;
        break;
    case OUTCOME_REFUSED:
        batch_refuse(&row, why);
        b->rows[b->count++] = row;
        break;
    case OUTCOME_ROW:
        row.fate = BATCH_FRESH;
        b->rows[b->count++] = row;
        seen_note(b->seen, &row.id, row.digest);
        break;
    }
    b->last_seq = entry->seq;
    return 0;
}
