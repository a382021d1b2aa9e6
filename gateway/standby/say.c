/* say.c - see standby.h: what other gateways are told of what this one told without the database, in
 * its retained status (gateway_status.json): the incidents of which everybody was reached, so that nobody
 * else tells them; and that it gets on, while a crowd is told and none of them is done yet. */
#include <string.h>

#include "gateway/standby/standby.h"

#define SAID_MAX  100
#define SAY_EVERY (2 * INSTANT_SECOND) /* what is merely sent */
#define SAY_MS    1000

/* Those of one organisation that are done and that nobody heard of yet, as many as one status names. */
static size_t take_new(standby *st, const at_hand *h, int64_t *ret_sent) {
    size_t fresh = 0;
    int64_t sent = 0;
    for (told *t = st->cases; t; t = t->next) {
        if (!*t->alert || !t->told_at || strcmp(t->org, h->org) != 0)
            continue;
        sent += (int64_t)told_sent(t);
        if (t->said || fresh == SAID_MAX || !told_reached(t))
            continue;
        t->said = ++st->said_count;
        fresh++;
    }
    *ret_sent = sent;
    return fresh;
}

/* By when they were said, whatever order they were heard in. */
static size_t newest(const standby *st, const at_hand *h, const char *alerts[SAID_MAX]) {
    size_t count = 0;
    for (const told *t = st->cases; t && count < SAID_MAX; t = t->next)
        if (t->said && t->said + SAID_MAX > st->said_count && strcmp(t->org, h->org) == 0)
            alerts[count++] = t->alert;
    return count;
}

static void say_of(standby *st, at_hand *h) {
    const char *alerts[SAID_MAX];
    CLEANUP(buf_release) buf topic = BUF(4096), status = BUF(64 << 10);
    int64_t sent = 0;
    size_t fresh = take_new(st, h, &sent);
    instant now = standby_now(st);
    if (fresh == 0 && (sent == h->said_sent || now < h->said_at + SAY_EVERY))
        return;
    h->said_sent = sent;
    h->said_at = now;
    size_t count = newest(st, h, alerts);
    buf_printf(&topic, "mayday/v1/%s/gateway/%s/status", h->org, st->s->gateway);
    bus_spell_status(st->s->bus, instant_now(), &(bus_told){alerts, count, sent}, &status);
    if (buf_failed(&topic) < 0 || buf_failed(&status) < 0)
        return;
    bus_message one = {
        .org = text_of(h->org), .topic = buf_text(&topic), .payload = buf_text(&status), .retain = true};
    (void)bus_publish(st->s->bus, &one, 1, SAY_MS);
}

void standby_say(standby *st) {
    for (at_hand *h = st->hands; h; h = h->next)
        say_of(st, h);
}
