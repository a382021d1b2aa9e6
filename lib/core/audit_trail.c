/* audit_trail.c - see audit_trail.h.
 *
 * Each entry is held to three things: to its own hash; to the chain hash before it, which with its entry hash
 * must give its chain hash; and, where one was signed for its position, to a checkpoint. After a break the
 * walk goes on with what is stored, so that one altered entry is one finding and not all that come after it.
 */
#include "core/audit_trail.h"

#include <stdlib.h>

struct audit_trail {
    audit_hasher *hasher;
    const audit_checkpoint *checkpoints;
    size_t count, next; /* `next`: the first checkpoint that is not behind us */
    audit_found found;
    void *context;
    uint64_t from;
    bool started; /* something stands before the next entry: an entry, or the place where the trail begins */
    bool linked;  /* `before` is known */
    audit_hash before;   /* the chain hash that the next entry hangs on */
    bool last_fits;      /* the entry at `last` hung rightly */
    bool earlier_linked; /* likewise for the entry at `last`: `earlier` is known */
    audit_hash earlier;  /* what it hung on */
    uint64_t first, last, entries, findings;
    const audit_checkpoint *agreed;
    uint64_t agreed_to;      /* the chain up to here is what was signed, or where we began */
    audit_finding rewritten; /* grows until a checkpoint agrees again; .last 0: nothing */
};

audit_trail *audit_trail_new(uint64_t from, const audit_checkpoint *checkpoints, size_t count,
                             audit_found found, void *context) {
    audit_trail *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->hasher = audit_hasher_new();
    t->checkpoints = checkpoints;
    t->count = count;
    t->found = found;
    t->context = context;
    t->from = from > 0 ? from : 1;
    t->last = t->agreed_to = t->from - 1;
    return t->hasher ? t : audit_trail_free(t);
}

audit_trail *audit_trail_free(audit_trail *t) {
    if (t) {
        (void)audit_hasher_free(t->hasher);
        free(t);
    }
    return NULL;
}

static void tell(audit_trail *t, audit_finding finding) {
    t->findings++;
    t->found(t->context, &finding);
}

/* Moves on to the checkpoints of `position`; NULL when there is none. */
static const audit_checkpoint *checkpoint_at(audit_trail *t, uint64_t position) {
    while (t->next < t->count && t->checkpoints[t->next].position < position)
        t->next++;
    return t->next < t->count && t->checkpoints[t->next].position == position ? &t->checkpoints[t->next]
                                                                              : NULL;
}

static void tell_rewritten(audit_trail *t) {
    if (t->rewritten.last)
        tell(t, t->rewritten);
    t->rewritten = (audit_finding){0};
}

static void hold_to_checkpoint(audit_trail *t, const audit_checkpoint *c) {
    if (audit_hash_equal(&c->chain, &t->before)) {
        tell_rewritten(t);
        t->agreed = c;
        t->agreed_to = c->position;
        return;
    }
    if (!t->rewritten.last)
        t->rewritten = (audit_finding){.kind = AUDIT_REWRITTEN, .first = t->agreed_to + 1};
    t->rewritten.last = c->position;
    t->rewritten.checkpoint = c;
}

/* Done with the entries at `last`: what was signed for that position? */
static void leave_last(audit_trail *t) {
    const audit_checkpoint *c = t->first > 0 ? checkpoint_at(t, t->last) : NULL;
    for (; c && c < t->checkpoints + t->count && c->position == t->last; c++)
        hold_to_checkpoint(t, c);
}

/* The trail goes on at `position`, which does not follow on `last`: a checkpoint may say what stood before
 * it. */
static const audit_checkpoint *hang_on_checkpoint(audit_trail *t, uint64_t position) {
    const audit_checkpoint *c = position > 1 ? checkpoint_at(t, position - 1) : NULL;
    t->linked = c != NULL;
    if (c) {
        t->before = c->chain;
        t->agreed = c;
        t->agreed_to = c->position;
    }
    return c;
}

/* The first entry that counts. Months that were dropped in their time leave a signed end of a month behind.
 */
