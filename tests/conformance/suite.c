/* suite.c - the official JSON-Schema-Test-Suite against our validator.
 *
 * Reads $MAYDAY_SHARED_DATA/json-schema-suite/tests/draft2020-12; exit code 77 says it is not there. Every
 * group of cases whose schema compiles must be judged as the suite says, case by case. The files of keywords
 * we support must compile as a whole, but for the groups excused below, each with its reason; an excuse that
 * is no longer needed is a failure too. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/json.h"
#include "msg/schema.h"

#define SKIPPED 77

/* Files of which every group must compile. The others are tried, and only counted. */
static const char *const supported[] = {
    "additionalProperties.json",
    "allOf.json",
    "anyOf.json",
    "boolean_schema.json",
    "const.json",
    "contains.json",
    "default.json",
    "dependentRequired.json",
    "dependentSchemas.json",
    "enum.json",
    "exclusiveMaximum.json",
    "exclusiveMinimum.json",
    "if-then-else.json",
    "infinite-loop-detection.json",
    "items.json",
    "maxContains.json",
    "maxItems.json",
    "maxLength.json",
    "maxProperties.json",
    "maximum.json",
    "minContains.json",
    "minItems.json",
    "minLength.json",
    "minProperties.json",
    "minimum.json",
    "multipleOf.json",
    "not.json",
    "oneOf.json",
    "pattern.json",
    "patternProperties.json",
    "prefixItems.json",
    "properties.json",
    "propertyNames.json",
    "ref.json",
    "required.json",
    "type.json",
    "uniqueItems.json",
    "optional/bignum.json",
    "optional/ecmascript-regex.json",
    "optional/float-overflow.json",
    "optional/no-schema.json",
    "optional/non-bmp-regex.json",
};

static const struct {
    const char *file;
    const char *group; /* its description, or the beginning of it */
    const char *reason;
} excused[] = {
    {"not.json", "collect annotations inside a 'not', even if collection is disabled",
     "unevaluatedProperties"},
    {"ref.json", "remote ref, containing refs itself", "refers to another document"},
    {"ref.json", "Recursive references between schemas", "an $id inside"},
    {"ref.json", "ref creates new scope when adjacent to keywords", "unevaluatedProperties"},
    {"ref.json", "refs with relative uris and defs", "an $id inside"},
    {"ref.json", "relative refs with absolute uris and defs", "an $id inside"},
    {"ref.json", "$id must be resolved against nearest parent, not just immediate parent", "an $id inside"},
    {"ref.json", "order of evaluation: $id and $ref", "an $id inside"},
    {"ref.json", "order of evaluation: $id and $anchor and $ref", "an $id inside"},
    {"ref.json", "order of evaluation: $id and $ref on nested schema", "an $id inside"},
    {"ref.json", "simple URN base URI with $ref via the URN", "refers by absolute URI"},
    {"ref.json", "URN base URI with URN and JSON pointer ref", "refers by absolute URI"},
    {"ref.json", "URN base URI with URN and anchor ref", "$anchor"},
    {"ref.json", "URN ref with nested pointer ref", "an $id inside"},
    {"ref.json", "ref to if", "an $id inside"},
    {"ref.json", "ref to then", "an $id inside"},
    {"ref.json", "ref to else", "an $id inside"},
    {"ref.json", "ref with absolute-path-reference", "an $id inside"},
};

typedef struct tally {
    const char *file;
    bool must; /* is on the list of supported files */
    int compiled, refused, cases, wrong, unexplained;
    bool excuse_used[ARRAY_LEN(excused)];
    struct {
        char why[SCHEMA_WHY_MAX];
        int count;
    } reasons[64];
    size_t reason_count;
} tally;

/* Refusals are counted by what they say behind the place. */
static void count_reason(tally *t, const char *why) {
    const char *what = strstr(why, ": ");
    what = what ? what + 2 : why;
    size_t i = 0;
    while (i < t->reason_count && strcmp(t->reasons[i].why, what) != 0)
        i++;
    if (i == ARRAY_LEN(t->reasons))
        return;
    if (i == t->reason_count)
        (void)snprintf(t->reasons[t->reason_count++].why, SCHEMA_WHY_MAX, "%s", what);
    t->reasons[i].count++;
}

