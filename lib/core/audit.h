/* audit.h - the audit trail's hash chain: how an entry is spelled and hashed, how each hash hangs on the one
 * before it, and the signed checkpoints that fix the chain as it was.
 *
 * An entry's canonical spelling is its fields, one behind the other, each as its length (4 bytes, big-endian)
 * and its bytes; the length 0xffffffff and no bytes stand for a field that is null:
 *
 *   "mayday-audit-1", position, id, at, sealed_at, org, kind, actor, person, alert, detail
 *
 * Numbers are decimal text, moments microseconds since 1970 UTC, UUIDs lower case, `detail` the text that
 * PostgreSQL gives for the jsonb. With SHA-256: entry_hash = H(spelling), chain_hash = H(chain_hash before it
 * || entry_hash); before the first stand 32 zero bytes.
 *
 * A checkpoint is a compact JWS (typ "mayday-checkpoint") over {"position","chain_hash","at"}, and
 * "ends_month": true when the next entry lies in another month's partition: from there on a trail may begin
 * whose older months were dropped.
 *
 * Pure. Threads: a hasher belongs to one thread, as does a key set while it verifies. */
#ifndef MAYDAY_CORE_AUDIT_H
#define MAYDAY_CORE_AUDIT_H

#include "base/instant.h"
#include "core/sign.h"
#include "core/token.h"

#define AUDIT_HASH_LEN     32
#define AUDIT_HEX_LEN      (2 * AUDIT_HASH_LEN)
#define AUDIT_KID_MAX      256
#define AUDIT_SIGNED_MAX   16384 /* bytes of a checkpoint's JWS */
#define AUDIT_POSITION_MAX INT64_MAX

typedef struct audit_hash {
    unsigned char bytes[AUDIT_HASH_LEN];
} audit_hash;

extern const audit_hash audit_origin; /* 32 zeros */

/* Texts are borrowed. */
typedef struct audit_entry {
    uint64_t position; /* from 1 */
    text id;
    instant at, sealed_at;
    text org, kind, actor;
    text person, alert; /* NULL ptr: null */
    text detail;
} audit_entry;

typedef struct audit_hasher audit_hasher;

NODISCARD audit_hasher *audit_hasher_new(void); /* NULL when memory is short */
audit_hasher *audit_hasher_free(audit_hasher *h);
DEFINE_CLEANUP(audit_hasher, audit_hasher_free)

/* Return 0, or -ENOMEM when OpenSSL fails. */
NODISCARD int audit_hash_entry(audit_hasher *h, const audit_entry *e, audit_hash *ret_hash);
NODISCARD int audit_hash_chain(audit_hasher *h, const audit_hash *before, const audit_hash *entry,
                               audit_hash *ret_chain);

bool audit_hash_equal(const audit_hash *a, const audit_hash *b);
void audit_hash_print(const audit_hash *hash, char ret_hex[AUDIT_HEX_LEN + 1]); /* lower case */
NODISCARD int audit_hash_parse(text hex, audit_hash *ret_hash);                 /* 0 or -EINVAL */

typedef struct audit_checkpoint {
    uint64_t position;
    audit_hash chain;
    instant at; /* to the millisecond */
    bool ends_month;
} audit_checkpoint;

/* Appends the JWS. Returns 0 or -ENOMEM. */
NODISCARD int audit_checkpoint_sign(const signer *key, const audit_checkpoint *c, buf *to);

/* What a JWS says, right or not, and the name of its key ("" when it names none). Returns 0, -ENOMEM or
 * -EBADMSG. */
NODISCARD int audit_checkpoint_read(text jws, audit_checkpoint *ret_checkpoint, char ret_kid[AUDIT_KID_MAX]);

/* Whether it was signed with one of the keys: TOKEN_ACCEPTED, _UNKNOWN_KEY, _WRONG_ALGORITHM, _BAD_SIGNATURE,
 * _REFUSED (malformed, or signed as something else) or _NO_MEMORY. */
NODISCARD token_verdict audit_checkpoint_verify(const keyset *keys, text jws);

#endif
