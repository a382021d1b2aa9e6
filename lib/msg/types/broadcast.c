/* broadcast.c - a message for everyone of a role. */
#include "msg/types/row.h"

extern const msg_type msg_type_broadcast;

static const msg_column columns[] = {
    TOPIC("role", MSG_TEXT),
    BODY("text", MSG_TEXT),
    BODY("lang", MSG_TEXT),
};

const msg_type msg_type_broadcast = {
    .name = "broadcast",
    .schema = "broadcast",
    .family = ADDRESS_ROLE,
    .leaf = "broadcast",
    .limit = MSG_TALK,
    .stored = true,
    .sync = true,
    .fed = true,
    .table = "broadcast",
    COLUMNS(columns),
};
