/* events.c - see events.h. */
#include "plugin/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/decisions.h"
#include "store/record.h"

#define NOBODY   "-"
#define TOLD_MAX 32 /* filters of one session; what is beyond counts against its person's rate */

/* What anybody outside can cause has a rate: an attacker must not fill the journal. */
static const rate_rule strangers_rate = {.per_second = 5, .burst = 100};
static const rate_rule refusals_rate = {.per_second = 1, .burst = 20};
static const rate_rule readers_rate = {.per_second = 1, .burst = 50};

typedef struct event {
    const char *kind;
    const char *org, *sender; /* NULL: nobody known */
    const claims *who;        /* whose roles are told; or NULL */
    text person, client, address, topic, code, detail;
} event;

/* At most `bytes`, not through the middle of a code point; what is not UTF-8 at all is not repeated. */
static text clip(text t, size_t bytes) {
    if (!text_is_utf8(t))
        return TEXT("?");
    if (t.len <= bytes)
        return t;
    while (bytes > 0 && ((unsigned char)t.ptr[bytes] & 0xC0) == 0x80)
        bytes--;
    return (text){t.ptr, bytes};
}

/* The text is UTF-8. Printed by hand: every CONNECT makes one of these, and a tree of JSON costs several
 * times as much. */
static void put_string(buf *to, text t) {
    buf_add_char(to, '"');
    for (size_t i = 0, from = 0; i <= t.len; i++) {
        unsigned char c = i < t.len ? (unsigned char)t.ptr[i] : 0;
        if (i < t.len && c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add_text(to, (text){t.ptr + from, i - from});
        from = i + 1;
        if (i < t.len)
            buf_printf(to, "\\u%04x", c);
    }
    buf_add_char(to, '"');
}

static void put(buf *to, const char *name, text value, size_t longest) {
    if (value.len == 0)
        return;
    buf_add_text(to, TEXT(",\""));
    buf_add_text(to, text_of(name));
    buf_add_text(to, TEXT("\":"));
    put_string(to, clip(value, longest));
}

static void put_roles(buf *to, const claims *who) {
    if (!who)
        return;
    buf_add_text(to, TEXT(",\"roles\":["));
    for (size_t i = 0; i < who->n_roles && i < POLICY_ROLES_MAX; i++) {
        if (i > 0)
            buf_add_char(to, ',');
        put_string(to, clip(text_of(who->roles[i]), TOPIC_LEVEL_MAX));
    }
    buf_add_char(to, ']');
}

/* Random but for its beginning: two events of one millisecond keep their order. */
static int make_id(instant at, char ret_id[UUID_TEXT_LEN + 1]) {
    uint8_t random[10];
    unsigned within = (unsigned)(at % 1000);
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return -EIO;
    random[0] = (uint8_t)(within >> 8);
    random[1] = (uint8_t)within;
    uuid id = uuid7_make(at / 1000, random);
    uuid_format(&id, ret_id);
    return 0;
}

static int spell(const event *e, instant at, buf *to) {
    char id[UUID_TEXT_LEN + 1], ts[INSTANT_TEXT_LEN + 1];
    int fault = make_id(at, id);
    if (fault < 0)
        return fault;
    instant_format(at, ts);
    buf_clear(to);
    buf_add_text(to, TEXT("{\"v\":1"));
    put(to, "id", text_of(id), sizeof id);
    put(to, "ts", text_of(ts), sizeof ts);
    put(to, "kind", text_of(e->kind), 32);
    put(to, "person", e->person, TOPIC_LEVEL_MAX);
    put(to, "client", e->client, 256);
    put_roles(to, e->who);
    put(to, "address", e->address, 64);
    put(to, "topic", e->topic, 1024);
    put(to, "code", e->code, 64);
    put(to, "detail", e->detail, 1024);
    buf_add_char(to, '}');
    return buf_failed(to);
}

static int journal_it(host *h, const event *e) {
    char topic[64 + 2 * TOPIC_LEVEL_MAX];
    instant at = instant_now();
    h->last_event = at > h->last_event ? at : h->last_event + 1;
    int fault = spell(e, h->last_event, &h->event);
    if (fault < 0)
        return fault;
    (void)snprintf(topic, sizeof topic, "mayday/v1/%s/node/%s/event", e->org ? e->org : NOBODY, h->node);
    record r = {
        .received_at = h->last_event,
        .org = text_of(e->org ? e->org : NOBODY),
        .sender = text_of(e->sender ? e->sender : NOBODY),
        .client = clip(e->client, 256),
        .topic = text_of(topic),
        .payload = buf_text(&h->event),
    };
    uint64_t seq;
    buf_clear(&h->record);
    record_encode(&r, &h->record);
    fault = buf_failed(&h->record);
    return fault < 0 ? fault
                     : journal_append(h->journal, buf_text(&h->record), JOURNAL_ORDINARY, false, &seq);
}

static void note(host *h, const event *e) {
    if (!h->journal) /* before the start is complete */
        return;
    if (journal_it(h, e) < 0)
        h->counters.events_lost++;
    else
        h->counters.events++;
}

void events_broker(host *h, const char *kind, const char *code, const char *detail) {
    note(h, &(event){.kind = kind, .code = text_of(code), .detail = text_of(detail)});
}

static event of_session(const char *kind, const session *s) {
    return (event){
        .kind = kind,
        .org = s->who->org,
        .sender = s->who->subject,
        .person = text_of(s->who->subject),
        .client = text_of(s->client_id),
    };
}

void events_session(host *h, const char *kind, const session *s, const char *from, const char *code) {
    event e = of_session(kind, s);
    e.who = s->who;
    e.address = text_of(from);
    e.code = text_of(code);
    note(h, &e);
}

/* "why (12 more were not told)" */
static text with_unsaid(const char *why, uint64_t unsaid, char *room, size_t size) {
    if (unsaid == 0)
        return text_of(why);
    (void)snprintf(room, size, "%.900s (%llu more before it were not told)", why, (unsigned long long)unsaid);
    return text_of(room);
}

void events_stranger(host *h, const char *client_id, const char *from, const claims *who, const char *why) {
    char room[1024];
    if (!limits_take_other(&h->limits, LIMITS_STRANGERS, TEXT(NOBODY), TEXT(NOBODY), &strangers_rate,
                           instant_now())) {
        h->strangers_unsaid++;
        h->counters.events_left_out++;
        return;
    }
    event e = {
        .kind = "refused_connect",
        .client = text_of(client_id),
        .address = text_of(from),
        .detail = with_unsaid(why, h->strangers_unsaid, room, sizeof room),
    };
    if (who) {
        e.org = who->org;
        e.sender = who->subject;
        e.person = text_of(who->subject);
    }
    h->strangers_unsaid = 0;
    note(h, &e);
}

void events_refused(host *h, session *s, text topic, const char *code, const char *detail) {
    char room[1024];
    event e = of_session("refused", s);
    if (!limits_take_other(&h->limits, LIMITS_REFUSALS, text_of(e.org), e.person, &refusals_rate,
                           instant_now())) {
        s->refusals_unsaid++;
        h->counters.events_left_out++;
        return;
    }
    e.topic = topic;
    e.code = text_of(code);
    e.detail = with_unsaid(detail, s->refusals_unsaid, room, sizeof room);
    s->refusals_unsaid = 0;
    note(h, &e);
}

/* Has this session told of the filter? From now on it has, unless memory is short or it has told of too many.
 */
static bool told_before(session *s, uint64_t filter) {
    for (size_t i = 0; i < s->n_told; i++)
        if (s->told[i] == filter)
            return true;
    if (s->n_told == TOLD_MAX)
        return false;
    if (s->n_told % 8 == 0) {
        uint64_t *more = reallocarray(s->told, s->n_told + 8, sizeof *more);
        if (!more)
            return false;
        s->told = more;
    }
    s->told[s->n_told++] = filter;
    return false;
}

void events_subscribed(host *h, session *s, text filter) {
    if (!policy_reaches_others(h->policy, &s->subject, filter) ||
        told_before(s, topic_hash(filter, h->hash_seed)))
        return;
    event e = of_session("subscribe", s);
    if (!limits_take_other(&h->limits, LIMITS_READERS, text_of(e.org), e.person, &readers_rate,
                           instant_now())) {
        h->counters.events_left_out++;
        return;
    }
    e.topic = filter;
    note(h, &e);
}

void events_revocation(host *h, const char *kind, const session *by, revocation_kind what, text value,
                       int64_t until) {
    event e = of_session(kind, by);
    char detail[512], at[INSTANT_TEXT_LEN + 1];
    instant_format(until * INSTANT_SECOND, at);
    bool restores = strcmp(kind, "restore") == 0, ever = until == 0;
    (void)snprintf(detail, sizeof detail, "%.*s %s%s", (int)(value.len < 256 ? value.len : 256), value.ptr,
                   restores ? "lifted"
                   : ever   ? "for ever"
                            : "until ",
                   restores || ever ? "" : at);
    e.person = what == REVOKE_SUBJECT ? value : (text){0};
    e.code = text_of(revocation_kind_name(what));
    e.detail = text_of(detail);
    note(h, &e);
}
