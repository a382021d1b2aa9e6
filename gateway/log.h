/* log.h - the gateway's log: one line an event, to stderr. Under systemd each line carries its priority for
 * the journal. Threads: any; a line is written whole. */
#ifndef MAYDAY_GATEWAY_LOG_H
#define MAYDAY_GATEWAY_LOG_H

#include <stdarg.h>

#include "gateway/service.h"

void log_line(const char *who, log_level level, const char *format, ...) PRINTF_LIKE(3, 4);
void log_line_v(const char *who, log_level level, const char *format, va_list args) PRINTF_LIKE(3, 0);

#endif
