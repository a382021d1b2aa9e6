/* story.c - see story.h. */
#include "story.h"

#include <stdlib.h>
#include <string.h>

#define ID_SHOWN 8 /* the end of a UUIDv7: its beginning is a time, alike for all of one day */

typedef struct chapter {
    struct chapter *next; /* told less recently */
    char *of;             /* "org/incident/leaf" */
    json *newest;
} chapter;

struct story {
    chapter *first;
    size_t count;
};

story *story_new(void) {
    return calloc(1, sizeof(story));
}

static void chapter_free(chapter *c) {
    free(c->of);
    (void)json_free(c->newest);
    free(c);
}

story *story_free(story *s) {
    while (s && s->first) {
        chapter *c = s->first;
        s->first = c->next;
        chapter_free(c);
    }
    free(s);
    return NULL;
}

/* ---- states ---- */

/* Each thing that a state says of itself: a separator, unless it is the first. */
static void part(buf *to, size_t begun) {
    buf_add_text(to, to->len == begun ? TEXT("") : TEXT("; "));
}

static void add_end_of_id(buf *to, text id) {
    buf_add_text(to, TEXT(".."));
    buf_add_text(to, id.len > ID_SHOWN ? (text){id.ptr + id.len - ID_SHOWN, ID_SHOWN} : id);
}

static bool same(const json *before, const json *now, const char *name) {
    return json_same(json_get(before, name), json_get(now, name));
}

static void tell_status(const json *before, const json *now, size_t begun, buf *to) {
    text status = json_get_string(now, "status");
    const json *acknowledged = json_get(json_get(now, "receipts"), "acknowledged");
    if (before && same(before, now, "status"))
        return;
    part(to, begun);
    buf_add_text(to, text_equal(status, TEXT("enroute"))    ? TEXT("en route")
                     : text_equal(status, TEXT("on_scene")) ? TEXT("on scene")
                                                            : status);
    if (text_equal(status, TEXT("acknowledged"))) {
        buf_add_text(to, TEXT(" by "));
        buf_add_text(to, json_get_string(acknowledged, "by"));
    }
}

static void tell_what(const json *before, const json *now, size_t begun, buf *to) {
    if (before && same(before, now, "priority") && same(before, now, "type"))
        return;
    part(to, begun);
    buf_add_text(to, json_get_string(now, "priority"));
    buf_add_char(to, ' ');
    buf_add_text(to, json_get_string(now, "type"));
    if (before)
        return;
    buf_add_text(to, TEXT(" of "));
    buf_add_text(to, json_get_string(now, "raised_by"));
}

static void tell_receipts(const json *before, const json *now, size_t begun, buf *to) {
    static const char *const steps[] = {"received", "stored", "notified", "delivered"};
    const json *then = json_get(before, "receipts"), *receipts = json_get(now, "receipts");
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        if (!json_get(receipts, steps[i]) || json_get(then, steps[i]))
            continue;
        if (!any)
            part(to, begun);
        buf_printf(to, "%s%s", any ? ", " : "", steps[i]);
        any = true;
    }
}

static bool holds(const json *list, const json *person) {
    for (size_t i = 0; i < json_length(list); i++)
        if (json_same(json_at(list, i), person))
            return true;
    return false;
}

/* "assigned +ben -eve" */
static void tell_people(const json *before, const json *now, const char *name, size_t begun, buf *to) {
    const json *then = json_get(before, name), *people = json_get(now, name);
    bool any = false;
    for (int gone = 0; gone <= 1; gone++) {
        const json *in = gone ? then : people, *not_in = gone ? people : then;
        for (size_t i = 0; i < json_length(in); i++) {
            if (holds(not_in, json_at(in, i)))
                continue;
            if (!any) {
                part(to, begun);
                buf_printf(to, "%s", name);
            }
            any = true;
            buf_printf(to, " %c", gone ? '-' : '+');
            buf_add_text(to, json_string(json_at(in, i)));
        }
    }
}

