/* run.c - an officer's run that alarms nobody, and then a collapse: olga rests, walks and runs, and her watch
 * tells how her body is; nobody is asked or told anything. Then her heart races, and she goes down. Dispatch
 * sees it, she is asked whether she is OK, she can't answer, and silence becomes a medical alarm with the
 * readings in it, which goes on by text and by telephone until somebody answers. */
#include "scenes/run.h"

#include <stdio.h>

#include "scenes/course.h"

extern const scenario scenario_run;

typedef struct run {
    person *olga, *dora;
    run_watch watch;
    char check[UUID_TEXT_LEN + 1]; /* the question on her watch, or "" */
    int64_t within_s;              /* how long she has to answer */
    char found[400];               /* what dispatch was told of first that asks or raises */
    bool raised;
    json *readings; /* in the alarm */
    json *view;     /* the newest state of the incident on her watch */
} run;

static const char *const olga_listens[] = {"user/*/check", "alert/+/state", NULL};
static const char *const dora_listens[] = {"user/+/vital_alert", "alert/+/raise", NULL};

static run *run_of(const scene *s) {
    return s->state;
}

/* ---- what is done ---- */

static int close_leftover(scene *s, instant now) {
    return *s->leftover ? scene_cancel(run_of(s)->olga, s->leftover, "left over from another run", now)
                        : EXIT_DONE;
}

static int watch_tells(scene *s, instant now) {
    run_watch_begin(&run_of(s)->watch, now);
    return EXIT_DONE;
}

/* Whoever treats her takes the watch off. */
static int olga_wakes(scene *s, instant now) {
    run_watch_end(&run_of(s)->watch);
    return scene_cancel(run_of(s)->olga, s->alert_text, "The ambulance is here. I am awake.", now);
}

/* ---- what can have come about ---- */

static bool listening(const scene *s) {
    return run_of(s)->olga->listening && run_of(s)->dora->listening;
}

static bool nothing_left_over(const scene *s) {
    return !*s->leftover;
}

static bool ran(const scene *s) {
    return run_watch_struck(&run_of(s)->watch);
}

static bool seen(const scene *s) {
    return *run_of(s)->found;
}

static bool asked(const scene *s) {
    return *run_of(s)->check;
}

static bool raised(const scene *s) {
    return run_of(s)->raised && run_of(s)->readings;
}

static bool has_receipt(const scene *s, const char *mark) {
    return json_get(json_get(run_of(s)->view, "receipts"), mark);
}

static bool stored(const scene *s) {
    return has_receipt(s, "stored");
}

static bool answered(const scene *s) {
    return has_receipt(s, "acknowledged");
}

static bool over_with(const scene *s) {
    return run_of(s)->view && scene_is_closed(run_of(s)->view);
}

static int64_t while_catching_up(const scene *s) {
    (void)s;
    return RUN_CAUGHT_UP_S * 1000;
}

static int64_t while_silent(const scene *s) {
    return run_of(s)->within_s * 1000;
}

static const scene_step steps[] = {
    {NULL, NULL, listening, "her watch and dora's screen are connected", NULL},
    {NULL, close_leftover, nothing_left_over, "nothing of hers is open from another time", NULL},
    {"her watch was out of reach, and has her last quarter of an hour to tell", watch_tells, ran,
     "she rested, walked and ran, and nobody was asked or alarmed", while_catching_up},
    {"her heart races, and she goes down", NULL, seen, "dora sees what is wrong", NULL},
    {NULL, NULL, asked, "she is asked whether she is OK", NULL},
    {"she can't answer", NULL, raised, "her silence is a medical alarm, with her readings", while_silent},
    {NULL, NULL, stored, "it is stored", while_silent},
    {"nobody looks at a screen; Mayday texts, and then calls", NULL, answered,
     "somebody answered by telephone", NULL},
    {"help is there, and takes the watch off; she is awake, and cancels", olga_wakes, over_with, "it is over",
     NULL},
};

/* ---- the order of things ---- */

static int enter(scene *s) {
    run *r = run_of(s);
    r->olga = &s->all->people[s->first_of_cast];
    r->dora = r->olga + 1;
    int code = crowd_enter(s->all, s->first_of_cast, s->runner, s->org, "member", olga_listens);
    return code == EXIT_DONE
               ? crowd_enter(s->all, s->first_of_cast + 1, "dora", s->org, "dispatcher", dora_listens)
               : code;
}

static int turn(scene *s, instant now) {
    run *r = run_of(s);
    int code = run_watch_turn(s, &r->watch, r->olga, now);
    return code == EXIT_DONE ? course_turn(s, now) : code;
}

/* ---- what is heard ---- */

static void copy(char *to, size_t size, text from) {
    (void)snprintf(to, size, "%.*s", (int)from.len, from.ptr ? from.ptr : "");
}

/* Before anything is wrong nobody may be disturbed. */
static void disturbed(scene *s) {
    if (!run_watch_struck(&run_of(s)->watch))
        course_break(s, "a run that disturbs nobody");
}

