/* load_bury.c - dead letters: what was accepted and cannot be stored is kept with the reason. PINs are not:
 * they are taken out of the payload, and where that cannot be done the payload is withheld. */
#include "store/load_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Texts of a record that could not be understood may be anything; the database takes only UTF-8 without NUL.
 */
static const char *safe(text t, buf *to) {
    if (!t.ptr || !text_is_utf8(t) || memchr(t.ptr, '\0', t.len))
        return NULL;
    buf_add_text(to, t);
    return to->ptr;
}

#define PAYLOAD_DEPTH 64
#define WITHHELD      "(withheld: it may have held a PIN)"

static bool is_pin(const char *member) {
    static const char *const pins[] = {"pin", "duress_pin", "current_pin"};
    for (size_t i = 0; i < ARRAY_LEN(pins); i++)
        if (strcmp(member, pins[i]) == 0)
            return true;
    return false;
}

static int keep_unless_pin(void *context, const char *name, const json *value) {
    return is_pin(name) ? 0 : json_put(context, name, json_share(value));
}

/* The payload without its PINs. */
static int add_harmless(json_parser *parser, text payload, buf *to) {
    CLEANUP(json_freep) json *body = NULL;
    json_verdict verdict = json_parse(parser, payload, &body, NULL);
    if (verdict == JSON_NO_MEMORY)
        return -ENOMEM;
    if (verdict != JSON_OK || json_kind_of(body) != JSON_OBJECT) {
        buf_add_text(to, TEXT(WITHHELD));
        return 0;
    }
    CLEANUP(json_freep) json *rest = json_new_object();
    if (!rest || json_each(body, keep_unless_pin, rest) < 0)
        return -ENOMEM;
    json_print(rest, to);
    return 0;
}

static void add_hex(buf *to, text bytes) {
    static const char digits[] = "0123456789abcdef";
    buf_add_text(to, TEXT("\\x"));
    char *at = buf_extend(to, bytes.len * 2);
    for (size_t i = 0; at && i < bytes.len; i++) {
        at[2 * i] = digits[(unsigned char)bytes.ptr[i] >> 4];
        at[2 * i + 1] = digits[(unsigned char)bytes.ptr[i] & 15];
    }
}

static pg_verdict bury(load *l, const batch_row *row) {
    static const char sql[] =
        "INSERT INTO mayday.dead_letter (journal, seq, node, received_at, org, sender, topic,"
        " payload, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, 'refused')) ON CONFLICT DO "
        "NOTHING";
    CLEANUP(buf_release)
    buf org = BUF(1 << 16), sender = BUF(1 << 16), topic = BUF(1 << 16), why = BUF(1 << 16);
    CLEANUP(buf_release)
    buf payload = BUF(JOURNAL_RECORD_MAX * 2 + 16), harmless = BUF(JOURNAL_RECORD_MAX * 2);
    char seq[24], at[INSTANT_TEXT_LEN + 1];
    record r = {0};
    bool known = record_decode(batch_raw(l->b, row), &r) == 0;
    (void)snprintf(seq, sizeof seq, "%" PRIu64, row->seq);
    if (known)
        instant_format(r.received_at, at);
    if (known && row->type && row->type->secret) {
        if (add_harmless(l->b->parser, r.payload, &harmless) < 0 || buf_failed(&harmless) < 0)
            return PG_RETRY;
        r.payload = buf_text(&harmless);
    }
    add_hex(&payload, known ? r.payload : batch_raw(l->b, row));
    const char *params[] = {l->journal,
                            seq,
                            l->b->node,
                            known ? at : NULL,
                            safe(r.org, &org),
                            safe(r.sender, &sender),
                            safe(r.topic, &topic),
                            payload.ptr,
                            safe(text_of(row->why), &why)};
    if (buf_failed(&payload) < 0)
        return PG_RETRY;
    return pg_query(l->c, sql, ARRAY_LEN(params), params, NULL);
}

pg_verdict load_bury(load *l) {
    pg_verdict verdict = PG_DONE;
    for (size_t i = 0; verdict == PG_DONE && i < l->b->count; i++)
        if (l->b->rows[i].fate == BATCH_REFUSED)
            verdict = bury(l, &l->b->rows[i]);
    return verdict;
}
