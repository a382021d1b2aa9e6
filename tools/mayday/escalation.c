/* escalation.c - `mayday escalation`: the words, the options, the help. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "database.h"
#include "escalation_tool.h"

#define WAIT_MS    10000
#define LIST_MAX   1000
#define LIST_ROWS  50
#define LEVEL_MAX  20
#define HOLD_MIN_S 10
#define HOLD_MAX_S 3600

extern const command command_escalation;
static const command *const self = &command_escalation;

/* How long a hold is, as the option says it. */
static bool take_hold(escalation_options *o, const char *value) {
    int64_t ms;
    if (!arg_duration(self, "for", value, &ms))
        return false;
    o->act.seconds = ms / 1000;
    if (o->act.seconds >= HOLD_MIN_S && o->act.seconds <= HOLD_MAX_S)
        return true;
    (void)command_fail(self, EXIT_USAGE, "--for: from %d s to %d min", HOLD_MIN_S, HOLD_MAX_S / 60);
    return false;
}

static bool take_option(escalation_options *o, int option, const char *value) {
    static const char *const types[] = {"panic", "medical", "security", "fire", "general", NULL};
    static const char *const priorities[] = {"low", "medium", "high", "critical", NULL};
    double degrees;
    switch (option) {
    case 'P':
        o->policy = value;
        return true;
    case 't':
        o->type = value;
        return arg_choice(self, "type", value, types);
    case 'p':
        o->priority = value;
        return arg_choice(self, "priority", value, priorities);
    case 'r':
        o->raiser = value;
        return true;
    case '@':
        o->at = value;
        return true;
    case 'a':
        o->lat = value;
        return arg_number(self, "lat", value, -90, 90, &degrees);
    case 'b':
        o->lon = value;
        return arg_number(self, "lon", value, -180, 180, &degrees);
    case 'F':
        o->plan_file = value;
        return true;
    case 'A':
        o->all = true;
        return true;
    case 'n':
        return arg_count(self, "limit", value, 1, LIST_MAX, &o->limit);
    case 'f':
        return take_hold(o, value);
    case 'R':
        o->act.reason = value;
        return true;
    case 'w':
        return arg_duration(self, "wait", value, &o->act.wait_ms);
    case 'j':
        o->act.json = true;
        return true;
    case DATABASE_OPTION:
        o->act.database = value;
        return true;
    default:
        return link_option(self, &o->act.link, option, value) == LINK_TAKEN;
    }
}

static bool take_id(escalation_options *o, const char *value) {
    o->act.id = value;
    if (uuid_is_v7_text(text_of(value)))
        return true;
    (void)command_fail(self, EXIT_USAGE, "'%s' is not a version 7 UUID in lower case", value);
    return false;
}

typedef struct word {
    const char *name, *usage;
    int count; /* of words behind it */
    int (*look)(const command *c, const escalation_options *o);
    alert_deed deed;
} word;

static const word words[] = {
    {.name = "test", .usage = "test ORG", .count = 1, .look = escalation_rehearse},
    {.name = "list", .usage = "list ORG", .count = 1, .look = escalation_list},
    {.name = "show", .usage = "show ORG ALERT", .count = 2, .look = escalation_show},
    {.name = "now",
     .usage = "now ALERT",
     .count = 1,
     .deed = {.action = "escalate", .role = "dispatcher", .done = "escalated"}},
    {.name = "level",
     .usage = "level ALERT N",
     .count = 2,
     .deed = {.action = "escalate", .role = "dispatcher", .done = "escalated"}},
    {.name = "hold",
     .usage = "hold ALERT",
     .count = 1,
     .deed = {.action = "hold", .role = "dispatcher", .done = "held"}},
};