static void begin(audit_trail *t, uint64_t position) {
    t->started = true;
    if (position == 1) {
        t->linked = true; /* t->before is the origin */
        return;
    }
    const audit_checkpoint *c = hang_on_checkpoint(t, position);
    bool asked_for = t->from > 1 && position == t->from;
    if (!asked_for && !(t->from == 1 && c && c->ends_month))
        tell(t, (audit_finding){.kind = AUDIT_MISSING, .first = t->from, .last = position - 1});
}

static void pass_gap(audit_trail *t, uint64_t position) {
    tell(t, (audit_finding){.kind = AUDIT_MISSING, .first = t->last + 1, .last = position - 1});
    tell_rewritten(t);
    (void)hang_on_checkpoint(t, position);
}

static int fits(audit_trail *t, bool linked, const audit_hash *before, const audit_hash *entry_hash,
                const audit_hash *chain_hash, bool *ret_fits) {
    audit_hash chain;
    if (!linked) {
        *ret_fits = true;
        return 0;
    }
    int fault = audit_hash_chain(t->hasher, before, entry_hash, &chain);
    if (fault == 0)
        *ret_fits = audit_hash_equal(&chain, chain_hash);
    return fault;
}

static int check_content(audit_trail *t, const audit_entry *e, const audit_hash *entry_hash) {
    audit_hash hash;
    int fault = audit_hash_entry(t->hasher, e, &hash);
    if (fault == 0 && !audit_hash_equal(&hash, entry_hash))
        tell(t, (audit_finding){AUDIT_ALTERED, e->position, e->position, e, NULL});
    return fault;
}

/* Another entry at the position of the last. The chain goes on from the one that hangs on what stood before
 * both. */
static int take_second(audit_trail *t, const audit_entry *e, const audit_hash *entry_hash,
                       const audit_hash *chain_hash) {
    bool fit = false;
    int fault = fits(t, t->earlier_linked, &t->earlier, entry_hash, chain_hash, &fit);
    if (fault < 0)
        return fault;
    tell(t, (audit_finding){AUDIT_REPEATED, e->position, e->position, e, NULL});
    if (fit && !t->last_fits) {
        t->before = *chain_hash;
        t->last_fits = true;
    }
    return check_content(t, e, entry_hash);
}

static int take_next(audit_trail *t, const audit_entry *e, const audit_hash *entry_hash,
                     const audit_hash *chain_hash) {
    bool fit = false;
    int fault = check_content(t, e, entry_hash);
    if (fault == 0)
        fault = fits(t, t->linked, &t->before, entry_hash, chain_hash, &fit);
    if (fault < 0)
        return fault;
    if (!fit)
        tell(t, (audit_finding){AUDIT_BROKEN, e->position - 1, e->position, e, NULL});
    t->earlier = t->before;
    t->earlier_linked = t->linked;
    t->before = *chain_hash;
    t->linked = true;
    t->last_fits = fit;
    return 0;
}

int audit_trail_take(audit_trail *t, const audit_entry *e, const audit_hash *entry_hash,
                     const audit_hash *chain_hash) {
    if (e->position < t->from) {
        t->before = *chain_hash;
        t->started = t->linked = true;
        return 0;
    }
    t->entries++;
    if (t->first > 0 && e->position == t->last)
        return take_second(t, e, entry_hash, chain_hash);
    leave_last(t);
    if (!t->started)
        begin(t, e->position);
    else if (e->position > t->last + 1)
        pass_gap(t, e->position);
    if (t->first == 0)
        t->first = e->position;
    t->last = e->position;
    return take_next(t, e, entry_hash, chain_hash);
}

void audit_trail_end(audit_trail *t) {
    leave_last(t);
    tell_rewritten(t);
    const audit_checkpoint *newest = t->count > 0 ? &t->checkpoints[t->count - 1] : NULL;
    if (newest && newest->position > t->last)
        tell(t, (audit_finding){AUDIT_CUT_OFF, t->last + 1, newest->position, NULL, newest});
}

uint64_t audit_trail_count(const audit_trail *t) {
    return t->entries;
}

uint64_t audit_trail_findings(const audit_trail *t) {
    return t->findings;
}

uint64_t audit_trail_first(const audit_trail *t) {
    return t->first;
}

uint64_t audit_trail_last(const audit_trail *t) {
    return t->first > 0 ? t->last : 0;
}

const audit_checkpoint *audit_trail_agreed(const audit_trail *t) {
    return t->agreed;
}
