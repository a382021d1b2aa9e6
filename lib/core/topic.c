/* topic.c - see topic.h. Everything walks level by level over the borrowed bytes; nothing is copied. */
#include "core/topic.h"

#include <string.h>
#include "base/uuid.h"

static bool is_plus(text level) {
    return level.len == 1 && level.ptr[0] == '+';
}

static bool is_hash(text level) {
    return level.len == 1 && level.ptr[0] == '#';
}

static bool starts_with_dollar(text t) {
    return t.len > 0 && t.ptr[0] == '$';
}

static bool has_byte(text t, char byte) {
    return t.len > 0 && memchr(t.ptr, byte, t.len) != NULL;
}

static bool bytes_valid(text t) {
    return t.len >= 1 && t.len <= TOPIC_MAX && !has_byte(t, '\0') && text_is_utf8(t);
}

bool topic_name_valid(text name) {
    return bytes_valid(name) && !has_byte(name, '+') && !has_byte(name, '#');
}

bool topic_unshare(text filter, text *ret_filter) {
    const text share = TEXT("$share/");
    if (!text_starts_with(filter, share)) {
        if (text_equal(filter, TEXT("$share")))
            return false;
        *ret_filter = filter;
        return true;
    }
    text group, rest = {filter.ptr + share.len, filter.len - share.len};
    (void)text_next(&rest, '/', &group);
    if (group.len == 0 || has_byte(group, '+') || has_byte(group, '#') || rest.len == 0)
        return false;
    *ret_filter = rest;
    return true;
}

bool topic_filter_valid(text filter) {
    text rest, level;
    if (!bytes_valid(filter) || !topic_unshare(filter, &rest))
        return false;
    while (text_next(&rest, '/', &level)) {
        if (is_plus(level))
            continue;
        if (is_hash(level))
            return rest.ptr == NULL;
        if (has_byte(level, '+') || has_byte(level, '#'))
            return false;
    }
    return true;
}

/* C0, DEL, and C1 as UTF-8 spells it (C2 80 to C2 9F). */
static bool has_control(text t) {
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.ptr[i];
        if (c < 0x20 || c == 0x7F)
            return true;
        if (c == 0xC2 && i + 1 < t.len && (unsigned char)t.ptr[i + 1] < 0xA0)
            return true;
    }
    return false;
}

bool topic_level_valid(text level) {
    return level.len >= 1 && level.len <= TOPIC_LEVEL_MAX && !has_byte(level, '/') && !has_byte(level, '+') &&
           !has_byte(level, '#') && !has_control(level) && text_is_utf8(level);
}

bool topic_matches(text filter, text name) {
    text want, have;
    if (starts_with_dollar(name) && !starts_with_dollar(filter))
        return false;
    while (text_next(&filter, '/', &want)) {
        if (is_hash(want))
            return true; /* also when the name has just ended: '#' matches the parent level */
        if (!text_next(&name, '/', &have))
            return false;
        if (!is_plus(want) && !text_equal(want, have))
            return false;
    }
    return name.ptr == NULL;
}

/* A filter's language is a product of levels, none of them empty, over an endless alphabet; so one filter
 * contains another exactly when it does so level by level. Two things break the symmetry. What begins with
 * '$' is out of a leading wildcard's reach. And '#' stands for no level at all only where that leaves a name:
 * the empty text is none, so "#" means "+/#" and "/#" means "/+/#", and "+/#" contains "#" though "a/+/#"
 * does not contain "a/#". */
bool topic_contains(text outer, text inner) {
    text wide, narrow;
    if (starts_with_dollar(inner) && !starts_with_dollar(outer))
        return false;
    if (is_hash(inner))
        inner = TEXT("+/#");
    else if (text_equal(inner, TEXT("/#")))
        inner = TEXT("/+/#");
    while (text_next(&outer, '/', &wide)) {
        if (is_hash(wide))
            return true;
        if (!text_next(&inner, '/', &narrow) || is_hash(narrow))
            return false;
        if (!is_plus(wide) && (is_plus(narrow) || !text_equal(wide, narrow)))
            return false;
    }
    return inner.ptr == NULL;
}

static const char *const family_names[] = {
    [ADDRESS_NONE] = "none",       [ADDRESS_ALERT] = "alert", [ADDRESS_USER] = "user",
    [ADDRESS_ROLE] = "role",       [ADDRESS_ROOM] = "room",   [ADDRESS_ZONE] = "zone",
    [ADDRESS_GATEWAY] = "gateway", [ADDRESS_NODE] = "node",
};

const char *address_family_name(address_family family) {
    return (size_t)family < ARRAY_LEN(family_names) ? family_names[family] : family_names[ADDRESS_NONE];
}

static address_family family_named(text name) {
    for (size_t i = ADDRESS_NONE + 1; i < ARRAY_LEN(family_names); i++)
        if (text_equal(name, text_of(family_names[i])))
            return (address_family)i;
    return ADDRESS_NONE;
}

static bool take_level(text *rest, text *ret_level) {
    return text_next(rest, '/', ret_level) && topic_level_valid(*ret_level);
}

bool address_parse(text name, address *ret_address) {
    const text root = TEXT("mayday/v1/");
    if (!text_starts_with(name, root))
        return false;
    text family, rest = {name.ptr + root.len, name.len - root.len};
    address a = {0};
    if (!take_level(&rest, &a.org) || !take_level(&rest, &family) || !take_level(&rest, &a.id) ||
        !take_level(&rest, &a.leaf) || rest.ptr)
        return false;
    a.family = family_named(family);
    if (a.family == ADDRESS_NONE || (a.family == ADDRESS_ALERT && !uuid_is_v7_text(a.id)))
        return false;
    *ret_address = a;
    return true;
}
