/* plan_file.h - an escalation plan as somebody wrote it: read, and checked by its schema and by plan_parse().
 * Threads: one. */
#ifndef MAYDAY_TOOLS_PLAN_FILE_H
#define MAYDAY_TOOLS_PLAN_FILE_H

#include "command.h"
#include "core/plan.h"

typedef struct plan_file {
    json *body;
    plan *parsed;
    char *printed; /* the compact JSON, for the database */
} plan_file;

void plan_file_release(plan_file *p); /* fits CLEANUP */

/* An exit code; complains itself, naming the place: "night.json: policies[1].levels[0].after: ...". The
 * schema is [messages] schema_dir's. */
NODISCARD int plan_file_read(const command *c, const settings *conf, const char *path, plan_file *ret_plan);

/* The same of a plan the database has. `name` is what to call it in complaints. */
NODISCARD int plan_file_parse(const command *c, const char *name, text body, plan_file *ret_plan);

#endif
