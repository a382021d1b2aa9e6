/* say.c - see fences.h: what a zone's events say to others, and what its alarm makes of them. All ids
 * are made from what happened, so that two gateways that see the same say the same. */
#include "gateway/fences/fences.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/notification.h"

#define TOPIC_LIMIT   1024
#define PAYLOAD_LIMIT 16384
#define WORDS_LIMIT   2048
#define WITHIN        120 /* seconds, unless the zone says otherwise */

/* In the language of the person, because a gateway may read it to somebody beside them. */
typedef struct phrases {
    const char *lang, *question;
    const char *kinds[FENCE_SPEEDING + 1];
} phrases;

static const phrases spoken[] = {
    {"en",
     "Are you OK?",
     {[FENCE_ENTERED] = "has entered",
      [FENCE_LEFT] = "has left",
      [FENCE_DWELLED] = "has been too long in",
      [FENCE_PASSED] = "has passed through",
      [FENCE_LEFT_UNCHECKED] = "has not checked in and has left",
      [FENCE_SPEEDING] = "is too fast in"}},
    {"de",
     "Ist alles in Ordnung?",
     {[FENCE_ENTERED] = "hat betreten:",
      [FENCE_LEFT] = "hat verlassen:",
      [FENCE_DWELLED] = "ist zu lange in",
      [FENCE_PASSED] = "hat durchquert:",
      [FENCE_LEFT_UNCHECKED] = "hat ohne Meldung verlassen:",
      [FENCE_SPEEDING] = "ist zu schnell in"}},
    {"fr",
     "Tout va bien ?",
     {[FENCE_ENTERED] = "est entré dans",
      [FENCE_LEFT] = "a quitté",
      [FENCE_DWELLED] = "est depuis trop longtemps dans",
      [FENCE_PASSED] = "a traversé",
      [FENCE_LEFT_UNCHECKED] = "a quitté sans se signaler",
      [FENCE_SPEEDING] = "va trop vite dans"}},
    {"es",
     "¿Está usted bien?",
     {[FENCE_ENTERED] = "ha entrado en",
      [FENCE_LEFT] = "ha salido de",
      [FENCE_DWELLED] = "lleva demasiado tiempo en",
      [FENCE_PASSED] = "ha atravesado",
      [FENCE_LEFT_UNCHECKED] = "ha salido sin dar aviso de",
      [FENCE_SPEEDING] = "va demasiado rápido en"}},
    {"af",
     "Is jy oukei?",
     {[FENCE_ENTERED] = "het ingegaan by",
      [FENCE_LEFT] = "het weggegaan van",
      [FENCE_DWELLED] = "is te lank in",
      [FENCE_PASSED] = "het gegaan deur",
      [FENCE_LEFT_UNCHECKED] = "het sonder aanmelding weggegaan van",
      [FENCE_SPEEDING] = "is te vinnig in"}},
};

static const phrases *phrases_of(const char *lang) {
    lang = lang ? lang : "";
    size_t len = strcspn(lang, "-");
    for (size_t i = 0; i < ARRAY_LEN(spoken); i++)
        if (strlen(spoken[i].lang) == len && strncasecmp(spoken[i].lang, lang, len) == 0)
            return &spoken[i];
    return &spoken[0];
}

void fence_message_release(fence_message *m) {
    buf_release(&m->topic);
    buf_release(&m->payload);
}

static fence_message fresh(void) {
    return (fence_message){.topic = BUF(TOPIC_LIMIT), .payload = BUF(PAYLOAD_LIMIT)};
}

/* ---- JSON ---- */

static int put_text(json *to, const char *name, text value) {
    return json_put(to, name, json_new_string(value));
}

static int put_number(json *to, const char *name, double value) {
    return isfinite(value) ? json_put(to, name, json_new_number(value)) : 0;
}

/* Within what schemas/location.json allows; what is not, is not known. */
static int put_within(json *to, const char *name, double value, double least, double most) {
    return value >= least && value <= most ? put_number(to, name, value) : 0;
}

