/* send.c - see standby.h: sends what is due by the providers, as the sender does with the database.
 *
 * What is about to leave is in the ledger before it leaves, and what came of it as soon as it is known: a
 * gateway that is killed in between looks into the provider's list when it is back. A ledger that can't be
 * written (the disk is full) stops nothing: two texts are better than none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/phone.h"
#include "gateway/sending/speech.h"
#include "gateway/standby/standby.h"

#define LEDGER       TEXT("ledger")
#define STILL_AT_IT  (2 * INSTANT_SECOND) /* a provider that did not answer may still be at it for so long */
#define DOUBT_MOST   (3 * INSTANT_SECOND)
#define LOOK_AGAIN   (INSTANT_SECOND / 2)
#define POSTS_MAX    64
#define POST_MS      2000
#define REFUSED_AT   0x80
#define VALIDITY_MIN 60000

/* One request under way. */
typedef struct shot {
    struct shot *previous, *next;
    standby *st;
    notice *n;
    size_t which; /* of its tries */
    bool search;
    carrier *by;
    provider_request request;
} shot;

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

instant standby_now(const standby *st) {
    return st->base + (clock_ms() - st->base_ms) * 1000;
}

const at_hand *standby_hand(const standby *st, text org) {
    for (const at_hand *h = st->hands; h; h = h->next)
        if (text_equal(text_of(h->org), org))
            return h;
    return NULL;
}

void standby_keep(standby *st) {
    for (told *t = st->cases; t; t = t->next) {
        CLEANUP(buf_release) buf name = BUF(1024), body = BUF(LOCAL_DOCUMENT_MAX);
        if (!t->dirty || t->told_at == 0)
            continue;
        told_name(t, &name);
        told_spell(t, &body);
        int fault = buf_failed(&name) < 0 ? buf_failed(&name) : buf_failed(&body);
        if (fault == 0)
            fault = local_put(st->s->local, LEDGER, buf_text(&name), buf_text(&body));
        if (fault < 0)
            service_log(st->s, LOG_LEVEL_ERROR, "what is sent without the database can't be noted: %s",
                        strerror(-fault));
        t->dirty = fault < 0;
    }
}

/* ---- what becomes of a notice ---- */

static void set_why(notice *n, const char *why) {
    (void)snprintf(n->why, sizeof n->why, "%s", why ? why : "");
    n->of->dirty = true;
}

void standby_withdraw(told *t, text person) {
    for (size_t i = 0; i < t->count; i++) {
        notice *n = t->notices[i];
        if (n->status == NOTICE_WAITING && !n->family &&
            (!person.ptr || text_equal(text_of(n->person), person))) {
            n->status = NOTICE_WITHDRAWN;
            t->dirty = true;
        }
    }
}

static void fail(standby *st, notice *n, const char *why) {
    n->status = NOTICE_FAILED;
    set_why(n, why);
    notice_next(n, standby_now(st));
}

static void again(standby *st, notice *n, int64_t ms, const char *why) {
    n->status = n->of->answered || n->of->over ? NOTICE_WITHDRAWN : NOTICE_WAITING;
    n->due_at = standby_now(st) + ms * 1000;
    set_why(n, why);
}

static void sent(standby *st, notice *n) {
    n->status = NOTICE_SENT;
    n->sent_at = standby_now(st);
    set_why(n, NULL);
    service_count(st->s, "mayday_gateway_standby_sent_total", 1);
}

static bool refuses(const notice_try *x) {
    return x->result.outcome == PROVIDER_REFUSED &&
           (x->result.blame == BLAME_MESSAGE || x->result.blame == BLAME_NOBODY);
}

static size_t tries_of(const notice *n, carrier_try tries[NOTICE_TRIES_MAX]) {
    for (size_t i = 0; i < n->try_count; i++)
        tries[i] = (carrier_try){.row = n->tries[i].row, .refused = refuses(&n->tries[i])};
    return n->try_count;
}

static void pause_then_again(standby *st, notice *n, const notice_try *last) {
    carrier_try tries[NOTICE_TRIES_MAX];
    size_t count = tries_of(n, tries);
    again(st, n, carriers_pause(&st->carriers, n->kind, tries, count, &last->result, (uint64_t)random()),
          "provider");
}