static void tell_rest(const json *before, const json *now, size_t begun, buf *to) {
    const json *presses = json_get(now, "presses"), *duress = json_get(now, "duress_at"),
               *level = json_get(json_get(now, "escalation"), "level");
    if (duress && !json_get(before, "duress_at")) {
        part(to, begun);
        buf_add_text(to, TEXT("UNDER DURESS: the phone shows 'canceled'"));
    }
    if (json_kind_of(presses) == JSON_INTEGER && json_integer(presses) > 1 && !same(before, now, "presses")) {
        part(to, begun);
        buf_printf(to, "pressed %lld times", (long long)json_integer(presses));
    }
    if (json_kind_of(level) == JSON_INTEGER && json_integer(level) > 0 &&
        !json_same(level, json_get(json_get(before, "escalation"), "level"))) {
        part(to, begun);
        buf_printf(to, "escalated to level %lld", (long long)json_integer(level));
    }
    if (before && !same(before, now, "location")) {
        part(to, begun);
        buf_add_text(to, TEXT("moved"));
    }
}

void story_state(const json *before, const json *now, buf *to) {
    const json *version = json_get(now, "version");
    buf_printf(
        to, "version %lld: ", (long long)(json_kind_of(version) == JSON_INTEGER ? json_integer(version) : 0));
    size_t begun = to->len;
    text joined = json_get_string(now, "joined");
    if (joined.ptr && (!before || !same(before, now, "joined"))) {
        buf_add_text(to, TEXT("a repeated press; it joined "));
        add_end_of_id(to, joined);
    }
    tell_status(before, now, begun, to);
    tell_what(before, now, begun, to);
    tell_receipts(before, now, begun, to);
    tell_people(before, now, "assigned", begun, to);
    tell_people(before, now, "invited", begun, to);
    tell_rest(before, now, begun, to);
    if (to->len == begun)
        buf_add_text(to, TEXT("nothing new in this view"));
}

/* ---- the other messages ---- */

static void tell_receipt(const address *a, const json *body, buf *to) {
    size_t count = json_length(json_get(body, "of"));
    if (a->family == ADDRESS_USER) {
        buf_add_text(to, a->id);
        buf_add_text(to, TEXT(": "));
    }
    buf_add_text(to,
                 text_equal(json_get_string(body, "mark"), TEXT("read")) ? TEXT("read") : TEXT("arrived"));
    if (count == 1) {
        buf_add_text(to, TEXT(": "));
        add_end_of_id(to, json_string(json_at(json_get(body, "of"), 0)));
    } else {
        buf_printf(to, ": %zu messages", count);
    }
}

static void tell_check(const address *a, const json *body, buf *to) {
    const json *within = json_get(body, "respond_within");
    text words = json_get_string(body, "text");
    buf_add_text(to, a->id);
    buf_add_text(to, TEXT(" is asked: "));
    buf_add_text(to, words.ptr ? words : TEXT("are you OK?"));
    if (json_kind_of(within) == JSON_INTEGER)
        buf_printf(to, "  (within %lld s)", (long long)json_integer(within));
}

static void tell_reply(const address *a, const json *body, buf *to) {
    text words = json_get_string(body, "text");
    buf_add_text(to, a->id);
    buf_add_text(to, TEXT(" answers: "));
    buf_add_text(to, json_get_string(body, "answer"));
    if (!words.ptr)
        return;
    buf_add_text(to, TEXT(": "));
    buf_add_text(to, words);
}

static void tell_timer(const address *a, const json *body, buf *to) {
    text words = json_get_string(body, "text");
    int64_t minutes = json_integer(json_get(body, "minutes"));
    buf_add_text(to, a->id);
    if (minutes == 0)
        buf_add_text(to, TEXT(" need not be checked on any more"));
    else
        buf_printf(to, " asks to be checked on %s %lld minutes",
                   json_boolean(json_get(body, "repeat")) ? "every" : "in", (long long)minutes);
    if (!words.ptr)
        return;
    buf_add_text(to, TEXT(": "));
    buf_add_text(to, words);
}

static void tell_presence(const address *a, const json *body, buf *to) {
    text duty = json_get_string(body, "duty");
    buf_add_text(to, a->id);
    buf_add_text(to, json_boolean(json_get(body, "connected")) ? TEXT(" is connected") : TEXT(" is away"));
    if (!duty.ptr)
        return;
    buf_add_text(to, TEXT(", duty "));
    buf_add_text(to, duty);
}

