/* rehearsal.c - `mayday escalation test`: a night in which nobody answers, by the engine's own parts.
 *
 * When each level is told comes from escalation_next(), whom it means from mayday.plan_people(), asked about
 * an incident that lives in a transaction which is rolled back. So a dry run cannot tell another story than
 * the engine, and nothing is sent: a NOTIFY of what was rolled back is none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/escalation.h"
#include "database.h"
#include "escalation_tool.h"
#include "once.h"
#include "plan_file.h"
#include "show.h"

#define GAP_EXHAUSTED_MS 60000 /* as mayday.escalation_step_store has it */
#define STEPS_MAX        2000  /* more than rounds x levels */
#define SECOND_US        INSTANT_SECOND

typedef struct rehearsal {
    const command *command;
    const escalation_options *o;
    settings conf;
    pg *db;
    plan_file plan;
    const policy *policy;
    instant at;     /* of the alarm, by the database */
    char alert[64]; /* the pretended one */
    json *lines;    /* for --json */
    unsigned empty; /* levels that reach nobody */
    unsigned texts, calls, posts, hooks;
} rehearsal;

static bool has(const char *value) {
    return value && *value;
}

/* ---- the plan, the policy and the time ---- */

static int ask_time(rehearsal *r) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {r->o->at};
    int code = database_ask(r->command, r->db,
                            "SELECT (extract(epoch FROM coalesce($1::timestamptz, now())) * 1000000)::bigint",
                            1, params, &rows);
    if (code == EXIT_DONE)
        r->at = (instant)strtoll(pg_value(rows, 0, 0), NULL, 10);
    return code;
}

static int load_plan(rehearsal *r) {
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    if (r->o->plan_file)
        return plan_file_read(r->command, &r->conf, r->o->plan_file, &r->plan);
    int code = database_ask(r->command, r->db, "SELECT p.org, p.edition, p.body FROM mayday.plan_of($1) p", 1,
                            &r->o->org, &rows);
    if (code != EXIT_DONE)
        return code;
    if (pg_rows_count(rows) == 0 || pg_is_null(rows, 0, 0))
        return command_fail(r->command, EXIT_REFUSED,
                            "there is no plan, not even one for all: see 'mayday plan'");
    char name[300];
    (void)snprintf(name, sizeof name, "edition %s of '%s'", pg_value(rows, 0, 1), pg_value(rows, 0, 0));
    code = plan_file_parse(r->command, name, text_of(pg_value(rows, 0, 2)), &r->plan);
    if (code == EXIT_DONE && !r->o->act.json)
        printf("plan      %s\n", name);
    return code;
}

static int choose(rehearsal *r) {
    const escalation_options *o = r->o;
    const char *type = o->type ? o->type : "panic", *priority = o->priority ? o->priority : "critical";
    r->policy = o->policy ? plan_named(r->plan.parsed, text_of(o->policy))
                          : plan_choose(r->plan.parsed, text_of(type), text_of(priority));
    if (!r->policy)
        return command_fail(r->command, EXIT_REFUSED, "the plan has no policy '%s'", o->policy);
    const char *params[] = {o->org, o->raiser, type, priority, o->lat, o->lon};
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    int code = database_ask(r->command, r->db, "SELECT mayday.pretend_alert($1, $2, $3, $4, $5, $6)",
                            ARRAY_LEN(params), params, &rows);
    if (code == EXIT_DONE)
        (void)snprintf(r->alert, sizeof r->alert, "%s", pg_value(rows, 0, 0));
    if (code == EXIT_DONE && !o->act.json)
        printf("policy    %.*s, for a %s %s%s%s\n", (int)r->policy->name.len, r->policy->name.ptr, priority,
               type, o->raiser ? " of " : "", o->raiser ? o->raiser : "");
    return code;
}

/* ---- targets as the plan has them ---- */

static void add_targets(const plan_target *targets, size_t count, buf *to) {
    CLEANUP(json_freep) json *list = json_new_array();
    for (size_t i = 0; i < count; i++) {
        const plan_target *t = &targets[i];
        json *one = json_new_object();
        const char *word = plan_target_word(t->kind);
        int fault = t->kind == PLAN_NEAREST  ? json_put(one, word, json_new_integer(t->count))
                    : t->kind == PLAN_FAMILY ? json_put(one, word, json_new_bool(true))
                                             : json_put(one, word, json_new_string(t->name));
        if (t->kind == PLAN_NEAREST && t->metres && fault == 0)
            fault = json_put(one, "within", json_new_integer(t->metres));
        if (fault < 0 || json_append(list, one) < 0) /* never half a list */
            to->fault = -ENOMEM;
    }
    json_print(list, to);
}