static void refused(standby *st, notice *n, const notice_try *last) {
    carrier_try tries[NOTICE_TRIES_MAX];
    size_t count = tries_of(n, tries);
    switch (last->result.blame) {
    case BLAME_PROVIDER:
        pause_then_again(st, n, last);
        return;
    case BLAME_NUMBER:
        fail(st, n, "bad_number");
        return;
    case BLAME_NO_TEXT:
        fail(st, n, "no_text");
        return;
    case BLAME_OPTED_OUT:
        fail(st, n, "opted_out");
        return;
    case BLAME_NOBODY:
    case BLAME_MESSAGE:
        break;
    }
    if (carriers_any_left(&st->carriers, n->kind, tries, count))
        again(st, n, 0, "refused");
    else
        fail(st, n, "refused");
}

static void settle(standby *st, notice *n, notice_try *x) {
    switch (x->result.outcome) {
    case PROVIDER_SENT:
        sent(st, n);
        return;
    case PROVIDER_RETRY:
        pause_then_again(st, n, x);
        return;
    case PROVIDER_REFUSED:
        refused(st, n, x);
        return;
    case PROVIDER_UNKNOWN:
        break;
    }
    n->status = NOTICE_DOUBT;
    n->due_at = x->ended_at;
    set_why(n, "doubt");
}

/* What the provider's list says of one in doubt. */
static void settle_doubt(standby *st, notice *n, notice_try *x, const provider_result *found) {
    instant now = standby_now(st);
    if (found->outcome == PROVIDER_SENT) {
        x->result.outcome = PROVIDER_SENT;
        memcpy(x->result.reference, found->reference, sizeof x->result.reference);
        sent(st, n);
    } else if (found->outcome == PROVIDER_RETRY && now >= x->ended_at + STILL_AT_IT) {
        x->result.outcome = PROVIDER_RETRY;
        (void)snprintf(x->result.code, sizeof x->result.code, "not in its list");
        again(st, n, 0, "not_sent");
    } else if (found->outcome != PROVIDER_RETRY && now >= x->ended_at + DOUBT_MOST) {
        again(st, n, 0, "doubt");
    } else {
        n->due_at = now + LOOK_AGAIN;
    }
}

/* ---- requests ---- */

static void shot_free(shot *x) {
    if (x->previous)
        x->previous->next = x->next;
    else
        x->st->shots = x->next;
    if (x->next)
        x->next->previous = x->previous;
    provider_request_release(&x->request);
    free(x);
}

void standby_give_up(standby *st) {
    st->client = client_free(st->client);
    while (st->shots)
        shot_free(st->shots);
}

static shot *shot_new(standby *st, notice *n) {
    shot *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    *x = (shot){.st = st, .n = n, .next = st->shots};
    if (x->next)
        x->next->previous = x;
    st->shots = x;
    provider_request_init(&x->request);
    return x;
}

static provider_message message_of(const standby *st, const notice *n, const notice_try *x, text to,
                                   text menu) {
    text lang = text_of(n->lang ? n->lang : st->s->settings->notify_lang);
    return (provider_message){.id = text_of(n->id),
                              .attempt = text_of(x->id),
                              .to = to,
                              .body = text_of(n->body ? n->body : ""),
                              .lang = lang,
                              .menu = menu,
                              .validity_ms = VALIDITY_MIN > st->s->settings->notify_validity_ms
                                                 ? VALIDITY_MIN
                                                 : st->s->settings->notify_validity_ms,
                              .now = instant_now()};
}

static text address_of(const standby *st, const notice *n) {
    const at_hand *h = standby_hand(st, text_of(n->of->org));
    if (strcmp(n->kind, "webhook") == 0)
        return h ? at_hand_webhook(h, text_of(n->address)) : (text){0};
    return text_of(n->address ? n->address : "");
}

static void over(shot *x, const provider_reply *reply) {
    standby *st = x->st;
    notice *n = x->n;
    notice_try *one = &n->tries[x->which];
    n->under_way = false;
    if (x->search) {
        provider_result found = {0};
        text none = {0};
        provider_message m = message_of(st, n, one, address_of(st, n), none);
        provider_found(one->row, reply, &m, one->begun_at, &found);
        settle_doubt(st, n, one, &found);
    } else {
        provider_read(one->row, reply, &one->result);
        one->ended_at = standby_now(st);
        one->http = reply->status;
        carriers_ended(&st->carriers, x->by, told_rank(n->of), one->trying, &one->result, clock_ms());
        settle(st, n, one);
    }
    shot_free(x);
}

static void done(void *context, const provider_reply *reply) {
    over(context, reply);
}

static void launch(standby *st) {
    for (shot *x = st->shots, *next; x; x = next) {
        next = x->next;
        if (x->n->under_way)
            continue;
        x->n->under_way = true;
        int fault = client_start(st->client, &x->request, done, x);
        if (fault < 0) {
            provider_reply none = {.why = "not started"};
            over(x, &none);
        }
    }
}

/* ---- what it says ---- */

