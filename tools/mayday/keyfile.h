/* keyfile.h - JWK Set files on disk, for the commands that make keys and tokens.
 * Two files: the public set, which the broker verifies with ([token] keys_file), and beside it the private
 * set, "signing-keys.json", whose last key signs. */
#ifndef MAYDAY_TOOLS_KEYFILE_H
#define MAYDAY_TOOLS_KEYFILE_H

#include <sys/types.h>
#include "base/json.h"
#include "command.h"

#define KEYFILE_MAX     (4 << 20)
#define KEYFILE_WHY_MAX 512
#define SIGNING_FILE    "signing-keys.json"

/* Reads a JWK Set, its keys unjudged. Returns 0 or a negative errno (-ENOENT: there is no such file) with a
 * sentence in ret_why. */
NODISCARD int keyfile_read(const char *path, json **ret_set, char ret_why[KEYFILE_WHY_MAX]);

/* Replaces the file, or makes it, in one step that survives a crash. `mode` is for a new file; a file that is
 * there keeps its owner and its mode, as far as `most` allows. */
NODISCARD int keyfile_write(const char *path, const json *set, mode_t mode, mode_t most,
                            char ret_why[KEYFILE_WHY_MAX]);

/* A JWK Set with the keys of `set` (NULL: none) except the one called `without` (NULL ptr: all), and behind
 * them `added` (NULL: nothing). Returns 0 or -ENOMEM. */
NODISCARD int keyset_json(const json *set, text without, const json *added, json **ret_set);

const json *keyfile_find(const json *set, text kid); /* NULL when there is none */
const json *keyfile_last(const json *set);           /* the key that signs; NULL in an empty set */
const char *keyfile_algorithm(const json *jwk); /* its 'alg', or the one it is pinned to; NULL when unknown */

/* FOLDER-OF(keys_file)/signing-keys.json, to free(); NULL when memory is short. */
NODISCARD char *keyfile_signing_path(const char *keys_file);

/* The settings; their defaults when no configuration is named and /etc has none. As command_settings(). */
NODISCARD int keyfile_settings(const char *config_path, settings *ret_settings);

#endif
