/* tail.c - `mayday tail`: a live view of what a role may see.
 *
 * What that is only the broker knows. So filters are tried in waves, wide ones first, and what SUBACK grants
 * is what is shown: the whole organisation; else each kind of message of everyone; else one's own. When the
 * connection ends it is made again and the waves run anew. One thread, one loop over the hub's events. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "link.h"
#include "show.h"

#define FILTERS_MAX  64 /* given with --filter, or tried in one wave */
#define BACKOFF_MIN  250
#define BACKOFF_MAX  8000
#define SUBACK_LIMIT 15000

extern const command command_tail;
static const command *const self = &command_tail;

/* One kind of message: everyone's, or else one's own. `*` stands for the own name, or each own role. */
typedef struct kind {
    const char *wide, *own;
} kind;

static const kind kinds[] = {
    {"alert/+/raise", NULL},
    {"alert/+/action", NULL},
    {"alert/+/location", NULL},
    {"alert/+/chat", NULL},
    {"alert/+/receipt", NULL},
    {"alert/+/state", NULL},
    {"alert/+/dispatch", NULL},
    {"user/+/location", NULL},
    {"user/+/vitals", NULL},
    {"user/+/presence", NULL},
    {"user/+/duty", NULL},
    {"user/+/timer", NULL},
    {"user/+/reply", NULL},
    {"user/+/receipt", NULL},
    {"user/+/check", "user/*/check"},
    {"user/+/inbox", "user/*/inbox"},
    {"user/+/rejected", "user/*/rejected"},
    {"role/+/broadcast", "role/*/broadcast"},
    {"room/+/chat", NULL},
    {"room/+/receipt", NULL},
    {"zone/+/event", NULL},
    {"gateway/+/status", NULL},
};
static const char *const incident_leaves[] = {"raise",  "action",  "location", "chat",
                                              "typing", "receipt", "state",    "dispatch"};

typedef enum wave {
    WAVE_NONE = 0,
    WAVE_ORG,   /* everything of the organisation */
    WAVE_KINDS, /* each kind of everyone, or the asked-for filters */
    WAVE_OWN,   /* one's own, of the kinds that were not granted */
    WAVE_DONE,
} wave;

typedef struct filters {
    char *at[FILTERS_MAX];
    size_t count;
} filters;

typedef struct tail {
    link_options link;
    identity who;
    const char *incident;
    const char *asked[FILTERS_MAX];
    size_t asked_count;
    int64_t count, for_ms;
    bool json;

    story *story;
    mqtt_hub *hub;
    mqtt_client *client;
    wave wave;
    filters trying;
    size_t tried;  /* of `trying`, answered */
    size_t asking; /* of `trying`, behind those: in the SUBSCRIBE under way */
    int packet;
    bool wide_granted[ARRAY_LEN(kinds)];
    filters granted;
    bool announced;
    int64_t shown;
    int backoff_ms;
    instant connect_at; /* 0: connected or connecting */
} tail;

static void filters_clear(filters *f) {
    for (size_t i = 0; i < f->count; i++)
        free(f->at[i]);
    f->count = 0;
}

/* Takes `text` over. A filter too many is left out: there are never so many. */
static void filters_add(filters *f, char *filter) {
    if (filter && f->count < FILTERS_MAX)
        f->at[f->count++] = filter;
    else
        free(filter);
}

static char *in_org(const tail *t, const char *below) {
    CLEANUP(buf_release) buf filter = BUF(65535);
    bool whole = strncmp(below, "mayday/", 7) == 0 || below[0] == '$';
    if (whole)
        buf_printf(&filter, "%s", below);
    else
        buf_printf(&filter, "mayday/v1/%s/%s", t->who.org, below);
    return buf_failed(&filter) < 0 ? NULL : buf_steal(&filter);
}

/* `pattern` with its '*' replaced. */
static void add_own(tail *t, const char *pattern, text name) {
    CLEANUP(buf_release) buf below = BUF(65535);
    const char *star = strchr(pattern, '*');
    buf_add(&below, pattern, (size_t)(star - pattern));
    buf_add_text(&below, name);
    buf_printf(&below, "%s", star + 1);
    if (buf_failed(&below) == 0)
        filters_add(&t->trying, in_org(t, below.ptr));
}

static void plan_kinds(tail *t) {
    for (size_t i = 0; i < t->asked_count; i++)
        filters_add(&t->trying, in_org(t, t->asked[i]));
    for (size_t i = 0; t->incident && i < ARRAY_LEN(incident_leaves); i++) {
        CLEANUP(buf_release) buf below = BUF(1024);
        buf_printf(&below, "alert/%s/%s", t->incident, incident_leaves[i]);
        if (buf_failed(&below) == 0)
            filters_add(&t->trying, in_org(t, below.ptr));
    }
    for (size_t i = 0; !t->incident && t->asked_count == 0 && i < ARRAY_LEN(kinds); i++)
        filters_add(&t->trying, in_org(t, kinds[i].wide));
}