static int put(json *to, const char *name, text value) {
    return value.len ? json_put(to, name, json_new_string(value)) : 0;
}

static int put_shared(json *to, const char *name, const json *value) {
    return value ? json_put(to, name, json_share(value)) : 0;
}

/* Why there is trouble, in words. */
static void reason(const standby *st, const notice *n, buf *to) {
    static const text nothing[FACTS];
    text lang = text_of(n->lang ? n->lang : ""), fallback = text_of(st->s->settings->notify_lang);
    text name = text_equal(text_of(n->of->raiser), TEXT("database")) ? TEXT("reason.database")
                                                                     : TEXT("reason.broker");
    if (texts_render(st->s->texts, lang, fallback, name, nothing, to, NULL) < 0)
        buf_clear(to);
}

static json *facts_of(const standby *st, const notice *n) {
    static const char *const priorities[] = {"low", "low", "medium", "high", "critical"};
    const told *t = n->of;
    const json *place = json_get(t->raise, "location");
    const at_hand *h = standby_hand(st, text_of(t->org));
    CLEANUP(buf_release) buf why = BUF(4096);
    char raised_at[INSTANT_TEXT_LEN + 1];
    json *f = json_new_object();
    text who = text_of(t->raise ? t->raiser : ""), said_at = json_get_string(t->raise, "ts");
    int64_t age = (standby_now(st) - t->heard_at) / INSTANT_SECOND;
    instant_format(t->heard_at, raised_at);
    if (!t->raise)
        reason(st, n, &why);
    if (!f || put(f, "org", text_of(t->org)) < 0 || put(f, "purpose", text_of(t->purpose)) < 0 ||
        put(f, "code", text_of(n->code)) < 0 || put(f, "reason", buf_text(&why)) < 0)
        return json_free(f);
    if (t->raise &&
        (json_put(f, "level", json_new_integer(1)) < 0 || put(f, "alert", text_of(t->alert)) < 0 ||
         put(f, "type", json_get_string(t->raise, "type")) < 0 ||
         put(f, "priority", text_of(priorities[told_rank(t)])) < 0 || put(f, "status", TEXT("active")) < 0 ||
         put_shared(f, "silent", json_get(t->raise, "silent")) < 0 || put(f, "raised_by", who) < 0 ||
         put(f, "who", h && who.len ? at_hand_name(h, who) : who) < 0 ||
         put(f, "text", json_get_string(t->raise, "text")) < 0 ||
         put_shared(f, "lat", json_get(place, "lat")) < 0 ||
         put_shared(f, "lon", json_get(place, "lon")) < 0 ||
         put(f, "raised_at", said_at.len ? said_at : text_of(raised_at)) < 0 ||
         json_put(f, "age_s", json_new_integer(age > 0 ? age : 0)) < 0))
        return json_free(f);
    return f;
}

static int compose(const standby *st, notice *n, buf *menu) {
    const settings *s = st->s->settings;
    CLEANUP(json_freep) json *facts = facts_of(st, n);
    CLEANUP(buf_release) buf body = BUF(PROVIDER_REQUEST_MAX);
    speech how = {.texts = st->s->texts, .fallback = s->notify_lang, .map_url = s->notify_map_url};
    speech_about about = {.kind = n->kind,
                          .purpose = n->of->purpose,
                          .family = n->family,
                          .lang = text_of(n->lang ? n->lang : ""),
                          .facts = facts};
    text lang = about.lang.len ? about.lang : text_of(s->notify_lang);
    int fault = facts ? 0 : -ENOMEM;
    if (fault == 0 && !n->body) {
        fault = strcmp(n->kind, "webhook") == 0 ? speech_webhook(&about, text_of(n->id), instant_now(), &body)
                                                : speech_say(&how, &about, &body, &lang);
        n->body = fault == 0 ? text_copy(buf_text(&body)) : NULL;
    }
    if (fault == 0 && strcmp(n->kind, "voice") == 0)
        fault = speech_menu(&how, lang, menu);
    return fault < 0 ? fault : n->body ? 0 : -ENOMEM;
}

/* ---- starting ---- */

static const char *fault_of(const standby *st, const notice *n, text to) {
    if (standby_now(st) > n->made_at + st->s->settings->notify_validity_ms * 1000)
        return "expired";
    if (strcmp(n->kind, "webhook") == 0)
        return to.len ? NULL : "no_webhook";
    switch (phone_judge(to, text_of(st->s->settings->notify_emergency))) {
    case PHONE_MALFORMED:
        return "bad_number";
    case PHONE_EMERGENCY:
        return "emergency_number";
    case PHONE_GOOD:
        return NULL;
    }
    return "bad_number";
}

