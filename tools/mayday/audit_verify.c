/* audit_verify.c - `mayday audit verify`.
 *
 * Files of checkpoints are read before the database's snapshot is taken: what is in a file was committed
 * before, so a sealer at work never looks like an end cut off. The trail itself streams by in the order of
 * its positions. */
#include "audit_tool.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/audit_trail.h"
#include "keyfile.h"

#define FETCH          "FETCH 2000 FROM trail"
#define FILES_MAX      16
#define FILE_MAX       (1u << 30)
#define PROGRESS_EVERY 50000
#define STALE_S        60

typedef struct verification {
    const settings *conf;
    const char *conninfo, *keys_path;
    const char *files[FILES_MAX];
    size_t file_count;
    uint64_t from;
    keyset *keys; /* NULL: signatures are not looked at */
    audit_checkpoint *checkpoints;
    size_t count, capacity;
    uint64_t faults; /* of checkpoints */
    audit_trail *trail;
    instant first_at, last_at;
    bool progress;
} verification;

static void verification_release(verification *v) {
    (void)audit_trail_free(v->trail);
    (void)keyset_free(v->keys);
    free(v->checkpoints);
}

static int out_of_memory(void) {
    return command_fail(&command_audit, EXIT_UNREACHABLE, "out of memory");
}

/* ---- keys ---- */

static int load_keys(verification *v) {
    CLEANUP(buf_release) buf file = BUF(KEYFILE_MAX);
    char why[TOKEN_WHY_MAX] = "";
    const char *path = v->keys_path ? v->keys_path : v->conf->audit_keys;
    if (!path || !*path) {
        fputs("warning: no keys (--keys, or [audit] signing_keys): signatures of checkpoints are not "
              "checked, so "
              "whoever may write to the database can have made them\n",
              stderr);
        return EXIT_DONE;
    }
    int fault = file_read(path, KEYFILE_MAX, &file);
    if (fault < 0)
        return command_fail(&command_audit, EXIT_UNREACHABLE, "%s: %s", path, strerror(-fault));
    fault = keyset_parse(buf_text(&file), &v->keys, why);
    explicit_bzero(file.ptr, file.len);
    return fault < 0 ? command_fail(&command_audit, EXIT_UNREACHABLE, "%s: %s", path, why) : EXIT_DONE;
}

/* ---- checkpoints ---- */

static bool keep(verification *v, const audit_checkpoint *c) {
    if (v->count == v->capacity) {
        size_t more = v->capacity ? 2 * v->capacity : 1024;
        audit_checkpoint *grown = realloc(v->checkpoints, more * sizeof *grown);
        if (!grown)
            return false;
        v->checkpoints = grown;
        v->capacity = more;
    }
    v->checkpoints[v->count++] = *c;
    return true;
}

/* NULL when it is genuine, or what is wrong with it. */
static const char *judge(const verification *v, text jws, audit_checkpoint *ret_checkpoint,
                         char ret_kid[AUDIT_KID_MAX]) {
    if (audit_checkpoint_read(jws, ret_checkpoint, ret_kid) < 0)
        return "is not one";
    switch (v->keys ? audit_checkpoint_verify(v->keys, jws) : TOKEN_ACCEPTED) {
    case TOKEN_ACCEPTED:
        return NULL;
    case TOKEN_UNKNOWN_KEY:
        return "is signed with an unknown key (are the public halves of former keys in the set?)";
    case TOKEN_BAD_SIGNATURE:
        return "was altered or forged: its signature is wrong";
    case TOKEN_REFUSED:
    case TOKEN_TOO_LONG:
    case TOKEN_WRONG_ALGORITHM:
    case TOKEN_EXPIRED:
    case TOKEN_NOT_YET_VALID:
    case TOKEN_WRONG_ISSUER:
    case TOKEN_WRONG_AUDIENCE:
    case TOKEN_WRONG_PARTY:
    case TOKEN_MISSING_CLAIM:
    case TOKEN_BAD_CLAIM:
    case TOKEN_NO_MEMORY:
    case TOKEN_VERDICTS:
        break;
    }
    return "is not signed as a checkpoint";
}

static int read_file(verification *v, const char *path) {
    CLEANUP(buf_release) buf file = BUF(FILE_MAX);
    char kid[AUDIT_KID_MAX];
    int fault = file_read(path, FILE_MAX, &file);
    if (fault < 0)
        return command_fail(&command_audit, EXIT_UNREACHABLE, "%s: %s", path, strerror(-fault));
    text rest = buf_text(&file), line;
    for (size_t number = 1; text_next(&rest, '\n', &line); number++) {
        audit_checkpoint c;
        line = text_trim(line);
        if (line.len == 0)
            continue;
        const char *wrong = judge(v, line, &c, kid);
        if (wrong) {
            v->faults++;
            printf("%s, line %zu: the checkpoint %s\n", path, number, wrong);
        } else if (!keep(v, &c)) {
            return out_of_memory();
        }
    }
    return EXIT_DONE;
}

