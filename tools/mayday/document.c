/* document.c - see document.h. */
#include "document.h"

#include <string.h>

#include "msg/schema.h"

#define DOCUMENT_MAX (4 << 20)
#define DEPTH        16

/* Where a parse stopped, as editors count. */
static int complain_of_json(const command *c, const char *name, text whole, size_t offset, const char *what) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset && i < whole.len; i++) {
        column = whole.ptr[i] == '\n' ? 1 : column + 1;
        line += whole.ptr[i] == '\n';
    }
    return command_fail(c, EXIT_REFUSED, "%s:%zu:%zu: no JSON: %s", name, line, column, what);
}

int document_parse(const command *c, const char *name, text whole, json **ret_body) {
    CLEANUP(json_parser_freep) json_parser *parser = json_parser_new(DEPTH);
    size_t offset = 0;
    if (!parser)
        return command_fail(c, EXIT_REFUSED, "out of memory");
    json_verdict verdict = json_parse(parser, whole, ret_body, &offset);
    if (verdict == JSON_MALFORMED)
        return complain_of_json(c, name, whole, offset, "it cannot be read here");
    if (verdict != JSON_OK)
        return command_fail(c, EXIT_REFUSED, "%s: %s", name, json_verdict_name(verdict));
    return EXIT_DONE;
}

static int check_schema(const command *c, const settings *conf, const char *name, const char *shape_name,
                        const json *body) {
    CLEANUP(schema_freep) schema *shape = NULL;
    CLEANUP(buf_release) buf path = BUF(4096);
    char why[SCHEMA_READ_WHY_MAX] = "", where[SCHEMA_WHY_MAX] = "";
    buf_printf(&path, "%s/documents/%s.json", conf->schema_dir, shape_name);
    if (buf_failed(&path) < 0 || schema_read(path.ptr, &shape, why) < 0)
        return command_fail(c, EXIT_REFUSED, "%s", *why ? why : "out of memory");
    if (!schema_accepts(shape, body, where))
        return command_fail(c, EXIT_REFUSED, "%s: %s", name, where);
    return EXIT_DONE;
}

int document_read(const command *c, const settings *conf, const char *path, const char *shape,
                  json **ret_body) {
    CLEANUP(buf_release) buf file = BUF(DOCUMENT_MAX);
    json *body = NULL;
    int fault = file_read(path, DOCUMENT_MAX, &file);
    if (fault < 0)
        return command_fail(c, EXIT_REFUSED, "cannot read %s: %s", path, strerror(-fault));
    int code = document_parse(c, path, buf_text(&file), &body);
    if (code == EXIT_DONE)
        code = check_schema(c, conf, path, shape, body);
    if (code == EXIT_DONE)
        *ret_body = body;
    else
        (void)json_free(body);
    return code;
}
