/* say.c - see vigil.h: what is to be said, until a broker has it in its journal.
 *
 * Everything is on the shelf "vigil-say" before it is sent and goes from there when it was taken: a gateway
 * that is killed in between says it again under the same id, which changes nothing more. A shelf that can't
 * be written (the disk is full) stops nothing. A raise that no broker takes is handed to the service standby,
 * by the shelf "handed": it tells the first level by itself. It stays there until a broker has it. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "gateway/vigil/vigil.h"

#define SHELF       TEXT("vigil-say")
#define SAYINGS_MAX 10000
#define BATCH       64
#define SPEAK_MS    1500
#define AGAIN_MS    500 /* after what came to nothing */
#define REST_MS     1000
#define HAND_AFTER  (INSTANT_SECOND * 3 / 2)
#define REFUSED_AT  0x80
#define BRING_TIME  (5 * INSTANT_SECOND)
#define BODY_MAX    (256u << 10)

static saying *saying_free(saying *one) {
    if (!one)
        return NULL;
    free(one->org);
    free(one->topic);
    free(one->payload);
    free(one);
    return NULL;
}

void vigil_sayings_free(vigil *v) {
    while (v->sayings) {
        saying *one = v->sayings;
        v->sayings = one->next;
        (void)saying_free(one);
    }
    v->sayings_end = &v->sayings;
    v->saying_count = 0;
}

static void put(vigil *v, saying *one) {
    *v->sayings_end = one;
    v->sayings_end = &one->next;
    v->saying_count++;
}

static void take_out(vigil *v, saying *one) {
    for (saying **at = &v->sayings; *at; at = &(*at)->next)
        if (*at == one) {
            *at = one->next;
            if (!one->next)
                v->sayings_end = at;
            v->saying_count--;
            break;
        }
    if (one->shelved)
        (void)!local_drop(v->s->local, SHELF, text_of(one->id));
    if (one->kind == SAYING_RAISE) /* also when it was handed in before we were started */
        handed_drop(v->s->local, text_of(one->alert));
    one->dropped = true;
    if (!one->out)
        (void)saying_free(one);
}

/* What dispatch only looks at gives way first; a raise never does. */
static void make_room(vigil *v) {
    for (int kind = SAYING_FINDING; v->saying_count >= SAYINGS_MAX && kind < SAYING_RAISE; kind++)
        for (saying *one = v->sayings; one; one = one->next)
            if (one->kind == (saying_kind)kind) {
                take_out(v, one);
                service_count(v->s, "mayday_gateway_vitals_unsaid_total", 1);
                return;
            }
}

static int put_text(json *to, const char *name, const char *value) {
    return json_put(to, name, json_new_string(text_of(value)));
}

static void shelve(vigil *v, saying *one) {
    CLEANUP(json_freep) json *said = json_new_object();
    CLEANUP(buf_release) buf spelled = BUF(BODY_MAX);
    if (!said || json_put(said, "v", json_new_integer(1)) < 0 ||
        json_put(said, "kind", json_new_integer((int64_t)one->kind)) < 0 ||
        put_text(said, "org", one->org) < 0 || put_text(said, "topic", one->topic) < 0 ||
        put_text(said, "person", one->person) < 0 || put_text(said, "alert", one->alert) < 0 ||
        put_text(said, "payload", one->payload) < 0)
        return;
    json_print(said, &spelled);
    one->shelved =
        buf_failed(&spelled) == 0 && local_put(v->s->local, SHELF, text_of(one->id), buf_text(&spelled)) == 0;
    if (!one->shelved)
        service_log(v->s, LOG_LEVEL_ERROR,
                    "what is to be said can't be kept on disk; it is said nevertheless");
}

static bool is_there(const vigil *v, const char *id) {
    for (const saying *one = v->sayings; one; one = one->next)
        if (strcmp(one->id, id) == 0)
            return true;
    return false;
}

static char *spell_topic(saying_kind kind, const watched *p, const char *alert, const char *leaf) {
    CLEANUP(buf_release) buf topic = BUF(TOPIC_MAX);
    if (kind == SAYING_RAISE)
        buf_printf(&topic, "mayday/v1/%s/alert/%s/%s", p->of->org, alert, leaf);
    else
        buf_printf(&topic, "mayday/v1/%s/user/%s/%s", p->of->org, p->person, leaf);
    return buf_steal(&topic);
}

