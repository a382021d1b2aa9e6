/* notify.c - `mayday notify`: a real message to one person, and what becomes of it.
 *
 * The message is a row that the gateways send like any other; this only watches it. So stopping the command
 * stops nothing, and a gateway that dies meanwhile is taken over from as in earnest. */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "base/instant.h"
#include "database.h"
#include "once.h"
#include "show.h"

extern const command command_notify;
static const command *const self = &command_notify;

#define WAIT_MS  90000
#define LOOK_MS  250
#define SAID_MAX (1 << 20)

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    stopped = 1;
}

typedef struct notify_options {
    const char *config_path, *database, *org, *person, *channel;
    int64_t wait_ms;
    bool json;
} notify_options;

/* Where it stands, and what the line before last of the story is: the words that have come so far. */
static const char status_sql[] =
    "SELECT n.status, coalesce(n.why, ''), n.kind, n.attempts,"
    " jsonb_strip_nulls(jsonb_build_object('id', n.id, 'org', n.org, 'person', n.person, 'kind', n.kind,"
    "  'number', mayday.mask_number(n.address), 'status', n.status, 'why', n.why, 'made_at', "
    "mayday.spell(n.made_at),"
    "  'sent_at', mayday.spell(n.sent_at), 'done_at', mayday.spell(n.done_at),"
    "  'attempts', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('provider', t.provider, "
    "'outcome', t.outcome,"
    "    'http_status', t.http_status, 'code', t.code, 'receipt', t.receipt)) ORDER BY t.begun_at), '[]')"
    "   FROM mayday.attempt t WHERE t.notification = n.id)))"
    " FROM mayday.notification n WHERE n.id = $1::uuid";

static const char story_sql[] =
    "SELECT to_char(s.at AT TIME ZONE 'UTC', 'HH24:MI:SS.MS') || '  ' || s.what FROM ("
    " SELECT t.begun_at AS at, 1 AS sort, t.provider || ' is asked, by ' || t.gateway AS what FROM "
    "mayday.attempt t"
    "  WHERE t.notification = $1::uuid"
    " UNION ALL SELECT t.ended_at, 2, t.provider || ': ' || t.outcome || coalesce(', HTTP ' || "
    "t.http_status, '')"
    "  || coalesce(', ' || nullif(t.code, ''), '') || ', after ' || round(extract(epoch FROM t.ended_at - "
    "t.begun_at) * 1000)"
    "  || ' ms' FROM mayday.attempt t WHERE t.notification = $1::uuid AND t.ended_at IS NOT NULL AND "
    "t.outcome IS NOT NULL"
    " UNION ALL SELECT t.receipt_at, 3, t.provider || ' says: ' || t.receipt FROM mayday.attempt t"
    "  WHERE t.notification = $1::uuid AND t.receipt IS NOT NULL AND t.receipt_at IS NOT NULL"
    " UNION ALL SELECT w.at, 4, 'answered: ' || w.answer FROM mayday.answer w WHERE w.notification = $1::uuid"
    ") s ORDER BY s.at, s.sort";

static void say(const char *words) {
    CLEANUP(buf_release) buf line = BUF(8192);
    buf_add_text(&line, text_of(words));
    if (buf_failed(&line) < 0)
        return;
    show_defuse(&line);
    puts(line.ptr ? line.ptr : "");
    (void)fflush(stdout);
}

static int tell_new(pg *db, const char *id, buf *said) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = database_ask(self, db, story_sql, 1, &id, &rows);
    for (size_t i = 0; code == EXIT_DONE && i < pg_rows_count(rows); i++)
        if (once(said, pg_value(rows, i, 0)))
            say(pg_value(rows, i, 0));
    return code;
}

typedef enum stage {
    STAGE_OPEN = 0,
    STAGE_TAKEN, /* a provider has it */
    STAGE_DONE,
    STAGE_FAILED,
} stage;

/* A message to the app is done when it is posted: whether the app shows it, nobody is asked. */
static stage stage_of(const char *status, const char *kind) {
    if (strcmp(status, "delivered") == 0 || strcmp(status, "answered") == 0)
        return STAGE_DONE;
    if (strcmp(status, "failed") == 0 || strcmp(status, "withdrawn") == 0)
        return STAGE_FAILED;
    if (strcmp(status, "sent") == 0)
        return strcmp(kind, "mqtt") == 0 ? STAGE_DONE : STAGE_TAKEN;
    return STAGE_OPEN;
}

