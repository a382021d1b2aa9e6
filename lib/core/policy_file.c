/* policy_file.c - parses the text of a policy; the format is in policy.h.
 *
 * Line by line over the policy's own copy of the text. Room for patterns and levels is counted beforehand
 * (no line has more than one pattern, no pattern more levels than slashes and one), so nothing grows. That no
 * pattern leaves the organisation is decided here, once, by what a pattern may begin with. */
#include "policy_rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCE_MAX (1 << 20)

typedef struct parser {
    policy *p;
    policy_role *role; /* NULL before the first */
    policy_error *error;
    size_t line;
} parser;

PRINTF_LIKE(2, 3) static int refuse(parser *ps, const char *format, ...) {
    policy_error error = {.line = ps->line};
    va_list args;
    va_start(args, format);
    (void)vsnprintf(error.reason, sizeof error.reason, format, args);
    va_end(args);
    *ps->error = error;
    return -EBADMSG;
}

/* For "%.*s": long texts are cut, the reason has an end. */
#define QUOTED(t) (int)((t).len < 80 ? (t).len : 80), (t).ptr

/* Takes the first word off the line; spaces and tabs part words. Empty at the end. */
static text next_word(text *line) {
    *line = text_trim(*line);
    size_t len = 0;
    while (len < line->len && line->ptr[len] != ' ' && line->ptr[len] != '\t')
        len++;
    text word = {line->ptr, len};
    *line = (text){line->ptr + len, line->len - len};
    return word;
}

static bool is_clean(text line) {
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return false;
    }
    return text_is_utf8(line);
}

static int add_role(parser *ps, text name) {
    policy *p = ps->p;
    if (name.len == 0)
        return refuse(ps, "'role' needs a name");
    if (!topic_level_valid(name) || memchr(name.ptr, '{', name.len))
        return refuse(ps, "'%.*s' can't name a role: no '/', '+', '#', '{', at most %d bytes", QUOTED(name),
                      TOPIC_LEVEL_MAX);
    for (size_t i = 0; i < p->n_roles; i++)
        if (text_equal(name, (text){p->roles[i].name, p->roles[i].name_len}))
            return refuse(ps, "role '%.*s' is there already, in line %zu", QUOTED(name), p->roles[i].line);
    if (p->n_roles == POLICY_ROLES_MAX)
        return refuse(ps, "more than %d roles", POLICY_ROLES_MAX);
    ps->role = &p->roles[p->n_roles++];
    *ps->role = (policy_role){
        .name = name.ptr, .name_len = name.len, .line = ps->line, .first_pattern = p->n_patterns};
    return 0;
}

static const struct {
    text spelled;
    level_kind kind;
} placeholders[] = {
    {{"+", 1}, LEVEL_ANY},           {{"#", 1}, LEVEL_REST},
    {{"{org}", 5}, LEVEL_ORG},       {{"{sub}", 5}, LEVEL_SUB},
    {{"{client}", 8}, LEVEL_CLIENT}, {{"{role}", 6}, LEVEL_ROLE},
    {{"{member}", 8}, LEVEL_MEMBER}, {{"{family}", 8}, LEVEL_FAMILY},
    {{"{raiser}", 8}, LEVEL_RAISER}, {{"{assigned}", 10}, LEVEL_ASSIGNED},
    {{"{other}", 7}, LEVEL_OTHER},   {{"{former}", 8}, LEVEL_FORMER},
};

static level_kind kind_of(text level) {
    for (size_t i = 0; i < ARRAY_LEN(placeholders); i++)
        if (text_equal(level, placeholders[i].spelled))
            return placeholders[i].kind;
    return LEVEL_LITERAL;
}

static bool has_any(text t, const char *bytes) {
    for (size_t i = 0; i < t.len; i++)
        if (strchr(bytes, t.ptr[i]))
            return true;
    return false;
}