int vigil_say(vigil *v, saying_kind kind, const watched *p, const char *id, const char *alert,
              const char *leaf, const json *said) {
    CLEANUP(buf_release) buf payload = BUF(BODY_MAX);
    if (is_there(v, id))
        return 0;
    make_room(v);
    saying *one = calloc(1, sizeof *one);
    json_print(said, &payload);
    if (one) {
        one->org = text_copy(text_of(p->of->org));
        one->topic = spell_topic(kind, p, alert, leaf);
        one->payload = buf_steal(&payload);
    }
    if (!one || !one->org || !one->topic || !one->payload) {
        (void)saying_free(one);
        return -ENOMEM;
    }
    one->kind = kind;
    one->since = vigil_now(v);
    (void)snprintf(one->person, sizeof one->person, "%s", p->person);
    (void)snprintf(one->id, sizeof one->id, "%s", id);
    (void)snprintf(one->alert, sizeof one->alert, "%s", alert ? alert : "");
    shelve(v, one);
    put(v, one);
    (void)eventfd_write(v->mouth_fd, 1);
    return 0;
}

void vigil_unsay(vigil *v, const char *id) {
    for (saying *one = v->sayings; one; one = one->next)
        if (strcmp(one->id, id) == 0) {
            take_out(v, one);
            return;
        }
}

/* ---- to standby ---- */

static void hand_in(vigil *v, saying *one) {
    int fault = handed_put(v->s->local, text_of(one->org), text_of(one->alert), text_of(one->payload));
    if (fault < 0) {
        service_log(v->s, LOG_LEVEL_ERROR,
                    "an alarm that no broker takes can't be handed to standby (%s); trying again",
                    strerror(-fault));
        return;
    }
    one->handed = true;
    service_count(v->s, "mayday_gateway_vitals_handed_total", 1);
    service_log(v->s, LOG_LEVEL_WARNING, "%s: no broker takes incident %s: it is told from here", one->org,
                one->alert);
}

void vigil_hand_in(vigil *v) {
    for (saying *one = v->sayings; one; one = one->next)
        if (one->kind == SAYING_RAISE && !one->handed && vigil_now(v) - one->since >= HAND_AFTER)
            hand_in(v, one);
}

/* ---- out ---- */

static void taken(vigil *v, saying *one) {
    static const char *const counters[] = {[SAYING_FINDING] = "mayday_gateway_vital_alerts_total",
                                           [SAYING_QUESTION] = "mayday_gateway_vitals_questions_total",
                                           [SAYING_RAISE] = "mayday_gateway_vitals_raises_total"};
    watched *p = vigil_find(v, text_of(one->org), text_of(one->person));
    service_count(v->s, counters[one->kind], 1);
    if (one->kind == SAYING_QUESTION && p && strcmp(p->about.check, one->id) == 0)
        vigil_asked(v, p);
}

/* True: it is done with. */
static bool is_settled(vigil *v, saying *one, const bus_message *m) {
    if (!m->acked)
        return false;
    if (m->reason < REFUSED_AT) {
        taken(v, one);
        return true;
    }
    if (one->kind != SAYING_RAISE) {
        service_log(v->s, LOG_LEVEL_ERROR, "the broker refuses what was found in vital signs (reason %#x)",
                    (unsigned)m->reason);
        return true;
    }
    if (!v->silent)
        service_log(v->s, LOG_LEVEL_ERROR, "the broker refuses an alarm (reason %#x); trying again",
                    (unsigned)m->reason);
    v->silent = true;
    return false;
}

/* An incident that people were told of from here is stored by whoever writes for the broker; the engine would
 * tell them once more if it saw it before what was told is brought in (standby/bring.c). So it waits for
 * that, a few seconds at most. Without the database the engine itself waits, when that is back. */
static bool is_held_back(vigil *v, saying *one) {
    if (!one->handed || !v->with_database)
        return false;
    one->back_at = one->back_at ? one->back_at : vigil_now(v);
    return vigil_now(v) - one->back_at < BRING_TIME &&
           handed_is_told(v->s->local, text_of(one->org), text_of(one->alert));
}

