/* carriers.c - see carriers.h. */
#include "gateway/sending/carriers.h"

#include <stdio.h>
#include <string.h>

#define OPEN_MS     5000
#define OPEN_MAX_MS 60000
#define LATE_MS     300000 /* open for so long beyond its pause, even the urgent try it */
#define PAUSE_MS    1000
#define PAUSE_MAX   30000
#define URGENT      3 /* ranks from here on don't try whom the breaker has open */
#define ALERT       1 /* ranks from here on are no routine */
#define TICK_MS     20

static bool of_kind(const carrier *one, const char *kind) {
    return strcmp(one->row->kind, kind) == 0;
}

static void add(carriers *c, const provider *row, const accounts *a, int64_t now, carriers_say say,
                void *context) {
    char why[ACCOUNTS_WHY_MAX] = "";
    for (size_t i = 0; i < c->count; i++)
        if (c->all[i].row == row)
            return;
    if (!a || !provider_ready(row, a, why)) {
        say(context, row->name, a ? why : "the accounts can't be read");
        return;
    }
    if (c->count < CARRIERS_MAX)
        c->all[c->count++] = (carrier){.row = row,
                                       .breaks = strcmp(row->kind, "webhook") != 0,
                                       .tokens = c->rule.burst,
                                       .routine_tokens = c->rule.burst / 2,
                                       .filled_at = now};
}

static void add_listed(carriers *c, const char *list, const char *kind, const accounts *a, int64_t now,
                       carriers_say say, void *context) {
    text rest = text_of(list ? list : ""), word;
    while (rest.ptr && text_next(&rest, ' ', &word)) {
        bool known = word.len == 0;
        for (const provider *const *p = providers; *p; p++) {
            if (strcmp((*p)->kind, kind) != 0 || !text_equal(text_of((*p)->account), word))
                continue;
            add(c, *p, a, now, say, context);
            known = true;
        }
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)word.len, word.len ? word.ptr : "");
        if (!known)
            say(context, name, "there is no such provider");
    }
}

void carriers_begin(carriers *c, const settings *s, const accounts *a, int64_t now, carriers_say say,
                    void *context) {
    *c = (carriers){.concurrency = (size_t)s->notify_concurrency, .rule = {.per_second = 30, .burst = 60}};
    if (rate_parse(text_of(s->notify_rate), &c->rule) < 0)
        say(context, "rate", "it is not two numbers: 30 a second, 60 at once");
    add_listed(c, s->notify_sms, "sms", a, now, say, context);
    add_listed(c, s->notify_voice, "voice", a, now, say, context);
    for (const provider *const *p = providers; *p; p++)
        if (strcmp((*p)->kind, "webhook") == 0 && a && a->webhook_secret)
            add(c, *p, a, now, say, context);
}

/* ---- caps ---- */

static void fill(const carriers *c, carrier *one, int64_t now) {
    double passed = now > one->filled_at ? (double)(now - one->filled_at) / 1000 : 0;
    one->filled_at = now;
    one->tokens += passed * c->rule.per_second;
    one->routine_tokens += passed * c->rule.per_second / 2;
    if (one->tokens > c->rule.burst)
        one->tokens = c->rule.burst;
    if (one->routine_tokens > c->rule.burst / 2)
        one->routine_tokens = c->rule.burst / 2;
}

static size_t less(size_t most, size_t taken) {
    return most > taken ? most - taken : 0;
}