/* A level's channels as a PostgreSQL array; false when the own order of each person counts. */
static bool add_channels(const plan_level *level, buf *to) {
    if (!level || level->channels[0] == PLAN_BY_OWN_ORDER)
        return false;
    for (size_t i = 0; level->channels[i] != PLAN_BY_OWN_ORDER; i++)
        buf_printf(to, "%c%s", i ? ',' : '{', plan_channel_word(level->channels[i]));
    buf_add_char(to, '}');
    return true;
}

static void describe(const plan_target *t, buf *to) {
    if (t->kind == PLAN_NEAREST)
        buf_printf(to, "the %lld nearest", (long long)t->count);
    else if (t->kind == PLAN_FAMILY)
        buf_add_text(to, TEXT("family"));
    else
        buf_printf(to, "%s %.*s", plan_target_word(t->kind), (int)t->name.len, t->name.ptr);
    if (t->metres)
        buf_printf(to, " within %lld m", (long long)t->metres);
}

/* ---- what comes out ---- */

static void put_text(json *line, const char *name, const char *value) {
    if (has(value))
        (void)!json_put(line, name, json_new_string(text_of(value)));
}

typedef struct event {
    instant at;
    const char *round, *level;
    const char *who, *why, *how, *by, *note;
} event;

static void print_event(rehearsal *r, const event *e) {
    int64_t after = (e->at - r->at) / SECOND_US;
    char when[40];
    (void)snprintf(when, sizeof when, "+%lld:%02lld:%02lld", (long long)(after / 3600),
                   (long long)(after / 60 % 60), (long long)(after % 60));
    if (r->o->act.json) {
        CLEANUP(json_freep) json *line = json_new_object();
        CLEANUP(buf_release) buf out = BUF(65536);
        (void)!json_put(line, "after", json_new_integer(after));
        put_text(line, "round", e->round);
        put_text(line, "level", e->level);
        put_text(line, "who", e->who);
        put_text(line, "because", e->why);
        put_text(line, "how", e->how);
        put_text(line, "by", e->by);
        put_text(line, "note", e->note);
        json_print(line, &out);
        puts(buf_failed(&out) < 0 ? "{}" : out.ptr);
        return;
    }
    CLEANUP(buf_release) buf line = BUF(65536);
    buf_printf(&line, "%-9s %-5s %-20s %-24s %-22s", when, e->level, e->who, e->why, e->how);
    if (has(e->by))
        buf_printf(&line, " by %s", e->by);
    if (has(e->note))
        buf_printf(&line, "  [%s]", e->note);
    if (buf_failed(&line) < 0)
        return;
    show_defuse(&line);
    while (line.len > 0 && line.ptr[line.len - 1] == ' ')
        line.len--;
    printf("%.*s\n", (int)line.len, line.ptr);
}

/* Who carries it: the providers of that kind in their order. */
static const char *carriers(const rehearsal *r, const char *kind) {
    const char *list = strcmp(kind, "sms") == 0     ? r->conf.notify_sms
                       : strcmp(kind, "voice") == 0 ? r->conf.notify_voice
                                                    : NULL;
    return has(list) ? list : strcmp(kind, "mqtt") == 0 ? "" : "NOBODY";
}

static void count_way(rehearsal *r, const char *kind) {
    unsigned *counter = strcmp(kind, "sms") == 0     ? &r->texts
                        : strcmp(kind, "voice") == 0 ? &r->calls
                                                     : &r->posts;
    ++*counter;
}

