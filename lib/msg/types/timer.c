/* timer.c - somebody who works alone asks to be checked on after so many minutes, or no more. */
#include "msg/types/row.h"

extern const msg_type msg_type_timer;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),
    BODY("minutes", MSG_INTEGER),
    BODY("text", MSG_TEXT),
    BODY("repeat", MSG_BOOL),
};

const msg_type msg_type_timer = {
    .name = "timer",
    .schema = "timer",
    .family = ADDRESS_USER,
    .leaf = "timer",
    .limit = MSG_TALK,
    .stored = true,
    .sync = true,
    .urgent = true,
    .settle = "settle_timers",
    .table = "timer",
    COLUMNS(columns),
};