static bool begin_try(standby *st, notice *n, carrier *by) {
    uint8_t noise[10];
    notice_try *x = &n->tries[n->try_count];
    if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise)
        return false;
    uuid fresh = uuid7_make(instant_now() / 1000, noise);
    *x = (notice_try){.row = by->row, .begun_at = standby_now(st)};
    uuid_format(&fresh, x->id);
    return true;
}

/* What a call says is kept for whoever asks to hear it again. */
static void keep_spoken(const standby *st, const notice *n) {
    CLEANUP(buf_release) buf kept = BUF(PROVIDER_REQUEST_MAX);
    CLEANUP(json_freep) json *body = json_new_object();
    text lang = text_of(n->lang ? n->lang : st->s->settings->notify_lang);
    if (!body || put(body, "text", text_of(n->body)) < 0 || put(body, "lang", lang) < 0)
        return;
    json_print(body, &kept);
    if (buf_failed(&kept) < 0 || local_put_spoken(st->s->local, text_of(n->id), buf_text(&kept)) < 0)
        service_log(st->s, LOG_LEVEL_WARNING, "what a call says can't be kept: it can't be heard again");
}

/* A request for the next provider in order who builds one. False: not now, or never; the notice says which.
 */
static bool choose(standby *st, notice *n, text to, text menu, shot *x) {
    carrier_try tries[TRIES_MAX];
    size_t count = tries_of(n, tries);
    while (count < TRIES_MAX && n->try_count < NOTICE_TRIES_MAX) {
        carrier *by = NULL;
        carrier_choice choice =
            carriers_choose(&st->carriers, n->kind, told_rank(n->of), tries, count, st->turn_ms, &by);
        if (choice == CHOICE_BUSY)
            return false;
        if (choice != CHOICE_GOOD || !begin_try(st, n, by)) {
            fail(st, n, choice == CHOICE_NONE ? "no_provider" : "refused");
            return false;
        }
        provider_message m = message_of(st, n, &n->tries[n->try_count], to, menu);
        provider_request_release(&x->request);
        provider_request_init(&x->request);
        int fault = provider_build(by->row, st->s->accounts, &m, &x->request);
        if (fault == 0) {
            x->by = by;
            return true;
        }
        if (fault == -ENOMEM)
            return false;
        tries[count++] = (carrier_try){.row = by->row, .refused = true};
    }
    fail(st, n, "refused");
    return false;
}

static void shoot(standby *st, notice *n) {
    CLEANUP(buf_release) buf menu = BUF(PROVIDER_REQUEST_MAX);
    text to = address_of(st, n);
    const char *fault = fault_of(st, n, to);
    if (fault) {
        fail(st, n, fault);
        return;
    }
    if (carriers_room(&st->carriers, n->kind, false, 1, st->turn_ms) == 0)
        return;
    shot *x = compose(st, n, &menu) == 0 ? shot_new(st, n) : NULL;
    if (!x || !choose(st, n, to, buf_text(&menu), x)) {
        if (x)
            shot_free(x);
        return;
    }
    if (strcmp(n->kind, "voice") == 0)
        keep_spoken(st, n);
    x->which = n->try_count++;
    carriers_started(&st->carriers, x->by, told_rank(n->of), st->turn_ms, &n->tries[x->which].trying);
    n->status = NOTICE_SENDING;
    n->of->dirty = true;
}

static void look_up(standby *st, notice *n) {
    notice_try *last = n->try_count ? &n->tries[n->try_count - 1] : NULL;
    text none = {0}, to = address_of(st, n);
    if (last && !last->ended_at) { /* we were killed while it was under way */
        last->ended_at = standby_now(st);
        last->result = (provider_result){.outcome = PROVIDER_UNKNOWN, .code = "gateway gone"};
        n->of->dirty = true;
    }
    shot *x = last && last->row->search && to.len ? shot_new(st, n) : NULL;
    if (x) {
        provider_message m = message_of(st, n, last, to, none);
        x->search = true;
        x->which = n->try_count - 1;
        if (provider_search(last->row, st->s->accounts, &m, last->begun_at, &x->request) == 0)
            return;
        shot_free(x);
    }
    again(st, n, 0, "doubt");
}

/* ---- over MQTT ---- */

typedef struct posts {
    notice *notices[POSTS_MAX];
    bus_message messages[POSTS_MAX];
    buf topics[POSTS_MAX], bodies[POSTS_MAX];
    size_t count;
} posts;

