/* wording.h - the texts from disk: every <lang>.json in <schema_dir>/texts.
 * Threads: read once, then never changed. */
#ifndef MAYDAY_GATEWAY_WORDING_H
#define MAYDAY_GATEWAY_WORDING_H

#include "core/texts.h"

#define WORDING_WHY_MAX 512

/* `fallback` must be among them: without it there is nothing to say to whoever speaks another language.
 * *ret_langs: which there are, with spaces between them; to free(). Returns 0, or a negative errno with a
 * sentence that names the file. */
NODISCARD int wording_read(const char *schema_dir, const char *fallback, texts **ret_texts, char **ret_langs,
                           char ret_why[WORDING_WHY_MAX]);

#endif
