/* person_channel.h - `mayday person channel`: how somebody is reached, in which order. */
#ifndef MAYDAY_TOOLS_PERSON_CHANNEL_H
#define MAYDAY_TOOLS_PERSON_CHANNEL_H

#include "database.h"

typedef struct channel_options {
    const char *config_path, *database;
    int64_t place; /* 0: behind all others */
    bool full, json;
} channel_options;

/* `words`: ORG PERSON add|list|remove [KIND [NUMBER]], `count` of them. An exit code. */
NODISCARD int person_channel(const command *c, const channel_options *o, char **words, int count);

#endif
