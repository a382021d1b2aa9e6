/* effect_action.c - an action: the incident is locked, the action judged by lib/core/incident.h, and what
 * comes of it is stored, all in the transaction that stores the message.
 *
 * What was done without a connection is put in where it belongs in time, among the other late actions since
 * the last one that was done online (incident_replay). A cancel needs the raiser's PIN when there is one. The
 * duress PIN is answered exactly like the PIN; only `dispatch` learns of it.
 *
 * What a gateway sends with `by` is that person's doing: they answered by phone. */
#include "core/incident.h"
#include "core/pin.h"
#include "store/effect_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETAIL_MAX   256
#define REPLAY_MOST  1000 /* late actions in one run; those beyond count as done when they come */
#define ARRAYS_LIMIT (1u << 20)

/* The incident as the database has it; texts belong to `rows`. */
typedef struct incident {
    pg_rows *rows;
    const char *id;
    incident_status status, run_from;
    int64_t version, decoy_version, run, pin_failures; /* decoy_version -1: none */
    instant received_at;
    text relation, pin, duress_pin;
    bool pin_locked, under_duress;
} incident;

/* What is asked, and what comes of it. */
typedef struct act {
    incident in;
    bool by_phone;
    incident_request request;
    instant done_at;
    bool late;
    incident_verdict verdict;
    incident_status met;   /* what it was judged by */
    incident_status to;    /* of the incident, afterwards */
    incident_item *items;  /* late: the run with this one in it; owned */
    incident_item *before; /* the run as it was; owned */
    size_t count;
} act;

static text cell(const pg_rows *rows, size_t column) {
    return pg_is_null(rows, 0, column) ? (text){0} : text_of(pg_value(rows, 0, column));
}

static int64_t number(const pg_rows *rows, size_t row, size_t column, int64_t otherwise) {
    int64_t value;
    if (pg_is_null(rows, row, column) ||
        text_to_i64(text_of(pg_value(rows, row, column)), INT64_MIN, INT64_MAX, &value) < 0)
        return otherwise;
    return value;
}

static bool yes(const pg_rows *rows, size_t column) {
    return *pg_value(rows, 0, column) == 't';
}

/* *ret_incident has no rows when there is no such incident. */
static pg_verdict lock(situation *s, incident *ret_incident) {
    static const char sql[] =
        "SELECT id, status, version, relation, received_us, decoy_version, under_duress, run, run_from, pin,"
        " duress_pin, pin_failures, pin_locked FROM mayday.incident_lock($1, $2, $3)";
    const char *params[] = {say(s, s->r.org), say(s, s->where.id), say(s, s->r.sender)};
    pg_rows *rows = NULL;
    pg_verdict verdict = ask(s, sql, ARRAY_LEN(params), params, &rows);
    if (verdict != PG_DONE)
        return verdict;
    if (pg_rows_count(rows) == 0) {
        pg_rows_free(rows);
        return PG_DONE;
    }
    *ret_incident = (incident){
        .rows = rows,
        .id = pg_value(rows, 0, 0),
        .status = incident_status_named(cell(rows, 1)),
        .version = number(rows, 0, 2, 0),
        .relation = cell(rows, 3),
        .received_at = number(rows, 0, 4, 0),
        .decoy_version = number(rows, 0, 5, -1),
        .under_duress = yes(rows, 6),
        .run = number(rows, 0, 7, 0),
        .run_from = incident_status_named(cell(rows, 8)),
        .pin = cell(rows, 9),
        .duress_pin = cell(rows, 10),
        .pin_failures = number(rows, 0, 11, 0),
        .pin_locked = yes(rows, 12),
    };
    return PG_DONE;
}

/* By what the database says they are to the incident, and by the roles of the session. Who canceled their own
 * incident is out of it, whatever their roles: under duress the phone is in other hands. */
static unsigned standing_of(const situation *s, text relation) {
    static const struct {
        text name;
        unsigned standing;
    } relations[] = {{TEXT("raiser"), STANDING_RAISER},
                     {TEXT("assigned"), STANDING_ASSIGNED},
                     {TEXT("invited"), STANDING_INVITED}},
      roles[] = {{TEXT("dispatcher"), STANDING_DISPATCHER},
                 {TEXT("supervisor"), STANDING_SUPERVISOR},
                 {TEXT("gateway"), STANDING_GATEWAY}};
    unsigned standing = 0;
    if (text_equal(relation, TEXT("former")))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(relations); i++)
        if (text_equal(relation, relations[i].name))
            standing |= relations[i].standing;
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (has_role(s->r.roles, roles[i].name))
            standing |= roles[i].standing;
    return standing;
}

