/* migrate.c - see migrate.h. Also sees to what a superuser must have done before: sql/prepare.sql. */
#include "store/migrate.h"
#include "base/conf.h"
#include "store/pg.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_FILE_MAX   (1u << 20)
#define MIGRATIONS_MAX 1000
#define CONNECT_MS     10000
#define PATIENCE_MS    3600000 /* an index on a big table takes its time */

typedef struct migration {
    int version;
    char *name; /* "0001_partitions.sql" */
} migration;

typedef struct migrations {
    migration *list; /* by version: 1, 2, 3... */
    size_t count;
} migrations;

static void migrations_release(migrations *m) {
    for (size_t i = 0; i < m->count; i++)
        free(m->list[i].name);
    free(m->list);
    *m = (migrations){0};
}

static int by_version(const void *a, const void *b) {
    const migration *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

/* "0001_word.sql": four digits, an underscore, a word. */
static bool is_migration(const char *file, int *ret_version) {
    int64_t version = 0;
    text t = text_of(file);
    if (t.len < 10 || t.ptr[4] != '_' || strcmp(file + t.len - 4, ".sql") != 0 ||
        text_to_i64((text){t.ptr, 4}, 1, 9999, &version) < 0)
        return false;
    *ret_version = (int)version;
    return true;
}

static int migrations_add(migrations *m, const char *file, int version) {
    migration *list = m->count < MIGRATIONS_MAX ? realloc(m->list, (m->count + 1) * sizeof *list) : NULL;
    if (!list)
        return -ENOMEM;
    m->list = list;
    list[m->count] = (migration){version, strdup(file)};
    return list[m->count++].name ? 0 : -ENOMEM;
}

static int migrations_read(const char *dir, migrations *ret_found, char why[MIGRATE_WHY_MAX]) {
    DIR *d = opendir(dir);
    int version = 0, r = 0;
    if (!d) {
        r = -errno;
        (void)snprintf(why, MIGRATE_WHY_MAX, "%s: %s", dir, strerror(-r));
        return r;
    }
    for (struct dirent *entry; r == 0 && (entry = readdir(d)) != NULL;)
        if (is_migration(entry->d_name, &version))
            r = migrations_add(ret_found, entry->d_name, version);
    (void)closedir(d);
    if (r == 0 && ret_found->count > 0)
        qsort(ret_found->list, ret_found->count, sizeof *ret_found->list, by_version);
    for (size_t i = 0; r == 0 && i < ret_found->count; i++)
        if (ret_found->list[i].version != (int)i + 1)
            r = -ENOENT;
    if (r == 0 && ret_found->count == 0)
        r = -ENOENT;
    if (r < 0)
        (void)snprintf(why, MIGRATE_WHY_MAX, "%s: %s", dir,
                       r == -ENOENT ? "migrations must be numbered 0001, 0002, ... without gap or repetition"
                                    : strerror(-r));
    return r;
}

static int sql_read(const char *dir, const char *file, buf *to, char why[MIGRATE_WHY_MAX]) {
    CLEANUP(buf_release) buf path = BUF(4096);
    buf_printf(&path, "%s/%s", dir, file);
    int r = buf_failed(&path);
    if (r == 0)
        r = file_read(path.ptr, SQL_FILE_MAX, to);
    if (r < 0)
        (void)snprintf(why, MIGRATE_WHY_MAX, "%s/%s: %s", dir, file, strerror(-r));
    return r;
}

static migrate_verdict refuse(pg *c, const char *what, char why[MIGRATE_WHY_MAX]) {
    (void)snprintf(why, MIGRATE_WHY_MAX, "%s: %s", what, pg_why(c));
    return pg_broken(c) ? MIGRATE_UNREACHABLE : MIGRATE_REFUSED;
}

static migrate_verdict reach(const char *conninfo, pg **ret_pg, char why[MIGRATE_WHY_MAX]) {
    char reason[PG_WHY_MAX] = "";
    pg_options options = {.conninfo = conninfo,
                          .application = "mayday migrate",
                          .connect_ms = CONNECT_MS,
                          .patience_ms = PATIENCE_MS,
                          .interrupt_fd = -1};
    if (pg_connect(&options, ret_pg, reason) == PG_DONE)
        return MIGRATE_DONE;
    (void)snprintf(why, MIGRATE_WHY_MAX, "cannot reach the database: %s", reason);
    return MIGRATE_UNREACHABLE;
}

/* Roles and PostGIS there? If not, a superuser makes them on the way; anyone else is told whom to ask. */
static migrate_verdict prepare(pg *c, const char *dir, char why[MIGRATE_WHY_MAX]) {
    static const char look[] =
        "SELECT (SELECT count(*) = 4 FROM pg_roles WHERE rolname IN"
        " ('mayday_owner', 'mayday_plugin', 'mayday_gateway', 'mayday_console'))"
        " AND EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis'),"
        " current_setting('is_superuser') = 'on',"
        " (SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = 'mayday_owner'),"
        " current_database(), current_user";
    CLEANUP(pg_rows_freep) pg_rows *state = NULL;
    CLEANUP(buf_release) buf sql = BUF(SQL_FILE_MAX);
    if (pg_query(c, look, 0, NULL, &state) != PG_DONE)
        return refuse(c, "looking at the database", why);
    bool prepared = *pg_value(state, 0, 0) == 't', superuser = *pg_value(state, 0, 1) == 't';
    if (!prepared && !superuser) {
        (void)snprintf(why, MIGRATE_WHY_MAX,
                       "the database '%s' lacks Mayday's roles or PostGIS, and '%s' may not make them; as a "
                       "database superuser run once: psql -d %s -f %s/prepare.sql",
                       pg_value(state, 0, 3), pg_value(state, 0, 4), pg_value(state, 0, 3), dir);
        return MIGRATE_REFUSED;
    }
    if (!prepared) {
        if (sql_read(dir, "prepare.sql", &sql, why) < 0)
            return MIGRATE_REFUSED;
        return pg_run(c, sql.ptr) == PG_DONE ? MIGRATE_DONE : refuse(c, "prepare.sql", why);
    }
    if (*pg_value(state, 0, 2) != 't') {
        (void)snprintf(why, MIGRATE_WHY_MAX,
                       "'%s' is not the role mayday_owner, nor a member of it: connect as "
                       "mayday_owner (see [database] admin in the configuration)",
                       pg_value(state, 0, 4));
        return MIGRATE_REFUSED;
    }
    return MIGRATE_DONE;
}

/* One run at a time; the lock goes with the connection. */
static migrate_verdict lock(pg *c, char why[MIGRATE_WHY_MAX]) {
    static const char sql[] = "SELECT pg_advisory_lock(hashtext('mayday.migrate'))";
    return pg_run(c, sql) == PG_DONE ? MIGRATE_DONE : refuse(c, "waiting for another 'mayday migrate'", why);
}

/* Everything made belongs to the owner; PostGIS is found wherever it was put. */
static migrate_verdict take_over(pg *c, char why[MIGRATE_WHY_MAX]) {
    static const char sql[] =
        "SET ROLE mayday_owner; SET client_min_messages = warning; SET timezone = 'UTC';"
        "CREATE SCHEMA IF NOT EXISTS mayday;"
        "CREATE TABLE IF NOT EXISTS mayday.migration (version integer PRIMARY KEY, name text NOT NULL,"
        " sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());"
        "SELECT set_config('search_path', 'mayday, ' || quote_ident(n.nspname) || ', pg_temp', false)"
        " FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'postgis'";
    return pg_run(c, sql) == PG_DONE ? MIGRATE_DONE : refuse(c, "preparing the schema", why);
}

static migrate_verdict applied(pg *c, pg_rows **ret_rows, char why[MIGRATE_WHY_MAX]) {
    static const char sql[] = "SELECT version, name, sha256 FROM mayday.migration ORDER BY version";
    return pg_query(c, sql, 0, NULL, ret_rows) == PG_DONE ? MIGRATE_DONE : refuse(c, "mayday.migration", why);
}

static int newest(const pg_rows *rows) {
    int64_t version = 0;
    size_t count = pg_rows_count(rows);
    if (count == 0 || text_to_i64(text_of(pg_value(rows, count - 1, 0)), 0, INT32_MAX, &version) < 0)
        return 0;
    return (int)version;
}

static migrate_verdict too_new(int database, size_t known, char why[MIGRATE_WHY_MAX]) {
    (void)snprintf(
        why, MIGRATE_WHY_MAX,
        "the database is at version %d and this Mayday knows only %zu: upgrade Mayday, not the database",
        database, known);
    return MIGRATE_NEWER;
}

/* The server computes the checksum, so that no crypto library is needed here. */
static migrate_verdict same_as_applied(pg *c, const pg_rows *rows, size_t row, const char *dir,
                                       const migration *m, char why[MIGRATE_WHY_MAX]) {
    static const char sql[] = "SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex') = $2";
    CLEANUP(buf_release) buf source = BUF(SQL_FILE_MAX);
    CLEANUP(pg_rows_freep) pg_rows *same = NULL;
    if (sql_read(dir, m->name, &source, why) < 0)
        return MIGRATE_REFUSED;
    const char *params[] = {source.ptr, pg_value(rows, row, 2)};
    if (pg_query(c, sql, ARRAY_LEN(params), params, &same) != PG_DONE)
        return refuse(c, m->name, why);
    if (*pg_value(same, 0, 0) == 't')
        return MIGRATE_DONE;
    (void)snprintf(
        why, MIGRATE_WHY_MAX,
        "%s/%s differs from what was applied to the database; a migration never changes, write a new one",
        dir, m->name);
    return MIGRATE_REFUSED;
}

static migrate_verdict apply(pg *c, const char *dir, const migration *m, char why[MIGRATE_WHY_MAX]) {
    static const char note[] = "INSERT INTO mayday.migration (version, name, sha256) VALUES ($1, $2,"
                               " encode(sha256(convert_to($3, 'UTF8')), 'hex'))";
    CLEANUP(buf_release) buf source = BUF(SQL_FILE_MAX);
    char version[16];
    if (sql_read(dir, m->name, &source, why) < 0)
        return MIGRATE_REFUSED;
    (void)snprintf(version, sizeof version, "%d", m->version);
    const char *params[] = {version, m->name, source.ptr};
    if (pg_run(c, "BEGIN") == PG_DONE && pg_run(c, source.ptr) == PG_DONE &&
        pg_query(c, note, ARRAY_LEN(params), params, NULL) == PG_DONE && pg_run(c, "COMMIT") == PG_DONE)
        return MIGRATE_DONE;
    migrate_verdict verdict = refuse(c, m->name, why);
    if (pg_run(c, "ROLLBACK") != PG_DONE)
        verdict = MIGRATE_UNREACHABLE;
    return verdict;
}

static migrate_verdict bring_up(pg *c, const char *dir, const migrations *known, migrate_progress progress,
                                void *context, char why[MIGRATE_WHY_MAX]) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    migrate_verdict verdict = applied(c, &rows, why);
    if (verdict != MIGRATE_DONE)
        return verdict;
    int version = newest(rows);
    if (version > (int)known->count)
        return too_new(version, known->count, why);
    for (size_t i = 0; i < pg_rows_count(rows) && i < known->count; i++)
        if ((verdict = same_as_applied(c, rows, i, dir, &known->list[i], why)) != MIGRATE_DONE)
            return verdict;
    if (version == (int)known->count)
        return MIGRATE_UP_TO_DATE;
    for (size_t i = (size_t)version; i < known->count; i++) {
        if ((verdict = apply(c, dir, &known->list[i], why)) != MIGRATE_DONE)
            return verdict;
        if (progress)
            progress(context, known->list[i].version, known->list[i].name);
    }
    return MIGRATE_DONE;
}

