/* membership.c - see membership.h.
 *
 * Two hash tables (uthash): places, keyed by what names them, and members, keyed by (place, person). Members
 * of one place are also a list, so that clearing it costs what it holds and no more; a place goes away with
 * its last member. Every entry is one allocation with its key at its end. So a question costs two look-ups,
 * however large an incident or a room has grown, and none when the place is unknown.
 *
 * Hashes are keyed (topic_hash) by the table's own address, which clients can't know: ids come from devices,
 * and nobody shall be able to choose ids that make one long chain. */
#define HASH_NONFATAL_OOM 1 /* a failed add leaves the table as it was, and hh.tbl of the new entry NULL */
#include "core/membership.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>
#include "core/decisions.h"

/* family letter, org, '/', id: neither holds a '/', so no two places share a key */
#define PLACE_KEY_MAX  (1 + TOPIC_LEVEL_MAX + 1 + TOPIC_LEVEL_MAX)
#define MEMBER_KEY_MAX (sizeof(void *) + TOPIC_LEVEL_MAX)

typedef struct place place;

typedef struct member {
    UT_hash_handle hh;
    struct member *prev, *next; /* in the same place */
    relation relation;
    char key[]; /* the place's address, the person */
} member;

struct place {
    UT_hash_handle hh;
    member *members; /* never NULL once in the table */
    char key[];
};

struct membership {
    place *places;
    member *members;
    size_t count, limit;
    uint64_t generation;
};

typedef struct key {
    size_t len;
    unsigned hash;
    char bytes[PLACE_KEY_MAX > MEMBER_KEY_MAX ? PLACE_KEY_MAX : MEMBER_KEY_MAX];
} key;

static const char *const relation_names[] = {
    [RELATION_NONE] = "none",       [RELATION_RAISER] = "raiser", [RELATION_ASSIGNED] = "assigned",
    [RELATION_INVITED] = "invited", [RELATION_FAMILY] = "family", [RELATION_MEMBER] = "member",
    [RELATION_FORMER] = "former",   [RELATION_PAST] = "past",
};

const char *relation_name(relation r) {
    return (size_t)r < ARRAY_LEN(relation_names) ? relation_names[r] : relation_names[RELATION_NONE];
}

relation relation_named(text name) {
    for (size_t i = RELATION_NONE + 1; i < ARRAY_LEN(relation_names); i++)
        if (text_equal(name, text_of(relation_names[i])))
            return (relation)i;
    return RELATION_NONE;
}

membership *membership_new(size_t limit) {
    membership *m = calloc(1, sizeof *m);
    if (m)
        m->limit = limit;
    return m;
}

static void key_seal(const membership *m, key *k) {
    k->hash = (unsigned)topic_hash((text){k->bytes, k->len}, (uint64_t)(uintptr_t)m);
}

static void key_add(key *k, const void *bytes, size_t len) {
    memcpy(k->bytes + k->len, bytes, len);
    k->len += len;
}

static bool fits_level(text t) {
    return t.len >= 1 && t.len <= TOPIC_LEVEL_MAX;
}

/* False for what can't be the name of a place; lengths are what memory safety needs, the rest is for add. */
static bool place_key(const membership *m, text org, address_family family, text id, key *ret_key) {
    if ((family != ADDRESS_ALERT && family != ADDRESS_ROOM) || !fits_level(org) || !fits_level(id))
        return false;
    ret_key->len = 0;
    key_add(ret_key, family == ADDRESS_ALERT ? "a" : "r", 1);
    key_add(ret_key, org.ptr, org.len);
    key_add(ret_key, "/", 1);
    key_add(ret_key, id.ptr, id.len);
    key_seal(m, ret_key);
    return true;
}

static void member_key(const membership *m, const place *p, text person, key *ret_key) {
    ret_key->len = 0;
    key_add(ret_key, &p, sizeof p);
    key_add(ret_key, person.ptr, person.len);
    key_seal(m, ret_key);
}

static place *find_place(const membership *m, const key *k) {
    place *found;
    HASH_FIND_BYHASHVALUE(hh, m->places, k->bytes, k->len, k->hash, found);
    return found;
}

static member *find_member(const membership *m, const key *k) {
    member *found;
    HASH_FIND_BYHASHVALUE(hh, m->members, k->bytes, k->len, k->hash, found);
    return found;
}

static place *find(const membership *m, text org, address_family family, text id, text person,
                   member **ret_member) {
    key k;
    if (!fits_level(person) || !place_key(m, org, family, id, &k))
        return NULL;
    place *p = find_place(m, &k);
    if (!p)
        return NULL;
    member_key(m, p, person, &k);
    *ret_member = find_member(m, &k);
    return p;
}