static bool is_excused(tally *t, const char *group) {
    for (size_t i = 0; i < ARRAY_LEN(excused); i++) {
        if (strcmp(excused[i].file, t->file) == 0 && strcmp(excused[i].group, group) == 0) {
            t->excuse_used[i] = true;
            return true;
        }
    }
    return false;
}

static void judge_group(tally *t, const json *group) {
    CLEANUP(schema_freep) schema *compiled = NULL;
    char why[SCHEMA_WHY_MAX] = "";
    const char *name = json_get_string(group, "description").ptr;
    int fault = schema_compile(json_get(group, "schema"), &compiled, why);
    if (fault < 0) {
        t->refused++;
        count_reason(t, why);
        if (t->must && !is_excused(t, name)) {
            t->unexplained++;
            printf("%s: \"%s\" does not compile: %s\n", t->file, name, why);
        }
        return;
    }
    t->compiled++;
    const json *tests = json_get(group, "tests");
    for (size_t i = 0; i < json_length(tests); i++) {
        const json *test = json_at(tests, i);
        bool want = json_boolean(json_get(test, "valid"));
        bool got = schema_accepts(compiled, json_get(test, "data"), why);
        t->cases++;
        if (got == want)
            continue;
        t->wrong++;
        printf("%s: \"%s\": \"%s\" must be %s\n", t->file, name, json_get_string(test, "description").ptr,
               want ? "valid" : "invalid");
    }
}

static int judge_file(tally *t, const char *folder, const char *name) {
    char path[4096];
    CLEANUP(buf_release) buf content = BUF(4 << 20);
    CLEANUP(json_freep) json *groups = NULL;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_read(path, content.limit, &content) < 0 ||
        json_parse_once(buf_text(&content), &groups) != JSON_OK) {
        printf("%s: cannot be read\n", path);
        return -1;
    }
    t->file = name;
    t->must = false;
    for (size_t i = 0; i < ARRAY_LEN(supported); i++)
        t->must |= strcmp(supported[i], name) == 0;
    for (size_t i = 0; i < json_length(groups); i++)
        judge_group(t, json_at(groups, i));
    return 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All of the main folder, then those of optional/ that are named above. */
static int judge_folder(tally *t, const char *folder) {
    char *names[256];
    size_t count = 0;
    int fault = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return SKIPPED;
    for (struct dirent *entry; (entry = readdir(dir)) && count < ARRAY_LEN(names);) {
        const char *end = strrchr(entry->d_name, '.');
        if (end && strcmp(end, ".json") == 0 && (names[count] = strdup(entry->d_name)))
            count++;
    }
    (void)closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        fault |= judge_file(t, folder, names[i]);
        free(names[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(supported); i++)
        if (strchr(supported[i], '/'))
            fault |= judge_file(t, folder, supported[i]);
    return fault || count == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool report(const tally *t) {
    bool good = t->wrong == 0 && t->unexplained == 0 && t->cases > 0;
    printf("\nGroups that are refused, by reason:\n");
    for (size_t i = 0; i < t->reason_count; i++)
        printf("%6d  %s\n", t->reasons[i].count, t->reasons[i].why);
    printf("\nExcused in the files of supported keywords:\n");
    for (size_t i = 0; i < ARRAY_LEN(excused); i++) {
        printf("  %s: \"%s\": %s%s\n", excused[i].file, excused[i].group, excused[i].reason,
               t->excuse_used[i] ? "" : "  <- NOT NEEDED");
        good &= t->excuse_used[i];
    }
    printf("\n%d groups compiled, %d refused (%d without an excuse); %d cases run, %d wrong\n", t->compiled,
           t->refused, t->unexplained, t->cases, t->wrong);
    return good;
}

int main(void) {
    char folder[4096];
    const char *data = getenv("MAYDAY_SHARED_DATA");
    static tally t;
    (void)snprintf(folder, sizeof folder, "%s/json-schema-suite/tests/draft2020-12",
                   data ? data : "/nonexistent");
    int outcome = judge_folder(&t, folder);
    if (outcome == SKIPPED) {
        printf("skipped: MAYDAY_SHARED_DATA names no folder with json-schema-suite\n");
        return SKIPPED;
    }
    return report(&t) && outcome == EXIT_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
