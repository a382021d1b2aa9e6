/* plan_file.c - see plan_file.h. */
#include "plan_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msg/schema.h"

#define PLAN_FILE_MAX (4 << 20)
#define DEPTH         16

void plan_file_release(plan_file *p) {
    p->body = json_free(p->body);
    p->parsed = plan_free(p->parsed);
    free(p->printed);
    p->printed = NULL;
}

/* Where a parse stopped, as editors count. */
static int complain_of_json(const command *c, const char *name, text whole, size_t offset, const char *what) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset && i < whole.len; i++) {
        column = whole.ptr[i] == '\n' ? 1 : column + 1;
        line += whole.ptr[i] == '\n';
    }
    return command_fail(c, EXIT_REFUSED, "%s:%zu:%zu: no JSON: %s", name, line, column, what);
}

static int parse_json(const command *c, const char *name, text whole, json **ret_body) {
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

/* The rest of a plan whose body is there. */
static int finish(const command *c, const char *name, plan_file *p) {
    char why[PLAN_WHY_MAX] = "";
    CLEANUP(buf_release) buf printed = BUF(PLAN_FILE_MAX);
    json_print(p->body, &printed);
    if (buf_failed(&printed) < 0)
        return command_fail(c, EXIT_REFUSED, "%s: too long", name);
    if (plan_parse(p->body, &p->parsed, why) < 0)
        return command_fail(c, EXIT_REFUSED, "%s: %s", name, *why ? why : "out of memory");
    p->printed = buf_steal(&printed);
    return EXIT_DONE;
}

static int check_schema(const command *c, const settings *conf, const char *name, const json *body) {
    CLEANUP(schema_freep) schema *shape = NULL;
    CLEANUP(buf_release) buf path = BUF(4096);
    char why[SCHEMA_READ_WHY_MAX] = "", where[SCHEMA_WHY_MAX] = "";
    buf_printf(&path, "%s/documents/plan.json", conf->schema_dir);
    if (buf_failed(&path) < 0 || schema_read(path.ptr, &shape, why) < 0)
        return command_fail(c, EXIT_REFUSED, "%s", *why ? why : "out of memory");
    if (!schema_accepts(shape, body, where))
        return command_fail(c, EXIT_REFUSED, "%s: %s", name, where);
    return EXIT_DONE;
}

int plan_file_read(const command *c, const settings *conf, const char *path, plan_file *ret_plan) {
    CLEANUP(buf_release) buf file = BUF(PLAN_FILE_MAX);
    plan_file p = {0};
    int fault = file_read(path, PLAN_FILE_MAX, &file);
    if (fault < 0)
        return command_fail(c, EXIT_REFUSED, "cannot read %s: %s", path, strerror(-fault));
    int code = parse_json(c, path, buf_text(&file), &p.body);
    if (code == EXIT_DONE)
        code = check_schema(c, conf, path, p.body);
    if (code == EXIT_DONE)
        code = finish(c, path, &p);
    if (code == EXIT_DONE)
        *ret_plan = p;
    else
        plan_file_release(&p);
    return code;
}

int plan_file_parse(const command *c, const char *name, text body, plan_file *ret_plan) {
    plan_file p = {0};
    int code = parse_json(c, name, body, &p.body);
    if (code == EXIT_DONE)
        code = finish(c, name, &p);
    if (code == EXIT_DONE)
        *ret_plan = p;
    else
        plan_file_release(&p);
    return code;
}
