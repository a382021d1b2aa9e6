/* row.h - short forms for the columns of a message type; only the rows beside it include it. */
#ifndef MAYDAY_MSG_TYPES_ROW_H
#define MAYDAY_MSG_TYPES_ROW_H

#include "msg/type.h"

/* A member of the payload, under its own name or from another place in it. */
#define BODY(name, kind)                                                                                     \
    { name, kind, MSG_FROM_BODY, NULL }
#define BODY_AT(name, kind, path)                                                                            \
    { name, kind, MSG_FROM_BODY, path }
#define POINT_AT(name, path)                                                                                 \
    { name, MSG_POINT, MSG_FROM_POINT, path }
#define TOPIC(name, kind)                                                                                    \
    { name, kind, MSG_FROM_TOPIC, NULL }
#define SENDER(name)                                                                                         \
    { name, MSG_TEXT, MSG_FROM_SENDER, NULL }
#define COLUMNS(array) .columns = (array), .column_count = ARRAY_LEN(array)

#endif
