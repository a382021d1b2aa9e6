/* alert_receipt.c - messages of an incident have reached a device, or were read. */
#include "msg/types/row.h"

extern const msg_type msg_type_alert_receipt;

static const msg_column columns[] = {
    TOPIC("alert", MSG_UUID),
    BODY("of", MSG_JSON),
    BODY("mark", MSG_TEXT),
};

const msg_type msg_type_alert_receipt = {
    .name = "alert_receipt",
    .schema = "receipt",
    .family = ADDRESS_ALERT,
    .leaf = "receipt",
    .limit = MSG_TELEMETRY,
    .stored = true,
    .settle = "settle_receipts",
    .table = "receipt",
    COLUMNS(columns),
};
