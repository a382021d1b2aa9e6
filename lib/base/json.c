/* json.c - see json.h. The only file that knows json-c.
 *
 * json-c forgives some things and says nothing of duplicate names, so one pass over the text comes first: it
 * refuses what json-c would forgive, measures the depth and counts the colons that stand outside of strings.
 * Every member has one colon; when the tree holds fewer members than there were colons, a name came twice. */
#include "base/json.h"

#include <errno.h>
#include <float.h>
#include <json-c/json.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json_parser {
    struct json_tokener *tokener;
    int depth;
};

const char *json_verdict_name(json_verdict verdict) {
    switch (verdict) {
    case JSON_MALFORMED:
        return "malformed JSON";
    case JSON_OK:
        return "ok";
    case JSON_NOT_UTF8:
        return "not UTF-8";
    case JSON_TOO_DEEP:
        return "nested too deeply";
    case JSON_DUPLICATE_MEMBER:
        return "duplicate member name";
    case JSON_NO_MEMORY:
        return "out of memory";
    }
    return "unknown";
}

json_parser *json_parser_new(int depth) {
    json_parser *parser = calloc(1, sizeof *parser);
    if (!parser)
        return NULL;
    parser->depth = depth < 1 ? 1 : depth > 128 ? 128 : depth;
    parser->tokener = json_tokener_new_ex(parser->depth + 2);
    if (!parser->tokener)
        return json_parser_free(parser);
    json_tokener_set_flags(parser->tokener, JSON_TOKENER_STRICT);
    return parser;
}

json_parser *json_parser_free(json_parser *parser) {
    if (parser) {
        if (parser->tokener)
            json_tokener_free(parser->tokener);
        free(parser);
    }
    return NULL;
}

typedef struct survey {
    size_t colons;
    int depth;
} survey;

/* Inside a string: the index of its closing quote, or SIZE_MAX with *ret_bad at what is wrong. */
static size_t end_of_string(text t, size_t at, size_t *ret_bad) {
    for (size_t i = at; i < t.len; i++) {
        unsigned char c = (unsigned char)t.ptr[i];
        if (c == '"')
            return i;
        if (c < 0x20) {
            *ret_bad = i;
            return SIZE_MAX;
        }
        if (c == '\\')
            i++;
    }
    *ret_bad = t.len;
    return SIZE_MAX;
}

/* Does the string between two quotes, which look right, hold an escaped NUL? */
static bool holds_nul(text t) {
    for (size_t i = 0; i + 6 <= t.len; i++) {
        if (t.ptr[i] != '\\')
            continue;
        if (memcmp(t.ptr + i, "\\u0000", 6) == 0)
            return true;
        i++;
    }
    return false;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Is the string that ends with the quote at `at` the name of a member? */
static bool is_name(text t, size_t at) {
    do
        at++;
    while (at < t.len && is_space(t.ptr[at]));
    return at < t.len && t.ptr[at] == ':';
}

static size_t digits_at(text t, size_t at) {
    size_t end = at;
    while (end < t.len && t.ptr[end] >= '0' && t.ptr[end] <= '9')
        end++;
    return end;
}

static bool is_at(text t, size_t at, char a, char b) {
    return at < t.len && (t.ptr[at] == a || t.ptr[at] == b);
}

/* The index behind the number (RFC 8259 section 6) or literal that begins at `at`; `at` itself when there is
 * none. */
static size_t end_of_scalar(text t, size_t at) {
    static const text literals[] = {TEXT("true"), TEXT("false"), TEXT("null")};
    text rest = {t.ptr + at, t.len - at};
    for (size_t i = 0; i < ARRAY_LEN(literals); i++)
        if (text_starts_with(rest, literals[i]))
            return at + literals[i].len;
    size_t whole = is_at(t, at, '-', '-') ? at + 1 : at;
    size_t end = digits_at(t, whole);
    if (end == whole || (t.ptr[whole] == '0' && end - whole > 1))
        return at;
    if (is_at(t, end, '.', '.')) {
        size_t fraction = digits_at(t, end + 1);
        if (fraction == end + 1)
            return at;
        end = fraction;
    }
    if (is_at(t, end, 'e', 'E')) {
        size_t power = is_at(t, end + 1, '+', '-') ? end + 2 : end + 1;
        end = digits_at(t, power);
        if (end == power)
            return at;
    }
    return end;
}

static json_verdict look_over(text t, int max_depth, survey *ret_survey, size_t *ret_bad) {
    survey found = {0};
    int deepest = 0;
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.ptr[i];
        if (c == '"') {
            size_t start = i + 1;
            i = end_of_string(t, start, ret_bad);
            if (i == SIZE_MAX)
                return JSON_MALFORMED;
            if (is_name(t, i) && holds_nul((text){t.ptr + start, i - start})) {
                *ret_bad = start;
                return JSON_MALFORMED; /* json-c ends the name there */
            }
        } else if (c == ':') {
            found.colons++;
        } else if (c == '{' || c == '[') {
            if (++found.depth > deepest)
                deepest = found.depth;
            if (deepest > max_depth)
                return JSON_TOO_DEEP;
        } else if (c == '}' || c == ']') {
            found.depth--;
        } else if (c != ',' && !is_space((char)c)) {
            size_t end = end_of_scalar(t, i);
            if (end == i) {
                *ret_bad = i;
                return JSON_MALFORMED;
            }
            i = end - 1;
        }
    }
    *ret_survey = found;
    return JSON_OK;
}

