/* policy.c - asks a parsed policy; see policy.h. policy_file.c does the parsing.
 *
 * A question splits its topic once, finds out under which of the four roots it stands (where the
 * organisation is compared: once, as literal text, for all patterns together), and then looks for one pattern
 * of the subject's roles that fits the levels behind the root. Names and subscription filters take the same
 * walk: the
 * '+' and '#' of a filter fit only what is at least as wide. Nothing is allocated. */
#include "policy_rules.h"

#include <stdlib.h>
#include <string.h>

#define ID_LEVEL 4 /* mayday/v1/<org>/<family>/<id> */

typedef struct question {
    const policy *p;
    const membership *m;
    const policy_subject *who;
    bool is_filter;
    bool only_wide;      /* patterns that ask for nothing at the id's level */
    bool relation_known; /* looked up when a pattern first asks for it */
    relation relation;
    size_t n_levels;
    text levels[POLICY_LEVELS_MAX];
} question;

/* False when there are too many levels, or when a name holds what only filters may. */
static bool split(question *q, text topic) {
    size_t start = 0;
    for (size_t i = 0; i <= topic.len; i++) {
        char c = i < topic.len ? topic.ptr[i] : '/';
        if (c == '/') {
            if (q->n_levels == POLICY_LEVELS_MAX)
                return false;
            q->levels[q->n_levels++] = (text){topic.ptr + start, i - start};
            start = i + 1;
        } else if ((c == '+' || c == '#' || c == '\0') && !q->is_filter) {
            return false;
        }
    }
    return topic.len > 0;
}

static bool is_wildcard(text level, char wildcard) {
    return level.len == 1 && level.ptr[0] == wildcard;
}

/* A session's own value is text and nothing else: an empty one fits no level, and one that looks like a
 * wildcard fits no wildcard. */
static bool is_value(text level, text value) {
    return value.len > 0 && text_equal(level, value) && !is_wildcard(level, '+') && !is_wildcard(level, '#');
}

static pattern_root find_root(const question *q, size_t *ret_levels) {
    const text *l = q->levels;
    *ret_levels = 3;
    if (q->n_levels >= 3 && text_equal(l[0], TEXT("mayday")) && text_equal(l[1], TEXT("v1")))
        return is_value(l[2], q->who->org) ? ROOT_ORG : ROOT_NONE;
    if (q->n_levels >= 3 && text_equal(l[0], TEXT("$CONTROL")) && text_equal(l[1], TEXT("mayday")) &&
        text_equal(l[2], TEXT("v1")))
        return ROOT_CONTROL;
    *ret_levels = 1;
    if (text_equal(l[0], TEXT("$SYS")))
        return ROOT_SYS;
    /* A filter that begins with a wildcard would reach into what is ours. */
    bool ours = l[0].len == 0 || l[0].ptr[0] == '$' || is_wildcard(l[0], '+') || is_wildcard(l[0], '#') ||
                text_equal(l[0], TEXT("mayday"));
    *ret_levels = 0;
    return ours ? ROOT_NONE : ROOT_FOREIGN;
}

static bool is_role_of(const question *q, text level) {
    for (uint64_t left = q->who->roles; left; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left);
        if (i < q->p->n_roles && text_equal(level, (text){q->p->roles[i].name, q->p->roles[i].name_len}))
            return true;
    }
    return false;
}

/* The parser lets these placeholders stand only for the id behind 'alert' or 'room'. */
static relation find_relation(question *q) {
    if (!q->relation_known) {
        address_family family =
            text_equal(q->levels[ID_LEVEL - 1], TEXT("room")) ? ADDRESS_ROOM : ADDRESS_ALERT;
        q->relation =
            q->m ? membership_of(q->m, q->who->org, family, q->levels[ID_LEVEL], q->who->sub) : RELATION_NONE;
        q->relation_known = true;
    }
    return q->relation;
}

#define BIT(r) (1u << (r))

/* Which relations each placeholder stands for. A former raiser is kept from what {other} sees as the raiser
 * is: what they may not learn while the incident is open does not change because they canceled it. */
static const unsigned relations[LEVEL_KINDS] = {
    [LEVEL_MEMBER] =
        BIT(RELATION_RAISER) | BIT(RELATION_ASSIGNED) | BIT(RELATION_INVITED) | BIT(RELATION_MEMBER),
    [LEVEL_FAMILY] = BIT(RELATION_FAMILY),
    [LEVEL_RAISER] = BIT(RELATION_RAISER),
    [LEVEL_ASSIGNED] = BIT(RELATION_ASSIGNED),
    [LEVEL_FORMER] = BIT(RELATION_FORMER),
    [LEVEL_OTHER] = ~(BIT(RELATION_RAISER) | BIT(RELATION_FORMER) | BIT(RELATION_PAST)),
};

