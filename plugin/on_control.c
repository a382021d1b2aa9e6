/* on_control.c - $CONTROL/mayday/v1: an admin revokes a token, a login session or a person, lists or lifts
 * revocations. The policy has let the sender publish here; what it may touch is its own organisation, always.
 * The answer goes to $CONTROL/mayday/v1/response (schemas/control.json describes the request). A revocation
 * is on stable storage, and every session it covers is marked to be cut off, before the answer is sent. */
#include "plugin/admission.h"
#include "plugin/events.h"
#include "plugin/memory.h"

#include <stdlib.h>
#include <string.h>

#define RESPONSE_TOPIC "$CONTROL/mayday/v1/response"
#define LISTED_MOST    1000

typedef struct command {
    text id, name, value;
    revocation_kind kind;
    int64_t until; /* Unix seconds, 0 for ever */
} command;

typedef struct listing {
    text org;
    json *array;
} listing;

static int list_one(void *context, text org, revocation_kind kind, text value, int64_t until) {
    listing *l = context;
    char spelled[INSTANT_TEXT_LEN + 1];
    if (!text_equal(org, l->org) || json_length(l->array) >= LISTED_MOST)
        return 0;
    json *entry = json_new_object();
    int fault = json_put(entry, "kind", json_new_string(text_of(revocation_kind_name(kind))));
    if (fault == 0)
        fault = json_put(entry, "value", json_new_string(value));
    instant_format(until * INSTANT_SECOND, spelled);
    if (fault == 0 && until != 0)
        fault = json_put(entry, "until", json_new_string(text_of(spelled)));
    if (fault < 0) {
        (void)json_free(entry);
        return fault;
    }
    return json_append(l->array, entry);
}

/* Takes `revocations` over; it may be NULL. */
static void answer(const session *to, text id, const char *outcome, const char *detail, json *listed) {
    CLEANUP(json_freep) json *body = json_new_object();
    CLEANUP(buf_release) buf printed = BUF(1 << 20);
    int fault = json_put(body, "v", json_new_integer(1));
    if (listed)
        fault |= json_put(body, "revocations", listed);
    if (id.ptr)
        fault |= json_put(body, "command", json_new_string(id));
    fault |= json_put(body, "outcome", json_new_string(text_of(outcome)));
    fault |= json_put(body, "detail", json_new_string(text_of(detail)));
    if (fault == 0)
        json_print(body, &printed);
    if (fault != 0 || buf_failed(&printed) < 0 ||
        mosquitto_broker_publish_copy(to->client_id, RESPONSE_TOPIC, (int)printed.len, printed.ptr, 1, false,
                                      NULL) != MOSQ_ERR_SUCCESS)
        host_log(MOSQ_LOG_ERR, "an answer on " RESPONSE_TOPIC " could not be sent: out of memory");
}

/* Of a body that its schema has accepted. */
static command read_command(const json *body) {
    command c = {
        .id = json_get_string(body, "id"),
        .name = json_get_string(body, "command"),
        .value = json_get_string(body, "value"),
        .kind = revocation_kind_named(json_get_string(body, "kind")),
    };
    instant until = 0;
    if (instant_parse(json_get_string(body, "until"), &until) == 0)
        c.until = until / INSTANT_SECOND;
    return c;
}

static void execute(host *h, const session *admin, const command *c) {
    text org = text_of(admin->who->org);
    bool was_there = false;
    if (text_equal(c->name, TEXT("list"))) {
        listing l = {.org = org, .array = json_new_array()};
        int fault = revocations_each(h->revoked, list_one, &l);
        answer(admin, c->id, fault < 0 ? "failed" : "done", fault < 0 ? "out of memory" : "listed", l.array);
        return;
    }
    bool revokes = text_equal(c->name, TEXT("revoke"));
    if (c->until != 0 && c->until <= instant_now() / INSTANT_SECOND) {
        answer(admin, c->id, "refused", "/until: lies in the past", NULL);
        return;
    }
    int fault = revokes ? memory_revoke(h, org, c->kind, c->value, c->until)
                        : memory_restore(h, org, c->kind, c->value, &was_there);
    if (revokes)
        admission_end_revoked(h);
    else
        admission_resume_restored(h);
    host_log(MOSQ_LOG_NOTICE, "%s %s a %s in '%s'%s%s", admin->who->subject, revokes ? "revoked" : "restored",
             revocation_kind_name(c->kind), admin->who->org, fault < 0 ? ": " : "",
             fault < 0 ? strerror(-fault) : "");
    if (fault == 0)
        events_revocation(h, revokes ? "revoke" : "restore", admin, c->kind, c->value, c->until);
    if (fault < 0)
        answer(admin, c->id, "failed", strerror(-fault), NULL);
    else if (revokes)
        answer(admin, c->id, "done", "revoked", NULL);
    else
        answer(admin, c->id, "done", was_there ? "restored" : "was not revoked", NULL);
}

int on_control(int event, void *event_data, void *userdata) {
    (void)event;
    const struct mosquitto_evt_control *e = event_data;
    host *h = userdata;
    session *admin = admission_session(h, e->client);
    CLEANUP(json_freep) json *body = NULL;
    char why[SCHEMA_WHY_MAX] = "";
    if (!admin || !admission_holds(h, admin, instant_now()))
        return MOSQ_ERR_ACL_DENIED;
    if (e->payloadlen > (uint32_t)h->settings.payload_max ||
        json_parse_once((text){e->payload, e->payloadlen}, &body) != JSON_OK) {
        answer(admin, (text){0}, "refused", "the request is not JSON, or too large", NULL);
        return MOSQ_ERR_SUCCESS;
    }
    if (!schema_accepts(h->control_schema, body, why)) {
        answer(admin, json_get_string(body, "id"), "refused", why, NULL);
        return MOSQ_ERR_SUCCESS;
    }
    command c = read_command(body);
    execute(h, admin, &c);
    return MOSQ_ERR_SUCCESS;
}