static int put_place(json *to, const fix *at) {
    if (!isfinite(at->lat) || !isfinite(at->lon))
        return 0;
    json *place = json_new_object();
    int fault = place ? put_number(place, "lat", at->lat) : -ENOMEM;
    if (fault == 0)
        fault = put_number(place, "lon", at->lon);
    if (fault == 0)
        fault = put_within(place, "accuracy", at->accuracy, 0, 1000000);
    if (fault == 0)
        fault = put_within(place, "speed", at->speed, 0, 350);
    if (fault < 0) {
        (void)json_free(place);
        return fault;
    }
    return json_put(to, "location", place);
}

/* {"v", "id", "ts"}: the id of `what` about this event. */
static int begin(const fence_news *n, const char *what, json **ret_body, char ret_id[UUID_TEXT_LEN + 1]) {
    CLEANUP(buf_release) buf content = BUF(WORDS_LIMIT);
    CLEANUP(json_freep) json *body = json_new_object();
    char moment[INSTANT_TEXT_LEN + 1];
    instant_format(n->what->at, moment);
    buf_printf(&content, "%s|%s|%s|%s|%s|%s", what, n->org, n->what->zone, n->who->id,
               fence_kind_name(n->what->kind), moment);
    int fault =
        buf_failed(&content) < 0 ? buf_failed(&content) : derived_id(buf_text(&content), n->what->at, ret_id);
    if (fault == 0)
        fault = body ? json_put(body, "v", json_new_integer(1)) : -ENOMEM;
    if (fault == 0)
        fault = put_text(body, "id", text_of(ret_id));
    if (fault == 0)
        fault = put_text(body, "ts", text_of(moment));
    if (fault == 0) {
        *ret_body = body;
        body = NULL;
    }
    return fault;
}

static int finish(const json *body, fence_message *m, fence_message *ret_message) {
    json_print(body, &m->payload);
    int fault = buf_failed(&m->topic) < 0 ? buf_failed(&m->topic) : buf_failed(&m->payload);
    if (fault == 0) {
        *ret_message = *m;
        *m = fresh();
    }
    return fault;
}

int fence_spell_event(const fence_news *n, fence_message *ret_message) {
    CLEANUP(fence_message_release) fence_message m = fresh();
    CLEANUP(json_freep) json *body = NULL;
    char id[UUID_TEXT_LEN + 1];
    const fence_event *e = n->what;
    buf_printf(&m.topic, "mayday/v1/%s/zone/%s/event", n->org, e->zone);
    int fault = begin(n, "zone", &body, id);
    if (fault == 0)
        fault = put_text(body, "person", text_of(n->who->id));
    if (fault == 0)
        fault = put_text(body, "event", text_of(fence_kind_name(e->kind)));
    if (fault == 0)
        fault = put_place(body, &e->where);
    if (fault == 0)
        fault = put_within(body, "speed", e->speed, 0, 100000);
    if (fault == 0)
        fault = put_within(body, "for", e->for_s, 0, 1e12);
    return fault < 0 ? fault : finish(body, &m, ret_message);
}

/* ---- alarms ---- */

static bool is_alarm(const json *zone, fence_kind kind) {
    const json *on = json_get(zone, "alarm_on");
    for (size_t i = 0; i < json_length(on); i++)
        if (fence_kind_of(json_string(json_at(on, i))) == kind)
            return true;
    return false;
}

static text name_of(const fence_news *n) {
    text name = json_get_string(n->zone, "name");
    return name.len ? name : text_of(n->what->zone);
}

/* "Ann Burger: has entered Depot 4" */
static void put_words(const fence_news *n, const phrases *p, buf *to) {
    text zone = name_of(n);
    buf_printf(to, "%s: %s %.*s", n->who->name && *n->who->name ? n->who->name : n->who->id,
               p->kinds[n->what->kind], (int)zone.len, zone.ptr);
}

