/* know.c - see timers.h: who works alone, and what became of it.
 *
 * Two tell of it: the database, which is asked every few seconds and is right of what it knows, and MQTT,
 * which is ahead of it. Of one timer whoever is further in its conversation is believed; of two the newer
 * one.
 *
 * All of it is on the shelf "timers", so that a gateway which is started without a database goes on. Ids are
 * made as the database makes them (sql/0023_timers.sql). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/notification.h"
#include "gateway/duress.h"
#include "gateway/pg_array.h"
#include "gateway/timers/timers.h"

#define SHELF     TEXT("timers")
#define DOCUMENT  (64u << 10)
#define LIST_MAX  (16u << 20)
#define KEEP_STEP 50 /* documents: each waits for the disk */
#define REFRESH   (20 * INSTANT_SECOND)
#define SKEW      (5 * INSTANT_SECOND)
#define DAY       (24 * 3600 * INSTANT_SECOND)
#define OVER_FOR  (3600 * INSTANT_SECOND)
#define LATE_WIND (20 * INSTANT_SECOND) /* to answer, when we were away */

text lone_org(const lone *l) {
    return (text){l->key, strcspn(l->key, "/")};
}

/* ---- ids ---- */

static int64_t time_of(const char *id) {
    uuid parsed;
    return uuid_parse(text_of(id), &parsed) == 0 ? uuid7_unix_ms(&parsed) : 0;
}

static int make_id(const lone *l, const char *from, const char *what, int64_t minutes,
                   char ret_id[UUID_TEXT_LEN + 1]) {
    CLEANUP(buf_release) buf content = BUF(1024);
    text org = lone_org(l);
    buf_printf(&content, "timer/%.*s/%s/%s", (int)org.len, org.ptr, from, what);
    return buf_failed(&content) < 0
               ? buf_failed(&content)
               : derived_id(buf_text(&content), (time_of(from) + minutes * 60000) * 1000, ret_id);
}

int lone_alarm_ids(const lone *l, char ret_alert[UUID_TEXT_LEN + 1], char ret_raise[UUID_TEXT_LEN + 1]) {
    char alert[UUID_TEXT_LEN + 1], raise[UUID_TEXT_LEN + 1];
    int fault = make_id(l, l->check, "alert", 0, alert);
    if (fault == 0)
        fault = make_id(l, l->check, "raise", 0, raise);
    if (fault < 0)
        return fault;
    memcpy(ret_alert, alert, sizeof alert);
    memcpy(ret_raise, raise, sizeof raise);
    return 0;
}

/* ---- the list ---- */

static lone *find(timers *t, const char *key) {
    lone *l = NULL;
    HASH_FIND(hh, t->people, key, (unsigned)strlen(key), l);
    return l;
}

static void forget(timers *t, lone *l) {
    timers_ear_leave(t->ear, l->key);
    HASH_DEL(t->people, l);
    free(l->key);
    free(l->why);
    free(l->ask);
    free(l->alarm);
    free(l);
}

void timers_free(timers *t) {
    while (t->people)
        forget(t, t->people);
}

static lone *add(timers *t, const char *key) {
    if (HASH_COUNT(t->people) >= LONE_MAX) {
        if (!t->crowded)
            service_log(t->s, LOG_LEVEL_WARNING, "more timers than can be looked after without the database");
        t->crowded = true;
        return NULL;
    }
    lone *l = calloc(1, sizeof *l);
    if (!l || !(l->key = text_copy(text_of(key)))) {
        free(l);
        return NULL;
    }
    const char *person = strchr(key, '/');
    if (person)
        (void)snprintf(l->person, sizeof l->person, "%.*s", (int)strcspn(person + 1, "/"), person + 1);
    HASH_ADD_KEYPTR(hh, t->people, l->key, strlen(l->key), l);
    if (!l->hh.tbl) {
        free(l->key);
        free(l);
        return NULL;
    }
    timers_ear_follow(t->ear, l->key);
    return l;
}

static void drop_handed(timers *t, lone *l) {
    char alert[UUID_TEXT_LEN + 1], raise[UUID_TEXT_LEN + 1];
    if (l->handed && lone_alarm_ids(l, alert, raise) == 0)
        handed_drop(t->s->local, text_of(alert));
    l->handed = false;
}

void timers_move(timers *t, lone *l, lone_state state, instant due_at) {
    if (state >= LONE_RAISED)
        drop_handed(t, l);
    l->state = state;
    l->due_at = due_at;
    l->ask_from = l->raise_from = l->back_at = l->not_before = 0;
    l->again = l->cut = false;
    l->kept = false;
}

