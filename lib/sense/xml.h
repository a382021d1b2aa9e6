/* xml.h - XML read element by element, through expat, which only xml.c sees. Made for recordings from
 * anywhere: no document type declaration is taken (and so no entity can be defined, expanded or fetched),
 * elements are at most 64 inside each other, and a content counts to its first 255 bytes. Pure; threads: no
 * state beyond the call. */
#ifndef MAYDAY_SENSE_XML_H
#define MAYDAY_SENSE_XML_H

#include "base/text.h"

#define XML_WHY_MAX 256

/* Names come without their prefix: makers choose it as they like ("gpxtpx:hr", "ns3:hr" are "hr"). */
typedef struct xml_visitor {
    /* `attributes`: name, value, name, value, ..., NULL */
    void (*open)(void *context, const char *name, const char *const *attributes);
    /* `content`: the element's own text, trimmed; `parent`: "" for the outermost. False ends the reading. */
    bool (*close)(void *context, const char *name, const char *parent, text content);
    void *context;
} xml_visitor;

/* 0 at the end or when the visitor ended it; -ENOMEM, or -EBADMSG with a sentence that names the line. */
NODISCARD int xml_read(const unsigned char *bytes, size_t len, const xml_visitor *visitor,
                       char ret_why[XML_WHY_MAX]);

/* By its first bytes: is `name` the outermost element? */
bool xml_begins_with(const unsigned char *bytes, size_t len, const char *name);

#endif
