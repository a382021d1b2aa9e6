/* phone.h - telephone numbers (E.164), and which sender a message to one comes from.
 * Pure. Threads: no state. */
#ifndef MAYDAY_CORE_PHONE_H
#define MAYDAY_CORE_PHONE_H

#include "base/text.h"

#define PHONE_MAX 16 /* '+' and fifteen digits */

typedef enum phone_verdict {
    PHONE_MALFORMED = 0, /* not '+', a digit from 1 to 9, and 6 to 14 digits more */
    PHONE_EMERGENCY,     /* an emergency service, which is not in the list of those allowed */
    PHONE_GOOD,
} phone_verdict;

/* `allowed`: numbers of emergency services that may be dialled nevertheless, in full, separated by spaces;
 * may be empty. What counts as one: a country's code followed by a number that is, or begins like, one of the
 * known emergency numbers of that country or of the world (112, 911, 999, 000, 10111...) and is too short to
 * be a subscriber's, with or without the 0 dialled within a country. Numbers longer than that are
 * subscribers. An allowed one is good whatever its length. */
phone_verdict phone_judge(text number, text allowed);

/* Of senders spelled "+1=+15551230000 +27=MAYDAY *=+447700900000" the one for `number`: the longest prefix
 * that fits, else the one of '*'; a word without '=' is for all. Borrowed from `senders`; empty with NULL ptr
 * when there is none. */
text phone_sender(text senders, text number);
/* One sender at least, each an E.164 number, and unless `numbers_only` also a short code, a name of up to
 * eleven letters and digits, or a messaging service (MG...). */
bool phone_senders_good(text senders, bool numbers_only);

/* For logs and people who need not know it: "+27•••••••89" (the first three and last two signs; of what is no
 * number: none). */
void phone_mask(text number, char ret_masked[PHONE_MAX * 3 + 1]);

#endif
