/* rejected.c - a message changed nothing, and why: what the broker accepted and the incident did not. */
#include "msg/types/row.h"

extern const msg_type msg_type_rejected;

const msg_type msg_type_rejected = {
    .name = "rejected",
    .schema = "rejected",
    .family = ADDRESS_USER,
    .leaf = "rejected",
};
