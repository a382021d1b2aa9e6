/* load_inside.h - what the load*.c files share; nobody else includes it. */
#ifndef MAYDAY_STORE_LOAD_INSIDE_H
#define MAYDAY_STORE_LOAD_INSIDE_H

#include "store/load.h"

/* Inside an open transaction: stores what can be stored, and settles the fate of every row. */
NODISCARD pg_verdict load_carefully(pg *c, batch *b);

/* What a message changes besides its own row: a raise opens an incident, an assignment makes a member. */
bool effect_exists(const batch_row *row);
NODISCARD pg_verdict effect_of(pg *c, batch *b, const batch_row *row);

#endif