static void plan_own(tail *t) {
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!kinds[i].own || t->wide_granted[i])
            continue;
        if (strncmp(kinds[i].own, "role/", 5) != 0) {
            add_own(t, kinds[i].own, text_of(t->who.sub));
            continue;
        }
        text roles = text_of(t->who.roles), role;
        while (text_next(&roles, ' ', &role))
            if (role.len)
                add_own(t, kinds[i].own, role);
    }
}

static void plan(tail *t) {
    filters_clear(&t->trying);
    t->tried = 0;
    t->asking = 0;
    if (t->wave == WAVE_ORG)
        filters_add(&t->trying, in_org(t, "#"));
    else if (t->wave == WAVE_KINDS)
        plan_kinds(t);
    else if (t->wave == WAVE_OWN)
        plan_own(t);
}

static wave wave_after(const tail *t) {
    bool free_choice = !t->incident && t->asked_count == 0;
    switch (t->wave) {
    case WAVE_NONE:
        return free_choice ? WAVE_ORG : WAVE_KINDS;
    case WAVE_ORG:
        return t->granted.count ? WAVE_DONE : WAVE_KINDS;
    case WAVE_KINDS:
        return free_choice ? WAVE_OWN : WAVE_DONE;
    case WAVE_OWN:
    case WAVE_DONE:
        break;
    }
    return WAVE_DONE;
}

static void announce(tail *t) {
    if (t->announced)
        return;
    t->announced = true;
    fprintf(stderr, "listening as %s (%s) to", t->who.sub, *t->who.roles ? t->who.roles : "no role");
    for (size_t i = 0; i < t->granted.count; i++)
        fprintf(stderr, " %s", t->granted.at[i]);
    fputc('\n', stderr);
}

/* Sends the next SUBSCRIBE, of this wave or the next one. EXIT_REFUSED when nothing at all was granted. */
static int subscribe_on(tail *t) {
    while (t->tried == t->trying.count) {
        t->wave = wave_after(t);
        plan(t);
        if (t->wave == WAVE_DONE) {
            if (t->granted.count == 0)
                return command_fail(self, EXIT_REFUSED, "%s may read nothing of what was asked for",
                                    t->who.sub);
            announce(t);
            return EXIT_DONE;
        }
    }
    t->asking = t->trying.count - t->tried;
    if (t->asking > MQTT_FILTERS_MAX)
        t->asking = MQTT_FILTERS_MAX;
    /* a failure here means that the connection is gone; MQTT_DOWN tells it */
    (void)!mqtt_subscribe(t->client, (const char *const *)t->trying.at + t->tried, t->asking, &t->packet);
    return EXIT_DONE;
}

static int restart_waves(tail *t) {
    t->wave = WAVE_NONE;
    t->backoff_ms = BACKOFF_MIN;
    memset(t->wide_granted, 0, sizeof t->wide_granted);
    filters_clear(&t->granted);
    filters_clear(&t->trying);
    t->tried = 0;
    return subscribe_on(t);
}

static int on_subscribed(tail *t, const mqtt_event *e) {
    if (e->packet != t->packet || t->wave == WAVE_DONE)
        return EXIT_DONE;
    for (size_t i = 0; i < t->asking; i++) {
        bool granted = i < e->body.len && (uint8_t)e->body.ptr[i] < MQTT_REFUSED_AT;
        size_t index = t->tried + i;
        if (granted)
            filters_add(&t->granted, strdup(t->trying.at[index]));
        if (granted && t->wave == WAVE_KINDS && !t->incident && t->asked_count == 0)
            t->wide_granted[index] = true;
    }
    t->tried += t->asking;
    return subscribe_on(t);
}

static void reconnect_later(tail *t, const char *why) {
    fprintf(stderr, "mayday tail: %s; trying again\n", why);
    t->wave = WAVE_NONE;
    t->connect_at = instant_now() + t->backoff_ms * 1000;
    t->backoff_ms = t->backoff_ms * 2 > BACKOFF_MAX ? BACKOFF_MAX : t->backoff_ms * 2;
}

static bool show(tail *t, const mqtt_event *e) {
    if (t->json)
        show_json(stdout, e);
    else
        show_line(stdout, t->story, e);
    t->shown++;
    return fflush(stdout) == 0; /* the reader may have gone */
}

