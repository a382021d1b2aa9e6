/* check.c - `mayday check`: asks one person "Are you OK?" and, with --wait, shows how it goes: sent, received
 * by the device, seen, answered. One loop over the hub's events. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "core/topic.h"
#include "link.h"
#include "payload.h"
#include "show.h"

#define PUBACK_MS    15000
#define WITHIN_MS    60000
#define WITHIN_S_MAX 86400
#define SETTLE_MS    300 /* for the words of a refusal that came with the PUBACK */
#define FILTERS      3

extern const command command_check;
static const command *const self = &command_check;

typedef struct ask {
    link_options link;
    const char *person, *text, *lang, *alert;
    int64_t within_ms;
    bool wait, json;

    identity who;
    mqtt_client *client;
    char id[UUID_TEXT_LEN + 1];
    int subscribing, publishing; /* packets */
    instant sent_at, deadline;
    bool published, acked, refused, received, seen;
    char code[64], detail[512];       /* of a refusal */
    char answer[16], words[4001 * 4]; /* of the reply */
} ask;

static void copy_text(text from, char *to, size_t room) {
    (void)snprintf(to, room, "%.*s", (int)from.len, from.ptr ? from.ptr : "");
}

/* "received" and the milliseconds since it was sent, once. */
static void progress(const ask *a, const char *what, instant at) {
    if (!a->json) {
        printf("%s after %.0f ms\n", what, (double)(at - a->sent_at) / 1000.0);
        (void)fflush(stdout);
    }
}

static int64_t within_s(const ask *a) {
    return (a->within_ms + 999) / 1000;
}

