/* say.c - see timers.h: asks, and raises the alarm, when nobody else does.
 *
 * The keeper of any gateway does both while it has the database. Without one it is ours, a moment after the
 * time and each gateway a little later than the one before, unless what is to be said was heard meanwhile.
 * With one it is ours when all keepers, or the brokers' writers, have stood still for long.
 *
 * Who can't be asked, because no broker is there either, is raised for as who doesn't answer; while a broker
 * is away, silence is given some more time. An alarm that no broker takes is handed to the service standby by
 * the shelf "handed": it tells the first level by itself. What is said is on disk first, so that it is the
 * same message whenever it is said again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/phrases.h"
#include "gateway/timers/timers.h"

#define BATCH       64
#define SPEAK_MS    1500
#define AGAIN_AFTER (INSTANT_SECOND / 2)
#define MOMENT      (2 * INSTANT_SECOND)  /* for others who have a database */
#define PATIENCE    (45 * INSTANT_SECOND) /* with the database it is the keepers' */
#define LOOKED_LATE (10 * INSTANT_SECOND) /* so long after the time it still said so */
#define BROKER_TIME (60 * INSTANT_SECOND)
#define BACK_TIME   (20 * INSTANT_SECOND) /* for devices to come back to it */
#define HAND_AFTER  (INSTANT_SECOND * 3 / 2)
#define BRING_TIME  (5 * INSTANT_SECOND)
#define REFUSED_FOR (30 * INSTANT_SECOND)
#define REFUSED_AT  0x80
#define BODY_MAX    (32u << 10)

/* ---- messages ---- */

static int put_text(json *to, const char *name, const char *value) {
    return json_put(to, name, json_new_string(text_of(value)));
}

static json *head(const char *id) {
    char spelled[INSTANT_TEXT_LEN + 1];
    json *o = json_new_object();
    instant_format(instant_now(), spelled);
    if (!o || json_put(o, "v", json_new_integer(1)) < 0 || put_text(o, "id", id) < 0 ||
        put_text(o, "ts", spelled) < 0)
        return json_free(o);
    return o;
}

static char *finish(const json *o) {
    CLEANUP(buf_release) buf body = BUF(BODY_MAX);
    json_print(o, &body);
    return buf_steal(&body);
}

static int64_t answer_seconds(const timers *t) {
    int64_t within = (t->s->settings->timer_answer_ms + 999) / 1000;
    return within > 0 ? within : 1;
}

static char *spell_question(const timers *t, const lone *l) {
    CLEANUP(json_freep) json *o = head(l->check);
    if (!o || put_text(o, "reason", "timer") < 0 ||
        json_put(o, "respond_within", json_new_integer(answer_seconds(t))) < 0 ||
        (l->why && put_text(o, "text", l->why) < 0))
        return NULL;
    return finish(o);
}

static void compose(const lone *l, const phrases *say, buf *to) {
    if (l->help)
        buf_printf(to, "%s: %s Mayday", l->person, say->help);
    else if (l->unjudged)
        buf_printf(to, "%s: %s Mayday", l->person, say->unjudged);
    else
        buf_printf(to, "%s: %s", l->person, l->unasked ? say->unasked : say->timer);
    if (l->why)
        buf_printf(to, "\n%s: %s", say->question, l->why);
}

static json *place_of(timers *t, const lone *l) {
    char key[2 * TOPIC_LEVEL_MAX + 2];
    text org = lone_org(l);
    (void)snprintf(key, sizeof key, "%.*s/%s", (int)org.len, org.ptr, l->person);
    return timers_ear_place(t->ear, key);
}

static char *spell_alarm(timers *t, const lone *l, const char *raise) {
    CLEANUP(json_freep) json *o = head(raise), *place = place_of(t, l);
    CLEANUP(buf_release) buf words = BUF(BODY_MAX);
    const phrases *say = phrases_of(l->lang);
    compose(l, say, &words);
    if (!o || buf_failed(&words) < 0 || put_text(o, "type", l->help ? "panic" : "general") < 0 ||
        put_text(o, "priority", l->help ? "critical" : "high") < 0 || put_text(o, "text", words.ptr) < 0 ||
        put_text(o, "lang", say->lang) < 0 || put_text(o, "person", l->person) < 0 ||
        ((l->duress || l->unjudged) && json_put(o, "silent", json_new_bool(true)) < 0) ||
        (place && json_put(o, "location", json_share(place)) < 0))
        return NULL;
    return finish(o);
}

/* ---- is it ours, and now? ---- */

static instant ours_from(const timers *t, instant due) {
    if (!t->away_since)
        return due + PATIENCE + t->stagger;
    return (due > t->away_since ? due : t->away_since) + MOMENT + t->stagger;
}

static bool is_ours_now(const timers *t, const lone *l) {
    instant now = timers_now(t);
    return now >= ours_from(t, l->due_at) && now >= l->not_before &&
           (t->away_since || !l->known || t->refreshed_at >= l->due_at + LOOKED_LATE);
}

static bool wants_question(const timers *t, const lone *l) {
    return l->state == LONE_RUNNING ? is_ours_now(t, l)
                                    : l->state == LONE_ASKED && l->again && (t->away_since || l->unasked);
}

/* Whom the broker was not there for could not answer. */
static bool wants_alarm(timers *t, lone *l, bool up) {
    instant now = timers_now(t);
    if (l->state != LONE_ASKED)
        return false;
    if (!up && !l->help && !l->unasked) {
        l->cut = true;
        return is_ours_now(t, l) && now >= l->due_at + BROKER_TIME;
    }
    if (l->cut && up) {
        l->cut = false;
        l->due_at = !l->handed && l->due_at < now + BACK_TIME ? now + BACK_TIME : l->due_at;
    }
    return is_ours_now(t, l);
}