static void tell_rejected(const address *a, const json *body, buf *to) {
    text detail = json_get_string(body, "detail");
    buf_add_text(to, a->id);
    buf_add_text(to, TEXT(" is refused: "));
    buf_add_text(to, json_get_string(body, "code"));
    if (!detail.ptr)
        return;
    buf_add_text(to, TEXT(": "));
    buf_add_text(to, detail);
}

static void tell_action(const address *a, const json *body, buf *to) {
    static const char *const members[] = {"person", "reason"};
    (void)a;
    buf_add_text(to, json_get_string(body, "action"));
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        text value = json_get_string(body, members[i]);
        buf_add_text(to, value.ptr ? TEXT(": ") : TEXT(""));
        buf_add_text(to, value);
    }
}

/* ---- telling ---- */

/* The chapter of that name, at the front; made when there is none. NULL when memory is short. */
static chapter *turn_to(story *s, const char *of) {
    chapter **link = &s->first;
    while (*link && strcmp((*link)->of, of) != 0)
        link = &(*link)->next;
    chapter *c = *link;
    if (c) {
        *link = c->next;
    } else {
        c = calloc(1, sizeof *c);
        if (!c || !(c->of = strdup(of))) {
            free(c);
            return NULL;
        }
        s->count++;
    }
    c->next = s->first;
    s->first = c;
    return c;
}

static void drop_last(story *s) {
    chapter **link = &s->first;
    while ((*link)->next)
        link = &(*link)->next;
    chapter_free(*link);
    *link = NULL;
    s->count--;
}

static bool tell_state(story *s, const address *a, const json *body, buf *to) {
    CLEANUP(buf_release) buf of = BUF(1024);
    buf_printf(&of, "%.*s/%.*s/%.*s", (int)a->org.len, a->org.ptr, (int)a->id.len, a->id.ptr,
               (int)a->leaf.len, a->leaf.ptr);
    chapter *c = buf_failed(&of) == 0 ? turn_to(s, of.ptr) : NULL;
    if (!c)
        return false;
    story_state(c->newest, body, to);
    (void)json_free(c->newest);
    c->newest = json_share(body);
    if (s->count > STORY_MAX)
        drop_last(s);
    return true;
}

void story_forget(story *s, const address *a) {
    CLEANUP(buf_release) buf of = BUF(1024);
    buf_printf(&of, "%.*s/%.*s/%.*s", (int)a->org.len, a->org.ptr, (int)a->id.len, a->id.ptr,
               (int)a->leaf.len, a->leaf.ptr);
    chapter *c = buf_failed(&of) == 0 ? turn_to(s, of.ptr) : NULL;
    if (!c)
        return;
    s->first = c->next;
    s->count--;
    chapter_free(c);
}

bool story_tell(story *s, const address *a, const json *body, buf *to) {
    static const struct {
        address_family family;
        const char *leaf;
        void (*tell)(const address *a, const json *body, buf *to);
    } kinds[] = {
        {ADDRESS_ALERT, "receipt", tell_receipt},  {ADDRESS_ROOM, "receipt", tell_receipt},
        {ADDRESS_USER, "receipt", tell_receipt},   {ADDRESS_USER, "check", tell_check},
        {ADDRESS_USER, "reply", tell_reply},       {ADDRESS_USER, "presence", tell_presence},
        {ADDRESS_USER, "rejected", tell_rejected}, {ADDRESS_ALERT, "action", tell_action},
        {ADDRESS_USER, "timer", tell_timer},
    };
    if (json_kind_of(body) != JSON_OBJECT)
        return false;
    if (a->family == ADDRESS_ALERT &&
        (text_equal(a->leaf, TEXT("state")) || text_equal(a->leaf, TEXT("dispatch"))))
        return tell_state(s, a, body, to);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (a->family == kinds[i].family && text_equal(a->leaf, text_of(kinds[i].leaf))) {
            kinds[i].tell(a, body, to);
            return true;
        }
    return false;
}
