/* standby.c - what goes on when the database is away: a raise is still heard on MQTT, and its first level is
 * told by this gateway itself, from what it keeps at hand, by the same providers and in the same words.
 *
 *   with the database   every half a minute, and when something is changed, what would be needed is put at
 * hand (shelf "standby" of local.h). Each raise that is heard is soon seen to be stored (its `state` is
 *                       published, or the database says so) and forgotten; then it is the escalator's.
 *   without             a raise that is a second old, while the database has been away as long, is told:
 * policy, people and channels as last known; failover, doubts and further channels as with the database
 *                       (standby/send.c). All of it is in the ledger (shelf "ledger") before it leaves, under
 * the ids that the engine would make (core/notification.h). back again          the ledger is brought in
 * (mayday.standby_bring) at the first step, before the engine looks at an incident that was stored late: what
 * was told is there, under the engine's own ids, and is not told again. What still waits is the sender's from
 * then on.
 *
 * A raise that the database does not have though it is there (whoever should write it can't) is told after a
 * while, too. And one that was stored only moments before the database went: nobody knows whether its first
 * texts got out, and two texts are better than none.
 *
 * Several gateways: the one whose id sorts first among those online tells; each of the others ten seconds
 * after the one before it, unless that one has said in its status that it reached everybody, or, for a minute
 * at most, that it gets on: a crowd takes longer than ten seconds (standby/say.c). They share no ledger: a
 * gateway that dies in between may leave texts that another sends again.
 *
 * What stops it: somebody acknowledges, over MQTT or by phone (standby/answers.c). A cancel does not: its PIN
 * can't be judged here, and one made under duress must stop nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/local/mail.h"
#include "gateway/standby/standby.h"

extern const service service_standby;

#define EVERY_MS    1000
#define SOON_MS     250
#define TURN_MS     100
#define CASES_MAX   20000
#define TELL_AFTER  (1500 * INSTANT_SECOND / 1000) /* more than what the engine takes for late (sql/0015) */
#define AWAY_AFTER  INSTANT_SECOND
#define ELDER_TIME  (10 * INSTANT_SECOND)
#define ELDER_MORE  (50 * INSTANT_SECOND) /* as long as it gets on */
#define UNSTORED    (15 * INSTANT_SECOND) /* the database is there, and the raise is not in it */
#define STORED_KEEP (5 * INSTANT_SECOND)  /* its first texts should be out by then */

/* ---- the list ---- */

told *standby_add(standby *st, told *t) {
    told **at = &st->cases;
    while (*at)
        at = &(*at)->next;
    *at = t;
    st->case_count++;
    return t;
}

void standby_drop(standby *st, told *t) {
    CLEANUP(buf_release) buf name = BUF(1024);
    told_name(t, &name);
    if (t->told_at &&
        (buf_failed(&name) < 0 || local_drop(st->s->local, TEXT("ledger"), buf_text(&name)) < 0))
        service_log(st->s, LOG_LEVEL_WARNING,
                    "what was brought in can't be dropped from the ledger; it is brought again");
    for (told **at = &st->cases; *at; at = &(*at)->next)
        if (*at == t) {
            *at = t->next;
            st->case_count--;
            break;
        }
    (void)told_free(t);
}

/* ---- what was heard ---- */

/* The case of somebody that one more press of theirs belongs to, as the database would have it. */
static told *open_case(const standby *st, const heard *one, text raiser) {
    instant now = standby_now(st), window = st->s->settings->join_window_ms * 1000;
    for (told *t = st->cases; t; t = t->next) {
        if (told_is(t, text_of(one->org), text_of(one->alert)))
            return t;
        if (raiser.len && t->raise && !t->over && !t->canceled && text_equal(text_of(t->raiser), raiser) &&
            strcmp(t->org, one->org) == 0 && now < t->heard_at + window)
            return t;
    }
    return NULL;
}

static told *heard_raise(standby *st, const heard *one) {
    text person = json_get_string(one->body, "person"), raiser = person.ptr ? person : text_of(one->sender);
    told *known = open_case(st, one, raiser);
    if (known) {
        if (!told_is(known, text_of(one->org), text_of(one->alert)) &&
            known->joined_count < TOLD_JOINED_MAX) {
            (void)snprintf(known->joined[known->joined_count++], UUID_TEXT_LEN + 1, "%s", one->alert);
            known->dirty = true;
        }
        return known;
    }
    told *t = st->case_count < CASES_MAX ? told_new(text_of(one->org), text_of(one->alert), raiser, "raise",
                                                    one->body, standby_now(st))
                                         : NULL;
    if (t)
        (void)standby_add(st, t);
    else if (!st->flooded)
        service_log(st->s, LOG_LEVEL_ERROR,
                    "more incidents at once than can be looked after without the database");
    st->flooded = !t;
    return t;
}

