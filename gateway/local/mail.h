/* mail.h - letters: what providers told us over HTTP, as it waits in local.h for the database; and what
 * somebody's text means.
 * Pure. Threads: no state; a `vocabulary` never changes once it is made. */
#ifndef MAYDAY_GATEWAY_LOCAL_MAIL_H
#define MAYDAY_GATEWAY_LOCAL_MAIL_H

#include "base/json.h"
#include "core/texts.h"
#include "gateway/providers/provider.h"

#define MAIL_KEY_LEN 64

/* JSON; the same event is spelled the same. A fault stays in the buffer. */
void mail_spell(const hook_event *e, buf *to);
/* Of what mail_spell() gave: hexadecimal, NUL-terminated. Returns 0 or -EIO. */
NODISCARD int mail_key(text spelled, char ret_key[MAIL_KEY_LEN + 1]);
/* Back. The event's texts belong to *ret_body, which is the caller's. Returns 0, -ENOMEM, or -EBADMSG: it was
 * not spelled by us. */
NODISCARD int mail_read(text spelled, json **ret_body, hook_event *ret_event);

typedef enum mail_meaning {
    MEANING_UNCLEAR = 0,
    MEANING_ACKNOWLEDGE,
    MEANING_ESCALATE,
    MEANING_HELP,
    MEANING_STOP,
    MEANING_START,
} mail_meaning;

const char *mail_meaning_name(mail_meaning m); /* as in mayday.answer.answer */

/* The words of all languages: templates "answer.ok", "answer.escalate", "answer.help", "answer.stop",
 * "answer.start". */
typedef struct vocabulary vocabulary;
NODISCARD vocabulary *vocabulary_new(const texts *t); /* NULL when memory is short */
vocabulary *vocabulary_free(vocabulary *v);           /* takes NULL, returns NULL */
DEFINE_CLEANUP(vocabulary, vocabulary_free)

#define MAIL_CODE_LEN 4

/* What a text says: nothing but words that mean one thing, and at most one code of four digits; a code alone
 * takes it on. Anything else is unclear: to ask once more costs less than to stop calling others by mistake.
 * ret_code: "" when there is none. */
mail_meaning mail_understand(const vocabulary *v, text said, char ret_code[MAIL_CODE_LEN + 1]);

/* Of a key in a call: 1 takes it on, 2 asks for more help; all others are unclear. */
mail_meaning mail_key_pressed(text key);

#endif