/* Alarms first; then in order, because a question follows what was found: the alarm that comes of it takes
 * the readings from there. */
static size_t gather(vigil *v, saying *of[BATCH], bus_message messages[BATCH]) {
    size_t count = 0;
    for (int alarms = 1; alarms >= 0; alarms--)
        for (saying *one = v->sayings; one && count < BATCH; one = one->next)
            if ((one->kind == SAYING_RAISE) == (alarms == 1) && bus_up(v->s->bus, text_of(one->org)) &&
                !is_held_back(v, one)) {
                messages[count] = (bus_message){
                    .org = text_of(one->org), .topic = text_of(one->topic), .payload = text_of(one->payload)};
                one->out = true;
                of[count++] = one;
            }
    return count;
}

static void settle(vigil *v, saying *of[], const bus_message messages[], size_t count) {
    for (size_t i = 0; i < count; i++) {
        bool done = is_settled(v, of[i], &messages[i]);
        of[i]->out = false;
        if (of[i]->dropped)
            (void)saying_free(of[i]);
        else if (done)
            take_out(v, of[i]);
    }
}

/* Returns for how long there is nothing to do unless something is said. */
static int speak(vigil *v) {
    bus_message messages[BATCH] = {0};
    saying *of[BATCH];
    (void)pthread_mutex_lock(&v->lock);
    size_t count = gather(v, of, messages), waiting = v->saying_count, sent = 0;
    (void)pthread_mutex_unlock(&v->lock);
    if (count == 0)
        return waiting ? AGAIN_MS / 2 : REST_MS;
    sent = bus_publish(v->s->bus, messages, count, SPEAK_MS);
    (void)pthread_mutex_lock(&v->lock);
    settle(v, of, messages, count);
    (void)pthread_mutex_unlock(&v->lock);
    return sent < count ? AGAIN_MS : 0;
}

void *vigil_mouth(void *the_vigil) {
    vigil *v = the_vigil;
    struct pollfd called = {.fd = v->mouth_fd, .events = POLLIN};
    eventfd_t times;
    (void)pthread_setname_np(pthread_self(), "mg-vigil-mouth");
    while (!atomic_load(&v->ends)) {
        int rest_ms = speak(v);
        if (rest_ms > 0 && poll(&called, 1, rest_ms) > 0)
            (void)eventfd_read(v->mouth_fd, &times);
    }
    return NULL;
}

/* ---- again ---- */

static void copy_id(char to[UUID_TEXT_LEN + 1], text t) {
    (void)snprintf(to, UUID_TEXT_LEN + 1, "%.*s", (int)t.len, t.ptr ? t.ptr : "");
}

static void recall(void *context, text name, text spelled) {
    vigil *v = context;
    CLEANUP(json_freep) json *said = NULL;
    saying *one = calloc(1, sizeof *one);
    if (!one || json_parse_once(spelled, &said) != JSON_OK) {
        free(one);
        return;
    }
    int64_t kind = json_integer(json_get(said, "kind"));
    text person = json_get_string(said, "person");
    one->kind = kind >= SAYING_FINDING && kind <= SAYING_RAISE ? (saying_kind)kind : SAYING_FINDING;
    one->org = text_copy(json_get_string(said, "org"));
    one->topic = text_copy(json_get_string(said, "topic"));
    one->payload = text_copy(json_get_string(said, "payload"));
    (void)snprintf(one->person, sizeof one->person, "%.*s", (int)person.len, person.ptr ? person.ptr : "");
    copy_id(one->id, name);
    copy_id(one->alert, json_get_string(said, "alert"));
    one->since = vigil_now(v);
    one->shelved = true;
    if (one->org && one->topic && one->payload && *one->org && *one->topic)
        put(v, one);
    else
        (void)saying_free(one);
}

void vigil_recall_sayings(vigil *v) {
    if (local_each(v->s->local, SHELF, recall, v) < 0)
        service_log(v->s, LOG_LEVEL_ERROR, "the gateway's own store can't be read");
}
