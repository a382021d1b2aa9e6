/* duty.c - a person goes on duty, off, is busy, on the way, on the scene. */
#include "msg/types/row.h"

extern const msg_type msg_type_duty;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),
    BODY("status", MSG_TEXT),
};

const msg_type msg_type_duty = {
    .name = "duty",
    .schema = "duty",
    .family = ADDRESS_USER,
    .leaf = "duty",
    .limit = MSG_ACTION,
    .stored = true,
    .settle = "settle_duty",
    .table = "duty",
    COLUMNS(columns),
};
