/* zone_event.c - a person entered, left or stayed in a zone, passed through it or was too fast there. */
#include "msg/types/row.h"

extern const msg_type msg_type_zone_event;

static const msg_column columns[] = {
    TOPIC("zone", MSG_TEXT),          BODY("person", MSG_TEXT), BODY("event", MSG_TEXT),
    POINT_AT("position", "location"), BODY("speed", MSG_REAL4), BODY_AT("lasted", MSG_REAL4, "for"),
};

const msg_type msg_type_zone_event = {
    .name = "zone_event",
    .schema = "zone_event",
    .family = ADDRESS_ZONE,
    .leaf = "event",
    .stored = true,
    .table = "zone_event",
    COLUMNS(columns),
};
