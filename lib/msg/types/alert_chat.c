/* alert_chat.c - talk among the members of an incident. */
#include "msg/types/row.h"

extern const msg_type msg_type_alert_chat;

static const msg_column columns[] = {
    TOPIC("alert", MSG_UUID),   BODY("text", MSG_TEXT),  BODY("lang", MSG_TEXT),
    BODY("reply_to", MSG_UUID), BODY("media", MSG_JSON),
};

const msg_type msg_type_alert_chat = {
    .name = "alert_chat",
    .schema = "chat",
    .family = ADDRESS_ALERT,
    .leaf = "chat",
    .limit = MSG_TALK,
    .stored = true,
    .sync = true,
    .fed = true,
    .table = "chat",
    COLUMNS(columns),
};
