/* revocation.c - see revocation.h. One hash table, keyed by "<org>\n<kind>\n<value>": neither organisation
 * nor kind can hold a newline, so no two entries share a key. */
#include "core/revocation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define KEY_MAX 1024

typedef struct entry {
    UT_hash_handle hh;
    int64_t until;
    revocation_kind kind;
    size_t org_len;
    size_t value_at;
    size_t key_len;
    char key[];
} entry;

struct revocations {
    entry *table;
    size_t limit;
};

static const char *const names[] = {"", "jti", "sid", "sub"};

const char *revocation_kind_name(revocation_kind kind) {
    return names[kind];
}

revocation_kind revocation_kind_named(text name) {
    for (size_t i = 1; i < ARRAY_LEN(names); i++)
        if (text_equal(name, text_of(names[i])))
            return (revocation_kind)i;
    return REVOKE_NOTHING;
}

revocations *revocations_new(size_t limit) {
    revocations *r = calloc(1, sizeof *r);
    if (r)
        r->limit = limit;
    return r;
}

revocations *revocations_free(revocations *r) {
    if (r) {
        entry *e, *next;
        HASH_ITER(hh, r->table, e, next) {
            HASH_DEL(r->table, e);
            free(e);
        }
        free(r);
    }
    return NULL;
}

/* The length of the key, or 0 when it can't be one of ours. */
static size_t spell_key(text org, revocation_kind kind, text value, char key[KEY_MAX], size_t *ret_value_at) {
    size_t kind_len = strlen(names[kind]);
    size_t value_at = org.len + 1 + kind_len + 1;
    if (kind == REVOKE_NOTHING || value.len == 0 || org.len > KEY_MAX || value.len > KEY_MAX - value_at ||
        value_at + value.len > KEY_MAX)
        return 0;
    memcpy(key, org.ptr, org.len);
    key[org.len] = '\n';
    memcpy(key + org.len + 1, names[kind], kind_len);
    key[value_at - 1] = '\n';
    memcpy(key + value_at, value.ptr, value.len);
    *ret_value_at = value_at;
    return value_at + value.len;
}

static entry *find(const revocations *r, text org, revocation_kind kind, text value) {
    char key[KEY_MAX];
    size_t value_at = 0, len = spell_key(org, kind, value, key, &value_at);
    entry *found = NULL;
    if (len > 0)
        HASH_FIND(hh, r->table, key, len, found);
    return found;
}

int revocations_add(revocations *r, text org, revocation_kind kind, text value, int64_t until) {
    entry *known = find(r, org, kind, value);
    if (known) {
        known->until = until;
        return 0;
    }
    char key[KEY_MAX];
    size_t value_at = 0, len = spell_key(org, kind, value, key, &value_at);
    if (len == 0)
        return -EINVAL;
    if (HASH_COUNT(r->table) >= r->limit)
        return -ENOSPC;
    entry *e = calloc(1, sizeof *e + len);
    if (!e)
        return -ENOMEM;
    e->until = until;
    e->kind = kind;
    e->org_len = org.len;
    e->value_at = value_at;
    e->key_len = len;
    memcpy(e->key, key, len);
    HASH_ADD_KEYPTR(hh, r->table, e->key, len, e);
    if (!e->hh.tbl) {
        free(e);
        return -ENOMEM;
    }
    return 0;
}

bool revocations_remove(revocations *r, text org, revocation_kind kind, text value) {
    entry *e = find(r, org, kind, value);
    if (!e)
        return false;
    HASH_DEL(r->table, e);
    free(e);
    return true;
}

bool revocations_find(const revocations *r, text org, revocation_kind kind, text value, int64_t *ret_until) {
    const entry *e = find(r, org, kind, value);
    if (e)
        *ret_until = e->until;
    return e != NULL;
}

static bool covers(const revocations *r, text org, revocation_kind kind, const char *value, int64_t now) {
    if (value[0] == '\0')
        return false;
    const entry *e = find(r, org, kind, text_of(value));
    return e && (e->until == 0 || e->until > now);
}

revocation_kind revocations_cover(const revocations *r, const claims *who, int64_t now) {
    text org = text_of(who->org);
    if (!r->table)
        return REVOKE_NOTHING;
    if (covers(r, org, REVOKE_SUBJECT, who->subject, now))
        return REVOKE_SUBJECT;
    if (covers(r, org, REVOKE_SESSION, who->session_id, now))
        return REVOKE_SESSION;
    return covers(r, org, REVOKE_TOKEN, who->token_id, now) ? REVOKE_TOKEN : REVOKE_NOTHING;
}

size_t revocations_count(const revocations *r) {
    return HASH_COUNT(r->table);
}

void revocations_purge(revocations *r, int64_t now) {
    entry *e, *next;
    HASH_ITER(hh, r->table, e, next) {
        if (e->until != 0 && e->until <= now) {
            HASH_DEL(r->table, e);
            free(e);
        }
    }
}

int revocations_each(const revocations *r, revocations_visit visit, void *context) {
    for (const entry *e = r->table; e; e = e->hh.next) {
        text org = {e->key, e->org_len}, value = {e->key + e->value_at, e->key_len - e->value_at};
        int stop = visit(context, org, e->kind, value, e->until);
        if (stop != 0)
            return stop;
    }
    return 0;
}