static size_t lesser(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t quarter(const carriers *c) {
    return c->concurrency / 4 > 0 ? c->concurrency / 4 : 1;
}

static size_t half(const carriers *c) {
    return c->concurrency / 2 > 0 ? c->concurrency / 2 : 1;
}

static size_t room_of(const carriers *c, carrier *one, bool routine, int64_t now) {
    size_t room = lesser(less(c->concurrency, c->under_way), less(half(c), one->under_way));
    fill(c, one, now);
    if (routine)
        room = lesser(room, less(quarter(c), c->routine_under_way));
    if (c->rule.per_second <= 0)
        return room;
    double tokens = routine && one->routine_tokens < one->tokens ? one->routine_tokens : one->tokens;
    return tokens >= 1 ? lesser(room, (size_t)tokens) : 0;
}

size_t carriers_room(carriers *c, const char *kind, bool routine, size_t most, int64_t now) {
    size_t room = 0;
    bool any = false;
    for (size_t i = 0; i < c->count; i++) {
        if (!of_kind(&c->all[i], kind))
            continue;
        any = true;
        room += room_of(c, &c->all[i], routine, now);
    }
    if (!any)
        return most;
    room = lesser(room, less(c->concurrency, c->under_way));
    if (routine)
        room = lesser(room, less(quarter(c), c->routine_under_way));
    return lesser(room, most);
}

int64_t carriers_wait(const carriers *c, int64_t now) {
    (void)now;
    if (c->rule.per_second <= 0)
        return TICK_MS;
    double ms = 1000 / c->rule.per_second;
    return ms < 1 ? 1 : ms > 1000 ? 1000 : (int64_t)ms;
}

/* ---- the breaker ---- */

carrier_breaker carriers_breaker(const carrier *one, int64_t now) {
    if (now < one->open_until) /* it failed, or asked for a pause */
        return BREAKER_OPEN;
    return one->failures < BREAKER_FAILURES ? BREAKER_CLOSED : BREAKER_TRYING;
}

const char *carrier_breaker_name(carrier_breaker b) {
    switch (b) {
    case BREAKER_OPEN:
        return "open";
    case BREAKER_CLOSED:
        return "closed";
    case BREAKER_TRYING:
        return "trying";
    }
    return "open";
}

static void open_for(carrier *one, int64_t ms, int64_t now) {
    if (now + ms > one->open_until)
        one->open_until = now + ms;
}

static void blame(carrier *one, const provider_result *r, bool trying, int64_t now) {
    one->failures++;
    if (r->retry_after_ms > 0) /* it said so itself */
        open_for(one, r->retry_after_ms < OPEN_MAX_MS ? r->retry_after_ms : OPEN_MAX_MS, now);
    if (one->failures < BREAKER_FAILURES)
        return;
    /* Those that were under way together fail together: that is one failure more, not many. */
    if (one->open_until != 0 && now < one->open_until && !trying)
        return;
    one->open_ms = one->open_ms == 0 ? OPEN_MS : one->open_ms * 2;
    if (one->open_ms > OPEN_MAX_MS)
        one->open_ms = OPEN_MAX_MS;
    open_for(one, one->open_ms, now);
}

static void forgive(carrier *one) {
    one->failures = 0;
    one->open_until = 0;
    one->open_ms = 0;
}

/* May a message of that rank go to it, while there are others? */
static bool welcome(const carrier *one, int rank, int64_t now) {
    switch (carriers_breaker(one, now)) {
    case BREAKER_OPEN:
        return false;
    case BREAKER_CLOSED:
        return true;
    case BREAKER_TRYING:
        return one->trying == 0 && (rank < URGENT || now - one->open_until > LATE_MS);
    }
    return false;
}

/* ---- choosing ---- */

static size_t times(const carrier *one, const carrier_try *tries, size_t count, bool *ret_refused) {
    size_t n = 0;
    *ret_refused = false;
    for (size_t i = 0; i < count; i++) {
        n += tries[i].row == one->row;
        *ret_refused = *ret_refused || (tries[i].row == one->row && tries[i].refused);
    }
    return n;
}

/* The one tried least of those that are `welcome` (or of all), have room, and did not refuse it. */
static carrier *best(carriers *c, const char *kind, int rank, const carrier_try *tries, size_t count,
                     bool everybody, int64_t now) {
    carrier *found = NULL;
    size_t least = 0;
    for (size_t i = 0; i < c->count; i++) {
        carrier *one = &c->all[i];
        bool refused;
        size_t n = times(one, tries, count, &refused);
        if (!of_kind(one, kind) || refused || (found && n >= least))
            continue;
        if (!everybody && !welcome(one, rank, now))
            continue;
        if (room_of(c, one, rank < ALERT, now) == 0)
            continue;
        found = one;
        least = n;
    }
    return found;
}

static bool any_welcome(const carriers *c, const char *kind, int rank, const carrier_try *tries, size_t count,
                        int64_t now) {
    bool refused;
    for (size_t i = 0; i < c->count; i++) {
        const carrier *one = &c->all[i];
        if (of_kind(one, kind) && welcome(one, rank, now) && (times(one, tries, count, &refused), !refused))
            return true;
    }
    return false;
}

bool carriers_any_left(const carriers *c, const char *kind, const carrier_try *tries, size_t count) {
    bool refused;
    for (size_t i = 0; i < c->count; i++)
        if (of_kind(&c->all[i], kind) && (times(&c->all[i], tries, count, &refused), !refused))
            return true;
    return false;
}

carrier_choice carriers_choose(carriers *c, const char *kind, int rank, const carrier_try *tries,
                               size_t count, int64_t now, carrier **ret_carrier) {
    bool any = false;
    for (size_t i = 0; i < c->count; i++)
        any = any || of_kind(&c->all[i], kind);
    if (!any)
        return CHOICE_NONE;
    if (!carriers_any_left(c, kind, tries, count))
        return CHOICE_EXHAUSTED;
    carrier *one = best(c, kind, rank, tries, count, false, now);
    if (!one && rank >= ALERT && !any_welcome(c, kind, rank, tries, count, now))
        one = best(c, kind, rank, tries, count, true, now);
    if (!one)
        return CHOICE_BUSY;
    *ret_carrier = one;
    return CHOICE_GOOD;
}

void carriers_started(carriers *c, carrier *one, int rank, int64_t now, bool *ret_trying) {
    fill(c, one, now);
    one->tokens -= 1;
    one->routine_tokens -= rank < ALERT;
    one->under_way++;
    c->under_way++;
    c->routine_under_way += rank < ALERT;
    *ret_trying = carriers_breaker(one, now) == BREAKER_TRYING;
    one->trying += *ret_trying;
}

void carriers_ended(carriers *c, carrier *one, int rank, bool trying, const provider_result *r, int64_t now) {
    one->under_way -= one->under_way > 0;
    c->under_way -= c->under_way > 0;
    c->routine_under_way -= rank < ALERT && c->routine_under_way > 0;
    one->trying -= trying && one->trying > 0;
    one->sent += r->outcome == PROVIDER_SENT;
    one->retry += r->outcome == PROVIDER_RETRY;
    one->refused += r->outcome == PROVIDER_REFUSED;
    one->unknown += r->outcome == PROVIDER_UNKNOWN;
    if (r->outcome != PROVIDER_SENT) {
        memcpy(one->last_failure, r->code, sizeof one->last_failure);
        one->failed_lately = true;
    }
    if (one->breaks && r->blame == BLAME_PROVIDER)
        blame(one, r, trying, now);
    else if (r->outcome == PROVIDER_SENT || r->outcome == PROVIDER_REFUSED)
        forgive(one);
}

int64_t carriers_pause(const carriers *c, const char *kind, const carrier_try *tries, size_t count,
                       const provider_result *last, uint64_t chance) {
    size_t least = SIZE_MAX, most = 0;
    for (size_t i = 0; i < c->count; i++) {
        bool refused;
        size_t n = times(&c->all[i], tries, count, &refused);
        if (!of_kind(&c->all[i], kind) || refused)
            continue;
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    if (least < most || least == SIZE_MAX)
        return 0;
    int64_t pause = least > 5 ? PAUSE_MAX : PAUSE_MS << (least > 0 ? least - 1 : 0);
    pause = pause * 3 / 4 + (int64_t)(chance % (uint64_t)(pause / 2 + 1));
    int64_t asked = last->retry_after_ms < OPEN_MAX_MS ? last->retry_after_ms : OPEN_MAX_MS;
    return pause < asked ? asked : pause;
}
