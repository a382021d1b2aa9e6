/* json.h - strict JSON (RFC 8259), read and written through json-c, which only json.c sees.
 *
 * Stricter than json-c: the text must be well-formed UTF-8, without raw control characters in strings,
 * without duplicate member names, without NaN or Infinity, one value and nothing behind it, and nested at
 * most `depth` deep. A value is a tree; the root owns all of it, everything else is borrowed from it.
 * Threads: a tree may be read by several threads as long as none changes it. A parser belongs to one thread.
 */
#ifndef MAYDAY_BASE_JSON_H
#define MAYDAY_BASE_JSON_H

#include "base/buf.h"

typedef struct json_object json; /* opaque; JSON null is a NULL pointer */

typedef enum json_kind {
    JSON_NULL = 0,
    JSON_BOOL,
    JSON_INTEGER, /* written without fraction or exponent, and fits int64_t */
    JSON_NUMBER,  /* any other number */
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
} json_kind;

typedef enum json_verdict {
    JSON_MALFORMED = 0,
    JSON_OK,
    JSON_NOT_UTF8,
    JSON_TOO_DEEP,
    JSON_DUPLICATE_MEMBER,
    JSON_NO_MEMORY,
} json_verdict;

const char *json_verdict_name(json_verdict verdict);

typedef struct json_parser json_parser;

/* `depth`: the most arrays and objects inside each other, 1 to 128. NULL when memory is short. */
NODISCARD json_parser *json_parser_new(int depth);
json_parser *json_parser_free(json_parser *parser); /* takes NULL, returns NULL */
DEFINE_CLEANUP(json_parser, json_parser_free)

/* Borrows `t` during the call. On JSON_OK *ret_root is the caller's, to json_free(); it is NULL for `null`.
 * On JSON_MALFORMED *ret_offset, when asked for, is the byte the parse stopped at. */
NODISCARD json_verdict json_parse(json_parser *parser, text t, json **ret_root, size_t *ret_offset);

/* The same with a parser of its own, 64 deep: for configuration and tools. */
NODISCARD json_verdict json_parse_once(text t, json **ret_root);

json *json_free(json *root); /* takes NULL, returns NULL */
DEFINE_CLEANUP(json, json_free)

json_kind json_kind_of(const json *value);
bool json_boolean(const json *value);
int64_t json_integer(const json *value); /* of JSON_INTEGER */
double json_number(const json *value);   /* of JSON_INTEGER or JSON_NUMBER */
text json_string(const json *value); /* of JSON_STRING, may hold NUL bytes; otherwise empty with NULL ptr */

size_t json_length(const json *value); /* elements of an array, members of an object, otherwise 0 */
const json *json_at(const json *array, size_t index);

/* False when `object` is no object or has no such member; a member that is null gives true and NULL. */
bool json_member(const json *object, const char *name, const json **ret_value);
const json *json_get(const json *object, const char *name); /* NULL when absent or null */
text json_get_string(const json *object, const char *name); /* NULL ptr when absent or not a string */

/* Calls `visit` for each member, in the order of the text; stops when it returns non-zero and returns that.
 * Member names are NUL-terminated (a name that holds a NUL is refused by the parser as JSON_MALFORMED). */
typedef int (*json_visit)(void *context, const char *name, const json *value);
int json_each(const json *object, json_visit visit, void *context);

bool json_same(const json *a,
               const json *b); /* equal as JSON Schema has it: 1 equals 1.0, members in any order */

/* Building. Each returns NULL when memory is short. */
NODISCARD json *json_new_object(void);
NODISCARD json *json_new_array(void);
NODISCARD json *json_new_string(text t);
NODISCARD json *json_new_integer(int64_t value);
NODISCARD json *json_new_number(double value);
NODISCARD json *json_new_bool(bool value);
NODISCARD json *
json_share(const json *value); /* one more owner of the same tree; never change it afterwards */

/* Take `value` over, whatever they return; a NULL value is the failure of the call that made it.
 * Return 0 or -ENOMEM. */
NODISCARD int json_put(json *object, const char *name, json *value);
NODISCARD int json_append(json *array, json *value);

/* The compact form, or one for people. The fault, if any, stays in the buffer. */
void json_print(const json *value, buf *to);
void json_print_pretty(const json *value, buf *to);

#endif
