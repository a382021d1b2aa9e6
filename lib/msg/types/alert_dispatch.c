/* alert_dispatch.c - the truth about an incident, for those who help; retained, made by Mayday. */
#include "msg/types/row.h"

extern const msg_type msg_type_alert_dispatch;

const msg_type msg_type_alert_dispatch = {
    .name = "alert_dispatch",
    .schema = "dispatch",
    .family = ADDRESS_ALERT,
    .leaf = "dispatch",
    .retained = true,
};
