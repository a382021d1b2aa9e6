/* exposition.h - Prometheus's text format, 0.0.4. Pure. */
#ifndef MAYDAY_GATEWAY_HTTP_EXPOSITION_H
#define MAYDAY_GATEWAY_HTTP_EXPOSITION_H

#include "base/buf.h"

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* `type`: counter, gauge, untyped. The samples of the name follow. */
void exposition_head(buf *to, const char *name, const char *type, const char *help);

/* With a NULL label: without one. The value of a label may be anything. */
void exposition_sample(buf *to, const char *name, const char *label, const char *value, double number);

/* `labels` as they are spelled, without braces; "": none. */
void exposition_labelled(buf *to, const char *name, const char *labels, double number);

void exposition_one(buf *to, const char *name, const char *type, const char *help, double number);

#endif
