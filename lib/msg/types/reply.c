/* reply.c - a person's answer to a check. */
#include "msg/types/row.h"

extern const msg_type msg_type_reply;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),
    BODY_AT("check_id", MSG_UUID, "check"),
    BODY("answer", MSG_TEXT),
    BODY("text", MSG_TEXT),
    POINT_AT("position", "location"),
    BODY_AT("accuracy", MSG_REAL4, "location.accuracy"),
    BODY_AT("place", MSG_JSON, "location"),
};

const msg_type msg_type_reply = {
    .name = "reply",
    .schema = "reply",
    .family = ADDRESS_USER,
    .leaf = "reply",
    .limit = MSG_TALK,
    .stored = true,
    .sync = true,
    .urgent = true,
    .secret = true,
    .fed = true,
    .settle = "settle_replies",
    .table = "reply",
    COLUMNS(columns),
};