/* Each way of one person; the first at once, each other after the gap. */
static int tell_person(rehearsal *r, event e, const plan_level *level, bool family) {
    CLEANUP(buf_release) buf kinds = BUF(64);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    bool filtered = add_channels(level, &kinds);
    const char *params[] = {r->o->org, e.who, filtered ? kinds.ptr : NULL};
    int code = buf_failed(&kinds) < 0
                   ? command_fail(r->command, EXIT_REFUSED, "out of memory")
                   : database_ask(r->command, r->db,
                                  "SELECT w.kind, concat_ws(' ', w.kind, mayday.mask_number(w.number)),"
                                  " coalesce(w.trouble, ''), NOT EXISTS (SELECT FROM mayday.channel c WHERE"
                                  "  c.org = $1 AND c.person = $2 AND c.kind <> 'mqtt')"
                                  " FROM mayday.ways_of($1, $2, $3::text[]) w ORDER BY w.place",
                                  ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    const char *family_note = family ? "family: in their own words, by consent" : "";
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        event way = e;
        const char *kind = pg_value(rows, i, 0);
        bool phoneless = strcmp(pg_value(rows, i, 3), "t") == 0;
        char note[200];
        (void)snprintf(note, sizeof note, "%s%s%s%s%s", phoneless ? "no phone: the app alone" : "",
                       phoneless && *pg_value(rows, i, 2) ? ", " : "", pg_value(rows, i, 2),
                       *family_note && (phoneless || *pg_value(rows, i, 2)) ? "; " : "",
                       i == 0 ? family_note : "");
        way.at += (instant)i * (level ? level->gap_ms : GAP_EXHAUSTED_MS) * 1000;
        way.how = pg_value(rows, i, 1);
        way.by = carriers(r, kind);
        way.note = note;
        if (strcmp(way.by, "NOBODY") == 0)
            way.note = "NO PROVIDER is configured for it: see [notify]";
        print_event(r, &way);
        count_way(r, kind);
    }
    return EXIT_DONE;
}

static int tell_target(rehearsal *r, event e, const plan_level *level, const plan_target *t, buf *told,
                       size_t *reached) {
    CLEANUP(buf_release) buf target = BUF(4096);
    CLEANUP(buf_release) buf why = BUF(4096);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    char at[32];
    add_targets(t, 1, &target);
    describe(t, &why);
    if (buf_failed(&target) < 0 || buf_failed(&why) < 0)
        return command_fail(r->command, EXIT_REFUSED, "out of memory");
    (void)snprintf(at, sizeof at, "%lld", (long long)e.at);
    const char *params[] = {r->o->org, r->alert, target.ptr, at};
    int code =
        database_ask(r->command, r->db,
                     "SELECT p.person, p.family, p.webhook FROM mayday.plan_people($1, $2::uuid, $3::jsonb,"
                     " to_timestamp($4::bigint / 1000000.0)) p",
                     ARRAY_LEN(params), params, &rows);
    if (code != EXIT_DONE)
        return code;
    e.why = why.ptr;
    for (size_t i = 0; code == EXIT_DONE && i < pg_rows_count(rows); i++) {
        ++*reached;
        e.who = pg_is_null(rows, i, 0) ? "" : pg_value(rows, i, 0);
        e.how = e.by = e.note = "";
        if (!pg_is_null(rows, i, 2)) {
            e.how = "webhook";
            r->hooks++;
            print_event(r, &e);
        } else if (once(told, e.who)) {
            code = tell_person(r, e, level, strcmp(pg_value(rows, i, 1), "t") == 0);
        }
    }
    if (code == EXIT_DONE && pg_rows_count(rows) == 0) {
        e.who = "-";
        e.how = e.by = "";
        e.note = t->kind == PLAN_FAMILY && !r->o->raiser ? "depends on who is in danger: --raiser"
                 : t->kind == PLAN_NEAREST && !(r->o->lat && r->o->lon) && !r->o->raiser
                     ? "depends on where: --lat and --lon"
                     : "nobody";
        print_event(r, &e);
    }
    return code;
}

static bool depends(const rehearsal *r, const plan_target *t) {
    return (t->kind == PLAN_FAMILY && !r->o->raiser) ||
           (t->kind == PLAN_NEAREST && !r->o->lat && !r->o->raiser);
}

static int tell_all(rehearsal *r, const event *e, const plan_level *level, const plan_target *targets,
                    size_t count) {
    CLEANUP(buf_release) buf told = BUF(1 << 20); /* whoever an earlier target meant is told once */
    size_t reached = 0;
    bool open = false; /* it depends on what was not said */
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < count; i++) {
        code = tell_target(r, *e, level, &targets[i], &told, &reached);
        open = open || depends(r, &targets[i]);
    }
    if (code == EXIT_DONE && reached == 0 && !open) {
        event nobody = {.at = e->at,
                        .round = e->round,
                        .level = e->level,
                        .who = "NOBODY",
                        .why = "",
                        .how = "",
                        .by = "",
                        .note = "THIS LEVEL REACHES NOBODY"};
        print_event(r, &nobody);
        r->empty++;
    }
    return code;
}

