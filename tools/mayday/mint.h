/* mint.h - development tokens from a signing key that is at hand: the key is read once, then signs for many.
 * Threads: one. */
#ifndef MAYDAY_TOOLS_MINT_H
#define MAYDAY_TOOLS_MINT_H

#include "link.h"

typedef struct mint mint;

typedef struct mint_wish {
    const char *sub, *org;
    const char *roles; /* separated by commas */
} mint_wish;

/* `keys`: a JWK Set whose last key signs; NULL: the signing keys beside the configured keys_file. An exit
 * code; complains itself. */
NODISCARD int mint_open(const command *c, const char *config_path, const char *keys, mint **ret_mint);
mint *mint_free(mint *m); /* takes NULL, returns NULL */
DEFINE_CLEANUP(mint, mint_free)

/* Makes an identity with a token good for an hour, under the claim names, issuer and audience of the
 * configuration. An exit code; complains itself. */
NODISCARD int mint_token(const command *c, mint *m, const mint_wish *wish, identity *ret_who);

#endif
