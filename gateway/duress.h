/* duress.h - the words by which somebody under duress calls for help, as mayday.calls_for_help (sql/0021)
 * finds them. Threads: no state. */
#ifndef MAYDAY_GATEWAY_DURESS_H
#define MAYDAY_GATEWAY_DURESS_H

#include "base/json.h"
#include "gateway/local/local.h"

/* Does `said` hold one of {"*": [...], "<person>": [...]}, as a word, whatever its case in ASCII? */
bool duress_said(const json *words, text person, text said);

/* The rules of vital signs of each organisation as they were known last, {"rules": {"duress_words": ...}}:
 * the service vigil keeps them on this shelf of the gateway's own store. */
#define DURESS_SHELF TEXT("vigil-rules")
/* By the words that are on that shelf; false when none are. */
bool duress_known(local *l, text org, text person, text said);

#endif