static int check_literal(parser *ps, text level) {
    if (level.len == 0)
        return refuse(ps, "the pattern has an empty level");
    if (has_any(level, "+#"))
        return refuse(ps, "'%.*s': a wildcard stands alone between slashes", QUOTED(level));
    if (has_any(level, "{}"))
        return refuse(ps,
                      "'%.*s' is none of {org} {sub} {client} {role} {member} {raiser} {assigned} {former} "
                      "{family} {other}",
                      QUOTED(level));
    if (!topic_level_valid(level))
        return refuse(ps, "a level of the pattern is longer than %d bytes or holds a control character",
                      TOPIC_LEVEL_MAX);
    return 0;
}

/* These ask about the incident or room whose id they stand for: right behind its family. */
static bool is_relation(level_kind kind) {
    return kind >= LEVEL_MEMBER && kind < LEVEL_KINDS;
}

static int check_place(parser *ps, const pattern *pat, text level, level_kind kind) {
    const pattern_level *before = ps->p->levels + pat->first_level;
    bool second = pat->root == ROOT_ORG && pat->n_levels == 1 && before->kind == LEVEL_LITERAL;
    text family = second ? (text){before->ptr, before->len} : TEXT("");
    if (text_equal(family, TEXT("alert")) || (kind == LEVEL_MEMBER && text_equal(family, TEXT("room"))))
        return 0;
    return refuse(ps, "%.*s can only stand right behind mayday/v1/{org}/alert/%s", QUOTED(level),
                  kind == LEVEL_MEMBER ? " or mayday/v1/{org}/room/" : "");
}

static int add_level(parser *ps, pattern *pat, size_t root_levels, text level, bool last) {
    level_kind kind = kind_of(level);
    int fault = 0;
    if (root_levels + pat->n_levels == POLICY_LEVELS_MAX)
        return refuse(ps, "the pattern has more than %d levels", POLICY_LEVELS_MAX);
    if (kind == LEVEL_LITERAL)
        fault = check_literal(ps, level);
    else if (kind == LEVEL_REST && !last)
        fault = refuse(ps, "'#' can only be the last level");
    else if (is_relation(kind))
        fault = check_place(ps, pat, level, kind);
    if (fault < 0)
        return fault;
    ps->p->levels[ps->p->n_levels++] =
        (pattern_level){.ptr = level.ptr, .len = (uint32_t)level.len, .kind = (uint8_t)kind};
    pat->n_levels++;
    return 0;
}

static bool take_prefix(text *from, text prefix) {
    if (!text_starts_with(*from, prefix))
        return false;
    *from = (text){from->ptr + prefix.len, from->len - prefix.len};
    return true;
}

/* Wildcards and placeholders must not reach from there into what is ours. */
static bool is_foreign(text spelled) {
    text rest = spelled, first;
    return text_next(&rest, '/', &first) && first.len > 0 && first.ptr[0] != '$' && !has_any(first, "+#{}") &&
           !text_equal(first, TEXT("mayday"));
}

/* Sets *rest to what stands behind the root, with a NULL ptr when that is nothing. */
static int take_root(parser *ps, text spelled, pattern *pat, text *rest, size_t *ret_levels) {
    *rest = spelled;
    *ret_levels = 3;
    if (take_prefix(rest, TEXT("mayday/v1/{org}/"))) {
        pat->root = ROOT_ORG;
        return 0;
    }
    if (take_prefix(rest, TEXT("$CONTROL/mayday/v1")) && (rest->len == 0 || take_prefix(rest, TEXT("/")))) {
        pat->root = ROOT_CONTROL;
        if (text_equal(spelled, TEXT("$CONTROL/mayday/v1")))
            *rest = (text){NULL, 0};
        return 0;
    }
    *rest = spelled;
    if (take_prefix(rest, TEXT("$SYS/"))) {
        pat->root = ROOT_SYS;
        *ret_levels = 1;
        return pat->action == ACTION_READ ? 0 : refuse(ps, "what is below $SYS/ can only be read");
    }
    if (is_foreign(spelled)) {
        pat->root = ROOT_FOREIGN;
        *ret_levels = 0;
        return pat->action == ACTION_READ
                   ? 0
                   : refuse(ps, "what is not below mayday/v1/{org}/ can only be read: '%.*s'",
                            QUOTED(spelled));
    }
    if (take_prefix(rest, TEXT("mayday/v1/+")) || take_prefix(rest, TEXT("mayday/v1/#")))
        return refuse(ps, "'%.*s' would reach into other organisations: write mayday/v1/{org}/",
                      QUOTED(spelled));
    return refuse(ps, "'%.*s' does not begin with mayday/v1/{org}/, $CONTROL/mayday/v1 or $SYS/",
                  QUOTED(spelled));
}

