/* ask.c - see fences.h: "Are you OK?" because of what somebody did in a zone.
 *
 * With the database its watch over checks (sql/0011) makes silence, or help, an alarm, by the service keeper
 * of any gateway; here is only kept in mind what is open. Without it we raise, under the ids that the
 * database makes from the check, too: whoever says it, and however often, it is one message. So do we when
 * the database does not know the question a while after it was due: a writer stands still. Questions are on
 * the shelf with those inside, so that a gateway that is killed without the database goes on. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/notification.h"
#include "gateway/duress.h"
#include "gateway/fences/fences.h"
#include "gateway/pg_array.h"
#include "gateway/phrases.h"

#define QUESTIONS_MAX  10000
#define WRITER_MS      10000 /* so late a writer may be */
#define LOOK_MS        1000
#define SECOND_WIND_MS 20000 /* an answer may have come while we were not there */
#define STALE_MS       INT64_C(86400000)
#define NOBODY_MS      INT64_MAX
#define WORDS_LIMIT    8192
#define PAYLOAD_LIMIT  16384
#define TOPIC_LIMIT    1024
#define LIST_LIMIT     (1u << 20)

/* ---- what is open ---- */

static fence_question *question_free(fence_question *q) {
    if (!q)
        return NULL;
    free(q->person);
    free(q->lang);
    free(q->text);
    free(q);
    return NULL;
}

static void drop(fence_org *o, fence_question *q) {
    for (fence_question **at = &o->questions; *at; at = &(*at)->next)
        if (*at == q) {
            *at = q->next;
            o->question_count--;
            o->stirred = true;
            break;
        }
    (void)question_free(q);
}

void fence_questions_forget(fence_org *o) {
    while (o->questions)
        drop(o, o->questions);
}

static fence_question *find(const fence_org *o, text check) {
    fence_question *q = o->questions;
    while (q && !text_equal(text_of(q->check), check))
        q = q->next;
    return q;
}

/* As settle_checks in sql/0011 does. */
static int make_id(const char *org, text check, const char *what, char ret_id[UUID_TEXT_LEN + 1]) {
    CLEANUP(buf_release) buf content = BUF(WORDS_LIMIT);
    uuid id;
    if (uuid_parse(check, &id) < 0)
        return -EINVAL;
    buf_printf(&content, "zone/%s/%.*s/%s", org, (int)check.len, check.ptr, what);
    return buf_failed(&content) < 0 ? buf_failed(&content)
                                    : derived_id(buf_text(&content), uuid7_unix_ms(&id) * 1000, ret_id);
}

static int copy(char **to, text t) {
    *to = t.ptr ? text_copy(t) : NULL;
    return t.ptr && !*to ? -ENOMEM : 0;
}

/* NULL: it is open already, there is no room or no memory, or it is no check. */
static fence_question *open_one(fence_org *o, text check, text person, text lang, text words) {
    if (!uuid_is_v7_text(check) || o->question_count >= QUESTIONS_MAX || find(o, check))
        return NULL;
    fence_question *q = calloc(1, sizeof *q);
    if (!q || copy(&q->person, person) < 0 || copy(&q->lang, lang) < 0 || copy(&q->text, words) < 0 ||
        !q->person || make_id(o->name, check, "alert", q->alert) < 0 ||
        make_id(o->name, check, "raise", q->raise) < 0)
        return question_free(q);
    (void)snprintf(q->check, sizeof q->check, "%.*s", (int)check.len, check.ptr);
    q->due_ms = NOBODY_MS;
    q->next = o->questions;
    o->questions = q;
    o->question_count++;
    o->stirred = true;
    return q;
}

void fence_question_begin(service_context *s, fence_org *o, const fence_person *p, text check) {
    CLEANUP(json_freep) json *body = NULL;
    if (json_parse_once(check, &body) != JSON_OK)
        return;
    text id = json_get_string(body, "id");
    fence_question *q =
        open_one(o, id, text_of(p->id), json_get_string(body, "lang"), json_get_string(body, "text"));
    if (q)
        q->within_ms = json_integer(json_get(body, "respond_within")) * 1000;
    else if (!find(o, id))
        service_log(s, LOG_LEVEL_ERROR, "%s: a question can't be kept in mind: the database alone watches it",
                    o->name);
}

void fence_question_asked(fence_org *o, const char *check) {
    fence_question *q = find(o, text_of(check));
    if (q && q->due_ms == NOBODY_MS)
        q->due_ms = fences_clock_ms() + q->within_ms;
    o->stirred = o->stirred || q;
}

