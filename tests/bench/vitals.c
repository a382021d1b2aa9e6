/* vitals.c - how well distress is found in simulated people (tools/people), beside fixed thresholds on the
 * very same readings; what judging a reading costs, and what a body takes in memory.
 *
 * Usage: vitals calm FIRST COUNT       that many working days with exercise, from that seed on
 *        vitals PERIL FIRST COUNT      that many people in that peril ("arrest", "heat", ...)
 *        vitals cost COUNT             readings of 1,000 people in turn
 *        vitals tell WHICH SEED        one of the days, each thing said on a line, for people
 *        vitals dump WHICH SEED FROM COUNT   readings of one of the days, a line each, for people
 * Before all that: --rules FILE, rules of an organisation over the shipped ones.
 * One line of JSON on stdout, except for the last two. */
#include "people/judge.h"

#include "base/conf.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BEGINS     INT64_C(1795000000000000)
#define MISSED_MAX 12 /* named of those not found */

static void die(const char *what) {
    fprintf(stderr, "vitals: %s\n", what);
    exit(EXIT_FAILURE);
}

static int64_t number(const char *from) {
    char *end;
    long long n = strtoll(from, &end, 10);
    if (*end || n < 0)
        die("expected a number");
    return n;
}

static const body_limits *limits_of(body_rules *rules) {
    const body_limits *limits = NULL;
    if (body_rules_for(rules, TEXT("somebody"), NULL, 0, &limits) < 0)
        die("out of memory");
    return limits;
}

static void make(const char *which, uint64_t seed, day *d) {
    peril p;
    if (strcmp(which, "calm") == 0)
        day_calm(seed, BEGINS, d);
    else if (peril_named(text_of(which), &p) && p != PERIL_NONE)
        day_of_peril(seed, p, BEGINS, d);
    else
        die("there is no such peril");
}

/* ---- many of one kind ---- */

typedef struct tally {
    int64_t people, found, anyhow, false_alarms, alarms, notes, readings;
    int64_t disturbed; /* people who had a false alarm at all */
    double *sign, *raised;
    int64_t raised_count;
    int64_t missed[MISSED_MAX];
    int64_t missed_count;
} tally;

static void add(tally *t, const verdict *v, int64_t seed) {
    t->people++;
    t->false_alarms += v->false_alarms;
    t->alarms += v->alarms;
    t->disturbed += v->false_alarms > 0;
    t->notes += v->notes;
    t->readings += v->readings;
    if (v->found)
        t->sign[t->found++] = v->sign_s;
    else if (v->struck && t->missed_count < MISSED_MAX)
        t->missed[t->missed_count++] = seed;
    if (!isnan(v->raised_s))
        t->raised[t->raised_count++] = v->raised_s;
}