static int publish(ask *a) {
    uuid id = link_new_id();
    CLEANUP(payload_release) payload p = payload_new(&id, instant_now());
    CLEANUP(buf_release) buf topic = BUF(1024);
    CLEANUP(buf_release) buf body = BUF(1 << 16);
    memcpy(a->id, p.id, sizeof a->id);
    payload_text(&p, "reason", "dispatch");
    payload_text(&p, "text", a->text);
    payload_text(&p, "lang", a->lang);
    payload_text(&p, "alert", a->alert);
    payload_number(&p, "respond_within", (double)within_s(a), 0);
    buf_printf(&topic, "mayday/v1/%s/user/%s/check", a->who.org, a->person);
    if (payload_print(&p, &body) < 0 || buf_failed(&topic) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    a->sent_at = instant_now();
    if (mqtt_publish(a->client, topic.ptr, buf_text(&body), &a->publishing) < 0)
        return command_fail(self, EXIT_UNREACHABLE, "the connection ended before publishing");
    a->published = true;
    return EXIT_DONE;
}

static int subscribe(ask *a) {
    CLEANUP(buf_release) buf filters = BUF(4096);
    size_t second, third;
    buf_printf(&filters, "mayday/v1/%s/user/%s/rejected", a->who.org, a->who.sub);
    buf_add_char(&filters, '\0');
    second = filters.len;
    buf_printf(&filters, "mayday/v1/%s/user/%s/reply", a->who.org, a->person);
    buf_add_char(&filters, '\0');
    third = filters.len;
    buf_printf(&filters, "mayday/v1/%s/user/%s/receipt", a->who.org, a->person);
    if (buf_failed(&filters) < 0)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    const char *at[FILTERS] = {filters.ptr, filters.ptr + second, filters.ptr + third};
    return mqtt_subscribe(a->client, at, a->wait ? FILTERS : 1, &a->subscribing) == 0
               ? EXIT_DONE
               : command_fail(self, EXIT_UNREACHABLE, "the connection ended before subscribing");
}

static void on_receipt(ask *a, const json *body, instant at) {
    const json *of = json_get(body, "of");
    bool read = text_equal(json_get_string(body, "mark"), TEXT("read"));
    for (size_t i = 0; i < json_length(of); i++) {
        if (!text_equal(json_string(json_at(of, i)), text_of(a->id)))
            continue;
        if (!a->received)
            progress(a, "received", at);
        if (read && !a->seen)
            progress(a, "seen", at);
        a->received = true;
        a->seen = a->seen || read;
    }
}

static void on_message(ask *a, const mqtt_event *e) {
    CLEANUP(json_freep) json *body = NULL;
    const char *slash = e->topic.len ? memrchr(e->topic.ptr, '/', e->topic.len) : NULL;
    if (!slash || json_parse_once(e->body, &body) != JSON_OK)
        return;
    text leaf = {slash + 1, (size_t)(e->topic.ptr + e->topic.len - slash - 1)};
    if (text_equal(leaf, TEXT("rejected")) && text_equal(json_get_string(body, "id"), text_of(a->id))) {
        a->refused = true;
        copy_text(json_get_string(body, "code"), a->code, sizeof a->code);
        copy_text(json_get_string(body, "detail"), a->detail, sizeof a->detail);
        a->deadline = 0;
    } else if (text_equal(leaf, TEXT("receipt"))) {
        on_receipt(a, body, e->at);
    } else if (text_equal(leaf, TEXT("reply")) &&
               text_equal(json_get_string(body, "check"), text_of(a->id))) {
        copy_text(json_get_string(body, "answer"), a->answer, sizeof a->answer);
        copy_text(json_get_string(body, "text"), a->words, sizeof a->words);
        progress(a, "answered", e->at);
        a->deadline = 0;
    }
}

static void on_acked(ask *a, const mqtt_event *e) {
    a->acked = true;
    a->refused = e->reason >= MQTT_REFUSED_AT;
    if (a->refused)
        copy_text(text_of(mqtt_reason_name(e->reason)), a->detail, sizeof a->detail);
    else
        progress(a, "sent", e->at);
    bool words_may_follow = a->refused || (a->link.v311 && !a->wait);
    if (words_may_follow || !a->wait)
        a->deadline = instant_now() + (words_may_follow ? SETTLE_MS * 1000 : 0);
    else if (!*a->answer)
        a->deadline = a->sent_at + a->within_ms * 1000;
}

static int wait_ms(const ask *a) {
    instant left = a->deadline - instant_now();
    return left <= 0 ? 0 : left / 1000 >= PUBACK_MS ? PUBACK_MS : (int)(left / 1000) + 1;
}

static int converse(ask *a, mqtt_hub *hub) {
    a->deadline = instant_now() + (instant)PUBACK_MS * 1000;
    while (wait_ms(a) > 0) {
        const mqtt_event *e = mqtt_wait(hub, wait_ms(a));
        int code = EXIT_DONE;
        if (e->kind == MQTT_SUBSCRIBED && e->packet == a->subscribing)
            code = publish(a);
        else if (e->kind == MQTT_MESSAGE)
            on_message(a, e);
        else if (e->kind == MQTT_ACKED && a->published && e->packet == a->publishing)
            on_acked(a, e);
        else if (e->kind == MQTT_DOWN)
            code = command_fail(self, EXIT_UNREACHABLE, "%s: %s",
                                a->acked ? "the answer is not waited for" : "not sent", e->why);
        else if (e->kind == MQTT_STOP)
            return EXIT_DONE;
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

static int print_json(const ask *a, int code) {
    CLEANUP(json_freep) json *out = json_new_object();
    CLEANUP(buf_release) buf line = BUF(1 << 16);
    if (!out || json_put(out, "check", json_new_string(text_of(a->id))) < 0 ||
        json_put(out, "sent", json_new_bool(a->acked && !a->refused)) < 0 ||
        json_put(out, "received", json_new_bool(a->received || *a->answer)) < 0 ||
        json_put(out, "seen", json_new_bool(a->seen || *a->answer)) < 0 ||
        (*a->answer && json_put(out, "answer", json_new_string(text_of(a->answer))) < 0) ||
        (*a->words && json_put(out, "text", json_new_string(text_of(a->words))) < 0) ||
        (*a->code && json_put(out, "code", json_new_string(text_of(a->code))) < 0) ||
        (*a->detail && json_put(out, "detail", json_new_string(text_of(a->detail))) < 0))
        return command_fail(self, EXIT_REFUSED, "out of memory");
    json_print(out, &line);
    puts(buf_failed(&line) < 0 ? "{}" : line.ptr);
    return code;
}

static void print_answer(const ask *a) {
    CLEANUP(buf_release) buf line = BUF(1 << 16);
    buf_printf(&line, "%s answers: %s%s%s", a->person, a->answer, *a->words ? ": " : "", a->words);
    if (buf_failed(&line) < 0)
        return;
    show_defuse(&line);
    puts(line.ptr);
}

static int tell(const ask *a) {
    int code = EXIT_DONE;
    if (a->refused)
        code = EXIT_REFUSED;
    else if (!a->acked)
        code = command_fail(self, EXIT_UNREACHABLE, "not sent: the broker does not acknowledge");
    else if (a->wait && !*a->answer)
        code = command_fail(self, EXIT_UNREACHABLE, "no answer from %s within %lld s%s", a->person,
                            (long long)within_s(a), a->received ? "" : ", and no word that it was received");
    else if (strcmp(a->answer, "help") == 0)
        code = EXIT_REFUSED;
    if (a->json)
        return print_json(a, code);
    if (a->refused)
        printf("refused: %s%s%s\n", a->code, *a->code && *a->detail ? ": " : "", a->detail);
    else if (*a->answer)
        print_answer(a);
    return code;
}

static int send_check(ask *a, const char *config_path) {
    int code = link_identity(self, config_path, &a->link, "dispatcher", &a->who);
    if (code != EXIT_DONE)
        return code;
    CLEANUP(mqtt_hub_freep) mqtt_hub *hub = mqtt_hub_new();
    if (!hub)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    code = link_connect(self, hub, &a->link, &a->who, "check", &a->client);
    if (code == EXIT_DONE)
        code = subscribe(a);
    if (code == EXIT_DONE)
        code = converse(a, hub);
    return code == EXIT_DONE ? tell(a) : code;
}

static bool take_option(ask *a, int option, const char *value) {
    switch (option) {
    case 'p':
        a->person = value;
        return true;
    case 't':
        a->text = value;
        return true;
    case 'l':
        a->lang = value;
        return true;
    case 'a':
        a->alert = value;
        if (uuid_is_v7_text(text_of(value)))
            return true;
        (void)command_fail(self, EXIT_USAGE, "--alert: '%s' is not a version 7 UUID in lower case", value);
        return false;
    case 'w':
        if (!arg_duration(self, "within", value, &a->within_ms))
            return false;
        if (a->within_ms >= 1 && a->within_ms <= WITHIN_S_MAX * INT64_C(1000))
            return true;
        (void)command_fail(self, EXIT_USAGE, "--within: from a moment to a day, not '%s'", value);
        return false;
    case 'W':
        a->wait = true;
        return true;
    case 'j':
        a->json = true;
        return true;
    default:
        return link_option(self, &a->link, option, value) == LINK_TAKEN;
    }
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"person", required_argument, NULL, 'p'},
        {"text", required_argument, NULL, 't'},
        {"lang", required_argument, NULL, 'l'},
        {"alert", required_argument, NULL, 'a'},
        {"within", required_argument, NULL, 'w'},
        {"wait", no_argument, NULL, 'W'},
        {"json", no_argument, NULL, 'j'},
        LINK_BROKER_OPTIONS,
        LINK_WHO_OPTIONS,
        {0},
    };
    ask a = {.within_ms = WITHIN_MS};
    link_defaults(&a.link);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&a, option, optarg))
            return EXIT_USAGE;
    if (argc - optind != 1 || strcmp(argv[optind], "send") != 0)
        return command_fail(self, EXIT_USAGE, "expected 'mayday check send'; see 'mayday check --help'");
    if (!a.person || !topic_level_valid(text_of(a.person)))
        return command_fail(self, EXIT_USAGE, "--person: whom to ask?");
    int code = send_check(&a, config_path);
    identity_release(&a.who);
    return code;
}

const command command_check = {
    .name = "check",
    .summary = "ask somebody whether they are OK, and wait for the answer",
    .help =
        "Usage: mayday check send --person NAME [OPTION...]\n"
        "\n"
        "Sends \"Are you OK?\" to a person, wherever they are connected. Without an answer in time Mayday "
        "raises\n"
        "the alarm for them by itself.\n"
        "\n"
        "  --person NAME      whom\n"
        "  --text TEXT        the question (default: the device asks in its own words)\n"
        "  --lang CODE        its language\n"
        "  --within T         the time to answer, such as 30s or 5m, rounded up to seconds (default 60s)\n"
        "  --alert ID         the incident that it is about\n"
        "  --wait             show when it is received and seen, and wait for the answer\n"
        "  --json             the outcome as one line of JSON\n"
        "\n" LINK_BROKER_HELP "\n" LINK_WHO_HELP "  Here the roles default to dispatcher.\n"
        "\n"
        "Exit codes: 0 sent, or with --wait answered; 1 refused, or the answer was a call for help; 2 wrong\n"
        "usage; 3 the broker could not be reached, or no answer came in time.\n",
    .run = run,
};
