/* sim.c - `mayday sim`: many wearables walking plausible paths, and a scenario among them (scenes/).
 * One loop: what is due is said into outboxes, and the crowd carries it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "crowd.h"
#include "scenes/scene.h"

#define PEOPLE_MAX  20000
#define TURN_MAX_MS 50
#define REPORT_US   (5 * INSTANT_SECOND)
#define RUN_MS      30000
#define EVENING_MS  600000 /* the longest that a scenario may take to end by itself */

extern const command command_sim;
static const command *const self = &command_sim;

typedef struct sim {
    link_options link;
    const char *prefix, *roles, *runner;
    int64_t people, seed, run_ms, raise_after_ms, drain_ms;
    double rate, lat, lon, radius;
    bool json, quiet;

    crowd all;
    scene scene;
    FILE *to; /* readable lines: stderr when stdout is for JSON */
    instant begun, ends, drained, next_report;
} sim;

static int enter_people(sim *s) {
    crowd *all = &s->all;
    all->count = (size_t)s->people + s->scene.play->cast;
    all->people = calloc(all->count, sizeof *all->people);
    if (!all->people)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    for (size_t i = 0; i < (size_t)s->people; i++) {
        CLEANUP(buf_release) buf sub = BUF(256);
        buf_printf(&sub, "%s-%04zu", s->prefix, i + 1);
        int code = crowd_enter(all, i, sub.ptr, s->link.org, s->roles, NULL);
        if (code != EXIT_DONE)
            return code;
        person *p = &all->people[i];
        p->walk = walk_begin((uint64_t)s->seed * UINT64_C(1000003) + i, s->lat, s->lon, s->radius);
        /* scattered over one interval, as the starts of real devices are */
        p->next_fix = s->begun + (instant)(walk_chance(&p->walk) * 1e6 / s->rate);
        p->last_fix = s->begun;
    }
    s->scene.prefix = s->prefix;
    s->scene.runner = s->runner;
    s->scene.org = s->link.org;
    s->scene.first_of_cast = (size_t)s->people;
    return scene_begin(&s->scene, all, s->to, s->begun, s->raise_after_ms);
}

static void put_fix(payload *to, const walk_fix *f, bool offline) {
    payload_number(to, "lat", f->lat, 7);
    payload_number(to, "lon", f->lon, 7);
    payload_number(to, "accuracy", f->accuracy, 1);
    payload_number(to, "speed", f->speed, 2);
    /* 359.96 would be printed as 360.0, which is no heading */
    payload_number(to, "heading", f->heading >= 359.95 ? 0.0 : f->heading, 1);
    payload_text(to, "source", "gps");
    payload_number(to, "battery", f->battery, 0);
    payload_flag(to, "offline", offline);
}

static int say_fix(person *p, const char *below, const walk_fix *f, instant now, bool urgent) {
    uuid id = link_new_id();
    CLEANUP(payload_release) payload message = payload_new(&id, now);
    put_fix(&message, f, p->line != LINE_UP);
    return crowd_say(p, below, &message, urgent, TAG_NONE);
}

static int walk_on(sim *s, person *p, instant now) {
    walk_fix f = walk_step(&p->walk, (double)(now - p->last_fix) / 1e6);
    char below[512];
    (void)snprintf(below, sizeof below, "user/%s/location", p->sub);
    p->last_fix = now;
    p->next_fix += (instant)(1e6 / s->rate);
    if (p->next_fix <= now) /* we are behind: a receiver skips fixes, it does not make up for them */
        p->next_fix = now + (instant)(1e6 / s->rate);
    int code = say_fix(p, below, &f, now, false);
    if (code != EXIT_DONE || p != s->scene.walker)
        return code;
    s->scene.where = f;
    if (!s->scene.heard)
        return EXIT_DONE;
    (void)snprintf(below, sizeof below, "alert/%s/location", s->scene.alert_text);
    return say_fix(p, below, &f, now, false);
}

static int live(sim *s, instant now) {
    for (size_t i = 0; i < (size_t)s->people; i++) {
        person *p = &s->all.people[i];
        if (now < p->next_fix)
            continue;
        int code = walk_on(s, p, now);
        if (code != EXIT_DONE)
            return code;
    }
    return s->scene.play->turn ? s->scene.play->turn(&s->scene, now) : EXIT_DONE;
}

