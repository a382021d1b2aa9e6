/* audit_tool.h - what the actions of `mayday audit` share. */
#ifndef MAYDAY_TOOLS_AUDIT_TOOL_H
#define MAYDAY_TOOLS_AUDIT_TOOL_H

#include "command.h"
#include "core/audit.h"
#include "store/pg.h"

extern const command command_audit;

/* EXIT_DONE or EXIT_UNREACHABLE; complains itself. `conninfo` NULL: [database] admin. */
NODISCARD int audit_connect(const settings *conf, const char *conninfo, pg **ret_pg);

int audit_sql_failed(pg *c); /* complains; EXIT_UNREACHABLE */

int64_t audit_integer(const pg_rows *rows, size_t row, size_t column); /* 0 for null */

int audit_verify(const settings *conf, int argc, char **argv); /* argv[0] is "verify" */
int audit_export(const settings *conf, int argc, char **argv); /* argv[0] is "export" */

#endif
