/* vitals_tool.h - what the files of `mayday vitals` share. Threads: one. */
#ifndef MAYDAY_TOOLS_VITALS_TOOL_H
#define MAYDAY_TOOLS_VITALS_TOOL_H

#include "base/json.h"
#include "command.h"
#include "core/body.h"

extern const command command_vitals;

typedef struct vitals_options {
    const char *config_path, *database, *recording, *person, *roles; /* NULL: not said */
    int64_t hours;
    bool json, shipped;
} vitals_options;

/* Each returns an exit code, complaining itself. */
NODISCARD int vitals_show(const vitals_options *o, const char *org, const char *person);
NODISCARD int rules_show(const vitals_options *o, const char *org);
NODISCARD int rules_check(const settings *conf, const char *path);
NODISCARD int rules_set(const vitals_options *o, const settings *conf, const char *org, const char *path);
/* What the rules of a file (NULL: those that count for the organisation) would have made of a recording, or
 * of what somebody's sensors said lately. */
NODISCARD int rules_test(const vitals_options *o, const settings *conf, const char *org, const char *path);

/* The rules of a file, or with `path` NULL of an organisation, or with that NULL too, those that are shipped.
 * `ret_body` may be NULL. */
NODISCARD int rules_read(const settings *conf, const char *path, json **ret_body, body_rules **ret_rules);
NODISCARD int rules_of_document(const char *name, const json *document, body_rules **ret_rules);

#endif
