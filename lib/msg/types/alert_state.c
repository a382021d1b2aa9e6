/* alert_state.c - how far an incident has got; retained, made by Mayday from what is stored already. */
#include "msg/types/row.h"

extern const msg_type msg_type_alert_state;

const msg_type msg_type_alert_state = {
    .name = "alert_state",
    .schema = "state",
    .family = ADDRESS_ALERT,
    .leaf = "state",
    .retained = true,
};
