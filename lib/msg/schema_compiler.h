/* schema_compiler.h - what schema_compile.c and schema_keywords.c share while a schema is made. */
#ifndef MAYDAY_MSG_SCHEMA_COMPILER_H
#define MAYDAY_MSG_SCHEMA_COMPILER_H

#include "msg/schema_private.h"

typedef struct compiler {
    schema *s;
    node *now; /* the node whose keywords are read */
    char *why;
} compiler;

/* Says what is wrong at `at` (NULL: at the root). Returns -EBADMSG. */
NODISCARD int schema_refuse(const compiler *c, const node *at, const char *format, ...) PRINTF_LIKE(3, 4);

/* The node of the subschema `source`: made now, unless a "$ref" already asked for it. It stands under
 * `keyword` of c->now, and there under `name`, or at `index` when that is not negative. */
NODISCARD int schema_node(compiler *c, const json *source, const char *keyword, const char *name,
                          int64_t index, const node **ret_node);

/* A json_visit over the members of the schema of c->now; `context` is the compiler. */
int schema_take_keyword(void *context, const char *name, const json *value);

/* Follows a JSON pointer (RFC 6901) as it stands in a URI fragment. False when it leads nowhere. */
bool schema_follow(const json *root, text pointer, const json **ret_value);

#endif
