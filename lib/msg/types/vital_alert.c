/* vital_alert.c - Mayday found that somebody's body gives cause for concern; for dispatch. Medical. */
#include "msg/types/row.h"

extern const msg_type msg_type_vital_alert;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),
    BODY("rule", MSG_TEXT),
    BODY("kind", MSG_TEXT),
    BODY("response", MSG_TEXT),
    BODY("words", MSG_TEXT),
    BODY("vital", MSG_TEXT),
    BODY_AT("measured", MSG_REAL, "value"),
    BODY_AT("bound", MSG_REAL, "limit"),
    BODY("usual", MSG_REAL),
    BODY("since", MSG_TIME),
    BODY("context", MSG_TEXT),
    BODY("readings", MSG_JSON),
    BODY_AT("check_id", MSG_UUID, "check"),
    BODY("alert", MSG_UUID),
};

const msg_type msg_type_vital_alert = {
    .name = "vital_alert",
    .schema = "vital_alert",
    .family = ADDRESS_USER,
    .leaf = "vital_alert",
    .stored = true,
    .sync = true,
    .urgent = true,
    .fed = true,
    .table = "vital_alert",
    COLUMNS(columns),
};
