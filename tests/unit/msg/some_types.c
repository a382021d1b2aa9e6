/* some_types.c - one message type for each schema that has one: the tests of the catalog need no more of a
 * type than its schema. */
#include "msg/type.h"

#define TYPE_OF(word) (&(const msg_type){.name = word, .schema = word})

const msg_type *const msg_types[] = {
    TYPE_OF("raise"),
    TYPE_OF("action"),
    TYPE_OF("location"),
    TYPE_OF("chat"),
    TYPE_OF("typing"),
    TYPE_OF("vitals"),
    TYPE_OF("check"),
    TYPE_OF("reply"),
    TYPE_OF("duty"),
    TYPE_OF("inbox"),
    TYPE_OF("sync"),
    TYPE_OF("broadcast"),
    TYPE_OF("zone_event"),
    TYPE_OF("gateway_status"),
    TYPE_OF("presence"),
    TYPE_OF("state"),
    TYPE_OF("location"), /* two types may share a schema */
    NULL,
};
