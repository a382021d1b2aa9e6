/* inside.h - what the decoders of this room share: numbers and times in texts, and the ranges that the
 * messages allow (schemas/vitals.json, schemas/location.json). Pure. */
#ifndef MAYDAY_SENSE_INSIDE_H
#define MAYDAY_SENSE_INSIDE_H

#include "sense/sense.h"

/* A decimal number ("-12.5", "3e2"), the whole text, whatever the locale is. `comma` also takes ',' for the
 * point. False for anything else, and for what no double can hold. */
NODISCARD bool parse_number(text t, bool comma, double *ret_number);

/* `count` digits, no more and no less than the text has. */
NODISCARD bool parse_digits(text t, size_t count, int *ret_value);

/* An ISO 8601 moment: 2026-11-21T02:40:00[.123][Z|+01:00|+0100], ' ' for 'T' too; without a zone it is UTC,
 * for that is what GPX and most exports mean. Years 1970 to 9999. */
NODISCARD bool parse_moment(text t, instant *ret_at);

/* A day and a time of day that exist; second 60 is the next one. `micros`: below a second. */
NODISCARD bool moment_of(int year, int month, int day, int hour, int minute, int second, int micros,
                         instant *ret_at);

/* Without regard to the case of ASCII letters. */
bool text_is_word(text t, const char *word);

/* Puts a value where the schema allows it. A pulse or an oxygen saturation of 0 is how sensors say "none",
 * and is not put. */
void sense_put(reading *r, vital which, double value);
void sense_put_rr(reading *r, double ms); /* the newest are kept when there are too many */

/* Does away with what no message may say: false when the position itself is none, else what is out of its
 * range is NAN. */
bool sense_tidy(fix *f);

#endif
