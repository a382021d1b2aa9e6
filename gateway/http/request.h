/* request.h - one HTTP request as a route sees it: plain data, so that what judges it needs no daemon to be
 * tested. Texts belong to whoever made it and live as long as the answer is being made. */
#ifndef MAYDAY_GATEWAY_HTTP_REQUEST_H
#define MAYDAY_GATEWAY_HTTP_REQUEST_H

#include "base/text.h"

#define REQUEST_HEADERS_MAX 64
#define REQUEST_BODY_MAX    (16 << 10)

typedef struct request_header {
    text name, value;
} request_header;

typedef struct http_request {
    text method, path;
    text query; /* as it was sent, without the '?'; empty with NULL ptr when there is none */
    text body;
    request_header headers[REQUEST_HEADERS_MAX];
    size_t header_count;
} http_request;

/* The first header of that name, whatever its case; NULL ptr when there is none. */
text request_header_of(const http_request *r, const char *name);

/* The value of a parameter of a form (application/x-www-form-urlencoded) or query, decoded into `space`,
 * whose size it never exceeds; NULL ptr when there is none, or it does not fit, or is no well-formed UTF-8.
 */
text form_value(text form, const char *name, char *space, size_t size);

/* One after the other, decoded; false at the end or when the form is malformed (*ret_malformed). */
typedef struct form_pair {
    text name, value;
} form_pair;
/* Decodes the whole form into `space`; returns how many pairs, or -EBADMSG, -EMSGSIZE. */
int form_read(text form, char *space, size_t size, form_pair *ret_pairs, size_t most);

#endif