static int note(const fence_news *n, const phrases *p, fence_message *m, json **ret_body) {
    CLEANUP(buf_release) buf words = BUF(WORDS_LIMIT);
    char id[UUID_TEXT_LEN + 1];
    buf_printf(&m->topic, "mayday/v1/%s/role/dispatcher/broadcast", n->org);
    put_words(n, p, &words);
    int fault = buf_failed(&words) < 0 ? buf_failed(&words) : begin(n, "note", ret_body, id);
    if (fault == 0)
        fault = put_text(*ret_body, "text", buf_text(&words));
    return fault < 0 ? fault : put_text(*ret_body, "lang", text_of(p->lang));
}

static int64_t within(const json *zone) {
    const json *value = json_get(zone, "answer_within");
    return json_kind_of(value) == JSON_INTEGER ? json_integer(value) : WITHIN;
}

static int ask(const fence_news *n, const phrases *p, fence_message *m, json **ret_body) {
    CLEANUP(buf_release) buf words = BUF(WORDS_LIMIT);
    char id[UUID_TEXT_LEN + 1];
    text zone = name_of(n);
    m->alarm = true;
    buf_printf(&m->topic, "mayday/v1/%s/user/%s/check", n->org, n->who->id);
    buf_printf(&words, "%s (%.*s)", p->question, (int)zone.len, zone.ptr);
    int fault = buf_failed(&words) < 0 ? buf_failed(&words) : begin(n, "ask", ret_body, id);
    if (fault == 0)
        fault = put_text(*ret_body, "reason", TEXT("zone"));
    if (fault == 0)
        fault = put_text(*ret_body, "text", buf_text(&words));
    if (fault == 0)
        fault = put_text(*ret_body, "lang", text_of(p->lang));
    (void)snprintf(m->check, sizeof m->check, "%s", fault < 0 ? "" : id);
    return fault < 0 ? fault : json_put(*ret_body, "respond_within", json_new_integer(within(n->zone)));
}

static int raise_for(const fence_news *n, const phrases *p, fence_message *m, json **ret_body) {
    CLEANUP(buf_release) buf words = BUF(WORDS_LIMIT);
    CLEANUP(json_freep) json *thrown = NULL;
    char id[UUID_TEXT_LEN + 1], alert[UUID_TEXT_LEN + 1];
    put_words(n, p, &words);
    m->alarm = true;
    int fault = buf_failed(&words) < 0 ? buf_failed(&words) : begin(n, "alert", &thrown, alert);
    if (fault == 0)
        fault = begin(n, "raise", ret_body, id);
    if (fault < 0)
        return fault;
    buf_printf(&m->topic, "mayday/v1/%s/alert/%s/raise", n->org, alert);
    fault = put_text(*ret_body, "type", TEXT("general"));
    if (fault == 0)
        fault = put_text(*ret_body, "priority", TEXT("high"));
    if (fault == 0)
        fault = put_text(*ret_body, "person", text_of(n->who->id));
    if (fault == 0)
        fault = put_text(*ret_body, "text", buf_text(&words));
    if (fault == 0)
        fault = put_text(*ret_body, "lang", text_of(p->lang));
    return fault < 0 ? fault : put_place(*ret_body, &n->what->where);
}

int fence_spell_alarm(const fence_news *n, fence_message *ret_message) {
    static const struct {
        const char *word;
        int (*spell)(const fence_news *n, const phrases *p, fence_message *m, json **ret_body);
    } rows[] = {{"note", note}, {"ask", ask}, {"raise", raise_for}};
    CLEANUP(fence_message_release) fence_message m = fresh();
    CLEANUP(json_freep) json *body = NULL;
    text word = json_get_string(n->zone, "alarm");
    int fault = 0;
    if (!is_alarm(n->zone, n->what->kind))
        word = (text){NULL, 0};
    for (size_t i = 0; fault == 0 && i < ARRAY_LEN(rows); i++)
        if (text_equal(word, text_of(rows[i].word)))
            fault = rows[i].spell(n, phrases_of(n->who->lang), &m, &body);
    if (fault < 0 || !body) {
        if (fault == 0)
            *ret_message = fresh();
        return fault;
    }
    return finish(body, &m, ret_message);
}