/* Whoever is told of an incident by phone may take it on, ask for more help and say something about it: they
 * were asked. Not whoever is in danger themselves, who may be made to, nor those who only follow it. */
static unsigned standing_by_phone(const act *a) {
    static const text barred[] = {TEXT("family"), TEXT("former"), TEXT("past")};
    text relation = a->in.relation;
    if (a->request.action != ACTION_ACKNOWLEDGE && a->request.action != ACTION_ESCALATE &&
        a->request.action != ACTION_NOTE)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(barred); i++)
        if (text_equal(relation, barred[i]))
            return 0;
    return text_equal(relation, TEXT("raiser")) ? STANDING_RAISER : STANDING_GATEWAY;
}

static pg_verdict refuse(situation *s, const act *a, const char *verdict, const char *detail) {
    static const char sql[] = "SELECT mayday.incident_refuse($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    const char *params[] = {say(s, s->r.org),
                            s->id,
                            say(s, s->r.sender),
                            say(s, s->r.topic),
                            a->in.id,
                            verdict,
                            detail,
                            say_number(s, a->request.standing),
                            say_number(s, a->in.run),
                            say_number(s, a->done_at),
                            a->met == INCIDENT_NONE ? NULL : incident_status_name(a->met)};
    return ask(s, sql, ARRAY_LEN(params), params, NULL);
}

static pg_verdict refuse_verdict(situation *s, const act *a) {
    char detail[DETAIL_MAX] = "who sent this may not do it in this incident";
    const char *action = incident_action_name(a->request.action);
    const char *status = incident_status_name(a->met);
    long long version = (long long)a->in.version;
    if (a->verdict == INCIDENT_STALE)
        (void)snprintf(detail, sizeof detail,
                       "the incident is at version %lld (%s), and no more at %lld: look again", version,
                       status, (long long)a->request.expected_version);
    else if (a->verdict != INCIDENT_NOT_ALLOWED)
        (void)snprintf(detail, sizeof detail, "'%s' is not possible while the incident is %s (version %lld)",
                       action, status, version);
    return refuse(s, a, incident_verdict_name(a->verdict), detail);
}

static bool changed(const act *a, const incident_item *now) {
    const incident_item *was = &a->before[now->tag];
    return now->tag + 1 == a->count || now->verdict != was->was || now->from != was->from ||
           now->to != was->to;
}

/* The arrays of incident_apply(): what changed, this action among it. */
static int spell_changes(const situation *s, const act *a, buf arrays[4]) {
    for (size_t i = 0; i < 4; i++)
        buf_add_char(&arrays[i], '{');
    for (size_t i = 0; i < (a->late ? a->count : 1); i++) {
        const incident_item alone = {.verdict = a->verdict, .from = a->in.status, .to = a->to};
        const incident_item *item = a->late ? &a->items[i] : &alone;
        char id[UUID_TEXT_LEN + 1];
        if (a->late && !changed(a, item))
            continue;
        if (a->late)
            uuid_format(&item->id, id);
        add_element(&arrays[0], text_of(a->late ? id : s->id));
        add_element(&arrays[1], text_of(incident_verdict_name(item->verdict)));
        add_element(&arrays[2], text_of(incident_status_name(item->from)));
        add_element(&arrays[3], text_of(incident_status_name(item->to)));
    }
    for (size_t i = 0; i < 4; i++) {
        buf_add_char(&arrays[i], '}');
        if (buf_failed(&arrays[i]) < 0)
            return -1;
    }
    return 0;
}

