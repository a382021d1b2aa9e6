/* load_inside.h - what the load*.c files share; nobody else includes it. */
#ifndef MAYDAY_STORE_LOAD_INSIDE_H
#define MAYDAY_STORE_LOAD_INSIDE_H

#include "store/load.h"

/* Inside an open transaction: stores what can be stored, runs the effects, and settles the fate of every row.
 */
NODISCARD pg_verdict load_carefully(load *l);

/* What a message changes besides its own row: a raise opens an incident, an assignment makes a member. */
bool effect_exists(const batch_row *row);
NODISCARD pg_verdict effects_of_all(load *l);
NODISCARD pg_verdict effects_prepare(load *l); /* before the first effect_of() a batch */
NODISCARD pg_verdict effect_of(load *l, const batch_row *row);

/* For each type with its rows that are new: its settle function; before the effects those of the brokers' own
 * records (who connected is known before what they did is judged), after them the others. Then the feed: its
 * positions are given under a lock that all writers share, so nothing that takes another lock may follow.
 * `careful`: what the database refuses becomes a dead letter; otherwise PG_DATA. */
typedef enum settle_when {
    SETTLE_BEFORE = 0,
    SETTLE_AFTER
} settle_when;
NODISCARD pg_verdict load_settle(load *l, settle_when when, bool careful);
NODISCARD pg_verdict load_feed(load *l, bool careful);

/* Writes the refused rows into mayday.dead_letter. */
NODISCARD pg_verdict load_bury(load *l);

#endif