static bool is_one_of(text word, const char *const *words) {
    for (; *words; words++)
        if (text_equal(text_of(*words), word))
            return true;
    return false;
}

/* Who is in danger cannot call the help off by acknowledging it; nor can whoever our broker does not name. */
static void heard_action(standby *st, const heard *one) {
    static const char *const answers[] = {"acknowledge", "enroute", "on_scene", NULL};
    text by = json_get_string(one->body, "by"), who = by.ptr ? by : text_of(one->sender);
    text action = json_get_string(one->body, "action"), everybody = {0};
    for (told *t = st->cases; t; t = t->next) {
        if (!*t->alert || !told_is(t, text_of(one->org), text_of(one->alert)))
            continue;
        bool own = !who.len || text_equal(who, text_of(t->raiser));
        t->canceled |= text_equal(action, TEXT("cancel"));
        if (own)
            continue;
        if (text_equal(action, TEXT("resolve"))) {
            t->over = t->dirty = true;
            standby_withdraw(t, everybody);
        } else if (is_one_of(action, answers)) {
            t->answered |= !t->everyone;
            t->dirty = true;
            standby_withdraw(t, t->everyone ? who : everybody);
        }
    }
}

static void heard_state(standby *st, const heard *one) {
    for (told *t = st->cases; t; t = t->next)
        if (*t->alert && told_is(t, text_of(one->org), text_of(one->alert)))
            t->stored_at = standby_now(st);
}

/* An alarm that this gateway found and no broker takes. It may be there for long: known once, it is known. */
static void take_handed(void *context, text name, text spelled) {
    standby *st = context;
    CLEANUP(json_freep) json *body = NULL;
    (void)name;
    for (const told *t = st->cases; t; t = t->next)
        if (t->handed_in && text_equal(text_of(t->alert), name))
            return;
    if (json_parse_once(spelled, &body) != JSON_OK || !json_get(body, "raise"))
        return;
    text org = json_get_string(body, "org");
    heard one = {.kind = HEARD_RAISE,
                 .org = text_copy(org),
                 .sender = "",
                 .body = json_share(json_get(body, "raise"))};
    (void)snprintf(one.alert, sizeof one.alert, "%.*s", (int)name.len, name.ptr);
    told *t = one.org && one.body ? heard_raise(st, &one) : NULL;
    if (t)
        t->handed_in = true;
    free(one.org);
    (void)json_free(one.body);
}

static void listen(standby *st) {
    heard *next;
    handed_each(st->s->local, take_handed, st);
    for (heard *one = ear_take(st->ear); one; one = next) {
        next = (heard *)one->item.next;
        switch (one->kind) {
        case HEARD_NOTHING:
            break;
        case HEARD_RAISE:
            (void)heard_raise(st, one);
            break;
        case HEARD_ACTION:
            heard_action(st, one);
            break;
        case HEARD_STATE:
            heard_state(st, one);
            break;
        }
        (void)heard_free(one);
    }
}

/* ---- to tell or not ---- */

/* Have those before us had their time? Who gets on is left to it, but nobody is to hear nothing for longer
 * than a minute or so. */
static bool is_our_turn(const standby *st, const told *t, instant waited, instant turn) {
    return waited >= turn &&
           (turn == 0 || waited >= turn + ELDER_MORE || ear_elders_quiet(st->ear, text_of(t->org)) >= turn);
}

static bool is_wanted(const standby *st, const told *t) {
    instant now = standby_now(st), away = st->away_since ? now - st->away_since : -1, age = now - t->heard_at;
    instant turn = t->handed_in ? 0 : (instant)ear_elders(st->ear, text_of(t->org)) * ELDER_TIME;
    if (t->over || (t->answered && turn > 0) || ear_told(st->ear, text_of(t->org), text_of(t->alert)))
        return false;
    if (t->stored_at) /* known since we have no database: then somebody else has it */
        return t->stored_at < st->away_since && is_our_turn(st, t, away - STORED_KEEP, turn);
    if (away >= 0)
        return away >= AWAY_AFTER && is_our_turn(st, t, age - TELL_AFTER, turn);
    if (t->handed_in)
        return age >= AWAY_AFTER;
    return is_our_turn(st, t, age - UNSTORED, turn);
}

