/* provider.c - `mayday provider`: how those who carry texts and calls are doing, over the database. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "database.h"

extern const command command_provider;
static const command *const self = &command_provider;

#define HOURS_DEFAULT 24
#define HOURS_MAX     (24 * 365)

static const char now_sql[] =
    "SELECT s.provider, s.gateway, s.breaker, s.in_flight, s.sent, s.retry, s.refused, s.unknown,"
    " coalesce(s.last_failure || ', ' || extract(epoch FROM now() - s.last_failure_at)::bigint || ' s ago',"
    "  s.last_failure, ''), extract(epoch FROM now() - s.noted_at)::bigint || ' s ago',"
    " jsonb_build_object('what', 'state') || jsonb_strip_nulls(to_jsonb(s))"
    " FROM mayday.provider_state s ORDER BY s.provider, s.gateway";

/* How long it took until the provider took it, and until the phone had it, of those for which it is known. */
static const char outcomes_sql[] =
    "WITH tried AS (SELECT t.provider, t.outcome, extract(epoch FROM t.ended_at - t.begun_at) * 1000 AS took,"
    "  CASE WHEN n.status IN ('delivered', 'answered') AND t.outcome = 'sent' AND t.receipt_at >= t.begun_at"
    "       THEN extract(epoch FROM t.receipt_at - t.begun_at) END AS arrived"
    "  FROM mayday.attempt t LEFT JOIN mayday.notification n ON n.id = t.notification"
    "  WHERE t.begun_at > now() - make_interval(hours => $1::integer)),"
    " sums AS (SELECT provider, count(*) AS requests, count(*) FILTER (WHERE outcome = 'sent') AS sent,"
    "  count(*) FILTER (WHERE outcome = 'retry') AS retry, count(*) FILTER (WHERE outcome = 'refused') AS "
    "refused,"
    "  count(*) FILTER (WHERE outcome = 'unknown') AS unknown, count(*) FILTER (WHERE outcome IS NULL) AS "
    "under_way,"
    "  count(arrived) AS arrived,"
    "  percentile_cont('{0.5,0.95,0.99}'::float8[]) WITHIN GROUP (ORDER BY took) FILTER (WHERE outcome = "
    "'sent') AS accept,"
    "  percentile_cont('{0.5,0.95,0.99}'::float8[]) WITHIN GROUP (ORDER BY arrived) AS deliver"
    "  FROM tried GROUP BY provider)"
    " SELECT provider, requests, sent, retry, refused, unknown, arrived,"
    "  (SELECT string_agg(round(v::numeric)::text, ' / ') FROM unnest(accept) v),"
    "  (SELECT string_agg(round(v::numeric, 1)::text, ' / ') FROM unnest(deliver) v),"
    "  jsonb_build_object('what', 'outcomes') || jsonb_strip_nulls(jsonb_build_object('provider', provider, "
    "'requests',"
    "   requests, 'sent', sent, 'retry', retry, 'refused', refused, 'unknown', unknown, 'under_way', "
    "under_way,"
    "   'delivered', arrived, 'accept_ms', to_jsonb(accept), 'deliver_s', to_jsonb(deliver)))"
    " FROM sums ORDER BY provider";

static const char codes_sql[] =
    "SELECT t.provider, t.outcome, coalesce(t.code, ''), count(*), to_char(max(t.begun_at) AT TIME ZONE "
    "'UTC',"
    " 'YYYY-MM-DD HH24:MI:SS'), jsonb_build_object('what', 'failure', 'provider', t.provider, 'outcome', "
    "t.outcome, 'code',"
    " coalesce(t.code, ''), 'count', count(*)) FROM mayday.attempt t"
    " WHERE t.begun_at > now() - make_interval(hours => $1::integer) AND t.outcome <> 'sent'"
    " GROUP BY t.provider, t.outcome, t.code ORDER BY count(*) DESC, t.provider, t.code LIMIT 20";

static int section(pg *db, const char *title, const char *sql, const char *hours, const char *const *heads,
                   size_t columns, bool json, const char *nothing) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = database_ask(self, db, sql, strstr(sql, "$1") ? 1 : 0, &hours, &rows);
    if (code != EXIT_DONE)
        return code;
    if (!json)
        puts(title);
    database_print(rows, heads, columns, json, nothing);
    return EXIT_DONE;
}

static int status(pg *db, int64_t hours, bool json) {
    static const char *const now_heads[] = {"PROVIDER", "GATEWAY", "BREAKER", "UNDER WAY",    "SENT",
                                            "RETRY",    "REFUSED", "UNKNOWN", "LAST FAILURE", "SAID"};
    static const char *const outcome_heads[] = {"PROVIDER",
                                                "REQUESTS",
                                                "SENT",
                                                "RETRY",
                                                "REFUSED",
                                                "UNKNOWN",
                                                "ARRIVED",
                                                "ACCEPTED IN MS, P50/95/99",
                                                "ARRIVED IN S, P50/95/99"};
    static const char *const code_heads[] = {"PROVIDER", "OUTCOME", "CODE", "COUNT", "LAST, UTC"};
    char count[24], title[80];
    (void)snprintf(count, sizeof count, "%lld", (long long)hours);
    (void)snprintf(title, sizeof title, "\nrequests of the last %lld hours", (long long)hours);
    int code = section(db, "as the gateways see them, since they started", now_sql, count, now_heads,
                       ARRAY_LEN(now_heads), json, "no gateway has said anything yet");
    if (code == EXIT_DONE)
        code = section(db, title, outcomes_sql, count, outcome_heads, ARRAY_LEN(outcome_heads), json, "none");
    if (code == EXIT_DONE)
        code = section(db, "\nwhat they did not take", codes_sql, count, code_heads, ARRAY_LEN(code_heads),
                       json, "nothing");
    return code;
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"hours", required_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        {0},
    };
    const char *database = NULL;
    int64_t hours = HOURS_DEFAULT;
    bool json = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'j')
            json = true;
        else if (option == DATABASE_OPTION)
            database = optarg;
        else if (option != 'h' || !arg_count(self, "hours", optarg, 1, HOURS_MAX, &hours))
            return EXIT_USAGE;
    }
    if (argc - optind != 1 || strcmp(argv[optind], "status") != 0)
        return command_fail(self, EXIT_USAGE, "expected 'status'; see 'mayday provider --help'");
    CLEANUP(pg_closep) pg *db = NULL;
    int code = database_open(self, config_path, database, &db);
    return code == EXIT_DONE ? status(db, hours, json) : code;
}

const command command_provider = {
    .name = "provider",
    .summary = "how those who carry texts and calls are doing",
    .help =
        "Usage: mayday provider status [OPTION...]\n"
        "\n"
        "status             how each gateway sees each provider; what became of the last day's requests, "
        "and\n"
        "                   how long they took; what was not taken, by the provider's own code\n"
        "\n"
        "The breaker is 'closed' when all is well, 'open' while a provider is left alone because it failed\n"
        "again and again, and 'trying' when it is asked once more. 'unknown' is a request that may have "
        "gone\n"
        "out. 'Arrived' counts what a phone is known to have.\n"
        "\n"
        "  --hours N          requests of so many hours (default 24)\n"
        "  --json             lines of JSON\n" DATABASE_HELP "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the database could not be reached.\n",
    .run = run,
};
