/* document.c - see document.h. */
#include "core/document.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int document_refuse(const complaint *d, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(d->why, d->room, format, args);
    va_end(args);
    return -EBADMSG;
}

void document_spell(char *place, size_t room, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(place, room, format, args);
    va_end(args);
}

typedef struct known {
    const char *const *names;
    size_t count;
    const char *stranger;
} known;

static int see_member(void *context, const char *name, const json *value) {
    known *k = context;
    (void)value;
    for (size_t i = 0; i < k->count; i++)
        if (strcmp(k->names[i], name) == 0)
            return 0;
    k->stranger = name;
    return 1;
}

int document_object(const complaint *d, const json *value, const char *place, const char *const *names,
                    size_t count) {
    known k = {names, count, NULL};
    const char *dot = *place ? ": " : "";
    if (json_kind_of(value) != JSON_OBJECT)
        return document_refuse(d, "%s%smust be an object", place, dot);
    if (json_each(value, see_member, &k) != 0)
        return document_refuse(d, "%s%sthere is no '%.40s' here", place, dot, k.stranger);
    return 0;
}

int document_truth(const complaint *d, const json *value, const char *place, const char *name,
                   bool *ret_value) {
    if (json_kind_of(value) != JSON_BOOL)
        return document_refuse(d, "%s.%s: must be true or false", place, name);
    *ret_value = json_boolean(value);
    return 0;
}
