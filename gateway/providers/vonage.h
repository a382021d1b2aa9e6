/* vonage.h - what Vonage's texts, calls and webhooks have in common. Pure. Threads: no state. */
#ifndef MAYDAY_GATEWAY_PROVIDERS_VONAGE_H
#define MAYDAY_GATEWAY_PROVIDERS_VONAGE_H

#include "gateway/providers/inside.h"

/* "Authorization: Bearer ..." of the application: valid for a day from `at` on, known by `name`. */
NODISCARD int vonage_token_add(const accounts *a, instant at, text name, provider_request *to);

/* "&name=2026-11-21T02:40:00Z", where they take moments; `before`: '?' or '&'. */
void vonage_moment_add(buf *url, char before, const char *name, instant at);

NODISCARD json *vonage_list_of(json *only); /* takes `only`, NULL too; NULL when memory is short */

provider_receipt vonage_text_receipt(text status);
provider_receipt vonage_call_receipt(text status);

/* What a call says, as an NCCO: `say`, then `menu` and a key is awaited; without a menu it ends behind what
 * is said, `times` over. NULL when memory is short. */
NODISCARD json *ncco_new(const settings *s, text notification, text say, text menu, text lang, int times);

#endif
