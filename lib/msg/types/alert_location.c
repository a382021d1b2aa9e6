/* alert_location.c - where the raiser or a responder of an incident is. */
#include "msg/types/row.h"

extern const msg_type msg_type_alert_location;

static const msg_column columns[] = {
    TOPIC("alert", MSG_UUID),    SENDER("person"),
    POINT_AT("position", NULL),  BODY("accuracy", MSG_REAL4),
    BODY("altitude", MSG_REAL4), BODY("speed", MSG_REAL4),
    BODY("heading", MSG_REAL4),  BODY("source", MSG_TEXT),
    BODY("battery", MSG_REAL4),
};

const msg_type msg_type_alert_location = {
    .name = "alert_location",
    .schema = "location",
    .family = ADDRESS_ALERT,
    .leaf = "location",
    .limit = MSG_TELEMETRY,
    .stored = true,
    .table = "location",
    COLUMNS(columns),
};
