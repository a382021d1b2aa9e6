/* schema_pointer.c - where a "$ref" leads inside its own schema. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "msg/schema_compiler.h"

/* `token` as it stands in a URI fragment: percent-encoded, then ~1 for / and ~0 for ~. */
static int unescape_token(text token, char *to) {
    size_t len = 0;
    for (size_t i = 0; i < token.len; i++) {
        char c = token.ptr[i];
        if (c == '%') {
            char hex[3] = {0};
            char *end = hex;
            if (i + 2 < token.len) {
                memcpy(hex, token.ptr + i + 1, 2);
                c = (char)strtoul(hex, &end, 16);
            }
            if (end != hex + 2 || c == '\0')
                return -EBADMSG;
            i += 2;
        }
        to[len++] = c;
    }
    size_t out = 0;
    for (size_t i = 0; i < len; i++) {
        bool escape = to[i] == '~';
        if (escape && (i + 1 == len || (to[i + 1] != '0' && to[i + 1] != '1')))
            return -EBADMSG;
        to[out++] = (char)(escape ? (to[i + 1] == '0' ? '~' : '/') : to[i]);
        i += escape;
    }
    to[out] = '\0';
    return 0;
}

bool schema_follow(const json *root, text pointer, const json **ret_value) {
    text rest = pointer, token;
    char name[256];
    if (pointer.len == 0) {
        *ret_value = root;
        return true;
    }
    (void)text_next(&rest, '/', &token); /* what stands before the first slash: nothing */
    while (text_next(&rest, '/', &token)) {
        int64_t index = 0;
        if (token.len >= sizeof name || unescape_token(token, name) < 0)
            return false;
        if (json_kind_of(root) == JSON_ARRAY) {
            if (text_to_i64(text_of(name), 0, INT64_MAX, &index) < 0 || (size_t)index >= json_length(root))
                return false;
            root = json_at(root, (size_t)index);
        } else if (!json_member(root, name, &root)) {
            return false;
        }
    }
    *ret_value = root;
    return true;
}
