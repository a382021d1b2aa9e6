/* alert_act.c - saying an action over MQTT and waiting for what came of it.
 *
 * The broker's PUBACK means that the message is safe. What Mayday made of it is told in two places: refused,
 * on user/<sub>/rejected under the message's id; else by the incident's next state, on `dispatch` or `state`.
 * A state does not say whose action it came from, so the one that has our effect is held for a moment in
 * which a refusal of ours may still arrive. One loop over the hub's events. */
#include "alert.h"

#include <stdio.h>
#include <string.h>

#include "payload.h"

#define SETTLE_MS 300  /* between an effect and the refusal that says it was another's */
#define SILENT_MS 1000 /* how long a refusal of what makes no new version may take */
#define PIN_MAX   64
#define ANSWER_MS 15000
#define FILTERS   3

typedef enum outcome {
    OUTCOME_UNHEARD = 0, /* no PUBACK */
    OUTCOME_UNANSWERED,  /* PUBACK, and nothing else */
    OUTCOME_APPLIED,
    OUTCOME_REFUSED,
} outcome;

typedef struct act {
    const command *command;
    const alert_options *o;
    const alert_deed *deed;
    const identity *who;
    mqtt_client *client;
    char id[UUID_TEXT_LEN + 1];
    bool published, acked, settling;
    int subscribing, publishing; /* packets */
    instant deadline;
    outcome came;
    int64_t before, version; /* of the incident: before we acted, and the newest seen */
    char status[32];
    char code[64], detail[512];
} act;

static void copy_text(text from, char *to, size_t room) {
    (void)snprintf(to, room, "%.*s", (int)from.len, from.ptr ? from.ptr : "");
}

static int print_body(act *a, buf *to) {
    uuid id = link_new_id();
    CLEANUP(payload_release) payload p = payload_new(&id, instant_now());
    char pin[PIN_MAX + 1] = "";
    memcpy(a->id, p.id, sizeof a->id);
    payload_text(&p, "action", a->deed->action);
    payload_text(&p, "person", a->o->person);
    payload_text(&p, "reason", a->o->reason);
    if (a->o->expected >= 0)
        payload_number(&p, "expected_version", (double)a->o->expected, 0);
    if (a->o->level)
        payload_number(&p, "level", (double)a->o->level, 0);
    if (a->o->seconds)
        payload_number(&p, "seconds", (double)a->o->seconds, 0);
    if (a->o->pin_file) {
        CLEANUP(buf_release) buf file = BUF(PIN_MAX);
        if (file_read(a->o->pin_file, PIN_MAX, &file) < 0)
            return command_fail(a->command, EXIT_REFUSED, "cannot read the PIN in %s", a->o->pin_file);
        copy_text(text_trim(buf_text(&file)), pin, sizeof pin);
        payload_text(&p, "pin", pin);
    }
    return payload_print(&p, to) == 0 ? EXIT_DONE : command_fail(a->command, EXIT_REFUSED, "out of memory");
}

static bool names(const json *list, const char *person) {
    for (size_t i = 0; i < json_length(list); i++)
        if (text_equal(json_string(json_at(list, i)), text_of(person)))
            return true;
    return false;
}

/* Does the incident look as our action would have made it? */
static bool shows_effect(const act *a, const json *state) {
    const alert_deed *d = a->deed;
    const json *acknowledged = json_get(json_get(state, "receipts"), "acknowledged");
    return (!d->status || text_equal(json_get_string(state, "status"), text_of(d->status))) &&
           (!d->holds || names(json_get(state, d->holds), a->o->person)) &&
           (!d->lacks || !names(json_get(state, d->lacks), a->o->person)) &&
           (!d->by_us || text_equal(json_get_string(acknowledged, "by"), text_of(a->who->sub)));
}

/* `invited` is said by `dispatch` alone, so both topics count, whichever comes first. */
static void on_state(act *a, const json *state, bool retained) {
    const json *number = json_get(state, "version");
    int64_t version = json_kind_of(number) == JSON_INTEGER ? json_integer(number) : 0;
    if (version >= a->version) {
        a->version = version;
        copy_text(json_get_string(state, "status"), a->status, sizeof a->status);
    }
    if (retained || !a->published)
        a->before = version > a->before ? version : a->before;
    else if (version > a->before && !a->deed->silent && !a->settling && shows_effect(a, state)) {
        a->settling = true;
        a->came = OUTCOME_APPLIED;
        a->deadline = instant_now() + SETTLE_MS * 1000;
    }
}

