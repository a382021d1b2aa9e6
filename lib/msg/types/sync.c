/* sync.c - a person asks for everything after a cursor; answered in the inbox, not kept. */
#include "msg/types/row.h"

extern const msg_type msg_type_sync;

const msg_type msg_type_sync = {
    .name = "sync",
    .schema = "sync",
    .family = ADDRESS_USER,
    .leaf = "sync",
};