static void report(sim *s, instant now) {
    const crowd_figures *f = &s->all.figures;
    if (s->quiet || now < s->next_report)
        return;
    s->next_report += REPORT_US;
    scene_line(&s->scene, now,
               "%zu of %zu connected; %llu sent, %llu acknowledged, %llu refused, %zu waiting",
               crowd_connected(&s->all), s->all.count, (unsigned long long)f->sent,
               (unsigned long long)f->acked, (unsigned long long)f->refused, crowd_unacked(&s->all));
}

static int turn_ms(const sim *s, instant now) {
    instant due = now + TURN_MAX_MS * 1000;
    for (size_t i = 0; now < s->ends && i < (size_t)s->people; i++)
        if (s->all.people[i].next_fix < due)
            due = s->all.people[i].next_fix;
    return due <= now ? 0 : (int)((due - now) / 1000) + 1;
}

/* Until the time is over and everything is acknowledged, or the patience for that is. */
static int play(sim *s) {
    for (;;) {
        instant now = instant_now();
        bool over = s->all.stopping || (s->scene.play->over && s->scene.play->over(&s->scene));
        if (over && now < s->ends)
            s->ends = now;
        if (now >= s->ends && (crowd_unacked(&s->all) == 0 || now >= s->ends + s->drain_ms * 1000))
            return EXIT_DONE;
        if (now < s->ends) {
            int code = live(s, now);
            if (code != EXIT_DONE)
                return code;
        }
        crowd_turn(&s->all, turn_ms(s, now));
        if (s->all.refused_code != EXIT_DONE)
            return s->all.refused_code;
        report(s, instant_now());
    }
}

static void summary(const sim *s, double seconds) {
    const crowd_figures *f = &s->all.figures;
    scene_line(
        &s->scene, instant_now(),
        "done: %llu sent, %llu acknowledged, %llu refused, %llu told on 'rejected', %zu unacknowledged",
        (unsigned long long)f->sent, (unsigned long long)f->acked, (unsigned long long)f->refused,
        (unsigned long long)f->rejected, crowd_unacked(&s->all));
    fprintf(s->to, "           %llu reconnects, %llu sent again, %llu dropped on full devices; %.0f/s\n",
            (unsigned long long)f->reconnects, (unsigned long long)f->resent, (unsigned long long)f->dropped,
            seconds > 0 ? (double)f->acked / seconds : 0.0);
    if (*f->first_refusal)
        fprintf(s->to, "           first refusal: %s\n", f->first_refusal);
}

static int put_count(json *to, const char *name, uint64_t value) {
    return json_put(to, name, json_new_integer((int64_t)value));
}

static int print_json(const sim *s, json *out) {
    const crowd_figures *f = &s->all.figures;
    CLEANUP(buf_release) buf line = BUF(8192);
    if (put_count(out, "people", s->all.count) < 0 || put_count(out, "sent", f->sent) < 0 ||
        put_count(out, "acked", f->acked) < 0 || put_count(out, "refused", f->refused) < 0 ||
        put_count(out, "rejected", f->rejected) < 0 || put_count(out, "resent", f->resent) < 0 ||
        put_count(out, "unacked", crowd_unacked(&s->all)) < 0 || put_count(out, "dropped", f->dropped) < 0 ||
        put_count(out, "reconnects", f->reconnects) < 0 ||
        (s->scene.raised && json_put(out, "alert", json_new_string(text_of(s->scene.alert_text))) < 0) ||
        (s->scene.heard &&
         json_put(out, "heard_ms",
                  json_new_number((double)(s->scene.heard_at - s->scene.raised_at) / 1000.0)) < 0) ||
        (*f->first_refusal && json_put(out, "first_refusal", json_new_string(text_of(f->first_refusal))) < 0))
        return command_fail(self, EXIT_REFUSED, "out of memory");
    json_print(out, &line);
    puts(buf_failed(&line) < 0 ? "{}" : line.ptr);
    return EXIT_DONE;
}

static int verdict(const sim *s) {
    const crowd_figures *f = &s->all.figures;
    bool anybody = false;
    for (size_t i = 0; i < s->all.count; i++)
        anybody = anybody || s->all.people[i].was_up;
    if (!anybody && f->refused == 0)
        return command_fail(self, EXIT_UNREACHABLE, "no broker at %s port %d", s->link.host, s->link.port);
    return f->refused || f->rejected || crowd_unacked(&s->all) || s->scene.refused ? EXIT_REFUSED : EXIT_DONE;
}

static void on_acked(void *context, person *p, const parcel *what, uint8_t reason, instant at) {
    scene *s = &((sim *)context)->scene;
    if (s->play->acked)
        s->play->acked(s, p, what, reason, at);
}