static bool level_fits(question *q, const pattern_level *want, text have) {
    switch ((level_kind)want->kind) {
    case LEVEL_LITERAL:
        return text_equal((text){want->ptr, want->len}, have);
    case LEVEL_ANY:
    case LEVEL_REST:
        return true;
    case LEVEL_ORG:
        return is_value(have, q->who->org);
    case LEVEL_SUB:
        return is_value(have, q->who->sub);
    case LEVEL_CLIENT:
        return is_value(have, q->who->client);
    case LEVEL_ROLE:
        return is_role_of(q, have);
    case LEVEL_MEMBER:
    case LEVEL_FAMILY:
    case LEVEL_RAISER:
    case LEVEL_ASSIGNED:
    case LEVEL_OTHER:
    case LEVEL_FORMER:
        return q->is_filter || (relations[want->kind] & BIT(find_relation(q))) != 0;
    case LEVEL_KINDS:
        break;
    }
    return false;
}

static bool pattern_fits(question *q, const pattern *pat, size_t at) {
    const pattern_level *want = q->p->levels + pat->first_level, *end = want + pat->n_levels;
    for (; want < end; want++, at++) {
        if (want->kind == LEVEL_REST)
            return true;
        if (at >= q->n_levels || is_wildcard(q->levels[at], '#') || !level_fits(q, want, q->levels[at]))
            return false;
    }
    return at == q->n_levels;
}

/* Every name below an organisation has ID_LEVEL + 2 levels (address_parse), so a '#' that ends a filter
 * earlier can only match names of that length. */
static void spell_out_rest(question *q) {
    static const text any = {"+", 1};
    if (!is_wildcard(q->levels[q->n_levels - 1], '#') || q->n_levels > ID_LEVEL + 2)
        return;
    q->n_levels--;
    while (q->n_levels < ID_LEVEL + 2)
        q->levels[q->n_levels++] = any;
}

static bool is_wide(const question *q, const pattern *pat) {
    const pattern_level *levels = q->p->levels + pat->first_level;
    level_kind first = (level_kind)levels[0].kind,
               id = pat->n_levels > 1 ? (level_kind)levels[1].kind : first;
    return pat->root == ROOT_ORG &&
           (first == LEVEL_REST || id == LEVEL_ANY || id == LEVEL_REST || id == LEVEL_OTHER);
}

static bool may(question *q, pattern_action action, text topic) {
    size_t root_levels;
    if (q->who->org.len == 0 || !split(q, topic))
        return false;
    pattern_root root = find_root(q, &root_levels);
    if (root == ROOT_NONE)
        return false;
    if (q->is_filter && root == ROOT_ORG)
        spell_out_rest(q);
    for (uint64_t left = q->who->roles; left; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left);
        if (i >= q->p->n_roles)
            return false;
        const pattern *pat = q->p->patterns + q->p->roles[i].first_pattern;
        for (const pattern *end = pat + q->p->roles[i].n_patterns; pat < end; pat++)
            if (pat->action == action && pat->root == root && (!q->only_wide || is_wide(q, pat)) &&
                pattern_fits(q, pat, root_levels))
                return true;
    }
    return false;
}

/* Not all of a question is worth zeroing: this runs for every delivery that the cache can't answer. */
static void ask(question *q, const policy *p, const membership *m, const policy_subject *who) {
    q->p = p;
    q->m = m;
    q->who = who;
    q->is_filter = q->only_wide = false;
    q->relation_known = false;
    q->n_levels = 0;
}

bool policy_may_publish(const policy *p, const membership *m, const policy_subject *who, text topic) {
    question q;
    ask(&q, p, m, who);
    return may(&q, ACTION_PUBLISH, topic);
}

bool policy_may_read(const policy *p, const membership *m, const policy_subject *who, text topic) {
    question q;
    ask(&q, p, m, who);
    return may(&q, ACTION_READ, topic);
}

bool policy_may_subscribe(const policy *p, const policy_subject *who, text filter) {
    question q;
    text unshared;
    ask(&q, p, NULL, who);
    q.is_filter = true;
    return topic_filter_valid(filter) && topic_unshare(filter, &unshared) && may(&q, ACTION_READ, unshared);
}

bool policy_reaches_others(const policy *p, const policy_subject *who, text filter) {
    question q;
    text unshared;
    ask(&q, p, NULL, who);
    q.is_filter = q.only_wide = true;
    return topic_filter_valid(filter) && topic_unshare(filter, &unshared) && may(&q, ACTION_READ, unshared);
}

size_t policy_role_count(const policy *p) {
    return p->n_roles;
}

const char *policy_role_name(const policy *p, size_t index) {
    return index < p->n_roles ? p->roles[index].name : NULL;
}

uint64_t policy_roles(const policy *p, const char *const *names, size_t count) {
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t r = 0; r < p->n_roles; r++)
            if (strcmp(names[i], p->roles[r].name) == 0)
                bits |= UINT64_C(1) << r;
    return bits;
}

policy *policy_free(policy *p) {
    if (p) {
        free(p->source);
        free(p->patterns);
        free(p->levels);
        free(p);
    }
    return NULL;
}
