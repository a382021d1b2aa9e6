/* sync_page.c - a page of what somebody missed, in their inbox. Not stored: all that it holds is. */
#include "msg/types/row.h"

extern const msg_type msg_type_sync_page;

const msg_type msg_type_sync_page = {
    .name = "sync_page",
    .schema = "sync_page",
    .family = ADDRESS_USER,
    .leaf = "inbox",
    .kind = "sync",
};