static int conclude(const notify_options *o, stage at, const pg_rows *row) {
    const char *status = pg_value(row, 0, 0), *why = pg_value(row, 0, 1);
    if (o->json)
        puts(pg_value(row, 0, 4));
    if (at == STAGE_FAILED)
        return command_fail(self, EXIT_REFUSED, "it %s%s%s",
                            strcmp(status, "failed") == 0 ? "failed" : "was withdrawn", *why ? ": " : "",
                            why);
    if (at == STAGE_DONE) {
        if (!o->json)
            printf("%s\n", strcmp(status, "sent") == 0 ? "posted: the app shows it as soon as it is connected"
                                                       : status);
        return EXIT_DONE;
    }
    if (stopped)
        return command_fail(self, EXIT_UNREACHABLE, "it is %s, and goes on without you", status);
    if (at == STAGE_TAKEN)
        return command_fail(self, EXIT_UNREACHABLE,
                            "the provider has it; whether it arrived is not known within %lld s",
                            (long long)(o->wait_ms / 1000));
    return command_fail(
        self, EXIT_UNREACHABLE, "it is %s after %lld s%s", status, (long long)(o->wait_ms / 1000),
        strcmp(pg_value(row, 0, 3), "0") == 0 ? ", and nobody has tried: does a gateway run? see 'mayday "
                                                "doctor'"
                                              : "");
}

static int watch(const notify_options *o, pg *db, const char *id) {
    CLEANUP(buf_release) buf said = BUF(SAID_MAX);
    instant deadline = instant_now() + o->wait_ms * 1000;
    for (;;) {
        CLEANUP(pg_rows_freep) pg_rows *row = NULL;
        int code = database_ask(self, db, status_sql, 1, &id, &row);
        if (code == EXIT_DONE && pg_rows_count(row) != 1)
            code = command_fail(self, EXIT_REFUSED, "the message is gone from the database");
        if (code == EXIT_DONE && !o->json)
            code = tell_new(db, id, &said);
        if (code != EXIT_DONE)
            return code;
        stage at = stage_of(pg_value(row, 0, 0), pg_value(row, 0, 2));
        if (stopped || at >= STAGE_DONE || instant_now() >= deadline)
            return conclude(o, at, row);
        (void)poll(NULL, 0, LOOK_MS); /* ended early by a signal */
    }
}

static int send(const notify_options *o) {
    CLEANUP(pg_closep) pg *db = NULL;
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {o->org, o->person, o->channel};
    int code = database_open(self, o->config_path, o->database, &db);
    if (code == EXIT_DONE)
        code = database_ask(self, db,
                            "SELECT t.id, concat_ws(' ', t.kind, mayday.mask_number(t.number)) FROM "
                            "mayday.send_test($1, $2, $3) t",
                            ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    if (!o->json) {
        printf("a test to %s by %s: %s\n", o->person, pg_value(rows, 0, 1), pg_value(rows, 0, 0));
        (void)fflush(stdout);
    }
    return watch(o, db, pg_value(rows, 0, 0));
}

static bool take_option(notify_options *o, int option, const char *value) {
    static const char *const channels[] = {"sms", "voice", "mqtt", NULL};
    switch (option) {
    case 'c':
        o->channel = value;
        return arg_choice(self, "channel", value, channels);
    case 'w':
        return arg_duration(self, "wait", value, &o->wait_ms);
    case 'j':
        o->json = true;
        return true;
    case DATABASE_OPTION:
        o->database = value;
        return true;
    default:
        return false;
    }
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"channel", required_argument, NULL, 'c'},
        {"wait", required_argument, NULL, 'w'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    notify_options o = {.config_path = config_path, .wait_ms = WAIT_MS};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    if (argc - optind != 3 || strcmp(argv[optind], "send") != 0)
        return command_fail(self, EXIT_USAGE, "expected 'send ORG PERSON'; see 'mayday notify --help'");
    o.org = argv[optind + 1];
    o.person = argv[optind + 2];
    struct sigaction stop = {.sa_handler = on_signal};
    (void)sigemptyset(&stop.sa_mask);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)sigaction(SIGTERM, &stop, NULL);
    return send(&o);
}

const command command_notify = {
    .name = "notify",
    .summary = "send somebody a real test message, and say what becomes of it",
    .help =
        "Usage: mayday notify send ORG PERSON [OPTION...]\n"
        "\n"
        "send ORG PERSON    a message that says it is a test, by the first of their channels\n"
        "\n"
        "It is sent by a gateway as an alarm would be, behind all alarms, and costs what a message costs. "
        "Each\n"
        "step is told as it comes: who is asked, what they said, whether the phone has it. Ctrl-C ends the\n"
        "watching, not the message. Each test is in the audit trail.\n"
        "\n"
        "  --channel KIND     sms, voice or mqtt: the first of that kind\n"
        "  --wait T           how long to watch (default 90s)\n"
        "  --json             the end of it as one line of JSON, instead of the steps\n" DATABASE_HELP "\n"
        "Exit codes: 0 it arrived (mqtt: it is posted), 1 refused or failed, 2 wrong usage, 3 the database "
        "could\n"
        "not be reached, or it is not known yet whether it arrived.\n",
    .run = run,
};