static void on_message(void *context, person *p, const mqtt_event *e) {
    scene *s = &((sim *)context)->scene;
    if (s->play->message)
        s->play->message(s, p, e);
}

/* The end of the scenario, the figures, and whether all of it was as it should be. */
static int conclude(sim *s) {
    CLEANUP(json_freep) json *out = json_new_object();
    if (!out)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    int played = s->scene.play->conclude ? s->scene.play->conclude(&s->scene, out) : EXIT_DONE;
    summary(s, (double)(instant_now() - s->begun) / 1e6);
    if (s->json && print_json(s, out) != EXIT_DONE)
        return EXIT_REFUSED;
    int code = verdict(s);
    return code == EXIT_DONE ? played : code;
}

static int simulate(sim *s, const char *config_path) {
    s->to = s->json ? stderr : stdout;
    s->begun = instant_now();
    s->ends = s->begun + s->run_ms * 1000;
    s->next_report = s->begun + REPORT_US;
    s->all = (crowd){.command = self,
                     .link = &s->link,
                     .on_acked = on_acked,
                     .on_message = on_message,
                     .context = s,
                     .jitter = (uint64_t)s->seed};
    int code = mint_open(self, config_path, s->link.keys, &s->all.keys);
    if (code == EXIT_DONE)
        code = enter_people(s);
    if (code != EXIT_DONE)
        return code;
    s->all.hub = mqtt_hub_new();
    if (!s->all.hub)
        return command_fail(self, EXIT_REFUSED, "out of memory");
    if (s->people == 1)
        scene_line(&s->scene, s->begun, "1 walker of %s sets out, %g positions a second (seed %lld)",
                   s->link.org, s->rate, (long long)s->seed);
    else
        scene_line(&s->scene, s->begun, "%lld walkers of %s set out, %g positions a second each (seed %lld)",
                   (long long)s->people, s->link.org, s->rate, (long long)s->seed);
    code = play(s);
    return code == EXIT_DONE ? conclude(s) : code;
}

static bool take_center(sim *s, const char *value) {
    const char *comma = strchr(value, ',');
    CLEANUP(freep) char *lat = comma ? text_copy((text){value, (size_t)(comma - value)}) : NULL;
    if (!lat) {
        (void)command_fail(self, EXIT_USAGE, "--center: expected LAT,LON");
        return false;
    }
    return arg_number(self, "center", lat, -85, 85, &s->lat) &&
           arg_number(self, "center", comma + 1, -180, 180, &s->lon);
}

static bool take_scenario(sim *s, const char *name) {
    s->scene.play = scene_named(name);
    if (!s->scene.play)
        (void)command_fail(self, EXIT_USAGE,
                           "--scenario: '%s' is not one of calm, panic, evening, night, run", name);
    return s->scene.play;
}

static bool take_option(sim *s, int option, const char *value) {
    switch (option) {
    case 'n':
        return arg_count(self, "people", value, 1, PEOPLE_MAX, &s->people);
    case 'r':
        return arg_number(self, "rate", value, 0.001, 1000, &s->rate);
    case 's':
        return arg_duration(self, "seconds", value, &s->run_ms);
    case 'c':
        return take_center(s, value);
    case 'R':
        return arg_number(self, "radius", value, 10, 100000, &s->radius);
    case 'S':
        return take_scenario(s, value);
    case 'a':
        if (!s->scene.play->turn && !take_scenario(s, "panic"))
            return false;
        return arg_duration(self, "raise-after", value, &s->raise_after_ms);
    case 'b':
        return arg_duration(self, "bound", value, &s->scene.bound_ms);
    case 'x':
        return arg_count(self, "seed", value, 0, INT64_MAX / 1000003 - PEOPLE_MAX, &s->seed);
    case 'p':
        s->prefix = value;
        return true;
    case 'w':
        s->runner = value;
        return true;
    case 'd':
        return arg_duration(self, "drain", value, &s->drain_ms);
    case 'q':
        s->quiet = true;
        return true;
    case 'j':
        s->json = true;
        return true;
    case LINK_ROLE:
        s->roles = value;
        return true;
    default:
        return link_option(self, &s->link, option, value) == LINK_TAKEN;
    }
}