/* The question is another one from here on. */
static void anew(lone *l) {
    free(l->ask);
    free(l->alarm);
    l->ask = l->alarm = NULL;
    l->help = l->duress = l->unasked = l->unjudged = false;
}

/* ---- what is heard ---- */

static void copy_text(char *to, size_t size, text t) {
    (void)snprintf(to, size, "%.*s", (int)t.len, t.ptr ? t.ptr : "");
}

static bool spell_key(const said *one, const char *person, const char *suffix,
                      char to[2 * TOPIC_LEVEL_MAX + 16]) {
    int len = snprintf(to, 2 * TOPIC_LEVEL_MAX + 16, "%s/%s%s", one->org, person, suffix);
    return len > 0 && len < 2 * TOPIC_LEVEL_MAX + 16;
}

static bool is_duress(const timers *t, const said *one, text words) {
    return duress_known(t->s->local, text_of(one->org), text_of(one->id), words);
}

/* A word in the timer's own text: an alarm by itself, while the timer goes as it was said. */
static void call_for_help(timers *t, const said *one, const char *request) {
    char key[2 * TOPIC_LEVEL_MAX + 16];
    lone *l = spell_key(one, one->id, "/help", key) ? find(t, key) : NULL;
    if (l && (strcmp(l->check, request) == 0 || l->state == LONE_ASKED))
        return; /* said again, or one more: they are being raised for */
    l = l ? l : add(t, key);
    if (!l)
        return;
    anew(l);
    (void)snprintf(l->request, sizeof l->request, "%s", request);
    (void)snprintf(l->check, sizeof l->check, "%s", request);
    l->help = l->duress = true;
    timers_move(t, l, LONE_ASKED, timers_now(t));
}

/* As mayday.settle_timers has it: nothing is older than a day, nor lies ahead. */
static instant when_said(const timers *t, const json *timer) {
    instant at, now = timers_now(t);
    if (!json_boolean(json_get(timer, "offline")) || instant_parse(json_get_string(timer, "ts"), &at) < 0)
        return now;
    instant age = instant_now() - at;
    return now - (age < 0 ? 0 : age > DAY ? DAY : age);
}

static void hear_timer(timers *t, const said *one, const json *timer) {
    char key[2 * TOPIC_LEVEL_MAX + 16], request[UUID_TEXT_LEN + 1];
    text why = json_get_string(timer, "text");
    uuid id;
    if (uuid_parse(json_get_string(timer, "id"), &id) < 0 || !spell_key(one, one->id, "", key))
        return;
    uuid_format(&id, request);
    if (is_duress(t, one, why))
        call_for_help(t, one, request);
    lone *l = find(t, key);
    instant said_at = when_said(t, timer);
    if (l && (strcmp(l->request, request) == 0 || said_at < l->said_at))
        return;
    l = l ? l : add(t, key);
    if (!l)
        return;
    anew(l);
    drop_handed(t, l);
    memcpy(l->request, request, sizeof request);
    l->minutes = json_integer(json_get(timer, "minutes"));
    l->repeat = json_boolean(json_get(timer, "repeat"));
    l->said_at = said_at;
    l->known = false;
    free(l->why);
    l->why = why.len ? text_copy(why) : NULL;
    bool runs = l->minutes > 0 && make_id(l, request, "check", l->minutes, l->check) == 0;
    timers_move(t, l, runs ? LONE_RUNNING : LONE_ENDED,
                runs ? said_at + l->minutes * 60 * INSTANT_SECOND : timers_now(t));
}

static void hear_check(timers *t, const said *one, const json *check) {
    char key[2 * TOPIC_LEVEL_MAX + 16];
    lone *l = spell_key(one, one->id, "", key) ? find(t, key) : NULL;
    int64_t within = json_integer(json_get(check, "respond_within"));
    if (!l || l->state != LONE_RUNNING || !text_equal(json_get_string(check, "id"), text_of(l->check)))
        return;
    timers_move(t, l, LONE_ASKED,
                timers_now(t) +
                    (within > 0 ? within * INSTANT_SECOND : t->s->settings->timer_answer_ms * 1000));
}

