/* schema_read.c - a schema from its file; see schema.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/conf.h"
#include "msg/schema.h"

#define SCHEMA_FILE_MAX (1 << 20)

int schema_read(const char *path, schema **ret_schema, char ret_why[SCHEMA_READ_WHY_MAX]) {
    CLEANUP(buf_release) buf content = BUF(SCHEMA_FILE_MAX);
    CLEANUP(json_freep) json *root = NULL;
    char why[SCHEMA_WHY_MAX] = "out of memory";
    int fault = file_read(path, content.limit, &content);
    if (fault < 0) {
        (void)snprintf(ret_why, SCHEMA_READ_WHY_MAX, "%s: cannot be read: %s", path, strerror(-fault));
        return fault;
    }
    json_verdict verdict = json_parse_once(buf_text(&content), &root);
    if (verdict != JSON_OK) {
        (void)snprintf(ret_why, SCHEMA_READ_WHY_MAX, "%s: is no JSON: %s", path, json_verdict_name(verdict));
        return verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG;
    }
    fault = schema_compile(root, ret_schema, why);
    if (fault < 0)
        (void)snprintf(ret_why, SCHEMA_READ_WHY_MAX, "%s: %s", path, why);
    return fault;
}
