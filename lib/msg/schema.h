/* schema.h - JSON Schema 2020-12, compiled once, then applied to many values.
 *
 * A schema that uses a keyword we do not support is refused by name, never half-applied. `format` is refused
 * too (write a `pattern`); annotations ($comment, title, description, default, examples, deprecated,
 * readOnly, writeOnly) are allowed. Pure. Threads: a compiled schema never changes; but its regular
 * expressions keep match space inside, so one compiled schema belongs to one thread at a time. */
#ifndef MAYDAY_MSG_SCHEMA_H
#define MAYDAY_MSG_SCHEMA_H

#include "base/json.h"

#define SCHEMA_WHY_MAX 256

typedef struct schema schema;

/* Keeps a share of `root`: the caller may free its own at once, but may not change the tree. Returns 0,
 * -ENOMEM, or -EBADMSG with ret_why naming the keyword and its place
 * ("/properties/lat: keyword 'contentEncoding' is not supported"). */
NODISCARD int schema_compile(const json *root, schema **ret_schema, char ret_why[SCHEMA_WHY_MAX]);
schema *schema_free(schema *s);
DEFINE_CLEANUP(schema, schema_free)

#define SCHEMA_READ_WHY_MAX 512

/* The same from a file, the only one this header reads. Returns 0 or a negative errno with ret_why a sentence
 * that names the file. */
NODISCARD int schema_read(const char *path, schema **ret_schema, char ret_why[SCHEMA_READ_WHY_MAX]);

/* True when `value` is valid. Otherwise ret_why (may be NULL) says where and what: "/lat: is above 90". It
 * never quotes the value itself, because it may be private. */
NODISCARD bool schema_accepts(const schema *s, const json *value, char ret_why[SCHEMA_WHY_MAX]);

#endif
