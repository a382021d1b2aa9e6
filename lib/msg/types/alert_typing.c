/* alert_typing.c - a member of an incident is writing; nothing of it is kept. */
#include "msg/types/row.h"

extern const msg_type msg_type_alert_typing;

const msg_type msg_type_alert_typing = {
    .name = "alert_typing",
    .schema = "typing",
    .family = ADDRESS_ALERT,
    .leaf = "typing",
    .limit = MSG_TELEMETRY,
};