static int read_files(verification *v) {
    CLEANUP(buf_release) buf own = BUF(4096);
    int code = EXIT_DONE;
    for (size_t i = 0; i < v->file_count && code == EXIT_DONE; i++)
        code = read_file(v, v->files[i]);
    if (v->file_count > 0 || !v->conf->state_dir || code != EXIT_DONE)
        return code;
    buf_printf(&own, "%s/audit-checkpoints", v->conf->state_dir);
    return buf_failed(&own) == 0 && access(own.ptr, R_OK) == 0 ? read_file(v, own.ptr) : EXIT_DONE;
}

/* The columns beside a signature are there for people; they must say the same. */
static const char *compare_columns(const pg_rows *rows, size_t row, const audit_checkpoint *c,
                                   const char *kid) {
    audit_hash chain;
    bool same = audit_integer(rows, row, 1) == (int64_t)c->position &&
                audit_hash_parse(text_of(pg_value(rows, row, 2)), &chain) == 0 &&
                audit_hash_equal(&chain, &c->chain) && audit_integer(rows, row, 3) == c->at &&
                strcmp(pg_value(rows, row, 4), kid) == 0;
    return same ? NULL : "was altered: its columns differ from what was signed";
}

static int take_checkpoint(verification *v, const pg_rows *rows, size_t row) {
    audit_checkpoint c;
    char kid[AUDIT_KID_MAX];
    const char *wrong = judge(v, text_of(pg_value(rows, row, 5)), &c, kid);
    bool is_genuine = !wrong;
    if (is_genuine)
        wrong = compare_columns(rows, row, &c, kid);
    if (wrong) {
        v->faults++;
        printf("the checkpoint %s of position %s %s\n", pg_value(rows, row, 0), pg_value(rows, row, 1),
               wrong);
    }
    return is_genuine && !keep(v, &c) ? out_of_memory() : EXIT_DONE;
}

/* Opens the cursor `trail` and hands each row to `take` until there are no more. */
static int stream(verification *v, pg *c, const char *declare, size_t count, const char *const *params,
                  int (*take)(verification *v, const pg_rows *rows, size_t row)) {
    if (pg_query(c, declare, count, params, NULL) != PG_DONE)
        return audit_sql_failed(c);
    for (size_t n = 1; n > 0;) {
        CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
        if (pg_query(c, FETCH, 0, NULL, &rows) != PG_DONE)
            return audit_sql_failed(c);
        n = pg_rows_count(rows);
        for (size_t i = 0; i < n; i++) {
            int code = take(v, rows, i);
            if (code != EXIT_DONE)
                return code;
        }
    }
    return pg_run(c, "CLOSE trail") == PG_DONE ? EXIT_DONE : audit_sql_failed(c);
}

static int by_position(const void *a, const void *b) {
    const audit_checkpoint *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    int order = memcmp(x->chain.bytes, y->chain.bytes, AUDIT_HASH_LEN);
    return order != 0 ? order : y->ends_month - x->ends_month;
}

/* Each place in the chain once; what ends a month goes before what says the same without. */
static void sort_checkpoints(verification *v) {
    size_t kept = 0;
    if (v->count > 0)
        qsort(v->checkpoints, v->count, sizeof *v->checkpoints, by_position);
    for (size_t i = 0; i < v->count; i++) {
        const audit_checkpoint *c = &v->checkpoints[i], *last = kept > 0 ? &v->checkpoints[kept - 1] : NULL;
        if (!last || last->position != c->position || !audit_hash_equal(&last->chain, &c->chain))
            v->checkpoints[kept++] = *c;
    }
    v->count = kept;
}

static int load_checkpoints(verification *v, pg *c) {
    static const char declare[] =
        "DECLARE trail NO SCROLL CURSOR FOR SELECT id, position, encode(chain_hash, 'hex'),"
        " CASE WHEN isfinite(at) THEN (extract(epoch FROM at) * 1000000)::bigint END, kid, signature"
        " FROM mayday.audit_checkpoint";
    int code = stream(v, c, declare, 0, NULL, take_checkpoint);
    if (code == EXIT_DONE)
        sort_checkpoints(v);
    return code;
}

/* ---- entries ---- */

