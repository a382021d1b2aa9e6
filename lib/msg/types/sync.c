/* sync.c - a person asks for everything after a cursor; answered in the inbox. Stored, so that the question
 * outlives a gateway that is away. */
#include "msg/types/row.h"

extern const msg_type msg_type_sync;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),
    BODY("cursor", MSG_TEXT),
};

const msg_type msg_type_sync = {
    .name = "sync",
    .schema = "sync",
    .family = ADDRESS_USER,
    .leaf = "sync",
    .limit = MSG_REQUEST,
    .stored = true,
    .settle = "settle_syncs",
    .table = "sync_request",
    COLUMNS(columns),
};
