/* alert.c - `mayday alert`: the words, the options, the help. What they do is in alert_look.c and
 * alert_act.c. */
#include "alert.h"

#include <getopt.h>
#include <string.h>

#include "args.h"
#include "database.h"

#define WAIT_MS   10000
#define LIST_MAX  1000
#define LIST_ROWS 50

extern const command command_alert;
static const command *const self = &command_alert;

typedef struct word {
    const char *name;
    int (*look)(const command *c, const alert_options *o); /* or */
    alert_deed deed;
    bool takes_id;
    const char *takes; /* what else it takes: "PERSON" or "TEXT" */
} word;

static const word words[] = {
    {.name = "list", .look = alert_list},
    {.name = "show", .look = alert_show, .takes_id = true},
    {.name = "nearest", .look = alert_nearest, .takes_id = true},
    {.name = "ack",
     .takes_id = true,
     .deed = {.action = "acknowledge", .role = "dispatcher", .done = "acknowledged", .by_us = true}},
    {.name = "assign",
     .takes_id = true,
     .takes = "PERSON",
     .deed = {.action = "assign", .role = "dispatcher", .done = "assigned", .holds = "assigned"}},
    {.name = "unassign",
     .takes_id = true,
     .takes = "PERSON",
     .deed = {.action = "unassign", .role = "dispatcher", .done = "unassigned", .lacks = "assigned"}},
    {.name = "invite",
     .takes_id = true,
     .takes = "PERSON",
     .deed = {.action = "invite", .role = "dispatcher", .done = "invited", .holds = "invited"}},
    {.name = "resolve",
     .takes_id = true,
     .deed = {.action = "resolve", .role = "dispatcher", .done = "resolved", .status = "resolved"}},
    {.name = "cancel",
     .takes_id = true,
     .deed = {.action = "cancel", .role = "member", .done = "canceled", .status = "canceled"}},
    {.name = "reopen",
     .takes_id = true,
     .deed = {.action = "reopen", .role = "supervisor", .done = "reopened", .status = "active"}},
    {.name = "note",
     .takes_id = true,
     .takes = "TEXT",
     .deed = {.action = "note", .role = "dispatcher", .done = "noted", .silent = true}},
    {.name = "enroute",
     .takes_id = true,
     .deed = {.action = "enroute", .role = "responder", .done = "en route", .status = "enroute"}},
    {.name = "on-scene",
     .takes_id = true,
     .deed = {.action = "on_scene", .role = "responder", .done = "on scene", .status = "on_scene"}},
};

static bool take_option(alert_options *o, int option, const char *value) {
    switch (option) {
    case 'o': /* --open: the default */
        o->all = false;
        return true;
    case 'a':
        o->all = true;
        return true;
    case 'n':
        return arg_count(self, "limit", value, 1, LIST_MAX, &o->limit);
    case 'l':
        o->locations = true;
        return true;
    case 'e':
        return arg_count(self, "expect", value, 0, INT32_MAX, &o->expected);
    case 'r':
        o->reason = value;
        return true;
    case 'p':
        o->pin_file = value;
        return true;
    case 'w':
        return arg_duration(self, "wait", value, &o->wait_ms);
    case 'j':
        o->json = true;
        return true;
    case DATABASE_OPTION:
        o->database = value;
        return true;
    default:
        return link_option(self, &o->link, option, value) == LINK_TAKEN;
    }
}

static const word *find(const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(words[i].name, name) == 0)
            return &words[i];
    return NULL;
}