/* EXIT_DONE to go on; *ret_finished when the work is done. */
static int on_event(tail *t, const mqtt_event *e, bool *ret_finished) {
    switch (e->kind) {
    case MQTT_QUIET:
    case MQTT_ACKED:
        break;
    case MQTT_STOP:
        *ret_finished = true;
        break;
    case MQTT_UP:
        return restart_waves(t);
    case MQTT_REFUSED:
        return command_fail(self, EXIT_REFUSED, "the broker refused the connection: %s", e->why);
    case MQTT_UNREACHABLE:
    case MQTT_DOWN:
        reconnect_later(t, e->why);
        break;
    case MQTT_SUBSCRIBED:
        return on_subscribed(t, e);
    case MQTT_MESSAGE:
        *ret_finished = !show(t, e) || (t->count && t->shown >= t->count);
        break;
    }
    return EXIT_DONE;
}

static int wait_ms(const tail *t, instant until) {
    instant wake = t->connect_at && (!until || t->connect_at < until) ? t->connect_at : until;
    if (!wake)
        return SUBACK_LIMIT;
    instant left = wake - instant_now();
    return left <= 0 ? 0 : left / 1000 >= SUBACK_LIMIT ? SUBACK_LIMIT : (int)(left / 1000) + 1;
}

static int follow(tail *t) {
    instant until = t->for_ms ? instant_now() + t->for_ms * 1000 : 0;
    bool finished = false;
    int code = restart_waves(t);
    while (code == EXIT_DONE && !finished) {
        code = on_event(t, mqtt_wait(t->hub, wait_ms(t, until)), &finished);
        instant now = instant_now();
        if (until && now >= until)
            finished = true;
        if (t->connect_at && now >= t->connect_at) {
            t->connect_at = 0;
            if (mqtt_connect(t->client, NULL) < 0)
                reconnect_later(t, "could not begin to connect");
        }
    }
    uint64_t dropped = mqtt_dropped(t->hub);
    if (dropped)
        fprintf(stderr, "mayday tail: %llu messages came faster than they could be shown, and were dropped\n",
                (unsigned long long)dropped);
    return code;
}

static bool take_option(tail *t, int option, const char *value) {
    switch (option) {
    case 'i':
        t->incident = value;
        if (uuid_is_v7_text(text_of(value)))
            return true;
        (void)command_fail(self, EXIT_USAGE, "--alert: '%s' is not a version 7 UUID in lower case", value);
        return false;
    case 'f':
        if (t->asked_count == FILTERS_MAX) {
            (void)command_fail(self, EXIT_USAGE, "--filter: at most %d", FILTERS_MAX);
            return false;
        }
        t->asked[t->asked_count++] = value;
        return true;
    case 'n':
        return arg_count(self, "count", value, 1, INT64_MAX, &t->count);
    case 't':
        return arg_duration(self, "for", value, &t->for_ms);
    case 'j':
        t->json = true;
        return true;
    default:
        return link_option(self, &t->link, option, value) == LINK_TAKEN;
    }
}

static int connect_and_follow(tail *t, const char *config_path) {
    int code = link_identity(self, config_path, &t->link, "member", &t->who);
    if (code != EXIT_DONE)
        return code;
    t->hub = mqtt_hub_new();
    t->story = story_new();
    if (!t->hub || !t->story)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    code = link_connect(self, t->hub, &t->link, &t->who, "tail", &t->client);
    return code == EXIT_DONE ? follow(t) : code;
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"alert", required_argument, NULL, 'i'},
        {"filter", required_argument, NULL, 'f'},
        {"count", required_argument, NULL, 'n'},
        {"for", required_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        LINK_BROKER_OPTIONS,
        LINK_WHO_OPTIONS,
        {0},
    };
    tail t = {.backoff_ms = BACKOFF_MIN};
    link_defaults(&t.link);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&t, option, optarg))
            return EXIT_USAGE;
    if (optind < argc)
        return command_fail(self, EXIT_USAGE, "unexpected '%s'; see 'mayday tail --help'", argv[optind]);
    int code = connect_and_follow(&t, config_path);
    t.hub = mqtt_hub_free(t.hub);
    t.story = story_free(t.story);
    filters_clear(&t.trying);
    filters_clear(&t.granted);
    identity_release(&t.who);
    return code;
}

const command command_tail = {
    .name = "tail",
    .summary = "watch live what a role may see",
    .help =
        "Usage: mayday tail [OPTION...]\n"
        "\n"
        "Shows each message as it arrives: when, where, and what it says; of an incident's state what is new "
        "in\n"
        "it. Without --alert or --filter it\n"
        "asks for everything of the organisation, else for each kind of message, else for one's own, and\n"
        "shows what the broker grants. Ctrl-C ends it.\n"
        "\n"
        "  --alert ID         only this alert\n"
        "  --filter FILTER    an MQTT filter, whole or below mayday/v1/<org>/; may be repeated\n"
        "  --count N          end after N messages\n"
        "  --for T            end after this time, such as 10s or 5m\n"
        "  --json             one line of JSON for each message: at, topic, retained, payload\n"
        "\n" LINK_BROKER_HELP "\n" LINK_WHO_HELP "\n"
        "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 the broker could not be reached.\n",
    .run = run,
};
