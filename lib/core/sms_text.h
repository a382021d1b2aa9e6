/* sms_text.h - how long a text is when it travels as SMS (3GPP TS 23.038: GSM 7-bit default alphabet with its
 * extension table, else UCS-2; 160/153 septets, 70/67 UTF-16 units for each segment).
 * Pure. Threads: no state. */
#ifndef MAYDAY_CORE_SMS_TEXT_H
#define MAYDAY_CORE_SMS_TEXT_H

#include "base/buf.h"

typedef struct sms_size {
    bool gsm7;       /* every sign is in the GSM alphabet */
    size_t units;    /* septets, or UTF-16 units */
    size_t segments; /* 0 for an empty text */
} sms_size;

/* `t` is well-formed UTF-8. */
sms_size sms_measure(text t);

/* Replaces what has an equivalent in the GSM alphabet (curly quotes, dashes, the ellipsis, no-break spaces),
 * so that one such sign does not double the price. Appends to `to`. */
void sms_simplify(text t, buf *to);

/* The longest beginning of `t`, cut between signs and not within a surrogate pair's sign, that fits into
 * `segments`. */
text sms_fit(text t, size_t segments);

#endif
