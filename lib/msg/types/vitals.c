/* vitals.c - what a sensor reads from a body. Medical: the plugin may write it and never read it. */
#include "msg/types/row.h"

extern const msg_type msg_type_vitals;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT), BODY("hr", MSG_REAL4),      BODY("spo2", MSG_REAL4),   BODY("resp", MSG_REAL4),
    BODY("temp", MSG_REAL4),   BODY("sys", MSG_REAL4),     BODY("dia", MSG_REAL4),    BODY("rr_ms", MSG_JSON),
    BODY("contact", MSG_BOOL), BODY("quality", MSG_REAL4), BODY("motion", MSG_REAL4), BODY("event", MSG_TEXT),
    BODY("sensor", MSG_TEXT),  BODY("battery", MSG_REAL4),
};

const msg_type msg_type_vitals = {
    .name = "vitals",
    .schema = "vitals",
    .family = ADDRESS_USER,
    .leaf = "vitals",
    .limit = MSG_TELEMETRY,
    .stored = true,
    .table = "vitals",
    COLUMNS(columns),
};
