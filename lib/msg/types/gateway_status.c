/* gateway_status.c - a gateway is up or gone; retained, or its last will. */
#include "msg/types/row.h"

extern const msg_type msg_type_gateway_status;

const msg_type msg_type_gateway_status = {
    .name = "gateway_status",
    .schema = "gateway_status",
    .family = ADDRESS_GATEWAY,
    .leaf = "status",
    .retained = true,
};
