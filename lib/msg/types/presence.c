/* presence.c - whether a person is connected; retained, made by Mayday. */
#include "msg/types/row.h"

extern const msg_type msg_type_presence;

const msg_type msg_type_presence = {
    .name = "presence",
    .schema = "presence",
    .family = ADDRESS_USER,
    .leaf = "presence",
    .retained = true,
};
