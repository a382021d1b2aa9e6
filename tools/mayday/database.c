/* database.c - see database.h. */
#include "database.h"

#include <stdlib.h>
#include <string.h>

#include "show.h"

#define PATIENCE_MS   10000
#define COLUMNS_MAX   16
#define LINE_MAX_SIZE (1u << 20)

int database_open(const command *c, const char *config_path, const char *conninfo, pg **ret_db) {
    char why[PG_WHY_MAX] = "";
    settings loaded = {0};
    const char *dsn = conninfo ? conninfo : getenv("MAYDAY_DSN");
    if (!dsn || !*dsn) {
        int code = command_settings(config_path, &loaded);
        if (code != EXIT_DONE)
            return code;
        dsn = loaded.database_admin ? loaded.database_admin : "";
    }
    pg_options options = {.conninfo = dsn,
                          .application = "mayday",
                          .connect_ms = PATIENCE_MS,
                          .patience_ms = PATIENCE_MS,
                          .interrupt_fd = -1};
    pg_verdict verdict = pg_connect(&options, ret_db, why);
    conf_release(&settings_table, &loaded);
    return verdict == PG_DONE ? EXIT_DONE
                              : command_fail(c, EXIT_UNREACHABLE, "the database cannot be reached: %s", why);
}

int database_ask(const command *c, pg *db, const char *sql, size_t count, const char *const *params,
                 pg_rows **ret_rows) {
    if (pg_query(db, sql, count, params, ret_rows) == PG_DONE)
        return EXIT_DONE;
    const char *state = pg_sqlstate(db);
    if (pg_broken(db))
        return command_fail(c, EXIT_UNREACHABLE, "the database has gone: %s", pg_why(db));
    /* no such schema, table, column or function: a database of another day */
    if (strcmp(state, "3F000") == 0 || strcmp(state, "42P01") == 0 || strcmp(state, "42703") == 0 ||
        strcmp(state, "42883") == 0)
        return command_fail(c, EXIT_REFUSED, "%s: run 'mayday migrate'", pg_why(db));
    /* a value that makes no sense, such as a time: its code tells nobody anything */
    size_t code = strncmp(state, "22", 2) == 0 && strncmp(pg_why(db), state, strlen(state)) == 0
                      ? strlen("22007: ")
                      : 0;
    return command_fail(c, EXIT_REFUSED, "%s", pg_why(db) + code);
}

static size_t width_of(const char *cell) {
    text t = text_of(cell);
    return text_is_utf8(t) ? text_code_points(t) : t.len;
}

static void add_cell(buf *line, const char *cell, size_t width, bool last) {
    buf_printf(line, "%s%s", line->len ? "  " : "", cell);
    for (size_t i = width_of(cell); !last && i < width; i++)
        buf_add_char(line, ' ');
}

static void print_line(FILE *to, buf *line) {
    if (buf_failed(line) < 0)
        return;
    show_defuse(line);
    while (line->len > 0 && line->ptr[line->len - 1] == ' ')
        line->len--;
    fprintf(to, "%.*s\n", (int)line->len, line->ptr);
}

void database_lines(FILE *to, const pg_rows *rows) {
    size_t width = 0;
    for (size_t r = 0; r < pg_rows_count(rows); r++)
        width = width_of(pg_value(rows, r, 0)) > width ? width_of(pg_value(rows, r, 0)) : width;
    for (size_t r = 0; r < pg_rows_count(rows); r++) {
        CLEANUP(buf_release) buf line = BUF(LINE_MAX_SIZE);
        add_cell(&line, pg_value(rows, r, 0), width, false);
        add_cell(&line, pg_value(rows, r, 1), 0, true);
        print_line(to, &line);
    }
}

void database_table(FILE *to, const pg_rows *rows, const char *const *heads, size_t count) {
    size_t widths[COLUMNS_MAX] = {0};
    for (size_t c = 0; c < count && c < COLUMNS_MAX; c++) {
        widths[c] = width_of(heads[c]);
        for (size_t r = 0; r < pg_rows_count(rows); r++) {
            size_t width = width_of(pg_value(rows, r, c));
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    for (size_t r = 0; r <= pg_rows_count(rows); r++) {
        CLEANUP(buf_release) buf line = BUF(LINE_MAX_SIZE);
        for (size_t c = 0; c < count && c < COLUMNS_MAX; c++)
            add_cell(&line, r == 0 ? heads[c] : pg_value(rows, r - 1, c), widths[c], c + 1 == count);
        print_line(to, &line);
    }
}

void database_print(const pg_rows *rows, const char *const *heads, size_t count, bool as_json,
                    const char *nothing) {
    for (size_t r = 0; as_json && r < pg_rows_count(rows); r++)
        puts(pg_value(rows, r, count));
    if (!as_json && pg_rows_count(rows))
        database_table(stdout, rows, heads, count);
    else if (!as_json)
        puts(nothing);
}
