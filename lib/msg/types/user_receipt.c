/* user_receipt.c - messages that were sent to one person have reached a device, or were read. */
#include "msg/types/row.h"

extern const msg_type msg_type_user_receipt;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),
    BODY("of", MSG_JSON),
    BODY("mark", MSG_TEXT),
};

const msg_type msg_type_user_receipt = {
    .name = "user_receipt",
    .schema = "receipt",
    .family = ADDRESS_USER,
    .leaf = "receipt",
    .limit = MSG_TELEMETRY,
    .stored = true,
    .settle = "settle_receipts",
    .table = "receipt",
    COLUMNS(columns),
};