/* Nothing takes a call for help back, nor an alarm that people were told of already. */
static void hear_reply(timers *t, const said *one, const json *reply) {
    char key[2 * TOPIC_LEVEL_MAX + 16], next[UUID_TEXT_LEN + 1];
    lone *l = spell_key(one, one->id, "", key) ? find(t, key) : NULL;
    if (!l || l->state == LONE_ENDED || l->help || l->handed ||
        !text_equal(json_get_string(reply, "check"), text_of(l->check)))
        return;
    bool duress = is_duress(t, one, json_get_string(reply, "text"));
    if (duress || text_equal(json_get_string(reply, "answer"), TEXT("help"))) {
        if (l->state == LONE_RAISED)
            return;
        l->help = true;
        l->duress = duress;
        timers_move(t, l, LONE_ASKED, timers_now(t));
    } else if (json_boolean(json_get(reply, "pinned"))) {
        /* Whether it is their PIN only the database knows: it says so when it is there; until then the time
         * runs. */
        l->unjudged = true;
        l->kept = false;
    } else if (l->repeat && make_id(l, l->check, "again", l->minutes, next) == 0) {
        anew(l);
        memcpy(l->check, next, sizeof next);
        timers_move(t, l, LONE_RUNNING, timers_now(t) + l->minutes * 60 * INSTANT_SECOND);
    } else {
        timers_move(t, l, LONE_ENDED, timers_now(t));
    }
}

static void hear_raise(timers *t, const said *one, const json *raise) {
    static const char *const suffixes[] = {"", "/help"};
    char key[2 * TOPIC_LEVEL_MAX + 16], person[TOPIC_LEVEL_MAX + 1], alert[UUID_TEXT_LEN + 1],
        id[UUID_TEXT_LEN + 1];
    copy_text(person, sizeof person, json_get_string(raise, "person"));
    for (size_t i = 0; *person && i < ARRAY_LEN(suffixes); i++) {
        lone *l = spell_key(one, person, suffixes[i], key) ? find(t, key) : NULL;
        if (l && l->state < LONE_RAISED && lone_alarm_ids(l, alert, id) == 0 &&
            text_equal(json_get_string(raise, "id"), text_of(id)))
            timers_move(t, l, LONE_RAISED, timers_now(t));
    }
}

void timers_hear(timers *t, const said *one) {
    CLEANUP(json_freep) json *body = NULL;
    if (json_parse_once(one->payload, &body) != JSON_OK)
        return;
    switch (one->kind) {
    case SAID_NOTHING:
        break;
    case SAID_TIMER:
        hear_timer(t, one, body);
        break;
    case SAID_CHECK:
        hear_check(t, one, body);
        break;
    case SAID_REPLY:
        hear_reply(t, one, body);
        break;
    case SAID_RAISE:
        hear_raise(t, one, body);
        break;
    }
}

/* ---- what the database knows ---- */

/* The columns of mayday.timers_at_hand. */
enum {
    ORG,
    PERSON,
    LANG,
    REQUEST,
    CHECK,
    MINUTES,
    WHY,
    REPEAT,
    STATE,
    SAID,
    DUE
};

static int64_t number(const pg_rows *rows, size_t row, size_t column) {
    int64_t value = 0;
    return text_to_i64(text_of(pg_value(rows, row, column)), INT64_MIN, INT64_MAX, &value) == 0 ? value : 0;
}

static lone_state state_of(const char *word) {
    return strcmp(word, "running") == 0  ? LONE_RUNNING
           : strcmp(word, "asked") == 0  ? LONE_ASKED
           : strcmp(word, "raised") == 0 ? LONE_RAISED
                                         : LONE_ENDED;
}

static void take(timers *t, lone *l, const pg_rows *rows, size_t i, lone_state state) {
    instant now = timers_now(t);
    anew(l);
    drop_handed(t, l);
    copy_text(l->request, sizeof l->request, text_of(pg_value(rows, i, REQUEST)));
    copy_text(l->check, sizeof l->check, text_of(pg_value(rows, i, CHECK)));
    l->minutes = number(rows, i, MINUTES);
    l->repeat = strcmp(pg_value(rows, i, REPEAT), "t") == 0;
    l->said_at = now - number(rows, i, SAID) * 1000;
    free(l->why);
    l->why = pg_is_null(rows, i, WHY) ? NULL : text_copy(text_of(pg_value(rows, i, WHY)));
    timers_move(t, l, state, state < LONE_RAISED ? now + number(rows, i, DUE) * 1000 : now);
}

