/* document.h - a document as somebody wrote it (a plan, rules of bodies): read, and checked by its schema.
 * Threads: one. */
#ifndef MAYDAY_TOOLS_DOCUMENT_H
#define MAYDAY_TOOLS_DOCUMENT_H

#include "base/json.h"
#include "command.h"

/* An exit code; complains itself, naming the place: "night.json: policies[1].levels[0].after: ...". `shape`:
 * the schema of that name in [messages] schema_dir/documents. */
NODISCARD int document_read(const command *c, const settings *conf, const char *path, const char *shape,
                            json **ret_body);

/* JSON alone. `name` is what to call it in complaints. */
NODISCARD int document_parse(const command *c, const char *name, text whole, json **ret_body);

#endif
