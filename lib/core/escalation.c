/* escalation.c - see escalation.h. */
#include "core/escalation.h"

static const char *const names[] = {
    [ESCALATION_NONE] = "none",         [ESCALATION_RUNNING] = "running",     [ESCALATION_HELD] = "held",
    [ESCALATION_ANSWERED] = "answered", [ESCALATION_EXHAUSTED] = "exhausted", [ESCALATION_ENDED] = "ended",
};

const char *escalation_status_name(escalation_status s) {
    return names[s];
}

escalation_status escalation_status_named(text name) {
    for (size_t i = ESCALATION_RUNNING; i < ARRAY_LEN(names); i++)
        if (text_equal(text_of(names[i]), name))
            return (escalation_status)i;
    return ESCALATION_NONE;
}

static instant later(instant at, int64_t ms) {
    instant sum;
    if (__builtin_mul_overflow(ms, INSTANT_SECOND / 1000, &sum) || __builtin_add_overflow(at, sum, &sum))
        return NEVER;
    return sum;
}

static int64_t levels(const policy *p) {
    return (int64_t)p->level_count;
}

static instant due(const policy *p, const escalation_step *s, int64_t level) {
    return later(s->begun_at, p->levels[level - 1].after_ms);
}

/* When the round is over. */
static instant round_over(const policy *p, const escalation_step *s) {
    return later(due(p, s, levels(p)), p->pause_ms);
}

static bool wants_everyone(const policy *p, int64_t level) {
    return level > 0 && p->levels[level - 1].everyone;
}

static void new_round(escalation_step *s, instant at) {
    s->round++;
    s->level = 0;
    s->begun_at = at;
}

/* Only the rounds from here on count, and only answers from here on. */
static void begin(escalation_step *s, escalation_begins why, instant at) {
    new_round(s, at);
    s->first_round = s->round;
    s->status = ESCALATION_RUNNING;
    s->begins = why;
    s->anew = s->withdraw = true;
}

static void tell(const policy *p, escalation_step *s, int64_t level, instant at) {
    s->level = level;
    s->tell = true;
    s->next_at = level < levels(p) ? due(p, s, level + 1) : round_over(p, s);
    if (s->next_at < at)
        s->next_at = at;
}

/* Somebody asked for a level, now. */
static void tell_wanted(const policy *p, const escalation *now, escalation_step *s, instant at) {
    int64_t wanted = now->wanted_level;
    if (wanted > levels(p)) /* beyond the last: that one, or when it has been told, from the first on */
        wanted = s->level < levels(p) ? levels(p) : 1;
    if (now->status == ESCALATION_EXHAUSTED || wanted <= s->level) {
        new_round(s, at);
        s->first_round = s->round;
    }
    if (now->status == ESCALATION_ANSWERED)
        s->forgotten = 0;
    s->status = ESCALATION_RUNNING;
    s->anew = true;
    s->begun_at = at - p->levels[wanted - 1].after_ms * (INSTANT_SECOND / 1000);
    tell(p, s, wanted, at);
}

static void run(const policy *p, escalation_step *s, bool answered, instant at) {
    if (s->level == levels(p) && at >= round_over(p, s)) {
        if (s->round - s->first_round + 1 >= p->rounds) {
            s->status = ESCALATION_EXHAUSTED;
            s->tell_exhausted = true;
            return;
        }
        new_round(s, at);
    }
    if (s->level == levels(p)) {
        s->next_at = round_over(p, s);
    } else if (at < due(p, s, s->level + 1)) {
        s->next_at = due(p, s, s->level + 1);
    } else {
        /* After a level where not everyone answered, the next asks for an answer of its own. */
        s->anew |= answered;
        tell(p, s, s->level + 1, at);
    }
}

static void wait_for_answered(const policy *p, const escalation *now, escalation_step *s, instant at) {
    instant moved = now->moved_at > now->answered_at ? now->moved_at : now->answered_at;
    instant forgotten = p->forgotten_ms > 0 ? later(moved, p->forgotten_ms) : NEVER;
    if (at < forgotten) {
        s->next_at = forgotten;
        return;
    }
    begin(s, ESCALATION_BEGINS_FORGOTTEN, at);
    s->forgotten++;
    run(p, s, false, at);
}

/* Somebody did, and nobody else has to. */
static bool is_answered(const policy *p, const escalation *now, int64_t level) {
    return now->answered_at != 0 && (!wants_everyone(p, level) || now->all_answered);
}

static void open_again(const policy *p, const escalation *now, escalation_step *s, instant at) {
    if (now->incident == INCIDENT_ACTIVE) {
        begin(s, ESCALATION_BEGINS_AGAIN, at);
        s->forgotten = 0;
        run(p, s, false, at);
    } else { /* what closed it was undone, and somebody is on it */
        s->status = ESCALATION_ANSWERED;
        wait_for_answered(p, now, s, at);
    }
}

static void go_on(const policy *p, const escalation *now, escalation_step *s, instant at) {
    if (is_answered(p, now, s->level)) {
        s->status = ESCALATION_ANSWERED;
        s->withdraw = s->follow = true;
        wait_for_answered(p, now, s, at);
    } else if (s->status == ESCALATION_HELD && at < now->held_until) {
        s->next_at = now->held_until;
    } else if (s->status != ESCALATION_EXHAUSTED) {
        s->status = ESCALATION_RUNNING;
        run(p, s, now->answered_at != 0, at);
    }
}

escalation_step escalation_next(const policy *p, const escalation *now, instant at) {
    escalation_step s = {
        .status = now->status,
        .round = now->round,
        .first_round = now->first_round,
        .level = now->level < levels(p) ? now->level : levels(p),
        .forgotten = now->forgotten,
        .begun_at = now->begun_at,
        .next_at = NEVER,
    };
    if (incident_closed(now->incident)) {
        s.status = ESCALATION_ENDED;
        s.withdraw = s.follow = true;
    } else if (now->status == ESCALATION_ENDED ||
               (now->status == ESCALATION_ANSWERED && now->incident == INCIDENT_ACTIVE)) {
        open_again(p, now, &s, at);
    } else if (now->wanted_level > 0) {
        tell_wanted(p, now, &s, at);
    } else if (now->status == ESCALATION_ANSWERED) {
        wait_for_answered(p, now, &s, at);
    } else {
        go_on(p, now, &s, at);
    }
    s.everyone = wants_everyone(p, s.level);
    return s;
}
