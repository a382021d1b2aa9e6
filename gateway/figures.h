/* figures.h - what the services' figures mean: one row for each name that service_count() or service_gauge()
 * is called with. Threads: constant. */
#ifndef MAYDAY_GATEWAY_FIGURES_H
#define MAYDAY_GATEWAY_FIGURES_H

/* A sentence. */
const char *figure_help(const char *name);

#endif
