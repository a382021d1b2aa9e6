/* raise.c - somebody is in danger: the message an incident begins with. */
#include "msg/types/row.h"

extern const msg_type msg_type_raise;

static const msg_column columns[] = {
    TOPIC("alert", MSG_UUID),
    BODY("type", MSG_TEXT),
    BODY("priority", MSG_TEXT),
    POINT_AT("position", "location"),
    BODY_AT("accuracy", MSG_REAL4, "location.accuracy"),
    BODY_AT("place", MSG_JSON, "location"),
    BODY("text", MSG_TEXT),
    BODY("lang", MSG_TEXT),
    BODY("silent", MSG_BOOL),
    BODY("person", MSG_TEXT),
    BODY("readings", MSG_JSON),
};

const msg_type msg_type_raise = {
    .name = "raise",
    .schema = "raise",
    .family = ADDRESS_ALERT,
    .leaf = "raise",
    .limit = MSG_RAISE,
    .stored = true,
    .sync = true,
    .urgent = true,
    .fed = true,
    .table = "raise",
    COLUMNS(columns),
};