/* What stands behind the word: the incident, then a person or a text. An exit code. */
static int take_arguments(const word *w, alert_options *o, int argc, char **argv) {
    int wanted = w->takes_id + (w->takes != NULL);
    if (argc != wanted)
        return command_fail(self, EXIT_USAGE, "expected 'mayday alert %s%s%s%s'; see 'mayday alert --help'",
                            w->name, w->takes_id ? " ID" : "", w->takes ? " " : "", w->takes ? w->takes : "");
    if (w->takes_id) {
        o->id = argv[0];
        if (!uuid_is_v7_text(text_of(o->id)))
            return command_fail(self, EXIT_USAGE, "'%s' is not a version 7 UUID in lower case", o->id);
    }
    if (w->takes && strcmp(w->takes, "PERSON") == 0)
        o->person = argv[1];
    else if (w->takes)
        o->reason = argv[1];
    return EXIT_DONE;
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"open", no_argument, NULL, 'o'},
        {"all", no_argument, NULL, 'a'},
        {"limit", required_argument, NULL, 'n'},
        {"locations", no_argument, NULL, 'l'},
        {"expect", required_argument, NULL, 'e'},
        {"reason", required_argument, NULL, 'r'},
        {"pin-file", required_argument, NULL, 'p'},
        {"wait", required_argument, NULL, 'w'},
        {"json", no_argument, NULL, 'j'},
        DATABASE_OPTIONS,
        LINK_BROKER_OPTIONS,
        LINK_WHO_OPTIONS,
        {0},
    };
    alert_options o = {.config_path = config_path, .expected = -1, .limit = LIST_ROWS, .wait_ms = WAIT_MS};
    link_defaults(&o.link);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    const word *w = optind < argc ? find(argv[optind]) : NULL;
    if (!w)
        return optind < argc
                   ? command_fail(self, EXIT_USAGE, "there is no 'alert %s'; see 'mayday alert --help'",
                                  argv[optind])
                   : command_fail(self, EXIT_USAGE, "expected what to do; see 'mayday alert --help'");
    int code = take_arguments(w, &o, argc - optind - 1, argv + optind + 1);
    if (code != EXIT_DONE)
        return code;
    return w->look ? w->look(self, &o) : alert_act(self, &o, &w->deed);
}

const command command_alert = {
    .name = "alert",
    .summary = "list and show incidents, and act on them",
    .help =
        "Usage: mayday alert list|show|nearest|ack|assign|unassign|invite|resolve|cancel|reopen|note|enroute|"
        "on-scene [ID]\n"
        "                    [PERSON | TEXT] [OPTION...]\n"
        "\n"
        "list                   the open incidents, newest first\n"
        "show ID                one incident: state, members, receipts and timeline\n"
        "nearest ID             who is nearest to it and free\n"
        "ack ID                 acknowledge: somebody has taken it on\n"
        "assign ID PERSON       send somebody there, who from then on reads and writes in it\n"
        "unassign ID PERSON     take somebody off it\n"
        "invite ID PERSON       let somebody read and write in it\n"
        "resolve ID             the danger is over\n"
        "cancel ID              as its raiser: it was no danger\n"
        "reopen ID              it was not over; supervisors only\n"
        "note ID TEXT           a remark for the timeline\n"
        "enroute ID             as somebody assigned to it: on the way\n"
        "on-scene ID            as somebody assigned to it: arrived\n"
        "\n"
        "list, show and nearest read the database; the others say it over MQTT, wait for what came of it "
        "and\n"
        "print that, with the incident's new version.\n"
        "\n"
        "  --org NAME         of which organisation (looking, default: all; acting: of the token to mint)\n"
        "  --open             list only incidents that are not closed (default)\n"
        "  --all              list closed ones, too\n"
        "  --limit N          how many rows at most (default 50)\n"
        "  --locations        show every position in the timeline, too\n"
        "  --expect N         act only if the incident is still at this version\n"
        "  --reason TEXT      why\n"
        "  --pin-file FILE    a file with the PIN, to cancel\n"
        "  --wait T           how long to wait for the answer (default 10s)\n"
        "  --json             one line of JSON: for each incident, or of the outcome\n" DATABASE_HELP
        "\n" LINK_BROKER_HELP "\n" LINK_WHO_HELP "  Here the roles default to dispatcher; to supervisor for "
        "reopen, responder for enroute and on-scene, member\n"
        "  for cancel.\n"
        "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 broker or database could not be reached, or the\n"
        "broker has the message and Mayday has not answered yet.\n",
    .run = run,
};