/* It is what we know, or less: then ours stays, but times are the database's where both are as far. */
static bool is_ours(timers *t, lone *l, const pg_rows *rows, size_t i, lone_state state) {
    const char *check = pg_value(rows, i, CHECK);
    instant now = timers_now(t), due = now + number(rows, i, DUE) * 1000;
    if (strcmp(l->request, pg_value(rows, i, REQUEST)) != 0)
        return !l->known && now - number(rows, i, SAID) * 1000 + SKEW < l->said_at;
    l->known = true;
    if (l->help && l->state < LONE_RAISED) /* until the alarm is heard of */
        return true;
    if (strcmp(l->check, check) != 0)
        return state != LONE_ENDED && time_of(l->check) > time_of(check);
    if (state > l->state)
        return false;
    if (state == l->state && state < LONE_RAISED && !l->help && llabs(due - l->due_at) > INSTANT_SECOND) {
        l->due_at = due;
        l->kept = false;
    }
    return true;
}

static void merge(timers *t, const pg_rows *rows, size_t i, instant seen_at) {
    char key[2 * TOPIC_LEVEL_MAX + 16];
    lone_state state = state_of(pg_value(rows, i, STATE));
    (void)snprintf(key, sizeof key, "%s/%s", pg_value(rows, i, ORG), pg_value(rows, i, PERSON));
    lone *l = find(t, key);
    if (!l && state == LONE_ENDED)
        return;
    bool fresh = !l;
    l = l ? l : add(t, key);
    if (!l)
        return;
    if (fresh || !is_ours(t, l, rows, i, state)) {
        take(t, l, rows, i, state);
        l->known = true;
    }
    l->seen_at = seen_at;
    copy_text(l->lang, sizeof l->lang, text_of(pg_value(rows, i, LANG)));
}

static void add_org(void *context, text org, bool up, uint64_t generation) {
    (void)up;
    (void)generation;
    pg_array_add(context, org);
}

typedef struct listed {
    text org;
    bool is;
} listed;

static void is_listed(void *context, text org, bool up, uint64_t generation) {
    listed *l = context;
    (void)up;
    (void)generation;
    l->is |= text_equal(l->org, org);
}

/* Whom it named before and names no longer. */
static void drop_unseen(timers *t, instant seen_at) {
    lone *l, *next;
    HASH_ITER(hh, t->people, l, next) {
        listed in = {.org = lone_org(l)};
        if (!l->known || l->seen_at == seen_at || l->state == LONE_ENDED)
            continue;
        bus_each(t->s->bus, is_listed, &in);
        if (in.is)
            timers_move(t, l, LONE_ENDED, timers_now(t));
    }
}

/* What is over is kept for a while: the database may be behind. */
static void tidy(timers *t) {
    lone *l, *next;
    instant now = timers_now(t);
    HASH_ITER(hh, t->people, l, next)
    if (l->kept && (l->state == LONE_ENDED || (l->state == LONE_RAISED && !l->known)) &&
        now - l->due_at > OVER_FOR) {
        (void)!local_drop(t->s->local, SHELF, text_of(l->key));
        forget(t, l);
        t->crowded = false;
    }
}

pg_verdict timers_refresh(timers *t) {
    CLEANUP(buf_release) buf orgs = BUF(LIST_MAX);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    instant now = timers_now(t);
    pg_array_begin(&orgs);
    bus_each(t->s->bus, add_org, &orgs);
    pg_array_end(&orgs);
    if (buf_failed(&orgs) < 0)
        return PG_RETRY;
    if (t->orgs && strcmp(t->orgs, orgs.ptr) == 0 && t->connected_ms == t->s->connected_ms &&
        now - t->refreshed_at < REFRESH)
        return PG_DONE;
    const char *params[] = {orgs.ptr};
    pg_verdict verdict = pg_query(t->s->c, "SELECT * FROM mayday.timers_at_hand($1)", 1, params, &rows);
    if (verdict != PG_DONE)
        return verdict;
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        merge(t, rows, i, now);
    drop_unseen(t, now);
    tidy(t);
    free(t->orgs);
    t->orgs = buf_steal(&orgs);
    t->refreshed_at = now;
    t->connected_ms = t->s->connected_ms;
    service_gauge(t->s, "mayday_gateway_timers", (double)HASH_COUNT(t->people));
    return PG_DONE;
}

/* ---- on disk ---- */

static int put_text(json *to, const char *name, const char *value) {
    return value ? json_put(to, name, json_new_string(text_of(value))) : 0;
}

