/* once.h - lines that are said once, however often they come. Pure. */
#ifndef MAYDAY_TOOLS_ONCE_H
#define MAYDAY_TOOLS_ONCE_H

#include "base/buf.h"

/* True the first time `line` comes; it is kept in `said`, which starts empty. When memory is short everything
 * is new: rather twice than never. */
bool once(buf *said, const char *line);

#endif