migrate_verdict migrate_run(const char *conninfo, const char *sql_dir, migrate_progress progress,
                            void *context, char ret_why[MIGRATE_WHY_MAX]) {
    CLEANUP(migrations_release) migrations known = {0};
    CLEANUP(pg_closep) pg *c = NULL;
    if (migrations_read(sql_dir, &known, ret_why) < 0)
        return MIGRATE_REFUSED;
    migrate_verdict verdict = reach(conninfo, &c, ret_why);
    if (verdict == MIGRATE_DONE)
        verdict = lock(c, ret_why);
    if (verdict == MIGRATE_DONE)
        verdict = prepare(c, sql_dir, ret_why);
    if (verdict == MIGRATE_DONE)
        verdict = take_over(c, ret_why);
    return verdict == MIGRATE_DONE ? bring_up(c, sql_dir, &known, progress, context, ret_why) : verdict;
}

migrate_verdict migrate_look(const char *conninfo, const char *sql_dir, int *ret_database, int *ret_known,
                             char ret_why[MIGRATE_WHY_MAX]) {
    CLEANUP(migrations_release) migrations known = {0};
    CLEANUP(pg_closep) pg *c = NULL;
    CLEANUP(pg_rows_freep) pg_rows *there = NULL, *rows = NULL;
    int version = 0;
    if (migrations_read(sql_dir, &known, ret_why) < 0)
        return MIGRATE_REFUSED;
    migrate_verdict verdict = reach(conninfo, &c, ret_why);
    if (verdict != MIGRATE_DONE)
        return verdict;
    if (pg_query(c, "SELECT FROM pg_tables WHERE schemaname = 'mayday' AND tablename = 'migration'", 0, NULL,
                 &there) != PG_DONE)
        return refuse(c, "looking at the database", ret_why);
    if (pg_rows_count(there) > 0) {
        verdict = applied(c, &rows, ret_why);
        if (verdict != MIGRATE_DONE)
            return verdict;
        version = newest(rows);
    }
    *ret_database = version;
    *ret_known = (int)known.count;
    if (version > (int)known.count)
        return too_new(version, known.count, ret_why);
    return version == (int)known.count ? MIGRATE_UP_TO_DATE : MIGRATE_DONE;
}