static size_t count_members(const json *value) {
    size_t count = 0;
    switch (json_kind_of(value)) {
    case JSON_OBJECT: {
        struct json_object_iterator at = json_object_iter_begin((json *)value);
        struct json_object_iterator end = json_object_iter_end(value);
        for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
            count += 1 + count_members(json_object_iter_peek_value(&at));
        break;
    }
    case JSON_ARRAY:
        for (size_t i = 0; i < json_length(value); i++)
            count += count_members(json_at(value, i));
        break;
    case JSON_NULL:
    case JSON_BOOL:
    case JSON_INTEGER:
    case JSON_NUMBER:
    case JSON_STRING:
        break;
    }
    return count;
}

static bool is_blank(text t) {
    return text_trim(t).len == 0;
}

json_verdict json_parse(json_parser *parser, text t, json **ret_root, size_t *ret_offset) {
    size_t offset = 0;
    survey found = {0};
    if (!ret_offset)
        ret_offset = &offset;
    *ret_offset = 0;
    if (!t.ptr || t.len == 0 || t.len > INT_MAX)
        return JSON_MALFORMED;
    if (!text_is_utf8(t))
        return JSON_NOT_UTF8;
    json_verdict verdict = look_over(t, parser->depth, &found, ret_offset);
    if (verdict != JSON_OK)
        return verdict;

    json_tokener_reset(parser->tokener);
    json *root = json_tokener_parse_ex(parser->tokener, t.ptr, (int)t.len);
    enum json_tokener_error fault = json_tokener_get_error(parser->tokener);
    if (fault == json_tokener_continue) { /* a number, or space, at the very end waits for more text */
        json_free(root);
        root = json_tokener_parse_ex(parser->tokener, "", 1);
        fault = json_tokener_get_error(parser->tokener);
        *ret_offset = t.len;
    } else {
        *ret_offset = json_tokener_get_parse_end(parser->tokener);
    }
    if (fault == json_tokener_error_depth)
        return JSON_TOO_DEEP;
    if (fault != json_tokener_success)
        return JSON_MALFORMED;
    if (!root && !text_equal(text_trim((text){t.ptr, *ret_offset}), TEXT("null")))
        return JSON_NO_MEMORY; /* json-c says success, and gives nothing */
    text behind = {t.ptr + *ret_offset, t.len - *ret_offset};
    if (!is_blank(behind)) {
        json_free(root);
        return JSON_MALFORMED;
    }
    if (count_members(root) != found.colons) {
        json_free(root);
        return JSON_DUPLICATE_MEMBER;
    }
    *ret_root = root;
    return JSON_OK;
}

json_verdict json_parse_once(text t, json **ret_root) {
    CLEANUP(json_parser_freep) json_parser *parser = json_parser_new(64);
    return parser ? json_parse(parser, t, ret_root, NULL) : JSON_NO_MEMORY;
}

json *json_free(json *root) {
    if (root)
        (void)json_object_put(root);
    return NULL;
}

json_kind json_kind_of(const json *value) {
    switch (json_object_get_type(value)) {
    case json_type_null:
        return JSON_NULL;
    case json_type_boolean:
        return JSON_BOOL;
    case json_type_double:
        return JSON_NUMBER;
    case json_type_int: {
        /* json-c keeps what exceeds int64_t as uint64_t, and clamps what exceeds that. */
        errno = 0;
        uint64_t whole = json_object_get_uint64(value);
        return whole > (uint64_t)INT64_MAX && json_object_get_int64(value) >= 0 ? JSON_NUMBER : JSON_INTEGER;
    }
    case json_type_object:
        return JSON_OBJECT;
    case json_type_array:
        return JSON_ARRAY;
    case json_type_string:
        return JSON_STRING;
    }
    return JSON_NULL;
}

bool json_boolean(const json *value) {
    return json_object_get_boolean(value);
}

int64_t json_integer(const json *value) {
    return json_object_get_int64(value);
}

double json_number(const json *value) {
    if (json_object_is_type(value, json_type_int) && json_kind_of(value) == JSON_NUMBER)
        return (double)json_object_get_uint64(value);
    return json_object_get_double(value);
}

