/* answers.c - see standby.h: somebody who was told without the database answers by text or by key.
 * The letter waits for the database as all do (services/mail.c); but the answer is said on MQTT at once, by
 * the same id, so that it counts when the broker's journal reaches the database, and stops us now. What isn't
 * plain is left to the database. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/notification.h"
#include "gateway/local/mail.h"
#include "gateway/standby/standby.h"

#define LETTERS    32
#define LOOK_EVERY (INSTANT_SECOND / 4)
#define PUBLISH_MS 2000

/* One letter, out of the store's lock. */
typedef struct answer {
    char key[MAIL_KEY_LEN + 1];
    buf body;
    instant received_at;
} answer;

typedef struct pile {
    answer all[LETTERS];
    size_t count;
    int64_t last;
} pile;

static void collect(void *context, const letter *one) {
    pile *p = context;
    if (p->count == LETTERS)
        return;
    answer *a = &p->all[p->count++];
    a->body = BUF(LOCAL_BODY_MAX);
    buf_add_text(&a->body, one->body);
    (void)snprintf(a->key, sizeof a->key, "%.*s", (int)one->key.len, one->key.ptr);
    a->received_at = one->received_at;
    p->last = one->number;
}

static bool was_tried(const notice *n) {
    return n->try_count > 0 && !n->family;
}

static bool by_text(const notice *n, const hook_event *e, const char *code) {
    return was_tried(n) && strcmp(n->kind, "sms") == 0 && n->address &&
           text_equal(text_of(n->address), e->from) && (!*code || strcmp(n->code, code) == 0);
}

static bool by_key(const notice *n, const hook_event *e) {
    bool is = text_equal(text_of(n->id), e->notification);
    for (size_t i = 0; !is && e->reference.len && i < n->try_count; i++)
        is = text_equal(text_of(n->tries[i].result.reference), e->reference);
    return is && was_tried(n) && strcmp(n->kind, "voice") == 0;
}

/* The one it can mean; NULL when there are several. */
static const notice *meant(const standby *st, const hook_event *e, const char *code) {
    const notice *found = NULL;
    for (const told *t = st->cases; t; t = t->next)
        for (size_t i = 0; i < t->count && *t->alert && !t->over; i++) {
            const notice *n = t->notices[i];
            if (!(e->kind == HOOK_TEXT ? by_text(n, e, code) : by_key(n, e)))
                continue;
            if (found && found->of != t)
                return NULL;
            found = n;
        }
    return found;
}

static int spell(const answer *a, const notice *n, mail_meaning m, buf *to) {
    char id[UUID_TEXT_LEN + 1], at[INSTANT_TEXT_LEN + 1];
    CLEANUP(json_freep) json *body = json_new_object();
    int fault = derived_id(text_of(a->key), a->received_at, id);
    instant_format(a->received_at, at);
    if (fault < 0)
        return fault;
    if (!body || json_put(body, "v", json_new_integer(1)) < 0 ||
        json_put(body, "id", json_new_string(text_of(id))) < 0 ||
        json_put(body, "ts", json_new_string(text_of(at))) < 0 ||
        json_put(body, "action", json_new_string(text_of(mail_meaning_name(m)))) < 0 ||
        json_put(body, "by", json_new_string(text_of(n->person))) < 0)
        return -ENOMEM;
    json_print(body, to);
    return buf_failed(to);
}

static void say(standby *st, const answer *a, const notice *n, mail_meaning m) {
    CLEANUP(buf_release) buf topic = BUF(4096), payload = BUF(64 << 10);
    buf_printf(&topic, "mayday/v1/%s/alert/%s/action", n->of->org, n->of->alert);
    if (spell(a, n, m, &payload) < 0 || buf_failed(&topic) < 0)
        return;
    bus_message one = {.org = text_of(n->of->org), .topic = buf_text(&topic), .payload = buf_text(&payload)};
    if (bus_publish(st->s->bus, &one, 1, PUBLISH_MS) == 1)
        service_count(st->s, "mayday_gateway_standby_answers_total", 1);
    else
        service_log(st->s, LOG_LEVEL_WARNING, "an answer by phone waits for the broker or the database");
}

static void weigh(standby *st, const answer *a) {
    hook_event e;
    CLEANUP(json_freep) json *body = NULL;
    char code[MAIL_CODE_LEN + 1] = "";
    if (mail_read(buf_text(&a->body), &body, &e) < 0 || (e.kind != HOOK_TEXT && e.kind != HOOK_KEY))
        return;
    mail_meaning m =
        e.kind == HOOK_TEXT ? mail_understand(st->words, e.said, code) : mail_key_pressed(e.said);
    const notice *n = m == MEANING_ACKNOWLEDGE || m == MEANING_ESCALATE ? meant(st, &e, code) : NULL;
    if (n)
        say(st, a, n, m);
}

void standby_answers(standby *st) {
    instant now = standby_now(st);
    if (now < st->answers_at + LOOK_EVERY)
        return;
    st->answers_at = now;
    CLEANUP(freep) pile *p = calloc(1, sizeof *p);
    if (!p || local_read_answers(st->s->local, st->answers_seen, LETTERS, collect, p) < 0)
        return;
    for (size_t i = 0; i < p->count; i++) {
        weigh(st, &p->all[i]);
        buf_release(&p->all[i].body);
    }
    if (p->count)
        st->answers_seen = p->last;
}