/* What lets go of a part at a time, because others wait for each: asked until it has nothing left. */
static pg_verdict trim(pg *c, const char *sql, int64_t *ret_lines) {
    int64_t lines = 0, all = 0;
    do {
        CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
        pg_verdict verdict = pg_query(c, sql, 0, NULL, &rows);
        if (verdict != PG_DONE)
            return verdict;
        if (text_to_i64(text_of(pg_value(rows, 0, 0)), 0, INT32_MAX, &lines) < 0)
            return PG_RETRY;
        all += lines;
    } while (lines > 0);
    *ret_lines = all;
    return PG_DONE;
}

migrate_verdict migrate_prune(const char *conninfo, migrate_progress progress, void *context,
                              char ret_why[MIGRATE_WHY_MAX]) {
    CLEANUP(pg_closep) pg *c = NULL;
    CLEANUP(pg_rows_freep) pg_rows *dropped = NULL;
    int64_t lines = 0, told = 0;
    migrate_verdict verdict = reach(conninfo, &c, ret_why);
    if (verdict != MIGRATE_DONE)
        return verdict;
    if (pg_run(c, "SET ROLE mayday_owner") != PG_DONE ||
        pg_query(c, "SELECT dropped FROM mayday.drop_partitions()", 0, NULL, &dropped) != PG_DONE ||
        trim(c, "SELECT mayday.trim_feed()", &lines) != PG_DONE ||
        trim(c, "SELECT mayday.prune_reach()", &told) != PG_DONE)
        return refuse(c, "dropping what is past its time", ret_why);
    for (size_t i = 0; progress && i < pg_rows_count(dropped); i++)
        progress(context, 0, pg_value(dropped, i, 0));
    if (progress && lines > 0)
        progress(context, 0, "feed (its oldest lines)");
    if (progress && told > 0)
        progress(context, 0, "messages to people (the oldest, and words of old ones)");
    return pg_rows_count(dropped) > 0 || lines > 0 || told > 0 ? MIGRATE_DONE : MIGRATE_UP_TO_DATE;
}