static int spell_inbox(const notice *n, buf *to) {
    char now[INSTANT_TEXT_LEN + 1];
    CLEANUP(json_freep) json *body = json_new_object();
    instant_format(instant_now(), now);
    if (!body || json_put(body, "v", json_new_integer(1)) < 0 || put(body, "id", text_of(n->id)) < 0 ||
        put(body, "ts", text_of(now)) < 0 || put(body, "kind", TEXT("notification")) < 0 ||
        put(body, "text", text_of(n->body)) < 0 || put(body, "lang", text_of(n->lang ? n->lang : "")) < 0 ||
        put(body, "alert", text_of(n->of->alert)) < 0)
        return -ENOMEM;
    json_print(body, to);
    return buf_failed(to);
}

static void add_post(standby *st, posts *p, notice *n) {
    CLEANUP(buf_release) buf menu = BUF(1024);
    if (p->count == POSTS_MAX || compose(st, n, &menu) < 0)
        return;
    buf *topic = &p->topics[p->count], *body = &p->bodies[p->count];
    *topic = BUF(4096);
    *body = BUF(64 << 10);
    buf_printf(topic, "mayday/v1/%s/user/%s/inbox", n->of->org, n->person);
    if (spell_inbox(n, body) < 0 || buf_failed(topic) < 0) {
        buf_release(topic);
        buf_release(body);
        return;
    }
    p->messages[p->count] =
        (bus_message){.org = text_of(n->of->org), .topic = buf_text(topic), .payload = buf_text(body)};
    p->notices[p->count++] = n;
}

/* Whoever is not there is reached another way, too: as far as we knew when we could ask. */
static void post(standby *st, posts *p) {
    if (p->count)
        (void)bus_publish(st->s->bus, p->messages, p->count, POST_MS);
    for (size_t i = 0; i < p->count; i++) {
        notice *n = p->notices[i];
        bool taken = p->messages[i].acked && p->messages[i].reason < REFUSED_AT;
        if (taken) {
            sent(st, n);
            set_why(n, n->connected ? NULL : "not_connected");
        } else if (standby_now(st) > n->made_at + st->s->settings->notify_validity_ms * 1000) {
            fail(st, n, "expired");
        } else {
            again(st, n, 5000, "no_broker");
        }
        if (!taken || !n->connected)
            notice_next(n, standby_now(st));
        buf_release(&p->topics[i]);
        buf_release(&p->bodies[i]);
    }
}

/* ---- */

static void start(standby *st, notice *n, posts *p) {
    if (n->status == NOTICE_DOUBT)
        look_up(st, n);
    else if (strcmp(n->kind, "mqtt") == 0)
        add_post(st, p, n);
    else
        shoot(st, n);
}

static bool is_due(const notice *n, instant now) {
    return !n->under_way && (n->status == NOTICE_WAITING || n->status == NOTICE_DOUBT) && n->due_at <= now;
}

static void start_of(standby *st, told *t, bool behind, instant now, posts *p) {
    ahead a = ahead_of(t);
    for (size_t i = 0; i < t->count; i++) {
        notice *n = t->notices[i];
        if (!is_due(n, now) || notice_behind(n, &a) != behind)
            continue;
        start(st, n, p);
        ahead_note(&a, n);
    }
}

/* The most urgent first, and of those as urgent somebody of each incident before the others of any. */
static void start_due(standby *st, posts *p) {
    instant now = standby_now(st);
    st->turn_ms = clock_ms();
    for (int rank = 4; rank >= 0; rank--)
        for (int behind = 0; behind <= 1; behind++)
            for (told *t = st->cases; t; t = t->next)
                if (!t->handed && t->told_at && told_rank(t) == rank)
                    start_of(st, t, behind, now, p);
}

/* Milliseconds until something is due, at most `ms`. */
static int until_due(const standby *st, int ms) {
    instant now = standby_now(st);
    int64_t wait = ms;
    for (const told *t = st->cases; t; t = t->next)
        for (size_t i = 0; i < t->count && !t->handed && t->told_at; i++) {
            const notice *n = t->notices[i];
            if (!n->under_way && (n->status == NOTICE_WAITING || n->status == NOTICE_DOUBT) &&
                (n->due_at - now) / 1000 + 1 < wait)
                wait = (n->due_at - now) / 1000 + 1;
        }
    return wait < 20 ? (ms < 20 ? ms : 20) : (int)wait;
}

void standby_pump(standby *st, int ms, int fd) {
    posts p = {.count = 0};
    start_due(st, &p);
    standby_keep(st);
    launch(st);
    post(st, &p);
    standby_keep(st);
    client_turn(st->client, until_due(st, ms), fd, ear_fd(st->ear));
    standby_keep(st);
}
