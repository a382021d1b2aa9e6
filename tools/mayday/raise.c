/* raise.c - `mayday raise`: raises an alert as a device would, and says whether it was heard.
 *
 * One attempt connects, listens for a refusal, publishes and waits for the PUBACK. With --keep-trying an
 * attempt that reaches nobody is made again, with the same ids, so that however often it arrives it is one
 * alert. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "link.h"
#include "payload.h"

#define PUBACK_MS   15000
#define REJECTED_MS 1000 /* how long the words of a refusal may take */
#define PAUSE_MS    1000

extern const command command_raise;
static const command *const self = &command_raise;

typedef struct raise_options {
    link_options link;
    const char *type, *priority, *text, *lang, *id;
    double lat, lon, accuracy;
    bool has_lat, has_lon, silent, json;
    int64_t keep_trying_ms;
} raise_options;

typedef struct raised {
    uuid alert;
    char id[UUID_TEXT_LEN + 1];
    bool heard;
    double ms;      /* from publish to PUBACK */
    uint8_t reason; /* of the PUBACK */
    char code[64];  /* of the rejected message, if there was one */
    char detail[256];
} raised;

static int print_payload(const raise_options *o, const raised *r, buf *to) {
    CLEANUP(payload_release) payload p = payload_new(&r->alert, instant_now());
    payload_text(&p, "type", o->type);
    payload_text(&p, "priority", o->priority);
    payload_text(&p, "text", o->text);
    payload_text(&p, "lang", o->lang);
    payload_flag(&p, "silent", o->silent);
    if (o->has_lat)
        payload_position(&p, o->lat, o->lon, o->accuracy);
    return payload_print(&p, to);
}

static void copy_text(text from, char *to, size_t room) {
    (void)snprintf(to, room, "%.*s", (int)from.len, from.ptr ? from.ptr : "");
}

/* True when the message is the refusal of our raise. */
static bool is_refusal(const mqtt_event *e, raised *r) {
    CLEANUP(json_freep) json *body = NULL;
    if (json_parse_once(e->body, &body) != JSON_OK)
        return false;
    text id = json_get_string(body, "id");
    if (!text_equal(id, text_of(r->id)))
        return false;
    copy_text(json_get_string(body, "code"), r->code, sizeof r->code);
    copy_text(json_get_string(body, "detail"), r->detail, sizeof r->detail);
    return true;
}

/* Waits for the PUBACK and, where that may hide a refusal, for the words on `rejected`. */
static int await_answer(mqtt_hub *hub, const raise_options *o, int packet, instant sent, raised *r) {
    bool acked = false;
    for (;;) {
        const mqtt_event *e = mqtt_wait(hub, acked ? REJECTED_MS : PUBACK_MS);
        if (e->kind == MQTT_ACKED && e->packet == packet) {
            acked = true;
            r->reason = e->reason;
            r->ms = (double)(e->at - sent) / 1000.0;
            if (!o->link.v311 && r->reason < MQTT_REFUSED_AT) {
                r->heard = true;
                return EXIT_DONE;
            }
        } else if (e->kind == MQTT_MESSAGE && is_refusal(e, r)) {
            return EXIT_REFUSED;
        } else if (e->kind == MQTT_QUIET && acked) {
            r->heard = r->reason < MQTT_REFUSED_AT;
            return r->heard ? EXIT_DONE : EXIT_REFUSED;
        } else if (e->kind == MQTT_QUIET || e->kind == MQTT_DOWN || e->kind == MQTT_STOP) {
            return command_fail(self, EXIT_UNREACHABLE, "not heard: %s",
                                e->kind == MQTT_DOWN   ? e->why
                                : e->kind == MQTT_STOP ? "stopped before the broker acknowledged"
                                                       : "the broker does not acknowledge");
        }
    }
}