static void name_positions(uint64_t first, uint64_t last) {
    if (first == last)
        printf("position %" PRIu64, first);
    else
        printf("positions %" PRIu64 " to %" PRIu64, first, last);
}

/* What somebody wrote into the table must not drive the terminal. */
static void print_plain(text t) {
    for (size_t i = 0; i < t.len; i++)
        if ((unsigned char)t.ptr[i] < 0x20 || t.ptr[i] == 0x7f)
            printf("\\x%02x", (unsigned char)t.ptr[i]);
        else
            putchar(t.ptr[i]);
}

static void name_entry(const audit_entry *e) {
    char at[INSTANT_TEXT_LEN + 1];
    instant_format(e->at, at);
    printf("entry %" PRIu64 " (%.*s, %s, ", e->position, (int)e->id.len, e->id.ptr, at);
    print_plain(e->kind);
    putchar(')');
}

static void print_finding(void *context, const audit_finding *f) {
    char at[INSTANT_TEXT_LEN + 1] = "";
    (void)context;
    if (f->checkpoint)
        instant_format(f->checkpoint->at, at);
    switch (f->kind) {
    case AUDIT_ALTERED:
        name_entry(f->entry);
        puts(": altered, its content is not what was hashed");
        break;
    case AUDIT_BROKEN:
        name_entry(f->entry);
        printf(": the chain does not lead here from %" PRIu64
               ": one of the two was altered with its hash, or put in another's place\n",
               f->first);
        break;
    case AUDIT_MISSING:
        name_positions(f->first, f->last);
        puts(": missing");
        break;
    case AUDIT_REPEATED:
        name_entry(f->entry);
        puts(": another entry has this position too, one of the two was inserted");
        break;
    case AUDIT_REWRITTEN:
        name_positions(f->first, f->last);
        printf(": written anew, the checkpoint signed at %s for %" PRIu64 " says otherwise\n", at, f->last);
        break;
    case AUDIT_CUT_OFF:
        name_positions(f->first, f->last);
        printf(": cut off, they were there when a checkpoint was signed at %s\n", at);
        break;
    }
}

static text nullable(const pg_rows *rows, size_t row, size_t column) {
    return pg_is_null(rows, row, column) ? (text){NULL, 0} : text_of(pg_value(rows, row, column));
}

static int take_entry(verification *v, const pg_rows *rows, size_t row) {
    audit_hash entry_hash = {{0}}, chain_hash = {{0}};
    audit_entry e = {.position = (uint64_t)audit_integer(rows, row, 0),
                     .id = text_of(pg_value(rows, row, 1)),
                     .at = audit_integer(rows, row, 2),
                     .sealed_at = audit_integer(rows, row, 3),
                     .org = text_of(pg_value(rows, row, 4)),
                     .kind = text_of(pg_value(rows, row, 5)),
                     .actor = text_of(pg_value(rows, row, 6)),
                     .person = nullable(rows, row, 7),
                     .alert = nullable(rows, row, 8),
                     .detail = text_of(pg_value(rows, row, 9))};
    /* A hash that can't be read stays zero, and fits nothing. */
    if (audit_hash_parse(text_of(pg_value(rows, row, 10)), &entry_hash) < 0 ||
        audit_hash_parse(text_of(pg_value(rows, row, 11)), &chain_hash) < 0)
        entry_hash = audit_origin;
    if (audit_trail_take(v->trail, &e, &entry_hash, &chain_hash) < 0)
        return out_of_memory();
    uint64_t n = audit_trail_count(v->trail);
    if (n == 1)
        v->first_at = e.at;
    v->last_at = e.at;
    if (v->progress && n % PROGRESS_EVERY == 0)
        fprintf(stderr, "\r%" PRIu64 " entries...", n);
    return EXIT_DONE;
}

static int walk(verification *v, pg *c) {
    static const char declare[] =
        "DECLARE trail NO SCROLL CURSOR FOR SELECT position, id,"
        " CASE WHEN isfinite(at) THEN (extract(epoch FROM at) * 1000000)::bigint END,"
        " CASE WHEN isfinite(sealed_at) THEN (extract(epoch FROM sealed_at) * 1000000)::bigint END,"
        " org, kind, actor, person, alert, detail, encode(entry_hash, 'hex'), encode(chain_hash, 'hex')"
        " FROM mayday.audit WHERE position >= $1 ORDER BY position";
    char from[24];
    (void)snprintf(from, sizeof from, "%" PRIu64, v->from - 1);
    const char *params[] = {from};
    int code = stream(v, c, declare, 1, params, take_entry);
    if (v->progress && audit_trail_count(v->trail) >= PROGRESS_EVERY)
        fputs("\r\033[K", stderr);
    if (code == EXIT_DONE)
        audit_trail_end(v->trail);
    return code;
}

