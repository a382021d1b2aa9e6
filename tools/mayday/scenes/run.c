/* run.c - an officer's run that alarms nobody, and then a collapse: olga rests, walks and runs, and her watch
 * tells how her body is; nobody is asked or told anything. Then her heart races, and she goes down. Dispatch
 * sees it, she is asked whether she is OK, she can't answer, and silence becomes a medical alarm with the
 * readings in it, which goes on by text and by telephone until somebody answers. Each step must come about
 * within its bound; the first that does not ends it. */
#include <stdio.h>
#include <string.h>

#include "scenes/run.h"

#define PAUSE_US (INSTANT_SECOND * 3 / 10)
#define ID_MAX   (UUID_TEXT_LEN + 1)

extern const scenario scenario_run;

typedef struct run {
    person *olga, *dora;
    run_watch watch;
    char check[ID_MAX]; /* the question on her watch, or "" */
    int64_t within_s;   /* how long she has to answer */
    bool disturbed;     /* somebody was asked, or an alarm raised, before anything was wrong */
    char found[400];    /* what dispatch was told of first that asks or raises */
    char alert[ID_MAX], leftover[ID_MAX]; /* her incident; one from another time */
    json *readings;
    bool stored, answered, over_with, ended;
    size_t step;
    instant step_begun, not_before;
    bool under_way;
} run;

typedef struct step {
    const char *does;
    int (*begin)(scene *s, instant now); /* NULL: it only waits */
    bool (*happened)(const scene *s);
    const char *then;
    bool waits; /* for her answer, too */
} step;

static const char *const olga_listens[] = {"user/*/check", "alert/+/state", NULL};
static const char *const dora_listens[] = {"user/+/vital_alert", "alert/+/raise", NULL};

static run *run_of(const scene *s) {
    return s->state;
}

/* ---- what is done ---- */

static int cancel(person *by, const char *alert, const char *reason, instant now) {
    uuid id = link_new_id();
    char below[128];
    CLEANUP(payload_release) payload p = payload_new(&id, now);
    payload_text(&p, "action", "cancel");
    payload_text(&p, "reason", reason);
    (void)snprintf(below, sizeof below, "alert/%s/action", alert);
    return crowd_say(by, below, &p, true, TAG_STEP);
}

static int close_leftover(scene *s, instant now) {
    const run *r = run_of(s);
    return *r->leftover ? cancel(r->olga, r->leftover, "left over from another run", now) : EXIT_DONE;
}

static int watch_tells(scene *s, instant now) {
    run_watch_begin(&run_of(s)->watch, now);
    return EXIT_DONE;
}

static int olga_wakes(scene *s, instant now) {
    const run *r = run_of(s);
    return cancel(r->olga, r->alert, "The ambulance is here. I am awake.", now);
}

/* ---- what can have come about ---- */

static bool listening(const scene *s) {
    return run_of(s)->olga->listening && run_of(s)->dora->listening;
}

static bool nothing_left_over(const scene *s) {
    return !*run_of(s)->leftover;
}

static bool ran(const scene *s) {
    return run_watch_struck(&run_of(s)->watch) && !run_of(s)->disturbed;
}

static bool seen(const scene *s) {
    return *run_of(s)->found;
}

static bool asked(const scene *s) {
    return *run_of(s)->check;
}

static bool raised(const scene *s) {
    return *run_of(s)->alert && run_of(s)->readings;
}

static bool stored(const scene *s) {
    return run_of(s)->stored;
}

static bool answered(const scene *s) {
    return run_of(s)->answered;
}

static bool over_with(const scene *s) {
    return run_of(s)->over_with;
}

static const step steps[] = {
    {NULL, NULL, listening, "olga's watch and dora's screen are connected", false},
    {NULL, close_leftover, nothing_left_over, "nothing of hers is open from another time", false},
    {"olga's watch is in reach again: what it kept comes faster than it happened", watch_tells, ran,
     "she ran, and nobody was asked or alarmed", false},
    {"her heart races, and she goes down", NULL, seen, "dora sees what is wrong", false},
    {NULL, NULL, asked, "olga is asked whether she is OK", false},
    {"nobody answers", NULL, raised, "silence is a medical alarm, with her readings", true},
    {NULL, NULL, stored, "it is stored", false},
    {"nobody looks at a screen; Mayday reaches out", NULL, answered, "somebody answered by telephone", false},
    {"olga is awake, and cancels", olga_wakes, over_with, "it is over", false},
};

