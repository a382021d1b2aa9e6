/* whom.c - see standby.h: whom an incident's first level comes to, from what was known last. What
 * mayday.plan_people and mayday.places_of (sql/0015) do with the database, is done here with its snapshot; an
 * id that differs would be a second text, so the order and the numbers of places are theirs. */
#include "gateway/standby/standby.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/notification.h"

#define NEAREST_MAX     20
#define METRES_A_DEGREE 111195.0

at_hand *at_hand_free(at_hand *h) {
    if (!h)
        return NULL;
    free(h->org);
    (void)json_free(h->body);
    (void)plan_free(h->plan);
    free(h);
    return NULL;
}

int at_hand_read(text org, json *body, at_hand **ret_hand, char ret_why[PLAN_WHY_MAX]) {
    at_hand *h = calloc(1, sizeof *h);
    (void)snprintf(ret_why, PLAN_WHY_MAX, "out of memory");
    if (!h) {
        (void)json_free(body);
        return -ENOMEM;
    }
    h->body = body;
    h->org = text_copy(org);
    int fault = h->org ? plan_parse(json_get(body, "plan"), &h->plan, ret_why) : -ENOMEM;
    if (fault < 0)
        (void)at_hand_free(h);
    else
        *ret_hand = h;
    return fault;
}

static const json *member(const json *object, text name) {
    CLEANUP(freep) char *copy = text_copy(name);
    return copy ? json_get(object, copy) : NULL;
}

text at_hand_name(const at_hand *h, text person) {
    text name = json_string(member(json_get(h->body, "names"), person));
    return name.ptr ? name : person;
}

text at_hand_webhook(const at_hand *h, text name) {
    const webhook *w = plan_webhook(h->plan, name);
    return w ? w->url : (text){0};
}

/* ---- who ---- */

/* Those found so far; each once, and as family only who is nothing else. */
typedef struct crowd {
    struct {
        text person;
        bool family;
    } * all;
    size_t count, room;
    text raiser;
} crowd;

static int join(crowd *c, text person, bool family) {
    if (!person.len || text_equal(person, c->raiser))
        return 0;
    for (size_t i = 0; i < c->count; i++)
        if (text_equal(c->all[i].person, person)) {
            c->all[i].family &= family;
            return 0;
        }
    if (c->count == c->room) {
        size_t room = c->room ? c->room * 2 : 16;
        void *grown = reallocarray(c->all, room, sizeof *c->all);
        if (!grown)
            return -ENOMEM;
        c->all = grown;
        c->room = room;
    }
    c->all[c->count].person = person;
    c->all[c->count++].family = family;
    return 0;
}

static int join_all(crowd *c, const json *people, bool family) {
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < json_length(people); i++)
        fault = join(c, json_string(json_at(people, i)), family);
    return fault;
}

/* The turn that has begun last. */
static text on_call(const at_hand *h, text team, instant now) {
    const json *turns = member(json_get(h->body, "teams"), team);
    text person = {0};
    for (size_t i = 0; i < json_length(turns); i++) {
        const json *turn = json_at(turns, i);
        if (i == 0 || json_integer(json_get(turn, "from")) <= now / INSTANT_SECOND)
            person = json_get_string(turn, "person");
    }
    return person;
}

/* Over the distances that matter here the earth is flat. */
static double metres(const json *a, double lat, double lon) {
    double north = json_number(json_get(a, "lat")) - lat, east = json_number(json_get(a, "lon")) - lon;
    east = east > 180 ? east - 360 : east < -180 ? east + 360 : east;
    return METRES_A_DEGREE * sqrt(north * north + pow(east * cos(lat * M_PI / 180), 2));
}

/* Without a position of the incident: anybody who is free. */
static int join_nearest(crowd *c, const at_hand *h, const told *t, const plan_target *target) {
    const json *free_ones = json_get(h->body, "free"), *place = json_get(t->raise, "location");
    double lat = json_number(json_get(place, "lat")), lon = json_number(json_get(place, "lon"));
    double behind = -1; /* so far are those who were taken */
    int fault = 0;
    for (int64_t n = 0; fault == 0 && n < target->count && n < NEAREST_MAX; n++) {
        const json *best = NULL;
        double best_metres = 0;
        for (size_t i = 0; i < json_length(free_ones); i++) {
            const json *one = json_at(free_ones, i);
            double far = place ? metres(one, lat, lon) : (double)i;
            if (far > behind && (!best || far < best_metres) &&
                !text_equal(json_get_string(one, "person"), c->raiser)) {
                best = one;
                best_metres = far;
            }
        }
        if (!best || (place && target->metres > 0 && best_metres > (double)target->metres))
            break;
        behind = best_metres;
        fault = join(c, json_get_string(best, "person"), false);
    }
    return fault;
}

static int join_target(crowd *c, const at_hand *h, const told *t, const plan_target *target, instant now) {
    switch (target->kind) {
    case PLAN_NOBODY:
    case PLAN_WEBHOOK:
        return 0;
    case PLAN_PERSON:
        return join(c, target->name, false);
    case PLAN_ROLE:
        return join_all(c, member(json_get(h->body, "roles"), target->name), false);
    case PLAN_NEAREST:
        return join_nearest(c, h, t, target);
    case PLAN_TEAM:
        return join(c, on_call(h, target->name, now), false);
    case PLAN_FAMILY:
        return c->raiser.len ? join_all(c, member(json_get(h->body, "contacts"), c->raiser), true) : 0;
    }
    return 0;
}

/* ---- how ---- */

#define PLACES_MAX 20

typedef struct place {
    text kind, number, fault;
} place;