static void on_check(scene *s, const json *check, instant at) {
    run *r = run_of(s);
    const json *within = json_get(check, "respond_within");
    if (!text_equal(json_get_string(check, "reason"), TEXT("vitals")) || *r->check)
        return;
    disturbed(s);
    r->within_s = json_kind_of(within) == JSON_INTEGER ? json_integer(within) : 60;
    copy(r->check, sizeof r->check, json_get_string(check, "id"));
    scene_line(s, at, "   %s's watch asks: Are you OK? She has %lld s to answer", s->runner,
               (long long)r->within_s);
}

static void on_finding(scene *s, const json *found, instant at) {
    run *r = run_of(s);
    text words = json_get_string(found, "words"), response = json_get_string(found, "response");
    bool begins = !text_equal(json_get_string(found, "kind"), TEXT("ends"));
    bool note = text_equal(response, TEXT("note"));
    if (!begins || !r->watch.under_way)
        return;
    scene_line(s, at, "   dora's screen: %s: %.*s%s", s->runner, (int)words.len, words.ptr,
               note ? " (for information)" : "");
    if (note)
        return;
    disturbed(s);
    if (!*r->found)
        copy(r->found, sizeof r->found, words);
}

/* What the alarm says, line by line, and what it carries. */
static void tell_alarm(const scene *s, const json *raise, instant at) {
    static const struct {
        const char *name, *before, *behind;
        int decimals;
    } shown[] = {{"hr", "pulse ", "/min", 0},
                 {"spo2", "oxygen saturation ", " %", 0},
                 {"temp", "temperature ",
                  " \xc2\xb0"
                  "C",
                  1}};
    text rest = json_get_string(raise, "text"), line;
    CLEANUP(buf_release) buf with = BUF(256);
    while (text_next(&rest, '\n', &line))
        scene_line(s, at, "   the alarm says: %.*s", (int)line.len, line.ptr);
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        const json *value = json_get(json_get(raise, "readings"), shown[i].name);
        if (value)
            buf_printf(&with, "%s%s%.*f%s", with.len ? ", " : "", shown[i].before, shown[i].decimals,
                       json_number(value), shown[i].behind);
    }
    if (with.len && buf_failed(&with) == 0)
        scene_line(s, at, "   and carries her readings: %s", with.ptr);
}

static void on_raise(scene *s, text alert, const json *raise, instant at) {
    run *r = run_of(s);
    if (!text_equal(json_get_string(raise, "person"), text_of(s->runner)) || r->raised || !r->watch.under_way)
        return;
    disturbed(s);
    r->raised = true;
    copy(s->alert_text, sizeof s->alert_text, alert);
    r->readings = json_share(json_get(raise, "readings"));
    tell_alarm(s, raise, at);
}

static void on_state(scene *s, text alert, const json *state, instant at) {
    if (!text_equal(alert, text_of(s->alert_text)))
        scene_other_incident(s, alert, state);
    else if (state)
        scene_shows(s, "her watch", &run_of(s)->view, state, at);
}

static void message(scene *s, person *p, const mqtt_event *m) {
    CLEANUP(json_freep) json *body = NULL;
    const run *r = run_of(s);
    address a;
    if ((p != r->olga && p != r->dora) || !address_parse(m->topic, &a) ||
        (m->body.len && json_parse_once(m->body, &body) != JSON_OK))
        return;
    if (p == r->olga && a.family == ADDRESS_ALERT && text_equal(a.leaf, TEXT("state")))
        on_state(s, a.id, body, m->at);
    else if (p == r->olga && body && text_equal(a.leaf, TEXT("check")))
        on_check(s, body, m->at);
    else if (p == r->dora && body && text_equal(a.id, text_of(s->runner)) &&
             text_equal(a.leaf, TEXT("vital_alert")))
        on_finding(s, body, m->at);
    else if (p == r->dora && body && a.family == ADDRESS_ALERT && text_equal(a.leaf, TEXT("raise")))
        on_raise(s, a.id, body, m->at);
}

static int conclude(scene *s, json *summary) {
    const run *r = run_of(s);
    int code = course_conclude(s, summary);
    if (json_put(summary, "readings", json_new_integer((int64_t)r->watch.told)) < 0 ||
        (*r->check && json_put(summary, "check", json_new_string(text_of(r->check))) < 0) ||
        (r->raised && json_put(summary, "alert", json_new_string(text_of(s->alert_text))) < 0) ||
        (*r->found && json_put(summary, "found", json_new_string(text_of(r->found))) < 0))
        return command_fail(s->all->command, EXIT_REFUSED, "out of memory");
    return code;
}

static void clear(scene *s) {
    run_of(s)->readings = json_free(run_of(s)->readings);
    run_of(s)->view = json_free(run_of(s)->view);
}

const scenario scenario_run = {
    .name = "run",
    .cast = 2,
    .state = sizeof(run),
    .ends = true,
    .steps = steps,
    .step_count = ARRAY_LEN(steps),
    .pause_ms = 300,
    .enter = enter,
    .turn = turn,
    .acked = course_acked,
    .message = message,
    .over = course_over,
    .conclude = conclude,
    .clear = clear,
};
