/* texts_dir.h - reads the texts of all languages from disk: every <schema_dir>/texts/<lang>.json.
 * Threads: no state. */
#ifndef MAYDAY_MSG_TEXTS_DIR_H
#define MAYDAY_MSG_TEXTS_DIR_H

#include "core/texts.h"

#define TEXTS_DIR_WHY_MAX 512

/* Told of each file that is left out, with a sentence that names it. */
typedef void (*texts_dir_bad)(void *context, const char *why);

/* In the order of the files' names; names that begin with a dot or don't end in ".json" are none of ours. A
 * file that can't be used is left out and told to `bad`: a mistake in one language must not silence the
 * others. Returns 0; or a negative errno with a sentence when no language is left, memory is short, or, with
 * `bad` NULL, any file can't be used. */
NODISCARD int texts_load_dir(const char *schema_dir, texts_dir_bad bad, void *context, texts **ret_texts,
                             char ret_why[TEXTS_DIR_WHY_MAX]);

#endif