static int spell(const timers *t, const lone *l, buf *to) {
    CLEANUP(json_freep) json *o = json_new_object();
    instant offset = instant_now() - timers_now(t);
    if (!o || json_put(o, "v", json_new_integer(1)) < 0 || put_text(o, "request", l->request) < 0 ||
        put_text(o, "check", l->check) < 0 || put_text(o, "lang", l->lang) < 0 ||
        put_text(o, "why", l->why) < 0 || put_text(o, "ask", l->ask) < 0 ||
        put_text(o, "alarm", l->alarm) < 0 || json_put(o, "minutes", json_new_integer(l->minutes)) < 0 ||
        json_put(o, "state", json_new_integer((int64_t)l->state)) < 0 ||
        json_put(o, "repeat", json_new_bool(l->repeat)) < 0 ||
        json_put(o, "known", json_new_bool(l->known)) < 0 ||
        json_put(o, "help", json_new_bool(l->help)) < 0 ||
        json_put(o, "duress", json_new_bool(l->duress)) < 0 ||
        json_put(o, "unasked", json_new_bool(l->unasked)) < 0 ||
        json_put(o, "unjudged", json_new_bool(l->unjudged)) < 0 ||
        json_put(o, "handed", json_new_bool(l->handed)) < 0 ||
        json_put(o, "said", json_new_integer(l->said_at + offset)) < 0 ||
        json_put(o, "due", json_new_integer(l->due_at + offset)) < 0)
        return -ENOMEM;
    json_print(o, to);
    return buf_failed(to);
}

void timers_keep_one(timers *t, lone *l) {
    CLEANUP(buf_release) buf body = BUF(DOCUMENT);
    int fault = l->state == LONE_ENDED ? local_drop(t->s->local, SHELF, text_of(l->key)) : spell(t, l, &body);
    if (fault == 0 && l->state != LONE_ENDED)
        fault = local_put(t->s->local, SHELF, text_of(l->key), buf_text(&body));
    if (fault < 0 && !t->unkept)
        service_log(t->s, LOG_LEVEL_ERROR, "a timer can't be kept on disk: %s", strerror(-fault));
    t->unkept = fault < 0;
    l->kept = fault == 0;
}

void timers_keep(timers *t) {
    lone *l, *next;
    size_t count = 0;
    HASH_ITER(hh, t->people, l, next) {
        if (l->kept)
            continue;
        timers_keep_one(t, l);
        if (++count == KEEP_STEP || t->unkept)
            return;
    }
}

static char *read_text(const json *from, const char *name) {
    text t = json_get_string(from, name);
    return t.ptr ? text_copy(t) : NULL;
}

/* A wall clock that went back meanwhile makes no wait longer. While we were away they may have answered:
 * without the database nobody can tell us, so they are asked once more. */
static void recall(void *context, text name, text spelled) {
    timers *t = context;
    CLEANUP(json_freep) json *o = NULL;
    char key[2 * TOPIC_LEVEL_MAX + 16];
    copy_text(key, sizeof key, name);
    lone *l = json_parse_once(spelled, &o) == JSON_OK && !find(t, key) ? add(t, key) : NULL;
    if (!l)
        return;
    instant now = timers_now(t), offset = instant_now() - now;
    copy_text(l->request, sizeof l->request, json_get_string(o, "request"));
    copy_text(l->check, sizeof l->check, json_get_string(o, "check"));
    copy_text(l->lang, sizeof l->lang, json_get_string(o, "lang"));
    l->why = read_text(o, "why");
    l->ask = read_text(o, "ask");
    l->alarm = read_text(o, "alarm");
    l->minutes = json_integer(json_get(o, "minutes"));
    int64_t state = json_integer(json_get(o, "state"));
    l->state = state >= LONE_RUNNING && state <= LONE_ENDED ? (lone_state)state : LONE_ENDED;
    l->repeat = json_boolean(json_get(o, "repeat"));
    l->known = json_boolean(json_get(o, "known"));
    l->help = json_boolean(json_get(o, "help"));
    l->duress = json_boolean(json_get(o, "duress"));
    l->unasked = json_boolean(json_get(o, "unasked"));
    l->unjudged = json_boolean(json_get(o, "unjudged"));
    l->handed = json_boolean(json_get(o, "handed"));
    instant set = json_integer(json_get(o, "said")) - offset, due = json_integer(json_get(o, "due")) - offset;
    instant longest = now + (l->state == LONE_RUNNING ? l->minutes * 60 * INSTANT_SECOND
                                                      : t->s->settings->timer_answer_ms * 1000);
    l->said_at = set < now ? set : now;
    l->due_at = due < longest ? due : longest;
    l->again = l->state == LONE_ASKED && (l->unasked || (!l->help && !l->alarm));
    if (l->again && !l->unasked && l->due_at < now + LATE_WIND)
        l->due_at = now + LATE_WIND;
    l->kept = true;
}

void timers_recall(timers *t) {
    if (local_each(t->s->local, SHELF, recall, t) < 0)
        service_log(t->s, LOG_LEVEL_ERROR, "the gateway's own store can't be read");
}