void fence_question_answered(service_context *s, fence_org *o, text person, text reply) {
    CLEANUP(json_freep) json *body = NULL;
    fence_question *q = o->questions && json_parse_once(reply, &body) == JSON_OK
                            ? find(o, json_get_string(body, "check"))
                            : NULL;
    if (!q || !text_equal(text_of(q->person), person))
        return;
    bool duress = duress_known(s->local, text_of(o->name), person, json_get_string(body, "text"));
    if (duress || text_equal(json_get_string(body, "answer"), TEXT("help"))) { /* nothing takes it back */
        q->help = true;
        q->duress |= duress;
        q->due_ms = fences_clock_ms();
        o->stirred = true;
    } else if (json_boolean(json_get(body, "pinned"))) { /* till the database has judged it the time runs */
        q->unjudged = true;
        o->stirred = true;
    } else if (!q->help) {
        drop(o, q);
    }
}

void fence_question_raised(fence_org *o, text alert) {
    for (fence_question *q = o->questions; q; q = q->next)
        if (text_equal(text_of(q->alert), alert)) {
            drop(o, q);
            return;
        }
}

/* ---- the alarm ---- */

static int put_text(json *to, const char *name, const char *value) {
    return json_put(to, name, json_new_string(text_of(value)));
}

static int put_place(json *to, const fence_person *p) {
    fix at;
    if (!fence_walker_last(p->walker, &at))
        return 0;
    json *place = json_new_object();
    int fault = place ? json_put(place, "lat", json_new_number(at.lat)) : -ENOMEM;
    if (fault == 0)
        fault = json_put(place, "lon", json_new_number(at.lon));
    if (fault == 0 && at.accuracy >= 0 && at.accuracy <= 1000000)
        fault = json_put(place, "accuracy", json_new_number(at.accuracy));
    if (fault == 0)
        return json_put(to, "location", place);
    (void)json_free(place);
    return fault;
}

/* As the keeper does. */
static void put_words(const fence_question *q, buf *to) {
    const phrases *say = phrases_of(q->lang ? q->lang : "");
    buf_printf(to, "%s: %s Mayday", q->person,
               q->help       ? say->help
               : q->unjudged ? say->unjudged
                             : say->silence);
    if (q->text)
        buf_printf(to, "\n%s: %s", say->question, q->text);
}

static int spell_raise(const fence_question *q, const fence_person *p, json *to) {
    CLEANUP(buf_release) buf words = BUF(WORDS_LIMIT);
    char now[INSTANT_TEXT_LEN + 1];
    instant_format(instant_now(), now);
    put_words(q, &words);
    int fault = buf_failed(&words);
    if (fault == 0)
        fault = json_put(to, "v", json_new_integer(1));
    if (fault == 0)
        fault = put_text(to, "id", q->raise);
    if (fault == 0)
        fault = put_text(to, "ts", now);
    if (fault == 0)
        fault = put_text(to, "type", q->help ? "panic" : "general");
    if (fault == 0)
        fault = put_text(to, "priority", q->help ? "critical" : "high");
    if (fault == 0)
        fault = put_text(to, "person", q->person);
    if (fault == 0)
        fault = put_text(to, "text", words.ptr);
    if (fault == 0)
        fault = put_text(to, "lang", phrases_of(q->lang ? q->lang : "")->lang);
    if (fault == 0 && (q->duress || q->unjudged))
        fault = json_put(to, "silent", json_new_bool(true));
    return fault < 0 ? fault : put_place(to, p);
}

static int raise_for(fence_org *o, const fence_question *q) {
    fence_message m = {.topic = BUF(TOPIC_LIMIT), .payload = BUF(PAYLOAD_LIMIT)};
    CLEANUP(json_freep) json *body = json_new_object();
    fence_person *p = fence_org_person(o, text_of(q->person));
    int fault = body && p ? spell_raise(q, p, body) : -ENOMEM;
    buf_printf(&m.topic, "mayday/v1/%s/alert/%s/raise", o->name, q->alert);
    if (fault == 0) {
        json_print(body, &m.payload);
        fault = buf_failed(&m.topic) < 0 ? buf_failed(&m.topic) : buf_failed(&m.payload);
    }
    if (fault == 0)
        fault = fence_org_queue(o, p, &m, true, NULL);
    fence_message_release(&m);
    return fault;
}

static bool is_overdue(const fence_question *q, int64_t by_ms) {
    return q->due_ms != NOBODY_MS && fences_clock_ms() - q->due_ms >= by_ms;
}

/* Those that nobody else makes alarms of: all that are so long overdue. */
static void raise_overdue(service_context *s, fence_org *o, int64_t by_ms) {
    for (fence_question *q = o->questions; q; q = q->next) {
        if (q->raised || !is_overdue(q, by_ms))
            continue;
        int fault = raise_for(o, q);
        if (fault < 0) {
            service_log(s, LOG_LEVEL_ERROR, "%s: an alarm can't be made: %s; trying again", o->name,
                        strerror(-fault));
            return;
        }
        service_count(s, "mayday_gateway_zone_silences_total", 1);
        q->raised = true; /* open till it is heard: a gateway that is killed before makes it again */
    }
}

void fence_questions_raise(service_context *s, fence_org *o) {
    raise_overdue(s, o, 0);
}

/* ---- with the database ---- */