static void add_anyhow(tally *t, const verdict *with, const verdict *without) {
    t->anyhow += with->found && without->anyhow;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void put_times(const char *name, double *of, int64_t count) {
    qsort(of, (size_t)count, sizeof *of, by_size);
    if (count == 0)
        printf(",\"%s\":null", name);
    else
        printf(",\"%s\":{\"p50\":%.0f,\"p95\":%.0f,\"max\":%.0f}", name, of[(count - 1) / 2],
               of[(int64_t)((double)(count - 1) * 0.95)], of[count - 1]);
}

static void put(const char *name, tally *t) {
    printf("{\"rule\":\"%s\",\"people\":%" PRId64 ",\"found\":%" PRId64 ",\"anyhow\":%" PRId64
           ",\"false_alarms\":%" PRId64 ",\"alarms\":%" PRId64 ",\"disturbed\":%" PRId64
           ",\"notes\":%" PRId64,
           name, t->people, t->found, t->anyhow, t->false_alarms, t->alarms, t->disturbed, t->notes);
    put_times("sign_s", t->sign, t->found);
    put_times("raised_s", t->raised, t->raised_count);
    fputs(",\"missed\":[", stdout);
    for (int64_t i = 0; i < t->missed_count; i++)
        printf("%s%" PRId64, i ? "," : "", t->missed[i]);
    fputs("]}", stdout);
}

static void judge_many(const char *which, const body_limits *limits, int64_t first, int64_t count) {
    tally ours = {0}, fixed[FIXED_RULES] = {0};
    double *room = calloc((size_t)count * 2 * (1 + FIXED_RULES), sizeof *room);
    day *d = malloc(sizeof *d), *without = malloc(sizeof *d);
    if (!room || !d || !without)
        die("out of memory");
    ours.sign = room;
    ours.raised = room + count;
    for (size_t k = 0; k < FIXED_RULES; k++) {
        fixed[k].sign = room + count * (2 + 2 * (int64_t)k);
        fixed[k].raised = fixed[k].sign + count;
    }
    for (int64_t seed = first; seed < first + count; seed++) {
        verdict a, b[FIXED_RULES];
        make(which, (uint64_t)seed, d);
        if (judge_day(d, limits, &a, b, NULL) < 0)
            die("out of memory");
        add(&ours, &a, seed);
        for (size_t k = 0; k < FIXED_RULES; k++)
            add(&fixed[k], &b[k], seed);
        if (!a.struck)
            continue;
        verdict c, e[FIXED_RULES];
        day_without(d, without);
        if (judge_day(without, limits, &c, e, NULL) < 0)
            die("out of memory");
        add_anyhow(&ours, &a, &c);
        for (size_t k = 0; k < FIXED_RULES; k++)
            add_anyhow(&fixed[k], &b[k], &e[k]);
    }
    printf("{\"which\":\"%s\",\"first\":%" PRId64 ",\"people\":%" PRId64 ",\"readings\":%" PRId64
           ",\"ours\":",
           which, first, count, ours.readings);
    put("ours", &ours);
    fputs(",\"fixed\":[", stdout);
    for (size_t k = 0; k < FIXED_RULES; k++) {
        fputs(k ? "," : "", stdout);
        put(fixed_rules[k].name, &fixed[k]);
    }
    puts("]}");
    free(room);
    free(d);
    free(without);
}

/* ---- what it costs ---- */

#define CROWD 1000

/* Of the processor: others may be busy beside us. */
static int64_t worked_ns(void) {
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0)
        die("there is no clock of the processor");
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void cost(const body_limits *limits, int64_t count) {
    static reading recorded[3600];
    static double speeds[ARRAY_LEN(recorded)];
    body *bodies[CROWD];
    day *d = malloc(sizeof *d);
    life l;
    moment m;
    size_t have = 0;
    int64_t found = 0, plain = 0;
    if (!d)
        die("out of memory");
    traits who = traits_of(4);
    who.period_s = 1;
    day_begin(4, &who, BEGINS, d);
    day_add(d, DOING_REST, 0.5, 1200);
    day_add(d, DOING_RUN, 0.5, 1200);
    day_add(d, DOING_REST, 0.5, 1200);
    life_begin(d, 51.5, 0, &l);
    while (have < ARRAY_LEN(recorded) && life_next(&l, &m)) {
        speeds[have] = m.placed ? m.place.speed : 0;
        recorded[have++] = m.body;
    }
    for (size_t i = 0; i < CROWD; i++)
        if (body_new(&bodies[i]) < 0)
            die("out of memory");
    int64_t begun = worked_ns();
    for (int64_t i = 0; i < count; i++) { /* all of them each second: none is in the processor's cache */
        finding f[BODY_FINDINGS_MAX];
        body_trust trust;
        size_t second = (size_t)(i / CROWD) % have;
        found += (int64_t)body_take(bodies[i % CROWD], limits, &recorded[second], speeds[second],
                                    recorded[second].at, f, &trust);
    }
    int64_t ours = worked_ns() - begun;
    int64_t since[CROWD] = {0};
    begun = worked_ns();
    for (int64_t i = 0; i < count; i++) { /* three comparisons and a clock */
        const reading *r = &recorded[(size_t)(i / CROWD) % have];
        bool broken = r->value[VITAL_HR] < 40 || r->value[VITAL_HR] > 130 || r->value[VITAL_SPO2] < 90;
        since[i % CROWD] = broken ? since[i % CROWD] ? since[i % CROWD] : r->at : 0;
        plain += broken && r->at - since[i % CROWD] >= 10 * INSTANT_SECOND;
    }
    int64_t fixed = worked_ns() - begun;
    printf("{\"readings\":%" PRId64
           ",\"ours_ns\":%.1f,\"fixed_ns\":%.1f,\"body_bytes\":%zu,\"said\":[%" PRId64 ",%" PRId64 "]}\n",
           count, (double)ours / (double)count, (double)fixed / (double)count, body_size(), found, plain);
    for (size_t i = 0; i < CROWD; i++)
        body_free(bodies[i]);
    free(d);
}

/* ---- one day, for people ---- */

static void describe(const day *d) {
    const traits *t = &d->who;
    printf("age %d, pulse %.0f to %.0f, fitness %.2f%s%s, %s every %" PRId64 " s%s%s\n", t->age, t->resting,
           t->highest, t->fitness, t->blocker ? ", beta blocker" : "", t->apnoea ? ", apnoea" : "",
           t->strap ? "strap" : "watch", t->period_s, t->tells_contact ? ", tells contact" : "",
           t->feels_falls ? ", feels falls" : "");
    for (size_t i = 0; i < d->spell_count; i++)
        printf("  %6" PRId64 " %-7s %.2f\n", d->spells[i].from_s, doing_name(d->spells[i].what),
               d->spells[i].effort);
    for (size_t i = 0; i < d->trouble_count; i++)
        printf("  %6" PRId64 "-%" PRId64 " %s\n", d->troubles[i].from_s, d->troubles[i].to_s,
               hitch_name(d->troubles[i].what));
    if (d->peril)
        printf("  %6" PRId64 "-%" PRId64 " PERIL %s\n", d->peril_from_s, d->peril_to_s, peril_name(d->peril));
}

static void tell(const char *which, const body_limits *limits, int64_t seed) {
    static day d;
    verdict v, others[FIXED_RULES];
    make(which, (uint64_t)seed, &d);
    describe(&d);
    if (judge_day(&d, limits, &v, others, stdout) < 0)
        die("out of memory");
    for (size_t k = 0; k < FIXED_RULES; k++)
        printf("%s: %" PRId64 " false, %s first %s\n", fixed_rules[k].name, others[k].false_alarms,
               others[k].found ? "found" : "", others[k].first);
}

static void dump(const char *which, int64_t seed, int64_t from, int64_t count) {
    static day d;
    life l;
    moment m;
    make(which, (uint64_t)seed, &d);
    describe(&d);
    life_begin(&d, 51.5, 0, &l);
    while (life_next(&l, &m))
        if (m.second >= from && m.second < from + count)
            printf("%6" PRId64 " %-6s true %5.1f %5.1f %5.2f %-8s %s hr %5.0f spo2 %4.0f temp %4.1f motion "
                   "%.3f q %3.0f c %d e %d v %.1f\n",
                   m.second, doing_name(m.doing), m.pulse, m.arterial, m.core, peril_name(m.peril),
                   m.said ? "" : "-", m.said ? m.body.value[VITAL_HR] : (double)NAN,
                   m.said ? m.body.value[VITAL_SPO2] : (double)NAN,
                   m.said ? m.body.value[VITAL_TEMP] : (double)NAN, m.said ? m.body.motion : (double)NAN,
                   m.said ? m.body.quality : (double)NAN, m.said ? (int)m.body.contact : -1,
                   m.said ? (int)m.body.event : -1, m.placed ? m.place.speed : (double)NAN);
}

static body_rules *rules_of(const char *path) {
    CLEANUP(buf_release) buf content = BUF(1 << 20);
    CLEANUP(json_freep) json *document = NULL;
    body_rules *rules = NULL;
    char why[BODY_WHY_MAX] = "";
    if (!path && body_rules_default(&rules) < 0)
        die("the shipped rules cannot be read");
    if (!path)
        return rules;
    if (file_read(path, content.limit, &content) < 0 ||
        json_parse_once(buf_text(&content), &document) != JSON_OK ||
        body_rules_parse(document, &rules, why) < 0)
        die(why[0] ? why : path);
    return rules;
}

int main(int argc, char **argv) {
    const char *path = argc > 2 && strcmp(argv[1], "--rules") == 0 ? argv[2] : NULL;
    CLEANUP(body_rules_freep) body_rules *rules = rules_of(path);
    const body_limits *limits = limits_of(rules);
    argc -= path ? 2 : 0;
    argv += path ? 2 : 0;
    if (argc == 3 && strcmp(argv[1], "cost") == 0)
        cost(limits, number(argv[2]));
    else if (argc == 4 && strcmp(argv[1], "tell") == 0)
        tell(argv[2], limits, number(argv[3]));
    else if (argc == 6 && strcmp(argv[1], "dump") == 0)
        dump(argv[2], number(argv[3]), number(argv[4]), number(argv[5]));
    else if (argc == 4)
        judge_many(argv[1], limits, number(argv[2]), number(argv[3]));
    else
        die("usage: vitals calm|PERIL FIRST COUNT | cost COUNT | tell WHICH SEED | dump WHICH SEED FROM "
            "COUNT");
    return EXIT_SUCCESS;
}
