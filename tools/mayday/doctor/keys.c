/* keys.c - can tokens be verified with the configured keys? */
#include <string.h>

#include "core/token.h"
#include "doctor/check.h"

#define KEYS_FILE_MAX (1 << 20)

extern const check check_keys;

static void add_text(buf *to, const char *before, text t) {
    if (t.len)
        buf_printf(to, "%s%.*s", before, (int)t.len, t.ptr);
}

/* "EC ES256, OKP" */
static void list_types(text jwks, buf *to) {
    CLEANUP(json_freep) json *set = NULL;
    if (json_parse_once(jwks, &set) != JSON_OK)
        return;
    const json *keys = json_get(set, "keys");
    for (size_t i = 0; i < json_length(keys); i++) {
        add_text(to, i ? ", " : "", json_get_string(json_at(keys, i), "kty"));
        add_text(to, " ", json_get_string(json_at(keys, i), "alg"));
    }
}

static void run(doctor *d) {
    static const char *const remedy =
        "Make keys with 'mayday keys new', or put the JWK Set of whoever issues "
        "the tokens there.";
    const char *path = d->conf.keys_file ? d->conf.keys_file : "";
    CLEANUP(buf_release) buf file = BUF(KEYS_FILE_MAX);
    CLEANUP(buf_release) buf types = BUF(4096);
    CLEANUP(keyset_freep) keyset *keys = NULL;
    char why[TOKEN_WHY_MAX] = "";
    int fault = file_read(path, KEYS_FILE_MAX, &file);
    if (fault < 0) {
        found(d, FINDING_FAIL, remedy, "%s cannot be read: %s", path, strerror(-fault));
    } else if (keyset_parse(buf_text(&file), &keys, why) < 0) {
        found(d, FINDING_FAIL, remedy, "%s: %s", path, *why ? why : "out of memory");
    } else if (keyset_count(keys) == 0) {
        found(d, FINDING_FAIL, remedy, "%s holds no key: nobody can connect", path);
    } else {
        list_types(buf_text(&file), &types);
        found(d, FINDING_OK, NULL, "%zu in %s: %s", keyset_count(keys), path, types.ptr ? types.ptr : "");
    }
}

const check check_keys = {.name = "keys", .needs_conf = true, .run = run};
