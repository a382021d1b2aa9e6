/* Two filters and a name, parted by newlines: what contains and what matches must agree, and validity must be
 * the same question for a name and for a filter that has no wildcard. */
#include <stdlib.h>
#include <string.h>
#include "core/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static void check_one(text t) {
    address a;
    text bare;
    bool wild = t.len > 0 && (memchr(t.ptr, '+', t.len) || memchr(t.ptr, '#', t.len));
    if (topic_filter_valid(t)) {
        require(topic_unshare(t, &bare) && bare.len > 0);
        require(topic_contains(bare, bare));
        require(wild == !topic_name_valid(t));
    }
    if (address_parse(t, &a))
        require(topic_name_valid(t) && a.family != ADDRESS_NONE && topic_level_valid(a.id));
}

static void check_pair(text outer, text inner, text name) {
    text a = {0}, b = {0};
    if (!topic_filter_valid(outer) || !topic_filter_valid(inner) || !topic_name_valid(name))
        return;
    require(topic_unshare(outer, &a) && topic_unshare(inner, &b));
    if (topic_contains(a, b) && topic_matches(b, name))
        require(topic_matches(a, name));
    /* a filter without wildcards is a name, and containing it is matching it */
    if (topic_name_valid(b))
        require(topic_contains(a, b) == topic_matches(a, b));
    if (topic_contains(a, b) && topic_contains(b, a))
        require(topic_matches(a, name) == topic_matches(b, name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    text rest = {(const char *)data, size}, parts[3] = {0};
    for (size_t i = 0; i < ARRAY_LEN(parts) && text_next(&rest, '\n', &parts[i]); i++)
        check_one(parts[i]);
    check_pair(parts[0], parts[1], parts[2]);
    check_pair(parts[1], parts[0], parts[2]);
    return 0;
}