text json_string(const json *value) {
    if (!json_object_is_type(value, json_type_string))
        return (text){0};
    return (text){json_object_get_string((json *)value), (size_t)json_object_get_string_len(value)};
}

size_t json_length(const json *value) {
    if (json_object_is_type(value, json_type_array))
        return json_object_array_length(value);
    if (json_object_is_type(value, json_type_object))
        return (size_t)json_object_object_length(value);
    return 0;
}

const json *json_at(const json *array, size_t index) {
    return json_object_is_type(array, json_type_array) ? json_object_array_get_idx(array, index) : NULL;
}

bool json_member(const json *object, const char *name, const json **ret_value) {
    json *value = NULL;
    if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, name, &value))
        return false;
    *ret_value = value;
    return true;
}

const json *json_get(const json *object, const char *name) {
    const json *value = NULL;
    return json_member(object, name, &value) ? value : NULL;
}

text json_get_string(const json *object, const char *name) {
    return json_string(json_get(object, name));
}

int json_each(const json *object, json_visit visit, void *context) {
    if (!json_object_is_type(object, json_type_object))
        return 0;
    struct json_object_iterator at = json_object_iter_begin((json *)object);
    struct json_object_iterator end = json_object_iter_end(object);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        int stop = visit(context, json_object_iter_peek_name(&at), json_object_iter_peek_value(&at));
        if (stop != 0)
            return stop;
    }
    return 0;
}

static bool same_number(const json *a, const json *b) {
    if (json_kind_of(a) == JSON_INTEGER && json_kind_of(b) == JSON_INTEGER)
        return json_integer(a) == json_integer(b);
    double x = json_number(a), y = json_number(b);
    return !(x < y) && !(x > y);
}

static int member_differs(void *other, const char *name, const json *value) {
    const json *theirs = NULL;
    return !json_member((const json *)other, name, &theirs) || !json_same(value, theirs);
}

bool json_same(const json *a, const json *b) {
    json_kind kind = json_kind_of(a), theirs = json_kind_of(b);
    bool numbers =
        (kind == JSON_INTEGER || kind == JSON_NUMBER) && (theirs == JSON_INTEGER || theirs == JSON_NUMBER);
    if (numbers)
        return same_number(a, b);
    if (kind != theirs || json_length(a) != json_length(b))
        return false;
    switch (kind) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return json_boolean(a) == json_boolean(b);
    case JSON_STRING:
        return text_equal(json_string(a), json_string(b));
    case JSON_ARRAY:
        for (size_t i = 0; i < json_length(a); i++)
            if (!json_same(json_at(a, i), json_at(b, i)))
                return false;
        return true;
    case JSON_OBJECT:
        return json_each(a, member_differs, (void *)b) == 0;
    case JSON_INTEGER:
    case JSON_NUMBER:
        break;
    }
    return false;
}

json *json_new_object(void) {
    return json_object_new_object();
}

json *json_new_array(void) {
    return json_object_new_array();
}

json *json_new_string(text t) {
    return t.len > INT_MAX ? NULL : json_object_new_string_len(t.ptr ? t.ptr : "", (int)t.len);
}

json *json_new_integer(int64_t value) {
    return json_object_new_int64(value);
}

/* The fewest digits that read back as the same number: 36.9, and not 36.899999999999999. */
json *json_new_number(double value) {
    char spelled[40];
    if (!isfinite(value))
        return NULL;
    for (int digits = DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        (void)snprintf(spelled, sizeof spelled - 2, "%.*g", digits, value);
        if (strtod(spelled, NULL) == value)
            break;
    }
    if (!strpbrk(spelled, ".e")) /* it stays a number with a fraction */
        memcpy(spelled + strlen(spelled), ".0", sizeof ".0");
    return json_object_new_double_s(value, spelled);
}

json *json_new_bool(bool value) {
    return json_object_new_boolean(value);
}

json *json_share(const json *value) {
    return json_object_get((json *)value);
}

int json_put(json *object, const char *name, json *value) {
    if (value && object && json_object_object_add(object, name, value) == 0)
        return 0;
    json_free(value);
    return -ENOMEM;
}

int json_append(json *array, json *value) {
    if (value && array && json_object_array_add(array, value) == 0)
        return 0;
    json_free(value);
    return -ENOMEM;
}

static void print(const json *value, int flags, buf *to) {
    size_t len = 0;
    const char *string = value ? json_object_to_json_string_length((json *)value, flags, &len) : "null";
    if (!string)
        to->fault = -ENOMEM;
    else
        buf_add(to, string, value ? len : 4);
}

void json_print(const json *value, buf *to) {
    print(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, to);
}

void json_print_pretty(const json *value, buf *to) {
    print(value, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE, to);
}
