/* memory.c - see memory.h. */
#include "plugin/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY_LONGEST   2048
#define VALUE_LONGEST (32u << 10)

static address_family family_named(text name) {
    return text_equal(name, text_of(address_family_name(ADDRESS_ROOM))) ? ADDRESS_ROOM : ADDRESS_ALERT;
}

static int64_t now_s(void) {
    return instant_now() / INSTANT_SECOND;
}

/* playing the ledger back: each returns 0 or a negative errno; facts that make no sense are passed over */

static int play_session(host *h, text client_id, text value) {
    CLEANUP(freep) char *id = text_copy(client_id);
    claims *who = NULL;
    if (!id)
        return -ENOMEM;
    session *known = sessions_holding(h->sessions, id);
    if (known)
        sessions_forget(h->sessions, known);
    if (!value.ptr || claims_parse(value, &who) < 0)
        return 0;
    if (who->expires_at <= now_s()) {
        (void)claims_free(who);
        return 0;
    }
    return sessions_restore(h->sessions, id, who) ? 0 : -ENOMEM;
}

static int play_revocation(host *h, text rest, text value) {
    text org, kind;
    int64_t until = 0;
    if (!text_next(&rest, '/', &org) || !text_next(&rest, '/', &kind) || !rest.ptr)
        return 0;
    revocation_kind k = revocation_kind_named(kind);
    if (!value.ptr) {
        (void)revocations_remove(h->revoked, org, k, rest);
        return 0;
    }
    if (text_to_i64(value, 0, INT64_MAX, &until) < 0)
        return 0;
    int fault = revocations_add(h->revoked, org, k, rest, until);
    return fault == -ENOMEM ? fault : 0;
}

static int play_member(host *h, text rest, text value) {
    text org, family, id;
    if (!text_next(&rest, '/', &org) || !text_next(&rest, '/', &family) || !text_next(&rest, '/', &id) ||
        !rest.ptr)
        return 0;
    relation r = value.ptr ? relation_named(value) : RELATION_NONE;
    if (r == RELATION_NONE) {
        membership_remove(h->members, org, family_named(family), id, rest);
        return 0;
    }
    int fault = membership_add(h->members, org, family_named(family), id, rest, r);
    return fault == -ENOMEM ? fault : 0;
}

static void play_clear(host *h, text rest) {
    text org, family;
    if (text_next(&rest, '/', &org) && text_next(&rest, '/', &family) && rest.ptr)
        membership_clear(h->members, org, family_named(family), rest);
}

static int play(void *context, text key, text value) {
    host *h = context;
    text family;
    if (!text_next(&key, '/', &family) || !key.ptr)
        return 0;
    if (text_equal(family, TEXT("session")))
        return play_session(h, key, value);
    if (text_equal(family, TEXT("revoked")))
        return play_revocation(h, key, value);
    if (text_equal(family, TEXT("member")))
        return play_member(h, key, value);
    if (text_equal(family, TEXT("incident")))
        play_clear(h, key);
    return 0;
}

int memory_open(host *h) {
    char path[4096];
    ledger_report report = {0};
    if (snprintf(path, sizeof path, "%s/ledger", h->settings.state_dir) >= (int)sizeof path)
        return -ENAMETOOLONG;
    h->forgetful = access(path, F_OK) < 0;
    int fault = ledger_open(path, play, h, &h->ledger, &report);
    if (fault < 0)
        return fault;
    if (report.damaged > 0)
        host_log(MOSQ_LOG_WARNING, "%s: %zu damaged lines were left out", path, report.damaged);
    host_log(MOSQ_LOG_INFO, "remembered %zu offline sessions, %zu memberships, %zu revocations",
             sessions_count(h->sessions), membership_count(h->members), revocations_count(h->revoked));
    return 0;
}

/* writing down */

static int note(ledger *l, const buf *key, text value, bool sync) {
    if (buf_failed(key) < 0)
        return buf_failed(key);
    return value.ptr ? ledger_put(l, buf_text(key), value, sync) : ledger_drop(l, buf_text(key), sync);
}

static void say_once(host *h, int fault) {
    if (fault < 0 && !h->ledger_failing)
        host_log(MOSQ_LOG_ERR,
                 "the ledger in %s cannot be written (%s): what offline clients may read may not survive a "
                 "restart",
                 h->settings.state_dir, strerror(-fault));
    h->ledger_failing = fault < 0;
}

static int put_session(ledger *l, const session *s) {
    CLEANUP(buf_release) buf key = BUF(KEY_LONGEST);
    CLEANUP(buf_release) buf value = BUF(VALUE_LONGEST);
    buf_printf(&key, "session/%s", s->client_id);
    if (s->durable)
        claims_print(s->who, &value);
    if (buf_failed(&value) < 0)
        return buf_failed(&value);
    return note(l, &key, s->durable ? buf_text(&value) : (text){0}, false);
}

void memory_keep_session(host *h, const session *s) {
    say_once(h, put_session(h->ledger, s));
}

