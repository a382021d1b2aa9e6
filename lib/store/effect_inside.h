/* effect_inside.h - what the effect*.c files share; nobody else includes it. */
#ifndef MAYDAY_STORE_EFFECT_INSIDE_H
#define MAYDAY_STORE_EFFECT_INSIDE_H

#include "base/json.h"
#include "core/topic.h"
#include "store/load_inside.h"

enum {
    SITUATION_WORDS = 32
};

/* One message whose effect is to come, and the words said to the database about it. */
typedef struct situation {
    load *l;
    pg *c;
    record r;
    address where;
    const json *body;
    char id[UUID_TEXT_LEN + 1]; /* of the message */
    bool fresh;                 /* not stored before */
    bool offline;
    instant at; /* by its device's clock */
    char *words[SITUATION_WORDS];
    size_t word_count;
    bool mute; /* memory was short, or there were too many words */
} situation;

/* A parameter, kept until the situation is released; NULL (null) for a text without ptr. */
const char *say(situation *s, text t);
const char *say_number(situation *s, int64_t value);

/* One statement; PG_RETRY without asking when a word is missing. */
NODISCARD pg_verdict ask(situation *s, const char *sql, size_t count, const char *const *params,
                         pg_rows **ret_rows);

/* An array as PostgreSQL spells it: add_element() between '{' and '}'. */
void add_element(buf *to, text element);

/* A PIN was tried; wrong ones are counted. Hashing costs time: whoever guesses on and on while the PIN is
 * locked is not listened to any more. */
NODISCARD pg_verdict pin_tried(situation *s, bool fits);
bool pin_listens(const situation *s, int64_t failures);

/* The sender's PINs as the database has them, with the person locked; texts belong to `rows`, the caller's.
 */
typedef struct own_pins {
    pg_rows *rows;
    text pin, duress_pin;
    int64_t pin_failures;
    bool pin_locked;
} own_pins;
NODISCARD pg_verdict own_lock(situation *s, own_pins *ret_own);

NODISCARD pg_verdict effect_action(situation *s);
NODISCARD pg_verdict effect_reply(situation *s);
NODISCARD pg_verdict effect_settings(situation *s);

#endif