/* ---- the report ---- */

static int warn_of_pending(pg *c) {
    static const char sql[] =
        "SELECT count(*), extract(epoch FROM clock_timestamp() - min(at))::bigint FROM mayday.audit_pending";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (pg_query(c, sql, 0, NULL, &rows) != PG_DONE)
        return audit_sql_failed(c);
    if (audit_integer(rows, 0, 1) > STALE_S)
        fprintf(
            stderr,
            "warning: %s entries wait to be sealed, one for %s s; until then nothing protects them. Does a "
            "gateway run?\n",
            pg_value(rows, 0, 0), pg_value(rows, 0, 1));
    return EXIT_DONE;
}

static void print_reach(const verification *v) {
    char first[INSTANT_TEXT_LEN + 1], last[INSTANT_TEXT_LEN + 1], at[INSTANT_TEXT_LEN + 1];
    uint64_t n = audit_trail_count(v->trail), begins = audit_trail_first(v->trail),
             ends = audit_trail_last(v->trail);
    const audit_checkpoint *agreed = audit_trail_agreed(v->trail);
    if (n == 0) {
        puts("there are no entries");
        return;
    }
    instant_format(v->first_at, first);
    instant_format(v->last_at, last);
    printf("%" PRIu64 " entries, ", n);
    name_positions(begins, ends);
    printf(", from %s to %s\n", first, last);
    if (begins > 1 && v->from == 1)
        printf("the months before position %" PRIu64 " are not kept any more\n", begins);
    if (!agreed) {
        puts("no checkpoint vouches for them");
        return;
    }
    instant_format(agreed->at, at);
    printf("the last checkpoint they agree with is of position %" PRIu64 ", signed at %s; %" PRIu64
           " entries came after it\n",
           agreed->position, at, ends - agreed->position);
}

static int report(verification *v, pg *c) {
    int code = warn_of_pending(c);
    if (code != EXIT_DONE)
        return code;
    uint64_t findings = v->faults + audit_trail_findings(v->trail);
    print_reach(v);
    if (findings == 0) {
        puts("intact");
        return EXIT_DONE;
    }
    printf("TAMPERED WITH: %" PRIu64 " finding%s\n", findings, findings == 1 ? "" : "s");
    return EXIT_REFUSED;
}

static int verify(verification *v) {
    CLEANUP(pg_closep) pg *c = NULL;
    int code = load_keys(v);
    if (code == EXIT_DONE)
        code = read_files(v);
    if (code == EXIT_DONE)
        code = audit_connect(v->conf, v->conninfo, &c);
    if (code != EXIT_DONE)
        return code;
    if (pg_run(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") != PG_DONE)
        return audit_sql_failed(c);
    code = load_checkpoints(v, c);
    if (code != EXIT_DONE)
        return code;
    v->trail = audit_trail_new(v->from, v->checkpoints, v->count, print_finding, NULL);
    if (!v->trail)
        return out_of_memory();
    code = walk(v, c);
    if (code == EXIT_DONE)
        code = report(v, c);
    return code;
}

static int parse(verification *v, int argc, char **argv) {
    static const struct option options[] = {
        {"checkpoints", required_argument, NULL, 'c'},
        {"keys", required_argument, NULL, 'k'},
        {"from", required_argument, NULL, 'f'},
        {"database", required_argument, NULL, 'd'},
        {0},
    };
    int64_t from = 1;
    optind = 0; /* start afresh: main() wanted options before the command */
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'c' && v->file_count < FILES_MAX)
            v->files[v->file_count++] = optarg;
        else if (o == 'k')
            v->keys_path = optarg;
        else if (o == 'd')
            v->conninfo = optarg;
        else if (o != 'f')
            return EXIT_USAGE;
        else if (text_to_i64(text_of(optarg), 1, INT64_MAX, &from) < 0)
            return command_fail(&command_audit, EXIT_USAGE, "--from: '%s' is not a position", optarg);
    }
    v->from = (uint64_t)from;
    return optind < argc ? command_fail(&command_audit, EXIT_USAGE, "unexpected '%s'", argv[optind])
                         : EXIT_DONE;
}

int audit_verify(const settings *conf, int argc, char **argv) {
    CLEANUP(verification_release) verification v = {.conf = conf, .progress = isatty(STDERR_FILENO) == 1};
    int code = parse(&v, argc, argv);
    return code == EXIT_DONE ? verify(&v) : code;
}
