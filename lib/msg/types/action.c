/* action.c - what somebody does about an incident: acknowledge, assign, cancel...
 * The PIN of a cancel is kept for the gateway alone, which judges it and erases it. */
#include "msg/types/row.h"

extern const msg_type msg_type_action;

static const msg_column columns[] = {
    TOPIC("alert", MSG_UUID), BODY("action", MSG_TEXT), BODY("person", MSG_TEXT),
    BODY("pin", MSG_TEXT),    BODY("reason", MSG_TEXT), BODY("expected_version", MSG_INTEGER),
};

const msg_type msg_type_action = {
    .name = "action",
    .schema = "action",
    .family = ADDRESS_ALERT,
    .leaf = "action",
    .stored = true,
    .sync = true,
    .urgent = true,
    .table = "action",
    COLUMNS(columns),
};
