/* event.c - what a broker saw happen; the plugin journals it for itself. */
#include "msg/types/row.h"

extern const msg_type msg_type_event;

static const msg_column columns[] = {
    BODY("kind", MSG_TEXT),    BODY("person", MSG_TEXT), BODY("client", MSG_TEXT), BODY("roles", MSG_JSON),
    BODY("address", MSG_TEXT), BODY("topic", MSG_TEXT),  BODY("code", MSG_TEXT),   BODY("detail", MSG_TEXT),
};

const msg_type msg_type_event = {
    .name = "event",
    .schema = "event",
    .family = ADDRESS_NODE,
    .leaf = "event",
    .stored = true,
    .internal = true,
    .settle = "settle_events",
    .table = "event",
    COLUMNS(columns),
};
