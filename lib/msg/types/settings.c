/* settings.c - what a person sets for themselves. The PINs in it become hashes of mayday.person and are
 * stored nowhere else; the journal holds them until its segment is let go. */
#include "msg/types/row.h"

extern const msg_type msg_type_settings;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),
    BODY("family", MSG_JSON),
    BODY("lang", MSG_TEXT),
};

const msg_type msg_type_settings = {
    .name = "settings",
    .schema = "settings",
    .family = ADDRESS_USER,
    .leaf = "settings",
    .limit = MSG_REQUEST,
    .stored = true,
    .sync = true,
    .secret = true,
    .table = "setting",
    COLUMNS(columns),
};
