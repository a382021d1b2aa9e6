/* body_words.c - a finding in words: what, where it stands, doing what, for how long; against what. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/body_private.h"

static const char *const doing[] = {
    [CONTEXT_UNKNOWN] = "",
    [CONTEXT_REST] = " at rest",
    [CONTEXT_MOVING] = " while moving",
    [CONTEXT_EXERCISE] = " during exercise",
    [CONTEXT_RECOVERY] = " after effort",
};

typedef struct words {
    char *to;
    size_t len;
} words;

PRINTF_LIKE(2, 3) static void add(words *w, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->to + w->len, BODY_WORDS_MAX - w->len, format, args);
    va_end(args);
    if (n > 0) {
        w->len += (size_t)n;
        if (w->len >= BODY_WORDS_MAX)
            w->len = BODY_WORDS_MAX - 1;
    }
}

/* The formats are ours: each has one number. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void add_value(words *w, signal s, double value) {
    add(w, signal_of(s)->phrase, value);
}
#pragma GCC diagnostic pop

static void add_signal(words *w, signal s, const double signals[SIGNALS]) {
    if (s == SIGNAL_TOUCHING)
        add(w, "sensor %s the skin", signals[s] > 0 ? "on" : "off");
    else
        add_value(w, s, signals[s]);
}

static void add_duration(words *w, int64_t us) {
    int64_t s = us / INSTANT_SECOND;
    if (s <= 0)
        return;
    if (s < 180)
        add(w, " for %lld s", (long long)s);
    else
        add(w, " for %lld min", (long long)(s / 60));
}

static void add_partial(words *w, const rule *r, const finding *f) {
    if ((r->is.of == SIGNAL_NEWS2 || r->is.of == SIGNAL_NEWS2_SINGLE) && f->score.partial)
        add(w, " (partial)");
}

void body_say(const body *b, const rule *r, const double signals[SIGNALS], finding *f) {
    const signal_row *row = signal_of(r->is.of);
    words w = {f->words, 0};
    (void)b;
    if (f->kind == FINDING_ENDS)
        add(&w, "over: ");
    else if (f->kind == FINDING_GROWS)
        add(&w, "worse: ");
    double value = signals[r->is.of];
    bool holds = r->is.below ? value < r->is.limit : value > r->is.limit; /* it ended for another reason */
    if (f->kind == FINDING_ENDS && row->keeps && !holds) {
        add(&w, "%s again", row->name);
        return;
    }
    if (isnan(signals[r->is.of])) {
        add(&w, "%s is not known any more", row->name);
        return;
    }
    if (row->of < VITALS && (int)r->is.of != (int)row->of && !isnan(signals[row->of])) {
        add_value(&w, (signal)row->of, signals[row->of]);
        add(&w, ", ");
    }
    add_signal(&w, r->is.of, signals);
    add_partial(&w, r, f);
    add(&w, "%s", doing[f->context]);
    if (f->kind != FINDING_ENDS && !row->keeps)
        add_duration(&w, f->at - f->since);
    if (!isnan(f->usual))
        add(&w, row->of == VITAL_TEMP ? "; usual %.1f" : "; usual %.0f", f->usual);
    add(&w, "%s limit %g", isnan(f->usual) ? ";" : ",", f->limit);
    for (size_t i = 0; f->kind != FINDING_ENDS && i < r->also_count; i++) {
        signal also = r->also[i].of;
        if (signal_of(also)->of == row->of && row->of < VITALS)
            continue; /* "usual 71" has said it */
        if (r->also[i].below && signal_of(also)->keeps)
            continue; /* a time that is short is nothing to tell */
        add(&w, "; ");
        add_signal(&w, also, signals);
    }
}