/* ---- out ---- */

/* An incident that people were told of from here is first brought into the database (standby/bring.c), for a
 * few seconds at most: the engine would tell them once more. */
static bool is_held_back(timers *t, lone *l, const char *alert) {
    if (!l->handed || t->away_since)
        return false;
    l->back_at = l->back_at ? l->back_at : timers_now(t);
    return timers_now(t) - l->back_at < BRING_TIME &&
           handed_is_told(t->s->local, lone_org(l), text_of(alert));
}

static void hand_in(timers *t, lone *l, const char *alert) {
    text org = lone_org(l);
    int fault = handed_put(t->s->local, org, text_of(alert), text_of(l->alarm));
    if (fault < 0) {
        service_log(t->s, LOG_LEVEL_ERROR,
                    "an alarm that no broker takes can't be handed to standby (%s); trying again",
                    strerror(-fault));
        return;
    }
    l->handed = true;
    timers_keep_one(t, l);
    service_log(t->s, LOG_LEVEL_WARNING, "%.*s: no broker takes incident %s: it is told from here",
                (int)org.len, org.ptr, alert);
}

typedef struct batch {
    bus_message messages[BATCH];
    buf topics[BATCH];
    lone *of[BATCH];
    size_t count;
} batch;

static void put(batch *b, lone *l, const char *family, const char *id, const char *leaf, const char *body) {
    text org = lone_org(l);
    buf *topic = &b->topics[b->count];
    *topic = (buf)BUF(TOPIC_MAX);
    buf_printf(topic, "mayday/v1/%.*s/%s/%s/%s", (int)org.len, org.ptr, family, id, leaf);
    if (buf_failed(topic) < 0) {
        buf_release(topic);
        return;
    }
    b->messages[b->count] = (bus_message){.org = org, .topic = buf_text(topic), .payload = text_of(body)};
    b->of[b->count++] = l;
}

static void question(timers *t, lone *l, bool up, batch *b) {
    instant now = timers_now(t);
    if (!l->ask && (l->ask = spell_question(t, l)))
        timers_keep_one(t, l);
    l->ask_from = l->ask_from ? l->ask_from : now;
    if (l->ask && up) {
        put(b, l, "user", l->person, "check", l->ask);
    } else if (!up && l->state == LONE_RUNNING && now - l->ask_from > answer_seconds(t) * INSTANT_SECOND) {
        timers_move(t, l, LONE_ASKED, now);
        l->unasked = l->again = true; /* it is asked with the alarm, so that both are stored */
    }
}

static void alarm_for(timers *t, lone *l, bool up, batch *b) {
    char alert[UUID_TEXT_LEN + 1], raise[UUID_TEXT_LEN + 1];
    instant now = timers_now(t);
    if (lone_alarm_ids(l, alert, raise) < 0)
        return;
    if (!l->alarm && (l->alarm = spell_alarm(t, l, raise)))
        timers_keep_one(t, l);
    if (!l->alarm)
        return;
    l->raise_from = l->raise_from ? l->raise_from : now;
    if (!l->handed && now - l->raise_from >= HAND_AFTER)
        hand_in(t, l, alert);
    if (up && !is_held_back(t, l, alert))
        put(b, l, "alert", alert, "raise", l->alarm);
}

static void gather(timers *t, batch *b) {
    lone *l, *next;
    HASH_ITER(hh, t->people, l, next) {
        if (l->state >= LONE_RAISED || b->count == BATCH)
            continue;
        if (l->state == LONE_RUNNING && !wants_question(t, l)) /* the many */
            continue;
        bool up = bus_up(t->s->bus, lone_org(l));
        if (wants_question(t, l))
            question(t, l, up, b);
        if (b->count < BATCH && l->state == LONE_ASKED && (!l->again || l->unasked) && wants_alarm(t, l, up))
            alarm_for(t, l, up, b);
    }
}

static void settle(timers *t, lone *l, const bus_message *m) {
    instant now = timers_now(t);
    bool asks = l->state == LONE_RUNNING || l->again;
    if (!m->acked)
        return;
    if (m->reason >= REFUSED_AT) {
        l->not_before = now + (asks ? REFUSED_FOR : INSTANT_SECOND);
        if (!t->refused)
            service_log(t->s, LOG_LEVEL_ERROR, "the broker refuses %s (reason %#x); trying again",
                        asks ? "a timer's question" : "an alarm", (unsigned)m->reason);
        t->refused = true;
        return;
    }
    t->refused = false;
    if (l->state == LONE_RUNNING) {
        service_count(t->s, "mayday_gateway_timers_asked_total", 1);
        timers_move(t, l, LONE_ASKED, now + answer_seconds(t) * INSTANT_SECOND);
    } else if (l->again) {
        l->again = false;
    } else {
        service_count(t->s, "mayday_gateway_timers_raised_total", 1);
        timers_move(t, l, LONE_RAISED, now);
    }
}

void timers_speak(timers *t) {
    batch b = {0};
    if (timers_now(t) - t->spoke_at < AGAIN_AFTER)
        return;
    gather(t, &b);
    size_t sent = b.count > 0 ? bus_publish(t->s->bus, b.messages, b.count, SPEAK_MS) : 0;
    for (size_t i = 0; i < b.count; i++) { /* of one person the question comes first */
        settle(t, b.of[i], &b.messages[i]);
        buf_release(&b.topics[i]);
    }
    t->spoke_at = sent < b.count ? timers_now(t) : 0;
}
