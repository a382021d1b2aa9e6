/* conf.c - see conf.h. */
#include "base/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONF_ROWS_MAX 256

typedef struct reading {
    const conf_table *table;
    const char *path;
    void *settings;
    char *why;
    FILE *file;
    int line; /* the last one inih asked for */
    int fault;
    bool seen[CONF_ROWS_MAX];
} reading;

static void *member_of(void *settings, const conf_row *row) {
    return (char *)settings + row->offset;
}

static int parse_scaled(text t, const char *const units[], const int64_t scales[], size_t count,
                        int64_t *ret_value) {
    size_t number_len = 0;
    while (number_len < t.len && (t.ptr[number_len] >= '0' && t.ptr[number_len] <= '9'))
        number_len++;
    int64_t number = 0;
    int fault = text_to_i64((text){t.ptr, number_len}, 0, INT64_MAX, &number);
    if (fault < 0)
        return fault;
    text unit = {t.ptr + number_len, t.len - number_len};
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(unit, text_of(units[i])))
            continue;
        return __builtin_mul_overflow(number, scales[i], ret_value) ? -ERANGE : 0;
    }
    return -EINVAL;
}

static int parse_size(text t, int64_t *ret_value) {
    static const char *const units[] = {"", "k", "M", "G"};
    static const int64_t scales[] = {1, 1 << 10, 1 << 20, 1 << 30};
    return parse_scaled(t, units, scales, ARRAY_LEN(units), ret_value);
}

static int parse_duration(text t, int64_t *ret_value) {
    static const char *const units[] = {"ms", "s", "m", "h", "d"};
    static const int64_t scales[] = {1, 1000, 60 * 1000, 3600 * 1000, 86400 * 1000};
    return parse_scaled(t, units, scales, ARRAY_LEN(units), ret_value);
}

static int parse_bool(text t, bool *ret_value) {
    static const char *const yes[] = {"yes", "true", "on"};
    static const char *const no[] = {"no", "false", "off"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (text_equal(t, text_of(yes[i])) || text_equal(t, text_of(no[i]))) {
            *ret_value = text_equal(t, text_of(yes[i]));
            return 0;
        }
    }
    return -EINVAL;
}

static int set_text(text t, char **member) {
    char *copy = NULL;
    if (t.len > 0) {
        copy = text_copy(t);
        if (!copy)
            return -ENOMEM;
    }
    free(*member);
    *member = copy;
    return 0;
}

static int set_member(const conf_row *row, text value, void *settings) {
    int64_t number = 0;
    int fault = 0;
    switch (row->kind) {
    case CONF_TEXT:
        return set_text(value, member_of(settings, row));
    case CONF_BOOL:
        return parse_bool(value, member_of(settings, row));
    case CONF_COUNT:
        fault = text_to_i64(value, INT64_MIN, INT64_MAX, &number);
        break;
    case CONF_SIZE:
        fault = parse_size(value, &number);
        break;
    case CONF_DURATION:
        fault = parse_duration(value, &number);
        break;
    }
    if (fault < 0)
        return fault;
    if ((row->min != 0 || row->max != 0) && (number < row->min || number > row->max))
        return -ERANGE;
    memcpy(member_of(settings, row), &number, sizeof number);
    return 0;
}

static const char *expected(conf_kind kind) {
    switch (kind) {
    case CONF_TEXT:
        return "text";
    case CONF_BOOL:
        return "yes or no";
    case CONF_COUNT:
        return "a whole number";
    case CONF_SIZE:
        return "a size such as 512, 64k, 16M or 2G";
    case CONF_DURATION:
        return "a duration such as 100ms, 5s, 10m, 1h or 7d";
    }
    return "a value";
}

static const conf_row *find_row(const conf_table *table, const char *section, const char *key,
                                size_t *ret_index) {
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].section, section) == 0 && strcmp(table->rows[i].key, key) == 0) {
            *ret_index = i;
            return &table->rows[i];
        }
    }
    return NULL;
}

/* inih's reader: like fgets(), but counts lines and refuses one that does not fit inih's buffer. */
static char *next_line(char *line, int size, void *context) {
    reading *r = context;
    if (r->fault < 0 || !fgets(line, size, r->file))
        return NULL;
    r->line++;
    if (!strchr(line, '\n') && !feof(r->file)) {
        (void)snprintf(r->why, CONF_WHY_MAX, "%s:%d: the line is longer than %d characters", r->path, r->line,
                       size - 2);
        r->fault = -EMSGSIZE;
        return NULL;
    }
    return line;
}

