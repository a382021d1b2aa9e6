/* broker_figures.h - what the broker says of itself below $SYS/broker/mayday/, kept as it was last said.
 * Bounded: BROKER_FIGURES_MAX of them, further ones are only counted. Threads: locks itself. */
#ifndef MAYDAY_GATEWAY_BUS_BROKER_FIGURES_H
#define MAYDAY_GATEWAY_BUS_BROKER_FIGURES_H

#include "base/buf.h"
#include "gateway/bus/bus.h"

#define BROKER_FIGURES_MAX 512

typedef struct broker_figures broker_figures;

NODISCARD broker_figures *broker_figures_new(void);             /* NULL when memory is short */
broker_figures *broker_figures_free(broker_figures *f);         /* after the bus; takes NULL, returns NULL */
NODISCARD int broker_figures_listen(broker_figures *f, bus *b); /* for the bus's life */

/* One figure, as the bus heard it: `topic` is whole. */
void broker_figures_hear(broker_figures *f, text topic, text payload);

/* In Prometheus's text format. */
void broker_figures_print(broker_figures *f, buf *to);

#endif
