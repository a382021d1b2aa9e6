/* plan_file.c - see plan_file.h. */
#include "plan_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"

#define PLAN_FILE_MAX (4 << 20)

void plan_file_release(plan_file *p) {
    p->body = json_free(p->body);
    p->parsed = plan_free(p->parsed);
    free(p->printed);
    p->printed = NULL;
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

int plan_file_read(const command *c, const settings *conf, const char *path, plan_file *ret_plan) {
    plan_file p = {0};
    int code = document_read(c, conf, path, "plan", &p.body);
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
    int code = document_parse(c, name, body, &p.body);
    if (code == EXIT_DONE)
        code = finish(c, name, &p);
    if (code == EXIT_DONE)
        *ret_plan = p;
    else
        plan_file_release(&p);
    return code;
}
