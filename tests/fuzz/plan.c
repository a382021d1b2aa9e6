/* Any JSON as a plan: parsed, or refused with a sentence; and whatever is parsed gives every incident a
 * policy whose escalation, asked when it wants to be, tells each level of a round once, in order, and comes
 * to an end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/escalation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

static void check_targets(const plan *p, const plan_target *targets, size_t count) {
    require(count <= PLAN_TARGETS_MAX);
    for (const plan_target *t = targets; t < targets + count; t++) {
        require(t->kind != PLAN_NOBODY && plan_target_word(t->kind) != NULL);
        require(t->kind != PLAN_WEBHOOK || plan_webhook(p, t->name) != NULL);
        require((t->kind == PLAN_NEAREST) == (t->count > 0));
    }
}

static void run_night(const policy *w) {
    escalation e = {.status = ESCALATION_RUNNING, .begun_at = INSTANT_SECOND, .incident = INCIDENT_ACTIVE};
    instant at = e.begun_at;
    for (int64_t steps = 0; e.status == ESCALATION_RUNNING; steps++) {
        escalation_step s = escalation_next(w, &e, at);
        require(steps <= PLAN_ROUNDS_MAX * (PLAN_LEVELS_MAX + 1) * 2);
        require(!s.tell || s.level == (s.round > e.round ? 1 : e.level + 1));
        require((s.next_at == NEVER) == (s.status == ESCALATION_EXHAUSTED) && s.next_at >= at);
        e.status = s.status, e.round = s.round, e.first_round = s.first_round, e.level = s.level;
        e.begun_at = s.begun_at;
        at = s.next_at;
    }
    require(e.round + 1 == w->rounds && e.level == (int64_t)w->level_count);
}

static void check(const plan *p) {
    size_t trouble = 0;
    require(plan_policies(p) > 0 && plan_policies(p) <= PLAN_POLICIES_MAX);
    for (size_t i = 0; i < plan_policies(p); i++) {
        const policy *w = plan_policy(p, i);
        require(plan_named(p, w->name) == w && w->level_count > 0 && w->level_count <= PLAN_LEVELS_MAX);
        for (size_t k = 0; k < w->level_count; k++)
            check_targets(p, w->levels[k].targets, w->levels[k].target_count);
        check_targets(p, w->exhausted, w->exhausted_count);
        run_night(w);
    }
    const plan_target *t = plan_trouble(p, &trouble);
    check_targets(p, t, trouble);
    require(plan_choose(p, TEXT("panic"), TEXT("high")) && plan_choose(p, TEXT(""), TEXT("x")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(json_freep) json *body = NULL;
    CLEANUP(plan_freep) plan *p = NULL;
    char why[PLAN_WHY_MAX] = "";
    if (json_parse_once((text){(const char *)data, size}, &body) != JSON_OK)
        return 0;
    int fault = plan_parse(body, &p, why);
    if (fault == -EBADMSG)
        require(why[0] != '\0' && memchr(why, '\0', PLAN_WHY_MAX) && !p);
    if (fault == 0)
        check(p);
    return 0;
}