/* Those of one kind, in the order they were entered. */
static size_t add_places(const json *channels, text kind, place *places, size_t count) {
    for (size_t i = 0; i < json_length(channels) && count < PLACES_MAX; i++) {
        const json *one = json_at(channels, i);
        text its = json_get_string(one, "kind");
        if (!kind.ptr || text_equal(its, kind))
            places[count++] = (place){its, json_get_string(one, "number"), json_get_string(one, "fault")};
    }
    return count;
}

/* `kinds` may be empty: by the person's own order. */
static size_t places_of(const json *person, const plan_channel *kinds, place places[PLACES_MAX]) {
    const json *channels = json_get(person, "channels");
    size_t count = 0;
    for (size_t i = 0; kinds[i] != PLAN_BY_OWN_ORDER; i++) {
        text kind = text_of(plan_channel_word(kinds[i]));
        size_t before = count;
        count = add_places(channels, kind, places, count);
        if (kinds[i] == PLAN_MQTT && count == before && count < PLACES_MAX) /* everybody has an app */
            places[count++] = (place){kind, {0}, {0}};
    }
    if (count == 0)
        count = add_places(channels, (text){0}, places, 0);
    if (count == 0)
        places[count++] = (place){TEXT("mqtt"), {0}, {0}};
    return count;
}

/* As the engine names it; should that be impossible, by chance: two texts are better than none. */
static void name_notice(const told *t, notice *n, const char *whom) {
    notification_key key = {.org = text_of(t->org),
                            .alert = text_of(t->alert),
                            .level = 1,
                            .whom = text_of(whom),
                            .place = n->place};
    uint8_t random[10] = {0};
    if (*t->alert && notification_id(&key, n->id) == 0)
        return;
    if (getentropy(random, sizeof random) < 0)
        memcpy(random, &n, sizeof n);
    uuid fresh = uuid7_make(n->made_at / 1000, random);
    uuid_format(&fresh, n->id);
}

/* Four digits. With the database they are drawn so that nothing open of that number has them; here only what
 * we told ourselves is known, and an answer that fits two is not taken for either. */
static void draw_code(notice *n) {
    (void)snprintf(n->code, sizeof n->code, "%04u", (unsigned)random() % 10000);
}

static int add_notice(told *t, text person, const place *p, text lang, bool family, bool connected,
                      int64_t number, instant due_at, instant now) {
    char kind[16];
    (void)snprintf(kind, sizeof kind, "%.*s", (int)p->kind.len, p->kind.ptr);
    notice *n = told_add(t, person, kind, p->number, lang, family, number, due_at);
    if (!n)
        return -ENOMEM;
    n->made_at = now;
    n->connected = connected;
    name_notice(t, n, n->person);
    if (*t->alert && text_equal(p->kind, TEXT("sms")))
        draw_code(n);
    if (p->fault.ptr) {
        n->status = NOTICE_FAILED;
        (void)snprintf(n->why, sizeof n->why, "%.*s", (int)p->fault.len, p->fault.ptr);
    }
    return 0;
}

static int add_person(const at_hand *h, told *t, text who, bool family, const plan_channel *kinds,
                      int64_t gap_ms, instant due_at, instant now) {
    const json *person = member(json_get(h->body, "people"), who);
    place places[PLACES_MAX];
    size_t count = places_of(person, kinds, places);
    bool connected = json_boolean(json_get(person, "connected"));
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = add_notice(t, who, &places[i], json_get_string(person, "lang"), family, connected,
                           (int64_t)i + 1, due_at + (int64_t)i * gap_ms * 1000, now);
    /* What is known to be no use does not hold up what comes behind it. */
    for (size_t i = t->count - (fault == 0 ? count : 0); i < t->count; i++)
        if (t->notices[i]->status == NOTICE_FAILED)
            notice_next(t->notices[i], due_at);
    return fault;
}

static int add_webhook(told *t, text name, instant due_at, instant now) {
    char whom[160];
    notice *n = told_add(t, (text){0}, "webhook", name, (text){0}, false, 1, due_at);
    if (!n)
        return -ENOMEM;
    n->made_at = now;
    (void)snprintf(whom, sizeof whom, "webhook:%.*s", (int)name.len, name.ptr);
    name_notice(t, n, whom);
    return 0;
}

static int tell(const at_hand *h, told *t, const plan_target *targets, size_t count,
                const plan_channel *kinds, int64_t gap_ms, instant due_at, instant now) {
    crowd c = {.raiser = text_of(t->raiser)};
    int fault = 0;
    for (size_t i = 0; fault == 0 && i < count; i++)
        fault = join_target(&c, h, t, &targets[i], now);
    for (size_t i = 0; fault == 0 && i < c.count; i++)
        fault = add_person(h, t, c.all[i].person, c.all[i].family, kinds, gap_ms, due_at, now);
    for (size_t i = 0; fault == 0 && i < count; i++)
        if (targets[i].kind == PLAN_WEBHOOK)
            fault = add_webhook(t, targets[i].name, due_at, now);
    free(c.all);
    t->told_at = now;
    t->dirty = true;
    return fault;
}

int at_hand_tell(const at_hand *h, told *t, instant now) {
    static const char *const priorities[] = {"low", "low", "medium", "high", "critical"};
    const policy *p =
        plan_choose(h->plan, json_get_string(t->raise, "type"), text_of(priorities[told_rank(t)]));
    const plan_level *first = &p->levels[0];
    t->everyone = first->everyone;
    return tell(h, t, first->targets, first->target_count, first->channels, first->gap_ms,
                t->heard_at + first->after_ms * 1000, now);
}

int at_hand_trouble(const at_hand *h, told *t, instant now) {
    static const plan_channel by_text[] = {PLAN_SMS, PLAN_BY_OWN_ORDER};
    size_t count = 0;
    const plan_target *targets = plan_trouble(h->plan, &count);
    return tell(h, t, targets, count, by_text, 60000, now, now);
}
