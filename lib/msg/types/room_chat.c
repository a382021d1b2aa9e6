/* room_chat.c - talk among the members of a room. */
#include "msg/types/row.h"

extern const msg_type msg_type_room_chat;

static const msg_column columns[] = {
    TOPIC("room", MSG_TEXT),    BODY("text", MSG_TEXT),  BODY("lang", MSG_TEXT),
    BODY("reply_to", MSG_UUID), BODY("media", MSG_JSON),
};

const msg_type msg_type_room_chat = {
    .name = "room_chat",
    .schema = "chat",
    .family = ADDRESS_ROOM,
    .leaf = "chat",
    .limit = MSG_TALK,
    .stored = true,
    .sync = true,
    .fed = true,
    .table = "chat",
    COLUMNS(columns),
};
