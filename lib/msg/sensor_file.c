/* sensor_file.c - see sensor_file.h. */
#include "msg/sensor_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "core/topic.h"
#include "msg/schema.h"

#define FILE_MAX     ((size_t)4 << 20)
#define DEPTH        16
#define PATH_LONGEST 4096

static const char ending[] = ".json";

typedef struct reader {
    const char *schema_dir, *path;
    char *why;
    sensor_file *f;
} reader;

static int PRINTF_LIKE(3, 4) because(char *why, int fault, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, SENSOR_FILE_WHY_MAX, format, args);
    va_end(args);
    return fault;
}

/* ---- reading JSON ---- */

/* As editors count. */
static int malformed(const char *path, text whole, size_t offset, char *why) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < offset && i < whole.len; i++) {
        column = whole.ptr[i] == '\n' ? 1 : column + 1;
        line += whole.ptr[i] == '\n';
    }
    return because(why, -EBADMSG, "%.300s:%zu:%zu: this is no JSON", path, line, column);
}

static int read_json(const char *path, json **ret_body, char *why) {
    CLEANUP(buf_release) buf file = BUF(FILE_MAX);
    CLEANUP(json_parser_freep) json_parser *parser = json_parser_new(DEPTH);
    size_t offset = 0;
    int fault = parser ? file_read(path, FILE_MAX, &file) : -ENOMEM;
    if (fault < 0)
        return because(why, fault, "%.300s: %s", path, strerror(-fault));
    json_verdict verdict = json_parse(parser, buf_text(&file), ret_body, &offset);
    if (verdict == JSON_MALFORMED)
        return malformed(path, buf_text(&file), offset, why);
    if (verdict != JSON_OK)
        return because(why, verdict == JSON_NO_MEMORY ? -ENOMEM : -EBADMSG, "%.300s: %s", path,
                       json_verdict_name(verdict));
    return 0;
}

static int check(const reader *r, const char *document, const char *whose, const json *value) {
    CLEANUP(schema_freep) struct schema *shape = NULL;
    char path[PATH_LONGEST], read_why[SCHEMA_READ_WHY_MAX] = "", where[SCHEMA_WHY_MAX] = "";
    int len = snprintf(path, sizeof path, "%s/documents/%s.json", r->schema_dir, document);
    int fault = len < 0 || (size_t)len >= sizeof path ? -ENAMETOOLONG : schema_read(path, &shape, read_why);
    if (fault < 0)
        return because(r->why, fault, "%s", *read_why ? read_why : strerror(-fault));
    if (!schema_accepts(shape, value, where))
        return because(r->why, -EBADMSG, "%.300s: %s%s", r->path, whose, where);
    return 0;
}

/* ---- manners ---- */

static const sensor_manners usual = {
    .every_ms = 1000,
    .heartbeat_ms = 15000,
    .silent_ms = 60000,
    .rate = 20,
    .bands = {[VITAL_HR] = 3,
              [VITAL_SPO2] = 1,
              [VITAL_RESP] = 2,
              [VITAL_TEMP] = 0.2,
              [VITAL_SYS] = 5,
              [VITAL_DIA] = 5},
    .distance = 10,
};

static void take_ms(const json *from, const char *name, int64_t *to) {
    const json *value = json_get(from, name);
    if (value)
        *to = (int64_t)(json_number(value) * 1000 + 0.5);
}

static void take_number(const json *from, const char *name, double *to) {
    const json *value = json_get(from, name);
    if (value)
        *to = json_number(value);
}

static void take_manners(const json *from, sensor_manners *to) {
    const json *bands = json_get(from, "bands");
    take_ms(from, "every", &to->every_ms);
    take_ms(from, "heartbeat", &to->heartbeat_ms);
    take_ms(from, "silent", &to->silent_ms);
    take_number(from, "rate", &to->rate);
    for (vital v = 0; v < VITALS; v++)
        take_number(bands, vital_name(v), &to->bands[v]);
    take_number(bands, "distance", &to->distance);
}

/* ---- entries ---- */