static int run(const char *config_path, int argc, char **argv) {
    static const struct option options[] = {
        {"people", required_argument, NULL, 'n'},
        {"rate", required_argument, NULL, 'r'},
        {"seconds", required_argument, NULL, 's'},
        {"center", required_argument, NULL, 'c'},
        {"radius", required_argument, NULL, 'R'},
        {"scenario", required_argument, NULL, 'S'},
        {"raise-after", required_argument, NULL, 'a'},
        {"bound", required_argument, NULL, 'b'},
        {"seed", required_argument, NULL, 'x'},
        {"prefix", required_argument, NULL, 'p'},
        {"runner", required_argument, NULL, 'w'},
        {"role", required_argument, NULL, LINK_ROLE},
        {"drain", required_argument, NULL, 'd'},
        {"quiet", no_argument, NULL, 'q'},
        {"json", no_argument, NULL, 'j'},
        LINK_BROKER_OPTIONS,
        {0},
    };
    sim s = {.people = 10,
             .rate = 1,
             .drain_ms = 15000,
             .scene.bound_ms = 20000,
             .raise_after_ms = 5000,
             .seed = 1,
             .lat = 51.5072,
             .lon = -0.1276,
             .radius = 800,
             .prefix = "walker",
             .runner = "olga",
             .roles = "member",
             .scene.play = scene_named("calm")};
    link_defaults(&s.link);
    s.link.org = "demo";
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!take_option(&s, option, optarg))
            return EXIT_USAGE;
    if (optind < argc)
        return command_fail(self, EXIT_USAGE, "unexpected '%s'; see 'mayday sim --help'", argv[optind]);
    if (!s.run_ms)
        s.run_ms = s.scene.play->ends ? EVENING_MS : RUN_MS;
    int code = simulate(&s, config_path);
    scene_end(&s.scene);
    crowd_release(&s.all);
    return code;
}

const command command_sim = {
    .name = "sim",
    .summary = "let many wearables walk about, and play a scenario among them",
    .help =
        "Usage: mayday sim [OPTION...]\n"
        "\n"
        "Connects as many devices, each with its own token, that walk about and tell where they are. It "
        "needs\n"
        "the signing keys. Devices that lose the broker come back and send again what was not acknowledged.\n"
        "The same seed walks the same paths.\n"
        "\n"
        "  --people N         how many (default 10)\n"
        "  --rate HZ          positions a second from each (default 1)\n"
        "  --seconds T        how long, such as 90, 5m or 2h (default 30; an evening, night or run ends by\n"
        "                     itself)\n"
        "  --org NAME         the organisation (default demo)\n"
        "  --center LAT,LON   around where (default 51.5072,-0.1276)\n"
        "  --radius M         how far from there, in metres (default 800)\n"
        "  --scenario WORD    calm (default);\n"
        "                     panic: one raises an alert, a dispatcher answers, they talk;\n"
        "                     evening: an incident from the press of the button to its end, with a check "
        "that\n"
        "                     is answered, a responder who is assigned, and a phone that is away and "
        "catches\n"
        "                     up. Each thing must come about, or the evening fails; it needs the gateway;\n"
        "                     night: a panic that nobody sees, until somebody answers by telephone. It "
        "needs\n"
        "                     the gateway, providers, and a plan whose first level reaches somebody;\n"
        "                     run: an officer whose run disturbs nobody, and who then collapses: a "
        "question,\n"
        "                     silence, an alarm, until somebody answers by telephone. It needs what night\n"
        "                     needs. It takes half a minute besides [vitals] answer_within, the time she "
        "has\n"
        "                     to answer\n"
        "  --raise-after T    when the alert is raised (default 5s); implies --scenario panic\n"
        "  --bound T          how long each thing of those that end may take (default 20s)\n"
        "  --seed N           of the paths (default 1)\n"
        "  --prefix NAME      the people are NAME-0001 and so on (default walker)\n"
        "  --runner NAME      who runs in a run (default olga). What their watch tells happened in the last\n"
        "                     quarter of an hour: for the next run within that time take somebody else\n"
        "  --role NAMES       their roles, separated by commas (default member)\n"
        "  --drain T          how long to wait for the last acknowledgements (default 15s)\n"
        "  --keys FILE        the JWK Set whose last key signs (default: signing-keys.json beside the\n"
        "                     configured keys_file)\n"
        "  --quiet            no progress lines\n"
        "  --json             the summary as one line of JSON; the readable lines go to stderr\n"
        "\n" LINK_BROKER_HELP "\n"
        "Exit codes: 0 everything was acknowledged and came about, 1 something was refused, is "
        "unacknowledged\n"
        "or did not come about, 2 wrong usage, 3 the broker could not be reached.\n",
    .run = run,
};
