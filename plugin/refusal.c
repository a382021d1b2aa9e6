/* refusal.c - see refusal.h. */
#include "plugin/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC_LONGEST   1024         /* an organisation and a subject are at most 128 bytes each */
#define PAYLOAD_LONGEST (256u << 10) /* a topic of 65,535 bytes may double when its quotes are escaped */

static void put(json *object, const char *name, text value, int *fault) {
    int now = json_put(object, name, json_new_string(value));
    *fault = now < 0 ? now : *fault;
}

/* The payload of a `rejected` message (schemas/rejected.json). NULL when memory is short. */
static char *spell(text topic, const char *id, const char *code, const char *detail, int *ret_len) {
    char at[INSTANT_TEXT_LEN + 1];
    instant_format(instant_now(), at);
    CLEANUP(json_freep) json *body = json_new_object();
    CLEANUP(buf_release) buf printed = BUF(PAYLOAD_LONGEST);
    int fault = json_put(body, "v", json_new_integer(1));
    if (id[0])
        put(body, "id", text_of(id), &fault);
    put(body, "ts", text_of(at), &fault);
    put(body, "topic", topic, &fault);
    put(body, "code", text_of(code), &fault);
    put(body, "detail", text_of(detail), &fault);
    if (fault < 0)
        return NULL;
    json_print(body, &printed);
    *ret_len = (int)printed.len;
    return buf_steal(&printed);
}

void refusal_send(const session *s, text topic, const char *id, const char *code, const char *detail) {
    char where[TOPIC_LONGEST];
    int len = 0;
    (void)snprintf(where, sizeof where, "mayday/v1/%s/user/%s/rejected", s->who->org, s->who->subject);
    char *payload = spell(topic, id, code, detail, &len);
    if (!payload || mosquitto_broker_publish(NULL, where, len, payload, 1, false, NULL) != MOSQ_ERR_SUCCESS) {
        free(payload);
        host_log(MOSQ_LOG_ERR, "a refusal could not be told to its sender: out of memory");
    }
}

void refusal_send_unread(host *h, const session *s, text topic, text payload, const char *code,
                         const char *detail) {
    char id[UUID_TEXT_LEN + 1] = "";
    CLEANUP(json_freep) json *body = NULL;
    if (payload.len <= (size_t)h->settings.payload_max && json_parse_once(payload, &body) == JSON_OK) {
        text found = json_get_string(body, "id");
        if (uuid_is_v7_text(found)) {
            memcpy(id, found.ptr, UUID_TEXT_LEN);
            id[UUID_TEXT_LEN] = '\0';
        }
    }
    refusal_send(s, topic, id, code, detail);
}
