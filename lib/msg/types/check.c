/* check.c - 'Are you OK?', asked of a person. (CHECK is a word of SQL, hence the table's name.) */
#include "msg/types/row.h"

extern const msg_type msg_type_check;

static const msg_column columns[] = {
    TOPIC("person", MSG_TEXT),
    BODY("text", MSG_TEXT),
    BODY("lang", MSG_TEXT),
    BODY("reason", MSG_TEXT),
    BODY("respond_within", MSG_INTEGER),
    BODY("alert", MSG_UUID),
};

const msg_type msg_type_check = {
    .name = "check",
    .schema = "check",
    .family = ADDRESS_USER,
    .leaf = "check",
    .limit = MSG_TALK,
    .stored = true,
    .sync = true,
    .urgent = true,
    .fed = true,
    .settle = "settle_checks",
    .table = "person_check",
    COLUMNS(columns),
};