static int put_revocation(ledger *l, text org, revocation_kind kind, text value, const int64_t *until,
                          bool sync) {
    CLEANUP(buf_release) buf key = BUF(KEY_LONGEST);
    char spelled[24] = "";
    buf_printf(&key, "revoked/%.*s/%s/", (int)org.len, org.ptr, revocation_kind_name(kind));
    buf_add_text(&key, value);
    if (until)
        (void)snprintf(spelled, sizeof spelled, "%lld", (long long)*until);
    return note(l, &key, until ? text_of(spelled) : (text){0}, sync);
}

int memory_revoke(host *h, text org, revocation_kind kind, text value, int64_t until) {
    int fault = revocations_add(h->revoked, org, kind, value, until);
    return fault < 0 ? fault : put_revocation(h->ledger, org, kind, value, &until, true);
}

int memory_restore(host *h, text org, revocation_kind kind, text value, bool *ret_was_there) {
    int fault = put_revocation(h->ledger, org, kind, value, NULL, true);
    if (fault == 0)
        *ret_was_there = revocations_remove(h->revoked, org, kind, value);
    return fault;
}

bool memory_follow(host *h, const result *r) {
    int64_t known = 0;
    bool have = revocations_find(h->revoked, r->org, r->what, r->value, &known);
    if (text_equal(r->node, text_of(h->node)) && !h->forgetful)
        return false;
    if (r->kind == RESULT_RESTORED ? !have : have && known == r->until)
        return false;
    if (r->kind == RESULT_RESTORED) {
        (void)revocations_remove(h->revoked, r->org, r->what, r->value);
        say_once(h, put_revocation(h->ledger, r->org, r->what, r->value, NULL, false));
        return true;
    }
    int fault = revocations_add(h->revoked, r->org, r->what, r->value, r->until);
    if (fault < 0)
        host_log(MOSQ_LOG_ERR, "a revocation made on another broker cannot be noted: %s", strerror(-fault));
    else
        say_once(h, put_revocation(h->ledger, r->org, r->what, r->value, &r->until, false));
    return fault == 0;
}

static int put_member(ledger *l, text org, address_family family, text id, text person, relation r) {
    CLEANUP(buf_release) buf key = BUF(KEY_LONGEST);
    buf_printf(&key, "member/%.*s/%s/%.*s/%.*s", (int)org.len, org.ptr, address_family_name(family),
               (int)id.len, id.ptr, (int)person.len, person.ptr);
    return note(l, &key, r == RELATION_NONE ? (text){0} : text_of(relation_name(r)), false);
}

static int put_clear(ledger *l, text org, address_family family, text id) {
    CLEANUP(buf_release) buf key = BUF(KEY_LONGEST);
    buf_printf(&key, "incident/%.*s/%s/%.*s", (int)org.len, org.ptr, address_family_name(family), (int)id.len,
               id.ptr);
    return note(l, &key, (text){0}, false);
}

void memory_member(host *h, result_kind change, text org, address_family family, text id, text person,
                   relation r) {
    uint64_t before = membership_generation(h->members);
    int fault = 0;
    switch (change) {
    case RESULT_LOG:
    case RESULT_REVOKED:
    case RESULT_RESTORED:
        return;
    case RESULT_MEMBER_SET:
        fault = membership_add(h->members, org, family, id, person, r);
        break;
    case RESULT_MEMBER_REMOVE:
        membership_remove(h->members, org, family, id, person);
        r = RELATION_NONE;
        break;
    case RESULT_MEMBER_CLEAR:
        membership_clear(h->members, org, family, id);
        break;
    }
    if (fault < 0)
        host_log(MOSQ_LOG_ERR, "a membership cannot be noted (%s): that person will not receive the incident",
                 strerror(-fault));
    if (fault < 0 || membership_generation(h->members) == before)
        return;
    say_once(h, change == RESULT_MEMBER_CLEAR ? put_clear(h->ledger, org, family, id)
                                              : put_member(h->ledger, org, family, id, person, r));
}

/* rewriting */

typedef struct rewriting {
    ledger *fresh;
    int fault;
} rewriting;

static void emit_session(void *context, session *s) {
    rewriting *w = context;
    if (w->fault == 0 && s->durable && !session_parting(s))
        w->fault = put_session(w->fresh, s);
}

static int emit_revocation(void *context, text org, revocation_kind kind, text value, int64_t until) {
    return put_revocation(((rewriting *)context)->fresh, org, kind, value, &until, false);
}

static int emit_member(void *context, text org, address_family family, text id, text person, relation r) {
    return put_member(((rewriting *)context)->fresh, org, family, id, person, r);
}

static int emit(void *context, ledger *fresh) {
    host *h = context;
    rewriting w = {.fresh = fresh};
    sessions_each(h->sessions, emit_session, &w);
    if (w.fault == 0)
        w.fault = revocations_each(h->revoked, emit_revocation, &w);
    if (w.fault == 0)
        w.fault = membership_each(h->members, emit_member, &w);
    return w.fault;
}

void memory_tidy(host *h) {
    size_t live = sessions_count(h->sessions) + membership_count(h->members) + revocations_count(h->revoked);
    if (ledger_wants_rewrite(h->ledger, live))
        say_once(h, ledger_rewrite(h->ledger, emit, h));
}