static int add(reader *r, size_t index, const json *one, const json *body) {
    sensor_entry *e = &r->f->all[index];
    text name = json_get_string(one, "name"), kind = json_get_string(one, "kind");
    char document[96], whose[320];
    e->whole = one;
    e->name = name.ptr; /* the schema wants them, and json strings end with a NUL */
    e->kind = kind.ptr;
    e->org = json_get_string(one, "org");
    if (!e->org.ptr)
        e->org = json_get_string(body, "org");
    e->person = json_get_string(one, "person");
    e->options = json_get(one, "options");
    e->manners = usual;
    take_manners(json_get(body, "usual"), &e->manners);
    take_manners(one, &e->manners);
    (void)snprintf(whose, sizeof whose, "sensor '%s'", e->name);
    for (size_t i = 0; i < index; i++)
        if (strcmp(r->f->all[i].name, e->name) == 0)
            return because(r->why, -EBADMSG, "%.300s: two sensors are called '%s'", r->path, e->name);
    if (!topic_level_valid(e->org))
        return because(r->why, -EBADMSG, "%.300s: %s: no organisation: say 'org' here or above", r->path,
                       whose);
    (void)snprintf(document, sizeof document, "sensors/%s", e->kind);
    (void)snprintf(whose, sizeof whose, "sensor '%s' (%s), options: ", e->name, e->kind);
    int fault = check(r, document, whose, e->options);
    if (fault == -ENOENT)
        return because(r->why, -EBADMSG, "%.300s: sensor '%s': there is no kind '%s' (mayday sensor kinds)",
                       r->path, e->name, e->kind);
    return fault;
}

static int add_all(reader *r) {
    const json *list = json_get(r->f->body, "sensors");
    size_t count = json_length(list);
    r->f->all = calloc(count ? count : 1, sizeof *r->f->all);
    if (!r->f->all)
        return because(r->why, -ENOMEM, "out of memory");
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = add(r, i, json_at(list, i), r->f->body);
    r->f->count = count;
    return fault;
}

int sensor_file_read(const char *schema_dir, const char *path, sensor_file **ret_file,
                     char ret_why[SENSOR_FILE_WHY_MAX]) {
    CLEANUP(sensor_file_freep) sensor_file *f = calloc(1, sizeof *f);
    reader r = {.schema_dir = schema_dir, .path = path, .why = ret_why, .f = f};
    if (!f)
        return because(ret_why, -ENOMEM, "out of memory");
    int fault = read_json(path, &f->body, ret_why);
    if (fault == 0)
        fault = check(&r, "sensors", "", f->body);
    if (fault == 0)
        fault = add_all(&r);
    if (fault < 0)
        return fault;
    *ret_file = f;
    f = NULL;
    return 0;
}

sensor_file *sensor_file_free(sensor_file *f) {
    if (f) {
        (void)json_free(f->body);
        free(f->all);
        free(f);
    }
    return NULL;
}

/* ---- kinds ---- */

static int is_kind(const struct dirent *entry) {
    size_t len = strlen(entry->d_name), tail = sizeof ending - 1;
    return entry->d_name[0] != '.' && len > tail && strcmp(entry->d_name + len - tail, ending) == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

int sensor_file_kinds(const char *schema_dir, sensor_kind_visit visit, void *context,
                      char ret_why[SENSOR_FILE_WHY_MAX]) {
    char dir[PATH_LONGEST], path[PATH_LONGEST + 256];
    struct dirent **names = NULL;
    int len = snprintf(dir, sizeof dir, "%s/documents/sensors", schema_dir);
    int count = len < 0 || (size_t)len >= sizeof dir ? -1 : scandir(dir, &names, is_kind, by_name);
    int fault = count < 0 ? because(ret_why, -ENOENT, "%.300s can't be read", dir) : 0;
    for (int i = 0; i < count; i++) {
        CLEANUP(json_freep) json *options = NULL;
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (fault == 0)
            fault = read_json(path, &options, ret_why);
        names[i]->d_name[strlen(names[i]->d_name) - (sizeof ending - 1)] = '\0';
        if (fault == 0)
            visit(context, names[i]->d_name, options);
        free(names[i]);
    }
    free(names);
    return fault;
}
