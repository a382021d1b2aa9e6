/* show.c - see show.h. */
#include "show.h"

#include <string.h>

#define LINE_MAX_BYTES (4u << 20)
#define LATE           (5 * INSTANT_SECOND)
#define ID_SHOWN       8 /* the end of a UUIDv7: its beginning is a time, alike for all of one day */

/* C0, DEL, and C1 (in UTF-8 C2 80 to C2 9F). */
void show_defuse(buf *line) {
    for (size_t i = 0; i < line->len; i++) {
        unsigned char byte = (unsigned char)line->ptr[i];
        unsigned char next = i + 1 < line->len ? (unsigned char)line->ptr[i + 1] : 0;
        if (byte < 0x20 || byte == 0x7F)
            line->ptr[i] = '?';
        else if (byte == 0xC2 && next >= 0x80 && next <= 0x9F)
            line->ptr[i] = line->ptr[i + 1] = '?';
    }
}

static void add_topic(buf *line, text topic) {
    address a;
    if (!address_parse(topic, &a)) {
        buf_add_text(line, topic);
        return;
    }
    text id = a.id;
    bool is_alert = a.family == ADDRESS_ALERT && id.len > ID_SHOWN;
    if (is_alert)
        id = (text){id.ptr + id.len - ID_SHOWN, ID_SHOWN};
    buf_printf(line, "%-9.*s %s %s%.*s", (int)a.leaf.len, a.leaf.ptr, address_family_name(a.family),
               is_alert ? ".." : "", (int)id.len, id.ptr);
}

static void add_value(buf *line, const json *value) {
    const json *lat = json_get(value, "lat"), *lon = json_get(value, "lon");
    if (lat && lon)
        buf_printf(line, "%.6f,%.6f", json_number(lat), json_number(lon));
    else
        json_print(value, line);
}

static int add_member(void *context, const char *name, const json *value) {
    static const char *const said_elsewhere[] = {"v", "id", "ts", "lat", "lon"};
    buf *line = context;
    for (size_t i = 0; i < ARRAY_LEN(said_elsewhere); i++)
        if (strcmp(name, said_elsewhere[i]) == 0)
            return 0;
    buf_printf(line, "  %s ", name);
    add_value(line, value);
    return 0;
}

static void add_lateness(buf *line, const json *body, instant at) {
    instant happened;
    text ts = json_get_string(body, "ts");
    if (ts.ptr && instant_parse(ts, &happened) == 0 && at - happened > LATE)
        buf_printf(line, "  (%lld s old)", (long long)((at - happened) / INSTANT_SECOND));
}

/* True when the story has words for it. */
static bool add_story(buf *line, story *s, text topic, const json *body) {
    CLEANUP(buf_release) buf words = BUF(LINE_MAX_BYTES);
    address a;
    if (!s || !address_parse(topic, &a))
        return false;
    if (!body)
        story_forget(s, &a);
    if (!body || !story_tell(s, &a, body, &words) || buf_failed(&words) < 0)
        return false;
    buf_add_text(line, TEXT("  "));
    buf_add_text(line, buf_text(&words));
    return true;
}

static void add_body(buf *line, story *s, text topic, text payload, instant at) {
    CLEANUP(json_freep) json *body = NULL;
    if (payload.len == 0) {
        (void)add_story(line, s, topic, NULL);
        buf_add_text(line, TEXT("  (cleared)"));
    } else if (json_parse_once(payload, &body) != JSON_OK || json_kind_of(body) != JSON_OBJECT) {
        buf_add_text(line, TEXT("  "));
        buf_add_text(line, payload);
    } else if (add_story(line, s, topic, body)) {
        add_lateness(line, body, at);
    } else {
        if (json_get(body, "lat")) {
            buf_add_text(line, TEXT("  "));
            add_value(line, body);
        }
        (void)json_each(body, add_member, line);
        add_lateness(line, body, at);
    }
}

void show_line(FILE *to, story *s, const mqtt_event *message) {
    CLEANUP(buf_release) buf line = BUF(LINE_MAX_BYTES);
    char when[INSTANT_TEXT_LEN + 1];
    instant_format(message->at, when);
    buf_printf(&line, "%.12s  ", when + 11);
    add_topic(&line, message->topic);
    add_body(&line, s, message->topic, message->body, message->at);
    if (message->retained)
        buf_add_text(&line, TEXT("  (retained)"));
    if (buf_failed(&line) < 0)
        return;
    show_defuse(&line);
    fprintf(to, "%s\n", line.ptr);
}

void show_json(FILE *to, const mqtt_event *message) {
    CLEANUP(json_freep) json *out = json_new_object();
    CLEANUP(buf_release) buf line = BUF(LINE_MAX_BYTES);
    char when[INSTANT_TEXT_LEN + 1];
    instant_format(message->at, when);
    json *body = NULL;
    bool parsed = json_parse_once(message->body, &body) == JSON_OK;
    if (!parsed && text_is_utf8(message->body))
        body = json_new_string(message->body);
    /* a payload that is null, empty or binary: put as an empty string, with its size beside it */
    if (!body)
        body = json_new_string(TEXT(""));
    if (json_put(out, "at", json_new_string(text_of(when))) < 0 ||
        json_put(out, "topic", json_new_string(message->topic)) < 0 ||
        json_put(out, "retained", json_new_bool(message->retained)) < 0 ||
        json_put(out, "size", json_new_integer((int64_t)message->body.len)) < 0 ||
        json_put(out, "payload", body) < 0)
        return;
    json_print(out, &line);
    if (buf_failed(&line) == 0)
        fprintf(to, "%s\n", line.ptr);
}
