/* escalation_tool.h - `mayday escalation`: what its options say, and what is behind its words: looking
 * (escalation_look.c) and the dry run (rehearsal.c). What it does to an escalation it says over MQTT, by
 * alert_act.c. */
#ifndef MAYDAY_TOOLS_ESCALATION_TOOL_H
#define MAYDAY_TOOLS_ESCALATION_TOOL_H

#include "alert.h"

typedef struct escalation_options {
    alert_options act; /* who, where, which incident */
    const char *org;   /* of list, show and test */
    const char *policy, *type, *priority, *raiser, *at, *lat, *lon, *plan_file;
    int64_t limit;
    bool all;
} escalation_options;

NODISCARD int escalation_list(const command *c, const escalation_options *o);
NODISCARD int escalation_show(const command *c, const escalation_options *o);

/* Exit code 1 also when a level reaches nobody. */
NODISCARD int escalation_rehearse(const command *c, const escalation_options *o);

#endif
