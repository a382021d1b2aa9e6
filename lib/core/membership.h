/* membership.h - who belongs to which incident and room, in memory.
 * Pure. Threads: belongs to one thread (in the plugin: the broker's). Copies every text it keeps.
 * Bounded: at most `limit` memberships; beyond that membership_add() says -ENOSPC. */
#ifndef MAYDAY_CORE_MEMBERSHIP_H
#define MAYDAY_CORE_MEMBERSHIP_H

#include "core/topic.h"

typedef struct membership membership;

typedef enum relation {
    RELATION_NONE = 0,
    RELATION_RAISER,
    RELATION_ASSIGNED,
    RELATION_INVITED,
    RELATION_FAMILY, /* sees state and location only: {family} in the policy, never {member} */
    RELATION_MEMBER, /* of a room */
    RELATION_FORMER, /* raised it and canceled it: sees state only, {former} in the policy, never {member} */
    RELATION_PAST,   /* a former raiser after the grace: sees nothing, and is not {other} either */
} relation;

const char *relation_name(relation r); /* "raiser", ... */
relation relation_named(text name);    /* RELATION_NONE when unknown */

NODISCARD membership *membership_new(size_t limit); /* NULL when memory is short */
membership *membership_free(membership *m);
DEFINE_CLEANUP(membership, membership_free)

/* `family`: ADDRESS_ALERT or ADDRESS_ROOM. Adding again replaces the relation, but raiser, former
 * and past give way to each other alone. Returns 0 (also when nothing changed), -ENOMEM, -ENOSPC, or
 * -EINVAL for another family, RELATION_NONE, or a text that topic_level_valid() refuses. */
NODISCARD int membership_add(membership *m, text org, address_family family, text id, text person,
                             relation r);
void membership_remove(membership *m, text org, address_family family, text id, text person);
void membership_clear(membership *m, text org, address_family family, text id); /* everyone leaves */

relation membership_of(const membership *m, text org, address_family family, text id, text person);
bool membership_any(const membership *m, text org, address_family family, text id); /* does anyone belong? */

/* Calls `visit` for every membership, in no particular order; stops when it returns non-zero, and returns
 * that. */
typedef int (*membership_visit)(void *context, text org, address_family family, text id, text person,
                                relation r);
int membership_each(const membership *m, membership_visit visit, void *context);

size_t membership_count(const membership *m);
uint64_t
membership_generation(const membership *m); /* grows with every change; decisions made before are stale */

#endif