/* inih calls this for each `key = value`; 0 marks the line as an error. */
static int take_line(void *context, const char *section, const char *key, const char *value) {
    reading *r = context;
    int line = r->line;
    if (r->fault < 0)
        return 0;
    size_t index = 0;
    const conf_row *row = find_row(r->table, section, key, &index);
    if (!row) {
        (void)snprintf(r->why, CONF_WHY_MAX, "%s:%d: there is no key '%s' in section [%s]", r->path, line,
                       key, section);
        r->fault = -EINVAL;
        return 0;
    }
    if (r->seen[index]) {
        (void)snprintf(r->why, CONF_WHY_MAX, "%s:%d: '%s' in section [%s] is set twice", r->path, line, key,
                       section);
        r->fault = -EINVAL;
        return 0;
    }
    r->seen[index] = true;
    r->fault = set_member(row, text_of(value), r->settings);
    if (r->fault == -ERANGE && row->max != 0)
        (void)snprintf(r->why, CONF_WHY_MAX, "%s:%d: '%s = %s' is out of range (%lld to %lld)", r->path, line,
                       key, value, (long long)row->min, (long long)row->max);
    else if (r->fault < 0)
        (void)snprintf(r->why, CONF_WHY_MAX, "%s:%d: '%s = %s' is not %s", r->path, line, key, value,
                       expected(row->kind));
    return r->fault == 0;
}

static int set_defaults(const conf_table *table, void *settings, char *why) {
    for (size_t i = 0; i < table->count; i++) {
        const conf_row *row = &table->rows[i];
        if (row->kind == CONF_TEXT)
            memset(member_of(settings, row), 0, sizeof(char *));
    }
    for (size_t i = 0; i < table->count; i++) {
        const conf_row *row = &table->rows[i];
        int fault = set_member(row, text_of(row->fallback ? row->fallback : ""), settings);
        if (fault < 0) {
            (void)snprintf(why, CONF_WHY_MAX, "the default of '%s' in [%s] is not %s", row->key, row->section,
                           expected(row->kind));
            return fault;
        }
    }
    return 0;
}

static int read_settings(const conf_table *table, const char *path, void *settings, char *why) {
    reading r = {.table = table, .path = path, .settings = settings, .why = why, .file = fopen(path, "re")};
    if (!r.file) {
        int fault = errno ? -errno : -EIO;
        (void)snprintf(why, CONF_WHY_MAX, "%s: cannot be read: %s", path, strerror(-fault));
        return fault;
    }
    int line = ini_parse_stream(next_line, &r, take_line, &r);
    if (r.fault == 0 && (line != 0 || ferror(r.file))) {
        r.fault = ferror(r.file) ? -EIO : -EINVAL;
        (void)snprintf(why, CONF_WHY_MAX, "%s:%d: is neither a [section] nor 'key = value'", path, line);
    }
    (void)fclose(r.file);
    return r.fault;
}

int conf_load(const conf_table *table, const char *path, void *ret_settings, char ret_why[CONF_WHY_MAX]) {
    if (table->count > CONF_ROWS_MAX)
        return -E2BIG;
    int fault = set_defaults(table, ret_settings, ret_why);
    if (fault == 0 && path)
        fault = read_settings(table, path, ret_settings, ret_why);
    if (fault < 0)
        conf_release(table, ret_settings);
    return fault;
}

void conf_release(const conf_table *table, void *settings) {
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].kind == CONF_TEXT) {
            char **member = member_of(settings, &table->rows[i]);
            free(*member);
            *member = NULL;
        }
    }
}

static void sample_help(const char *help, buf *to) {
    const size_t width = 96;
    text rest = text_of(help), word;
    size_t column = 0;
    while (text_next(&rest, ' ', &word)) {
        if (column == 0 || column + 1 + word.len > width) {
            buf_add_text(to, column == 0 ? TEXT("#") : TEXT("\n#"));
            column = 1;
        }
        buf_add_char(to, ' ');
        buf_add_text(to, word);
        column += 1 + word.len;
    }
    buf_add_char(to, '\n');
}

void conf_sample(const conf_table *table, const char *heading, buf *to) {
    sample_help(heading, to);
    const char *section = "";
    for (size_t i = 0; i < table->count; i++) {
        const conf_row *row = &table->rows[i];
        if (strcmp(section, row->section) != 0) {
            section = row->section;
            buf_printf(to, "\n[%s]\n", section);
        }
        buf_add_char(to, '\n');
        sample_help(row->help, to);
        buf_printf(to, "#%s = %s\n", row->key, row->fallback ? row->fallback : "");
    }
}

int file_read(const char *path, size_t limit, buf *to) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char chunk[16384];
    size_t total = 0;
    int fault = 0;
    for (;;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fault = got < 0 ? -errno : 0;
            break;
        }
        total += (size_t)got;
        if (total > limit) {
            fault = -EFBIG;
            break;
        }
        buf_add(to, chunk, (size_t)got);
    }
    (void)close(fd);
    return fault < 0 ? fault : buf_failed(to);
}