static pg_verdict apply(situation *s, const act *a) {
    static const char sql[] = "SELECT mayday.incident_apply($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    CLEANUP(buf_release) buf ids = BUF(ARRAYS_LIMIT), verdicts = BUF(ARRAYS_LIMIT);
    CLEANUP(buf_release) buf froms = BUF(ARRAYS_LIMIT), tos = BUF(ARRAYS_LIMIT);
    buf arrays[4] = {ids, verdicts, froms, tos};
    int fault = spell_changes(s, a, arrays);
    ids = arrays[0], verdicts = arrays[1], froms = arrays[2], tos = arrays[3];
    const char *params[] = {say(s, s->r.org),
                            a->in.id,
                            s->id,
                            say_number(s, a->request.standing),
                            say_number(s, a->done_at),
                            a->late ? "false" : "true",
                            incident_status_name(a->to),
                            ids.ptr,
                            verdicts.ptr,
                            froms.ptr,
                            tos.ptr};
    return fault < 0 ? PG_RETRY : ask(s, sql, ARRAY_LEN(params), params, NULL);
}

/* Reads the run of late actions that this one belongs to, and adds it at the end. */
static pg_verdict read_run(situation *s, act *a) {
    static const char sql[] = "SELECT id, done_us, action, standing, verdict, from_status, to_status"
                              " FROM mayday.incident_run($1, $2)";
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {say(s, s->r.org), a->in.id};
    pg_verdict verdict = ask(s, sql, ARRAY_LEN(params), params, &rows);
    if (verdict != PG_DONE)
        return verdict;
    size_t count = pg_rows_count(rows);
    a->late = count < REPLAY_MOST;
    if (!a->late)
        return PG_DONE;
    a->before = calloc(count + 1, sizeof *a->before);
    a->items = calloc(count + 1, sizeof *a->items);
    if (!a->before || !a->items)
        return PG_RETRY;
    for (size_t i = 0; i < count; i++) {
        incident_item *item = &a->before[i];
        *item = (incident_item){.at = number(rows, i, 1, 0), .tag = i};
        item->action = incident_action_named(text_of(pg_value(rows, i, 2)));
        item->standing = (unsigned)number(rows, i, 3, 0);
        item->was = incident_verdict_named(text_of(pg_value(rows, i, 4)));
        item->from = incident_status_named(text_of(pg_value(rows, i, 5)));
        item->to = incident_status_named(text_of(pg_value(rows, i, 6)));
        if (uuid_parse(text_of(pg_value(rows, i, 0)), &item->id) < 0)
            return PG_RETRY;
    }
    incident_item own = {
        .at = a->done_at, .action = a->request.action, .standing = a->request.standing, .tag = count};
    if (uuid_parse(text_of(s->id), &own.id) < 0)
        return PG_RETRY;
    a->before[count] = own;
    a->count = count + 1;
    memcpy(a->items, a->before, a->count * sizeof *a->items);
    return PG_DONE;
}

static pg_verdict judge(situation *s, act *a) {
    a->late = s->offline && a->request.action != ACTION_NOTE;
    pg_verdict verdict = a->late ? read_run(s, a) : PG_DONE;
    if (verdict != PG_DONE)
        return verdict;
    a->to = a->met = a->in.status;
    if (!a->late) {
        a->verdict = incident_judge(a->in.status, a->in.version, &a->request, &a->to);
        return PG_DONE;
    }
    a->to = incident_replay(a->in.run_from, a->items, a->count);
    for (size_t i = 0; i < a->count; i++)
        if (a->items[i].tag + 1 == a->count) {
            a->verdict = a->items[i].verdict;
            a->met = a->items[i].from;
        }
    return PG_DONE;
}

static bool is_applied(const act *a) {
    return a->verdict == INCIDENT_APPLIED || a->verdict == INCIDENT_NOTED;
}

static pg_verdict finish(situation *s, const act *a) {
    static const char sql[] = "SELECT mayday.person_known($1, $2)";
    text person = json_get_string(s->body, "person");
    char detail[DETAIL_MAX];
    if (!is_applied(a))
        return refuse_verdict(s, a);
    if (!person.ptr || a->request.action == ACTION_UNASSIGN)
        return apply(s, a);
    CLEANUP(pg_rows_freep) pg_rows *rows = NULL;
    const char *params[] = {say(s, s->r.org), say(s, person)};
    pg_verdict verdict = ask(s, sql, ARRAY_LEN(params), params, &rows);
    if (verdict != PG_DONE || yes(rows, 0))
        return verdict == PG_DONE ? apply(s, a) : verdict;
    (void)snprintf(detail, sizeof detail, "this organisation has no '%.128s'", params[1]);
    return refuse(s, a, "unknown_person", detail);
}