static void tell(standby *st, told *t) {
    const at_hand *h = standby_hand(st, text_of(t->org));
    text everybody = {0};
    if (!h || at_hand_tell(h, t, standby_now(st)) < 0) {
        if (!t->helpless)
            service_log(st->s, LOG_LEVEL_ERROR, "%s: incident %s can't be told without the database: %s",
                        t->org, t->alert, h ? "out of memory" : "nothing is known of the organisation");
        t->helpless = true;
        return;
    }
    if (t->answered && !t->everyone)
        standby_withdraw(t, everybody);
    service_count(st->s, "mayday_gateway_standby_incidents_total", 1);
    service_log(st->s, LOG_LEVEL_WARNING, "%s: incident %s is told without the database: %zu messages",
                t->org, t->alert, t->count);
}

static void decide(standby *st) {
    for (told *t = st->cases, *next; t; t = next) {
        next = t->next;
        if (t->told_at)
            continue;
        if (t->stored_at && t->stored_at >= st->away_since && standby_now(st) >= t->stored_at + STORED_KEEP)
            standby_drop(st, t);
        else if (is_wanted(st, t))
            tell(st, t);
    }
}

/* ---- the service ---- */

static bool is_busy(const standby *st) {
    for (const told *t = st->cases; t; t = t->next)
        if (t->told_at)
            return true;
    return false;
}

static pg_verdict step(service_context *s, void *state, bool *ret_again) {
    standby *st = state;
    bool more = false;
    st->s = s;
    *ret_again = false;
    if (standby_now(st) < st->slept_until)
        st->changed_at = standby_now(st);
    listen(st);
    pg_verdict verdict = pg_run(s->c, "SELECT 1"); /* so that one that hangs is known before it is needed */
    if (verdict == PG_DONE)
        verdict = standby_bring(st, &more);
    if (verdict == PG_DONE)
        verdict = standby_look(st);
    if (verdict == PG_DONE)
        verdict = standby_refresh(st, &more);
    if (verdict == PG_DONE)
        verdict = standby_troubles(st, s->c);
    if (verdict != PG_DONE)
        return verdict;
    if (st->away_since)
        service_log(s, LOG_LEVEL_NOTICE, "the database is back; what was told without it is brought in");
    st->away_since = 0;
    decide(st);
    service_gauge(s, "mayday_gateway_standby_waiting", (double)st->case_count);
    if (is_busy(st))
        standby_pump(st, SOON_MS, pg_socket(s->c));
    standby_say(st);
    *ret_again = more || is_busy(st);
    s->sleep_ms = st->cases ? SOON_MS : EVERY_MS;
    st->slept_until = *ret_again ? 0 : standby_now(st) + (s->sleep_ms - 50) * 1000;
    return PG_DONE;
}

static void without(service_context *s, void *state, int ms) {
    standby *st = state;
    instant until = standby_now(st) + (instant)ms * 1000;
    st->s = s;
    if (!st->away_since) {
        st->away_since = standby_now(st);
        service_log(s, LOG_LEVEL_WARNING, "the database is away: alarms are told from what is at hand");
    }
    while (standby_now(st) < until && !service_stopping(s)) {
        listen(st);
        decide(st);
        standby_answers(st);
        (void)!standby_troubles(st, NULL);
        standby_pump(st, TURN_MS, -1);
        standby_say(st);
    }
}

/* ---- its life ---- */

static void recall_hand(void *context, text name, text spelled) {
    standby *st = context;
    json *body = NULL;
    at_hand *h = NULL;
    char why[PLAN_WHY_MAX] = "";
    if (json_parse_once(spelled, &body) != JSON_OK || at_hand_read(name, body, &h, why) < 0) {
        service_log(st->s, LOG_LEVEL_WARNING, "what was kept of an organisation can't be read: %s", why);
        return;
    }
    h->next = st->hands;
    st->hands = h;
    /* So that it is heard also when the database, which names those to be served, is away from the beginning.
     */
    if (!(st->s->settings->gateway_orgs && *st->s->settings->gateway_orgs) &&
        !(st->s->settings->gateway_token_file && *st->s->settings->gateway_token_file) &&
        bus_serve(st->s->bus, name) < 0)
        service_log(st->s, LOG_LEVEL_ERROR, "out of memory");
}