static int add_pattern(parser *ps, pattern_action action, text spelled) {
    policy *p = ps->p;
    pattern pat = {.first_level = (uint32_t)p->n_levels, .action = (uint8_t)action};
    text rest, level;
    size_t root_levels;
    if (!ps->role)
        return refuse(ps, "there is no 'role' above this line");
    if (spelled.len == 0)
        return refuse(ps, "'%s' needs a pattern", action == ACTION_READ ? "read" : "publish");
    int fault = take_root(ps, spelled, &pat, &rest, &root_levels);
    while (fault == 0 && text_next(&rest, '/', &level))
        fault = add_level(ps, &pat, root_levels, level, rest.ptr == NULL);
    if (fault < 0)
        return fault;
    p->patterns[p->n_patterns++] = pat;
    ps->role->n_patterns++;
    return 0;
}

static int parse_line(parser *ps, text line) {
    if (!is_clean(line))
        return refuse(ps, "the line holds a control character or is not UTF-8");
    text word = next_word(&line);
    if (word.len == 0 || word.ptr[0] == '#')
        return 0;
    text subject = next_word(&line), extra = next_word(&line);
    if (extra.len > 0)
        return refuse(ps, "'%.*s' is one word too many", QUOTED(extra));
    if (text_equal(word, TEXT("role")))
        return add_role(ps, subject);
    if (text_equal(word, TEXT("publish")))
        return add_pattern(ps, ACTION_PUBLISH, subject);
    if (text_equal(word, TEXT("read")))
        return add_pattern(ps, ACTION_READ, subject);
    return refuse(ps, "'%.*s' is none of role, publish, read", QUOTED(word));
}

/* Line ends may be CR LF. An empty policy would lock everybody out, and is what a half-saved file looks like:
 * it is refused. */
static int parse_lines(parser *ps, size_t len) {
    text rest = {ps->p->source, len}, line;
    while (text_next(&rest, '\n', &line)) {
        ps->line++;
        int fault = parse_line(ps, text_trim(line));
        if (fault < 0)
            return fault;
    }
    return ps->p->n_roles > 0 ? 0 : refuse(ps, "the policy names no role");
}

/* Only now, because a name's end may be the end of a line that was still to be split. */
static void end_role_names(policy *p) {
    for (size_t i = 0; i < p->n_roles; i++)
        p->source[(size_t)(p->roles[i].name - p->source) + p->roles[i].name_len] = '\0';
}

static policy *make_room(text source) {
    size_t lines = 1, levels = 1;
    for (size_t i = 0; i < source.len; i++) {
        lines += source.ptr[i] == '\n';
        levels += source.ptr[i] == '\n' || source.ptr[i] == '/';
    }
    policy *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->source = text_copy(source);
    p->patterns = calloc(lines, sizeof *p->patterns);
    p->levels = calloc(levels, sizeof *p->levels);
    return p->source && p->patterns && p->levels ? p : policy_free(p);
}

int policy_parse(text source, policy **ret_policy, policy_error *ret_error) {
    parser ps = {.error = ret_error, .line = 1};
    if (source.len > SOURCE_MAX)
        return refuse(&ps, "the policy is larger than %d bytes", SOURCE_MAX);
    CLEANUP(policy_freep) policy *p = make_room(source);
    if (!p)
        return -ENOMEM;
    ps.p = p;
    ps.line = 0;
    int fault = parse_lines(&ps, source.len);
    if (fault < 0)
        return fault;
    end_role_names(p);
    *ret_policy = p;
    p = NULL;
    return 0;
}