/* ---- the order of things ---- */

static int enter(scene *s) {
    run *r = run_of(s);
    r->step_begun = s->begun;
    r->olga = &s->all->people[s->first_of_cast];
    r->dora = r->olga + 1;
    int code = crowd_enter(s->all, s->first_of_cast, "olga", s->org, "member", olga_listens);
    return code == EXIT_DONE
               ? crowd_enter(s->all, s->first_of_cast + 1, "dora", s->org, "dispatcher", dora_listens)
               : code;
}

static int64_t bound_us(const scene *s, const step *now_on) {
    const run *r = run_of(s);
    return (s->bound_ms + (now_on->waits ? r->within_s * 1000 : 0) +
            (now_on->begin == watch_tells ? 30000 : 0)) *
           1000;
}

static int begin_step(scene *s, const step *now_on, instant now) {
    run *r = run_of(s);
    r->under_way = true;
    r->step_begun = now;
    if (now_on->does)
        scene_line(s, now, "%s", now_on->does);
    return now_on->begin ? now_on->begin(s, now) : EXIT_DONE;
}

static int turn(scene *s, instant now) {
    run *r = run_of(s);
    const step *now_on = &steps[r->step < ARRAY_LEN(steps) ? r->step : ARRAY_LEN(steps) - 1];
    int code = run_watch_turn(s, &r->watch, r->olga, now);
    if (code != EXIT_DONE || r->ended || (!r->under_way && now < r->not_before))
        return code;
    if (!r->under_way)
        code = begin_step(s, now_on, now);
    if (code != EXIT_DONE)
        return code;
    if (now_on->happened(s)) {
        scene_line(s, now, "-> %s (%.1f s)", now_on->then, (double)(now - r->step_begun) / 1e6);
        r->under_way = false;
        r->ended = ++r->step == ARRAY_LEN(steps);
        r->not_before = now + PAUSE_US;
    } else if (r->disturbed || now >= r->step_begun + bound_us(s, now_on)) {
        r->ended = true;
    }
    return EXIT_DONE;
}

static void acked(scene *s, person *p, const parcel *what, uint8_t reason, instant at) {
    if (reason >= MQTT_REFUSED_AT)
        scene_line(s, at, "refused: %s of %s: %s", what->topic, p->sub, mqtt_reason_name(reason));
}

/* ---- what is heard ---- */

static void copy(char *to, size_t size, text from) {
    (void)snprintf(to, size, "%.*s", (int)from.len, from.ptr ? from.ptr : "");
}

static void on_check(scene *s, const json *check, instant at) {
    run *r = run_of(s);
    const json *within = json_get(check, "respond_within");
    if (!text_equal(json_get_string(check, "reason"), TEXT("vitals")) || *r->check)
        return;
    r->disturbed = r->disturbed || !run_watch_struck(&r->watch);
    r->within_s = json_kind_of(within) == JSON_INTEGER ? json_integer(within) : 60;
    copy(r->check, sizeof r->check, json_get_string(check, "id"));
    scene_line(s, at, "   olga's watch asks: are you OK? It waits for %lld s", (long long)r->within_s);
}

static void on_finding(scene *s, const json *found, instant at) {
    run *r = run_of(s);
    text words = json_get_string(found, "words"), response = json_get_string(found, "response");
    bool begins = !text_equal(json_get_string(found, "kind"), TEXT("ends"));
    bool note = text_equal(response, TEXT("note"));
    if (!begins || !r->watch.under_way)
        return;
    scene_line(s, at, "   dora's screen: olga: %.*s%s", (int)words.len, words.ptr,
               note ? " (for information)" : "");
    if (note)
        return;
    r->disturbed = r->disturbed || !run_watch_struck(&r->watch);
    if (!*r->found)
        copy(r->found, sizeof r->found, words);
}

