/* duress.h - the words by which somebody under duress calls for help, as mayday.calls_for_help (sql/0021)
 * finds them. Pure. Threads: no state. */
#ifndef MAYDAY_GATEWAY_DURESS_H
#define MAYDAY_GATEWAY_DURESS_H

#include "base/json.h"

/* Does `said` hold one of {"*": [...], "<person>": [...]}, as a word, whatever its case in ASCII? */
bool duress_said(const json *words, text person, text said);

#endif