static int attempt(const raise_options *o, const identity *who, text body, raised *r) {
    CLEANUP(mqtt_hub_freep) mqtt_hub *hub = mqtt_hub_new();
    CLEANUP(buf_release) buf topics = BUF(4096);
    buf_printf(&topics, "mayday/v1/%s/user/%s/rejected", who->org, who->sub);
    size_t second = topics.len + 1;
    buf_add_char(&topics, '\0');
    buf_printf(&topics, "mayday/v1/%s/alert/%s/raise", who->org, r->id);
    if (!hub || buf_failed(&topics) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    mqtt_client *client = NULL;
    int code = link_connect(self, hub, &o->link, who, "raise", &client);
    const char *rejected = topics.ptr;
    bool listening = false;
    if (code == EXIT_DONE)
        code = link_subscribe(self, hub, client, &rejected, 1, &listening);
    if (code != EXIT_DONE)
        return code;
    int packet;
    instant sent = instant_now();
    if (mqtt_publish(client, topics.ptr + second, body, &packet) < 0)
        return command_fail(self, EXIT_UNREACHABLE, "not heard: the connection ended");
    return await_answer(hub, o, packet, sent, r);
}

static int print_json(const raised *r, int code) {
    CLEANUP(json_freep) json *out = json_new_object();
    CLEANUP(buf_release) buf line = BUF(4096);
    if (!out || json_put(out, "alert", json_new_string(text_of(r->id))) < 0 ||
        json_put(out, "heard", json_new_bool(r->heard)) < 0 ||
        (r->heard && json_put(out, "ms", json_new_number(r->ms)) < 0) ||
        (code == EXIT_REFUSED && json_put(out, "reason", json_new_integer(r->reason)) < 0) ||
        (*r->code && json_put(out, "code", json_new_string(text_of(r->code))) < 0) ||
        (*r->detail && json_put(out, "detail", json_new_string(text_of(r->detail))) < 0))
        return command_fail(self, EXIT_REFUSED, "out of memory");
    json_print(out, &line);
    puts(buf_failed(&line) < 0 ? "{}" : line.ptr);
    return code;
}

static int print_outcome(const raise_options *o, const raised *r, int code) {
    if (o->json)
        return print_json(r, code);
    if (r->heard)
        printf("heard: alert %s in %.1f ms\n", r->id, r->ms);
    else if (code == EXIT_REFUSED && *r->code)
        printf("refused: alert %s: %s%s%s\n", r->id, r->code, *r->detail ? ": " : "", r->detail);
    else if (code == EXIT_REFUSED)
        printf("refused: alert %s: %s\n", r->id, mqtt_reason_name(r->reason));
    return code;
}

static int raise_alert(const raise_options *o, const identity *who) {
    raised r = {.alert = link_new_id()};
    if (o->id && (!uuid_is_v7_text(text_of(o->id)) || uuid_parse(text_of(o->id), &r.alert) < 0))
        return command_fail(self, EXIT_USAGE, "--id: '%s' is not a version 7 UUID in lower case", o->id);
    uuid_format(&r.alert, r.id);
    CLEANUP(buf_release) buf body = BUF(1 << 20);
    if (print_payload(o, &r, &body) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    instant last = instant_now() + o->keep_trying_ms * 1000;
    for (;;) {
        int code = attempt(o, who, buf_text(&body), &r);
        if (code == EXIT_DONE || code == EXIT_REFUSED)
            return r.heard || r.reason || *r.code ? print_outcome(o, &r, code) : code;
        if (instant_now() + PAUSE_MS * 1000 > last)
            return print_outcome(o, &r, code);
        (void)nanosleep(&(struct timespec){.tv_sec = PAUSE_MS / 1000}, NULL);
    }
}

static bool take_option(raise_options *o, int option, const char *value) {
    static const char *const types[] = {"panic", "medical", "security", "fire", "general", NULL};
    static const char *const priorities[] = {"low", "medium", "high", "critical", NULL};
    switch (option) {
    case 't':
        o->type = value;
        return arg_choice(self, "type", value, types);
    case 'p':
        o->priority = value;
        return arg_choice(self, "priority", value, priorities);
    case 'a':
        return o->has_lat = arg_number(self, "lat", value, -90, 90, &o->lat);
    case 'o':
        return o->has_lon = arg_number(self, "lon", value, -180, 180, &o->lon);
    case 'A':
        return arg_number(self, "accuracy", value, 0, 100000, &o->accuracy);
    case 'x':
        o->text = value;
        return true;
    case 'l':
        o->lang = value;
        return true;
    case 'i':
        o->id = value;
        return true;
    case 's':
        o->silent = true;
        return true;
    case 'j':
        o->json = true;
        return true;
    case 'k':
        return arg_duration(self, "keep-trying", value, &o->keep_trying_ms);
    default:
        return link_option(self, &o->link, option, value) == LINK_TAKEN;
    }
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"type", required_argument, NULL, 't'},
        {"priority", required_argument, NULL, 'p'},
        {"lat", required_argument, NULL, 'a'},
        {"lon", required_argument, NULL, 'o'},
        {"accuracy", required_argument, NULL, 'A'},
        {"text", required_argument, NULL, 'x'},
        {"lang", required_argument, NULL, 'l'},
        {"silent", no_argument, NULL, 's'},
        {"id", required_argument, NULL, 'i'},
        {"keep-trying", required_argument, NULL, 'k'},
        {"json", no_argument, NULL, 'j'},
        LINK_BROKER_OPTIONS,
        LINK_WHO_OPTIONS,
        {0},
    };
    raise_options o = {.type = "panic"};
    link_defaults(&o.link);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&o, option, optarg))
            return EXIT_USAGE;
    if (optind < argc)
        return command_fail(self, EXIT_USAGE, "unexpected '%s'; see 'mayday raise --help'", argv[optind]);
    if (o.has_lat != o.has_lon)
        return command_fail(self, EXIT_USAGE, "--lat and --lon belong together");
    CLEANUP(identity_release) identity who = {0};
    int code = link_identity(self, config_path, &o.link, "member", &who);
    return code == EXIT_DONE ? raise_alert(&o, &who) : code;
}

const command command_raise = {
    .name = "raise",
    .summary = "raise an alert, and say whether it was heard",
    .help =
        "Usage: mayday raise [OPTION...]\n"
        "\n"
        "Raises an alert as a device would and waits for the broker's word. 'heard' means that the alert\n"
        "is on stable storage. Organisation and person are those of the token.\n"
        "\n"
        "  --type WORD        panic (default), medical, security, fire or general\n"
        "  --priority WORD    low, medium, high or critical (default: by type)\n"
        "  --lat D --lon D    where, in degrees\n"
        "  --accuracy M       of the position, in metres\n"
        "  --text TEXT        what happened\n"
        "  --lang CODE        the language to be answered in\n"
        "  --silent           nothing may sound or light up on the raiser's side\n"
        "  --id UUID          the alert's id, a version 7 UUID (default: a new one); repeating an id is "
        "safe\n"
        "  --keep-trying T    when nobody can be reached, try again for this long, such as 5m\n"
        "  --json             print the outcome as one line of JSON\n"
        "\n" LINK_BROKER_HELP "\n" LINK_WHO_HELP "\n"
        "Exit codes: 0 heard, 1 refused, 2 wrong usage, 3 the broker could not be reached.\n",
    .run = run,
};