static void on_rejected(act *a, const json *body) {
    if (!text_equal(json_get_string(body, "id"), text_of(a->id)))
        return;
    copy_text(json_get_string(body, "code"), a->code, sizeof a->code);
    copy_text(json_get_string(body, "detail"), a->detail, sizeof a->detail);
    a->came = OUTCOME_REFUSED;
    a->deadline = 0;
}

static void on_message(act *a, const mqtt_event *e) {
    static const text rejected = {"/rejected", 9};
    CLEANUP(json_freep) json *body = NULL;
    if (json_parse_once(e->body, &body) != JSON_OK || json_kind_of(body) != JSON_OBJECT)
        return;
    bool refusal = e->topic.len > rejected.len &&
                   text_equal((text){e->topic.ptr + e->topic.len - rejected.len, rejected.len}, rejected);
    if (refusal)
        on_rejected(a, body);
    else
        on_state(a, body, e->retained);
}

static void on_acked(act *a, uint8_t reason) {
    a->acked = true;
    if (reason >= MQTT_REFUSED_AT) { /* the words follow on `rejected`; where they do not, these must do */
        a->came = OUTCOME_REFUSED;
        copy_text(text_of(mqtt_reason_name(reason)), a->detail, sizeof a->detail);
        a->deadline = instant_now() + SETTLE_MS * 1000;
        return;
    }
    if (a->came == OUTCOME_UNHEARD)
        a->came = OUTCOME_UNANSWERED;
    if (!a->settling)
        a->deadline = instant_now() + (a->deed->silent ? SILENT_MS : a->o->wait_ms) * 1000;
}

static int publish(act *a) {
    CLEANUP(buf_release) buf topic = BUF(1024);
    CLEANUP(buf_release) buf body = BUF(1 << 16);
    int code = print_body(a, &body);
    buf_printf(&topic, "mayday/v1/%s/alert/%s/action", a->who->org, a->o->id);
    if (code != EXIT_DONE)
        return code;
    if (buf_failed(&topic) < 0 || mqtt_publish(a->client, topic.ptr, buf_text(&body), &a->publishing) < 0)
        return command_fail(a->command, EXIT_UNREACHABLE, "the connection ended before publishing");
    a->published = true;
    return EXIT_DONE;
}

/* The retained state comes before or with the SUBACK; so what is not retained comes after our action. */
static int subscribe(act *a) {
    CLEANUP(buf_release) buf filters = BUF(4096);
    size_t starts[FILTERS];
    buf_printf(&filters, "mayday/v1/%s/user/%s/rejected", a->who->org, a->who->sub);
    starts[0] = 0;
    static const char *const leaves[] = {"dispatch", "state"};
    for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
        buf_add_char(&filters, '\0');
        starts[i + 1] = filters.len;
        buf_printf(&filters, "mayday/v1/%s/alert/%s/%s", a->who->org, a->o->id, leaves[i]);
    }
    if (buf_failed(&filters) < 0)
        return command_fail(a->command, EXIT_REFUSED, "out of memory");
    const char *at[FILTERS];
    for (size_t i = 0; i < FILTERS; i++)
        at[i] = filters.ptr + starts[i];
    return mqtt_subscribe(a->client, at, FILTERS, &a->subscribing) == 0
               ? EXIT_DONE
               : command_fail(a->command, EXIT_UNREACHABLE, "the connection ended before subscribing");
}

static int wait_ms(const act *a) {
    instant left = a->deadline - instant_now();
    return left <= 0 ? 0 : left / 1000 >= ANSWER_MS ? ANSWER_MS : (int)(left / 1000) + 1;
}

