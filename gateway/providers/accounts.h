/* accounts.h - the providers' accounts: what mayday.conf says of them, with the secrets from their files.
 * Threads: read once, then never changed; share it. Secrets are wiped when it is freed and never logged. */
#ifndef MAYDAY_GATEWAY_PROVIDERS_ACCOUNTS_H
#define MAYDAY_GATEWAY_PROVIDERS_ACCOUNTS_H

#include "base/text.h"
#include "core/settings.h"

#define ACCOUNTS_WHY_MAX 256

typedef struct accounts {
    const settings *s;  /* borrowed */
    char *twilio_token; /* NULL when not configured */
    char *vonage_secret, *vonage_signature, *vonage_key_pem;
    char *webhook_secret;
} accounts;

/* Reads the files that are named. Returns 0, or a negative errno with a sentence that names key and file. */
NODISCARD int accounts_read(const settings *s, accounts **ret_accounts, char ret_why[ACCOUNTS_WHY_MAX]);
accounts *accounts_free(accounts *a); /* takes NULL, returns NULL */
DEFINE_CLEANUP(accounts, accounts_free)

#endif