/* What the ledger held when we began. */
typedef struct recalled {
    standby *st;
    char *bad[64]; /* names of what can't be read */
    size_t bad_count;
} recalled;

/* The wall clock may have been set back while we were away. Our own never goes back: what was due in a minute
 * would be due in an hour. */
static void never_before(standby *st, const told *t) {
    instant latest = t->heard_at > t->told_at ? t->heard_at : t->told_at;
    for (size_t i = 0; i < t->count; i++)
        latest = t->notices[i]->sent_at > latest ? t->notices[i]->sent_at : latest;
    st->base = latest > st->base ? latest : st->base;
}

static void recall_case(void *context, text name, text spelled) {
    recalled *r = context;
    told *t = NULL;
    int fault = told_read(spelled, &t);
    if (fault == 0) {
        never_before(r->st, t);
        (void)standby_add(r->st, t);
        return;
    }
    service_log(r->st->s, LOG_LEVEL_ERROR, "an entry of the ledger can't be read: %s", strerror(-fault));
    if (fault == -EBADMSG && r->bad_count < ARRAY_LEN(r->bad) && (r->bad[r->bad_count] = text_copy(name)))
        r->bad_count++;
}

/* What nobody can bring in must not be waited for each time the database is back. */
static int recall_cases(standby *st) {
    recalled r = {.st = st};
    int fault = local_each(st->s->local, TEXT("ledger"), recall_case, &r);
    for (size_t i = 0; i < r.bad_count; i++) {
        CLEANUP(buf_release) buf body = BUF(LOCAL_DOCUMENT_MAX);
        text name = text_of(r.bad[i]);
        if (local_get(st->s->local, TEXT("ledger"), name, &body) == 0 &&
            local_put(st->s->local, TEXT("refused"), name, buf_text(&body)) == 0 &&
            local_drop(st->s->local, TEXT("ledger"), name) < 0)
            service_log(st->s, LOG_LEVEL_WARNING, "it can't be put aside");
        free(r.bad[i]);
    }
    return fault;
}

static void say_unready(void *context, const char *whose, const char *why) {
    (void)context; /* the sender says it */
    (void)whose;
    (void)why;
}

static void end(void *state) {
    standby *st = state;
    if (!st)
        return;
    standby_give_up(st);
    while (st->cases) {
        told *t = st->cases;
        st->cases = t->next;
        (void)told_free(t);
    }
    while (st->hands) {
        at_hand *h = st->hands;
        st->hands = h->next;
        (void)at_hand_free(h);
    }
    troubles_free(st);
    (void)vocabulary_free(st->words);
    (void)ear_close(st->ear);
    free(st);
}

static int64_t clock_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *begin(service_context *s) {
    const settings *c = s->settings;
    standby *st = calloc(1, sizeof *st);
    if (!st)
        return NULL;
    st->s = s;
    st->base = instant_now();
    st->base_ms = clock_ms();
    client_options o = {.timeout_ms = c->notify_timeout_ms,
                        .cafile = c->notify_cafile && *c->notify_cafile ? c->notify_cafile : NULL,
                        .most = (size_t)c->notify_concurrency + 16,
                        .agent = "Mayday/" MAYDAY_VERSION};
    st->words = vocabulary_new(s->texts);
    if (!st->words || client_new(&o, &st->client) < 0 || ear_open(s->bus, s->gateway, &st->ear) < 0) {
        service_log(s, LOG_LEVEL_ERROR, "it can't begin");
        if (!st->ear) /* what the bus knows can't be freed before it ends */
            end(st);
        return NULL;
    }
    carriers_begin(&st->carriers, c, s->accounts, st->base_ms, say_unready, st);
    if (local_each(s->local, TEXT("standby"), recall_hand, st) < 0 || recall_cases(st) < 0)
        service_log(s, LOG_LEVEL_ERROR, "the gateway's own store can't be read");
    troubles_load(st);
    return st;
}

const service service_standby = {
    .name = "standby",
    .channel = "mayday_standby",
    .every_ms = EVERY_MS,
    .step = step,
    .without = without,
    .begin = begin,
    .end = end,
};
