/* badge.h - the token with which the gateway enters the broker: signed by itself, or from a file.
 * Files are read again for each token, so a rotated key or a renewed file is taken up by the next connection.
 * Pure but for those files. Threads: any, nothing is shared. */
#ifndef MAYDAY_GATEWAY_BUS_BADGE_H
#define MAYDAY_GATEWAY_BUS_BADGE_H

#include "base/instant.h"
#include "core/settings.h"

#define BADGE_WHY_MAX 256

/* Who this gateway is: [gateway] id, or gateway-<host>; with a token_file the subject of that token (which
 * must agree with an id that is set). *ret_org is the one organisation that such a token is good for, else
 * NULL. Both to free(). Returns 0, or a negative errno with a sentence in ret_why. */
NODISCARD int badge_identity(const settings *s, char **ret_id, char **ret_org, char ret_why[BADGE_WHY_MAX]);

/* A token for `org`, to free(), and when it ends (0: it names no end). */
NODISCARD int badge_make(const settings *s, const char *id, const char *org, instant now, char **ret_token,
                         instant *ret_until, char ret_why[BADGE_WHY_MAX]);

#endif
