/* body.h - reads one body over time: which readings can be believed, what is usual for this person, what they
 * are doing, and whether a rule has been broken for long enough to say so.
 *
 *   reading -> quality (contact, validity, the sensor's own trust) -> artefacts (impossible values, steps no
 *   heart makes, values that stand still) -> context (rest, moving, exercise, just after; from motion and
 * speed)
 *   -> baseline (slow, learned at rest) -> rules (limit or departure, for how long, hysteresis) -> finding
 *
 * Explainable: a finding says which rule, which values, against what, for how long. Pure: time comes with the
 * readings and as `now`. Readings may be late and out of order: a value older than the last of its kind is
 * left; readings of which nothing was news are counted. One from the future counts as of now.
 *
 * Ownership and size: a body is a flat value of a few kB that refers to nothing; 10,000 of them fit a small
 * machine. It can be kept and read back (body_spell, body_read). Rules never change once parsed. Threads: a
 * body belongs to one; rules may be shared. */
#ifndef MAYDAY_CORE_BODY_H
#define MAYDAY_CORE_BODY_H

#include "base/buf.h"
#include "base/json.h"
#include "core/news2.h"
#include "core/reading.h"

/* ---- rules: schemas/documents/body.json; shipped defaults in body_rules_default() ---- */

typedef enum body_response {
    BODY_NOTE = 0, /* dispatch sees it: a vital_alert */
    BODY_ASK,      /* and the person is asked whether they are OK */
    BODY_RAISE,    /* an alarm at once: what nobody could answer to */
} body_response;

typedef struct body_rules body_rules;
#define BODY_WHY_MAX   256
#define BODY_RULES_MAX 64 /* different ones of one document, with the shipped ones */
/* Rules of an organisation, its roles and its people: {"v": 1, "rules": [...], "settings": {...}, "roles":
 * {...}, "people": {...}}. They lie over the shipped ones; the nearest word counts, key by key: the person's,
 * their roles' (of several the one that stands last in the document), the organisation's, the shipped one.
 * Copies. 0, -ENOMEM, or -EBADMSG with a sentence that says where. */
NODISCARD int body_rules_parse(const json *document, body_rules **ret_rules, char ret_why[BODY_WHY_MAX]);
NODISCARD int body_rules_default(body_rules **ret_rules); /* the shipped ones alone; -ENOMEM */
text body_rules_shipped(void);                            /* as a document, each rule with its source */
body_rules *body_rules_free(body_rules *r);               /* takes NULL, returns NULL */
DEFINE_CLEANUP(body_rules, body_rules_free)

/* The rules of one person, resolved; owned by `r`, valid as long as it. `roles` as words of their token.
 * People to whom the same words apply share theirs. Writes in `r`: one thread at a time. 0 or -ENOMEM. */
typedef struct body_limits body_limits;
NODISCARD int body_rules_for(body_rules *r, text person, const text *roles, size_t role_count,
                             const body_limits **ret_limits);

/* What a rule says, for people who ask why; false: there is none. Borrowed from the rules. */
typedef struct body_rule_view {
    const char *name, *source;
    body_response response;
    bool off;
} body_rule_view;
bool body_limits_rule(const body_limits *l, size_t index, body_rule_view *ret_rule);
const char *body_response_word(body_response r); /* "note", "ask", "raise" */

/* ---- one body ---- */

typedef enum body_context {
    CONTEXT_UNKNOWN = 0,
    CONTEXT_REST,
    CONTEXT_MOVING,
    CONTEXT_EXERCISE,
    CONTEXT_RECOVERY, /* just after exercise: the heart is still fast */
} body_context;
const char *body_context_word(body_context c); /* "rest", "moving", ... */

typedef enum body_trust {
    TRUST_NOTHING = 0, /* the reading said nothing that can be believed */
    TRUST_PART,
    TRUST_ALL,
} body_trust;

#define BODY_RULE_NAME_MAX 32
#define BODY_WORDS_MAX     400

typedef enum finding_kind {
    FINDING_NONE = 0,
    FINDING_BEGINS, /* a rule has been broken for as long as it asks */
    FINDING_GROWS,  /* it is worse by a step: the response may be stronger now */
    FINDING_ENDS,   /* it is over, with hysteresis */
} finding_kind;

typedef struct finding {
    instant since, at;          /* first broken; said */
    double value, limit, usual; /* NAN: none */
    finding_kind kind;
    body_response response;
    vital which; /* VITALS: none of them (a fall, stillness, a score) */
    body_context context;
    char rule[BODY_RULE_NAME_MAX];
    news2_score score; /* of what was believed at rest; elsewhere it is not made: NEWS2_UNKNOWN */
    bool worse;        /* the last OK, however old, does not cover it: grown by a step, or another rule */
    char words[BODY_WORDS_MAX]; /* for people, English: "pulse 148/min at rest for 60 s; usual 71, limit 120"
                                 */
} finding;

#define BODY_FINDINGS_MAX 8 /* of one reading */

typedef struct body body; /* opaque; see body_size() */
size_t body_size(void);   /* bytes of one, for tables */
NODISCARD int body_new(body **ret_body);
body *body_free(body *b); /* takes NULL, returns NULL */
DEFINE_CLEANUP(body, body_free)

/* Takes a reading. Returns how many findings were written. `speed`: m/s over ground lately, NAN: not known.
 */
size_t body_take(body *b, const body_limits *limits, const reading *r, double speed, instant now,
                 finding ret_findings[BODY_FINDINGS_MAX], body_trust *ret_trust);
/* Time passed without a reading (a silent sensor breaks rules, too, where one asks for it). Every second or
 * few is often enough. */
size_t body_pass(body *b, const body_limits *limits, instant now, finding ret_findings[BODY_FINDINGS_MAX]);

/* The person said they are OK: what they were asked about is usual for now; no second question about it for
 * the rule's own time, unless it gets worse by a step. */
void body_excuse(body *b, const body_limits *limits, instant now);

/* The incident about it is closed: that the readings end now, and what else follows from that alone, is noted
 * and no more. What is read after it counts as ever. */
void body_close(body *b, instant now);

/* What is known now: the newest believed values, baseline, trend, heart-rate variability (RMSSD, ms),
 * context. */
typedef struct body_view {
    reading latest;
    instant latest_at[VITALS];
    double usual[VITALS], trend_per_min[VITALS];
    double rmssd_ms;
    body_context context;
    news2_score score;
    uint64_t taken, doubted, late;
} body_view;
void body_look(const body *b, instant now, body_view *ret_view);

/* JSON, versioned. Reading back refuses what it did not write: -EBADMSG. */
void body_spell(const body *b, buf *to);
NODISCARD int body_read(text spelled, body **ret_body);

#endif