static int64_t number(const pg_rows *rows, size_t row, size_t column) {
    int64_t value = 0;
    return text_to_i64(text_of(pg_value(rows, row, column)), INT64_MIN, INT64_MAX, &value) == 0 ? value : 0;
}

/* False: there is none to look at, or no memory. */
static bool name_overdue(fence_org *o, buf *to) {
    int64_t now = fences_clock_ms();
    size_t count = 0;
    pg_array_begin(to);
    for (fence_question *q = o->questions; q; q = q->next)
        if (is_overdue(q, 0) && now - q->looked_ms >= LOOK_MS) {
            q->looked_ms = now;
            pg_array_add(to, text_of(q->check));
            count++;
        }
    pg_array_end(to);
    return count > 0 && buf_failed(to) == 0;
}

pg_verdict fence_questions_look(service_context *s, fence_org *o) {
    CLEANUP(buf_release) buf checks = BUF(LIST_LIMIT);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (!o->questions || !name_overdue(o, &checks))
        return PG_DONE;
    const char *with[] = {o->name, checks.ptr};
    pg_verdict verdict =
        pg_query(s->c, "SELECT * FROM mayday.zone_answers($1, $2)", ARRAY_LEN(with), with, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++) {
        fence_question *q = find(o, text_of(pg_value(rows, i, 0)));
        if (q && strcmp(pg_value(rows, i, 1), "t") == 0)
            drop(o, q);
        else if (q) /* its time ran from when it was stored, and its watch has it */
            q->due_ms = fences_clock_ms() + (number(rows, i, 2) > 0 ? number(rows, i, 2) : 0);
    }
    if (verdict == PG_DONE)
        raise_overdue(s, o, WRITER_MS);
    return verdict;
}

pg_verdict fence_questions_restore(service_context *s, fence_org *o) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *with[] = {o->name};
    pg_verdict verdict =
        pg_query(s->c, "SELECT * FROM mayday.zone_questions($1)", ARRAY_LEN(with), with, &rows);
    for (size_t i = 0; verdict == PG_DONE && i < pg_rows_count(rows); i++) {
        text lang = pg_is_null(rows, i, 2) ? (text){0} : text_of(pg_value(rows, i, 2));
        text words = pg_is_null(rows, i, 3) ? (text){0} : text_of(pg_value(rows, i, 3));
        fence_question *q =
            open_one(o, text_of(pg_value(rows, i, 0)), text_of(pg_value(rows, i, 1)), lang, words);
        if (q)
            q->due_ms = fences_clock_ms() + number(rows, i, 4);
    }
    return verdict;
}

/* ---- on the shelf ---- */

static int spell_one(const fence_question *q, json *list) {
    CLEANUP(json_freep) json *one = json_new_object();
    int64_t now_ms = instant_now() / 1000,
            left = q->due_ms == NOBODY_MS ? q->within_ms : q->due_ms - fences_clock_ms();
    int fault = one ? put_text(one, "check", q->check) : -ENOMEM;
    if (fault == 0)
        fault = put_text(one, "person", q->person);
    if (fault == 0 && q->lang)
        fault = put_text(one, "lang", q->lang);
    if (fault == 0 && q->text)
        fault = put_text(one, "text", q->text);
    if (fault == 0)
        fault = json_put(one, "help", json_new_bool(q->help));
    if (fault == 0)
        fault = json_put(one, "duress", json_new_bool(q->duress));
    if (fault == 0)
        fault = json_put(one, "unjudged", json_new_bool(q->unjudged));
    if (fault == 0)
        fault = json_put(one, "due", json_new_integer(now_ms + left));
    return fault < 0 ? fault : json_append(list, json_share(one));
}

int fence_questions_spell(const fence_org *o, json *list) {
    int fault = 0;
    for (const fence_question *q = o->questions; q && fault == 0; q = q->next)
        fault = spell_one(q, list);
    return fault;
}

void fence_questions_recall(service_context *s, fence_org *o, const json *list) {
    int64_t now_ms = instant_now() / 1000;
    for (size_t i = 0; i < json_length(list); i++) {
        const json *one = json_at(list, i), *due = json_get(one, "due");
        int64_t left = json_kind_of(due) == JSON_INTEGER ? json_integer(due) - now_ms : 0;
        if (left < -STALE_MS)
            continue;
        fence_question *q = open_one(o, json_get_string(one, "check"), json_get_string(one, "person"),
                                     json_get_string(one, "lang"), json_get_string(one, "text"));
        if (!q)
            continue;
        q->help = json_boolean(json_get(one, "help"));
        q->duress = json_boolean(json_get(one, "duress"));
        q->unjudged = json_boolean(json_get(one, "unjudged"));
        if (!q->help && left < SECOND_WIND_MS)
            left = SECOND_WIND_MS;
        q->due_ms = fences_clock_ms() + (q->help ? 0 : left < STALE_MS ? left : STALE_MS);
    }
    if (o->questions)
        service_log(s, LOG_LEVEL_NOTICE, "%s: %zu questions of zones may still be open", o->name,
                    o->question_count);
}
