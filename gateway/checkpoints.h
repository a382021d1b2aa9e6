/* checkpoints.h - the signed checkpoints of the audit trail: the key they are signed with, and the file in
 * which this gateway keeps its own, so that somebody who cuts the trail's end off in the database is found
 * out.
 *
 * The key file is read for each signature: a new last key counts at once. Threads: one. */
#ifndef MAYDAY_GATEWAY_CHECKPOINTS_H
#define MAYDAY_GATEWAY_CHECKPOINTS_H

#include "core/audit.h"
#include "core/settings.h"

#define CHECKPOINTS_FILE    "audit-checkpoints" /* in [node] state_dir */
#define CHECKPOINTS_WHY_MAX 512

typedef struct checkpoints checkpoints;

/* Borrows the settings. NULL when memory is short. */
NODISCARD checkpoints *checkpoints_new(const settings *s);
checkpoints *checkpoints_free(checkpoints *p);
DEFINE_CLEANUP(checkpoints, checkpoints_free)

bool checkpoints_wanted(const checkpoints *p); /* is there a key to sign with? */

/* Appends the JWS to `to`; ret_kid is "" when the key has no name. Returns 0 or a negative errno with a
 * sentence. */
NODISCARD int checkpoints_sign(checkpoints *p, const audit_checkpoint *c, buf *to,
                               char ret_kid[AUDIT_KID_MAX], char ret_why[CHECKPOINTS_WHY_MAX]);

/* Appends it to the file and waits for the disk. Likewise. */
NODISCARD int checkpoints_keep(checkpoints *p, const audit_checkpoint *c, text jws,
                               char ret_why[CHECKPOINTS_WHY_MAX]);

/* Whether it was signed with one of our keys; then *ret_checkpoint is what it says. */
NODISCARD bool checkpoints_ours(checkpoints *p, text jws, audit_checkpoint *ret_checkpoint);

/* The newest of the file's that our keys signed; NULL when there is none. */
const audit_checkpoint *checkpoints_newest(const checkpoints *p);

#endif