/* What stands behind the word. An exit code. */
static int take_words(const word *w, escalation_options *o, int count, char **values) {
    if (count != w->count)
        return command_fail(self, EXIT_USAGE,
                            "expected 'mayday escalation %s'; see 'mayday escalation --help'", w->usage);
    if (w->look) {
        o->org = values[0];
        return count < 2 || take_id(o, values[1]) ? EXIT_DONE : EXIT_USAGE;
    }
    if (!take_id(o, values[0]))
        return EXIT_USAGE;
    if (count == 2 && !arg_count(self, "level", values[1], 1, LEVEL_MAX, &o->act.level))
        return EXIT_USAGE;
    return EXIT_DONE;
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"policy", required_argument, NULL, 'P'},
        {"type", required_argument, NULL, 't'},
        {"priority", required_argument, NULL, 'p'},
        {"raiser", required_argument, NULL, 'r'},
        {"at", required_argument, NULL, '@'},
        {"lat", required_argument, NULL, 'a'},
        {"lon", required_argument, NULL, 'b'},
        {"plan", required_argument, NULL, 'F'},
        {"all", no_argument, NULL, 'A'},
        {"limit", required_argument, NULL, 'n'},
        {"for", required_argument, NULL, 'f'},
        {"reason", required_argument, NULL, 'R'},
        {"wait", required_argument, NULL, 'w'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        LINK_BROKER_OPTIONS,
        LINK_WHO_OPTIONS,
        {0},
    };
    escalation_options o = {.act = {.config_path = config_path, .expected = -1, .wait_ms = WAIT_MS},
                            .limit = LIST_ROWS};
    const word *w = NULL;
    link_defaults(&o.act.link);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    for (size_t i = 0; optind < argc && i < ARRAY_LEN(words); i++)
        if (strcmp(argv[optind], words[i].name) == 0)
            w = &words[i];
    if (!w)
        return command_fail(
            self, EXIT_USAGE,
            "expected 'test', 'list', 'show', 'now', 'level' or 'hold'; see 'mayday escalation --help'");
    int code = take_words(w, &o, argc - optind - 1, argv + optind + 1);
    if (code != EXIT_DONE)
        return code;
    return w->look ? w->look(self, &o) : alert_act(self, &o.act, &w->deed);
}

const command command_escalation = {
    .name = "escalation",
    .summary = "whom alarms tell: a dry run, what is under way, and hurrying or holding it",
    .help = "Usage: mayday escalation test|list|show|now|level|hold [ORG] [ALERT] [N] [OPTION...]\n"
            "\n"
            "test ORG           what an alarm would do by the plan: who would be told what way, when. "
            "Nothing is sent\n"
            "                   or stored\n"
            "list ORG           the escalations that are not over\n"
            "show ORG ALERT     one of them: everybody told, every attempt, every answer; noted in the audit "
            "trail\n"
            "now ALERT          tell the next level now\n"
            "level ALERT N      tell level N now\n"
            "hold ALERT         tell nobody further for a while; it goes on by itself\n"
            "\n"
            "test, list and show read the database; the others say it over MQTT, wait for what came of it "
            "and print\n"
            "that. Numbers are masked.\n"
            "\n"
            "  --type NAME        test: of which type (default panic)\n"
            "  --priority NAME    test: of which priority (default critical)\n"
            "  --policy NAME      test: this policy, whatever the type and priority\n"
            "  --plan FILE        test: this plan instead of the one that counts\n"
            "  --raiser PERSON    test: whose alarm it is; their family is found by it\n"
            "  --lat D --lon D    test: where; who is nearest is found by it\n"
            "  --at TIME          test: when, as PostgreSQL reads times (default now); who is on call is "
            "found by it\n"
            "  --all              list those that are over, too\n"
            "  --limit N          how many rows at most (default 50)\n"
            "  --for T            hold: for so long, 10s to 1h (default 10m)\n"
            "  --reason TEXT      now, level, hold: why\n"
            "  --wait T           how long to wait for the answer (default 10s)\n"
            "  --json             lines of JSON\n" DATABASE_HELP "\n" LINK_BROKER_HELP "\n" LINK_WHO_HELP
            "  Here the role defaults to dispatcher.\n"
            "\n"
            "Exit codes: 0 done, 1 refused, or in a dry run a level that reaches nobody, 2 wrong usage, 3 "
            "broker or\n"
            "database could not be reached, or the broker has the message and Mayday has not answered yet.\n",
    .run = run,
};
