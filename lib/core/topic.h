/* topic.h - MQTT topic names and filters, and the Mayday address a topic spells.
 * Pure; every text is borrowed. Names and filters are those of MQTT 5 section 4.7. */
#ifndef MAYDAY_CORE_TOPIC_H
#define MAYDAY_CORE_TOPIC_H

#include "base/text.h"

#define TOPIC_MAX       65535
#define TOPIC_LEVEL_MAX 128 /* of a level that names something: an organisation, a person, an incident */

bool topic_name_valid(text name); /* 1..65535 bytes of UTF-8, no '+', '#', NUL */
bool topic_filter_valid(
    text filter); /* wildcards only as whole levels, '#' last; also inside $share/<group>/ */
bool topic_level_valid(
    text level); /* what may name something: 1..128 bytes of UTF-8, no '/', '+', '#', control chars */

/* Does `filter` (no $share prefix) match the name? '#' matches the parent level; wildcards first match no
 * '$'. */
bool topic_matches(text filter, text name);

/* True containment: every name that `inner` could match is matched by `outer`. Both are valid filters without
 * a $share prefix. */
bool topic_contains(text outer, text inner);

/* The filter behind $share/<group>/, or the filter itself. False when the $share form is malformed. */
bool topic_unshare(text filter, text *ret_filter);

/* A topic under mayday/v1/: mayday/v1/<org>/<family>/<id>/<leaf>. */
typedef enum address_family {
    ADDRESS_NONE = 0,
    ADDRESS_ALERT,
    ADDRESS_USER,
    ADDRESS_ROLE,
    ADDRESS_ROOM,
    ADDRESS_ZONE,
    ADDRESS_GATEWAY,
    ADDRESS_NODE, /* a broker; the plugin's own records alone */
} address_family;

typedef struct address {
    address_family family;
    text org;
    text id;
    text leaf;
} address;

const char *address_family_name(address_family family); /* "alert", ... */

/* False when the name is no address: another root or version, an unknown family, missing or extra levels, a
 * level that topic_level_valid() refuses, or an alert whose id is not a canonical UUIDv7. */
NODISCARD bool address_parse(text name, address *ret_address);

#endif
