/* body_limits.c - the rules of one person: the layers that apply, laid over each other; see
 * body_rules_private.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "core/body_rules_private.h"

static const setting_row settings[SETTINGS] = {
    [SETTING_AGE] = {"age", false, 14, 110, 20},
    [SETTING_USUAL_PULSE] = {"usual_pulse", false, 30, 120, NAN},
    [SETTING_SCALE2] = {"spo2_scale2", true, 0, 1, 0},
    [SETTING_OXYGEN] = {"oxygen", true, 0, 1, NAN},
    [SETTING_QUALITY] = {"quality", false, 0, 100, 40},
    [SETTING_SPO2_QUALITY] = {"spo2_quality", false, 0, 100, 60},
    [SETTING_SPO2_STEADY_G] = {"spo2_steady_g", false, 0.01, 50, 0.2},
    [SETTING_STILL_G] = {"still_g", false, 0.001, 1, 0.03},
    [SETTING_REST_G] = {"rest_g", false, 0.005, 2, 0.1},
    [SETTING_EXERCISE_G] = {"exercise_g", false, 0.05, 5, 0.45},
    [SETTING_MOVING_MPS] = {"moving_mps", false, 0.1, 5, 0.7},
    [SETTING_EXERCISE_MPS] = {"exercise_mps", false, 0.5, 10, 2.1},
    [SETTING_VEHICLE_MPS] = {"vehicle_mps", false, 2, 30, 7},
    [SETTING_SETTLE_S] = {"settle", false, 0, 600, 20},
    [SETTING_RECOVERY_LEAST_S] = {"recovery_least", false, 0, 3600, 120},
    [SETTING_RECOVERY_MOST_S] = {"recovery_most", false, 0, 7200, 1200},
    [SETTING_RECOVERED_OVER] = {"recovered_over", false, 5, 100, 30},
    [SETTING_WORRY_S] = {"worry", false, 5, 600, 45},
    [SETTING_STUCK_S] = {"stuck", false, 30, 3600, 300},
};

const setting_row *body_setting(setting s) {
    return &settings[s];
}

static uint32_t hash_of(const char *name, uint32_t hash) {
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u; /* FNV-1a */
    return hash ? hash : 1;
}

static void overlay_rule(body_limits *l, const body_rules *r, const patch *p) {
    rule *to = &l->rules[p->id];
    const rule *from = &p->rule;
    if (!to->name[0]) {
        *to = (rule){.when = (2u << CONTEXT_RECOVERY) - 1, .clear_ms = 60000, .quiet_ms = 900000};
        to->margin = to->step = NAN;
        to->source = "";
        memcpy(to->name, r->names[p->id], sizeof to->name);
    }
    if (p->set & M_IS)
        to->is = from->is;
    if (p->set & M_LIMIT)
        to->is.limit = from->is.limit;
    if (p->set & M_ALSO) {
        memcpy(to->also, from->also, sizeof to->also);
        to->also_count = from->also_count;
    }
    to->when = p->set & M_WHEN ? from->when : to->when;
    to->for_ms = p->set & M_FOR ? from->for_ms : to->for_ms;
    to->clear_ms = p->set & M_CLEAR ? from->clear_ms : to->clear_ms;
    to->quiet_ms = p->set & M_QUIET ? from->quiet_ms : to->quiet_ms;
    to->margin = p->set & M_MARGIN ? from->margin : to->margin;
    to->step = p->set & M_STEP ? from->step : to->step;
    to->response = p->set & M_RESPONSE ? from->response : to->response;
    to->off = p->set & M_OFF ? from->off : to->off;
    to->source = p->set & M_SOURCE ? from->source : to->source;
}

static void overlay(body_limits *l, const body_rules *r, const layer *from) {
    for (size_t i = 0; i < from->count; i++)
        overlay_rule(l, r, &from->patches[i]);
    for (size_t i = 0; i < SETTINGS; i++)
        if (from->settings_set & 1u << i)
            l->settings[i] = from->settings[i];
}

static void resolve(const body_rules *r, const layer *person, resolved *to) {
    body_limits *l = &to->limits;
    for (size_t i = 0; i < SETTINGS; i++)
        l->settings[i] = settings[i].missing;
    overlay(l, r, &r->shipped);
    overlay(l, r, &r->org);
    for (size_t i = 0; i < r->roles.count; i++)
        if (to->roles & UINT64_C(1) << i)
            overlay(l, r, &r->roles.all[i]);
    if (person)
        overlay(l, r, person);
    l->count = r->name_count;
    l->stamp = 2166136261u;
    for (size_t i = 0; i < l->count; i++) {
        rule *at = &l->rules[i];
        l->hashes[i] = hash_of(r->names[i], 2166136261u);
        l->stamp = hash_of(r->names[i], l->stamp * 31);
        if (isnan(at->margin))
            at->margin = signal_of(at->is.of)->margin;
        if (isnan(at->step))
            at->step = 0;
    }
}

static const layer *role_named(const layers *l, text name) {
    for (size_t i = 0; i < l->count; i++)
        if (text_equal(text_of(l->all[i].name), name))
            return &l->all[i];
    return NULL;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const layer *)a)->name, ((const layer *)b)->name);
}

void body_rules_sort(body_rules *r) {
    if (r->people.count > 1)
        qsort(r->people.all, r->people.count, sizeof *r->people.all, by_name);
}

static int order(text a, text b) {
    size_t both = a.len < b.len ? a.len : b.len;
    int first = both ? memcmp(a.ptr, b.ptr, both) : 0;
    return first ? first : (a.len > b.len) - (a.len < b.len);
}

static layer *person_named(const layers *l, text name) {
    size_t from = 0, to = l->count;
    while (from < to) {
        size_t at = from + (to - from) / 2;
        int found = order(name, text_of(l->all[at].name));
        if (found == 0)
            return &l->all[at];
        if (found < 0)
            to = at;
        else
            from = at + 1;
    }
    return NULL;
}

int body_rules_for(body_rules *r, text person, const text *roles, size_t role_count,
                   const body_limits **ret_limits) {
    layer *own = person_named(&r->people, person);
    resolved **all = own ? &own->resolved : &r->resolved;
    uint64_t bits = 0;
    for (size_t i = 0; i < role_count; i++) {
        const layer *of = role_named(&r->roles, roles[i]);
        bits |= of ? UINT64_C(1) << (of - r->roles.all) : 0;
    }
    for (const resolved *at = *all; at; at = at->next)
        if (at->roles == bits) {
            *ret_limits = &at->limits;
            return 0;
        }
    resolved *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    made->roles = bits;
    resolve(r, own, made);
    made->next = *all;
    *all = made;
    *ret_limits = &made->limits;
    return 0;
}

bool body_limits_rule(const body_limits *l, size_t index, body_rule_view *ret_rule) {
    for (size_t i = 0; i < l->count; i++) {
        const rule *at = &l->rules[i];
        if (at->name[0] && index-- == 0) {
            *ret_rule = (body_rule_view){at->name, at->source, at->response, at->off};
            return true;
        }
    }
    return false;
}
