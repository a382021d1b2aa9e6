/* condition.c - see condition.h. */
#include "gateway/condition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

condition *condition_free(condition *c) {
    if (c) {
        for (size_t i = 0; i < c->broker_count; i++)
            free(c->brokers[i].org);
        free(c->brokers);
        free(c);
    }
    return NULL;
}

/* One line: what others wrote may have several. Reasons that are the same are said once. */
static void add_why(condition *c, const char *who, const char *which, const char *why) {
    char line[CONDITION_WHY_MAX];
    c->ready = false;
    (void)snprintf(line, sizeof line, "%s%s%s: %s", who, *which ? " " : "", which, why);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    for (size_t i = 0; i < c->why_count; i++)
        if (strcmp(c->why[i], line) == 0)
            return;
    if (c->why_count == CONDITION_WHYS_MAX)
        c->unsaid++;
    else
        memcpy(c->why[c->why_count++], line, sizeof line);
}

static void judge_service(condition *c, const service_report *s) {
    if (!s->moves) {
        c->live = false;
        add_why(c, "service", s->name, "it hangs");
    }
    if (!s->reached) {
        c->database = false;
        add_why(c, "database", "", *s->why ? s->why : "not connected yet");
    } else if (!s->connected) {
        add_why(c, "service", s->name, *s->why ? s->why : "it has not done its first step yet");
    }
}

typedef struct gathering {
    condition *c;
    size_t room;
    bool failed;
} gathering;

static void gather(void *context, text org, bool up, uint64_t generation) {
    gathering *g = context;
    condition *c = g->c;
    if (c->broker_count == g->room) {
        size_t room = g->room ? 2 * g->room : 16;
        broker_link *more = reallocarray(c->brokers, room, sizeof *more);
        if (!more) {
            g->failed = true;
            return;
        }
        c->brokers = more;
        g->room = room;
    }
    char *name = text_copy(org);
    if (name)
        c->brokers[c->broker_count++] = (broker_link){name, up, generation};
    g->failed |= !name;
}

static void judge_broker(condition *c, bus *b, const broker_link *l) {
    char why[BUS_WHY_MAX];
    if (l->up)
        return;
    bus_why(b, text_of(l->org), why);
    add_why(c, "broker for", l->org, *why ? why : "not connected yet");
}

condition *condition_look(service_host *h) {
    condition *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    gathering g = {.c = c};
    c->live = c->ready = c->database = true;
    c->service_count = host_reports(h, c->services);
    for (size_t i = 0; i < c->service_count; i++)
        judge_service(c, &c->services[i]);
    bus_each(host_bus(h), gather, &g);
    if (g.failed)
        return condition_free(c);
    for (size_t i = 0; i < c->broker_count; i++)
        judge_broker(c, host_bus(h), &c->brokers[i]);
    return c;
}