static void on_raise(scene *s, text alert, const json *raise, instant at) {
    run *r = run_of(s);
    const json *readings = json_get(raise, "readings");
    text words = json_get_string(raise, "text");
    if (!text_equal(json_get_string(raise, "person"), TEXT("olga")) || *r->alert || !r->watch.under_way)
        return;
    r->disturbed = r->disturbed || !run_watch_struck(&r->watch);
    copy(r->alert, sizeof r->alert, alert);
    r->readings = json_share(readings);
    scene_line(s, at, "   alarm %s: %.*s", r->alert, (int)words.len, words.ptr ? words.ptr : "");
    CLEANUP(buf_release) buf spelled = BUF(4096);
    if (readings)
        json_print(readings, &spelled);
    if (readings && buf_failed(&spelled) == 0)
        scene_line(s, at, "   with her readings: %s", spelled.ptr);
}

static bool is_closed(const json *state) {
    text status = json_get_string(state, "status");
    return !state || text_equal(status, TEXT("resolved")) || text_equal(status, TEXT("canceled"));
}

static void on_state(scene *s, text alert, const json *state) {
    run *r = run_of(s);
    const json *receipts = json_get(state, "receipts");
    if (!text_equal(alert, text_of(r->alert))) {
        if (!is_closed(state) && !json_get(state, "joined") && !r->watch.under_way)
            copy(r->leftover, sizeof r->leftover, alert);
        else if (text_equal(alert, text_of(r->leftover)))
            r->leftover[0] = '\0';
        return;
    }
    r->stored = r->stored || json_get(receipts, "stored");
    r->answered = r->answered || json_get(receipts, "acknowledged");
    r->over_with = r->over_with || is_closed(state);
}

static void message(scene *s, person *p, const mqtt_event *m) {
    CLEANUP(json_freep) json *body = NULL;
    const run *r = run_of(s);
    address a;
    if ((p != r->olga && p != r->dora) || !address_parse(m->topic, &a) ||
        (m->body.len && json_parse_once(m->body, &body) != JSON_OK))
        return;
    if (p == r->olga && a.family == ADDRESS_ALERT && text_equal(a.leaf, TEXT("state")))
        on_state(s, a.id, body);
    else if (p == r->olga && body && text_equal(a.leaf, TEXT("check")))
        on_check(s, body, m->at);
    else if (p == r->dora && body && text_equal(a.id, TEXT("olga")) &&
             text_equal(a.leaf, TEXT("vital_alert")))
        on_finding(s, body, m->at);
    else if (p == r->dora && body && a.family == ADDRESS_ALERT && text_equal(a.leaf, TEXT("raise")))
        on_raise(s, a.id, body, m->at);
}

static bool over(const scene *s) {
    return run_of(s)->ended;
}

static int conclude(scene *s, json *summary) {
    const run *r = run_of(s);
    bool whole = r->step == ARRAY_LEN(steps);
    const char *missing = whole ? "" : r->disturbed ? "a run that disturbs nobody" : steps[r->step].then;
    if (json_put(summary, "steps", json_new_integer(ARRAY_LEN(steps))) < 0 ||
        json_put(summary, "happened", json_new_integer((int64_t)r->step)) < 0 ||
        json_put(summary, "readings", json_new_integer((int64_t)r->watch.told)) < 0 ||
        (*r->check && json_put(summary, "check", json_new_string(text_of(r->check))) < 0) ||
        (*r->alert && json_put(summary, "alert", json_new_string(text_of(r->alert))) < 0) ||
        (*r->found && json_put(summary, "found", json_new_string(text_of(r->found))) < 0) ||
        (!whole && json_put(summary, "missing", json_new_string(text_of(missing))) < 0))
        return command_fail(s->all->command, EXIT_REFUSED, "out of memory");
    scene_line(s, instant_now(), "%zu of %zu things came about%s%s", r->step, ARRAY_LEN(steps),
               whole ? "" : "; this did not: ", missing);
    return whole ? EXIT_DONE : EXIT_REFUSED;
}

static void clear(scene *s) {
    run_of(s)->readings = json_free(run_of(s)->readings);
}

const scenario scenario_run = {
    .name = "run",
    .cast = 2,
    .state = sizeof(run),
    .ends = true,
    .enter = enter,
    .turn = turn,
    .acked = acked,
    .message = message,
    .over = over,
    .conclude = conclude,
    .clear = clear,
};
