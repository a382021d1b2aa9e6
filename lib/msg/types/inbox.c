/* inbox.c - a message for one person. */
#include "msg/types/row.h"

extern const msg_type msg_type_inbox;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT), BODY("text", MSG_TEXT),  BODY("lang", MSG_TEXT),
    BODY("kind", MSG_TEXT),    BODY("alert", MSG_UUID),
};

const msg_type msg_type_inbox = {
    .name = "inbox",
    .schema = "inbox",
    .family = ADDRESS_USER,
    .leaf = "inbox",
    .limit = MSG_TALK,
    .stored = true,
    .sync = true,
    .fed = true,
    .table = "inbox",
    COLUMNS(columns),
};