/* Until the outcome is known or the time for it is over. */
static int converse(act *a, mqtt_hub *hub) {
    a->deadline = instant_now() + (instant)ANSWER_MS * 1000;
    while (wait_ms(a) > 0) {
        const mqtt_event *e = mqtt_wait(hub, wait_ms(a));
        int code = EXIT_DONE;
        if (e->kind == MQTT_SUBSCRIBED && e->packet == a->subscribing)
            code = publish(a);
        else if (e->kind == MQTT_MESSAGE)
            on_message(a, e);
        else if (e->kind == MQTT_ACKED && a->published && e->packet == a->publishing)
            on_acked(a, e->reason);
        else if (e->kind == MQTT_DOWN)
            return a->acked ? EXIT_DONE : command_fail(a->command, EXIT_UNREACHABLE, "not heard: %s", e->why);
        else if (e->kind == MQTT_STOP)
            return EXIT_DONE;
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

static const char *outcome_word(const act *a) {
    switch (a->came) {
    case OUTCOME_UNHEARD:
        return "unheard";
    case OUTCOME_UNANSWERED:
        return a->deed->silent ? "applied" : "unanswered";
    case OUTCOME_APPLIED:
        return "applied";
    case OUTCOME_REFUSED:
        return "refused";
    }
    return "";
}

static int print_json(const act *a, int code) {
    CLEANUP(json_freep) json *out = json_new_object();
    CLEANUP(buf_release) buf line = BUF(8192);
    if (!out || json_put(out, "alert", json_new_string(text_of(a->o->id))) < 0 ||
        json_put(out, "id", json_new_string(text_of(a->id))) < 0 ||
        json_put(out, "action", json_new_string(text_of(a->deed->action))) < 0 ||
        json_put(out, "outcome", json_new_string(text_of(outcome_word(a)))) < 0 ||
        (a->version && json_put(out, "version", json_new_integer(a->version)) < 0) ||
        (*a->status && json_put(out, "status", json_new_string(text_of(a->status))) < 0) ||
        (*a->code && json_put(out, "code", json_new_string(text_of(a->code))) < 0) ||
        (*a->detail && json_put(out, "detail", json_new_string(text_of(a->detail))) < 0))
        return command_fail(a->command, EXIT_REFUSED, "out of memory");
    json_print(out, &line);
    puts(buf_failed(&line) < 0 ? "{}" : line.ptr);
    return code;
}

static int tell(const act *a) {
    bool done = a->came == OUTCOME_APPLIED || (a->came == OUTCOME_UNANSWERED && a->deed->silent);
    int code = done ? EXIT_DONE : a->came == OUTCOME_REFUSED ? EXIT_REFUSED : EXIT_UNREACHABLE;
    if (a->came == OUTCOME_UNHEARD)
        (void)command_fail(a->command, code, "not heard: the broker does not acknowledge");
    else if (a->came == OUTCOME_UNANSWERED && !done)
        (void)command_fail(a->command, code,
                           "the broker has the message, so it is safe; Mayday has not answered within %lld s "
                           "(is the gateway down? see 'mayday doctor')",
                           (long long)(a->o->wait_ms / 1000));
    if (a->o->json)
        return print_json(a, code);
    if (a->came == OUTCOME_APPLIED)
        printf("%s%s%s, version %lld\n", a->deed->done, a->o->person ? " " : "",
               a->o->person ? a->o->person : "", (long long)a->version);
    else if (done)
        printf("%s\n", a->deed->done);
    else if (a->came == OUTCOME_REFUSED)
        printf("refused: %s%s%s\n", a->code, *a->code && *a->detail ? ": " : "", a->detail);
    return code;
}

int alert_act(const command *c, const alert_options *o, const alert_deed *deed) {
    CLEANUP(identity_release) identity who = {0};
    int code = link_identity(c, o->config_path, &o->link, deed->role, &who);
    if (code != EXIT_DONE)
        return code;
    CLEANUP(mqtt_hub_freep) mqtt_hub *hub = mqtt_hub_new();
    if (!hub)
        return command_fail(c, EXIT_REFUSED, "out of memory");
    act a = {.command = c, .o = o, .deed = deed, .who = &who};
    code = link_connect(c, hub, &o->link, &who, "alert", &a.client);
    if (code == EXIT_DONE)
        code = subscribe(&a);
    if (code == EXIT_DONE)
        code = converse(&a, hub);
    return code == EXIT_DONE ? tell(&a) : code;
}
