/* action.c - what somebody does about an incident: acknowledge, assign, cancel...
 * The PIN of a cancel is judged when the row is stored
 * (lib/store/effect) and kept nowhere. */
#include "msg/types/row.h"

extern const msg_type msg_type_action;

static const msg_column columns[] = {
    TOPIC("alert", MSG_UUID),
    BODY("action", MSG_TEXT),
    BODY("person", MSG_TEXT),
    BODY("reason", MSG_TEXT),
    BODY("expected_version", MSG_INTEGER),
    BODY("level", MSG_INTEGER),
    BODY("seconds", MSG_INTEGER),
    BODY("by", MSG_TEXT),
};

const msg_type msg_type_action = {
    .name = "action",
    .schema = "action",
    .family = ADDRESS_ALERT,
    .leaf = "action",
    .limit = MSG_ACTION,
    .stored = true,
    .sync = true,
    .urgent = true,
    .secret = true,
    .fed = true,
    .table = "action",
    COLUMNS(columns),
};
