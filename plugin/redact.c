/* redact.c - see redact.h. */
#include "plugin/redact.h"

#include <errno.h>
#include <string.h>

static const char *const secrets[] = {"pin", "duress_pin", "current_pin"};

static bool is_secret(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        if (strcmp(name, secrets[i]) == 0)
            return true;
    return false;
}

static bool holds_any(const json *body) {
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        if (json_member(body, secrets[i], &(const json *){NULL}))
            return true;
    return false;
}

static int keep(void *context, const char *name, const json *value) {
    return is_secret(name) ? 0 : json_put(context, name, json_share(value));
}

bool redact(const msg_type *type, const json *body, buf *to) {
    if (!type->secret || !holds_any(body))
        return false;
    CLEANUP(json_freep) json *shown = json_new_object();
    /* Whoever hears an answer must know that it may not count: whether it does is judged when it is stored.
     */
    bool marks = strcmp(type->name, "reply") == 0;
    if (!shown || json_each(body, keep, shown) != 0 ||
        (marks && json_put(shown, "pinned", json_new_bool(true)) < 0))
        to->fault = -ENOMEM;
    else
        json_print(shown, to);
    return true;
}
