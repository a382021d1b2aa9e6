/* room_receipt.c - messages of a room have reached a device, or were read. */
#include "msg/types/row.h"

extern const msg_type msg_type_room_receipt;

static const msg_column columns[] = {
    TOPIC("room", MSG_TEXT),
    BODY("of", MSG_JSON),
    BODY("mark", MSG_TEXT),
};

const msg_type msg_type_room_receipt = {
    .name = "room_receipt",
    .schema = "receipt",
    .family = ADDRESS_ROOM,
    .leaf = "receipt",
    .limit = MSG_TELEMETRY,
    .stored = true,
    .settle = "settle_receipts",
    .table = "receipt",
    COLUMNS(columns),
};