/* ---- the night ---- */

static int play_step(rehearsal *r, const escalation_step *step, instant at) {
    char round[24], level[24];
    (void)snprintf(round, sizeof round, "%lld", (long long)step->round + 1);
    (void)snprintf(level, sizeof level, "%lld.%lld", (long long)step->round + 1, (long long)step->level);
    event e = {
        .at = at, .round = round, .level = level, .who = "", .why = "", .how = "", .by = "", .note = ""};
    int code = EXIT_DONE;
    if (step->tell && step->level >= 1 && (size_t)step->level <= r->policy->level_count) {
        const plan_level *told = &r->policy->levels[step->level - 1];
        code = tell_all(r, &e, told, told->targets, told->target_count);
    }
    if (code == EXIT_DONE && step->tell_exhausted) {
        e.level = "";
        e.who = "dispatch";
        e.why = "exhausted";
        e.note = "nobody answered: shown on every screen, broadcast to dispatchers and supervisors";
        print_event(r, &e);
        if (r->policy->exhausted_count) {
            e.who = e.note = "";
            code = tell_all(r, &e, NULL, r->policy->exhausted, r->policy->exhausted_count);
        }
    }
    return code;
}

static int play(rehearsal *r) {
    escalation now = {
        .status = ESCALATION_RUNNING, .begun_at = r->at, .incident = INCIDENT_ACTIVE, .moved_at = r->at};
    instant at = r->at;
    int code = EXIT_DONE;
    if (!r->o->act.json)
        printf("\n%-9s %-5s %-20s %-24s %s\n", "AFTER", "LEVEL", "WHO", "BECAUSE", "HOW");
    for (int i = 0; code == EXIT_DONE && at != NEVER && i < STEPS_MAX; i++) {
        escalation_step step = escalation_next(r->policy, &now, at);
        code = play_step(r, &step, at);
        now.status = step.status;
        now.round = step.round;
        now.first_round = step.first_round;
        now.level = step.level;
        now.forgotten = step.forgotten;
        now.begun_at = step.begun_at;
        at = step.next_at;
        if (step.status == ESCALATION_EXHAUSTED || step.status == ESCALATION_ENDED)
            break;
    }
    return code;
}

static void say_sum(const rehearsal *r) {
    printf("\nIf nobody answers and nothing fails: %u text%s, %u call%s, %u time%s the app, %u webhook%s. "
           "The first answer"
           " ends it.\n",
           r->texts, r->texts == 1 ? "" : "s", r->calls, r->calls == 1 ? "" : "s", r->posts,
           r->posts == 1 ? "" : "s", r->hooks, r->hooks == 1 ? "" : "s");
    if (r->policy->forgotten_ms)
        printf("Answered, and nothing done for %lld min: it begins again.\n",
               (long long)(r->policy->forgotten_ms / 60000));
    else
        puts("Answered and then forgotten: it does not begin again (forgotten_after is 0).");
}

static int rehearse(rehearsal *r) {
    int code = database_open(r->command, r->o->act.config_path, r->o->act.database, &r->db);
    if (code == EXIT_DONE && pg_run(r->db, "BEGIN") != PG_DONE)
        code = command_fail(r->command, EXIT_UNREACHABLE, "%s", pg_why(r->db));
    if (code == EXIT_DONE)
        code = ask_time(r);
    if (code == EXIT_DONE)
        code = load_plan(r);
    if (code == EXIT_DONE)
        code = choose(r);
    if (code == EXIT_DONE)
        code = play(r);
    if (code == EXIT_DONE && !r->o->act.json)
        say_sum(r);
    if (r->db)
        (void)!pg_run(r->db, "ROLLBACK"); /* and where it cannot be said, the end of the connection says it */
    return code == EXIT_DONE && r->empty
               ? command_fail(r->command, EXIT_REFUSED, "%u time%s a level reaches nobody", r->empty,
                              r->empty == 1 ? "" : "s")
               : code;
}

int escalation_rehearse(const command *c, const escalation_options *o) {
    rehearsal r = {.command = c, .o = o};
    int code = command_settings(o->act.config_path, &r.conf);
    if (code != EXIT_DONE)
        return code;
    code = rehearse(&r);
    r.db = pg_close(r.db);
    plan_file_release(&r.plan);
    conf_release(&settings_table, &r.conf);
    return code;
}