static void drop_member(membership *m, place *p, member *gone) {
    DL_DELETE(p->members, gone);
    /* it is in the table. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    HASH_DELETE(hh, m->members, gone);
    free(gone);
    m->count--;
    m->generation++;
}

static void drop_place_if_empty(membership *m, place *p) {
    if (p->members)
        return;
    HASH_DELETE(hh, m->places, p);
    free(p);
}

static place *make_place(membership *m, const key *k) {
    place *p = malloc(sizeof *p + k->len);
    if (!p)
        return NULL;
    p->members = NULL;
    memcpy(p->key, k->bytes, k->len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->places, p->key, k->len, k->hash, p);
    if (!p->hh.tbl) {
        free(p);
        return NULL;
    }
    return p;
}

static int make_member(membership *m, place *p, text person, relation r) {
    key k;
    member_key(m, p, person, &k);
    member *new = malloc(sizeof *new + k.len);
    if (!new)
        return -ENOMEM;
    new->relation = r;
    memcpy(new->key, k.bytes, k.len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->members, new->key, k.len, k.hash, new);
    if (!new->hh.tbl) {
        free(new);
        return -ENOMEM;
    }
    DL_PREPEND(p->members, new);
    m->count++;
    m->generation++;
    return 0;
}

/* What somebody is who raised the incident. */
static bool is_raisers(relation r) {
    return r == RELATION_RAISER || r == RELATION_FORMER || r == RELATION_PAST;
}

static int replace_relation(membership *m, member *old, relation r) {
    bool stays = is_raisers(old->relation) && !is_raisers(r);
    if (old->relation != r && !stays) {
        old->relation = r;
        m->generation++;
    }
    return 0;
}

int membership_add(membership *m, text org, address_family family, text id, text person, relation r) {
    key k;
    if (!topic_level_valid(org) || !topic_level_valid(id) || !topic_level_valid(person) ||
        r == RELATION_NONE || !place_key(m, org, family, id, &k))
        return -EINVAL;
    member *old = NULL;
    place *p = find(m, org, family, id, person, &old);
    if (old)
        return replace_relation(m, old, r);
    if (m->count >= m->limit)
        return -ENOSPC;
    if (!p)
        p = make_place(m, &k);
    if (!p)
        return -ENOMEM;
    int fault = make_member(m, p, person, r);
    drop_place_if_empty(m, p);
    return fault;
}

void membership_remove(membership *m, text org, address_family family, text id, text person) {
    member *gone = NULL;
    place *p = find(m, org, family, id, person, &gone);
    if (!p || !gone)
        return;
    drop_member(m, p, gone);
    drop_place_if_empty(m, p);
}

void membership_clear(membership *m, text org, address_family family, text id) {
    key k;
    place *p = place_key(m, org, family, id, &k) ? find_place(m, &k) : NULL;
    if (!p)
        return;
    while (p->members)
        drop_member(m, p, p->members);
    drop_place_if_empty(m, p);
}

relation membership_of(const membership *m, text org, address_family family, text id, text person) {
    member *found = NULL;
    (void)find(m, org, family, id, person, &found);
    return found ? found->relation : RELATION_NONE;
}

bool membership_any(const membership *m, text org, address_family family, text id) {
    key k;
    return place_key(m, org, family, id, &k) && find_place(m, &k);
}

static int visit_place(const place *p, membership_visit visit, void *context) {
    address_family family = p->key[0] == 'a' ? ADDRESS_ALERT : ADDRESS_ROOM;
    text id = {p->key + 1, p->hh.keylen - 1}, org;
    (void)text_next(&id, '/', &org);
    for (const member *who = p->members; who; who = who->next) {
        text person = {who->key + sizeof p, who->hh.keylen - sizeof p};
        int stop = visit(context, org, family, id, person, who->relation);
        if (stop != 0)
            return stop;
    }
    return 0;
}

int membership_each(const membership *m, membership_visit visit, void *context) {
    for (const place *p = m->places; p; p = p->hh.next) {
        int stop = visit_place(p, visit, context);
        if (stop != 0)
            return stop;
    }
    return 0;
}

size_t membership_count(const membership *m) {
    return m->count;
}

uint64_t membership_generation(const membership *m) {
    return m->generation;
}

membership *membership_free(membership *m) {
    if (!m)
        return NULL;
    member *who, *next_member;
    HASH_ITER(hh, m->members, who, next_member) {
        HASH_DELETE(hh, m->members, who);
        free(who);
    }
    place *where, *next_place;
    HASH_ITER(hh, m->places, where, next_place) {
        HASH_DELETE(hh, m->places, where);
        free(where);
    }
    free(m);
    return NULL;
}