/* Cancels. */

static pg_verdict duress(situation *s, const act *a, bool quietly) {
    static const char sql[] = "SELECT mayday.incident_duress($1, $2, $3, $4, $5, $6, $7)";
    const char *params[] = {say(s, s->r.org),
                            a->in.id,
                            s->id,
                            say(s, s->r.sender),
                            say_number(s, a->request.standing),
                            say_number(s, a->done_at),
                            quietly ? "true" : "false"};
    return ask(s, sql, ARRAY_LEN(params), params, NULL);
}

/* While the PIN is locked, or when there is nothing to cancel any more, the duress PIN still calls for help.
 */
static pg_verdict without_cancel(situation *s, const act *a, text pin) {
    bool listens = pin.ptr && pin_listens(s, a->in.pin_failures);
    pin_verdict is = listens ? pin_judge(pin, a->in.pin, a->in.duress_pin) : PIN_WRONG;
    pg_verdict verdict = PG_DONE;
    if (is == PIN_DURESS && !incident_closed(a->in.status))
        verdict = duress(s, a, true);
    if (verdict == PG_DONE && (is == PIN_WRONG || a->in.pin_locked))
        verdict = pin_tried(s, false);
    return verdict;
}

static pg_verdict cancel(situation *s, const act *a) {
    text pin = json_get_string(s->body, "pin");
    pg_verdict verdict = PG_DONE;
    if (a->in.pin_locked || !is_applied(a)) {
        verdict = pin.ptr ? without_cancel(s, a, pin) : PG_DONE;
        if (verdict != PG_DONE)
            return verdict;
        return is_applied(a) ? refuse(s, a, "pin_locked", "too many wrong PINs: none is taken for a while")
                             : refuse_verdict(s, a);
    }
    pin_verdict is = pin.ptr ? pin_judge(pin, a->in.pin, a->in.duress_pin) : PIN_WRONG;
    verdict = pin_tried(s, is != PIN_WRONG);
    if (verdict != PG_DONE)
        return verdict;
    if (is == PIN_WRONG)
        return refuse(s, a, "bad_pin", "the PIN is wrong or missing");
    /* Once they called for help under duress, no PIN ends it: it may have been taken from them. */
    return is == PIN_DURESS || a->in.under_duress ? duress(s, a, false) : apply(s, a);
}

static pg_verdict act_on(situation *s, act *a) {
    const json *expected = json_get(s->body, "expected_version");
    a->request.standing = a->by_phone ? standing_by_phone(a) : standing_of(s, a->in.relation);
    a->request.expected_version = json_kind_of(expected) == JSON_INTEGER ? json_integer(expected) : -1;
    a->done_at = incident_effective_time(s->offline, s->at, a->in.received_at, s->r.received_at);
    pg_verdict verdict = judge(s, a);
    if (verdict != PG_DONE)
        return verdict;
    bool asks_pin =
        a->request.action == ACTION_CANCEL && (a->request.standing & STANDING_RAISER) && a->in.pin.ptr;
    return asks_pin ? cancel(s, a) : finish(s, a);
}

/* From here on the sender is who answered; the gateway is kept beside the action. */
static pg_verdict answered_by_phone(situation *s) {
    static const char sql[] = "SELECT mayday.action_through($1, $2)";
    const char *params[] = {s->id, say(s, s->r.sender)};
    s->r.sender = record_actor(&s->r, json_get_string(s->body, "by"));
    return ask(s, sql, ARRAY_LEN(params), params, NULL);
}

pg_verdict effect_action(situation *s) {
    act a = {.request.action = incident_action_named(json_get_string(s->body, "action")),
             .by_phone = has_role(s->r.roles, TEXT("gateway")) && json_get(s->body, "by"),
             .done_at = s->r.received_at};
    pg_verdict verdict = a.by_phone ? answered_by_phone(s) : PG_DONE;
    if (verdict == PG_DONE)
        verdict = lock(s, &a.in);
    if (verdict == PG_DONE)
        verdict = a.in.rows ? act_on(s, &a) : refuse(s, &a, "unknown_alert", "no incident has this id");
    free(a.items);
    free(a.before);
    pg_rows_free(a.in.rows);
    return verdict;
}
