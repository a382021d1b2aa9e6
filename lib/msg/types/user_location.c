/* user_location.c - where a person is. */
#include "msg/types/row.h"

extern const msg_type msg_type_user_location;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),   POINT_AT("position", NULL), BODY("accuracy", MSG_REAL4),
    BODY("altitude", MSG_REAL4), BODY("speed", MSG_REAL4),   BODY("heading", MSG_REAL4),
    BODY("source", MSG_TEXT),    BODY("battery", MSG_REAL4),
};

const msg_type msg_type_user_location = {
    .name = "user_location",
    .schema = "location",
    .family = ADDRESS_USER,
    .leaf = "location",
    .limit = MSG_TELEMETRY,
    .stored = true,
    .table = "location",
    COLUMNS(columns),
};
